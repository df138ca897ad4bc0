"""Many descents as curves: the loss over the updates, and points on the loss curve of a single coordinate.

A `Strand` holds all starts with one outcome; the curves of different starts are separated by nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from thalweg.figures import polyline
from thalweg.figures import steps as record
from thalweg.figures.outcomes import Group, chosen, diverged, groups, over, read_descent
from thalweg.figures.scale import DECADES_FOR_LOG, number, value_at

MOST_CURVES = 200  # more starts are thinned, and the subtitle says so
FEW = 60  # starts up to which each start on a profile is marked
_POINTS = 60_000  # of all curves together; longer runs are drawn by evenly spaced steps
_DEPTH = 1e-12  # losses below about this share of the largest are drawn at it on a log scale
_RISE = 1e6  # times the largest first loss: how far descents that all diverge are followed
_ROOM = 0.04  # of the height of the axes: free above and below the curves


@dataclass(frozen=True)
class Strand:
    """The curves of all starts with one outcome: `x`, `y` with nan between starts.

    `heads` are where they are at the step that is drawn, `starts` where they began, `lost` where diverged ones leave
    the picture; all of shape (2, k). `dotted`: each step is marked.
    """

    label: str
    kind: str
    rank: int
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    heads: np.ndarray
    lost: np.ndarray
    many: bool
    dotted: bool = False


@dataclass(frozen=True)
class Reach:
    """What of the losses is drawn: those below `low` at `low`, nothing above `high`; `log`: on a logarithmic axis."""

    low: float
    high: float
    log: bool

    def clip(self, losses: np.ndarray) -> np.ndarray:
        """Losses that are not below what is drawn; what is not finite is above it."""
        return np.maximum(np.where(np.isfinite(losses), losses, np.inf), self.low)

    def up(self, losses: np.ndarray) -> np.ndarray:
        """Height on the axis."""
        with np.errstate(divide="ignore"):
            return np.log10(losses) if self.log else losses

    @property
    def limits(self) -> tuple[float, float]:
        """Both ends of the axis."""
        low, high = (float(self.up(np.array(v))) for v in (self.low, self.high))
        room = _ROOM * (high - low or abs(high) or 1.0)
        ends = (low - room, high + room)
        return (value_at(ends[0]), value_at(ends[1])) if self.log else ends


def reach(ds: xr.Dataset, log: bool | Literal["auto"]) -> Reach:
    """The losses that are drawn: those of starts that do not diverge, and where the others begin.

    If all diverge, these are their first losses and what follows up to a million times the largest of them. 'auto' is
    logarithmic if the axis spans more than three decades, from the 5th percentile of the losses to the highest drawn.

    Raises
    ------
    ValueError
        If no loss is finite, or none is positive and `log` is true.
    """
    loss, lost = over(ds, "loss"), diverged(ds)
    kept = _rising(loss) if lost.all() else np.concatenate([loss[~lost].ravel(), loss[:, 0]])
    kept = kept[np.isfinite(kept)]
    if not kept.size:
        raise ValueError("No start of this descent has a finite loss, so there is nothing to draw.")
    if log is True and not (kept > 0).any():
        raise ValueError("No loss is positive, so there is no logarithm; draw it with log=False.")
    logarithmic = _decades(kept) > DECADES_FOR_LOG if log == "auto" else log
    high, low = float(kept.max()), float(kept.min())
    if logarithmic:
        low = max(10.0 ** float(np.ceil(np.log10(high * _DEPTH))), float(kept[kept > 0].min()))
    return Reach(low, high, logarithmic)


def end(ds: xr.Dataset, seen: Reach) -> float:
    """The last update on the axis: that of the record or, if all starts diverge, the first at which none is seen."""
    known = record.recorded(ds).astype(float)
    there = (seen.clip(over(ds, "loss")) <= seen.high).any(axis=0)
    if not diverged(ds).all() or not there.any():
        return float(known[-1])
    return float(known[min(int(np.flatnonzero(there)[-1]) + 1, known.size - 1)])


def _rising(loss: np.ndarray) -> np.ndarray:
    """What is drawn of losses that all run away: those up to a million times the largest at the start."""
    first = np.abs(loss[:, 0][np.isfinite(loss[:, 0])])
    limit = _RISE * (float(first.max(initial=0.0)) or 1.0)
    return loss[np.abs(np.where(np.isfinite(loss), loss, np.inf)) <= limit]


def over_steps(ds: xr.Dataset, seen: Reach, step: int | None) -> tuple[tuple[Strand, ...], int]:
    """The loss of every drawn start over the updates, and how many starts are drawn."""
    starts = chosen(ds, MOST_CURVES)
    steps = ds["step"].values.astype(float)
    count = record.up_to(ds, step)
    most = max(2, _POINTS // max(starts.size, 1))
    kept = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    losses, lost = over(ds, "loss")[:, kept], diverged(ds)
    strands = []
    for group in groups(ds):
        mine = np.intersect1d(group.members, starts)
        found = [_up_to_top(steps[kept], seen.clip(losses[k]), seen) for k in mine]
        tops = [run[-1] for k, (run, whole) in zip(mine, found, strict=True) if lost[k] and not whole]
        heads = [run[-1] for run, whole in found if step is not None and whole]
        x, y = polyline.joined([run for run, _ in found])
        marks = (_columns([]), _columns(heads), _columns(tops))
        strands.append(Strand(group.label, group.kind, group.rank, x, y, *marks, many=starts.size > FEW))
    return tuple(strands), starts.size


def below(ds: xr.Dataset, seen: Reach, step: int | None) -> list[str]:
    """How many losses are drawn at the lowest height, for the notes."""
    loss = over(ds, "loss")[:, : record.up_to(ds, step)]
    low = int((loss < seen.low).sum()) if seen.log else 0
    if not low:
        return []
    verbs = "lies below {} and is" if low == 1 else "lie below {} and are"
    return [f"{low:,} of {loss.size:,} losses {verbs.format(number(seen.low, 2))} drawn there"]


def on_profile(ds: xr.Dataset, dim: str, x: np.ndarray, lowest: float, step: int | None) -> tuple[Strand, ...]:
    """The losses of descents over their one coordinate `dim`, within the range of the profile's abscissa `x`.

    Losses below `lowest` are drawn there, for a logarithmic axis.

    Raises
    ------
    ValueError
        If the dataset is no descent over this coordinate, or begins after `step`.
    """
    ds = read_descent(ds, (dim,))
    starts = chosen(ds, MOST_CURVES)
    count = record.up_to(ds, step)
    places = np.stack([over(ds, dim)[:, :count], np.maximum(over(ds, "loss")[:, :count], lowest)], axis=-1)
    ends = (float(x[0]), -np.inf), (float(x[-1]), np.inf)
    many = starts.size > FEW
    return tuple(_on_profile(g, places, np.intersect1d(g.members, starts), ends, many) for g in groups(ds))


def _on_profile(
    group: Group,
    places: np.ndarray,
    mine: np.ndarray,
    ends: tuple[tuple[float, float], tuple[float, float]],
    many: bool,
) -> Strand:
    lines = {k: polyline.inside(places[k], *ends) for k in mine}
    drawn = [k for k in mine if lines[k]]
    born = [places[k, 0] for k in drawn if np.array_equal(lines[k][0][0], places[k, 0]) and not many]
    here = [places[k, -1] for k in drawn if np.array_equal(lines[k][-1][-1], places[k, -1])]
    gone = [lines[k][-1][-1] for k in drawn if not np.isfinite(places[k, -1]).all()]
    x, y = polyline.joined([part for k in drawn for part in lines[k]])
    marks = (_columns(born), _columns(here), _columns(gone))
    return Strand(group.label, group.kind, group.rank, x, y, *marks, many=many, dotted=True)


def _up_to_top(steps: np.ndarray, losses: np.ndarray, seen: Reach) -> tuple[np.ndarray, bool]:
    """A curve (n, 2) up to where it leaves the picture at the top for the first time, and whether it never does."""
    above = np.flatnonzero(losses > seen.high)
    if not above.size:
        return np.column_stack([steps, losses]), True
    k = int(above[0])
    curve = np.column_stack([steps[:k], losses[:k]])
    if k == 0 or not np.isfinite(losses[k]):
        return (curve if k else np.array([[steps[0], seen.high]])), False
    low, high, top = (float(seen.up(np.array(v))) for v in (losses[k - 1], losses[k], seen.high))
    at = steps[k - 1] + (steps[k] - steps[k - 1]) * (top - low) / (high - low)
    return np.concatenate([curve, [[at, seen.high]]]), False


def _decades(values: np.ndarray) -> float:
    """Decades from the bulk of the small values to the largest; none if some are negative. Zeros are tiny.

    A descent passes its large losses in a few updates: the 95th percentile would not know of them.
    """
    high = float(values.max())
    if (values < 0).any() or high <= 0:
        return 0.0
    low = float(np.percentile(np.maximum(values, high * _DEPTH), 5))
    return float(np.log10(high / low))


def _columns(places: Sequence[np.ndarray]) -> np.ndarray:
    return np.array(places, dtype=float).reshape(-1, 2).T
