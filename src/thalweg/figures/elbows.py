r"""The elbows of a ReLU network of one input: its piecewise linear output among the data, and when each unit is on.

Every unit is a row of thin lines over the inputs where it is on. Where a line begins or ends, the unit has an elbow,
and the output a bend, unless nothing behind it listens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Mark, Series
from thalweg.figures.layers import COLORS
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_MOST_DOTS = 400  # of the data
_MOST_CIRCLES = 40  # bends that are marked on the curve
_MOST_OUTPUTS = 4


def elbows(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw the network's output with the places of its elbows, and below it, layer by layer, where each unit is on.

    Parameters
    ----------
    ds
        Kind `elbows`. Truth and data are drawn if they are there; of several outputs the first four.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind.

    Examples
    --------
    >>> import xarray as xr
    >>> found = xr.Dataset(
    ...     {
    ...         "x": ("elbow", [0.5]),
    ...         "turns": ("elbow", [1]),
    ...         "bend": (("elbow", "output"), [[1.0]]),
    ...         "node_x": ("node", [-1.0, 0.5, 1.0]),
    ...         "prediction": (("node", "output"), [[0.0], [0.0], [0.5]]),
    ...         **{name: ("part", [n]) for name, n in (("units", 1), ("always_on", 0), ("never_on", 0))},
    ...         "on_at_low": ("relu", [False]),
    ...     },
    ...     {
    ...         **{name: ("elbow", v) for name, v in (("layer", ["0"]), ("depth", [1]), ("unit", [0]))},
    ...         **{"relu_depth": ("relu", [1]), "relu_unit": ("relu", [0]), "part": ["0"]},
    ...     },
    ...     {"kind": "elbows", "low": -1.0, "high": 1.0},
    ... )
    >>> board = elbows(found, backend="none")
    >>> board.subtitle, board.cells[1].title
    ('1 elbow of 1 unit. 2 straight pieces', 'Layer 0: 1 unit, 1 elbow')
    """
    draw = drawer(backend, "board")
    return draw(prepare_elbows(ds, title=title), theme)


