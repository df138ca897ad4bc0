"""The straight way between two optima against a curve: loss and accuracy on training and test data, four panels.

The barrier of a way is how far its loss rises above the straight line between the losses at its two ends
(Entezari et al. 2022, arXiv:2110.06296): the bars in the panels of the loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import curvature, rulers, scale
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Series
from thalweg.figures.prepare import choose, grid, label
from thalweg.figures.rises import COLORS, Rise, Way, barrier_of, marks, places, told
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_NAMES = {"segment": "segment", "bezier": "Bezier curve", "polygonal": "polygonal chain"}

Ways = xr.Dataset | Mapping[str, xr.Dataset]


def connection(
    segment: Ways,
    curve: Ways | None = None,
    *,
    over: Literal["t", "arc_length"] = "t",
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw losses and accuracies along several ways between two optima, training beside test data.

    Bars mark the barrier of each way: the largest height of the loss above the straight line between its ends,
    $\max_t L(\theta(t)) - (1 - t) L(\theta(0)) - t L(\theta(1))$. The subtitle tells all of them, those too low to be
    seen too. Both panels of a row have the same axis.

    Parameters
    ----------
    segment, curve
        Kind `surface` over one coordinate each, or names and several of them, such as
        `{"as trained": before, "aligned": after}`. Segments are dashed.
    over
        The abscissa: the coordinate itself, or the distance along the way, for surfaces that know `arc_length`.
    log
        Whether losses are on a logarithmic axis. 'auto': if they span more than three decades.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If something is no surface over one coordinate, two have one name, or they share no quantity.

    Examples
    --------
    >>> import xarray as xr
    >>> words = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": ""}
    >>> def along(*values):
    ...     loss = {"loss": ("t", list(values), words)}
    ...     return xr.Dataset(loss, {"t": [0, 0.5, 1]}, {"kind": "surface", "coordinates": ["t"]})
    >>> shown = connection(along(0.0, 3.0, 1.0), {"curve": along(0.0, 0.5, 1.0)}, backend="none")
    >>> shown.subtitle
    'Barrier above the line between the ends, training loss: way 2.5 at t = 0.5, curve 0'
    """
    draw = drawer(backend, "board")
    return draw(prepare_connection(segment, curve, over=over, log=log, title=title), theme)


def prepare_connection(
    segment: Ways,
    curve: Ways | None = None,
    *,
    over: Literal["t", "arc_length"] = "t",
    log: bool | Literal["auto"] = "auto",
    title: str | None = None,
) -> Board:
    """Read the ways.

    Raises
    ------
    ValueError
        As `connection`.
    """
    ways = _ways(segment, curve)
    if over not in ("t", "arc_length"):
        raise ValueError(f"over={over!r} is unknown; pass 't' or 'arc_length'.")
    names = _quantities(ways)
    metrics = list(dict.fromkeys(m for m, _ in names))
    splits = list(dict.fromkeys(s for _, s in names))
    x = _abscissa(ways, over)
    cells, heights, lost = [], [], []
    for row, metric in enumerate(metrics):
        ruler = _ruler(ways, names, metric, log)
        for column, split in enumerate(splits):
            name = names.get((metric, split))
            if name is None:
                continue
            cell, rises = _cell(ways, name, over, ruler)
            last = row == len(metrics) - 1
            cells.append(_labelled(cell, x, bottom=last, left=column == 0))
            heights += [(label(_first(ways, name)).split(" [")[0].lower(), rises)] if metric == "loss" else []
            lost += _lost(ways, name)
    return Board(
        cells=tuple(cells),
        columns=len(splits),
        rows=(2.1,) * len(metrics) if len(metrics) > 1 else (2.6,),
        title=title or _title(ways),
        subtitle=curvature.text([told(heights), _lengths(ways)]),
        notes=tuple(lost),
    )


def _ways(segment: Ways, curve: Ways | None) -> list[Way]:
    """Every way with a name and a look of its own."""
    named: list[tuple[str, xr.Dataset]] = []
    for given in (segment, curve):
        if isinstance(given, Mapping) and not isinstance(given, xr.Dataset):
            named += [(str(name), ds) for name, ds in given.items()]
        elif given is not None:
            named.append((_named(given, [name for name, _ in named]), given))
    if not named:
        raise ValueError("There is no way to draw; pass surfaces over one coordinate, such as those of `loss_along`.")
    if doubled := {n for n, _ in named if sum(n == m for m, _ in named) > 1}:
        raise ValueError(f"Two ways have the name {sorted(doubled)[0]!r}; give each one of its own.")
    found = []
    for k, (name, ds) in enumerate(named):
        flat, _ = grid(ds, 1)
        found.append(Way(name, flat, COLORS[k % len(COLORS)], _kind(ds) == "segment"))
    return found


def _named(ds: xr.Dataset, taken: list[str]) -> str:
    name = _NAMES.get(_kind(ds), "way")
    return name if name not in taken else next(f"{name} {k}" for k in range(2, 99) if f"{name} {k}" not in taken)


def _kind(ds: xr.Dataset) -> str:
    """Which curve a surface was measured along, as its attr `subspace` says."""
    known = ds.attrs.get("subspace")
    try:
        found = json.loads(known) if isinstance(known, str) else known
    except ValueError:
        return str(known)
    return str(found.get("kind", "")) if isinstance(found, dict) else str(found)


