"""Rules of operations that move entries: how the labels of the axes follow reshaping, slicing and joining.

A rule has the parameters of its operation, whether it needs them or not.
"""
# ruff: noqa: ARG001

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any

from torch import Tensor

from thalweg.subspaces.permutations.labels import Label, fixed, size_of
from thalweg.subspaces.permutations.trace import Labels, Rule, Trace


def reshape(trace: Trace, result: Tensor, x: Tensor, *_: Any, **__: Any) -> Labels:
    """Merge and cut neighbouring axes; the shape of the result says how."""
    labels = trace.labels(x)
    found: list[Label] = []
    for old, new in _chunks(x.shape, result.shape):
        merged: Label = fixed(1)
        for label in labels[old]:
            merged = trace.groups.product(merged, label)
        found += _divided(trace, merged, tuple(result.shape[new]))
    return tuple(found)


def _chunks(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """The shortest runs of neighbouring axes that have as many entries before as after."""
    i = j = 0
    while i < len(old) or j < len(new):
        start = i, j
        i, j = min(i + 1, len(old)), min(j + 1, len(new))
        while math.prod(old[start[0] : i]) != math.prod(new[start[1] : j]):
            if math.prod(old[start[0] : i]) < math.prod(new[start[1] : j]):
                i += 1
            else:
                j += 1
        yield slice(start[0], i), slice(start[1], j)


def _divided(trace: Trace, label: Label, shape: tuple[int, ...]) -> list[Label]:
    found: list[Label] = []
    for n in shape[:-1]:
        outer, label = (fixed(1), label) if n == 1 else trace.groups.factor(label, n)
        found.append(outer)
    return found + [label] * bool(shape)


def unchanged_axes(trace: Trace, result: Tensor, x: Tensor, *_: Any, **__: Any) -> Labels | None:
    """Axes of length 1 come, go or are repeated; the others keep their order."""
    left = [label for label in trace.labels(x) if size_of(label) > 1]
    kept = [n for n in x.shape if n > 1]
    found: list[Label] = []
    for n in reversed(result.shape):
        found.append(left.pop() if left and kept.pop() == n else fixed(n)) if n > 1 else found.append(fixed(1))
    return None if left else tuple(reversed(found))


def expand(trace: Trace, result: Tensor, x: Tensor, *_: Any, **__: Any) -> Labels:
    """Repeat axes of length 1, and add some in front."""
    labels = trace.labels(x)
    new = len(result.shape) - len(labels)
    return tuple(
        labels[i - new] if i >= new and size_of(labels[i - new]) == n else fixed(n) for i, n in enumerate(result.shape)
    )


def permute(trace: Trace, result: Tensor, x: Tensor, *order: Any, dims: Any = None) -> Labels:
    """Axes in another order."""
    labels = trace.labels(x)
    order = order if dims is None else dims
    order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
    return tuple(labels[d] for d in order)


def transpose(trace: Trace, result: Tensor, x: Tensor, dim0: int = -2, dim1: int = -1) -> Labels:
    """Two axes change places."""
    labels = list(trace.labels(x))
    if len(labels) > 1:
        labels[dim0], labels[dim1] = labels[dim1], labels[dim0]
    return tuple(labels)


def reverse(trace: Trace, result: Tensor, x: Tensor) -> Labels:
    """All axes in reverse order: `x.T`."""
    return trace.labels(x)[::-1]


def unsqueeze(trace: Trace, result: Tensor, x: Tensor, dim: int) -> Labels:
    """A new axis of length 1."""
    labels = list(trace.labels(x))
    labels.insert(dim % result.ndim, fixed(1))
    return tuple(labels)


def squeeze(trace: Trace, result: Tensor, x: Tensor, dim: Any = None) -> Labels:
    """Axes of length 1 go."""
    chosen = range(x.ndim) if dim is None else [d % x.ndim for d in ([dim] if isinstance(dim, int) else dim)]
    return tuple(label for i, label in enumerate(trace.labels(x)) if i not in chosen or x.shape[i] != 1)


def cat(trace: Trace, result: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Labels:
    """Joined end to end: the parts of the labels follow each other; other axes are tied."""
    parts = [x for x in tensors if x.shape != (0,)]
    labels = [trace.labels(x) for x in parts]
    dim %= result.ndim
    for axis in set(range(result.ndim)) - {dim}:
        for other in labels[1:]:
            trace.groups.tie(labels[0][axis], other[axis])
    joined = trace.groups.resolve(part for each in labels for part in each[dim])
    return (*labels[0][:dim], joined, *labels[0][dim + 1 :])


def stack(trace: Trace, result: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Labels:
    """Joined along a new axis, whose order stays."""
    labels = [trace.labels(x) for x in tensors]
    for other in labels[1:]:
        for a, b in zip(labels[0], other, strict=True):
            trace.groups.tie(a, b)
    dim %= result.ndim
    return (*labels[0][:dim], fixed(len(labels)), *labels[0][dim:])


def pieces(trace: Trace, result: Sequence[Tensor], x: Tensor, size: Any = None, dim: int = 0, **_: Any) -> list[Labels]:
    """Cut along an axis: `chunk`, `split`."""
    found, start = [], 0
    for piece in result:
        stop = start + piece.shape[dim]
        found.append(_sliced(trace, trace.labels(x), dim % x.ndim, start, stop))
        start = stop
    return found


def unbind(trace: Trace, result: Sequence[Tensor], x: Tensor, dim: int = 0) -> list[Labels]:
    """Cut into single entries of an axis, which then stay where they are."""
    trace.groups.freeze(trace.labels(x)[dim])
    labels = trace.labels(x)
    return [tuple(label for i, label in enumerate(labels) if i != dim % x.ndim) for _ in result]


def narrow(trace: Trace, result: Tensor, x: Tensor, dim: int, start: int, length: int) -> Labels:
    """A slice of an axis."""
    return _sliced(trace, trace.labels(x), dim % x.ndim, start, start + length)


def select(trace: Trace, result: Tensor, x: Tensor, dim: int, index: int) -> Labels:
    """One entry of an axis."""
    dim, n = dim % x.ndim, x.shape[dim]
    labels = _sliced(trace, trace.labels(x), dim, index % n, index % n + 1)
    return (*labels[:dim], *labels[dim + 1 :])


def getitem(trace: Trace, result: Tensor, x: Tensor, index: Any) -> Labels | None:
    """Integers, slices, `None` and `...`; along an axis whose units move only slices of step 1."""
    keys = list(index) if isinstance(index, tuple) else [index]
    if not all(key is None or isinstance(key, (int, slice, EllipsisType)) for key in keys):
        return None
    used = sum(isinstance(key, (int, slice)) and not isinstance(key, bool) for key in keys)
    place = keys.index(...) if ... in keys else len(keys)
    keys[place : place + 1] = [slice(None)] * (x.ndim - used)
    labels, found = list(trace.labels(x)), list[Label]()
    for key in keys:
        if key is None:
            found.append(fixed(1))
        elif isinstance(key, slice):
            found.append(_slice(trace, labels.pop(0), key))
        else:
            label = labels.pop(0)
            trace.groups.take(label, key % size_of(label), key % size_of(label) + 1)
    return tuple(found)


def _slice(trace: Trace, label: Label, key: slice) -> Label:
    start, stop, step = key.indices(size_of(label))
    if step == 1:
        return trace.groups.take(label, start, max(start, stop))
    trace.groups.freeze(label)
    return fixed(len(range(start, stop, step)))


def _sliced(trace: Trace, labels: Labels, dim: int, start: int, stop: int) -> Labels:
    return (*labels[:dim], trace.groups.take(labels[dim], start, stop), *labels[dim + 1 :])


def pad(
    trace: Trace, result: Tensor, x: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Labels:
    """Zeros on both sides stay where they are; axes padded in other ways do too, as a whole."""
    labels = list(trace.labels(x))
    for k in range(len(pad) // 2):
        before, after = int(pad[2 * k]), int(pad[2 * k + 1])
        axis = len(labels) - 1 - k
        if before == after == 0:
            continue
        if mode == "constant" and min(before, after) >= 0:
            labels[axis] = trace.groups.resolve((*fixed(before), *labels[axis], *fixed(after)))
        else:
            trace.groups.freeze(labels[axis])
            labels[axis] = fixed(result.shape[axis])
    return tuple(labels)


def flip(trace: Trace, result: Tensor, x: Tensor, *dims: Any, **_: Any) -> Labels:
    """Entries of an axis in another order: `flip`, `roll`. Every axis whose units could move is held."""
    trace.freeze(x)
    return trace.labels(x)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "ravel"), reshape),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "t", "mT", "mH"), transpose),
    **dict.fromkeys(("T", "H"), reverse),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    **dict.fromkeys(("chunk", "split"), pieces),
    **dict.fromkeys(("flip", "roll"), flip),
    **{"permute": permute, "unsqueeze": unsqueeze, "squeeze": squeeze, "stack": stack, "unbind": unbind},
    **{"narrow": narrow, "select": select, "__getitem__": getitem, "pad": pad},
}
