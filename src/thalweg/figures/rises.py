"""Ways between two optima, and how far losses rise on them above the straight line between their ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures.board import Word
from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number

COLORS = ("warm", "main", "violet", "amber", "plum", "text")
_SEEN = 0.04  # of the axis: barriers that are lower are told and not drawn
_CLOSE = 0.09  # of the axis: words nearer than that would overlap


@dataclass(frozen=True)
class Way:
    """One way from `a` to `b`: the surface over its coordinate, and its look."""

    name: str
    ds: xr.Dataset
    color: str
    straight: bool


@dataclass(frozen=True)
class Rise:
    """The barrier of a loss: `height` above the straight line between the ends, at `t`, from `base` to `top`."""

    t: float
    height: float
    base: float
    top: float
    ends: tuple[float, float]


def places(way: Way, over: str) -> np.ndarray:
    """Places on a way: its coordinate (`t`), or the distance along it (`arc_length`).

    Raises
    ------
    ValueError
        If it does not know its length.
    """
    (dim,) = schema.coordinates(way.ds)
    if over == "t":
        return way.ds[dim].values.astype(float)
    if "arc_length" not in way.ds.coords:
        raise ValueError(f"The way {way.name!r} knows no `arc_length`; draw it over='t', or measure it again.")
    return way.ds["arc_length"].values.astype(float)


def barrier_of(t: np.ndarray, values: np.ndarray) -> Rise | None:
    """The barrier between the first and the last place within [0, 1]; None where an end is not finite.

    A value between them that is not finite makes it infinite.

    Examples
    --------
    >>> barrier_of(np.array([0.0, 0.5, 1.0]), np.array([0.0, 3.0, 1.0])).height
    2.5
    """
    inside = np.flatnonzero((t >= 0) & (t <= 1))
    if inside.size < 2 or not np.isfinite(values[inside[[0, -1]]]).all():
        return None
    t, values = t[inside], np.where(np.isfinite(values[inside]), values[inside], np.inf)
    straight = np.interp(t, t[[0, -1]], values[[0, -1]])
    k = int(np.argmax(values - straight))
    ends = (float(values[0]), float(values[-1]))
    return Rise(float(t[k]), float(values[k] - straight[k]), float(straight[k]), float(values[k]), ends)


def marks(
    ways: list[Way], rises: dict[str, Rise], over: str, ruler: Ruler
) -> tuple[tuple[Series, ...], tuple[Word, ...]]:
    """The line between the ends, a bar for each barrier that can be seen, and its word."""
    span = float(np.ptp(ruler(ruler.ends)))
    lines: list[Series] = []
    words: list[Word] = []
    drawn: list[np.ndarray] = []
    for way in sorted((w for w in ways if w.name in rises), key=lambda w: -rises[w.name].height):
        rise = rises[way.name]
        if not np.isfinite(rise.height):
            continue
        base, top = (float(ruler(max(v, _lowest(ruler)))) for v in (rise.base, rise.top))
        if top - base < _SEEN * span:
            continue
        t, x = places(way, "t"), places(way, over)
        at = float(np.interp(rise.t, t, x))
        bar = np.array([[max(rise.base, _lowest(ruler))], [rise.top]])
        name = f"barrier, {way.name}"
        said = (f"{name}: {number(rise.height)}",)
        lines.append(Series(name, np.array([at]), np.array([rise.top]), way.color, bars=bar, hover=said, key=""))
        ends = ruler(np.maximum(rise.ends, _lowest(ruler)))
        if all(np.abs(ends - other).max() > 0.02 * span for other in drawn):
            key = "line between the ends" if not drawn else ""
            drawn.append(ends)
            inside = (t >= 0) & (t <= 1)
            straight = np.interp(t[inside], [0.0, 1.0], rise.ends)
            look: dict[str, Any] = {"line": 0.9, "dotted": True, "key": key}
            lines.append(Series("line between the ends", x[inside], straight, "muted", **look))
        if all(abs(top - float(ruler(w.y))) > _CLOSE * span for w in words):
            words.append(Word(at, rise.top, f"barrier {number(rise.height, 3)}", (0, 1), way.color))
    return tuple(lines), tuple(words)


def _lowest(ruler: Ruler) -> float:
    """What lies below is drawn there on a logarithmic axis."""
    return ruler.ends[0] if ruler.kind == "log" and ruler.ends is not None else -np.inf


def told(heights: list[tuple[str, dict[str, Rise]]]) -> str:
    """Every barrier of every loss, in a sentence."""
    parts = []
    for words, rises in heights:
        each = [
            f"{name} {number(r.height, 3)}" + (f" at t = {number(r.t, 2)}" if r.height > 0 else "")
            for name, r in rises.items()
        ]
        parts += [f"{words}: {', '.join(each)}"] if each else []
    return f"Barrier above the line between the ends, {'; '.join(parts)}" if parts else ""
