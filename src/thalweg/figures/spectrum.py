r"""Eigenvalues by rank, each with the interval that its residual proves, and how many outliers the classes explain.

For a symmetric matrix $A$ and a unit vector $v$, the residual $\lVert Av - \lambda v \rVert = r$ proves that $A$ has an
eigenvalue in $[\lambda - r, \lambda + r]$ (Parlett, The Symmetric Eigenvalue Problem, section 4.5): that is the bar.
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

DECADES_FOR_LOG = 2.0  # 'auto' takes logarithms when the magnitudes span more than this
DEPTH = 1e-8  # magnitudes below this fraction of the largest are drawn there on a logarithmic axis
_TITLES = {
    "magnitude": "Eigenvalues of largest magnitude",
    "largest": "Largest eigenvalues",
    "smallest": "Smallest eigenvalues",
    "both": "Largest and smallest eigenvalues",
}
_PARTS: tuple[tuple[str, bool, bool], ...] = (
    ("positive", True, True),
    ("negative", False, True),
    ("positive, not converged", True, False),
    ("negative, not converged", False, False),
)


def spectrum(
    ds: xr.Dataset,
    *,
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw eigenvalues by rank with the bars $\lambda \pm \lVert Av - \lambda v \rVert$ that hold an eigenvalue each.

    Positive eigenvalues are dots, negative ones triangles of another colour; pairs that did not converge are hollow,
    and the subtitle counts them. Where the number of classes C is known, a line stands behind the first C - 1 pairs:
    as many outliers has the curvature of most classifiers (Sagun et al. 2017, Papyan 2018).

    Parameters
    ----------
    ds
        Kind `eigenpairs`. The vectors are not needed.
    log
        Whether magnitudes are drawn on a logarithmic axis; the sign is then told by mark and colour. 'auto': if they
        span more than two decades.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no pair, or no eigenvalue is finite.

    Examples
    --------
    >>> import xarray as xr
    >>> pairs = xr.Dataset(
    ...     {
    ...         "eigenvalue": ("pair", [5.0, 2.0, -1.0]),
    ...         "residual": ("pair", [1e-3, 2e-3, 0.4]),
    ...         "converged": ("pair", [True, True, False]),
    ...     },
    ...     {"pair": [1, 2, 3]},
    ...     {"kind": "eigenpairs", "matrix": "hessian", "which": "magnitude", "tol": 1e-3, "num_matvecs": 12},
    ... )
    >>> shown = spectrum(pairs, backend="none")
    >>> [(series.label, series.x.tolist()) for series in shown.panels[0].series]
    [('positive', [1.0, 2.0]), ('negative, not converged', [3.0])]
    >>> shown.subtitle
    'Hessian. 3 pairs from 12 products. Tolerance 0.001, largest residual 0.4. 1 of 3 pairs has not converged (hollow)'
    """
    draw = drawer(backend, "chart")
    return draw(prepare_spectrum(ds, log=log, title=title), theme)


def prepare_spectrum(ds: xr.Dataset, *, log: bool | Literal["auto"] = "auto", title: str | None = None) -> Chart:
    """Read the pairs.

    Raises
    ------
    ValueError
        As `spectrum`.
    """
    kinds.need(ds, "eigenpairs")
    values = ds["eigenvalue"].values.astype(float)
    if not np.isfinite(values).any():
        what = "holds no pair" if not values.size else "has no finite eigenvalue"
        raise ValueError(f"The dataset {what}, so there is nothing to draw; ask `top_eigenpairs` for k=1 or more.")
    magnitudes = np.abs(values[np.isfinite(values)])
    logarithmic = _wants_log(magnitudes) if log == "auto" else bool(log)
    if logarithmic and not magnitudes.max() > 0:
        raise ValueError("All eigenvalues are zero, so they have no logarithms; draw them with log=False.")
    residuals = ds["residual"].values.astype(float)
    ruler = _ruler(ds, values, residuals, logarithmic)
    zero = (Mark(0.0, "", upright=False),) if not logarithmic and (values < 0).any() else ()
    return Chart(
        panels=(Panel(ruler, _series(ds, values, residuals, ruler), (*zero, *_classes(ds))),),
        x=rulers.counting("Pair", values.size),
        title=curvature.title(ds, title, _title(ds)),
        subtitle=curvature.text(_facts(ds, residuals)),
        notes=_notes(values, ruler),
    )


def _wants_log(magnitudes: np.ndarray) -> bool:
    positive = magnitudes[magnitudes > DEPTH * magnitudes.max()] if magnitudes.size else magnitudes
    return bool(positive.size > 1 and np.log10(positive.max() / positive.min()) > DECADES_FOR_LOG)


