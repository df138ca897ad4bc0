"""Curves between optima on a surface: the curve, the straight segment, both ends and the bends. Plain numpy.

A dataset of kind `course` says where they lie in the plane; a `Way` is what a map draws of one, and `places` are the
markers that stand at its ends, its bends and, while it is being walked, at one place of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import kinds, kinship, polyline
from thalweg.figures.overlay import Extent, Marker, Sheet
from thalweg.figures.scale import number

Courses = xr.Dataset | Mapping[str, xr.Dataset]
_NAMES = {"segment": "segment", "polygonal": "polygonal chain", "bezier": "Bezier curve"}
_PIECE = 1 / 150  # of the map: pieces of a line that follows the surface
_IN_PLANE = 1e-5  # of a curve's length: what lies nearer lies in the plane
_NEAR = 0.08  # of the map: who walks is that near to an end
_ON = 0.01  # of the map: a bend that is nearer to the curve lies on it


@dataclass(frozen=True)
class Way:
    """One curve: `line` is the curve and `straight` the segment, (2, n) or on a surface (3, n), nan between parts.

    `places` are its ends and bends; `number` tells it from other ways; `straight` is empty where another way has it.
    """

    name: str
    number: int
    line: np.ndarray
    straight: np.ndarray
    places: tuple[Marker, ...]


def read(given: Courses | None, surface: xr.Dataset, extent: Extent, first: int, at: float | None) -> list[Way]:
    """The ways in the plane of a map, cut at its border; `first` is the number of the first of them.

    With `at` a marker stands at this place of each of them.

    Raises
    ------
    ValueError
        If something is no course in these coordinates, or belongs to another problem or subspace.
    """
    ways: list[Way] = []
    taken: list[np.ndarray] = []
    for name, ds in named(given).items():
        kinds.need(ds, "course", "course" if isinstance(given, xr.Dataset) else name)
        if missing := [d for d in extent.dims if d not in schema.coordinates(ds)]:
            raise ValueError(
                f"The course lacks the coordinates {missing} of the surface; it has {list(schema.coordinates(ds))}. "
                "Project the curve onto the same plane."
            )
        kinship.check(surface, ds, "course")
        nodes = np.stack([ds[f"node_{d}"].values.astype(float) for d in extent.dims], axis=1)
        ends = nodes[[0, -1]]
        new = all(np.abs(ends - other).max() > 1e-9 * np.abs(other).max(initial=1e-12) for other in taken)
        taken += [ends] if new else []
        line = np.stack([ds[d].values.astype(float) for d in extent.dims], axis=1)
        straight = ends if new and not _straight(line, ends, extent) else np.zeros((0, 2))
        places = _places(ds, nodes, ends_too=new)
        if at is not None:
            places = (*places, _here(ds, line, at, extent, first + len(ways)))
        ways.append(Way(name, first + len(ways), _cut(line, extent), _cut(straight, extent), places))
    return ways


def named(given: Courses | None) -> dict[str, Any]:
    """Courses by name; a single one has that of its curve.

    Examples
    --------
    >>> list(named(xr.Dataset(attrs={"curve": "bezier"})))
    ['Bezier curve']
    """
    if given is None:
        return {}
    if isinstance(given, xr.Dataset):
        return {_NAMES.get(str(given.attrs.get("curve")), "curve"): given}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"`course` is a {type(given).__name__}; a dataset of kind 'course' is needed, or names and several of them."
        )
    return {str(name): one for name, one in given.items()}


def on(sheet: Sheet, ways: Sequence[Way]) -> tuple[Way, ...]:
    """The ways on the surface of one quantity."""
    return tuple(replace(w, line=sheet.lift(w.line), straight=sheet.lift(w.straight)) for w in ways)


def standing(sheet: Sheet, ways: Sequence[Way]) -> tuple[Marker, ...]:
    """Ends, bends and walkers on the surface of one quantity; the text of each says its value there."""
    made = []
    for marker in (m for way in ways for m in way.places):
        z = float(sheet.height(np.array([marker.x]), np.array([marker.y]))[0])
        made.append(replace(marker, z=z, text=f"<b>{marker.label}</b><br>{_where(sheet, marker)}{marker.text}"))
    return tuple(made)


def apart(markers: Sequence[Marker], standing: Sequence[Marker], sheet: Sheet) -> tuple[Marker, ...]:
    """The markers without the model where an end of a curve stands, which is the same place."""
    size = 1e-6 * np.array([np.ptp(sheet.x), np.ptp(sheet.y)])
    taken = [np.array([m.x, m.y]) for m in standing if m.kind == "optimum"]
    ends = [m for m in markers if m.kind != "model" or all((np.abs(t - (m.x, m.y)) > size).any() for t in taken)]
    return tuple(ends)


def facts(given: Courses | None, extent: Extent) -> list[str]:
    """How far each curve and its control points lie from the plane, and whether the map shows them."""
    found = []
    for name, ds in named(given).items():
        who = "The curve" if isinstance(given, xr.Dataset) else f"The {name}" if name in _NAMES.values() else name
        found.append(f"{who} {distances(ds)}")
        out = [int(_outside(ds, prefix, extent).sum()) for prefix in ("", "node_")]
        told = [f"{out[0]} of its {ds.sizes['t']} places"] * bool(out[0])
        told += [f"{out[1]} of its {ds.sizes['node']} control points"] * bool(out[1])
        if told:
            found.append(f"{' and '.join(told)} {'lies' if sum(out) == 1 else 'lie'} outside the map")
    return found


def distances(ds: xr.Dataset) -> str:
    """How far a course and its control points lie from the plane."""
    far, bends = (float(np.nanmax(np.abs(ds[n].values), initial=0.0)) for n in ("distance", "node_distance"))
    length = path_length(ds)
    if max(far, bends) <= _IN_PLANE * max(length, 1e-300):
        return "lies in the plane"
    share = f", {100 * far / length:.2g}% of its length" if length > 0 else ""
    return f"lies up to {number(far, 3)} from the plane{share}, its control points up to {number(bends, 3)}"


def _outside(ds: xr.Dataset, prefix: str, extent: Extent) -> np.ndarray:
    places = np.stack([ds[f"{prefix}{d}"].values.astype(float) for d in extent.dims], axis=1)
    room = 1e-9 * extent.span
    return np.asarray(((places < extent.low - room) | (places > extent.high + room)).any(axis=1))


def path_length(ds: xr.Dataset) -> float:
    """Length of a course: `attrs['length']`, else in the plane's coordinates and the distance from it."""
    if "length" in ds.attrs:
        return float(ds.attrs["length"])
    places = np.array([ds[d].values for d in (*schema.coordinates(ds), "distance")], dtype=float)
    return float(np.nansum(np.linalg.norm(np.diff(places, axis=1), axis=0)))


