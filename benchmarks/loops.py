"""What one would write by hand: a loop over grid points around a DataLoader, or around data held in memory.

`reference` is the judge: the same mean loss in float64, of weights placed in float64.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from grid import Grid
from images import Images
from peers import named
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset


def over_grid(grid: Grid, loss: Callable[[Tensor], float | Tensor]) -> np.ndarray:
    """Call `loss` at one point after another; the values are fetched at the end."""
    values = [loss(grid.theta(alpha, beta)) for alpha in grid.axis.tolist() for beta in grid.axis.tolist()]
    return torch.stack([torch.as_tensor(value) for value in values]).reshape(grid.points, grid.points).cpu().numpy()


@torch.no_grad()
def data_loader_loop(model: nn.Module, images: Images, grid: Grid, batch_size: int = 64) -> np.ndarray:
    """Copy the weights into the model, run the whole DataLoader, read every batch's loss with `.item()`."""
    loader = DataLoader(TensorDataset(images.inputs, images.targets), batch_size=batch_size)
    device = grid.origin.device

    def loss(theta: Tensor) -> float:
        vector_to_parameters(theta, model.parameters())
        total = 0.0
        for inputs, targets in loader:
            outputs = model(inputs.to(device))
            total += F.cross_entropy(outputs, targets.to(device), reduction="sum").item()
        return total / len(images.inputs)

    losses = over_grid(grid, loss)
    vector_to_parameters(grid.origin.clone(), model.parameters())
    return losses


@torch.no_grad()
def in_memory_loop(model: nn.Module, images: Images, grid: Grid, batch_size: int | None = None) -> np.ndarray:
    """`torch.func.functional_call` on data that is on the device already: one fixed batch, or several."""
    batch_size = batch_size or len(images.inputs)
    batches = list(zip(images.inputs.split(batch_size), images.targets.split(batch_size), strict=True))

    def loss(theta: Tensor) -> Tensor:
        weights = named(model, theta)
        total = torch.zeros((), device=theta.device, dtype=torch.float64)
        for inputs, targets in batches:
            total += F.cross_entropy(functional_call(model, weights, (inputs,)), targets, reduction="sum")
        return total / len(images.inputs)

    return over_grid(grid, loss)


def reference(model: nn.Module, images: Images, grid: Grid) -> np.ndarray:
    """The loss in float64, on as many cores as there are and in small batches: it is not timed."""
    exact = Grid(grid.origin.double(), grid.directions.double(), grid.points, grid.extent)
    inputs = Images(images.inputs.to(grid.origin.device).double(), images.targets.to(grid.origin.device), images.name)
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return in_memory_loop(copy.deepcopy(model).double(), inputs, exact, batch_size=16)
    finally:
        torch.set_num_threads(threads)
