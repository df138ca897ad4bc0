r"""Functions of a few coordinates, written once in torch, called with tensors, arrays or plain numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def elementwise(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """Let a function of tensors also take floats and arrays: floats give a float, arrays an array, tensors a tensor.

    Numbers beside a tensor take its dtype and device; whole numbers become float64.

    Examples
    --------
    >>> product = elementwise(lambda x, y: x * torch.exp(y))
    >>> product(2, 0.0), product(np.array([1.0, 2.0]), 0.0), product(torch.tensor(3.0), 0.0)
    (2.0, array([1., 2.]), tensor(3.))
    """

    @functools.wraps(function)
    def call(*coordinates: Any) -> Any:
        like = next((c for c in coordinates if isinstance(c, Tensor) and c.is_floating_point()), None)
        if like is not None or any(isinstance(c, Tensor) for c in coordinates):
            return function(*(_beside(c, like) for c in coordinates))
        value = function(*(torch.tensor(np.asarray(c), dtype=torch.float64) for c in coordinates))
        return value.numpy() if value.ndim else value.item()

    return call


def _beside(coordinate: Any, like: Tensor | None) -> Tensor:
    """A coordinate as a floating tensor; a number with the dtype and device of the tensors beside it."""
    if isinstance(coordinate, Tensor):
        return coordinate if coordinate.is_floating_point() else coordinate.to(torch.float64)
    value = torch.tensor(np.asarray(coordinate), dtype=torch.float64)
    return value if like is None else value.to(like)
