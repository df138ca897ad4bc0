"""
Two optima, and a low way between them
======================================

Two networks from different seeds. The straight way rises; a curve with one bend, learned in seconds, hardly does
(Garipov et al. 2018). See :doc:`/meaning/barriers`.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

train, test = digits(seed=0)


def trained(seed):
    """A perceptron after 150 steps of Adam."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        batch = torch.randint(len(train[0]), (128,))
        optimizer.zero_grad()
        F.cross_entropy(model(train[0][batch]), train[1][batch]).backward()
        optimizer.step()
    return model.eval()


first, second = trained(0), trained(1)
problem = tw.ModuleProblem(first, train, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test)
link = tw.connect(problem, first, second, curve="bezier", steps=300, seed=0)
ways = {"straight": tw.Segment(link.curve.a, link.curve.b), "learned": link.curve}
along = {name: tw.loss_along(problem, way, 31) for name, way in ways.items()}

# Loss and accuracy along the straight way and along the learned curve
tw.figures.connection(along, backend="matplotlib")

# %%
# The plane in which the curve bends holds both ends, the bend, and the segment.

plane = tw.curve_plane(link.curve)
surface = tw.loss_surface(problem, plane, points=31, adaptive=0.01)
course = tw.course(link.curve, plane)

# The valley that the curve takes, from above
tw.figures.contour(surface, course=course, backend="matplotlib")

# %%

# The valley that the curve takes, to turn and zoom
tw.figures.surface(surface, course=course)
