"""
Descent on the smallest deep network
====================================

The linear network :math:`t_2 t_1 x` learns to multiply by one: :math:`L = (1 - t_1 t_2)^2`. Two branches of
solutions, a saddle between them, and fifty starts on the unit circle.
"""

import numpy as np
import torch

import thalweg as tw
from thalweg.landscapes import landscape

shown = landscape("multiply-by-one")
problem = shown.problem()
plane = tw.coordinate_plane(problem)
field = tw.gradient_field(problem, plane, extent=2.0, points=61)
paths = tw.descend(problem, tw.random_starts(50, seed=117), lambda w: torch.optim.SGD(w, lr=0.1), steps=100)
paths = tw.outcomes(paths, problem, branches=shown.branches, side=shown.side)
paths = tw.project_trajectory(paths, plane)
names, counts = paths.outcome.attrs["names"], np.bincount(paths.outcome)
print("; ".join(f"{n} end on {name}" for n, name in zip(counts, names, strict=True)))

# Fifty paths of gradient descent on the map of the loss, with both branches of solutions
tw.figures.contour(field, "loss", descent=paths, curves=shown.solutions, backend="matplotlib")

# %%
# Their losses: plateaus near the saddle, and then a fall.

# The losses of fifty descents
tw.figures.descent(paths, backend="matplotlib")

# %%

# Fifty paths of gradient descent on the loss surface, to turn and zoom
tw.figures.surface(field, "loss", descent=paths, curves=shown.solutions)
