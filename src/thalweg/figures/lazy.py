"""Lazy or not: a network's training against that of its tangent."""

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

_CEILING = 1e4  # losses are drawn up to so many times the first
_DECADES = 12.0  # of errors and distances at most
_APART = "outputs of the two trained models, apart"
_BLOWN = 1e3  # times the median: from there on an axis is logarithmic
_MARKED = 12  # steps up to which every one has a mark
_LOSSES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("loss", "the network", "main", {}),
    ("linear_loss", "its linearisation at the same weights", "warm", {"dashed": True}),
    ("trained_loss", "its linearisation, trained by itself", "violet", {"dotted": True}),
)
_ALIGNMENTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("kernel_alignment", "alignment of the kernel with its first", "main", {}),
    ("target_alignment", "and with the targets", "warm", {}),
)


def lazy(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    r"""Draw how far a network leaves its linearisation while it trains.

    Losses of both at the same weights, and of the linearisation trained by itself where that was done; below them the
    distance from the first weights and the error of the linearised outputs over the steps; then this error over the
    distance, with a line that grows with its square as Taylor's remainder does, and the alignment of the tangent kernel
    with its first and with the targets. A run that diverged ends with a triangle and its step.

    Parameters
    ----------
    ds
        Kind `lazy`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no step.

    Examples
    --------
    >>> import xarray as xr
    >>> over = {"distance": [0.0, 1.0], "error": [0.0, 0.5], "loss": [1.0, 0.5], "linear_loss": [1.0, 0.6]}
    >>> more = {"relative_distance": [0.0, 0.1], "relative_error": [0.0, 0.25]}
    >>> found = xr.Dataset({k: ("step", v) for k, v in (over | more).items()}, {"step": [0, 10]}, {"kind": "lazy"})
    >>> lazy(found, backend="none").subtitle
    'At step 10 the linearised outputs are off by 25% of their change, the weights moved by 10% of their length'
    """
    draw = drawer(backend, "board")
    return draw(prepare_lazy(ds, title=title), theme)


def prepare_lazy(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read a departure.

    Raises
    ------
    ValueError
        As `lazy`.
    """
    kinds.need(ds, "lazy")
    if not ds.sizes["step"]:
        raise ValueError("The dataset holds no step, so there is nothing to draw.")
    across = rulers.linear("Step", ds["step"].values.astype(float), 0.02)
    aligned = [entry for entry in _ALIGNMENTS if entry[0] in ds]
    cells = [
        _losses(ds, across),
        _over_steps(ds, across, "distance", "Distance from the first weights", "Distance"),
        _over_steps(ds, across, "error", "Error of the linearised outputs", "Root mean square"),
        _taylor(ds, 1 if aligned else 2),
    ]
    if aligned:
        y = Ruler("Alignment", ends=(min(-0.03, _least(ds, aligned) - 0.03), 1.03))
        drawn = tuple(_curve(ds, name, words, color, look, y) for name, words, color, look in aligned)
        cells.append(Cell(across, y, drawn, "Tangent kernel"))
    return Board(
        cells=tuple(cells),
        columns=2,
        rows=(2.4, 2.0, 2.2),
        title=curvature.title(ds, title, "Departure from the tangent"),
        subtitle=_facts(ds),
        notes=_notes(ds),
    )


def _losses(ds: xr.Dataset, across: Ruler) -> Cell:
    known = [entry for entry in _LOSSES if entry[0] in ds]
    values = np.concatenate([ds[name].values.astype(float) for name, *_ in known])
    first = float(ds["loss"][0])
    ceiling = _CEILING * first if np.isfinite(first) and first > 0 else np.inf
    kept = np.minimum(values[np.isfinite(values)], ceiling)
    label = curvature.eigenvalue_label(ds, "loss", "Training loss")
    y = rulers.linear(label, kept, zero=True)
    if kept.size and (kept > 0).all() and (kept.max() > 30 * kept.min() or scale.wants_log(kept, "auto")):
        y = rulers.log(label, float(kept.min()) / 1.5, 1.5 * float(kept.max()))
    drawn = [_curve(ds, name, words, color, look, y) for name, words, color, look in known]
    end, told = _lost(ds, drawn[0], y)
    return Cell(across, y, (*drawn, *end), "Training", words=told, span=2)


def _curve(ds: xr.Dataset, name: str, words: str, color: str, look: dict[str, Any], y: Ruler) -> Series:
    """Over the steps; what lies above the axis is drawn at its end."""
    step, values = ds["step"].values.astype(float), ds[name].values.astype(float)
    hover = tuple(f"{words}, step {steps.word(s)}: {number(float(v), 4)}" for s, v in zip(step, values, strict=True))
    shown = np.where(np.isfinite(values), np.minimum(values, (y.ends or (0, np.inf))[1]), np.nan)
    return Series(words, step, shown, color, 1.6, symbol="circle" if step.size <= _MARKED else "", hover=hover, **look)


def _lost(ds: xr.Dataset, curve: Series, y: Ruler) -> tuple[tuple[Series, ...], tuple[Word, ...]]:
    """A triangle where the network's losses end, and at which step it diverged."""
    at = diverged(ds)
    if at is None:
        return (), ()
    seen = np.flatnonzero(np.isfinite(curve.y))
    x, height = (float(curve.x[seen[-1]]), float(curve.y[seen[-1]])) if seen.size else (0.0, (y.ends or (0.0, 1.0))[1])
    side = (1, -1) if x < 0.6 * float(curve.x[-1]) else (-1, -1)
    told = f"diverged at step {at}"
    look: dict[str, Any] = {"symbol": "triangle", "hover": (told,), "key": ""}
    return (Series("end", np.array([x]), np.array([height]), "warm", **look),), (Word(x, height, told, side, "warm"),)


def diverged(ds: xr.Dataset) -> str | None:
    """The first step whose loss is not finite."""
    bad = np.flatnonzero(~np.isfinite(ds["loss"].values))
    return steps.word(float(ds["step"][bad[0]])) if bad.size else None


def _over_steps(ds: xr.Dataset, across: Ruler, name: str, heading: str, label: str) -> Cell:
    drawn: list[tuple[str, str, str, dict[str, Any]]] = [(name, heading.lower(), "main", {})]
    if name == "error" and "apart" in ds:
        drawn.append(("apart", _APART, "violet", {"dotted": True}))
    values = np.concatenate([ds[key].values.astype(float) for key, *_ in drawn])
    y = _from_zero(label, values)
    found = []
    for key, words, color, look in drawn:
        found.append(_curve(ds, key, words, color, look | {"key": _APART if key == "apart" else ""}, y))
    return Cell(across, y, tuple(found), heading)


def _from_zero(label: str, values: np.ndarray) -> Ruler:
    """Linear; logarithmic where a run blows up."""
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if positive.size and positive.max() > _BLOWN * np.median(positive):
        return rulers.log(label, float(positive.min()) / 2, 2 * float(positive.max()))
    top = float(finite.max(initial=0.0))
    return Ruler(label, ends=(0.0, 1.06 * top if top > 0 else 1.0))


def _taylor(ds: xr.Dataset, span: int) -> Cell:
    """Error over distance, on logarithmic axes where there is something to see."""
    far, error = ds["distance"].values.astype(float), ds["error"].values.astype(float)
    ok = _sound(ds) & (far > 0) & (error > 0)
    heading, labels = "Error over distance", ("Distance from the first weights", "Root mean square")
    if not ok.any():
        flat, up = (rulers.linear(label, np.zeros(1), zero=True) for label in labels)
        why = "diverged" if diverged(ds) else "no error is seen"
        return Cell(flat, up, (), heading, words=(Word(0.0, 0.0, why, (0, 1), "warm"),), span=span)
    order = np.argsort(far[ok], kind="stable")
    x, y, step = far[ok][order], error[ok][order], ds["step"].values[ok][order]
    x_axis, y_axis = (_decades(label, v) for label, v in zip(labels, (x, y), strict=True))
    hover = tuple(
        f"step {steps.word(float(s))}: error {number(float(b), 3)} at distance {number(float(a), 3)}"
        for s, a, b in zip(step, x, y, strict=True)
    )
    dots = Series("error", x, y, "main", symbol="circle", hover=hover, key="", size=0.8)
    ends = np.array(x_axis.ends or (float(x[0]), float(x[-1])))
    square = float(y[0]) * (ends / float(x[0])) ** 2
    line = Series(
        "square of the distance", ends, square, "muted", 1.0, dashed=True, hover=("grows with the square",) * 2
    )
    return Cell(x_axis, y_axis, (line, dots), heading, span=span)


def _decades(label: str, values: np.ndarray) -> Ruler:
    high = float(values.max())
    return rulers.log(label, max(float(values.min()), high / 10**_DECADES) / 1.4, 1.4 * high)


def _least(ds: xr.Dataset, entries: list[Any]) -> float:
    values = np.concatenate([ds[name].values for name, *_ in entries])
    return float(np.nanmin(values)) if np.isfinite(values).any() else 0.0


def _sound(ds: xr.Dataset) -> np.ndarray:
    """Steps before a run blows up."""
    loss = ds["loss"].values.astype(float)
    finite = np.isfinite(loss) & np.isfinite(ds["distance"].values) & np.isfinite(ds["error"].values)
    if diverged(ds) is None:
        return finite
    bad = ~(finite & (loss <= _CEILING * abs(loss[0])))
    return np.asarray(np.arange(loss.size) < (int(np.argmax(bad)) if bad.any() else loss.size))


def _notes(ds: xr.Dataset) -> tuple[str, ...]:
    """What lies beyond the axis of the losses."""
    first, largest = float(ds["loss"][0]), float(ds["loss"].where(np.isfinite(ds["loss"])).max())
    if not (first > 0 and largest > _CEILING * first):
        return ()
    return (
        f"Losses above {number(_CEILING * first)} are drawn at the top of their axis; the largest is {number(largest)}",
    )


def _facts(ds: xr.Dataset) -> str:
    at, ok, said = diverged(ds), np.flatnonzero(_sound(ds)), []
    if ok.size > 1:
        last = ds.isel(step=int(ok[-1]))
        said = [
            f"At step {steps.word(float(last['step']))} the linearised outputs are off by "
            f"{_relative(last, 'error', 'their change')}, the weights moved by "
            f"{_relative(last, 'distance', 'their length')}"
        ]
    return curvature.text([*said, f"The network diverged at step {at}" if at else ""])


def _relative(last: xr.Dataset, name: str, of: str) -> str:
    """`10% of their change`, or the number itself where the share is not known."""
    known = "relative_" + name in last
    if not known:
        return number(float(last[name]))
    share = float(last["relative_" + name])
    return f"{share:.0%} of {of}" if share < 10 else f"{number(share)} times {of}"
