r"""Gradients of every single example's loss, $g_i = \nabla_\theta \ell_i(\theta)$, a few rows at a time.

`vmap` of the gradient serves a chunk of examples at once, which is about a hundred times faster than one backward pass
for each on small networks. Where an operation cannot be batched like that, there is one backward pass for each.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.problem.calling import call
from thalweg.problem.data import Batches
from thalweg.problem.derivatives import Objective
from thalweg.problem.grad import differentiating, normal
from thalweg.problem.network import Network, arithmetic
from thalweg.problem.tree import batch_size, columns, leaves, take, tree_map

_BYTES, _MOST = 2**27, 512  # of the rows of a chunk, and examples in it


class ExampleGradients:
    """Iterate over it for rows `(k, num_weights)`, in the order of the data.

    Attributes
    ----------
    num_examples
        How many rows there are in all.
    method
        `vmap`, or `loop` where that is not possible; known after the first rows.
    """

    def __init__(self, network: Network, data: Batches, theta: Tensor) -> None:
        self._network, self._data, self._theta = network, data, theta
        self.num_examples, self.method = data.num_examples, "vmap"
        self._size = int(max(1, min(_MOST, _BYTES // (theta.numel() * theta.element_size()))))

    def __len__(self) -> int:
        """Number of examples."""
        return self.num_examples

    def __iter__(self) -> Iterator[Tensor]:
        """One pass."""
        for batch in self._batches():
            with differentiating(), arithmetic(self._network.precision, self._network.device):
                rows = self._rows(batch)
            yield rows

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the examples among the training data."""
        return self._data.numbers

    def mean(self) -> Tensor:
        """Mean of all rows, `(num_weights,)`: one batched gradient where the losses are those of a criterion."""
        if self._network.head.step is None:
            with arithmetic(self._network.precision, self._network.device):
                return Objective(self._network, self._data).gradient(self._theta)
        total = torch.zeros_like(self._theta, dtype=torch.float64)
        for rows in self:
            total += rows.sum(0, dtype=torch.float64)
        return (total / self.num_examples).to(self._theta)

    def targets(self) -> np.ndarray | None:
        """One number for each example where that is what the targets are, `(num_examples,)`."""
        found = []
        for batch in self._data.iterate():
            last = batch[1] if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
            if not isinstance(last, Tensor) or last.numel() != batch_size(batch) or last.is_complex():
                return None
            found.append(last.reshape(-1).cpu())
        return torch.cat(found).numpy()

    def _batches(self) -> Iterator[Any]:
        if self._data.joined:
            yield from self._data.iterate(self._size)
            return
        for batch in self._data.iterate():
            total = batch_size(batch)
            for start in range(0, total, self._size):
                yield take(batch, slice(start, start + self._size), total, self._data.columns)

    def _rows(self, batch: Any) -> Tensor:
        if self.method == "vmap":
            try:
                return self._together(batch)
            except (RuntimeError, ValueError):  # an operation without a rule for batches; a real fault shows again
                self.method = "loop"
        return self._one_by_one(batch)

    def _together(self, batch: Any) -> Tensor:
        rows = list(leaves(batch))
        axes = tuple(0 if row else None for row in self._columns(batch))
        rebuilt = _rebuild(batch, axes)
        parts = self._network.layout.unflatten(normal(self._theta))
        slope = grad(lambda weights, *example: self._loss(weights, rebuilt(example)))
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", message="There is a performance drop")
            found = vmap(slope, in_dims=(None, *axes))(parts, *rows)
        return self._network.layout.flatten(found).detach()

    def _one_by_one(self, batch: Any) -> Tensor:
        flags = self._columns(batch)
        found = []
        for k in range(batch_size(batch)):
            theta = normal(self._theta).clone().requires_grad_(True)
            one = take(batch, slice(k, k + 1), batch_size(batch), flags)
            loss = self._loss(self._network.layout.unflatten(theta), one)
            slope = torch.autograd.grad(loss, theta, allow_unused=True)[0] if loss.requires_grad else None
            found.append(torch.zeros_like(theta) if slope is None else slope)
        return torch.stack(found).detach()

    def _columns(self, batch: Any) -> list[bool]:
        return columns(batch) if self._data.columns is None else self._data.columns

    def _loss(self, weights: dict[str, Tensor], example: Any) -> Tensor:
        """Mean of the losses of one example: there are several where a step returns one for each token."""
        named = {f"model.{name}": value for name, value in weights.items()}
        return call(self._network.head, named, example)["loss"].mean()


def _rebuild(batch: Any, axes: tuple[int | None, ...]) -> Callable[[tuple[Tensor, ...]], Any]:
    """A batch of one example from its tensors."""

    def rebuilt(example: tuple[Tensor, ...]) -> Any:
        parts = iter([leaf if axis is None else leaf[None] for leaf, axis in zip(example, axes, strict=True)])
        return tree_map(lambda _: next(parts), batch)

    return rebuilt
