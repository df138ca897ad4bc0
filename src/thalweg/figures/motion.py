"""How a training run moved: distances, speed, and whether each move goes on in the direction of the one before."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Mark, Panel, Series
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme


def motion(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw the distance of a run from its start and its end, its speed, and the cosine between successive moves.

    Steps of a random walk in many dimensions are orthogonal: their cosines are zero, which a line marks. Speeds are on
    a logarithmic axis if they span more than two decades.

    Parameters
    ----------
    ds
        Kind `motion`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no step.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> each = {
    ...     "distance_from_start": [0.0, 3.0, 5.0],
    ...     "distance_from_end": [5.0, 4.0, 0.0],
    ...     "path_length": [0.0, 3.0, 7.0],
    ...     "speed": [np.nan, 0.3, 0.4],
    ...     "cosine": [np.nan, 0.0, np.nan],
    ... }
    >>> run = xr.Dataset({k: ("step", v) for k, v in each.items()}, {"step": [0, 10, 20]}, {"kind": "motion"})
    >>> shown = motion(run, backend="none")
    >>> shown.subtitle
    '3 steps from 0 to 20. The way is 7 long, 1.4 times the distance from start to end'
    """
    draw = drawer(backend, "chart")
    return draw(prepare_motion(ds, title=title), theme)


def prepare_motion(ds: xr.Dataset, *, title: str | None = None) -> Chart:
    """Read how a run moved.

    Raises
    ------
    ValueError
        As `motion`.
    """
    kinds.need(ds, "motion")
    step = steps.recorded(ds).astype(float)
    if not step.size:
        raise ValueError("The dataset holds no step, so there is nothing to draw.")
    start, end = (ds[f"distance_from_{which}"].values.astype(float) for which in ("start", "end"))
    distances = (
        Series("distance from the start", step, start, "main", 1.8, symbol=_dot(step)),
        Series("distance from the end", step, end, "warm", 1.8, dashed=True, symbol=_dot(step)),
    )
    return Chart(
        panels=(
            Panel(rulers.linear("Distance", np.concatenate([start, end]), zero=True), distances, share=1.6),
            _speed(ds, step),
            _cosine(ds, step),
        ),
        x=rulers.linear(label(ds["step"]), step, 0.015),
        title=curvature.title(ds, title, "How the run moved"),
        subtitle=curvature.text(_facts(ds, step)),
        unified=True,
    )


def _speed(ds: xr.Dataset, step: np.ndarray) -> Panel:
    values = ds["speed"].values.astype(float)
    positive = values[np.isfinite(values) & (values > 0)]
    words = "Speed\n(per update)"
    ruler = rulers.linear(words, values, zero=True)
    if positive.size and (scale.wants_log(values, "auto") or positive.max() > 100 * positive.min()):
        ruler = rulers.log(words, float(positive.min()) / 1.3, 1.3 * float(positive.max()))
    return Panel(ruler, (_single("speed", step, values),), share=1.3)


def _cosine(ds: xr.Dataset, step: np.ndarray) -> Panel:
    ticks: dict[str, Any] = {"ticks": (-1.0, -0.5, 0.0, 0.5, 1.0), "words": ("−1", "−0.5", "0", "0.5", "1")}
    ruler = Ruler("Cosine of\nsuccessive moves", "linear", (-1.08, 1.08), **ticks)
    values = ds["cosine"].values.astype(float)
    return Panel(ruler, (_single("cosine", step, values),), (Mark(0.0, "", upright=False),), 1.3)


def _single(name: str, step: np.ndarray, values: np.ndarray) -> Series:
    hover = tuple(f"{name}: {number(float(v), 4)}" for v in values)
    few = np.isfinite(values).sum() < 3
    return Series(name, step, values, "text", 1.3, symbol="circle" if few else "", hover=hover, key="")


def _dot(step: np.ndarray) -> Any:
    return "circle" if step.size == 1 else ""


def _facts(ds: xr.Dataset, step: np.ndarray) -> list[str]:
    length, far = float(ds["path_length"].values[-1]), float(ds["distance_from_start"].values[-1])
    times = f", {number(length / far, 3)} times the distance from start to end" if far > 0 else ""
    mean = float(np.nanmean(ds["cosine"].values)) if np.isfinite(ds["cosine"].values).sum() > 1 else np.nan
    facts = [steps.said(step), f"The way is {number(length)} long{times}"]
    if np.isfinite(mean):
        facts.append(f"The mean cosine is {number(mean, 2)}; that of a random walk in many dimensions is 0")
    return facts