def prepare_elbows(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read elbows.

    Raises
    ------
    ValueError
        As `elbows`.
    """
    kinds.need(ds, "elbows")
    low, high = float(ds.attrs["low"]), float(ds.attrs["high"])
    room = 0.02 * (high - low)
    ends = (low - room, high + room)
    depth = range(1, ds.sizes["part"] + 1)
    below = [_units(ds, k, Ruler("Input" if k == depth[-1] else "", ends=ends)) for k in depth]
    return Board(
        cells=(_network(ds, Ruler("", ends=ends)), *below),
        columns=1,
        rows=(2.9, *(float(np.clip(0.045 * n, 0.6, 1.9)) for n in ds["units"].values)),
        title=curvature.title(ds, title, "Elbows of the network"),
        subtitle=curvature.text(_facts(ds)),
        notes=_notes(ds),
    )


def _network(ds: xr.Dataset, across: Ruler) -> Cell:
    """Truth, data, the output and a mark for every elbow at the foot."""
    x, y = ds["node_x"].values.astype(float), ds["prediction"].values.astype(float)[:, :_MOST_OUTPUTS]
    seen = [y.ravel(), *(ds[name].values for name in ("truth", "train_y") if name in ds)]
    up = rulers.linear("Output", np.concatenate(seen), 0.12)
    found: list[Series] = []
    if "train_x" in ds:
        kept = steps.thinned(np.arange(ds.sizes["example"]), _MOST_DOTS)
        x_, y_ = ds["train_x"].values[kept], ds["train_y"].values[kept]
        found.append(Series("training data", x_, y_, "light", symbol="circle", size=0.45))
    if "truth" in ds:
        place, truth = ds["truth_x"].values.astype(float), ds["truth"].values.astype(float)
        found.append(Series("truth", place, truth, "text", 1.4, dashed=True))
    circles: dict[str, Any] = {"symbol": "circle", "hollow": True} if len(x) <= _MOST_CIRCLES else {}
    for k in range(y.shape[1]):
        name = "network" if y.shape[1] == 1 else f"output {k}"
        found.append(Series(name, x, y[:, k], ("warm", *COLORS[2:])[k % 6], 1.8, **circles))
    at = ds["x"].values.astype(float)
    if at.size:
        foot = np.full(at.size, (up.ends or (0.0, 1.0))[0])
        found.append(Series("elbows", at, foot, "main", symbol="tick", hover=tuple(_said(ds))))
    return Cell(across, up, tuple(found), marks=_range(ds, words=True))


def _units(ds: xr.Dataset, depth: int, across: Ruler) -> Cell:
    """A row for each unit of a layer, with lines where it is on."""
    mine = ds["relu_depth"].values == depth
    units, on = ds["relu_unit"].values[mine], ds["on_at_low"].values[mine].astype(bool)
    here = ds["depth"].values == depth
    places, whose = ds["x"].values[here].astype(float), ds["unit"].values[here]
    low, high = float(ds.attrs["low"]), float(ds.attrs["high"])
    x, y, said = [], [], []
    for unit, begins in zip(units, on, strict=True):
        ends = np.sort(places[whose == unit])
        stops = np.concatenate([[low] if begins else [], ends])
        stops = np.append(stops, high) if stops.size % 2 else stops
        for a, b in stops.reshape(-1, 2):
            x += [a, b, np.nan]
            y += [unit, unit, np.nan]
            said += [f"unit {unit}: on from {number(a, 4)} to {number(b, 4)}"] * 2 + [""]
    color = COLORS[(depth - 1) % len(COLORS)]
    lines = Series(
        "on", np.array(x, dtype=float), np.array(y, dtype=float), color, _width(len(units)), hover=tuple(said), key=""
    )
    up = Ruler("Unit", ends=(-0.8, max(len(units) - 0.2, 0.8)))
    return Cell(across, up, (lines,), _heading(ds, depth - 1, int(here.sum())), _range(ds))


def _width(units: int) -> float:
    return float(np.clip(40 / max(units, 1), 0.5, 2.4))


def _heading(ds: xr.Dataset, k: int, count: int) -> str:
    units, always, never = (int(ds[name].values[k]) for name in ("units", "always_on", "never_on"))
    words = [f"Layer {ds['part'].values[k]}: {_many(units, 'unit')}", _many(count, "elbow")]
    words += [f"{always:,} always on"] * bool(always) + [f"{never:,} never on"] * bool(never)
    return ", ".join(words)


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _said(ds: xr.Dataset) -> list[str]:
    bends = ds["bend"].values.astype(float)
    told = []
    for k, (layer, unit, x) in enumerate(zip(ds["layer"].values, ds["unit"].values, ds["x"].values, strict=True)):
        slope = f"<br>slope {number(float(bends[k, 0]), 3)} more" if bends.shape[1] == 1 else ""
        told.append(f"layer {layer}, unit {unit}<br>input {number(float(x), 4)}{slope}")
    return told


def _range(ds: xr.Dataset, words: bool = False) -> tuple[Mark, ...]:
    """The ends of the training data, where the picture goes beyond them."""
    if "train_low" not in ds.attrs:
        return ()
    ends = float(ds.attrs["train_low"]), float(ds.attrs["train_high"])
    span = float(ds.attrs["high"]) - float(ds.attrs["low"])
    within = ends[0] > ds.attrs["low"] + 0.01 * span or ends[1] < ds.attrs["high"] - 0.01 * span
    told = ("training range", "beyond") if words else ("", "")
    return tuple(Mark(at, word) for at, word in zip(ends, told, strict=True)) if within else ()


def _facts(ds: xr.Dataset) -> list[str]:
    units = int(ds["units"].values.sum())
    pieces = _many(ds.sizes["node"] - 1, "straight piece")
    return [f"{_many(ds.sizes['elbow'], 'elbow')} of {_many(units, 'unit')}", pieces]


def _notes(ds: xr.Dataset) -> tuple[str, ...]:
    notes = ["Below: every unit, drawn where it is on"]
    if "example" in ds.dims and ds.sizes["example"] > _MOST_DOTS:
        notes.append(f"{_MOST_DOTS} of {ds.sizes['example']:,} examples are drawn")
    if ds.sizes["output"] > _MOST_OUTPUTS:
        notes.append(f"{_MOST_OUTPUTS} of {ds.sizes['output']} outputs are drawn")
    return tuple(notes)
