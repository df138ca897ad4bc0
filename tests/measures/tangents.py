"""Networks, Jacobians and kernels for the tests of the tangent: plain loops, none of the library's code."""

import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.landscapes.sines import mlp, sines_data

D = torch.double


def sines_problem(widths=(20,), seed=0, *, biases=True, dtype=torch.float32, num=200, **options):
    """A network of one input on the sum of sines."""
    model = mlp(list(widths), seed=seed).to(dtype)
    for layer in model:
        if isinstance(layer, nn.Linear) and not biases:
            layer.bias.data.zero_()
    train, test, _ = sines_data(num, 50)
    cast = [tuple(v.to(dtype) for v in part) for part in (train, test)]
    return tw.ModuleProblem(model, cast[0], loss=F.mse_loss, test_data=cast[1], **options), model


def classifier(n=12, dtype=D):
    """A convolutional network of three classes on noise."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 2, 2, groups=1), nn.Tanh(), nn.Flatten(), nn.Linear(18, 3)
    ).to(dtype)
    x, y = torch.randn(n, 1, 6, 6, dtype=dtype), torch.arange(n) % 3
    return tw.ModuleProblem(model, (x, y), loss=F.cross_entropy), model, x


def jacobian(model, x):
    """One backward pass for each example and output."""
    found = []
    for i in range(len(x)):
        for value in model(x[i : i + 1])[0]:
            grads = torch.autograd.grad(value, list(model.parameters()), retain_graph=True)
            found.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(found).detach()
