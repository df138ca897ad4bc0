"""The tangent along training: its singular values, rank, losses, and where its kernel points."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell, Word
from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_COLUMNS = 6
_MARKED = 12  # steps up to which every one has a mark
_DEPTH = 1e-8  # singular values below this share of their step's largest are not drawn
_LOSSES = (("loss", "training loss", "main"), ("test_loss", "test loss", "light"))
_ALIGNMENTS = (
    ("kernel_alignment", "alignment of the kernel with its first", "violet"),
    ("target_alignment", "and with the targets", "plum"),
)
_LOOKS = (("main", 1.8), ("warm", 1.8))


def singular_values(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    r"""Draw the singular values of a network's Jacobian over its training, on a logarithmic axis.

    The first two are in colour. Below them the rank with the effective rank $(\sum \sigma^2)^2 / \sum \sigma^4$, the
    losses, and the alignment of the tangent kernel with its first and with the targets. Where a run diverged the curves
    end and its step is said.

    Parameters
    ----------
    ds
        Kind `tangent_path`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, holds no step, or nothing in it is finite.

    Examples
    --------
    >>> import xarray as xr
    >>> over = {"rank": [4, 9], "rank_known": [True, True], "effective_rank": [1.5, 3.0], "loss": [1.0, 0.1]}
    >>> data = {k: ("step", v) for k, v in over.items()} | {"diverged": ("step", [False, False])}
    >>> data |= {"singular_value": (("step", "value"), [[2.0, 1.0], [5.0, 3.0]])}
    >>> data |= {"prediction": (("step", "row"), [[0.0], [1.0]])}
    >>> coords = {"step": [0, 10], "value": [1, 2], "example": ("row", [0]), "output": ("row", [0])}
    >>> path = xr.Dataset(data, coords, {"kind": "tangent_path", "diverged_at": -1})
    >>> singular_values(path, backend="none").subtitle
    'From step 0 to step 10 the first value went from 2 to 5, the rank from 4 to 9, the effective rank from 1.5 to 3'
    """
    draw = drawer(backend, "board")
    return draw(prepare_singular_values(ds, title=title), theme)


def prepare_singular_values(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read a tangent along training.

    Raises
    ------
    ValueError
        As `singular_values`.
    """
    kinds.need(ds, "tangent_path")
    sizes = ds["singular_value"].values.astype(float)
    if not (np.isfinite(sizes) & (sizes > 0)).any():
        raise ValueError(
            "The dataset holds no positive singular value, so there is nothing to draw: every step has diverged, or "
            "the outputs do not depend on the weights."
        )
    across = rulers.linear("Step", ds["step"].values.astype(float), 0.02)
    aligned = [entry for entry in _ALIGNMENTS if entry[0] in ds]
    span = _COLUMNS // (3 if aligned else 2)
    cells = [_values(ds, sizes, across), _ranks(ds, across, span), _losses(ds, across, span)]
    if aligned:
        low = min(float(np.nanmin(np.where(np.isfinite(ds[name]), ds[name], 1.0))) for name, *_ in aligned)
        y = Ruler("Alignment", ends=(min(0.0, low) - 0.03, 1.03))
        drawn = tuple(_curve(ds, name, words, color) for name, words, color in aligned)
        cells.append(Cell(across, y, drawn, "Tangent kernel", span=span))
    return Board(
        cells=tuple(cells),
        columns=_COLUMNS,
        rows=(2.8, 2.0),
        title=curvature.title(ds, title, "Tangent along training"),
        subtitle=_facts(ds),
        notes=_notes(ds),
    )


def _values(ds: xr.Dataset, sizes: np.ndarray, across: Ruler) -> Cell:
    """A curve for each value, the first two above the others."""
    step = ds["step"].values.astype(float)
    shown = np.where(np.isfinite(sizes) & (sizes > 0) & (sizes > _DEPTH * sizes[:, :1]), sizes, np.nan)
    y = rulers.log("Singular value", float(np.nanmin(shown)) / 1.5, 1.5 * float(np.nanmax(shown)))
    series = []
    for k in (*range(2, shown.shape[1]), *range(min(2, shown.shape[1]))):
        color, width = _LOOKS[k] if k < 2 else ("muted", 0.8)
        hover = tuple(
            f"σ{k + 1}, step {steps.word(s)}: {number(float(v), 4)}" for s, v in zip(step, sizes[:, k], strict=True)
        )
        look: dict[str, Any] = {"key": f"singular value {k + 1}" if k < 2 else "", "hover": hover}
        look |= {"symbol": "circle" if step.size <= _MARKED else "", "size": 0.8}
        series.append(Series(f"singular value {k + 1}", step, shown[:, k], color, width, **look))
    heading = f"The first {shown.shape[1]} singular values"
    return Cell(across, y, tuple(series), heading, words=_lost(ds, shown[:, 0]), span=_COLUMNS)


