"""The peers from PyPI, called as their documentation says, on our plane and our grid.

- loss-landscape-3d 0.1.3 takes two directions and the coordinates. Its README passes `center_state=model.state_dict()`,
  which shares memory with the weights that it overwrites; `centre_cloned=True` steps around that.
- loss-landscapes 3.0.6 takes three models that span a plane; by the comment in its source, point (i, j) of `steps` x
  `steps` is `start + i (end_one - start) / steps + j (end_two - start) / steps`. The ends are chosen such that these
  points are our grid.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from grid import Grid
from images import Images
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset

PACKAGES = {"loss-landscape-3d": "loss_landscape_3d", "loss-landscapes": "loss_landscapes"}


def loss_landscape_3d(
    model: nn.Module, images: Images, grid: Grid, batch_size: int = 64, centre_cloned: bool = False
) -> np.ndarray:
    """`LossLandscapeCalculator.calculate` over a DataLoader."""
    from loss_landscape_3d import LossLandscapeCalculator

    vector_to_parameters(grid.origin.clone(), model.parameters())
    loader = DataLoader(TensorDataset(images.inputs, images.targets), batch_size=batch_size)
    centre = copy.deepcopy(model.state_dict()) if centre_cloned else model.state_dict()
    directions = (named(model, direction) for direction in grid.directions)
    calculator = LossLandscapeCalculator(model, loader, F.cross_entropy)
    return calculator.calculate(grid.axis, grid.axis, *directions, center_state=centre)


def loss_landscapes(model: nn.Module, images: Images, grid: Grid) -> np.ndarray:
    """`planar_interpolation` with the metric `Loss` over one fixed batch on the model's device."""
    from loss_landscapes import planar_interpolation
    from loss_landscapes.metrics import Loss

    first, step = grid.axis[0], grid.spacing * grid.points
    corners = [(first, first), (first + step, first), (first, first + step)]
    models = [with_weights(model, grid.theta(*corner)) for corner in corners]
    metric = Loss(F.cross_entropy, images.inputs, images.targets)
    return planar_interpolation(*models, metric, steps=grid.points)


def with_weights(model: nn.Module, theta: Tensor) -> nn.Module:
    """A copy of `model` with the weights `theta`: copied too, because `vector_to_parameters` makes views."""
    copied = copy.deepcopy(model)
    vector_to_parameters(theta.clone(), copied.parameters())
    return copied


def named(model: nn.Module, direction: Tensor) -> dict[str, Tensor]:
    """A flat direction as a dict from parameter names to tensors."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    parts = direction.split([p.numel() for p in parameters])
    return {name: part.reshape(p.shape) for name, part, p in zip(names, parts, parameters, strict=True)}


@contextmanager
def visited(model: nn.Module) -> Iterator[list[Tensor]]:
    """The weights of `model`, and of its deep copies, whenever they are called."""
    points: list[Tensor] = []

    def note(module: nn.Module, _: tuple) -> None:
        points.append(parameters_to_vector(module.parameters()).detach().clone())

    hook = model.register_forward_pre_hook(note)
    try:
        yield points
    finally:
        hook.remove()


def coordinates(grid: Grid, points: list[Tensor]) -> np.ndarray:
    """Coordinates in the grid's plane of weight vectors, by least squares: shape `(len(points), 2)`."""
    offsets = torch.stack(points).double() - grid.origin.double()
    return torch.linalg.lstsq(grid.directions.double().T, offsets.T).solution.T.cpu().numpy()
