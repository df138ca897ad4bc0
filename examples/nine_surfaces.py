"""Nine loss surfaces, from a bowl to pure noise: where does descent get, and what does it depend on?

Each is drawn in three dimensions, and with gradient descent from a grid of starts. Run it:
`python examples/nine_surfaces.py`. It writes `nine_surfaces/l0.html` ... `l8.html` and `.png`, three random fields to
turn, prints where the descents ended, and takes about a minute. It needs no extras.
"""

from pathlib import Path

import numpy as np
import torch

import thalweg as tw
from thalweg.landscapes import gaussian_field, landscape

torch.set_num_threads(1)
folder = Path("nine_surfaces")
folder.mkdir(exist_ok=True)

for k in range(9):
    shown = landscape(f"l{k}")
    problem = shown.problem()
    plane = tw.coordinate_plane(problem)
    surface = tw.gradient_field(problem, plane, extent=shown.extent, points=50)
    starts = tw.grid_starts(shown.extent, 16)
    paths = tw.descend(problem, starts, lambda w: torch.optim.SGD(w, lr=0.05), steps=300)
    paths = tw.project_trajectory(tw.outcomes(paths, problem), plane)
    names, counts = paths.outcome.attrs["names"], np.bincount(paths.outcome)
    print(f"{shown.name}  {shown.formula}")
    print("    " + "; ".join(f"{counts[i]} {names[i]}" for i in np.argsort(-counts, kind="stable")))
    title = f"{shown.title}: {shown.formula}"
    turned = tw.figures.surface(surface, "loss", descent=paths, title=title)
    tw.figures.save(turned, folder / f"{shown.name}.html")
    flat = tw.figures.contour(surface, "loss", descent=paths, title=title, backend="matplotlib")
    tw.figures.save(flat, folder / f"{shown.name}.png")

# The same random field, seen on larger and larger squares: promising for descent?
for points, extent, scale in ((100, 10.0, 1.0), (150, 25.0, 2.0), (250, 50.0, 3.0)):
    problem = tw.FunctionProblem(gaussian_field(scale=scale, seed=0))
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=extent, points=points)
    figure = tw.figures.surface(surface, title=f"A random field, {points} x {points} points up to {extent:g}")
    print(tw.figures.save(figure, folder / f"field_{points}.html"))
