"""A trace with its interval and the samples behind it, or the entries of a diagonal in order of size."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Mark, Panel, Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number, thinned
from thalweg.figures.theme import Theme

MOST_ENTRIES = 2000  # of a diagonal that are drawn, evenly spaced in order of size


def estimate(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw an estimate: a trace as a line with its interval among its samples, a diagonal by the size of its entries.

    Parameters
    ----------
    ds
        Kind `estimate`. Intervals reach `attrs["quantile"]` standard errors to either side.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds nothing finite.

    Examples
    --------
    >>> import xarray as xr
    >>> told = {"kind": "estimate", "quantity": "trace", "matrix": "hessian", "quantile": 2.0, "num_matvecs": 3}
    >>> trace = xr.Dataset({"value": 6.0, "standard_error": 0.5, "sample": ("probe", [5.0, 6.5, 6.5])}, attrs=told)
    >>> shown = estimate(trace, backend="none")
    >>> shown.subtitle, [(series.label, series.y.tolist()) for series in shown.panels[0].series]
    ('6 ± 1 (95% interval). Hessian. 3 products', [('trace', [6.0, 6.0]), ('samples', [5.0, 6.5, 6.5])])
    """
    draw = drawer(backend, "chart")
    return draw(prepare_estimate(ds, title=title), theme)


def prepare_estimate(ds: xr.Dataset, *, title: str | None = None) -> Chart:
    """Read an estimate.

    Raises
    ------
    ValueError
        As `estimate`.
    """
    kinds.need(ds, "estimate")
    if not np.isfinite(ds["value"].values).any():
        raise ValueError(f"The {ds.attrs['quantity']} holds nothing finite, so there is nothing to draw.")
    return _trace(ds, title) if ds.attrs["quantity"] == "trace" else _diagonal(ds, title)


def _trace(ds: xr.Dataset, title: str | None) -> Chart:
    value, half = float(ds["value"]), curvature.quantile(ds) * float(ds["standard_error"])
    samples = ds["sample"].values.astype(float) if "sample" in ds else np.empty(0)
    said = curvature.plus_minus(value, half)
    words = curvature.eigenvalue_label(ds, "value", "Trace")
    ends = np.array([value - half, value + half])
    found, across = _among(samples, value, ends, said) if samples.size else _alone(value, ends, said)
    return Chart(
        panels=(Panel(rulers.linear(words, np.concatenate([ends, samples]), 0.1), found),),
        x=across,
        title=curvature.title(ds, title, f"Trace of the {curvature.matrix(ds)}"),
        subtitle=curvature.text([f"{said} ({curvature.interval(ds)} interval)", *_facts(ds)]),
    )


def _among(samples: np.ndarray, value: float, ends: np.ndarray, said: str) -> tuple[tuple[Series, ...], Ruler]:
    """A line with its band among the samples of the probes."""
    x = np.array([0.4, samples.size + 0.6])
    line = Series(
        "trace", x, np.full(2, value), "main", 1.8, band=np.repeat(ends[:, None], 2, axis=1), hover=(said,) * 2
    )
    dots = Series("samples", np.arange(1.0, samples.size + 1), samples, "light", symbol="circle")
    return (line, dots), rulers.counting("Probe", samples.size)


def _alone(value: float, ends: np.ndarray, said: str) -> tuple[tuple[Series, ...], Ruler]:
    """A dot with its interval."""
    dot = Series("trace", np.ones(1), np.array([value]), symbol="circle", bars=ends[:, None], hover=(said,))
    return (dot,), Ruler("", ends=(0.0, 2.0), ticks=(1.0,), words=("",))


def _diagonal(ds: xr.Dataset, title: str | None) -> Chart:
    values, errors = (ds[name].values.astype(float) for name in ("value", "standard_error"))
    order = np.argsort(-values)
    order = order[np.isfinite(values[order])]
    kept = thinned(np.arange(order.size), MOST_ENTRIES)
    y, half = values[order][kept], curvature.quantile(ds) * np.nan_to_num(errors[order][kept])
    band, rank = np.array([y - half, y + half]), kept + 1.0
    size = np.abs(y[y != 0])
    words = curvature.eigenvalue_label(ds, "value", "Entry of the diagonal")
    ruler = rulers.linear(words, np.concatenate([y, band.ravel()]), zero=True)
    if size.size and size.max() > 100 * np.median(size):
        ruler = rulers.asinh(words, 1.3 * float(min(band.min(), 0.0)), 1.3 * float(band.max()), float(np.median(size)))
    hover = tuple(f"rank {int(r):,}: {number(v, 4)} ± {number(h, 2)}" for r, v, h in zip(rank, y, half, strict=True))
    line = Series("diagonal", rank, y, "main", 1.4, band=band, hover=hover)
    lost = values.size - order.size
    return Chart(
        panels=(Panel(ruler, (line,), (Mark(0.0, "", upright=False),)),),
        x=rulers.linear("Rank by size", rank, 0.01),
        title=curvature.title(ds, title, f"Diagonal of the {curvature.matrix(ds)}"),
        subtitle=curvature.text([*_facts(ds), f"Band: {curvature.interval(ds)} interval of each entry"]),
        notes=(f"{lost:,} of {values.size:,} entries {'is' if lost == 1 else 'are'} not finite",) if lost else (),
    )


def _facts(ds: xr.Dataset) -> list[str]:
    method = str(ds.attrs.get("method", ""))
    named = {"hutchinson": "Hutchinson's estimate", "hutch++": "Hutch++", "xtrace": "XTrace"}.get(method, method)
    return [curvature.about(ds), ", ".join(x for x in (named, *curvature.products(ds)) if x)]
