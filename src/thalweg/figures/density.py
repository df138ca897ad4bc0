r"""The density of all eigenvalues on a logarithmic axis, its confidence band, and the exact top pairs on it.

A stochastic estimate shows the bulk of the spectrum with small error, and single outliers, whose mass is one part in
`num_selected`, with a large one. So both are drawn on the same axes: the density with its band, and exact
eigenvalues as stems.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Mark, Panel, Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

FAR = 12.0  # 'auto' bends the axis when the farthest eigenvalue lies so many times beyond 90% of the mass
DEEPEST = 1e-10  # of the largest density: nothing below it is drawn
_SINGLE = 0.08  # of the height that one eigenvalue has: where the axis ends
_BULK = 0.9
_SAME = {"matrix": "matrix", "num_selected": "number of weights", "num_weights": "network", "theta_id": "point"}


def density(
    ds: xr.Dataset,
    pairs: xr.Dataset | None = None,
    *,
    spread: Literal["auto", "linear", "asinh"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw a spectral density on a logarithmic axis with its band, and exact eigenvalues as stems on it.

    The part over negative eigenvalues has a colour of its own. The axis ends below the height of a single eigenvalue,
    which is $1 / (n \sigma \sqrt{2\pi})$ for n weights and bumps of width $\sigma$.

    Parameters
    ----------
    ds
        Kind `spectral_density`. The band is `density_low` to `density_high` where measured, else the density plus and
        minus `attrs["quantile"]` standard errors.
    pairs
        Kind `eigenpairs` of the same matrix at the same weights; pairs that did not converge are hollow.
    spread
        How eigenvalues are laid out: evenly, or `asinh`: evenly around zero and by decades beyond, so that the bulk and
        outliers both show. 'auto': `asinh` if outliers lie far beyond the bulk.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If a dataset is of another kind, nothing is positive, or the pairs are of another matrix or point.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> x = np.linspace(-4, 4, 81)
    >>> bell = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    >>> told = {"matrix": "hessian", "sigma": 1.0, "num_selected": 100}
    >>> normal = xr.Dataset(
    ...     {
    ...         "density": ("eigenvalue", bell),
    ...         "density_standard_error": ("eigenvalue", 0.1 * bell),
    ...         "node": (("probe", "rank"), [[-1.0, 1.0]]),
    ...         "node_weight": (("probe", "rank"), [[0.5, 0.5]]),
    ...     },
    ...     {"eigenvalue": x},
    ...     {"kind": "spectral_density", "trace": 0.0, "trace_standard_error": 4.0, **told},
    ... )
    >>> shown = density(normal, backend="none")
    >>> shown.x.kind, [series.label for series in shown.panels[0].series]
    ('linear', ['density', 'below zero'])
    >>> shown.subtitle
    'Hessian of all 100 weights. 1 probe × 2 products, smoothed by σ = 1. Trace 0 ± 7.8 (95%)...'
    """
    draw = drawer(backend, "chart")
    return draw(prepare_density(ds, pairs, spread=spread, title=title), theme)


def prepare_density(
    ds: xr.Dataset,
    pairs: xr.Dataset | None = None,
    *,
    spread: Literal["auto", "linear", "asinh"] = "auto",
    title: str | None = None,
) -> Chart:
    """Read a density, and pairs that lie on it.

    Raises
    ------
    ValueError
        As `density`.
    """
    kinds.need(ds, "spectral_density")
    if spread not in ("auto", "linear", "asinh"):
        raise ValueError(f"spread={spread!r} is unknown; pass 'auto', 'linear' or 'asinh'.")
    if pairs is not None:
        _same(ds, pairs)
    x, y = (ds[name].values.astype(float) for name in ("eigenvalue", "density"))
    if not (np.isfinite(y) & (y > 0)).any():
        raise ValueError("The density is nowhere positive and finite, so it has no logarithm and nothing to draw.")
    low = floor(ds, y)
    band = _band(ds, y)
    up = rulers.log(f"Density of the eigenvalues{_per(ds)}", low, 2 * float(np.nanmax(y)))
    curves = (*_curves(x, y, band, low), *(() if pairs is None else _stems(x, y, pairs, low)))
    across = axis(curvature.eigenvalue_label(ds), x, y, spread, [s.x for s in curves if s.bars is not None])
    zero = (Mark(0.0, ""),) if across.ends is not None and across.ends[0] < 0 < across.ends[1] else ()
    return Chart(
        panels=(Panel(up, curves, zero),),
        x=across,
        title=curvature.title(ds, title, f"Spectral density of the {curvature.matrix(ds)}"),
        subtitle=curvature.text(_facts(ds, pairs)),
    )


def floor(ds: xr.Dataset, y: np.ndarray) -> float:
    """Where the logarithmic axis of densities ends: below a single eigenvalue, where its height is known."""
    top, sigma = float(np.nanmax(y)), _scalar(ds, "sigma")
    count = ds.attrs.get("num_selected") or ds.attrs.get("num_weights")
    if count is None or not sigma > 0:
        return 1e-6 * top
    return float(np.clip(_SINGLE / (float(count) * sigma * np.sqrt(2 * np.pi)), DEEPEST * top, 1e-2 * top))


