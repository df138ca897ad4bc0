"""Oracles: the plain network, plain loops, plain autograd. Nothing here is imported from thalweg."""

import copy
import itertools

import torch
import torch.nn.functional as F
from torch import nn

D = torch.double


def trainable(model):
    return [p for p in model.parameters() if p.requires_grad]


def standing(model, theta):
    """A copy of `model` whose trainable parameters, in order, are the entries of `theta`."""
    model, start = copy.deepcopy(model), 0
    for p in trainable(model):
        p.data = theta[start : start + p.numel()].reshape(p.shape).to(p.dtype).clone()
        start += p.numel()
    assert start == len(theta)
    return model


def each_example(model, theta, batches, criterion):
    """The loss of every example, one example at a time, in evaluation mode."""
    model = standing(model, theta).eval()
    with torch.no_grad():
        return torch.stack(
            [
                criterion(model(x[i : i + 1]), y[i : i + 1]).double().reshape(())
                for x, y in batches
                for i in range(len(y))
            ]
        )


def surface(model, points, batches, criterion):
    """Mean over the examples at every point: a loop over points, batches and examples."""
    return torch.stack([each_example(model, theta, batches, criterion).mean() for theta in points])


def gradient(model, theta, loss):
    """Of `loss(model)`, by a backward pass through the plain model."""
    model = standing(model, theta)
    grads = torch.autograd.grad(loss(model), trainable(model), allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(grads, trainable(model), strict=True)]
    )


def hessian(model, theta, loss):
    """Dense, row by row, by double backward through the plain model."""
    model = standing(model, theta)
    parameters = trainable(model)
    grads = torch.autograd.grad(loss(model), parameters, create_graph=True)
    flat = torch.cat([g.flatten() for g in grads])
    rows = [
        torch.cat([r.flatten() for r in torch.autograd.grad(g, parameters, retain_graph=True, materialize_grads=True)])
        for g in flat
    ]
    return torch.stack(rows)


def near(problem, count=3, size=0.3, seed=0):
    """Points around the problem's weights, the weights themselves first."""
    noise = torch.randn(count, problem.num_weights, generator=torch.Generator().manual_seed(seed), dtype=D)
    noise[0] = 0.0
    return (problem.theta.double() + size * noise).to(problem.theta.dtype)


def scalar_cross_entropy(outputs, targets):
    """A criterion that can only return the mean."""
    return F.cross_entropy(outputs, targets)


def mlp(sizes=(4, 5, 3), dtype=D, seed=0):
    torch.manual_seed(seed)
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1]).to(dtype).eval()


def convnet(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 4, 3)).double().eval()


def examples(n=23, shape=(4,), classes=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, generator=generator, dtype=D), torch.randint(0, classes, (n,), generator=generator)


def regression(n=23, inputs=4, outputs=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, inputs, generator=generator, dtype=D), torch.randn(n, outputs, generator=generator, dtype=D)


def cut(data, sizes):
    """Unequal batches: rows of `data`, `sizes` at a time."""
    assert sum(sizes) == len(data[0])
    return list(zip(*(torch.split(column, sizes) for column in data), strict=True))
