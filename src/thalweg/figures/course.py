"""A curve between two optima as seen from a plane, by itself: where it runs, and how far from the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import curvature, kinds, rulers, ways
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell, Word
from thalweg.figures.chart import Series
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_FLAT = 3.0  # a curve that is flatter is not drawn to scale


def course(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw a curve in its plane with both ends, its bends and the straight segment, beside its distance from the plane.

    On the loss it is drawn by `figures.contour(surface, course=...)` and `figures.surface`.

    Parameters
    ----------
    ds
        Kind `course` in a plane.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or its coordinates are not two.

    Examples
    --------
    >>> import xarray as xr
    >>> data = {"alpha": ("t", [0.0, 1.0, 2.0]), "beta": ("t", [0.0, 1.0, 0.0]), "distance": ("t", [0.0, 0.1, 0.0])}
    >>> data |= {f"node_{k}": ("node", data[k][1]) for k in data}
    >>> bent = xr.Dataset(data, {"t": [0, 0.5, 1]}, {"kind": "course", "coordinates": ["alpha", "beta"]})
    >>> shown = course(bent, backend="none")
    >>> [word.text for word in shown.cells[0].words], shown.subtitle
    (['a', 'bend', 'b'], 'The curve lies up to 0.1 from the plane, 3.5% of its length, its control points up to 0.1')
    """
    draw = drawer(backend, "board")
    return draw(prepare_course(ds, title=title), theme)


def prepare_course(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read a course.

    Raises
    ------
    ValueError
        As `course`.
    """
    kinds.need(ds, "course")
    dims = schema.coordinates(ds)
    if len(dims) != 2:
        raise ValueError(f"The course has the coordinates {', '.join(dims)}; two are needed to draw it.")
    (name,) = ways.named(ds)
    return Board(
        cells=(_plan(ds, dims, name), _distance(ds)),
        columns=2,
        rows=(2.6,),
        title=curvature.title(ds, title, f"A {name} between two optima" if name != "curve" else "From a to b"),
        subtitle=f"The curve {ways.distances(ds)}",
    )


def _plan(ds: xr.Dataset, dims: tuple[str, ...], name: str) -> Cell:
    x, y = (ds[d].values.astype(float) for d in dims)
    u, v = (ds[f"node_{d}"].values.astype(float) for d in dims)
    t = ds["t"].values.astype(float)
    hover = tuple(f"t = {number(float(k), 3)}" for k in t)
    ends = np.array([0, -1])
    found = (
        Series("straight segment", u[ends], v[ends], "text", 1.2, dashed=True),
        Series(name, x, y, "path", 2.2, hover=hover),
        Series("control points", u, v, "text", symbol="circle", hollow=True, hover=_nodes(ds), key=""),
    )
    across, up = _ruler(ds, dims[0], x, u), _ruler(ds, dims[1], y, v)
    spans = [float(np.ptp(np.concatenate(pair))) for pair in ((x, u), (y, v))]
    equal = max(spans) <= _FLAT * min(spans)
    words = "In the plane" if equal else "In the plane (not to one scale)"
    return Cell(across, up, found, words, (), _words(u, v), equal=equal)


def _ruler(ds: xr.Dataset, dim: str, values: np.ndarray, nodes: np.ndarray) -> Ruler:
    text = label(ds[dim])
    return rulers.linear({"alpha": "α", "beta": "β"}.get(text, text), np.concatenate([values, nodes]), 0.12)


def _words(u: np.ndarray, v: np.ndarray) -> tuple[Word, ...]:
    """On the far side of the curve."""
    up = np.where(v >= v.mean(), 1, -1)
    return tuple(
        Word(float(x), float(y), name, (0, int(s))) for x, y, name, s in zip(u, v, _names(u.size), up, strict=True)
    )


def _names(count: int) -> list[str]:
    bends = ["bend"] if count == 3 else [f"bend {k}" for k in range(1, count - 1)]
    return ["a", *bends, "b"]


def _nodes(ds: xr.Dataset) -> tuple[str, ...]:
    far = ds["node_distance"].values.astype(float)
    return tuple(f"{name}: {number(float(d), 3)} from the plane" for name, d in zip(_names(far.size), far, strict=True))


def _distance(ds: xr.Dataset) -> Cell:
    t, far = ds["t"].values.astype(float), ds["distance"].values.astype(float)
    line = Series("distance", t, far, "path", 1.8, key="")
    high = max(float(np.nanmax(far, initial=0.0)), 1e-3 * ways.path_length(ds), 1e-300)
    ruler = Ruler("Distance", ends=(-0.04 * high, 1.08 * high))
    return Cell(rulers.linear(label(ds["t"]), t, 0.02), ruler, (line,), "Distance from the plane")
