"""Where descents begin: every point of a grid, or random points on a sphere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor


def grid_starts(extent: Any = 2.0, points: int = 51, num_weights: int = 2) -> Tensor:
    r"""Every point of a regular grid of weights, `(points, ..., points, num_weights)`, float64.

    Parameters
    ----------
    extent
        A radius, for $[-r, r]$ along each weight; a pair `(low, high)`; or one pair for each weight. A symmetric grid
        is symmetric to the bit: with $w$ it holds $-w$, so that a start on a line of symmetry stays on it.
    points
        Along each weight.
    num_weights
        Number of weights; the grid has `points ** num_weights` points.

    Examples
    --------
    >>> grid_starts(1.0, 3)[0]
    tensor([[-1., -1.],
            [-1.,  0.],
            [-1.,  1.]], dtype=torch.float64)
    >>> grid_starts([(0, 1), (5, 7)], 2)[1]
    tensor([[1., 5.],
            [1., 7.]], dtype=torch.float64)
    """
    for name, value in (("points", points), ("num_weights", num_weights)):
        _whole(name, value)
    try:
        bounds = np.asarray((-extent, extent) if np.ndim(extent) == 0 else extent, dtype=float)
    except (TypeError, ValueError):
        bounds = np.empty(0)
    if bounds.shape not in ((2,), (num_weights, 2)) or not np.isfinite(bounds).all() or (np.diff(bounds) <= 0).any():
        raise ValueError(
            f"extent={extent!r}; expected a positive radius, a pair (low, high), or a pair for each weight."
        )
    axes = [_axis(low, high, points) for low, high in np.broadcast_to(bounds, (num_weights, 2)).tolist()]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def _axis(low: float, high: float, points: int) -> Tensor:
    """Even steps from `low` to `high`, mirror images of each other about the middle to the bit."""
    axis = torch.linspace(low, high, points, dtype=torch.float64)
    middle = (low + high) / 2
    return middle + ((axis - middle) - (axis - middle).flip(0)) / 2


def random_starts(num: int, num_weights: int = 2, *, seed: int = 0, radius: float = 1.0) -> Tensor:
    """Random points on a sphere around zero (on a circle for two weights), `(num, num_weights)`, float64.

    Normal draws divided by their length, so that all directions are equally likely.

    Examples
    --------
    >>> random_starts(50, seed=117).norm(dim=1).unique().round(decimals=12).unique()
    tensor([1.], dtype=torch.float64)
    """
    for name, value, least in (("num", num, 1), ("num_weights", num_weights, 1), ("seed", seed, 0)):
        _whole(name, value, least)
    if not (isinstance(radius, (int, float, np.number)) and math.isfinite(radius) and radius > 0):
        raise ValueError(f"radius={radius!r}; expected a positive number.")
    generator = torch.Generator().manual_seed(int(seed))
    draws = torch.randn(num, num_weights, generator=generator, dtype=torch.float64)
    return radius * draws / draws.norm(dim=1, keepdim=True)


def _whole(name: str, value: Any, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}; expected a whole number from {least}.")
