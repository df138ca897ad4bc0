"""
Nine loss surfaces
==================

From a bowl to pure noise: where does gradient descent get, from a grid of starts?
"""

import numpy as np
import torch

import thalweg as tw
from thalweg.landscapes import landscape


def descended(name):
    """A surface, and gradient descent on it from 64 starts."""
    shown = landscape(name)
    problem = shown.problem()
    plane = tw.coordinate_plane(problem)
    surface = tw.gradient_field(problem, plane, extent=shown.extent, points=50)
    paths = tw.descend(problem, tw.grid_starts(shown.extent, 8), lambda w: torch.optim.SGD(w, lr=0.05), steps=200)
    paths = tw.project_trajectory(tw.outcomes(paths, problem), plane)
    names, counts = paths.outcome.attrs["names"], np.bincount(paths.outcome)
    print(f"{shown.formula}: " + "; ".join(f"{counts[i]} {names[i]}" for i in np.argsort(-counts, kind="stable")[:4]))
    return surface, paths


for k in range(9):
    descended(f"l{k}")

# %%
# A bowl. Every path ends at the minimum, and goes there straight.

surface, paths = descended("l0")

# Descent on a bowl
tw.figures.contour(surface, "loss", descent=paths, backend="matplotlib", title="A bowl")

# %%
# Several minima. Where a path ends depends on where it starts.

surface, paths = descended("l3")

# Descent on a surface with several minima
tw.figures.contour(surface, "loss", descent=paths, backend="matplotlib", title="Several minima")

# %%
# A smooth random field.

surface, paths = descended("l8")

# Descent on a random field, to turn and zoom
tw.figures.surface(surface, "loss", descent=paths, title="A random field")