def _lost(ds: xr.Dataset, first: np.ndarray) -> tuple[Word, ...]:
    """Where the curves end, and why."""
    if int(ds.attrs["diverged_at"]) < 0:
        return ()
    seen, step = np.flatnonzero(np.isfinite(first)), ds["step"].values.astype(float)
    at = int(seen[-1])
    side = (1, -1) if at < 0.6 * step.size else (-1, -1)
    return (Word(float(step[at]), float(first[at]), _diverged(ds), side, "warm"),)


def _diverged(ds: xr.Dataset) -> str:
    return f"diverged at step {steps.word(float(ds.attrs['diverged_at']))}"


def _ranks(ds: xr.Dataset, across: Ruler, span: int) -> Cell:
    rank, effective = (ds[name].values.astype(float) for name in ("rank", "effective_rank"))
    both = np.concatenate([rank, effective])
    finite = both[np.isfinite(both) & (both > 0)]
    y = rulers.linear("Rank", both, 0.06, zero=True)
    if finite.size and finite.max() > 30 * finite.min():
        y = rulers.log("Rank", min(1.0, float(finite.min())) / 1.2, 1.5 * float(finite.max()))
    drawn = (_curve(ds, "rank", "rank", "text"), _curve(ds, "effective_rank", "effective rank", "amber"))
    return Cell(across, y, drawn, "Rank", span=span)


def _losses(ds: xr.Dataset, across: Ruler, span: int) -> Cell:
    known = [entry for entry in _LOSSES if entry[0] in ds]
    values = np.concatenate([ds[name].values.astype(float) for name, *_ in known])
    kept = values[np.isfinite(values)]
    label = curvature.eigenvalue_label(ds, "loss", "Loss")
    y = rulers.linear(label, kept, zero=True)
    if kept.size and (kept > 0).all() and (kept.max() > 30 * kept.min() or scale.wants_log(kept, "auto")):
        y = rulers.log(label, float(kept.min()) / 1.5, 1.5 * float(kept.max()))
    drawn = [_curve(ds, name, words, color) for name, words, color in known]
    if len(known) == 1:
        drawn = [_curve(ds, "loss", "training loss", "main", "")]
    return Cell(across, y, tuple(drawn), "Training", span=span)


def _curve(ds: xr.Dataset, name: str, words: str, color: str, key: str | None = None) -> Series:
    step, values = ds["step"].values.astype(float), ds[name].values.astype(float)
    hover = tuple(f"{words}, step {steps.word(s)}: {number(float(v), 4)}" for s, v in zip(step, values, strict=True))
    look: dict[str, Any] = {"symbol": "circle" if step.size <= _MARKED else "", "hover": hover, "key": key}
    return Series(words, step, np.where(np.isfinite(values), values, np.nan), color, 1.6, **look)


def _facts(ds: xr.Dataset) -> str:
    ok = np.flatnonzero(np.isfinite(ds["singular_value"].values[:, 0]))
    first, last = (ds.isel(step=int(k)) for k in (ok[0], ok[-1]))
    start, end = (steps.word(float(one["step"])) for one in (first, last))
    changes = (
        ("the first value", [number(float(one["singular_value"][0]), 3) for one in (first, last)]),
        ("the rank", [f"{int(one['rank']):,}" for one in (first, last)]),
        ("the effective rank", [number(float(one["effective_rank"]), 2) for one in (first, last)]),
    )
    told = ", ".join(f"{what}{' went' * (k == 0)} from {a} to {b}" for k, (what, (a, b)) in enumerate(changes))
    said = f"From step {start} to step {end} {told}"
    return curvature.text([said, f"The network {_diverged(ds)}" if int(ds.attrs["diverged_at"]) >= 0 else ""])


def _notes(ds: xr.Dataset) -> tuple[str, ...]:
    unknown = int((~ds["rank_known"].values.astype(bool) & np.isfinite(ds["rank"].values.astype(float))).sum())
    return (f"At {unknown:,} of {ds.sizes['step']:,} steps the rank is a lower bound",) if unknown else ()