def place_at(ds: xr.Dataset, line: np.ndarray, at: float) -> np.ndarray:
    """Where a course (n, 2) is at `at`, between the places that it holds.

    Raises
    ------
    ValueError
        If it does not reach there.
    """
    t = ds["t"].values.astype(float)
    if not t[0] <= at <= t[-1]:
        raise ValueError(f"step={at!r} is no place of the course, whose t runs from {number(t[0])} to {number(t[-1])}.")
    return np.array([np.interp(at, t, column) for column in line.T])


def _here(ds: xr.Dataset, line: np.ndarray, at: float, extent: Extent, number: int) -> Marker:
    """Who walks; the word stands on the far side of the curve, at its ends opposite to theirs."""
    place = place_at(ds, line, at)
    far = float(np.interp(at, ds["t"].values, ds["distance"].values))
    across, up = np.where(place >= np.nanmean(line, axis=0), 1, -1)
    if min(np.linalg.norm((place - end) / extent.span) for end in line[[0, -1]]) < _NEAR:
        up = -up
    x, y = place.tolist()
    return Marker("here", f"t = {at:.3g}", x, y, np.nan, _distance(far), (int(across), int(up)), number)


def _places(ds: xr.Dataset, nodes: np.ndarray, *, ends_too: bool) -> tuple[Marker, ...]:
    """Ends are `a` and `b`, the others bends; words stand on the far side of the curve."""
    middle, last = nodes.mean(axis=0), len(nodes) - 1
    far = ds["node_distance"].values.astype(float)
    found = []
    for k, (x, y) in enumerate(nodes):
        end = k in (0, last)
        if end and not ends_too:
            continue
        label = {0: "a", last: "b"}.get(k) or ("bend" if last == 2 else f"bend {k}")
        side = (1 if x >= middle[0] else -1, 1 if y >= middle[1] else -1)
        found.append(Marker("optimum" if end else "bend", label, float(x), float(y), np.nan, _distance(far[k]), side))
    return tuple(found)


def _distance(far: float) -> str:
    return f"<br>distance from the plane: {number(float(far), 3)}"


def _where(sheet: Sheet, m: Marker) -> str:
    return f"{sheet.symbols[0]} = {number(m.x)}, {sheet.symbols[1]} = {number(m.y)}"


def _straight(line: np.ndarray, ends: np.ndarray, extent: Extent) -> bool:
    """Whether the curve is the segment, as far as the map can show."""
    along = (ends[1] - ends[0]) / extent.span
    size = float(along @ along)
    offset = (line - ends[0]) / extent.span
    share = np.clip(offset @ along / size, 0, 1) if size > 0 else np.zeros(len(line))
    return bool(np.nanmax(np.linalg.norm(offset - share[:, None] * along, axis=1), initial=0.0) < _ON)


def _cut(line: np.ndarray, extent: Extent) -> np.ndarray:
    """Within the map, in pieces short enough to follow the surface; (2, n)."""
    parts = polyline.inside(line, extent.low, extent.high) if len(line) else []
    return polyline.joined([polyline.pieces(part, _PIECE * extent.span) for part in parts])
