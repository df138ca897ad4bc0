"""
The spectrum of the Hessian
===========================

The density of all eigenvalues (stochastic Lanczos quadrature), with its error band, and the largest eigenvalues by
themselves. About as many stand out as there are classes. See :doc:`/meaning/curvature`.
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

train, _ = digits(seed=0)
torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for _ in range(60):
    batch = torch.randint(len(train[0]), (64,))
    optimizer.zero_grad()
    F.cross_entropy(model(train[0][batch]), train[1][batch]).backward()
    optimizer.step()
problem = tw.ModuleProblem(model.eval(), train, loss=F.cross_entropy)
pairs = tw.top_eigenpairs(problem, k=20)
print(f"{tw.num_outliers(pairs)} eigenvalues stand out, of {pairs.attrs['num_classes']} classes")

# Eigenvalues by rank, with the bars of their residuals
tw.figures.spectrum(pairs, backend="matplotlib")

# %%

density = tw.spectral_density(problem, num_probes=4, num_matvecs=40)

# The density of all eigenvalues, with the largest ones marked
tw.figures.density(density, pairs=pairs, backend="matplotlib")