def _ruler(ds: xr.Dataset, values: np.ndarray, residuals: np.ndarray, log: bool) -> Ruler:
    words = curvature.eigenvalue_label(ds)
    if not log:
        return rulers.linear(words, np.concatenate([values - residuals, values + residuals, values]), zero=True)
    magnitudes = np.abs(values[np.isfinite(values)])
    top = float(np.nanmax(np.abs(values) + np.nan_to_num(residuals)))
    low = max(float(magnitudes.min()), DEPTH * float(magnitudes.max()))
    return rulers.log(words.replace("Eigenvalue λ", "Magnitude |λ|"), low / 2, top * 1.6)


def _series(ds: xr.Dataset, values: np.ndarray, residuals: np.ndarray, ruler: Ruler) -> tuple[Series, ...]:
    """Up to four: by sign and by whether they converged."""
    pair = np.arange(1.0, values.size + 1)
    converged = ds["converged"].values.astype(bool)
    y, bars = _drawn(values, residuals, ruler)
    hover = [
        f"pair {k + 1}: λ = {number(float(v), 5)} ± {number(float(r), 2)}" + ("" if converged[k] else ", not converged")
        for k, (v, r) in enumerate(zip(values, residuals, strict=True))
    ]
    found: list[Series] = []
    for label, positive, done in _PARTS:
        mine = np.flatnonzero(np.isfinite(values) & ((values >= 0) == positive) & (converged == done))
        if mine.size:
            look: dict[str, Any] = {"color": "main", "symbol": "circle"}
            look |= {} if positive else {"color": "warm", "symbol": "triangle"}
            look |= {} if done else {"hollow": True, "key": "" if any(s.hollow for s in found) else "not converged"}
            said = tuple(hover[k] for k in mine)
            found.append(Series(label, pair[mine], y[mine], bars=bars[:, mine], hover=said, **look))
    return tuple(found)


def _drawn(values: np.ndarray, residuals: np.ndarray, ruler: Ruler) -> tuple[np.ndarray, np.ndarray]:
    """Where marks and the ends of their bars stand; on a logarithmic axis nothing lies below its low end."""
    if ruler.kind == "linear" or ruler.ends is None:
        return values, np.array([values - residuals, values + residuals])
    size, low = np.abs(values), ruler.ends[0]
    return np.maximum(size, 2 * low), np.maximum([size - residuals, size + residuals], low)


def _classes(ds: xr.Dataset) -> tuple[Mark, ...]:
    """A line between pairs C - 1 and C, where the pairs begin with the largest."""
    count = int(ds.attrs.get("num_classes", 0) or 0)
    if count < 2 or count - 1 > ds.sizes["pair"] or ds.attrs.get("which") == "smallest":
        return ()
    return (Mark(count - 0.5, f"classes − 1 = {count - 1}"),)


def _title(ds: xr.Dataset) -> str:
    return f"{_TITLES.get(str(ds.attrs.get('which')), 'Eigenvalues')} of the {curvature.matrix(ds)}"


def _facts(ds: xr.Dataset, residuals: np.ndarray) -> list[str]:
    count, finite = ds.sizes["pair"], np.isfinite(ds["eigenvalue"].values)
    failed = int((~ds["converged"].values.astype(bool) & finite).sum())
    cost = curvature.products(ds)
    facts = [curvature.about(ds), f"{count} pair{'s' if count > 1 else ''}" + "".join(f" from {c}" for c in cost)]
    known = residuals[np.isfinite(residuals)]
    errors = [f"tolerance {number(float(ds.attrs['tol']))}"] if "tol" in ds.attrs else []
    errors += [f"largest residual {number(float(known.max()), 2)}"] if known.size else []
    facts.append(", ".join(errors).capitalize())
    if failed:
        facts.append(f"{failed} of {count} pairs {'has' if failed == 1 else 'have'} not converged (hollow)")
    share = float(ds.attrs.get("gradient_share", np.nan))
    if np.isfinite(share):
        facts.append(f"{100 * share:.3g}% of the squared gradient lies in their span")
    return facts


def _notes(values: np.ndarray, ruler: Ruler) -> tuple[str, ...]:
    lost = int((~np.isfinite(values)).sum())
    notes = [f"{lost} of {values.size} eigenvalues {'is' if lost == 1 else 'are'} not finite"] * bool(lost)
    if ruler.kind == "log" and ruler.ends is not None and (below := int((np.abs(values) < 2 * ruler.ends[0]).sum())):
        floor = number(2 * ruler.ends[0], 2)
        notes.append(
            f"{below} of {values.size} eigenvalues smaller than {floor} {'is' if below == 1 else 'are'} drawn there"
        )
    return tuple(notes)
