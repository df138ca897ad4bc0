"""The whole density of eigenvalues along training, as a map with the threshold of stability on it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Series
from thalweg.figures.density import axis, floor
from thalweg.figures.heat import Heat, edges
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.spectrum_path import threshold_line, threshold_of
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_DARK = 0.25  # share of the colours below those of single eigenvalues, which would be too dark to see


def density_path(
    ds: xr.Dataset,
    *,
    spread: Literal["auto", "linear", "asinh"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw densities of eigenvalues over training as a map, with the sharpness and the threshold of stability.

    Colours are decimal logarithms of the density; what is below the height of a single eigenvalue is left open.

    Parameters
    ----------
    ds
        Kind `spectrum_path` with `density(step, grid)`.
    spread
        How eigenvalues are laid out, as in `density`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `heat.Heat`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or has no densities, or none is positive.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> both, names = ("step", "pair"), ("num_matvecs", "learning_rate", "loss", "gradient_norm", "gradient_share")
    >>> grid = np.linspace(-1, 3, 41)
    >>> bells = np.exp(-8 * (grid - np.array([[0.0], [1.0]])) ** 2)
    >>> path = xr.Dataset(
    ...     {name: ("step", [1.0, 1.0]) for name in names}
    ...     | {name: (both, [[1.0], [2.0]]) for name in ("eigenvalue", "residual")}
    ...     | {"converged": (both, np.ones((2, 1), bool)), "density": (("step", "grid"), bells)}
    ...     | {"threshold": ("step", [2.0, 2.0])},
    ...     {"step": [0, 10], "grid": grid, "pair": [1]},
    ...     {"kind": "spectrum_path", "matrix": "hessian", "threshold_words": "2 / learning rate"},
    ... )
    >>> shown = density_path(path, backend="none")
    >>> shown.values.shape, [line.label for line in shown.lines]
    ((2, 41), ['2 / learning rate', 'sharpness'])
    """
    draw = drawer(backend, "heat")
    return draw(prepare_density_path(ds, spread=spread, title=title), theme)


def prepare_density_path(
    ds: xr.Dataset, *, spread: Literal["auto", "linear", "asinh"] = "auto", title: str | None = None
) -> Heat:
    """Read the densities.

    Raises
    ------
    ValueError
        As `density_path`.
    """
    kinds.need(ds, "spectrum_path")
    if "density" not in ds:
        raise ValueError("The dataset has no `density(step, grid)`; figures.spectrum_path draws its top eigenvalues.")
    values, grid = ds["density"].values.astype(float), ds["grid"].values.astype(float)
    if not (np.isfinite(values) & (values > 0)).any():
        raise ValueError(
            "The densities are nowhere positive and finite, so they have no logarithm and nothing to draw."
        )
    step, low = steps.recorded(ds).astype(float), floor(ds, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        heights = np.where(values >= low, np.log10(values), np.nan)
    up = axis(curvature.eigenvalue_label(ds), grid, np.nanmean(values, axis=0), spread, [])
    ends = edges(step)
    top = float(np.nanmax(heights))
    powers = np.arange(np.ceil(np.log10(low)), np.floor(top) + 1)
    return Heat(
        x=Ruler(label(ds["step"]), ends=(float(ends[0]), float(ends[-1]))),
        y=up,
        x_edges=ends,
        y_edges=edges(grid, up),
        values=heights,
        low=float(np.log10(low)) - _DARK * (top - float(np.log10(low))),
        high=top,
        bar="Density of the eigenvalues",
        ticks=tuple(powers.tolist()),
        words=tuple(scale.tick_text(p, True) for p in powers),
        hover=_hover(step, grid, values),
        title=title or f"Spectral density of the {curvature.matrix(ds)} along training",
        subtitle=curvature.text([curvature.about(ds), f"{step.size} checkpoints", "Colours are logarithmic"]),
        lines=_lines(ds, step, up),
    )


def _lines(ds: xr.Dataset, step: np.ndarray, up: Ruler) -> tuple[Series, ...]:
    """The threshold where the map shows it, and the top eigenvalue."""
    low, high = up.ends or (-np.inf, np.inf)
    threshold = threshold_of(ds) if "preconditioned" not in ds else np.full(step.size, np.nan)
    seen = np.where((threshold >= low) & (threshold <= high), threshold, np.nan)
    found = []
    if np.isfinite(seen).any():
        found.append(threshold_line(ds, step, seen, color="path", line=1.8, cased=True))
    if ds.sizes["pair"]:
        found.append(Series("sharpness", step, ds["eigenvalue"].values[:, 0].astype(float), "gold", 1.2, cased=True))
    return tuple(found)


def _hover(step: np.ndarray, grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    said = np.empty(values.shape, dtype=object)
    for i, j in np.ndindex(values.shape):
        said[i, j] = (
            f"step {steps.word(float(step[i]))}, λ = {number(float(grid[j]), 3)}: {number(float(values[i, j]), 2)}"
        )
    return said
