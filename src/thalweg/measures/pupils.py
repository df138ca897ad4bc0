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
    """Weights in `theta`; `loss` evaluates them and leaves the gradient in `gradient`."""

    theta: Tensor
    gradient: Tensor

    def session(self) -> Any:
        """What `loss` is to be called within."""

    def loss(self, examples: Tensor | None = None) -> Tensor:
        """Mean loss over some examples, or all."""


class Function:
    """A problem without mini-batches as a `Pupil`."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.theta = problem.theta
        self.gradient = torch.zeros_like(self.theta)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Nothing special."""
        with torch.inference_mode(False):
            yield

    def loss(self, examples: Tensor | None = None) -> Tensor:
        """Value; sets `gradient`."""
        value, slope = self._problem.value_and_gradient(self.theta, examples)
        self.gradient.copy_(slope)
        return value


class Draws:
    """The `t` and the examples of every step, each found from the seed and the step's number alone.

    So a training that goes on after an interruption draws what it would have drawn. Examples come without replacement,
    in a new order each epoch; the incomplete batch at an epoch's end is left out.
    """

    def __init__(self, seed: int, num_examples: int, batch_size: int | None, device: torch.device) -> None:
        self._seed, self._total, self._size, self._device = seed, num_examples, batch_size, device
        self._epoch, self._order = -1, torch.empty(0)

    def t(self, block: int) -> np.ndarray:
        """Those of a block of 1,024 steps, uniform on [0, 1)."""
        return np.random.default_rng([self._seed, 0, block]).random(BLOCK)

    def examples(self, step: int) -> Tensor | None:
        """Numbers of the examples; None for all."""
        if self._size is None:
            return None
        epoch, place = divmod(step, self._total // self._size)
        if epoch != self._epoch:
            order = np.random.default_rng([self._seed, 1, epoch]).permutation(self._total)
            self._epoch, self._order = epoch, torch.as_tensor(order).to(self._device)
        return self._order[place * self._size : (place + 1) * self._size]
