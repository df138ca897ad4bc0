"""Nine loss surfaces, from a bowl to pure noise: where does descent get, and what does it depend on?

Each is drawn in three dimensions, and with gradient descent from a grid of starts. Run it:
`python examples/nine_surfaces.py`. It writes `nine_surfaces/l0.html` ... `l8.html` and `.png`, three random fields to
turn, prints where the descents ended, and takes about a minute.
"""

from pathlib import Path

import torch

import thalweg as tw
from thalweg.landscapes import gaussian_field, landscape

torch.set_num_threads(1)
folder = Path("nine_surfaces")
folder.mkdir(exist_ok=True)
starts = tw.grid_starts(1.5, 16)

for k in range(9):
    shown = landscape(f"l{k}")
    problem = shown.problem()
    plane = tw.coordinate_plane(problem)
    surface = tw.gradient_field(problem, plane, extent=1.5, points=50)
    paths = tw.descend(problem, starts, lambda w: torch.optim.SGD(w, lr=0.05), steps=300)
    paths = tw.project_trajectory(tw.outcomes(paths, problem), plane)
    names = paths.outcome.attrs["names"]
    counts = [int((paths.outcome == i).sum()) for i in range(len(names))]
    told = ", ".join(f"{n} {name}" for n, name in zip(counts[:4], names[:4], strict=True))
    print(f"{shown.name}  {shown.formula:55} {told}{', ...' if len(names) > 4 else ''}")
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
