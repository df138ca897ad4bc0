"""Which units lie along an axis of a tensor, and which axes must be permuted together: an algebra of labels.

A *group* is a set of units that may change places. An axis is labelled by its *parts*, laid end to end: each part holds
some units of a group, `block` entries for each of them (the pixels of a channel, after flattening), or entries that
stay where they are. To tie two labels is to find the largest set of permutations that both allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

G = TypeVar("G", int, str)


class Part(NamedTuple, Generic[G]):
    """`units` units of a group, `block` entries each; without a group, entries that stay."""

    group: G | None
    units: int
    block: int = 1

    @property
    def size(self) -> int:
        """Entries along the axis."""
        return self.units * self.block


Label = tuple[Part[int], ...]


def fixed(size: int) -> Label:
    """The label of an axis whose entries stay where they are."""
    return (Part(None, size),)


def size_of(label: Iterable[Part[G]]) -> int:
    """Length of an axis with this label."""
    return sum(part.size for part in label)


class Groups:
    """All groups of a network, and what has been found out about them.

    Examples
    --------
    >>> groups = Groups()
    >>> flat, channels = groups.fresh(12), groups.fresh(3)
    >>> groups.tie(flat, groups.product(channels, fixed(4)))  # 3 channels of 4 pixels
    >>> groups.resolve(flat)
    (Part(group=1, units=3, block=4),)
    """

    def __init__(self) -> None:
        self._number = 0
        self._meaning: dict[int, Label] = {}

    def fresh(self, units: int, block: int = 1) -> Label:
        """A new group, not tied to any other."""
        self._number += 1
        return (Part(self._number - 1, units, block),)

    def resolve(self, label: Iterable[Part[int]]) -> Label:
        """The label in terms of groups that have not been tied, split or frozen."""
        found: list[Part[int]] = []
        for part in self._expand(label):
            if part.group is None and found and found[-1].group is None:
                found[-1] = Part(None, found[-1].units + part.units)
            elif part.units:
                found.append(part)
        return tuple(found)

    def _expand(self, label: Iterable[Part[int]]) -> Iterable[Part[int]]:
        for group, units, block in label:
            if group is None or units == 1:
                yield Part(None, units * block)
            elif group in self._meaning:
                inner = self._meaning[group]
                yield from self._expand(Part(p.group, p.units, p.block * block) for p in inner)
            else:
                yield Part(group, units, block)

    def is_fixed(self, label: Iterable[Part[int]]) -> bool:
        """Whether nothing along the axis can change places."""
        return all(part.group is None for part in self.resolve(label))

    def freeze(self, label: Iterable[Part[int]]) -> None:
        """No unit of these groups may change places."""
        for part in self.resolve(label):
            if part.group is not None:
                self._meaning[part.group] = fixed(part.units)

    def _split(self, part: Part[int], units: int) -> None:
        """Only the first `units` units may change places among themselves, and only the others."""
        assert part.group is not None
        self._meaning[part.group] = (*self.fresh(units), *self.fresh(part.units - units))

    def tie(self, a: Iterable[Part[int]], b: Iterable[Part[int]]) -> None:
        """Both axes are permuted alike, entry by entry."""
        left, right = self.resolve(a), self.resolve(b)
        if size_of(left) != size_of(right):
            raise ValueError(f"Axes of {size_of(left)} and {size_of(right)} entries cannot be permuted alike.")
        while left:
            x, y = left[0], right[0]
            if x == y:
                left, right = left[1:], right[1:]
            elif x.group is None and y.group is None:
                n = min(x.units, y.units)
                left = (Part(None, x.units - n), *left[1:])
                right = (Part(None, y.units - n), *right[1:])
            elif x.group is None or y.group is None:
                self._hold(y, x.units) if x.group is None else self._hold(x, y.units)
            else:
                self._join(x, y) if x.block <= y.block else self._join(y, x)
            left, right = self.resolve(left), self.resolve(right)

    def _hold(self, part: Part[int], entries: int) -> None:
        """The first entries of a part are tied to entries that stay."""
        held = min(entries // part.block, part.units)
        if 0 < held < part.units:
            self._split(part, held)
        else:
            self.freeze((part,))

    def _join(self, x: Part[int], y: Part[int]) -> None:
        """Tie the beginnings of two parts, of which `x` has the smaller blocks (or split them, to be tied next)."""
        ratio, rest = divmod(y.block, x.block)
        n = min(x.units // ratio, y.units)
        if x.group == y.group or rest or n == 0:
            self.freeze((x, y))
        elif x.units > n * ratio:
            self._split(x, n * ratio)
        elif y.units > n:
            self._split(y, n)
        else:
            assert x.group is not None
            self._meaning[x.group] = (Part(y.group, n, ratio),)

    def take(self, label: Iterable[Part[int]], start: int, stop: int) -> Label:
        """The label of a slice; units then stay on their side of the cuts."""
        self._cut(label, start)
        self._cut(label, stop)
        found, place = [], 0
        for part in self.resolve(label):
            low, high = max(start, place), min(stop, place + part.size)
            if low < high:
                found.append(part if high - low == part.size else Part(None, high - low))
            place += part.size
        return self.resolve(found)

    def _cut(self, label: Iterable[Part[int]], at: int) -> None:
        place = 0
        for part in self.resolve(label):
            if part.group is not None and place < at < place + part.size:
                units, rest = divmod(at - place, part.block)
                self.freeze((part,)) if rest or not units else self._split(part, units)
                return
            place += part.size

    def cut(self, label: Iterable[Part[int]], every: int) -> None:
        """Units stay within consecutive runs of `every` entries."""
        label = tuple(label)
        for at in range(every, size_of(label), every):
            self._cut(label, at)

    def product(self, outer: Iterable[Part[int]], inner: Iterable[Part[int]]) -> Label:
        """The label of two neighbouring axes merged into one."""
        outer, inner = self.resolve(outer), self.resolve(inner)
        if size_of(outer) == 1:
            return inner
        if self.is_fixed(outer) and not self.is_fixed(inner):
            return self.resolve(inner * size_of(outer))
        self.freeze(inner)
        return self.resolve(Part(p.group, p.units, p.block * size_of(inner)) for p in outer)

    def factor(self, label: Iterable[Part[int]], outer: int) -> tuple[Label, Label]:
        """The labels of an axis cut into two: `outer` runs of equal length, and the entries of a run."""
        label = self.resolve(label)
        inner = size_of(label) // outer
        each, rest = divmod(len(label), outer)
        if not rest and label == label[:each] * outer and size_of(label[:each]) == inner and (inner > 1 or outer == 1):
            return fixed(outer), label[:each]
        runs = self.fresh(outer)
        if any(part.size % inner if part.group is None else part.block % inner for part in label):
            self.tie(label, (Part(runs[0].group, outer, inner),))
            return self.resolve(runs), fixed(inner)
        parts = [
            Part(None, p.size // inner) if p.group is None else Part(p.group, p.units, p.block // inner) for p in label
        ]
        return self.resolve(parts), fixed(inner)
