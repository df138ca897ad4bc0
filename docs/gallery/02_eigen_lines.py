"""
The loss along eigenvectors of the Hessian
==========================================

Along the steepest direction, and along one from the bulk. The dotted parabola is what gradient and eigenvalue
predict: it tells how far the quadratic model holds.
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
pairs = tw.top_eigenpairs(problem, k=15)
steep = tw.loss_surface(problem, tw.eigen_line(problem, pairs, k=1), extent=0.6, points=41)

# Loss and accuracy along the first eigenvector
tw.figures.profile(steep, backend="matplotlib", title="Along the first eigenvector")

# %%
# The fifteenth is far flatter.

flat = tw.loss_surface(problem, tw.eigen_line(problem, pairs, k=15), extent=0.6, points=41)

# Loss and accuracy along the fifteenth eigenvector
tw.figures.profile(flat, backend="matplotlib", title="Along the fifteenth eigenvector")

# %%
# The plane of the first two:

plane = tw.loss_surface(problem, tw.eigen_plane(problem, pairs), extent=0.6, points=31)

# The loss on the plane of the first two eigenvectors
tw.figures.contour(plane, backend="matplotlib")
