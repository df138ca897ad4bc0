"""Many descents told apart: which starts end alike, what the legend says of them, which colour they get.

Reads datasets of kind `descent`. Without the variable `outcome`, and where several descents are drawn together, all
starts of a descent are one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures.theme import OTHER, OUTCOMES

Descents = xr.Dataset | Sequence[xr.Dataset]
MOST_STARTS = 700  # more are thinned on a surface, and the subtitle says so
MOST_OUTCOMES = 8  # entries of a legend; with more outcomes the rarest are one entry together
LOST, SADDLE, MOVING = -1, 3, 2  # numbers of colours: of what diverged, and where there is a choice
_RANKS = len(OUTCOMES)  # colours that are told apart
_SHARE = 50  # of the starts that are drawn, one in so many is kept for every outcome, however rare


@dataclass(frozen=True)
class Group:
    """Starts that end alike: `members` of `total`; `kind` is '' if they are not told apart; `rank` numbers a colour."""

    name: str
    kind: str
    rank: int
    members: np.ndarray
    total: int

    @property
    def label(self) -> str:
        """What the legend says."""
        count = self.members.size
        return f"{self.name}: {count:,} of {self.total:,}" if self.kind else f"{self.name}: {starts(count)}"


def starts(count: int) -> str:
    """`1 start`, `2,601 starts`."""
    return f"{count:,} start{'s' * (count != 1)}"


def listed(descent: Descents | None) -> list[xr.Dataset]:
    """The descents that were given, one after another.

    Raises
    ------
    TypeError
        If something is no dataset.
    """
    found: list[Any] = [descent] if isinstance(descent, xr.Dataset) else [] if descent is None else list(descent)
    if wrong := [d for d in found if not isinstance(d, xr.Dataset)]:
        raise TypeError(
            f"`descent` holds a {type(wrong[0]).__name__}; a dataset of kind 'descent' is needed, or a list of them."
        )
    return found


def together(descents: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Descents for one picture: several are told apart by their optimisers, one colour each, and not by outcome.

    Examples
    --------
    >>> runs = [xr.Dataset(attrs={"optimizer": name}) for name in ("SGD", "Adam", "SGD")]
    >>> [run.attrs["whole"] for run in together(runs)]
    [['SGD', 0], ['Adam', 1], ['SGD (2)', 2]]
    """
    if len(descents) < 2:
        return list(descents)
    seen: Counter[str] = Counter()
    marked = []
    for rank, ds in enumerate(descents):
        name = str(ds.attrs.get("optimizer", "descent"))
        seen[name] += 1
        name += f" ({seen[name]})" * (seen[name] > 1)
        marked.append(ds.assign_attrs(whole=[name, rank]))
    return marked


def read_descent(ds: xr.Dataset, dims: tuple[str, ...] = ()) -> xr.Dataset:
    """The descent, checked, with positions over (`start`, `step`) for each of `dims`.

    Raises
    ------
    TypeError, ValueError
        If it is no descent, or is not projected onto the subspace with the coordinates `dims`.
    """
    if not isinstance(ds, xr.Dataset):
        raise TypeError(
            f"`descent` is a {type(ds).__name__}; one dataset of kind 'descent' is needed here. Several can lie on a "
            "surface together: figures.surface(surface, descent=[...])."
        )
    kind = ds.attrs.get("kind")
    if kind != "descent":
        hint = " A path goes into `path=`." if kind == "path" else ""
        raise ValueError(f"`descent` is a dataset of kind {kind!r}, and one of kind 'descent' is needed.{hint}")
    schema.check(ds)
    if missing := [d for d in dims if d not in ds]:
        have = list(schema.coordinates(ds)) if "coordinates" in ds.attrs else "none"
        raise ValueError(
            f"The descent lacks the coordinates {missing} of the surface; it has {have}. "
            "`project_trajectory(descent, subspace)` adds those of the surface's subspace."
        )
    return ds


def groups(ds: xr.Dataset) -> tuple[Group, ...]:
    """The starts by outcome, in the dataset's order; outcomes that no start has are left out.

    Examples
    --------
    >>> words = {"names": ["minimum 1", "still moving"], "kinds": ["minimum", "moving"]}
    >>> ends = xr.Dataset({"outcome": ("start", [0, 1, 0], words)}, {"start": [0, 1, 2]})
    >>> [(g.label, g.members.tolist()) for g in groups(ends)]
    [('minimum 1: 2 of 3', [0, 2]), ('still moving: 1 of 3', [1])]
    """
    total = ds.sizes["start"]
    if "outcome" not in ds or "whole" in ds.attrs:
        name, rank = ds.attrs.get("whole", (str(ds.attrs.get("optimizer", "descent")), 0))
        return (Group(name, "", rank, np.arange(total), total),)
    names, kinds = ([str(w) for w in np.atleast_1d(ds["outcome"].attrs[k])] for k in ("names", "kinds"))
    numbers = ds["outcome"].values
    rare = _rare(np.bincount(numbers, minlength=len(names)), kinds)
    own = [k for k in range(len(names)) if k not in rare]
    ranks = dict(zip(own, color_ranks([kinds[k] for k in own]), strict=True))
    found = [(k, np.flatnonzero(numbers == k)) for k in own]
    told = [Group(names[k], kinds[k], ranks[k], m, total) for k, m in found if m.size]
    if rare:
        told.append(
            Group(f"other ({len(rare)} outcomes)", "other", OTHER, np.flatnonzero(np.isin(numbers, rare)), total)
        )
    return tuple(told)


