"""Gradients of the output in every weight over the input: a panel for each layer, many thin lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Mark, Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_MOST_LINES = 50  # of a parameter's weights
_MOST_POINTS = 160  # of a line
_COLORS = ("light", "warm", "main", "violet", "amber", "plum")


def gradient_features(
    ds: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    output: int | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw every weight's gradient over the input, a panel for each layer.

    Of a parameter with more than 50 weights those of the largest norms are drawn.

    Parameters
    ----------
    ds
        Kind `gradient_features` of inputs that are numbers; or names and several of them (before and after training),
        side by side with the same axes.
    output
        Which output, by its number; the first by default.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If a dataset is of another kind, or there is none; inputs that are not numbers, no such output.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> found = xr.Dataset(
    ...     {
    ...         "feature": (("row", "weight"), np.array([[-1.0, 1.0], [2.0, 1.0]])),
    ...         "prediction": ("row", [0.0, 1.0]),
    ...         "x": ("row", [-1.0, 2.0]),
    ...     },
    ...     {
    ...         **{name: ("row", v) for name, v in (("example", [0, 1]), ("output", [0, 0]))},
    ...         **{name: ("weight", v) for name, v in (("parameter", ["0.weight", "0.bias"]), ("layer", ["0", "0"]))},
    ...     },
    ...     {"kind": "gradient_features"},
    ... )
    >>> [cell.title for cell in gradient_features(found, backend="none").cells]
    ['Layer 0: 2 weights']
    """
    draw = drawer(backend, "board")
    return draw(prepare_gradient_features(ds, output=output, title=title), theme)


@dataclass(frozen=True)
class _State:
    """The features of one output over rising inputs, some of them, and every weight's norm over all inputs."""

    name: str
    ds: xr.Dataset
    x: np.ndarray
    features: np.ndarray
    norms: np.ndarray


def prepare_gradient_features(
    ds: xr.Dataset | Mapping[str, xr.Dataset], *, output: int | None = None, title: str | None = None
) -> Board:
    """Read features.

    Raises
    ------
    ValueError
        As `gradient_features`.
    """
    several = {"": ds} if isinstance(ds, xr.Dataset) else {str(name): one for name, one in ds.items()}
    if not several:
        raise ValueError("There is nothing to draw; pass one dataset at least.")
    states = [_read(name, one, output) for name, one in several.items()]
    first = states[0].ds
    layers = list(dict.fromkeys(first["layer"].values.tolist()))
    columns = len(states) if len(states) > 1 else min(2, len(layers))
    across = rulers.linear("", np.concatenate([state.x for state in states]), 0.02)
    cells: list[Cell] = []
    for layer in layers:
        values = np.concatenate([_of(state, layer).ravel() for state in states])
        up = rulers.linear("Gradient", values, 0.06, zero=True)
        for k, state in enumerate(states):
            told = len(cells) < columns
            cells.append(_panel(state, layer, across, up if not k else Ruler("", ends=up.ends), told))
    rows = -(-len(cells) // columns)
    foot = Ruler("Input", ends=across.ends)
    cells = [cell if k < len(cells) - columns else replace(cell, x=foot) for k, cell in enumerate(cells)]
    return Board(
        cells=tuple(cells),
        columns=columns,
        rows=(2.0,) * rows,
        title=curvature.title(first, title, "Gradient features"),
        subtitle=curvature.text(_facts(states)),
        notes=_notes(states),
    )


def _read(name: str, ds: xr.Dataset, output: int | None) -> _State:
    kinds.need(ds, "gradient_features")
    if "x" not in ds:
        raise ValueError("The inputs are not single numbers, so there is nothing to draw the features over.")
    numbers = np.unique(ds["output"].values)
    wanted = numbers[0] if output is None else output
    if wanted not in numbers:
        raise ValueError(f"output={output}; the features are of {', '.join(map(str, numbers))}.")
    mine = np.flatnonzero(ds["output"].values == wanted)
    order = mine[np.argsort(ds["x"].values[mine], kind="stable")]
    kept = steps.thinned(order, _MOST_POINTS)
    x, features = ds["x"].values[kept].astype(float), ds["feature"].values[kept].astype(float)
    norms = np.linalg.norm(ds["feature"].values[order].astype(float), axis=0) / len(order) ** 0.5
    return _State(name, ds, x, features, norms)


def _of(state: _State, layer: str) -> np.ndarray:
    return state.features[:, state.ds["layer"].values == layer]


def _panel(state: _State, layer: str, across: Ruler, up: Ruler, told: bool) -> Cell:
    names = state.ds["parameter"].values
    mine = list(dict.fromkeys(names[state.ds["layer"].values == layer].tolist()))
    drawn = []
    for k, parameter in enumerate(mine):
        values, sizes = state.features[:, names == parameter], state.norms[names == parameter]
        kept = np.sort(np.argsort(-sizes, kind="stable")[: min(_MOST_LINES, int((sizes != 0).sum()))])
        short = parameter.rpartition(".")[2]
        x = np.tile(np.append(state.x, np.nan), len(kept))
        y = np.concatenate([values[:, kept], np.full((1, len(kept)), np.nan)]).T.ravel()
        said = [f"{short} {w}" for w in kept for _ in range(len(state.x) + 1)]
        line = 0.45 if len(kept) > 5 else 1.2
        drawn.append(Series(short, x, y, _COLORS[k % len(_COLORS)], line, hover=tuple(said)))
    return Cell(across, up, tuple(drawn), _heading(state, layer), _marks(state.ds, across, told))


def _heading(state: _State, layer: str) -> str:
    sizes = state.norms[state.ds["layer"].values == layer]
    dead = int((sizes == 0).sum())
    zero = f", {dead:,} zero everywhere" if dead else ""
    words = f"ayer {layer}: {len(sizes):,} weight{'s' * (len(sizes) != 1)}{zero}"
    return f"{state.name}, l{words}" if state.name else f"L{words}"


def _marks(ds: xr.Dataset, across: Ruler, told: bool) -> tuple[Mark, ...]:
    """The ends of the training data, where the picture goes beyond them."""
    if "train_low" not in ds.attrs or across.ends is None:
        return ()
    low, high = float(ds.attrs["train_low"]), float(ds.attrs["train_high"])
    room = 0.04 * (across.ends[1] - across.ends[0])
    beyond = across.ends[0] < low - room or across.ends[1] > high + room
    words = ("training range", "beyond") if told else ("", "")
    return (Mark(low, words[0]), Mark(high, words[1])) if beyond else ()


def _facts(states: list[_State]) -> list[str]:
    total = states[0].features.shape[1]
    sizes = [float(np.linalg.norm(state.norms)) for state in states]
    said = [
        f"{s.name}: {number(size, 3)}" if s.name else number(size, 3) for s, size in zip(states, sizes, strict=True)
    ]
    return [f"{total:,} weights", f"Root mean square of the gradient's length {', '.join(said)}"]


def _notes(states: list[_State]) -> tuple[str, ...]:
    names = states[0].ds["parameter"].values
    many = [p for p in dict.fromkeys(names.tolist()) if (names == p).sum() > _MOST_LINES]
    return (f"Of {', '.join(many)} the {_MOST_LINES} largest are drawn",) if many else ()
