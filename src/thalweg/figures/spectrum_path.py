r"""Curvature along training: the top eigenvalues with the threshold of stability, the loss, the gradient's share.

Gradient descent with learning rate $\eta$ on a quadratic is stable while the sharpness is below $2/\eta$; full-batch
training of networks raises the sharpness up to that line and stays there, the edge of stability (Cohen et al. 2021,
arXiv:2103.00065).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Mark, Panel, Series
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.spectrum import DECADES_FOR_LOG
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

REACH = 3.0  # a threshold widens the axis up to so many times the largest eigenvalue


def spectrum_path(
    ds: xr.Dataset,
    *,
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw the top eigenvalues over training with the threshold of stability, above the loss and the gradient's share.

    The sharpness (pair 1) is the thick curve. Pairs that did not converge at a step are hollow marks with the bars of
    their residuals. The threshold is dashed and named in the legend; where the dataset has eigenvalues of the
    preconditioned matrix, it belongs to those, and they have a panel of their own.

    Parameters
    ----------
    ds
        Kind `spectrum_path`.
    log
        Whether eigenvalues are on a logarithmic axis. 'auto': if all are positive and span more than two decades.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no step or no pair.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> both, each = ("step", "pair"), lambda *values: ("step", list(values))
    >>> path = xr.Dataset(
    ...     {
    ...         "eigenvalue": (both, [[1.0, 0.5], [20.0, 1.0]]),
    ...         "residual": (both, np.full((2, 2), 1e-3)),
    ...         "converged": (both, np.ones((2, 2), bool)),
    ...         "num_matvecs": each(12, 8),
    ...         "learning_rate": each(0.1, 0.1),
    ...         "threshold": each(20.0, 20.0),
    ...         "loss": each(2.0, 1.0),
    ...         "gradient_norm": each(1.0, 0.5),
    ...         "gradient_share": each(0.2, 0.9),
    ...     },
    ...     {"step": [0, 10], "pair": [1, 2]},
    ...     {"kind": "spectrum_path", "matrix": "hessian", "threshold_words": "2 / learning rate"},
    ... )
    >>> shown = spectrum_path(path, backend="none")
    >>> [series.entry for series in shown.keys], [panel.ruler.label for panel in shown.panels]
    (['sharpness (pair 1)', 'pair 2', '2 / learning rate'], ['Eigenvalue λ', 'Loss', 'Share of the\ngradient'])
    """
    draw = drawer(backend, "chart")
    return draw(prepare_spectrum_path(ds, log=log, title=title), theme)


def prepare_spectrum_path(ds: xr.Dataset, *, log: bool | Literal["auto"] = "auto", title: str | None = None) -> Chart:
    """Read curvature along training.

    Raises
    ------
    ValueError
        As `spectrum_path`.
    """
    kinds.need(ds, "spectrum_path")
    if not ds.sizes["step"] or not ds.sizes["pair"]:
        raise ValueError("The dataset holds no step or no pair, so there is nothing to draw.")
    step = steps.recorded(ds).astype(float)
    limited = "preconditioned" if "preconditioned" in ds else "eigenvalue"
    panels = [_eigenvalues(ds, "eigenvalue", step, log, limit=limited == "eigenvalue")]
    if "preconditioned" in ds:
        panels.append(_eigenvalues(ds, "preconditioned", step, log, limit=True))
    panels += [_loss(ds, step), *_share(ds, step)]
    return Chart(
        panels=tuple(panels),
        x=rulers.linear(label(ds["step"]), step, 0.015),
        title=curvature.title(ds, title, f"Top eigenvalues of the {curvature.matrix(ds)} along training"),
        subtitle=curvature.text(_facts(ds)),
        notes=_notes(ds, limited),
        unified=True,
    )


def _eigenvalues(ds: xr.Dataset, name: str, step: np.ndarray, log: bool | Literal["auto"], limit: bool) -> Panel:
    values = ds[name].values.astype(float)
    if not np.isfinite(values).any():
        raise ValueError(f"`{name}` has no finite value, so there is nothing to draw.")
    threshold = threshold_of(ds) if limit else np.full(step.size, np.nan)
    words = "Eigenvalue λ" if name == "eigenvalue" else "Preconditioned\neigenvalue"
    ruler = _ruler(curvature.eigenvalue_label(ds, name, words), values, threshold, log)
    keyed = name == "eigenvalue"
    marks = (Mark(0.0, "", upright=False),) if ruler.kind == "linear" and np.nanmin(values) < 0 else ()
    seen = ruler.ends is not None and (threshold <= ruler.ends[1]).any()
    line = (threshold_line(ds, step, threshold),) if seen else ()
    curves = tuple(_pair(values[:, k], step, k, values.shape[1], keyed) for k in range(values.shape[1]))
    return Panel(ruler, (*curves, *line, *_failed(ds, name, step, keyed)), marks, 2.4)


def threshold_of(ds: xr.Dataset) -> np.ndarray:
    """The curvature at which descent becomes unstable, nan where it is unknown or has no bound."""
    values = ds["threshold"].values.astype(float)
    return np.where(np.isfinite(values), values, np.nan)


def threshold_line(ds: xr.Dataset, step: np.ndarray, values: np.ndarray, **look: Any) -> Series:
    """The threshold over the steps, by its name."""
    words = str(ds.attrs.get("threshold_words") or "threshold of stability")
    style: dict[str, Any] = {"color": "warm", "line": 1.4, "dashed": True} | look
    return Series(words, step, values, **style)


