"""Components of a run's first steps, against how many they are, beside those of a random walk as long."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Panel, Series
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_COLORS = ("main", "warm", "violet", "amber", "plum")


def components_by_length(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    """Draw what the components of a run's first steps explain over their number, and how far they are those of the run.

    Solid lines are the run, dashed ones of the same colour a random walk of as many steps. The overlap of the span of
    the components with that of the whole run is below them; it ends at 1.

    Parameters
    ----------
    ds
        Kind `components_by_length`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no length.

    Examples
    --------
    >>> import xarray as xr
    >>> both = ("length", "axis")
    >>> found = xr.Dataset(
    ...     {
    ...         "explained_variance_ratio": (both, [[0.9, 0.1], [0.8, 0.1]]),
    ...         "theory": (both, [[0.7, 0.2], [0.6, 0.2]]),
    ...         "overlap": ("length", [0.4, 1.0]),
    ...     },
    ...     {"length": [10, 100], "axis": [1, 2]},
    ...     {"kind": "components_by_length"},
    ... )
    >>> [series.entry for series in components_by_length(found, backend="none").keys]
    ['component 1', 'random walk as long', 'component 2']
    """
    draw = drawer(backend, "chart")
    return draw(prepare_by_length(ds, title=title), theme)


def prepare_by_length(ds: xr.Dataset, *, title: str | None = None) -> Chart:
    """Read components by length.

    Raises
    ------
    ValueError
        As `components_by_length`.
    """
    kinds.need(ds, "components_by_length")
    length = ds["length"].values.astype(float)
    if not length.size or not ds.sizes["axis"]:
        raise ValueError("The dataset holds no length or no axis, so there is nothing to draw.")
    ratio, theory = (ds[n].values.astype(float) for n in ("explained_variance_ratio", "theory"))
    drawn = min(ds.sizes["axis"], len(_COLORS))
    found: list[Series] = []
    for k in range(drawn):
        name, color = f"component {int(ds['axis'].values[k])}", _COLORS[k]
        for said, values, look in (
            (name, ratio[:, k], {"line": 1.8, "symbol": "circle"}),
            (f"random walk, {name}", theory[:, k], {"line": 1.2, "dashed": True}),
        ):
            hover = tuple(f"{said}: {100 * v:.3g}%" for v in values)
            entry = name if said == name else "random walk as long" if k == 0 else ""
            found.append(Series(said, length, values, color, hover=hover, key=entry, **look))
    tick = (0.0, 0.25, 0.5, 0.75, 1.0)
    share = Ruler("Share of the\nvariance", "linear", (-0.03, 1.03), 1.0, tick, tuple(f"{100 * t:g}%" for t in tick))
    words = Ruler("Overlap with\nthe whole run", "linear", (-0.03, 1.03), 1.0, (0.0, 0.5, 1.0), ("0", "0.5", "1"))
    overlap = ds["overlap"].values.astype(float)
    line = Series("overlap", length, overlap, "text", 1.4, symbol="circle", key="")
    left = ds.sizes["axis"] - drawn
    return Chart(
        panels=(Panel(share, tuple(found), share=2.4), Panel(words, (line,))),
        x=_axis(ds, length),
        title=curvature.title(ds, title, "Components of the first steps, and of random walks as long"),
        subtitle=curvature.text(_facts(ds, ratio, theory)),
        notes=(f"Components {drawn + 1} to {ds.sizes['axis']} are not drawn",) if left else (),
        unified=True,
    )


def _axis(ds: xr.Dataset, length: np.ndarray) -> Ruler:
    words = label(ds["length"])
    words = "Steps taken into account" if words == "length" else words
    if length.size > 2 and length[0] > 0 and length[-1] > 20 * length[0]:
        return rulers.log(words, float(length[0]) / 1.15, 1.15 * float(length[-1]))
    return rulers.linear(words, length, 0.03)


def _facts(ds: xr.Dataset, ratio: np.ndarray, theory: np.ndarray) -> list[str]:
    length = int(ds["length"].values[-1])
    return [
        f"After {length:,} steps component 1 explains {100 * ratio[-1, 0]:.3g}%, of a random walk "
        f"{100 * theory[-1, 0]:.3g}%",
        f"Overlaps are of the span of {number(ds.sizes['axis'])} components: 0 for orthogonal ones, 1 for the same",
    ]
