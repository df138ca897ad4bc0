"""
The edge of stability
=====================

Under full-batch gradient descent the sharpness rises to 2 / learning rate and stays there (Cohen et al. 2021). A short
run of a small network; ``examples/edge_of_stability.py`` is the long one.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

(images, classes), _ = digits(seed=0)
x, y = images[:200].flatten(1), F.one_hot(classes[:200], 10).float()
rate = 0.6
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 10))
problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
optimizer = torch.optim.SGD(model.parameters(), lr=rate)
recorder = tw.CurvatureRecorder("edge.zarr", problem, k=2, overwrite=True)
with recorder.attach(model, optimizer, every=100):
    for _ in range(1800):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
spectrum = recorder.spectrum()
top = spectrum.eigenvalue.values[:, 0]
print(f"sharpness {top[0]:.2f} at first, {top[-5:].mean():.2f} at the end; 2 / rate is {2 / rate:.2f}")

# The largest eigenvalues along training, with the line of stability
tw.figures.spectrum_path(spectrum, backend="matplotlib")
