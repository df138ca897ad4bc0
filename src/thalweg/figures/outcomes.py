"""Many descents told apart: which starts end alike, what the legend says of them, which colour they get.

Reads datasets of kind `descent`. Without the variable `outcome` all starts are one group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from thalweg import schema

MOST_STARTS = 700  # more are thinned on a surface, and the subtitle says so
LOST, SADDLE, MOVING = -1, 3, 2  # numbers of colours: of what diverged, and where there is a choice
_RANKS = 5  # colours that are told apart


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
        count = f"{self.members.size:,}"
        return f"{self.name}: {count} of {self.total:,}" if self.kind else f"{self.name}: {count} starts"


def read_descent(ds: xr.Dataset, dims: tuple[str, ...] = ()) -> xr.Dataset:
    """The descent, checked, with positions over (`start`, `step`) for each of `dims`.

    Raises
    ------
    ValueError
        If it is no descent, or is not projected onto the subspace with the coordinates `dims`.
    """
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
    if "outcome" not in ds:
        name = str(ds.attrs.get("optimizer", "descent"))
        return (Group(name, "", 0, np.arange(total), total),)
    names, kinds = ([str(w) for w in np.atleast_1d(ds["outcome"].attrs[k])] for k in ("names", "kinds"))
    ranks = color_ranks(kinds)
    found = [np.flatnonzero(ds["outcome"].values == k) for k in range(len(names))]
    return tuple(Group(names[k], kinds[k], ranks[k], m, total) for k, m in enumerate(found) if m.size)


def color_ranks(kinds: list[str]) -> list[int]:
    """Numbers of the colours of outcomes of these kinds: the same kinds have the same colours in every figure.

    Saddles and what still moves have their own; minima and the rest take those that are left, and then go round again
    in darker shades.

    Examples
    --------
    >>> color_ranks(["minimum", "minimum", "saddle", "moving", "diverged"])
    [0, 1, 3, 2, -1]
    """
    own = {"diverged": LOST, "saddle": SADDLE, "moving": MOVING}
    given = {own[k] for k in kinds if k in own}
    free = [r for r in range(_RANKS) if r not in given]
    ranks, used = [], 0
    for kind in kinds:
        if kind in own:
            ranks.append(own[kind])
        else:
            ranks.append(free[used % len(free)] + _RANKS * (used // len(free)))
            used += 1
    return ranks


def diverged(ds: xr.Dataset) -> np.ndarray:
    """Which starts diverged: their loss is not finite at some step, or their outcome says so."""
    lost = ~np.isfinite(over(ds, "loss")).all(axis=1)
    for group in groups(ds):
        if group.kind == "diverged":
            lost[group.members] = True
    return np.asarray(lost)


def chosen(ds: xr.Dataset, most: int) -> np.ndarray:
    """Indices of at most about `most` starts, evenly spaced; of a grid of starts every n-th in both directions.

    Examples
    --------
    >>> grid = xr.Dataset(coords={"start": range(2601)}, attrs={"start_shape": [51, 51]})
    >>> chosen(grid, 700).size, chosen(grid, 5000).size
    (676, 2601)
    """
    total = ds.sizes["start"]
    if total <= most:
        return np.arange(total)
    shape = tuple(int(n) for n in np.atleast_1d(ds.attrs.get("start_shape", [total])))
    if len(shape) == 2 and np.prod(shape) == total:
        every = next(n for n in range(2, total) if np.prod([-(-s // n) for s in shape]) <= most)
        return np.asarray(np.arange(total).reshape(shape)[::every, ::every].ravel())
    return np.unique(np.linspace(0, total - 1, most).round().astype(int))


def facts(ds: xr.Dataset, drawn: int) -> list[str]:
    """The optimiser and its length, how many starts are drawn, how many diverged."""
    total = ds.sizes["start"]
    said = [f"{total:,} start{'s' * (total != 1)}, {_optimizer(ds)}, {int(ds['step'].values[-1]):,} updates"]
    if drawn < total:
        said.append(f"{drawn:,} of {total:,} starts are drawn")
    if lost := int(diverged(ds).sum()):
        said.append(f"{lost:,} of {total:,} starts diverged")
    return said


def over(ds: xr.Dataset, name: str) -> np.ndarray:
    """A variable over (`start`, `step`) as floats."""
    return np.asarray(ds[name].transpose("start", "step").values, dtype=float)


def steps_up_to(steps: np.ndarray, step: int | None) -> int:
    """How many of the recorded `steps` are not after `step`; all if it is None.

    Raises
    ------
    ValueError
        If `step` lies before the first of them.
    """
    if step is None:
        return int(steps.size)
    count = int((steps <= step).sum())
    if not count:
        raise ValueError(f"step={step!r} lies before the first step {steps[0]:g}; steps count from {steps[0]:g}.")
    return count


def _optimizer(ds: xr.Dataset) -> str:
    words = [str(ds.attrs.get("optimizer", "descent"))]
    scheduler = str(ds.attrs.get("scheduler", "none"))
    words += [scheduler] if scheduler not in ("none", "None", "") else []
    batch, noise = int(ds.attrs.get("batch_size", 0) or 0), float(ds.attrs.get("noise", 0.0) or 0.0)
    words += [f"batches of {batch}"] if batch else []
    words += [f"noise {noise:g}"] if noise else []
    return ", ".join(words)
