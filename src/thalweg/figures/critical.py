"""Critical points of a plane by themselves: where they lie, and of which type they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import marks
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.marks import Mark
from thalweg.figures.overlay import Extent
from thalweg.figures.prepare import label
from thalweg.figures.theme import Theme

_ROOM = 0.15  # of the points' range: free around them


@dataclass(frozen=True)
class Points:
    """Everything that the figure draws: one mark for each type, the rectangle, and words."""

    marks: tuple[Mark, ...]
    extent: Extent
    x_label: str
    y_label: str
    title: str
    subtitle: str


def critical_points(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    """Draw critical points in their plane: minima, saddles and maxima, and degenerate ones, which are open.

    On the surface that they belong to they are drawn by `figures.contour(surface, critical=...)`.

    Parameters
    ----------
    ds
        Kind `critical_points` of a plane.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `Points`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or its points lie in no plane.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> data = {"alpha": [0.0, 1.0], "beta": [0.0, 1.0], "loss": [1.0, 0.0], "gradient_norm": [0.0, 0.0]}
    >>> saddle = xr.Dataset(
    ...     {k: ("point", v) for k, v in data.items()}
    ...     | {
    ...         "type": ("point", [1, 0], {"names": ["minimum", "saddle"]}),
    ...         "eigenvalue": (("point", "direction"), [[-2.0, 2.0], [0.0, 4.0]]),
    ...         "eigenvector": (("point", "coordinate", "direction"), np.tile(np.eye(2), (2, 1, 1))),
    ...     },
    ...     attrs={"kind": "critical_points", "coordinates": ["alpha", "beta"]},
    ... )
    >>> critical_points(saddle, backend="none").subtitle
    '2 critical points: 1 minimum, 1 saddle'
    """
    draw = drawer(backend, "critical")
    return draw(prepare_points(ds, title=title), theme)


def prepare_points(ds: xr.Dataset, *, title: str | None = None) -> Points:
    """Read the points.

    Raises
    ------
    ValueError
        As `critical_points`.
    """
    marks.need_critical(ds, "This")
    dims = schema.coordinates(ds)
    if len(dims) != 2:
        raise ValueError(f"The critical points have the coordinates {', '.join(dims)}; two are needed to draw them.")
    ends = [_ends(ds[d].values) for d in dims]
    extent = Extent((dims[0], dims[1]), (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1]))
    found, _ = marks.critical_points(ds, extent)
    x, y = (label(ds[d]) for d in dims)
    words = str(ds.attrs.get("title") or "Critical points")
    return Points(tuple(found), extent, x, y, title or words, _counted(found, ds.sizes["point"]))


def _counted(found: Sequence[Mark], total: int) -> str:
    if not total:
        return "No critical point was found"
    kinds = [f"{m.places.shape[1]:,} {marks.plural(m.name, m.places.shape[1])}" for m in found]
    return f"{total:,} critical point{'s' * (total != 1)}: {', '.join(kinds)}"


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    room = _ROOM * (high - low) or 0.5 * abs(low) or 1.0
    return low - room, high + room
