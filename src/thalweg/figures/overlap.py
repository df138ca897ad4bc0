r"""How much of the top subspace stays the same while a network trains, as a matrix over pairs of steps.

For orthonormal top eigenvectors $U_s$, $U_t$ (columns, k of them) at steps s and t the overlap is
$\lVert U_s^\top U_t \rVert_F^2 / k$: 1 for the same subspace, about k / n for unrelated ones (Gur-Ari, Roberts & Dyer
2018, arXiv:1812.04754).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.heat import Heat, thinned
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

MOST_TOLD, _MOST_TICKS = 10, 12  # steps up to which every cell says its number; ticks on an axis


def overlap(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw the overlaps of the top subspaces at different steps as a matrix, from 0 to 1.

    Steps are equally wide, however far apart they are; up to ten of them the numbers stand in the cells.

    Parameters
    ----------
    ds
        Kind `spectrum_path` with `overlap(step, other)`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `heat.Heat`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or has no overlaps, or they are not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> both, names = ("step", "pair"), ("num_matvecs", "learning_rate", "loss", "gradient_norm", "gradient_share")
    >>> path = xr.Dataset(
    ...     {name: ("step", [1.0, 1.0]) for name in (*names, "threshold")}
    ...     | {name: (both, np.ones((2, 1))) for name in ("eigenvalue", "residual")}
    ...     | {"converged": (both, np.ones((2, 1), bool)), "overlap": (("step", "other"), [[1.0, 0.25], [0.25, 1.0]])},
    ...     {"step": [0, 10], "other": [0, 10], "pair": [1]},
    ...     {"kind": "spectrum_path", "matrix": "hessian"},
    ... )
    >>> shown = overlap(path, backend="none")
    >>> shown.values[0], shown.x.words
    (array([1.  , 0.25]), ('0', '10'))
    """
    draw = drawer(backend, "heat")
    return draw(prepare_overlap(ds, title=title), theme)


def prepare_overlap(ds: xr.Dataset, *, title: str | None = None) -> Heat:
    """Read the overlaps.

    Raises
    ------
    ValueError
        As `overlap`.
    """
    kinds.need(ds, "spectrum_path")
    if "overlap" not in ds or not ds["overlap"].size:
        raise ValueError(
            "The dataset has no overlaps; measure them with `thalweg.track_spectrum` at two steps or more."
        )
    values = ds["overlap"].values.astype(float)
    finite = values[np.isfinite(values)]
    if finite.size and (finite.min() < -1e-6 or finite.max() > 1 + 1e-6):
        ends = f"{number(float(finite.min()))} to {number(float(finite.max()))}"
        raise ValueError(f"Overlaps are between 0 and 1, and these run from {ends}; are the vectors orthonormal?")
    columns, rows = (ds[name].values.astype(float) for name in ("step", "other"))
    k = ds.sizes["pair"]
    few = max(values.shape) <= MOST_TOLD
    ticks = tuple(np.linspace(0, 1, 6).round(1).tolist())
    return Heat(
        x=_ruler(label(ds["step"]), columns, downward=False),
        y=_ruler(label(ds["step"]), rows, downward=True),
        x_edges=np.arange(columns.size + 1) - 0.5,
        y_edges=np.arange(rows.size + 1) - 0.5,
        values=values,
        low=0.0,
        high=1.0,
        bar="Overlap of the top eigenvectors" if k == 1 else f"Overlap of the top {k} eigenvectors",
        ticks=ticks,
        words=tuple(f"{t:g}" for t in ticks),
        hover=_hover(columns, rows, values),
        title=title or f"Overlap of the top subspaces of the {curvature.matrix(ds)}",
        subtitle=curvature.text(_facts(ds, k)),
        told=np.vectorize(lambda v: f"{v:.2f}" if np.isfinite(v) else "", otypes=[object])(values) if few else None,
        square=True,
        downward=True,
    )


def _ruler(title: str, known: np.ndarray, downward: bool) -> Ruler:
    """Steps as equally wide cells, numbered from 0."""
    at = thinned(known.size, _MOST_TICKS)
    ends = (known.size - 0.5, -0.5) if downward else (-0.5, known.size - 0.5)
    words = tuple(steps.word(known[k]) for k in at)
    return Ruler(title, "linear", ends, 1.0, tuple(map(float, at)), words)


def _hover(columns: np.ndarray, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    said = np.empty(values.shape, dtype=object)
    for i, j in np.ndindex(values.shape):
        said[i, j] = (
            f"steps {steps.word(float(columns[i]))} and {steps.word(float(rows[j]))}: {number(float(values[i, j]), 3)}"
        )
    return said


def _facts(ds: xr.Dataset, k: int) -> list[str]:
    count = ds.attrs.get("num_selected") or ds.attrs.get("num_weights")
    facts = [curvature.about(ds), f"{k} eigenvector{'s' if k > 1 else ''} at each of {ds.sizes['step']} steps"]
    if count:
        facts.append(f"Unrelated subspaces overlap by {number(k / float(count), 2)} on average")
    return facts
