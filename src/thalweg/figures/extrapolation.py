"""Predictions of networks of one input within and beyond their training data, and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Mark, Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_DECADES = 5.0  # of errors at most that are drawn


def extrapolation(
    ds: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw truth and prediction with the training range shaded, and the errors below them.

    Parameters
    ----------
    ds
        Kind `extrapolation`; or names and several of them, side by side on the same axes.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If a dataset is of another kind, or there is none, or nothing that was predicted is finite.

    Examples
    --------
    >>> import xarray as xr
    >>> over = {"x": [0.0, 1.0, 2.0], "prediction": [0.0, 1.0, 1.0], "target": [0.0, 1.0, 4.0], "inside": [1, 1, 0]}
    >>> errors = {"mean_square_error": [0.0, 9.0], "largest_error": [0.0, 3.0], "count": [2, 1]}
    >>> found = xr.Dataset(
    ...     {k: ("input", v) for k, v in over.items()} | {k: ("region", v) for k, v in errors.items()},
    ...     {"region": ["inside", "outside"]},
    ...     {"kind": "extrapolation", "train_range": [0.0, 1.0]},
    ... )
    >>> extrapolation(found, backend="none").subtitle
    'Mean squared error inside the training range 0, outside 9'
    """
    draw = drawer(backend, "board")
    return draw(prepare_extrapolation(ds, title=title), theme)


def prepare_extrapolation(ds: xr.Dataset | Mapping[str, xr.Dataset], *, title: str | None = None) -> Board:
    """Read predictions.

    Raises
    ------
    ValueError
        As `extrapolation`.
    """
    several: dict[str, xr.Dataset] = {"": ds} if isinstance(ds, xr.Dataset) else {str(k): v for k, v in ds.items()}
    for one in several.values():
        kinds.need(one, "extrapolation")
    values = np.concatenate(
        [np.empty(0), *(one[n].values for one in several.values() for n in ("target", "prediction"))]
    )
    if not np.isfinite(values).any():
        raise ValueError("Nothing that was predicted is finite, so there is nothing to draw.")
    x = np.concatenate([one["x"].values for one in several.values()])
    up = rulers.linear("Value", values, 0.08)
    errors = _error_ruler(several)
    above, below = [], []
    for k, (name, one) in enumerate(several.items()):
        across = rulers.linear("", x, 0.02)
        above.append(_predictions(one, across, up if not k else Ruler("", ends=up.ends), name or "Prediction"))
        here = errors if not k else Ruler("", errors.kind, errors.ends, 1.0, errors.ticks, errors.words)
        below.append(_errors(one, Ruler("Input", ends=across.ends), here))
    return Board(
        cells=(*above, *below),
        columns=len(several),
        rows=(2.3, 1.6),
        title=curvature.title(next(iter(several.values())), title, "Within and beyond the training data"),
        subtitle=_facts(several),
        notes=tuple(_lost(several)),
    )


def _predictions(ds: xr.Dataset, x: Ruler, y: Ruler, heading: str) -> Cell:
    place = ds["x"].values.astype(float)
    truth = Series("truth", place, ds["target"].values.astype(float), "text", 1.4, dashed=True)
    found = Series("prediction", place, ds["prediction"].values.astype(float), "warm", 1.8)
    return Cell(x, y, (_shade(ds, y), truth, found), heading, _marks(ds))


def _errors(ds: xr.Dataset, x: Ruler, y: Ruler) -> Cell:
    size = np.abs(ds["prediction"].values.astype(float) - ds["target"].values.astype(float))
    size = np.maximum(size, y.ends[0]) if y.kind == "log" and y.ends else size
    line = Series("error", ds["x"].values.astype(float), size, "main", 1.4, key="")
    return Cell(x, y, (_shade(ds, y), line), "Error", tuple(Mark(m.at, "") for m in _marks(ds)))


def _shade(ds: xr.Dataset, y: Ruler) -> Series:
    low, high = (float(v) for v in np.asarray(ds.attrs["train_range"]))
    return _shaded(low, high, y)


def training_range(low: float | None, high: float | None, x: Ruler, y: Ruler) -> list[Series]:
    """The training range, as high as the panel; nothing where it is not known or fills the panel.

    Examples
    --------
    >>> y = Ruler("y", ends=(0.0, 1.0))
    >>> [len(training_range(-1.0, 0.4, Ruler("x", ends=ends), y)) for ends in ((-1.0, 1.0), (-1.0, 0.4))]
    [1, 0]
    """
    if low is None or high is None or x.ends is None:
        return []
    room = 0.04 * (x.ends[1] - x.ends[0])
    return [_shaded(low, high, y)] if x.ends[0] < low - room or x.ends[1] > high + room else []


def _shaded(low: float, high: float, y: Ruler) -> Series:
    ends = np.repeat(np.array(y.ends or (0.0, 1.0))[:, None], 2, axis=1)
    return Series("training range", np.array([low, high]), np.full(2, np.nan), "gold", 0.1, band=ends, key="")


def _marks(ds: xr.Dataset) -> tuple[Mark, ...]:
    low, high = (float(v) for v in np.asarray(ds.attrs["train_range"]))
    return Mark(low, "training range"), Mark(high, "beyond")


def _error_ruler(several: dict[str, xr.Dataset]) -> Ruler:
    sizes = np.concatenate([np.abs(ds["prediction"].values - ds["target"].values) for ds in several.values()])
    finite = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not finite.size:
        return rulers.linear("Absolute error", np.zeros(1), zero=True)
    high = float(finite.max())
    low = max(float(np.quantile(finite, 0.02)), high / 10**_DECADES)
    return rulers.log("Absolute error", low / 1.5, 1.8 * high)


def _facts(several: dict[str, xr.Dataset]) -> str:
    said = []
    for name, ds in several.items():
        inside, outside = (number(float(v), 3) for v in ds["mean_square_error"].values)
        said.append(f"{name}: {inside}, {outside}" if name else f"{inside}, outside {outside}")
    if "" in several:
        return f"Mean squared error inside the training range {said[0]}"
    return f"Mean squared error inside and outside of the training range: {'; '.join(said)}"


def _lost(several: dict[str, xr.Dataset]) -> list[str]:
    notes = []
    for name, ds in several.items():
        bad = int((~np.isfinite(ds["prediction"].values)).sum())
        if bad:
            notes.append(f"{name or 'Prediction'}: {bad:,} of {ds.sizes['input']:,} values are not finite")
    return notes