def _ruler(words: str, values: np.ndarray, threshold: np.ndarray, log: bool | Literal["auto"]) -> Ruler:
    """Wide enough for the eigenvalues, and for a threshold that is not far above them."""
    finite = values[np.isfinite(values)]
    top = max(float(finite.max()), 0.0)
    near = threshold[threshold <= REACH * top] if top > 0 else threshold[:0]
    every = np.concatenate([finite, near])
    positive = bool((every > 0).all())
    if log is True and not positive:
        raise ValueError("Some eigenvalues are not positive, so they have no logarithm; draw them with log=False.")
    wide = positive and np.log10(every.max() / every.min()) > DECADES_FOR_LOG
    if log is True or (log == "auto" and wide):
        return rulers.log(words, float(every.min()) / 1.4, 1.4 * float(every.max()))
    return rulers.linear(words, every, zero=True)


def _pair(values: np.ndarray, step: np.ndarray, k: int, count: int, keyed: bool) -> Series:
    """The sharpness is thick; all others look alike and share an entry of the legend."""
    others = "pair 2" if count == 2 else f"pairs 2 to {count}"
    key = {0: "sharpness (pair 1)", 1: others}.get(k, "") if keyed else ""
    look: dict[str, Any] = {"color": "light", "line": 0.9} if k else {"color": "main", "line": 2.2}
    look |= {"symbol": "circle"} if step.size == 1 else {}
    hover = tuple(f"pair {k + 1}: {number(float(v), 5)}" for v in values)
    return Series(f"pair {k + 1}", step, values, key=key, hover=hover, **look)


def _failed(ds: xr.Dataset, name: str, step: np.ndarray, keyed: bool) -> tuple[Series, ...]:
    """Hollow marks where a pair did not converge; residuals are those of the matrix itself."""
    values, residuals = ds[name].values.astype(float), ds["residual"].values.astype(float)
    at, pair = np.nonzero(~ds["converged"].values.astype(bool) & np.isfinite(values))
    if not at.size:
        return ()
    y, r = values[at, pair], np.nan_to_num(residuals[at, pair])
    bars = np.array([y - r, y + r]) if name == "eigenvalue" else None
    hover = tuple(f"pair {p + 1}, not converged: ± {number(float(e), 2)}" for p, e in zip(pair, r, strict=True))
    key = "not converged" if keyed else ""
    return (
        Series("not converged", step[at], y, "main", symbol="circle", hollow=True, bars=bars, hover=hover, key=key),
    )


def _loss(ds: xr.Dataset, step: np.ndarray) -> Panel:
    losses = ds["loss"].values.astype(float)
    words = curvature.eigenvalue_label(ds, "loss", "Loss")
    positive = losses[np.isfinite(losses) & (losses > 0)]
    wide = scale.wants_log(losses, "auto") or (
        positive.size and (losses > 0).all() and positive.max() > 100 * positive.min()
    )
    ruler = rulers.linear(words, losses)
    if wide:
        ruler = rulers.log(words, float(positive.min()) / 1.3, 1.3 * float(positive.max()))
    return Panel(ruler, (_single("loss", step, losses, "main"),))


def _share(ds: xr.Dataset, step: np.ndarray) -> list[Panel]:
    shares = ds["gradient_share"].values.astype(float)
    if not np.isfinite(shares).any():
        return []
    ticks = {"ticks": (0.0, 0.5, 1.0), "words": ("0", "0.5", "1")}
    ruler = Ruler("Share of the\ngradient", "linear", (-0.04, 1.04), **ticks)  # type: ignore[arg-type]
    return [Panel(ruler, (_single("gradient share", step, shares, "text"),))]


def _single(name: str, step: np.ndarray, values: np.ndarray, color: str) -> Series:
    hover = tuple(f"{name}: {number(float(v), 5)}" for v in values)
    return Series(name, step, values, color, 1.3, symbol="circle" if step.size == 1 else "", hover=hover, key="")


def _facts(ds: xr.Dataset) -> list[str]:
    count, total = ds.sizes["step"], int(np.nansum(ds["num_matvecs"].values))
    facts = [curvature.about(ds), f"{count} checkpoint{'s' if count > 1 else ''}"]
    facts[-1] += f", {number(total / count, 3)} products each" if total else ""
    failed = int((~ds["converged"].values.astype(bool) & np.isfinite(ds["eigenvalue"].values)).sum())
    if failed:
        every = ds["converged"].size
        facts.append(f"{failed} of {every:,} pairs {'has' if failed == 1 else 'have'} not converged (hollow)")
    if np.isfinite(ds["gradient_share"].values).any():
        k = ds.sizes["pair"]
        where = "along the top eigenvector" if k == 1 else f"in the span of the top {k} eigenvectors"
        facts.append(f"The share is that of the squared gradient {where}")
    return facts


def _notes(ds: xr.Dataset, limited: str) -> tuple[str, ...]:
    """What lies beyond the axes."""
    values, threshold = ds[limited].values.astype(float), threshold_of(ds)
    lost = int((~np.isfinite(values)).sum())
    notes = [f"{lost} of {values.size:,} eigenvalues {'is' if lost == 1 else 'are'} not finite"] * bool(lost)
    if np.isfinite(threshold).any() and np.isfinite(values).any():
        lowest = float(np.nanmin(threshold))
        if lowest > REACH * max(float(np.nanmax(values)), 0.0):
            words = str(ds.attrs.get("threshold_words") or "The threshold of stability")
            notes.append(f"{words} is {number(lowest)} or more, above the axis")
    return tuple(notes)
