"""What a curve is learned with: a network that is evaluated on mini-batches, and the draws of `t` and of examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from thalweg.problem import Problem

BLOCK = 1024


class Pupil(Protocol):
    """A loss at the weights in `theta`, with its gradient."""

    theta: Tensor

    def session(self) -> Any:
        """What `loss` is to be called within."""

    def deal(self, order: Tensor) -> None:
        """Lay the examples out in this order."""

    def loss(self, gradient: Tensor, factor: float = 1.0, rows: slice | None = None) -> Tensor:
        """Mean loss over these rows, or all; the gradient times `factor` is written to `gradient`."""


class Function:
    """A problem without mini-batches as a `Pupil`."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.theta = problem.theta

    @contextmanager
    def session(self) -> Iterator[None]:
        """In no mode that forbids to write to `theta`."""
        with torch.inference_mode(False):
            yield

    def deal(self, order: Tensor) -> None:
        """There are no examples."""

    def loss(self, gradient: Tensor, factor: float = 1.0, rows: slice | None = None) -> Tensor:
        """Value; sets `gradient`."""
        del rows
        value, slope = self._problem.value_and_gradient(self.theta)
        torch.mul(slope, factor, out=gradient)
        return value


class Draws:
    """The `t` and the examples of every step, each found from the seed and the step's number alone.

    So a training that goes on after an interruption draws what it would have drawn. Examples come without replacement,
    in a new order each epoch; the incomplete batch at an epoch's end is left out.
    """

    def __init__(self, seed: int, num_examples: int, batch_size: int | None) -> None:
        self._seed, self._total, self._size = seed, num_examples, batch_size

    def t(self, block: int) -> np.ndarray:
        """Those of a block of 1,024 steps, uniform on [0, 1)."""
        return np.random.default_rng([self._seed, 0, block]).random(BLOCK)

    def rows(self, step: int) -> tuple[int, slice | None]:
        """The epoch of a step, and the rows of that epoch's order; None for all examples."""
        if self._size is None:
            return -1, None
        epoch, place = divmod(step, self._total // self._size)
        return epoch, slice(place * self._size, (place + 1) * self._size)

    def first(self, num_examples: int) -> list[slice | None]:
        """Rows of the first mini-batches, of about so many examples together."""
        if self._size is None:
            return [None]
        number = max(1, min(self._total, num_examples) // self._size)
        return [self.rows(step)[1] for step in range(number)]

    def order(self, epoch: int) -> Tensor:
        """Numbers of the examples as an epoch goes through them."""
        return torch.as_tensor(np.random.default_rng([self._seed, 1, epoch]).permutation(self._total))