def _rare(counts: np.ndarray, kinds: list[str]) -> list[int]:
    """The outcomes that share one entry because there are too many: those of the fewest starts.

    What diverged and what still moves always have entries of their own.
    """
    there = [k for k in range(len(kinds)) if counts[k]]
    if len(there) <= MOST_OUTCOMES:
        return []
    kept = sorted(there, key=lambda k: (kinds[k] not in ("diverged", "moving"), -counts[k], k))[: MOST_OUTCOMES - 1]
    return [k for k in there if k not in kept]


def color_ranks(kinds: list[str]) -> list[int]:
    """Numbers of the looks of outcomes of these kinds: the same kinds have the same colours in every figure.

    Saddles and what still moves have their own colours; minima and the rest take those that are left. When they are
    used up they go round again, in darker shades and with other dashes (`theme.outcome_color`, `theme.outcome_dash`).

    Examples
    --------
    >>> color_ranks(["minimum", "minimum", "saddle", "moving", "diverged"])
    [0, 1, 3, 2, -1]
    >>> color_ranks(["saddle", "saddle"])
    [3, 8]
    """
    own = {"diverged": LOST, "saddle": SADDLE, "moving": MOVING}
    given = {own[k] for k in kinds if k in own}
    free = [r for r in range(_RANKS) if r not in given]
    used: Counter[str] = Counter()
    ranks = []
    for kind in kinds:
        name = kind if kind in own else ""
        turn, place = divmod(used[name], 1 if name else len(free))
        ranks.append(LOST if kind == "diverged" else (own[name] if name else free[place]) + _RANKS * turn)
        used[name] += 1
    return ranks


def diverged(ds: xr.Dataset) -> np.ndarray:
    """Which starts diverged: their loss is not finite at some step, or their outcome says so."""
    lost = ~np.isfinite(over(ds, "loss")).all(axis=1)
    if "outcome" in ds:
        kinds = np.atleast_1d(ds["outcome"].attrs["kinds"])
        lost |= kinds[ds["outcome"].values] == "diverged"
    return np.asarray(lost)


def chosen(ds: xr.Dataset, most: int) -> np.ndarray:
    """Indices of about `most` starts, evenly spaced, of a grid of starts every n-th in both directions.

    Of every outcome a few are among them, however rare it is.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"start": range(2601)}, attrs={"start_shape": [51, 51]})
    >>> chosen(grid, 700).size, chosen(grid, 5000).size
    (676, 2601)
    """
    total = ds.sizes["start"]
    if total <= most:
        return np.arange(total)
    even = _evenly(ds, total, most)
    return np.union1d(even, _of_each(ds["outcome"].values, even, most)) if "outcome" in ds else even


def _evenly(ds: xr.Dataset, total: int, most: int) -> np.ndarray:
    shape = tuple(int(n) for n in np.atleast_1d(ds.attrs.get("start_shape", [total])))
    if len(shape) == 2 and np.prod(shape) == total:
        every = next(n for n in range(2, total) if np.prod([-(-s // n) for s in shape]) <= most)
        return np.asarray(np.arange(total).reshape(shape)[::every, ::every].ravel())
    return np.unique(np.linspace(0, total - 1, most).round().astype(int))


def _of_each(outcome: np.ndarray, drawn: np.ndarray, most: int) -> np.ndarray:
    """Further starts, evenly spaced, of every outcome of which fewer than its share are `drawn`."""
    kinds = np.unique(outcome)
    least = max(1, min(most // _SHARE, most // kinds.size))
    added = [np.zeros(0, int)]
    for kind in kinds:
        mine = np.flatnonzero(outcome == kind)
        missing = min(least, mine.size) - int(np.isin(mine, drawn).sum())
        rest = np.setdiff1d(mine, drawn)
        if missing > 0:
            added.append(rest[np.linspace(0, rest.size - 1, missing).round().astype(int)])
    return np.concatenate(added)


def facts(ds: xr.Dataset, drawn: int) -> list[str]:
    """The optimiser and its length, how many starts are drawn, how many diverged."""
    total, updates = ds.sizes["start"], int(ds["step"].values[-1])
    said = [f"{starts(total)}, {_optimizer(ds)}, {updates:,} update{'s' * (updates != 1)}"]
    if drawn < total:
        said.append(f"{drawn:,} of {total:,} starts {'is' if drawn == 1 else 'are'} drawn")
    if lost := int(diverged(ds).sum()):
        said.append(_lost(lost, total))
    return said


def _lost(lost: int, total: int) -> str:
    """`2 of 4 starts diverged`; of all of them it is said plainly, because then nothing else is to be seen."""
    if lost < total:
        return f"{lost:,} of {total:,} starts diverged"
    return f"All {total:,} starts diverged" if total > 1 else "The only start diverged"


def over(ds: xr.Dataset, name: str) -> np.ndarray:
    """A variable over (`start`, `step`) as floats."""
    return np.asarray(ds[name].transpose("start", "step").values, dtype=float)


def _optimizer(ds: xr.Dataset) -> str:
    words = [str(ds.attrs.get("optimizer", "descent"))]
    scheduler = str(ds.attrs.get("scheduler", "none"))
    words += [scheduler] if scheduler not in ("none", "None", "") else []
    batch, noise = int(ds.attrs.get("batch_size", 0) or 0), float(ds.attrs.get("noise", 0.0) or 0.0)
    words += [f"batches of {batch}"] if batch else []
    words += [f"noise {noise:g}"] if noise else []
    return ", ".join(words)