def axis(
    words: str, x: np.ndarray, y: np.ndarray, spread: Literal["auto", "linear", "asinh"], places: list[np.ndarray]
) -> Ruler:
    """The axis of eigenvalues `x` with density `y`, wide enough for further `places`."""
    mass = np.nan_to_num(y) * np.gradient(x)
    order = np.argsort(np.abs(x))
    share = np.cumsum(mass[order]) / mass.sum()
    bulk = float(np.abs(x)[order][np.searchsorted(share, _BULK).clip(0, x.size - 1)])
    every = np.concatenate([x, *places])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    width = max(bulk, 1e-6 * max(abs(low), abs(high)))
    if spread == "linear" or (spread == "auto" and max(abs(low), abs(high)) < FAR * width):
        return rulers.linear(words, every, 0.02 if places else 0.0)
    room = 0.03 * (np.arcsinh(high / width) - np.arcsinh(low / width))
    first, last = (float(width * np.sinh(np.arcsinh(v / width) + s * room)) for v, s in ((low, -1), (high, 1)))
    return rulers.asinh(words, first, last, width)


def _band(ds: xr.Dataset, y: np.ndarray) -> np.ndarray:
    if "density_low" in ds and "density_high" in ds:
        return np.array([ds["density_low"].values, ds["density_high"].values], dtype=float)
    half = curvature.quantile(ds) * ds["density_standard_error"].values.astype(float)
    return np.array([y - half, y + half])


def _curves(x: np.ndarray, y: np.ndarray, band: np.ndarray, low: float) -> tuple[Series, ...]:
    """The density below zero and above; both hold the value at zero, and end a little below the axis."""
    at_zero = x.min() < 0 < x.max() and not (x == 0).any()
    if at_zero:
        place = int(np.searchsorted(x, 0.0))
        between = [np.interp(0.0, x, row) for row in (y, *band)]
        x = np.insert(x, place, 0.0)
        y, band = np.insert(y, place, between[0]), np.insert(band, place, between[1:], axis=1)
    y, band = np.maximum(y, low / 10), np.maximum(band, low / 10)
    found = []
    for label, part, shade in (("density", x >= 0, "main"), ("below zero", x <= 0, "warm")):
        if part.sum() > 1:
            said = tuple(f"λ = {number(a, 4)}: density {number(b, 3)}" for a, b in zip(x[part], y[part], strict=True))
            found.append(Series(label, x[part], y[part], shade, 1.4, band=band[:, part], hover=said))
    return tuple(found)


def _stems(x: np.ndarray, y: np.ndarray, pairs: xr.Dataset, low: float) -> tuple[Series, ...]:
    """Exact eigenvalues, each from the foot of the axis up to the density there, as wide as its residual."""
    value, residual = (pairs[name].values.astype(float) for name in ("eigenvalue", "residual"))
    converged = pairs["converged"].values.astype(bool)
    height = np.maximum(np.interp(value, x, np.nan_to_num(y), left=0.0, right=0.0), 1.6 * low)
    found = []
    for label, done in (("exact eigenvalues", True), ("not converged", False)):
        mine = np.isfinite(value) & (converged == done)
        if mine.any():
            v, r, top = value[mine], np.nan_to_num(residual[mine]), height[mine]
            said = tuple(f"λ = {number(a, 5)} ± {number(b, 2)}" for a, b in zip(v, r, strict=True))
            look: dict[str, Any] = {"color": "text", "symbol": "circle", "hollow": not done, "hover": said}
            look |= {"bars": np.array([np.full(v.size, low), top]), "across": np.array([v - r, v + r])}
            found.append(Series(label, v, top, **look))
    return tuple(found)


def _same(ds: xr.Dataset, pairs: xr.Dataset) -> None:
    kinds.need(pairs, "eigenpairs", "pairs")
    for name, words in _SAME.items():
        mine, its = ds.attrs.get(name), pairs.attrs.get(name)
        if mine is not None and its is not None and mine != its:
            raise ValueError(
                f"`pairs` have another {words} ({its}) than the density ({mine}), so they do not lie on it; "
                "measure both with the same problem, matrix and parameters."
            )


def _per(ds: xr.Dataset) -> str:
    units = curvature.eigenvalue_label(ds).partition(" [")[2].rstrip("]")
    return f" [1 / {units}]" if units else ""


def _scalar(ds: xr.Dataset, name: str) -> float:
    values = np.atleast_1d(ds.attrs.get(name, np.nan)).astype(float)
    return float(values[0]) if values.size == 1 else np.nan


def _facts(ds: xr.Dataset, pairs: xr.Dataset | None) -> list[str]:
    facts = [curvature.about(ds)]
    probes, products = ds["node"].shape
    sigma = _scalar(ds, "sigma")
    facts.append(f"{probes} probe{'s' if probes != 1 else ''} × {products} products")
    facts[-1] += f", smoothed by σ = {number(sigma, 2)}" if sigma > 0 else ""
    if "trace" in ds.attrs:
        half = curvature.quantile(ds) * float(ds.attrs.get("trace_standard_error", 0.0))
        said = curvature.plus_minus(float(ds.attrs["trace"]), half)
        facts.append(f"Trace {said}" + (f" ({curvature.interval(ds)})" if half > 0 else ""))
    facts.append(f"Band: {curvature.interval(ds)} interval")
    below = _below(ds, sigma if sigma > 0 else 0.0)
    facts.append(f"{_percent(below)} of the eigenvalues lie below −σ" if below > 0 and sigma > 0 else "")
    failed = 0 if pairs is None else int((~pairs["converged"].values.astype(bool)).sum())
    facts.append(
        f"{failed} of {pairs.sizes['pair']} pairs not converged (hollow)" if pairs is not None and failed else ""
    )
    return facts


def _below(ds: xr.Dataset, sigma: float) -> float:
    """The share of the mass that is negative beyond what smoothing moves there."""
    weights = np.nan_to_num(ds["node_weight"].values.astype(float))
    return float((weights * (ds["node"].values < -sigma)).sum() / weights.sum())


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"
