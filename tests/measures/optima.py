"""Small problems with two ends, for tests of curves."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw


def data(num_examples=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_examples, 5, generator=generator, dtype=torch.float64)
    return x, (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] > 0.5).long()


def network(seed=0, norm=False):
    torch.manual_seed(seed)
    layers = [nn.Linear(5, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.Tanh(), nn.Linear(6, 3)]
    model = nn.Sequential(*layers).double()
    if norm:
        model[1].running_mean.normal_()
        model[1].running_var.uniform_(0.5, 2.0)
    return model.eval()


def problem(seed=0, norm=False, **settings):
    settings.setdefault("loss", F.cross_entropy)
    return tw.ModuleProblem(network(seed, norm), settings.pop("data", data()), **settings)


def ends(norm=False):
    """Weights of two networks."""
    return [tw.ModuleProblem(network(s, norm), data(), loss=F.cross_entropy).theta for s in (1, 2)]


def put(model, theta):
    """A copy of a model with other weights, by torch's own helper."""
    model = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(theta, model.parameters())
    return model


def sgd(rate=0.1, **settings):
    return lambda bends: torch.optim.SGD(bends, lr=rate, **settings)


def trained(make, x, y, seed, steps=1000, batch_size=64, rate=1e-3):
    """A network after steps of Adam on mini-batches."""
    torch.manual_seed(seed)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        index = torch.randint(len(x), (batch_size,))
        optimizer.zero_grad()
        F.cross_entropy(model(x[index]), y[index]).backward()
        optimizer.step()
    return model.eval()
