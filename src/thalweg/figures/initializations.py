"""Initialisations side by side: gradients and activations by layer, training, singular values before and after."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, layers, rulers, scale
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell, Word
from thalweg.figures.chart import Series
from thalweg.figures.layers import COLORS, Bar
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_COLUMNS = 6
_AVERAGES = 60  # points of a curve of mini-batch losses, each a mean
_DEPTH = 1e-7  # singular values below this part of their largest are rounding, and not drawn
_CEILING = 30.0  # losses of what diverges are drawn up to so many times the largest of what does not


def initializations(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    """Draw several initialisations of one network.

    Bars are the norms of each layer's gradient before training, in scientific notation; below them what the layers
    pass on, the losses of the mini-batches (each point a mean over the updates since the one before), and for each
    scheme the singular values of the Jacobian before and after training. A scheme that diverged ends with a triangle
    and the word that says at which update.

    Parameters
    ----------
    ds
        Kind `initializations`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no scheme or no layer.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> both = ("scheme", "layer")
    >>> found = xr.Dataset(
    ...     {name: (both, [[1e-6, 2e-6], [0.1, 0.2]]) for name in ("gradient_norm", "activation_mean")}
    ...     | {name: (both, [[0.1, 0.5], [0.1, 0.0]]) for name in ("activation_std", "dead")}
    ...     | {"loss": (("scheme", "step"), [[1.0, 1.0], [3.0, np.inf]]), "diverged_at": ("scheme", [-1, 2])}
    ...     | {name: ("scheme", [1.0, np.nan]) for name in ("initial_loss", "final_loss")},
    ...     {"scheme": ["small", "large"], "layer": ["0.weight", "2.weight"], "step": [1, 2]},
    ...     {"kind": "initializations"},
    ... )
    >>> shown = initializations(found, backend="none")
    >>> [s.entry for s in shown.keys], shown.subtitle
    (['small', 'large'], 'Training loss in the end: small 1, large diverged at update 2 (inf)')
    """
    draw = drawer(backend, "board")
    return draw(prepare_initializations(ds, title=title), theme)


def prepare_initializations(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read initialisations.

    Raises
    ------
    ValueError
        As `initializations`.
    """
    kinds.need(ds, "initializations")
    if not ds.sizes["scheme"] or not ds.sizes["layer"]:
        raise ValueError("The dataset holds no scheme or no layer, so there is nothing to draw.")
    names = [str(name) for name in ds["scheme"].values]
    norms = [Bar(name, row) for name, row in zip(names, ds["gradient_norm"].values.astype(float), strict=True)]
    words = curvature.eigenvalue_label(ds, "gradient_norm", "Norm of the gradient")
    first = layers.bars(ds["layer"].values, norms, words, "Gradient before training, by layer", _COLUMNS)
    spread = _by_layer(ds, "activation_std", "Activations before training: standard deviation", "Standard deviation")
    dead = _by_layer(ds, "dead", "Dead units before training", "Share of the units")
    spectra, rows = _spectra(ds, names) if "singular_value" in ds else ([], 0)
    return Board(
        cells=(first, spread, dead, _training(ds, names), *spectra),
        columns=_COLUMNS,
        rows=(2.3, 1.8, 2.3, *(1.9,) * rows),
        title=curvature.title(ds, title, "Initialisations"),
        subtitle=curvature.text([_ends(ds, names), *_facts(ds)]),
        notes=tuple(_notes(ds)),
    )


