"""Marks on a surface: critical points by type, solution sets, and the regions below a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import polyline
from thalweg.figures.overlay import Extent, Sheet
from thalweg.figures.scale import number

MOST_POINTS = 4000  # of a region; more are thinned, which its legend entry says
_DOTS = 1 / 70  # of the map: from dot to dot of a curve
_PIECE = 1 / 100  # of the map: pieces of a curve that follows the surface


@dataclass(frozen=True)
class Mark:
    """Places of one sort: `sort` is `critical`, `curve` or `region`; `name` a type, the curve's or the region's name.

    `places` are (2, n) in the plane or (3, n) on a surface; those of a curve are dots at even distances, and `line` is
    the curve itself, with nan between its parts. `number` counts the marks of this sort.
    """

    sort: str
    name: str
    label: str
    number: int
    places: np.ndarray
    line: np.ndarray
    text: tuple[str, ...]


_NOTHING = np.zeros((2, 0))


def on(sheet: Sheet, marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks on the surface of one quantity."""
    return tuple(
        Mark(m.sort, m.name, m.label, m.number, sheet.lift(m.places), sheet.lift(m.line), m.text) for m in marks
    )


def critical_points(ds: xr.Dataset, extent: Extent) -> tuple[list[Mark], list[str]]:
    """Critical points within the map, one mark for each type that occurs, and what the subtitle says of the others.

    Raises
    ------
    ValueError
        If it is no dataset of critical points in these coordinates.
    """
    need_critical(ds, "`critical`")
    if missing := [d for d in extent.dims if d not in ds]:
        raise ValueError(
            f"The critical points lack the coordinates {missing} of the surface; they have "
            f"{list(schema.coordinates(ds))}. Look for them in the same subspace."
        )
    places = np.stack([ds[d].values.astype(float) for d in extent.dims])
    inside = np.all((extent.low <= places.T) & (extent.high >= places.T), axis=1)
    names = [str(n) for n in np.atleast_1d(ds["type"].attrs["names"])]
    marks = []
    for k, name in enumerate(names):
        mine = np.flatnonzero((ds["type"].values == k) & inside)
        if mine.size:
            text = tuple(_critical_text(ds, int(i), name, extent.dims) for i in mine)
            label = f"{plural(name, mine.size)} ({mine.size})"
            marks.append(Mark("critical", name, label, k, places[:, mine], _NOTHING, text))
    out = int((~inside).sum())
    total = f"{inside.size} critical point{'s' * (inside.size != 1)}"
    return marks, [f"{out} of {total} {'lies' if out == 1 else 'lie'} outside the map"] if out else []


def need_critical(ds: xr.Dataset, name: str) -> None:
    """Refuse what holds no critical points; `name` is what the caller calls it.

    Raises
    ------
    ValueError
        If the dataset is of another kind.
    """
    if ds.attrs.get("kind") != "critical_points":
        raise ValueError(
            f"{name} is a dataset of kind {ds.attrs.get('kind')!r}, and one of kind 'critical_points' is needed; "
            "`critical_points(...)` finds them."
        )
    schema.check(ds)


def curves(given: Mapping[str, Any], extent: Extent) -> list[Mark]:
    """Named curves, each one array (n, 2) or a list of them, cut at the border of the map.

    Raises
    ------
    ValueError
        If something has not two columns.
    """
    marks = []
    for k, (name, value) in enumerate(given.items()):
        whole = [part for line in _lines(name, value) for part in polyline.inside(line, extent.low, extent.high)]
        dots = [polyline.evenly(part, extent.span, _DOTS) if len(part) > 1 else part for part in whole]
        fine = polyline.joined([polyline.pieces(part, _PIECE * extent.span) for part in whole])
        places = np.concatenate(dots).T if dots else _NOTHING
        marks.append(Mark("curve", str(name), str(name), k, places, fine, ()))
    return marks


def regions(ds: xr.Dataset, names: str | Sequence[str] | None, extent: Extent) -> list[Mark]:
    """The grid points of named regions.

    Raises
    ------
    ValueError
        If a name is not that of a variable with the role `region`.
    """
    known = [str(n) for n, v in ds.data_vars.items() if v.attrs.get("role") == "region"]
    marks = []
    for k, name in enumerate([names] if isinstance(names, str) else names or ()):
        if name not in known:
            have = f"it has {', '.join(known)}" if known else "it has none; `below(...)` adds one"
            raise ValueError(f"{name!r} is not a region of this surface; {have}.")
        mask = ds[name].transpose(*extent.dims).values.astype(bool)
        i, j = np.nonzero(mask)
        every = next(n for n in range(1, mask.size) if np.count_nonzero(mask[::n, ::n]) <= MOST_POINTS)
        if every > 1:
            i, j = (every * k for k in np.nonzero(mask[::every, ::every]))
        x, y = ds[extent.dims[0]].values[i], ds[extent.dims[1]].values[j]
        marks.append(Mark("region", name, _region_label(ds, name), k, np.array([x, y], dtype=float), _NOTHING, ()))
    return marks


def _region_label(ds: xr.Dataset, name: str) -> str:
    """`gradient norm < 0.1 (2 regions, 3.1% of the map)`."""
    attrs = ds[name].attrs
    of = str(attrs.get("of", name))
    what = str(ds[of].attrs.get("long_name", of)) if of in ds else of.replace("_", " ")
    share = float(attrs.get("share", ds[name].values.mean()))
    parts = int(attrs.get("components", 0))
    pieces = [f"{parts} region{'s' * (parts != 1)}"] if parts else []
    limit = f" < {number(float(attrs['eps']))}" if "eps" in attrs else ""
    return f"{what}{limit} ({', '.join([*pieces, f'{100 * share:.2g}% of the map'])})"


def _critical_text(ds: xr.Dataset, k: int, name: str, dims: tuple[str, ...]) -> str:
    where = ", ".join(number(float(ds[d].values[k])) for d in dims)
    values = ", ".join(number(float(v)) for v in ds["eigenvalue"].values[k])
    return "<br>".join(
        [
            f"<b>{name}</b> at ({where})",
            f"loss = {number(float(ds['loss'].values[k]), 5)}",
            f"eigenvalues {values}",
            f"gradient norm {number(float(ds['gradient_norm'].values[k]), 2)}",
        ]
    )


def plural(name: str, count: int) -> str:
    """The name of a type of critical points, for so many of them.

    Examples
    --------
    >>> plural("degenerate minimum", 2), plural("saddle", 1)
    ('degenerate minima', 'saddle')
    """
    if count == 1:
        return name
    *first, last = name.split(" ")
    return " ".join([*first, {"minimum": "minima", "maximum": "maxima", "saddle": "saddles"}.get(last, last)])


def _lines(name: str, value: Any) -> list[np.ndarray]:
    """One array or several as a list of arrays (n, 2)."""
    one = not isinstance(value, (list, tuple)) or (len(value) > 0 and np.ndim(value[0]) == 1)
    found = [np.asarray(part, dtype=float) for part in ([value] if one else value)]
    for part in found:
        if part.ndim != 2 or part.shape[1] != 2 or not len(part):
            raise ValueError(
                f"Curve {name!r} has shape {part.shape}; an array of shape (n, 2) is needed, or a list of them: "
                "one row per point, in order along the curve."
            )
    return found
