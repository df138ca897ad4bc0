"""
The loss surface of a small network
===================================

A multilayer perceptron on 8x8 images of digits, on a random plane through its weights. The directions are scaled filter
by filter (Li et al. 2018). What such a picture tells, and what it does not: :doc:`/meaning/surfaces`.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

train, test = digits(seed=0)
torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(100):
    optimizer.zero_grad()
    F.cross_entropy(model(train[0]), train[1]).backward()
    optimizer.step()

problem = tw.ModuleProblem(model.eval(), train, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test)
surface = tw.loss_surface(problem, tw.random_plane(problem, seed=1), points=41, adaptive=0.01)
print(f"{surface.attrs['num_evaluated']} of {41 * 41} points were evaluated, the others predicted")

# The loss surface in three dimensions, drawn for paper
tw.figures.surface(surface, backend="matplotlib")

# %%
# The same to turn, with a menu for training and test data, loss and accuracy.

# The loss surface in three dimensions, to turn and zoom
tw.figures.surface(surface)