def _quantities(ways: list[Way]) -> dict[tuple[str, str], str]:
    """Names of the losses and of the first other metric, by metric and split."""
    found: dict[tuple[str, str], str] = {}
    for way in ways:
        for name in choose(way.ds, None)[0]:
            attrs = way.ds[name].attrs
            found.setdefault((attrs["metric"], attrs["split"]), name)
    order = sorted(found, key=lambda k: (k[1] != "train", k[0] != "loss"))
    kept = list(dict.fromkeys(m for m, _ in order))[:2]
    return {k: found[k] for k in order if k[0] in kept}


def _first(ways: list[Way], name: str) -> xr.DataArray:
    return next(way.ds[name] for way in ways if name in way.ds)


def _abscissa(ways: list[Way], over: str) -> Ruler:
    (dim,) = schema.coordinates(ways[0].ds)
    words = label(ways[0].ds[dim]) if over == "t" else "distance along the way"
    return rulers.linear(words, np.concatenate([places(w, over) for w in ways]), 0.02)


def _ruler(ways: list[Way], names: dict[tuple[str, str], str], metric: str, log: bool | Literal["auto"]) -> Ruler:
    """One axis for a row: the same on training and test data."""
    mine = [name for (m, _), name in names.items() if m == metric]
    values = np.concatenate([way.ds[n].values.astype(float) for n in mine for way in ways if n in way.ds])
    units = label(_first(ways, mine[0])).partition(" [")[2]
    words = metric[:1].upper() + metric[1:].replace("_", " ") + (f" [{units}" if units else "")
    if not np.isfinite(values).any():
        raise ValueError(f"`{mine[0]}` has no finite value on any way, so there is nothing to draw.")
    wants = metric == "loss" and scale.wants_log(values, log)
    positive = values[np.isfinite(values) & (values > 0)]
    if wants and not positive.size:
        raise ValueError(f"`{mine[0]}` has no positive value, so it has no logarithm; draw it with log=False.")
    if wants:
        return rulers.log(words, float(positive.min()) / 1.5, 2.5 * float(positive.max()))
    ruler = rulers.linear(words, values, 0.04, zero=metric == "loss")
    low, high = ruler.ends or (0.0, 1.0)
    return Ruler(words, ends=(low, high + 0.1 * (high - low) if metric == "loss" else high))


def _cell(ways: list[Way], name: str, over: str, ruler: Ruler) -> tuple[Cell, dict[str, Rise]]:
    found: list[Series] = []
    rises = {}
    for way in ways:
        if name not in way.ds:
            continue
        values, at = way.ds[name].values.astype(float), places(way, over)
        error = way.ds.get(f"{name}_standard_error")
        half = None if error is None else error.values.astype(float)
        hover = tuple(
            f"{way.name}, {_symbol(way)} = {number(float(t), 3)}: {number(float(v), 5)}"
            for t, v in zip(places(way, "t"), values, strict=True)
        )
        band = None if half is None else np.array([values - half, values + half])
        look: dict[str, Any] = {"line": 1.9, "dashed": way.straight, "hover": hover, "band": band}
        found.append(Series(way.name, at, values, way.color, **look))
        rise = barrier_of(places(way, "t"), values) if way.ds[name].attrs["metric"] == "loss" else None
        if rise is not None:
            rises[way.name] = rise
    lines, words = marks(ways, rises, over, ruler)
    return Cell(Ruler(""), ruler, (*found, *lines), label(_first(ways, name)).split(" [")[0], (), words), rises


def _labelled(cell: Cell, x: Ruler, *, bottom: bool, left: bool) -> Cell:
    """Axis titles only where no other panel says the same."""
    across = x if bottom else Ruler("", x.kind, x.ends)
    y = cell.y if left else Ruler("", cell.y.kind, cell.y.ends, cell.y.width, cell.y.ticks, cell.y.words)
    return Cell(across, y, cell.series, cell.title, cell.marks, cell.words)


def _symbol(way: Way) -> str:
    return {"alpha": "α"}.get(schema.coordinates(way.ds)[0], schema.coordinates(way.ds)[0])


def _title(ways: list[Way]) -> str:
    titles = {str(way.ds.attrs.get("title") or "") for way in ways}
    return titles.pop() if len(titles) == 1 and titles != {""} else "From one optimum to the other"


def _lengths(ways: list[Way]) -> str:
    known = [w for w in ways if "arc_length" in w.ds.coords]
    each = [f"{w.name} {number(float(np.ptp(w.ds['arc_length'].values)), 3)}" for w in known]
    return f"Length: {', '.join(each)}" if each else ""


def _lost(ways: list[Way], name: str) -> list[str]:
    notes = []
    for way in ways:
        if name in way.ds and (bad := int((~np.isfinite(way.ds[name].values)).sum())):
            of, are = way.ds[name].size, "is" if bad == 1 else "are"
            notes.append(
                f"{way.name}: {bad:,} of {of:,} values of {label(way.ds[name]).split(' [')[0].lower()} {are} not finite"
            )
    return notes
