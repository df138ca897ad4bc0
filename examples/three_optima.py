"""The plane through three networks trained from different seeds, and the straight line between two of them.

Run it: `python examples/three_optima.py`. It writes `three_optima.html`, `three_optima_line.png` and takes some
seconds.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

torch.set_num_threads(1)
(images, classes), test = digits()


def trained(seed: int) -> nn.Module:
    """A small multilayer perceptron after 200 steps of Adam."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(model(images), classes).backward()
        optimizer.step()
    return model.eval()


problems = [
    tw.ModuleProblem(
        trained(seed), (images, classes), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test
    )
    for seed in range(3)
]
a, b, c = (problem.theta for problem in problems)

plane = tw.plane_through(a, b, c)
surface = tw.loss_surface(problems[0], plane, points=51, adaptive=0.01)
places = {name: tuple(where) for name, where in zip("abc", plane.anchors, strict=True)}
tw.figures.save(tw.figures.contour(surface, points=places), "three_optima.html")

line = tw.loss_surface(problems[0], tw.Segment(a, b), points=41)
tw.figures.save(tw.figures.profile(line, backend="matplotlib"), "three_optima_line.png")

height = float(line.loss.max() - 0.5 * (line.loss[0] + line.loss[-1]))
print(
    f"{surface.attrs['num_evaluated']} of {51 * 51} points evaluated; the straight line from a to b rises "
    f"{height:.2f} nat"
)
