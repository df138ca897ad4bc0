"""A function's Jacobian twice: by central differences of its forward, and row by row from its backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

_MOST = 1_000_000
_KINK, _FINER = 0.05, 8.0


class GradientError(ValueError):
    """A backward that does not belong to its forward."""


class Calls:
    """The function at points of `float64`, always with memory of its own and in the layout of the inputs."""

    def __init__(self, function: Callable[..., Any], values: list[Any], places: list[int]) -> None:
        self.function, self.values, self.places = function, values, places
        with torch.no_grad():
            first, again = self.outputs(self._fresh(False)), self.outputs(self._fresh(False))
        if not first:
            raise ValueError("The function returned no floating-point tensor; there is nothing to derive.")
        if any(not torch.isfinite(t).all() for t in first):
            raise ValueError("The function's values are not finite here; choose inputs where they are.")
        if any(not torch.equal(a, b) for a, b in zip(first, again, strict=True)):
            raise ValueError("The function gives other values at each call (dropout?); it has no gradient to check.")
        entries = sum(t.numel() for t in first) * sum(values[k].numel() for k in places)
        if entries > _MOST:
            raise ValueError(
                f"The Jacobian has {entries:,} entries, more than {_MOST:,}; smaller inputs test the same code."
            )
        self.sizes = [t.numel() for t in first]
        self.shapes = [tuple(t.shape) for t in first]
        self.first = first
        self.eps = max(torch.finfo(t.dtype).eps for t in first)

    def _fresh(self, derived: bool) -> list[Any]:
        return [_same_layout(v).requires_grad_(derived) if k in self.places else v for k, v in enumerate(self.values)]

    def outputs(self, values: list[Any]) -> list[Tensor]:
        """What the function returns in floating point, in order."""
        found = [t for t in tree_iter(self.function(*values)) if isinstance(t, Tensor)]
        return [t for t in found if t.is_floating_point()]

    def moved(self, place: int, entry: tuple[int, ...], by: float) -> list[Tensor]:
        """Outputs with one entry of one input moved."""
        values = self._fresh(False)
        values[place][entry] += by
        with torch.no_grad():
            return [t.detach().double().reshape(-1).clone() for t in self.outputs(values)]

    def backward(self, weights: list[Tensor]) -> list[Tensor | None]:
        """Gradients of the weighted sum of all outputs in each input."""
        with torch.enable_grad():
            values = self._fresh(True)
            outputs = self.outputs([*values])
            used = [(t, w) for t, w in zip(outputs, weights, strict=True) if t.requires_grad]
            leaves = [values[k] for k in self.places]
            if not used:
                return [None] * len(leaves)
            try:
                return list(
                    torch.autograd.grad(
                        [t for t, _ in used], leaves, [w.to(t.dtype) for t, w in used], allow_unused=True
                    )
                )
            except RuntimeError as error:
                raise GradientError(f"The backward fails: {error}") from error


def prepared(given: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Inputs in `float64`, and the places of those that are derived in."""
    values: list[Any] = []
    places: list[int] = []
    for k, value in enumerate(given):
        if isinstance(value, Tensor) and value.is_complex():
            raise TypeError(f"Input {k} is complex; give its real and imaginary parts.")
        if isinstance(value, Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                raise ValueError(f"Input {k} holds values that are not finite.")
            places.append(k)
            value = value.detach().double()
        values.append(value)
    if not any(values[k].numel() for k in places):
        raise ValueError("There is no floating-point tensor among the inputs; there is nothing to derive in.")
    return values, places


def _same_layout(value: Tensor) -> Tensor:
    """A copy with the same strides; entries that share memory get their own."""
    dense = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
    overlapping = any(s == 0 and n > 1 for s, n in zip(value.stride(), value.shape, strict=True))
    return value.clone(memory_format=torch.contiguous_format) if overlapping else dense.copy_(value)


def differences(calls: Calls, place: int, step: float) -> tuple[list[Tensor], tuple[list[Tensor], list[Tensor]]]:
    """Jacobians (output entry, input entry) of central differences, and of both one-sided ones."""
    return _slopes(calls, place, step, list(np.ndindex(*calls.values[place].shape)))


def bends(calls: Calls, place: int, step: float, slopes: tuple[list[Tensor], list[Tensor]]) -> list[Tensor]:
    """Where one-sided slopes differ, and not in proportion to the step, as those of a smooth function do."""
    apart = [right - left for right, left in zip(*slopes, strict=True)]
    largest = [torch.maximum(right.abs(), left.abs()) for right, left in zip(*slopes, strict=True)]
    found = [d.abs() > _KINK * size.clamp_min(1e-2) for d, size in zip(apart, largest, strict=True)]
    columns = torch.stack([bent.any(0) for bent in found]).any(0).nonzero().flatten().tolist()
    shape = calls.values[place].shape
    entries = [tuple(int(k) for k in np.unravel_index(column, shape)) if shape else () for column in columns]
    if not entries:
        return found
    _, (rights, lefts) = _slopes(calls, place, step / _FINER, entries)
    for bent, d, right, left in zip(found, apart, rights, lefts, strict=True):
        coarse = d[:, columns]
        bent[:, columns] &= (_FINER * (right - left) - coarse).abs() > 0.25 * coarse.abs()
    return found


def _slopes(
    calls: Calls, place: int, step: float, entries: Sequence[tuple[int, ...]]
) -> tuple[list[Tensor], tuple[list[Tensor], list[Tensor]]]:
    value = calls.values[place]
    made: list[list[list[Tensor]]] = [[[] for _ in calls.sizes] for _ in range(3)]
    for entry in entries:
        h = step * max(1.0, abs(float(value[entry])))
        up, down = calls.moved(place, entry, h), calls.moved(place, entry, -h)
        for k, (high, low, here) in enumerate(zip(up, down, calls.first, strict=True)):
            middle = here.double().reshape(-1)
            for j, slope in enumerate(((high - low) / (2 * h), (high - middle) / h, (middle - low) / h)):
                made[j][k].append(slope)
    columns = [
        [torch.stack(c, 1) if c else torch.zeros(n, 0) for c, n in zip(m, calls.sizes, strict=True)] for m in made
    ]
    return columns[0], (columns[1], columns[2])


def jacobians(calls: Calls, names: list[str]) -> dict[int, list[Tensor]]:
    """The same as the backward gives it, for each input a Jacobian of each output: a row for each output entry."""
    found: dict[int, list[Tensor]] = {place: [] for place in calls.places}
    device = calls.first[0].device
    for k, size in enumerate(calls.sizes):
        rows: dict[int, list[Tensor]] = {place: [] for place in calls.places}
        for entry in range(size):
            weights = [torch.zeros(shape, dtype=torch.float64, device=device) for shape in calls.shapes]
            weights[k].reshape(-1)[entry] = 1.0
            for place, gradient in zip(calls.places, calls.backward(weights), strict=True):
                rows[place].append(row(gradient, calls.values[place], place, names))
        for place in calls.places:
            empty = torch.zeros(0, calls.values[place].numel())
            found[place].append(torch.stack(rows[place]) if rows[place] else empty)
    return found


def row(gradient: Tensor | None, value: Tensor, place: int, names: list[str]) -> Tensor:
    """A gradient as a row of the Jacobian; none is zero.

    Raises
    ------
    GradientError
        If its shape is not that of the input.
    """
    if gradient is None:
        return torch.zeros_like(value).reshape(-1)
    if gradient.shape != value.shape:
        raise GradientError(
            f"The backward gives input {place} (`{names[place]}`) a gradient of shape {tuple(gradient.shape)}; the "
            f"input has {tuple(value.shape)}."
        )
    return gradient.double().reshape(-1)
