"""What lies on a surface: training paths, the model, labelled points. Plain numpy, for any backend.

Between two steps a path is drawn along the surface (bilinear between grid points) plus the steps' own deviations from
it, blended linearly: so it passes through each step's loss at its projection exactly and never through a hill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from contourpy import contour_generator
from scipy.interpolate import RegularGridInterpolator

from thalweg import schema
from thalweg.figures import steps
from thalweg.figures.scale import Scale, number

MOST_STEPS = 500  # longer paths are drawn by evenly spaced steps, and the subtitle says so
_PIECES = 1500  # corners of the finest line along the surface


@dataclass(frozen=True)
class Extent:
    """The rectangle that a map shows: its `dims`, and their lowest and highest values."""

    dims: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def span(self) -> np.ndarray:
        """Its sides."""
        return np.subtract(self.high, self.low)


@dataclass(frozen=True)
class Sheet:
    """The drawn surface that things are put onto: its `dims` and grid `x, y`; `title` names its quantity."""

    dims: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    symbols: tuple[str, str]
    name: str
    title: str
    heights: np.ndarray
    scale: Scale

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Height of the drawn surface, nan outside of it and in its holes."""
        inside = RegularGridInterpolator((self.x, self.y), self.heights, bounds_error=False, fill_value=np.nan)
        return np.asarray(inside(np.column_stack([x, y])))

    def lift(self, places: np.ndarray) -> np.ndarray:
        """Places (2, n) with the height of the drawn surface, shape (3, n); what is nan stays nan."""
        z = np.full(places.shape[1], np.nan)
        there = np.isfinite(places).all(axis=0)
        if there.any():
            z[there] = self.height(*places[:, there])
        return np.concatenate([places, z[None]])

    def covers(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether points lie within the grid."""
        return (self.x[0] <= x) & (x <= self.x[-1]) & (self.y[0] <= y) & (y <= self.y[-1])

    def iso_lines(self, levels: np.ndarray) -> list[tuple[float, np.ndarray]]:
        """Iso-lines as (height, places of shape (n, 2)), ending at holes."""
        found = contour_generator(self.x, self.y, np.ma.masked_invalid(self.heights.T))
        return [(float(level), np.asarray(line)) for level in levels for line in found.lines(float(level))]


@dataclass(frozen=True)
class Track:
    """A path on a surface: `x, y, z` at the drawn steps with their hover `text`; `line` (3, n) follows the surface.

    `end` is the word at its last drawn step.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    text: tuple[str, ...]
    line: np.ndarray
    end: str = "end"


@dataclass(frozen=True)
class Marker:
    """A labelled place on the surface; `kind` is `model`, `point`, or of a curve `optimum`, `bend` or `here`.

    `side` is where its word stands: right or left (1, -1), above or below (1, -1); `number` is that of the way.
    """

    kind: str
    label: str
    x: float
    y: float
    z: float
    text: str
    side: tuple[int, int] = (1, -1)
    number: int = 0


def read_paths(path: xr.Dataset | Sequence[xr.Dataset] | None, dims: tuple[str, ...]) -> list[xr.Dataset]:
    """The paths as a list, each checked to have the surface's coordinates.

    Raises
    ------
    ValueError
        If something is not a path in these coordinates.
    """
    paths = [] if path is None else [path] if isinstance(path, xr.Dataset) else list(path)
    for p in paths:
        if p.attrs.get("kind") != "path":
            raise ValueError(
                f"`path` is a dataset of kind {p.attrs.get('kind')!r}, and one of kind 'path' is needed: "
                "a trajectory has to be projected onto the subspace of the surface first."
            )
        if missing := [d for d in dims if d not in p]:
            raise ValueError(
                f"The path lacks the coordinates {missing} of the surface; it has {list(schema.coordinates(p))}. "
                "Project it onto the same subspace."
            )
        schema.check(p)
    return paths


def track(sheet: Sheet, path: xr.Dataset, index: int, count: int, step: float | None = None) -> Track:
    """Put a path onto the surface, up to `step` if that is given.

    Raises
    ------
    ValueError
        If `step` is given and the path begins after it.
    """
    drawn = steps.up_to(path, step)
    end = "end" if step is None or drawn == path.sizes["step"] else f"step {steps.word(step)}"
    path = path.isel(step=slice(drawn))
    every = path.isel(step=kept(path.sizes["step"]))
    x, y = (every[d].values.astype(float) for d in sheet.dims)
    z = sheet.height(x, y)
    projected = _projected(every, sheet)
    if projected is not None:
        z = np.where(sheet.covers(x, y) & np.isfinite(projected), sheet.scale(projected), z)
    text = tuple(_step_text(every, k, sheet, projected) for k in range(x.size))
    name = str(path.attrs.get("title") or ("path" if count == 1 else f"path {index + 1}"))
    return Track(name, x, y, z, text, _along(sheet, x, y, z), end)


def kept(steps: int) -> np.ndarray:
    """Indices of the steps that are drawn, always with the first and the last.

    Examples
    --------
    >>> kept(4).tolist(), kept(100_000).size <= MOST_STEPS
    ([0, 1, 2, 3], True)
    """
    return np.unique(np.linspace(0, steps - 1, min(steps, MOST_STEPS)).round().astype(int))


def markers(sheet: Sheet, origin: float | None, points: Mapping[str, Sequence[float]] | None) -> tuple[Marker, ...]:
    """The model at the origin (if its value is known) and the user's points.

    Raises
    ------
    ValueError
        If a point has not two coordinates.
    TypeError
        If the points have no names.
    """
    made = []
    if origin is not None and bool(sheet.covers(np.zeros(1), np.zeros(1))[0]):
        text = f"<b>model</b> (origin)<br>{sheet.title} = {number(float(origin), 5)}"
        made.append(Marker("model", "model", 0.0, 0.0, float(sheet.scale(float(origin))), text, (-1, -1)))
    for name, place in _named(points).items():
        x, y = _pair(name, place, sheet.symbols)
        z = float(sheet.height(np.array([x]), np.array([y]))[0])
        made.append(Marker("point", str(name), x, y, z, f"<b>{name}</b><br>{_where(sheet, x, y)}"))
    return tuple(made)


def _named(points: Any) -> Mapping[Any, Any]:
    """The points by name.

    Raises
    ------
    TypeError
        If they have no names.
    """
    if points is None or isinstance(points, Mapping):
        return points or {}
    raise TypeError(
        f"`points` is a {type(points).__name__}; names with their coordinates are needed, such as "
        "points={'SGD': (0.1, -0.4)}."
    )


def _pair(name: Any, place: Any, symbols: tuple[str, str]) -> tuple[float, float]:
    try:
        x, y = (float(v) for v in place)
    except (TypeError, ValueError):
        raise ValueError(f"Point {name!r} is {place!r}; a pair ({', '.join(symbols)}) is needed.") from None
    if not np.isfinite([x, y]).all():
        raise ValueError(f"Point {name!r} is {place!r}; its coordinates have to be finite.")
    return x, y


def path_facts(paths: Sequence[xr.Dataset], surface: xr.Dataset) -> list[str]:
    """How far each path lies from the plane, and whether all of its steps are drawn."""
    dims = schema.coordinates(surface)
    facts = []
    for i, path in enumerate(paths):
        who = "The path" if len(paths) == 1 else str(path.attrs.get("title") or f"Path {i + 1}")
        far = float(np.nanmax(np.abs(path["distance"].values)))
        length = path_length(path)
        share = f", {100 * far / length:.2g}% of its length" if length > 0 else ""
        facts.append(f"{who} lies up to {number(far, 3)} from {_space(path)}{share}")
        inside = [(surface[d].min() <= path[d]) & (path[d] <= surface[d].max()) for d in dims]
        if outside := int((~np.logical_and.reduce([i.values for i in inside])).sum()):
            lie = "lies" if outside == 1 else "lie"
            facts.append(f"{outside:,} of its {path.sizes['step']:,} steps {lie} outside the map")
        if (steps := path.sizes["step"]) > MOST_STEPS:
            facts.append(f"{MOST_STEPS} of its {steps:,} steps are drawn")
    return facts


def path_length(path: xr.Dataset) -> float:
    """Length of a path: `attrs['length']`, else in the plane's coordinates and the distance from it."""
    if "length" in path.attrs:
        return float(path.attrs["length"])
    places = np.array([path[d].values for d in (*schema.coordinates(path), "distance")], dtype=float)
    return float(np.nansum(np.linalg.norm(np.diff(places, axis=1), axis=0)))


def _projected(path: xr.Dataset, sheet: Sheet) -> np.ndarray | None:
    """The quantity at the projections, if they lie in this very plane and not in a box that it was cut from."""
    name = f"projected_{sheet.name}"
    same = set(schema.coordinates(path)) == set(sheet.dims)
    return path[name].values.astype(float) if same and name in path else None


def _space(path: xr.Dataset) -> str:
    return {1: "the line", 2: "the plane"}.get(len(schema.coordinates(path)), "the box it was projected onto")


def _where(sheet: Sheet, x: float, y: float) -> str:
    return f"{sheet.symbols[0]} = {number(x)}, {sheet.symbols[1]} = {number(y)}"


def _step_text(path: xr.Dataset, k: int, sheet: Sheet, projected: np.ndarray | None) -> str:
    x, y = (float(path[d].values[k]) for d in sheet.dims)
    lines = [f"<b>step {path['step'].values[k]:g}</b>", _where(sheet, x, y)]
    if sheet.name in path:
        lines.append(f"{sheet.title}, true point: {number(float(path[sheet.name].values[k]), 5)}")
    if projected is not None:
        lines.append(f"at its projection: {number(float(projected[k]), 5)}")
    return "<br>".join([*lines, f"distance from {_space(path)}: {number(float(path['distance'].values[k]))}"])


def _along(sheet: Sheet, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A line over the surface through every step, shape (3, n)."""
    if x.size < 2:
        return np.array([x, y, z])
    ground = sheet.height(x, y)
    above = np.where(np.isfinite(z) & np.isfinite(ground), z - ground, 0.0)
    cell = [(a[-1] - a[0]) / max(a.size - 1, 1) / 3 for a in (sheet.x, sheet.y)]
    hops = np.maximum(np.abs(np.diff(x)) / cell[0], np.abs(np.diff(y)) / cell[1])
    with np.errstate(invalid="ignore"):
        pieces = np.clip(np.nan_to_num(hops), 1, max(1, _PIECES // x.size)).round().astype(int)
    t = np.concatenate([k + np.arange(n) / n for k, n in enumerate(pieces)] + [np.array([x.size - 1.0])])
    steps = np.arange(x.size)
    px, py = np.interp(t, steps, x), np.interp(t, steps, y)
    pz = sheet.height(px, py) + np.interp(t, steps, above)
    corner = np.isclose(t, t.round())
    pz[corner] = z[t[corner].round().astype(int)]
    return np.array([px, py, pz])
