"""Multiply by one, in two steps: the smallest deep network, seen whole.

The loss (1 - t1 t2)² of the linear network t2 · t1 · x at x = 1, its two branches of solutions, its saddle, and what
becomes of starts on the unit circle. Run it: `python examples/multiply_by_one.py`. It writes `multiply_by_one.html`,
the film `multiply_by_one.mp4` (and `.gif`), `multiply_by_one_losses.png`, and takes under a minute. The films need the
extra `films`: `pip install ".[films]"`.
"""

import numpy as np
import torch

import thalweg as tw
from thalweg.landscapes import autoencoder_gradient, conserved, landscape, rescale

torch.set_num_threads(1)
shown = landscape("multiply-by-one")
problem = shown.problem()
plane = tw.coordinate_plane(problem)

# The gradient by hand, against automatic differentiation, where the product of the weights is 10 and -10.
spots = torch.tensor([[2.0, 5.0], [-2.0, 5.0]], dtype=torch.float64)
assert torch.allclose(autoencoder_gradient(spots, [1.0]), problem.gradient(spots))

surface = tw.gradient_field(problem, plane, extent=2.0, points=101)
critical = tw.critical_points(problem, plane, extent=2.0, points=101)

# Fifty random directions, all of length one, a hundred steps of gradient descent.
paths = tw.descend(problem, tw.random_starts(50, seed=117), lambda w: torch.optim.SGD(w, lr=0.1), steps=100)
paths = tw.outcomes(paths, problem, branches=shown.branches, side=shown.side)
paths = tw.project_trajectory(paths, plane)
names, counts = paths.outcome.attrs["names"], np.bincount(paths.outcome)
print("From the unit circle:", "; ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True)))
print(f"Longest plateau: {int(paths.plateau.max())} steps. Crossings of the barrier: {int(paths.crossings.sum())}.")

# The same with noise in every gradient: who crosses the barrier between the branches?
noisy = tw.descend(
    problem, tw.random_starts(50, seed=117), lambda w: torch.optim.SGD(w, lr=0.1), steps=300, noise=1.0, seed=0
)
noisy = tw.outcomes(noisy, problem, branches=shown.branches, side=shown.side, settle=300)
crossed = int((noisy.crossings > 0).sum())
print(f"With noise: {crossed} of 50 paths crossed it, {int(noisy.crossings.sum())} times in all.")

# From everywhere: only the anti-diagonal t1 = -t2 ends on the saddle.
grid = tw.descend(problem, tw.grid_starts(2.0, 51), lambda w: torch.optim.SGD(w, lr=0.1), steps=300)
grid = tw.outcomes(grid, problem, branches=shown.branches)
names, counts = grid.outcome.attrs["names"], np.bincount(grid.outcome)
print("From the 51 x 51 grid:", "; ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True)))

# The symmetry: (a t1, t2 / a) has the same loss. What the gradient flow conserves, small steps nearly conserve.
theta = torch.tensor([0.7, 1.3], dtype=torch.float64)
assert torch.isclose(problem.loss(theta), problem.loss(rescale(theta, 3.0)))
for rate in (0.1, 0.01, 0.001):
    steps = round(2 / rate)
    one = tw.descend(problem, [[1.8, 0.3]], lambda w, rate=rate: torch.optim.SGD(w, lr=rate), steps=steps)
    drift = np.ptp(conserved(torch.as_tensor(one.theta.values[0])).numpy())
    print(f"Learning rate {rate}: t1² - t2² drifts by {drift:.1e}.")

title = "Descent from the unit circle"
figure = tw.figures.surface(surface, "loss", descent=paths, curves=shown.solutions, title=title)
tw.figures.save(figure, "multiply_by_one.html")
losses = tw.figures.descent(paths, backend="matplotlib", title="Plateaus, and then a fall")
tw.figures.save(losses, "multiply_by_one_losses.png")
film = tw.figures.animate(
    tw.figures.contour,
    surface,
    variable="loss",
    descent=paths,
    curves=shown.solutions,
    critical=critical.isel(point=critical.type == 1),
    steps=range(0, 61),
    backend="matplotlib",
)
for file in ("multiply_by_one.mp4", "multiply_by_one.gif"):
    print(tw.figures.save(film, file))