def _by_layer(ds: xr.Dataset, name: str, heading: str, words: str) -> Cell:
    """A curve for each scheme over the layers."""
    values = ds[name].values.astype(float)
    places = np.arange(values.shape[1], dtype=float)
    positive = values[np.isfinite(values) & (values > 0)]
    ruler = Ruler(
        words, ends=(-0.03, 1.03), ticks=(0.0, 0.25, 0.5, 0.75, 1.0), words=("0", "25%", "50%", "75%", "100%")
    )
    if name != "dead":
        ruler = rulers.linear(words, values, zero=True)
        if positive.size and positive.max() > 30 * positive.min():
            ruler = rulers.scientific(words, float(positive.min()) / 2, 2 * float(positive.max()))
    curves = tuple(
        Series(
            str(scheme),
            places,
            row,
            COLORS[k % len(COLORS)],
            1.4,
            symbol="circle",
            key="",
            hover=_said(ds, scheme, row),
        )
        for k, (scheme, row) in enumerate(zip(ds["scheme"].values, values, strict=True))
    )
    return Cell(layers.axis(ds["layer"].values), ruler, curves, heading, span=_COLUMNS // 2)


def _said(ds: xr.Dataset, scheme: object, row: np.ndarray) -> tuple[str, ...]:
    follows = ds["activation"].values if "activation" in ds.coords else [""] * row.size
    behind = [f" (after {word})" if word not in ("", "none") else "" for word in follows]
    return tuple(
        f"{scheme}, {layer}{what}: {number(float(v), 4)}"
        for layer, what, v in zip(ds["layer"].values, behind, row, strict=True)
    )


def _training(ds: xr.Dataset, names: list[str]) -> Cell:
    """Losses of the mini-batches, averaged over as many updates as keep the curves legible."""
    step, losses = ds["step"].values.astype(float), ds["loss"].values.astype(float)
    width = max(1, step.size // _AVERAGES)
    every = "" if width == 1 else f"\n(means of {width} updates)"
    found, words = [], []
    drawn = [_means(step, row, width) for row in losses]
    ceiling = _ceiling(drawn, ds["diverged_at"].values > 0)
    values = np.concatenate([np.minimum(y, ceiling) for _, y in drawn])
    ruler = _loss_ruler(curvature.eigenvalue_label(ds, "loss", "Mini-batch loss") + every, values)
    for k, (name, (x, y)) in enumerate(zip(names, drawn, strict=True)):
        color, at = COLORS[k % len(COLORS)], int(ds["diverged_at"].values[k])
        hover = tuple(f"{name}, update {int(a)}: {number(float(b), 5)}" for a, b in zip(x, y, strict=True))
        y = np.minimum(y, ceiling)
        found.append(Series(name, x, y, color, 1.5, symbol="circle" if x.size < 3 else "", hover=hover, key=""))
        if at > 0 and x.size:
            end: dict[str, Any] = {"symbol": "triangle", "key": "", "hover": (_lost(ds, k),)}
            found.append(Series(f"{name}, end", x[-1:], y[-1:], color, **end))
            words.append(Word(float(x[-1]), float(y[-1]), f"{name}: {_lost(ds, k)}", (1, 0), color))
    across = rulers.linear("Update", np.concatenate([[0.0], step]), 0.015)
    return Cell(across, ruler, tuple(found), "Training", words=tuple(_apart(words, ruler)), span=_COLUMNS)


def _ceiling(drawn: list[tuple[np.ndarray, np.ndarray]], lost: np.ndarray) -> float:
    """What diverges does not take the whole axis."""
    kept = np.concatenate([np.empty(0), *(y for (_, y), gone in zip(drawn, lost, strict=True) if not gone)])
    first = np.concatenate([y[:1] for _, y in drawn])
    reference = kept if kept.size else first
    return _CEILING * float(reference.max()) if reference.size and reference.max() > 0 else np.inf


def _means(step: np.ndarray, losses: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Of so many updates each, up to the last finite one; by themselves where there are few."""
    last = int(np.isfinite(losses).sum()) if np.isfinite(losses).all() else int(np.argmax(~np.isfinite(losses)))
    width = width if last >= 3 * width else 1
    cuts = range(0, last, width)
    places = np.array([step[c : min(c + width, last)].mean() for c in cuts])
    return places, np.array([losses[c : min(c + width, last)].mean() for c in cuts])


def _loss_ruler(words: str, values: np.ndarray) -> Ruler:
    positive = values[np.isfinite(values) & (values > 0)]
    wide = positive.size and (values[np.isfinite(values)] > 0).all() and positive.max() > 30 * positive.min()
    if wide or (positive.size and scale.wants_log(values, "auto")):
        return rulers.log(words, float(positive.min()) / 1.6, 1.6 * float(positive.max()))
    return rulers.linear(words, values, zero=True)


def _apart(words: list[Word], ruler: Ruler) -> list[Word]:
    """Words of curves that end close to each other, one under the other."""
    low, high = ruler(ruler.ends or (0.0, 1.0))
    room, found, last = 0.09 * (high - low), [], np.inf
    for word in sorted(words, key=lambda w: -float(ruler(w.y))):
        at = min(float(ruler(word.y)), last - room)
        last = at
        found.append(Word(word.x, float(10**at) if ruler.kind == "log" else at, word.text, word.side, word.color))
    return found


def _spectra(ds: xr.Dataset, names: list[str]) -> tuple[list[Cell], int]:
    """For each scheme the singular values before and after, in rows of at most four."""
    values = np.stack([_resolved(of_scheme) for of_scheme in ds["singular_value"].values.astype(float)])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return [], 0
    columns = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    rank = ds["value"].values.astype(float)
    low, high = float(finite.min()), float(finite.max())
    cells = []
    for k, name in enumerate(names):
        left, bottom = k % columns == 0, k + columns >= len(names)
        y = rulers.log("Singular value" if left else "", low / 3, 3 * high)
        counting = rulers.counting("Index" if bottom else "", ds.sizes["value"])
        x = _fewer(counting, (20, 10, 7)[columns - 1])
        looks: tuple[dict[str, Any], ...] = (
            {"color": "light", "line": 0.8, "dashed": True, "symbol": "circle", "hollow": True},
            {"color": "main", "line": 1.2, "symbol": "circle"},
        )
        found = tuple(
            Series(
                f"singular values {when} training", rank, np.where(values[k, s] >= low, values[k, s], np.nan), **look
            )
            for s, (when, look) in enumerate(zip(("before", "after"), looks, strict=True))
        )
        told = [Word(float(rank[-1]), 1.5 * high, _lost(ds, k), (-1, -1), "warm")]
        diverged = int(ds["diverged_at"].values[k]) > 0
        cells.append(Cell(x, y, found, name, words=tuple(told) if diverged else (), span=_COLUMNS // columns))
    return cells, -(-len(names) // columns)


def _resolved(values: np.ndarray) -> np.ndarray:
    """Singular values of each state that are more than rounding; nan in place of the others."""
    largest = np.nanmax(np.where(np.isfinite(values), values, 0.0), axis=-1, keepdims=True)
    return np.where((values > 0) & (values >= _DEPTH * largest), values, np.nan)


def _fewer(ruler: Ruler, most: int) -> Ruler:
    every = max(1, -(-len(ruler.ticks) // most))
    return Ruler(ruler.label, ruler.kind, ruler.ends, 1.0, ruler.ticks[::every], ruler.words[::every])


def _lost(ds: xr.Dataset, k: int) -> str:
    """`diverged at update 3 (nan)`."""
    at = int(ds["diverged_at"].values[k])
    value = ds["loss"].values[k, min(at, ds.sizes["step"]) - 1]
    value = value if not np.isfinite(value) else ds["final_loss"].values[k]
    return f"diverged at update {at} ({float(value):g})"


def _ends(ds: xr.Dataset, names: list[str]) -> str:
    test = "final_test_loss" in ds
    losses = ds["final_test_loss" if test else "final_loss"].values
    said = [
        f"{name} {_lost(ds, k) if int(ds['diverged_at'].values[k]) > 0 else number(float(losses[k]), 3)}"
        for k, name in enumerate(names)
    ]
    return f"{'Test' if test else 'Training'} loss in the end: {', '.join(said)}"


def _facts(ds: xr.Dataset) -> list[str]:
    about = ds.attrs
    if "optimizer" not in about:
        return []
    size = int(about.get("batch_size", 0))
    batches = f"mini-batches of {size}" if size else "all examples at every update"
    return [f"{ds.sizes['step']:,} updates of {about['optimizer']}, {batches}, seed {about.get('seed', 0)}"]


def _notes(ds: xr.Dataset) -> list[str]:
    if "singular_value" not in ds:
        return []
    values = ds["singular_value"].values.astype(float)
    hidden = np.isfinite(values) & ~np.isfinite(np.stack([_resolved(of_scheme) for of_scheme in values]))
    words = f"Singular values below {rulers.power_of_ten(_DEPTH, 0)[2:]} of the largest of their state are not drawn"
    return [words] if hidden.any() else []
