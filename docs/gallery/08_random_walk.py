"""
A training run beside random walks
==================================

Two principal components explain most of a random walk as well. The control tells how much of a run's picture is its
own. See :doc:`/meaning/walks`.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

train, _ = digits(seed=0)
torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with tw.Recorder("study.zarr", overwrite=True).attach(model, optimizer, every=10) as recorder:
    for _ in range(500):
        batch = torch.randint(len(train[0]), (32,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train[0][batch]), train[1][batch])
        loss.backward()
        recorder.log(loss)
        optimizer.step()
run = recorder.trajectory()
control = tw.random_walk(run, num_axes=8, num_walks=30)

# Explained variance by component, of the run and of random walks, and their scores
tw.figures.random_walk(control, backend="matplotlib")

# %%
# How it moved: distance, speed, and turns.

# Distances, speed and turns of the run
tw.figures.motion(tw.motion(run), backend="matplotlib")

# %%

problem = tw.ModuleProblem(model.eval(), train, loss=F.cross_entropy)
plane = tw.principal_plane(run)
path = tw.project_trajectory(run, plane, problem)
surface = tw.loss_surface(problem, plane, points=41, adaptive=0.01)

# The run on its principal plane, to turn and zoom
tw.figures.surface(surface, path=path)
