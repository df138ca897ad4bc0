"""Many descents on a map: one bundle of lines per outcome, cut at the border, draped over the surface.

`read` decides once what every quantity shows: which starts, up to which step, where their lines run in the plane.
`on` puts it onto the surface of one quantity. Lines lie on the drawn surface; what is true stands in the hover text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from thalweg.figures import polyline, steps
from thalweg.figures.outcomes import (
    MOST_STARTS,
    Group,
    chosen,
    diverged,
    facts,
    groups,
    over,
    read_descent,
)
from thalweg.figures.overlay import Extent, Sheet
from thalweg.figures.scale import number

FEW = 60  # starts up to which each start is marked
_MOST_STEPS = 500  # of a line; more are thinned evenly before it is simplified
_STRAIGHT = 1e-3  # of the map: deviations from a straight line that are not drawn
_PIECE = 1 / 60  # of the map: pieces of a line that follows the surface
_ROUNDING = 1e-5  # of the map: distances from the plane that are not worth a word


@dataclass(frozen=True)
class Flat:
    """The lines of one group in the plane: `line` by its corners, `fine` cut into pieces, both (2, n) with nan between.

    `starts`, `ends` and `lost` (where a diverged one was last seen) are places (2, k) with hover texts
    (of many in motion there are none, which would travel with every frame of a film).
    """

    group: Group
    line: np.ndarray
    fine: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    lost: np.ndarray
    start_text: tuple[str, ...]
    end_text: tuple[str, ...]
    lost_text: tuple[str, ...]


@dataclass(frozen=True)
class Swarm:
    """All descents, read once; `many`: too many to mark each start; `moving`: drawn only up to some step.

    `sights` (2, k) are the last places of all, whatever the step: the camera looks so that they can be seen.
    """

    flats: tuple[Flat, ...]
    facts: tuple[str, ...]
    sights: np.ndarray
    many: bool
    moving: bool


@dataclass(frozen=True)
class Bundle:
    """The descents of one outcome on a surface.

    `line` (3, n) lies on the surface and `flat` (2, m) on the map below, both with nan between descents; `starts`,
    `ends` and `lost` are places (3, k).
    """

    label: str
    kind: str
    rank: int
    line: np.ndarray
    flat: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    lost: np.ndarray
    start_text: tuple[str, ...]
    end_text: tuple[str, ...]
    lost_text: tuple[str, ...]
    many: bool
    moving: bool


@dataclass(frozen=True)
class _Run:
    """Positions (start, step, 2) and losses (start, step) up to the step that is drawn, and the lines that are."""

    places: np.ndarray
    loss: np.ndarray
    names: np.ndarray
    steps: np.ndarray
    lines: dict[int, list[np.ndarray]]
    span: np.ndarray


def read(ds: xr.Dataset, extent: Extent, step: float | None) -> Swarm:
    """The descents in the plane of `extent`, up to update `step`.

    Raises
    ------
    ValueError
        If the dataset is no descent in these coordinates, or begins after `step`.
    """
    ds = read_descent(ds, extent.dims)
    starts = chosen(ds, MOST_STARTS)
    count = steps.up_to(ds, step)
    places = np.stack([over(ds, d) for d in extent.dims], axis=-1)
    lines = {int(k): polyline.inside(_thinned(places[k, :count]), extent.low, extent.high) for k in starts}
    loss, names, seen = over(ds, "loss")[:, :count], ds["start"].values, ds["step"].values[:count]
    run = _Run(places[:, :count], loss, names, seen, lines, extent.span)
    many, moving = starts.size > FEW, step is not None
    lost = diverged(ds)
    outside = ~np.all((places >= extent.low) & (places <= extent.high), axis=(1, 2)) & ~lost
    said = [*facts(ds, starts.size), *_out(int(outside.sum()), ds.sizes["start"]), *_far(ds, lost, extent)]
    ends = _columns([_last(p) for p in places[starts]])
    return Swarm(tuple(_flat(run, g, many, moving) for g in groups(ds)), tuple(said), ends, many, moving)


def on(sheet: Sheet, swarm: Swarm) -> tuple[Bundle, ...]:
    """The bundles on the surface of one quantity."""
    return tuple(_bundle(sheet, f, swarm) for f in swarm.flats)


def _bundle(sheet: Sheet, f: Flat, swarm: Swarm) -> Bundle:
    line, starts, ends, lost = (sheet.lift(xy) for xy in (f.fine, f.starts, f.ends, f.lost))
    words = (f.start_text, f.end_text, f.lost_text)
    g = f.group
    return Bundle(g.label, g.kind, g.rank, line, f.line, starts, ends, lost, *words, swarm.many, swarm.moving)


def _flat(run: _Run, group: Group, many: bool, moving: bool) -> Flat:
    """Lines and marks of the drawn members of a group."""
    mine = [int(k) for k in group.members if run.lines.get(int(k))]
    flat = [polyline.simplify(part, _STRAIGHT * run.span) for k in mine for part in run.lines[k]]
    finite = np.isfinite(run.loss) & np.isfinite(run.places).all(axis=-1)
    first, last = run.places[:, 0], run.places[:, -1]
    born = [k for k in mine if np.array_equal(run.lines[k][0][0], first[k])]
    here = [k for k in mine if finite[k, -1] and np.array_equal(run.lines[k][-1][-1], last[k])]
    gone = [k for k in mine if not finite[k, -1]]
    told = (here, gone) if not (many and moving) else ([], [])
    return Flat(
        group,
        polyline.joined(flat),
        polyline.joined([polyline.pieces(part, _PIECE * run.span) for part in flat]),
        starts=_columns([] if many else [first[k] for k in born]),
        ends=_columns([last[k] for k in here]),
        lost=_columns([run.lines[k][-1][-1] for k in gone]),
        start_text=tuple(_text(run, k, 0, group) for k in born) if not many else (),
        end_text=tuple(_text(run, k, len(run.steps) - 1, group) for k in told[0]),
        lost_text=tuple(_text(run, k, max(int(finite[k].sum()) - 1, 0), group) for k in told[1]),
    )


def _text(run: _Run, k: int, j: int, group: Group) -> str:
    """What hover says of the start with index `k` at its recorded step with index `j`."""
    first, here = (", ".join(number(float(v), 3) for v in run.places[k, i]) for i in (0, j))
    lines = [
        f"<b>start {run.names[k]}</b> at ({first})",
        f"step {run.steps[j]:g}: ({here})",
        f"loss {number(float(run.loss[k, 0]), 3)} → {number(float(run.loss[k, j]), 3)}",
    ]
    return "<br>".join([*lines, group.name] if group.kind else lines)


def _thinned(places: np.ndarray) -> np.ndarray:
    return places[np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_STEPS)).round().astype(int))]


def _last(places: np.ndarray) -> np.ndarray:
    """The last place of a descent that is finite."""
    ok = np.flatnonzero(np.isfinite(places).all(axis=1))
    return np.asarray(places[ok[-1]] if ok.size else np.full(places.shape[1], np.nan))


def _columns(places: list[np.ndarray]) -> np.ndarray:
    return np.array(places, dtype=float).reshape(-1, 2).T


def _out(count: int, total: int) -> list[str]:
    return [f"{count:,} of {total:,} {'leaves' if count == 1 else 'leave'} the map"] if count else []


def _far(ds: xr.Dataset, lost: np.ndarray, extent: Extent) -> list[str]:
    """How far the descents that do not diverge lie from the plane, unless that is rounding."""
    far = np.abs(over(ds, "distance"))[~lost]
    high = float(np.nanmax(far, initial=0.0))
    return [f"They lie up to {number(high, 3)} from the plane"] if high > _ROUNDING * float(extent.span.max()) else []
