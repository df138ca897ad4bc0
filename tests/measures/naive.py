"""Oracles: one start at a time, plain torch.optim, plain loops. Nothing here is imported from thalweg's measures."""

import copy

import numpy as np
import torch
from torch import nn

import thalweg as tw

D = torch.double


def sgd(lr=0.1, **settings):
    return lambda weights: torch.optim.SGD(weights, lr=lr, **settings)


def product():
    """The loss of a network with two weights, one multiplied by the other, on one example."""
    return tw.FunctionProblem(lambda t1, t2: (1 - t1 * t2) ** 2)


def product_loss(theta):
    return (1 - theta[..., 0] * theta[..., 1]) ** 2


def product_slope(theta):
    """By hand: -2 (t2, t1) (1 - t1 t2)."""
    rest = 1 - theta[..., 0] * theta[..., 1]
    return np.stack([-2 * theta[..., 1] * rest, -2 * theta[..., 0] * rest], axis=-1)


def alone(loss, start, optimizer, steps, scheduler=None):
    """Iterates `(steps + 1, num_weights)` and rates `(steps,)` of one start under an optimiser of its own."""
    weights = torch.tensor(np.asarray(start), dtype=D).requires_grad_(True)
    mover = optimizer([weights])
    schedule = scheduler(mover) if scheduler else None
    path, rates = [weights.detach().clone()], []

    def closure():
        mover.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    for _ in range(steps):
        rates.append(float(mover.param_groups[0]["lr"]))
        closure()
        mover.step(closure)
        if schedule:
            schedule.step()
        path.append(weights.detach().clone())
    return torch.stack(path).numpy(), np.array(rates)


def trained(model, start, data, criterion, optimizer, steps):
    """Iterates of a plain network trained from `start` on all data at once."""
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(start.clone(), model.parameters())
    mover, path = optimizer(list(model.parameters())), [start.clone()]
    for _ in range(steps):
        mover.zero_grad()
        criterion(model(data[0]), data[1]).backward()
        mover.step()
        path.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    return torch.stack(path)


def example_gradients(model, theta, data, criterion):
    """Loss `(n,)` and gradient `(n, num_weights)` of every example by itself."""
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(torch.as_tensor(theta).clone(), model.parameters())
    losses, slopes = [], []
    for k in range(len(data[1])):
        loss = criterion(model(data[0][k : k + 1]), data[1][k : k + 1])
        grads = torch.autograd.grad(loss, list(model.parameters()))
        losses.append(loss.item())
        slopes.append(torch.cat([g.flatten() for g in grads]).numpy())
    return np.array(losses), np.array(slopes)


def mean_loss(model, theta, data, criterion):
    """Of all examples at once."""
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(torch.as_tensor(theta).clone(), model.parameters())
    with torch.no_grad():
        return criterion(model(data[0]), data[1]).item()


def network(dtype=D, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).to(dtype)


def regression(n=11, dtype=D, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator, dtype=D)
    y = torch.sin(x[:, :1]) + 0.3 * torch.randn(n, 1, generator=generator, dtype=D)
    return x.to(dtype), y.to(dtype)


def around(problem, count, size=0.5, seed=2):
    """Starts around the problem's weights."""
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randn(count, problem.num_weights, generator=generator, dtype=D)
    return problem.theta + (size * shift).to(problem.theta)
