"""Which examples a question about outputs is asked of: a split of the problem's data, or inputs that somebody gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.problem.data import Batches
from thalweg.problem.network import Network
from thalweg.problem.tree import batch_size, leaves, take, tree_map


class Diverged(ValueError):
    """Weights, or what a network returns at them, are not finite."""


class Examples:
    """Inputs, perhaps with targets, in pieces of any size.

    Attributes
    ----------
    num_examples
        How many.
    words
        `training`, `test` or `given`.
    """

    def __init__(self, source: Batches | tuple[Any, Any], words: str) -> None:
        self._source, self.words = source, words
        self.num_examples = source.num_examples if isinstance(source, Batches) else batch_size((None, source[0]))

    def pieces(self, size: int) -> Iterator[tuple[Any, Any]]:
        """Pairs `(inputs, targets)` of at most so many examples, in order."""
        if isinstance(self._source, Batches):
            whole = self._source.iterate(size if self._source.joined else None)
        else:
            whole = iter([self._source])
        for batch in whole:
            n = batch_size(batch) if batch[1] is not None else self.num_examples
            if n <= size:
                yield batch
                continue
            for start in range(0, n, size):
                yield take(batch, slice(start, start + size), n)

    def targets(self) -> Any:
        """All targets in one tensor on the CPU; None where there are none, or they are no tensors."""
        found = [targets for _, targets in self.pieces(1024)]
        if not all(isinstance(targets, Tensor) for targets in found):
            return None
        return torch.cat([targets.detach().cpu() for targets in found])

    def scalars(self) -> np.ndarray | None:
        """The inputs `(num_examples,)` where each is one number, else None."""
        found = []
        for inputs, _ in self.pieces(1024):
            if not isinstance(inputs, Tensor) or inputs.numel() != len(inputs) or not inputs.is_floating_point():
                return None
            found.append(inputs.detach().double().cpu().numpy().reshape(-1))
        return np.concatenate(found)


def examples(splits: Mapping[str, Batches], network: Network, inputs: Any, targets: Any = None) -> Examples:
    """The training data for None or `"train"`, the test data for `"test"`, else inputs as they are given.

    Raises
    ------
    ValueError, TypeError
        A split that there is not, no examples, inputs and targets of different lengths, inputs of other dims than
        those of the training data.
    """
    if inputs is None or isinstance(inputs, str):
        name = inputs or "train"
        if name not in splits:
            raise ValueError(
                f"inputs={inputs!r}; the problem has {' and '.join(repr(split) for split in splits)} data. "
                "Pass one of these, or inputs as tensors."
            )
        if targets is not None:
            raise ValueError("`targets` go with inputs that are given; those of the problem's data are known.")
        return Examples(splits[name], "training" if name == "train" else name)
    placed = tree_map(lambda leaf: _suited(leaf, network), _arrays(inputs))
    own = splits["train"].first()[0]
    _alike(placed, own)
    n = next(leaves(placed)).shape[0]
    if n == 0:
        raise ValueError("There are no inputs; pass at least one.")
    if any(leaf.ndim == 0 or leaf.shape[0] != n for leaf in leaves(placed)):
        raise ValueError(f"The inputs have different lengths {[tuple(leaf.shape) for leaf in leaves(placed)]}.")
    bad = sum(int((~leaf.isfinite()).sum()) for leaf in leaves(placed) if leaf.is_floating_point())
    if bad:
        total = sum(leaf.numel() for leaf in leaves(placed))
        raise ValueError(f"{bad:,} of the {total:,} entries of the inputs are not finite. Leave those examples out.")
    if targets is not None:
        targets = tree_map(lambda leaf: _suited(leaf, network), _arrays(targets))
        if batch_size((None, targets)) != n:
            raise ValueError(f"There are {n} inputs and {batch_size((None, targets))} targets; expected one for each.")
    return Examples((placed, targets), "given")


def _arrays(tree: Any) -> Any:
    """Lists of numbers as arrays."""
    if isinstance(tree, (list, range)) and not any(isinstance(item, (Tensor, np.ndarray)) for item in tree):
        return np.asarray(tree)
    return tree


def _suited(leaf: Tensor, network: Network) -> Tensor:
    """On the network's device, in its precision."""
    first = next(network.head.model.parameters())
    return leaf.detach().to(first.device, first.dtype if leaf.is_floating_point() else leaf.dtype)


def _alike(given: Any, own: Any) -> None:
    """Refuse inputs with more or fewer dims than those of the training data: a network may take them for others."""
    a, b = list(leaves(given)), list(leaves(own))
    if not a:
        raise TypeError(f"The inputs are of type {type(given).__name__}; expected tensors or arrays.")
    if len(a) != len(b) or any(x.ndim != y.ndim for x, y in zip(a, b, strict=True)):
        shapes, wanted = ([tuple(leaf.shape) for leaf in tree] for tree in (a, b))
        raise ValueError(
            f"The inputs have shape {_words(shapes)}; a batch of training inputs has {_words(wanted)}. "
            "The first dim counts the examples."
        )


def _words(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))
