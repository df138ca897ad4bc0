"""Batches as trees: tensors inside dicts, lists and tuples, in whatever shape the user's data come."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def tree_map(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Apply `function` to every tensor (arrays become tensors); everything else stays.

    Examples
    --------
    >>> tree_map(lambda t: t + 1, {"x": torch.tensor([1.0]), "name": "a"})
    {'x': tensor([2.]), 'name': 'a'}
    """
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, np.ndarray) and tree.dtype.kind in "fiub":
        return function(torch.from_numpy(tree))
    if isinstance(tree, Mapping):
        return {key: tree_map(function, value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(tree_map(function, value) for value in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(tree_map(function, value) for value in tree)
    return tree


def leaves(tree: Any) -> Iterator[Tensor]:
    """Every tensor of the tree, in order."""
    found: list[Tensor] = []
    tree_map(found.append, tree)
    yield from found


def num_bytes(tree: Any) -> int:
    """Memory of all tensors of the tree."""
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves(tree))


def batch_size(tree: Any) -> int:
    """Number of examples: the length of the targets of a pair `(inputs, targets)`, else of the first tensor."""
    pair = isinstance(tree, (tuple, list)) and len(tree) == 2
    last = tree[1] if pair else tree
    if isinstance(last, Tensor) and last.ndim:
        return last.shape[0]
    for leaf in (*leaves(tree[1] if pair else ()), *leaves(tree)):
        if leaf.ndim:
            return leaf.shape[0]
    return 0


def take(tree: Any, index: slice | Tensor, size: int, columns: Sequence[bool] | None = None) -> Any:
    """The chosen examples of a batch of `size`: every tensor whose first dim is `size` is indexed.

    `columns` says, leaf by leaf, which tensors hold one row per example; others are left whole whatever their length.
    """
    column = iter(columns) if columns is not None else itertools.repeat(True)
    return tree_map(lambda leaf: leaf[index] if next(column) and leaf.ndim and leaf.shape[0] == size else leaf, tree)


def columns(tree: Any) -> list[bool]:
    """Leaf by leaf: whether it has one row per example."""
    size = batch_size(tree)
    return [leaf.ndim > 0 and leaf.shape[0] == size for leaf in leaves(tree)]


def same(a: Any, b: Any) -> bool:
    """Whether two trees hold the same tensors, entry by entry (nan equals nan)."""
    x, y = list(leaves(a)), list(leaves(b))
    return len(x) == len(y) and all(
        p.shape == q.shape and p.dtype == q.dtype and torch.equal(p.nan_to_num(), q.nan_to_num())
        for p, q in zip(x, y, strict=True)
    )


def stackable(first: Any, other: Any) -> bool:
    """Whether two batches are alike but for the number of examples, so that they may be joined."""
    a, b = list(leaves(first)), list(leaves(other))
    n, m = batch_size(first), batch_size(other)
    return (
        _skeleton(first) == _skeleton(other)
        and all(x.ndim > 0 and x.shape[0] == n for x in a)
        and all(x.ndim > 0 and x.shape[0] == m for x in b)
        and all(x.shape[1:] == y.shape[1:] and x.dtype == y.dtype for x, y in zip(a, b, strict=True))
    )


def concatenate(batches: list[Any]) -> Any:
    """Join stackable batches along the first dim."""
    columns = zip(*(list(leaves(batch)) for batch in batches), strict=True)
    joined = iter([torch.cat(column) if len(column) > 1 else column[0] for column in columns])
    return tree_map(lambda _: next(joined), batches[0])


def _skeleton(tree: Any) -> str:
    """The tree without its numbers: how many tensors, where, and what lies between them."""
    return repr(tree_map(lambda _: "*", tree))
