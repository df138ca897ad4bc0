"""Tensors, datasets, loaders, iterables of batches -> batches on the device, read once.

Data that fit (`memory` bytes) are read a single time and kept on the device, joined into one block where the batches
are alike, so that they can be cut anew into batches of any size. Data that do not fit are streamed at every pass, each
batch serving many points.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from thalweg.problem.tree import batch_size as size_of
from thalweg.problem.tree import columns, concatenate, leaves, num_bytes, same, stackable, take, tree_map

DEFAULT_BATCH_SIZE = 1024
_HASHED_WHOLE = 2**28
_SEARCHED = 64
_MIXED = 2**28


class Batches:
    """The examples of one split, as batches on the device.

    Attributes
    ----------
    num_examples
        How many examples one pass serves.
    resident
        Whether they are kept on the device; if not, `iterate` reads them anew.
    joined
        Whether they can be cut into batches of any size.
    columns
        Leaf by leaf, whether a tensor has one row per example in every batch; None where batches differ in their
        leaves. (In a single batch, a table that happens to be as long as the batch cannot be told from a column.)
    """

    _mixed: Any = None  # the examples in the order of `mixed`, once they were asked for

    def __init__(self, source: Callable[[], Iterator[Any]], device: torch.device, memory: int, what: str) -> None:
        self._source, self._device, self._what = source, device, what
        # copies: the user's tensors may change later, and an iterable may fill one buffer again and again
        self._place: Callable[[Any], Any] = lambda batch: tree_map(lambda x: x.detach().to(device, copy=True), batch)
        self.num_examples = self.num_batches = 0
        self.columns: list[bool] | None = None
        self._chosen: np.ndarray | None = None
        kept = self._read(memory)
        self._tree: Any = None
        self._list = kept
        if kept is not None and all(stackable(kept[0], batch) for batch in kept):
            self._sizes = [size_of(batch) for batch in kept]
            self._tree, self._list = concatenate(kept), None

    def _read(self, memory: int) -> list[Any] | None:
        """Go through the data once; return the batches if they fit."""
        kept: list[Any] | None = []
        first: Any = None
        used = 0
        with reproducible():
            for batch in self._source():
                self._count(batch)
                used += num_bytes(batch)
                placed = self._place(batch) if used <= memory or first is None else None
                first = first if first is not None else placed
                if kept is not None:
                    kept.append(placed) if used <= memory else (kept := None)
        if self.num_batches == 0:
            raise ValueError(f"The {self._what} data have no examples. Pass at least one example.")
        if kept is None:
            with reproducible():
                again = self._place(next(iter(self._source())))
            if not same(first, again):
                raise ValueError(
                    f"The {self._what} data do not fit in memory and differ from one pass to the next (random "
                    "augmentation?), so that the loss is not a function of the weights. Switch the randomness off, "
                    "seed it at the start of each pass, or raise `memory=` so that one pass is kept."
                )
        return kept

    def _count(self, batch: Any) -> None:
        """Add a batch to the totals, and note which of its tensors have one row per example in every batch."""
        if not any(True for _ in leaves(batch)):
            raise TypeError(
                f"A batch of the {self._what} data is a {type(batch).__name__} without tensors. A batch is a tensor, "
                "or tensors in tuples, lists or dicts; `step=` can rebuild other objects from these."
            )
        size = size_of(batch)
        if size == 0:
            raise ValueError(f"The {self._what} data hold a batch without examples (batch {self.num_batches}).")
        found = columns(batch)
        if self.num_batches == 0:
            self.columns = found
        elif self.columns is not None:
            alike = len(found) == len(self.columns)
            self.columns = [a and b for a, b in zip(self.columns, found, strict=True)] if alike else None
        self.num_examples += size
        self.num_batches += 1

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of these examples in the data that they are a subset of."""
        return np.arange(self.num_examples) if self._chosen is None else self._chosen

    @property
    def resident(self) -> bool:
        """Whether the data are kept on the device."""
        return self.joined or self._list is not None

    @property
    def joined(self) -> bool:
        """Whether the data can be cut into batches of any size."""
        return self._tree is not None

    @property
    def num_bytes(self) -> int:
        """Memory of all examples, where they are joined."""
        return num_bytes(self._tree) if self.joined else 0

    def iterate(self, batch_size: int | None = None) -> Iterator[Any]:
        """One pass: in the batches as they came, or in batches of `batch_size` where the data are joined."""
        if self._tree is not None:
            sizes = self._sizes if batch_size is None else _cut(self.num_examples, batch_size)
            start = 0
            for size in sizes:
                yield take(self._tree, slice(start, start + size), self.num_examples)
                start += size
        elif self._list is not None:
            yield from self._list
        else:
            with reproducible():
                yield from (self._place(batch) for batch in self._source())

    def mixed(self) -> Iterator[Any]:
        """One pass for statistics of batches: joined examples in a fixed random order, others as they came.

        Batches are as long as the longest of the data's own; a single example at the end joins the one before.
        """
        if self._tree is None:
            yield from self.iterate()
            return
        total, most = self.num_examples, max(self._sizes)
        sizes = list(_cut(total, most if most > 1 else DEFAULT_BATCH_SIZE))
        if len(sizes) > 1 and sizes[-1] == 1:
            sizes[-2:] = [sizes[-2] + 1]
        if len(sizes) == 1:
            yield self._tree
            return
        order = torch.as_tensor(np.random.default_rng(0).permutation(total), device=self._device)
        if self._mixed is None and self.num_bytes <= _MIXED:
            self._mixed = self.picked(order)
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            yield self.picked(order[rows]) if self._mixed is None else take(self._mixed, rows, total)
            start += size

    def first(self) -> Any:
        """The first batch, as it came."""
        return next(self.iterate())

    def cut(self, batch: Any, most: int) -> Any:
        """At most so many examples of a batch; the whole batch where some tensor has no row per example."""
        size = size_of(batch)
        return take(batch, slice(0, most), size) if size > most and all(columns(batch)) else batch

    def several(self, most: int) -> Any:
        """A batch of two or more examples, joined from single ones if need be; None where there is none.

        Where all examples come one by one and cannot be joined, no plan could put two into one batch either.
        """
        singles: list[Any] = []
        for batch in itertools.islice(self.iterate(), _SEARCHED):
            if size_of(batch) > 1:
                return self.cut(batch, most)
            if not singles or stackable(singles[0], batch):
                singles.append(batch)
        return concatenate(singles) if len(singles) > 1 else None

    def some(self, index: Tensor) -> Any:
        """The examples of these numbers as one batch, in this order, repeated where a number is."""
        if self._tree is None:
            raise ValueError(
                f"The {self._what} data do not fit in memory, or their batches cannot be joined, so that no example "
                "can be picked out. Leave out `batch_size`, or give the data as tensors."
            )
        if index.numel() == 0 or not 0 <= int(index.min()) <= int(index.max()) < self.num_examples:
            raise ValueError(f"Examples are numbered from 0 to {self.num_examples - 1}, and at least one is needed.")
        return self.picked(index)

    def picked(self, index: Tensor) -> Any:
        """As `some`, of numbers that are known to be right: looking at them would wait for the device."""
        return take(self._tree, index.to(self._device), self.num_examples)

    def map(self, function: Callable[[Tensor], Tensor]) -> None:
        """Change every resident tensor for good (dtype, memory format)."""
        place, self._mixed = self._place, None
        self._place = lambda batch: tree_map(function, place(batch))
        if self._tree is not None:
            self._tree = tree_map(function, self._tree)
        elif self._list is not None:
            self._list = [tree_map(function, batch) for batch in self._list]

    def subset(self, num_examples: int, seed: int) -> Batches:
        """A fixed random subset, without replacement, in the data's own order."""
        if not 1 <= num_examples <= self.num_examples:
            raise ValueError(
                f"num_examples={num_examples}, but the {self._what} data have {self.num_examples} examples. "
                f"Choose between 1 and {self.num_examples}."
            )
        chosen = np.sort(np.random.default_rng(seed).choice(self.num_examples, num_examples, replace=False))
        small = object.__new__(Batches)
        small._device, small._what, small._place = self._device, self._what, lambda batch: batch
        small.num_examples, small._tree, small._list = num_examples, None, None
        small.columns, small._chosen = self.columns, chosen
        if self._tree is not None:
            index = torch.as_tensor(chosen, device=self._device)
            small._tree = take(self._tree, index, self.num_examples)
            small._sizes = list(_cut(num_examples, max(self._sizes)))
            small.num_batches = len(small._sizes)
        else:
            small._source = lambda: _choose(self.iterate(), chosen, self.columns)
            small.num_batches = sum(1 for _ in small._source())
            small._list = list(small._source()) if self._list is not None else None
        return small

    def fingerprint(self) -> str:
        """Hash of the examples' bytes (of every k-th batch row when there are more than 256 MB)."""
        digest = hashlib.sha256(str(self.num_examples).encode())
        total = num_bytes(self._tree) if self._tree is not None else 0
        for batch in self.iterate():
            for leaf in leaves(batch):
                digest.update(str((tuple(leaf.shape), leaf.dtype)).encode())
                rows = leaf[:: 1 + total // _HASHED_WHOLE] if leaf.ndim else leaf
                digest.update(_bytes(rows))
        return digest.hexdigest()[:16]


def read(data: Any, *, device: torch.device, batch_size: int | None, memory: int, what: str) -> Batches:
    """Turn what a user has into `Batches`.

    Parameters
    ----------
    data
        A tuple or dict of tensors or arrays of equal length (all examples), a `Dataset`, a `DataLoader`, or any
        iterable of batches that can be iterated more than once. A loader with `drop_last=True` serves only the examples
        of its full batches, and only these count.
    batch_size
        How examples that come without batches are grouped (default 1,024).
    memory
        Bytes that may be kept on the device.
    what
        `training` or `test`, for messages.
    """
    return Batches(_source(data, batch_size, what), device, memory, what)


def shuffles(data: Any) -> bool:
    """Whether two passes over the data give different first batches. Only data that come in batches can."""
    if _examples(data) is not None or isinstance(data, Dataset):
        return False
    first = []
    for seed in (0, 1):
        with reproducible(seed, data):
            batch = next(iter(data))
            first.append(tree_map(lambda leaf: leaf.clone(), batch))
    return not same(first[0], first[1])


@contextmanager
def reproducible(seed: int = 0, data: Any = None) -> Iterator[None]:
    """Read with torch's global generator seeded, and leave it (and the loader's own) as they were found."""
    with torch.random.fork_rng(devices=[]), _restored(data):
        torch.random.default_generator.manual_seed(seed)
        yield


@contextmanager
def _restored(data: Any) -> Iterator[None]:
    """Leave the generators of a loader, of its sampler and of its batch sampler as they were found."""
    batch_sampler = getattr(data, "batch_sampler", None)
    owners = (data, getattr(data, "sampler", None), batch_sampler, getattr(batch_sampler, "sampler", None))
    generators = [g for owner in owners if isinstance(g := getattr(owner, "generator", None), torch.Generator)]
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _source(data: Any, batch_size: int | None, what: str) -> Callable[[], Iterator[Any]]:
    examples = _examples(data)
    if examples is not None:
        return _cut_examples(examples, batch_size, what)
    if isinstance(data, DataLoader):
        return lambda: _guarded(data)
    if isinstance(data, Dataset):
        if not isinstance(data, IterableDataset) and len(data) == 0:  # type: ignore[arg-type]
            raise ValueError(f"The {what} data have no examples: the Dataset has length 0.")
        loader: DataLoader[Any] = DataLoader(data, batch_size=batch_size or DEFAULT_BATCH_SIZE)
        return lambda: iter(loader)
    if not isinstance(data, Iterable):
        raise TypeError(
            f"The {what} data are a {type(data).__name__}. Pass a tuple of tensors (inputs, targets), a Dataset, "
            "a DataLoader, or a list of batches."
        )
    if iter(data) is data:
        raise TypeError(
            f"The {what} data are a one-pass iterator ({type(data).__name__}), which is empty after the first pass. "
            "Pass a list of batches (`list(data)`), a Dataset or a DataLoader."
        )
    return lambda: iter(data)


def _guarded(loader: DataLoader[Any]) -> Iterator[Any]:
    """A pass over a loader that leaves its generators as they were, so that every pass has the same order."""
    with _restored(loader):
        yield from loader


def _examples(data: Any) -> Any:
    """`data` as one tree of tensors if that is what it is: a tuple, list or dict of tensors, or a tensor."""
    if isinstance(data, (Tensor, np.ndarray)):
        return data
    if isinstance(data, Mapping) or (isinstance(data, Sequence) and not isinstance(data, str)):
        items = list(data.values()) if isinstance(data, Mapping) else list(data)
        if items and all(isinstance(item, (Tensor, np.ndarray)) for item in items):
            return data
    return None


def _cut_examples(tree: Any, batch_size: int | None, what: str) -> Callable[[], Iterator[Any]]:
    lengths = [leaf.shape[0] if leaf.ndim else 0 for leaf in leaves(tree)]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"The {what} data have no examples: the tensors have lengths {lengths}.")
    if len(set(lengths)) > 1:
        raise ValueError(
            f"The {what} data are tensors of different lengths {lengths}; all need one entry per example. "
            "A list of batches must hold tuples, not bare tensors."
        )
    tree = tree_map(lambda leaf: leaf, tree)
    sizes = list(_cut(lengths[0], batch_size or DEFAULT_BATCH_SIZE))
    starts = np.cumsum([0, *sizes])
    return lambda: (take(tree, slice(a, a + n), lengths[0]) for a, n in zip(starts, sizes, strict=False))


def _cut(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def _choose(batches: Iterable[Any], chosen: np.ndarray, column: list[bool] | None) -> Iterator[Any]:
    """Of each batch, the examples whose place in the whole is in `chosen` (sorted)."""
    start = 0
    for batch in batches:
        size = size_of(batch)
        inside = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + size)] - start
        start += size
        if len(inside):
            device = next(leaves(batch)).device
            yield take(batch, torch.as_tensor(inside, device=device), size, column)


def _bytes(leaf: Tensor) -> bytes:
    flat = leaf.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
