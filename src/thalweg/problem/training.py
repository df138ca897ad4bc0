r"""A network while it is trained: weights in one flat buffer, and the gradient of a mini-batch's mean loss likewise.

Batch and instance normalisation use the statistics of the mini-batch, as they did when the network was trained, and
keep none; everything else stays as the problem has it (dropout is off). The problem itself is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from thalweg.problem.data import Batches
from thalweg.problem.grad import differentiating
from thalweg.problem.network import Network, arithmetic
from thalweg.problem.tree import batch_size, take

_DEALT = 2**28


class Training:
    """Within `session`, write weights to `theta` and call `loss`.

    Attributes
    ----------
    theta
        The flat buffer that the network's parameters are views of, `(num_weights,)`.
    """

    def __init__(self, network: Network, data: Batches, mixes: bool = False) -> None:
        self._network, self._data = network, data
        self._mixes = mixes and self.normalizes
        self.theta = network.point
        named = dict(network.head.model.named_parameters())
        self._parameters = [named[block.name] for block in network.layout.blocks]
        self._order: Tensor = torch.empty(0)
        self._dealt: Any = None

    @property
    def normalizes(self) -> bool:
        """Whether batches are normalised by their own statistics, so that one example is no batch."""
        return any(isinstance(layer, _BatchNorm) for layer in self._network.head.modules())

    @contextmanager
    def session(self) -> Iterator[None]:
        """Gradients recorded whatever mode the caller is in, in the arithmetic of the problem."""
        with differentiating(), arithmetic(self._network.precision, self._network.device):
            yield

    def deal(self, order: Tensor) -> None:
        """Lay the examples out in this order, from which `loss` takes them: all at once, if they are not too large."""
        order = order.to(self.theta.device)
        self._order = order
        self._dealt = self._data.picked(order) if self._data.num_bytes <= _DEALT else None

    def loss(self, gradient: Tensor, factor: float = 1.0, rows: slice | None = None) -> Tensor:
        """Mean loss at `theta`, detached, over these rows of what was dealt (over all examples by default).

        Its gradient times `factor` is written to `gradient` `(num_weights,)`.
        """
        self._network.settle()
        if rows is None:
            return self._all(self._data.mixed() if self._mixes else self._data.iterate(), gradient, factor)
        dealt, total = self._dealt, self._data.num_examples
        batch = self._data.picked(self._order[rows]) if dealt is None else take(dealt, rows, total)
        return self._one(batch, gradient, factor)[0]

    def _all(self, batches: Iterator[Any], gradient: Tensor, factor: float) -> Tensor:
        total, seen, part = torch.zeros((), device=self.theta.device), 0, torch.empty_like(gradient)
        gradient.zero_()
        for batch in batches:
            loss, size = self._one(batch, part, factor)
            total = total + size * loss
            gradient.add_(part, alpha=size)
            seen += size
        gradient.div_(seen)
        return total / seen

    def _one(self, batch: Any, gradient: Tensor, factor: float) -> tuple[Tensor, int]:
        """Mean loss of a batch, and the number of losses in it."""
        values = self._network.head.losses(batch)
        loss = values.mean() if values.ndim else values
        size = values.numel() if values.ndim else batch_size(batch)
        if not loss.requires_grad:  # no weight changes it smoothly (counts, signs)
            gradient.zero_()
            return loss, size
        loss.backward(torch.full_like(loss, factor))
        slopes = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._parameters]
        torch.cat([slope.reshape(-1) for slope in slopes], out=gradient)
        for parameter in self._parameters:
            parameter.grad = None
        return loss.detach(), size
