"""The edge of stability: under full-batch gradient descent the sharpness rises to 2 / learning rate, and stays there.

A tanh network learns 500 handwritten digits by plain gradient descent at two learning rates. The largest eigenvalues
of the Hessian are measured along the way, each time begun with the vectors found last (Cohen et al. 2021,
arXiv:2103.00065, figure 1). Writes `edge_of_stability.html`, `edge_of_stability.pdf`, and
`density_path.html`: the density of all eigenvalues along the way.

Run: `python examples/edge_of_stability.py`
"""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes import digits

(images, classes), _ = digits(seed=0)
x, y = images[:500].flatten(1), F.one_hot(classes[:500], 10).float()


def descend(rate: float, steps: int = 2000):
    """Plain gradient descent, with the top three eigenvalues every 50 steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 10))
    problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    recorder = tw.CurvatureRecorder(
        "edge_of_stability.zarr", problem, f"spectrum/{rate:g}", k=3, num_probes=2, overwrite=True
    )
    with recorder.attach(model, optimizer, every=50):
        for _ in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
    return recorder.spectrum()


for rate in (1.0, 0.5):
    spectrum = descend(rate)
    top, loss = spectrum.eigenvalue.values[:, 0], spectrum.loss.values
    print(
        f"Learning rate {rate}: the sharpness goes from {top[0]:.2f} to {top[-10:].mean():.2f}, where 2 / rate "
        f"is {2 / rate:.0f}; the loss from {loss[0]:.3f} to {loss[-1]:.4f}."
    )

tw.figures.save(tw.figures.density_path(spectrum), "density_path.html")
title = f"Full-batch gradient descent at learning rate {rate}: the edge of stability"
tw.figures.save(tw.figures.spectrum_path(spectrum, title=title), "edge_of_stability.html")
tw.figures.save(tw.figures.spectrum_path(spectrum, title=title, backend="matplotlib"), "edge_of_stability.pdf")
