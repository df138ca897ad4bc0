r"""A network while it is trained: weights in one buffer, and the gradient of a mini-batch's mean loss in another.

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
from thalweg.problem.tree import batch_size


class Training:
    """Within `session`, write weights to `theta`, call `loss`, read `gradient`.

    Attributes
    ----------
    theta
        The flat buffer that the network's parameters are views of, `(num_weights,)`.
    gradient
        What the last `loss` left there, `(num_weights,)`.
    """

    def __init__(self, network: Network, data: Batches) -> None:
        self._network, self._data = network, data
        self.theta = network.point
        self.gradient = torch.zeros_like(self.theta)
        named = dict(network.head.model.named_parameters())
        self._parameters = [named[block.name] for block in network.layout.blocks]

    @property
    def normalizes(self) -> bool:
        """Whether batches are normalised by their own statistics, so that one example is no batch."""
        return any(isinstance(layer, _BatchNorm) for layer in self._network.head.modules())

    @contextmanager
    def session(self) -> Iterator[None]:
        """Gradients recorded whatever mode the caller is in, in the arithmetic of the problem."""
        with differentiating(), arithmetic(self._network.precision, self._network.device):
            yield

    def loss(self, examples: Tensor | None = None) -> Tensor:
        """Mean loss at `theta` over the examples of these numbers (all by default), detached; sets `gradient`."""
        self._network.settle()
        if examples is not None:
            return self._one(self._data.picked(examples), self.gradient)[0]
        return self._all(self._data.iterate())

    def _all(self, batches: Iterator[Any]) -> Tensor:
        total, seen, part = torch.zeros((), device=self.theta.device), 0, torch.empty_like(self.gradient)
        self.gradient.zero_()
        for batch in batches:
            loss, size = self._one(batch, part)
            total = total + size * loss
            self.gradient.add_(part, alpha=size)
            seen += size
        self.gradient.div_(seen)
        return total / seen

    def _one(self, batch: Any, gradient: Tensor) -> tuple[Tensor, int]:
        """Mean loss of a batch, and the number of losses in it; the gradient is written to `gradient`."""
        values = self._network.head(batch)["loss"]
        loss = values.mean() if values.ndim else values
        if loss.requires_grad:  # else a loss that no weight changes smoothly (counts, signs)
            parts = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
            torch.cat([part.reshape(-1).to(gradient.dtype) for part in parts], out=gradient)
        else:
            gradient.zero_()
        return loss.detach(), values.numel() if values.ndim else batch_size(batch)
