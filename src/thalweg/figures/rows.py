"""Where the rows of a tangent or a kernel stand in a drawing: by input, output, class or target, or in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from thalweg.figures import rulers, shades
from thalweg.figures.chart import Mark
from thalweg.figures.rulers import Ruler
from thalweg.figures.shades import Shades
from thalweg.figures.steps import number

By = Literal["input", "output", "class", "target", "example"]
WORDS = {"input": "Input x", "output": "Output", "class": "Class", "target": "Target", "example": "Example"}
_BLOCKS = {"output": "output", "class": "label"}  # what rows are sorted by, and its coordinate
_MOST_NAMES = 12


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows `kept` of a dataset, in the order in which they are drawn, each at its `place`; `tints` are their colours.

    `joined`: places are inputs, over which the outputs are functions; `ends` are the places after which another such
    curve begins.
    """

    kept: np.ndarray
    place: np.ndarray
    tints: np.ndarray
    joined: bool
    said: tuple[str, ...]
    breaks: np.ndarray
    total: int


def by(several: list[xr.Dataset]) -> By:
    """What all of them know of their rows."""
    if all("x" in ds for ds in several):
        return "input"
    if any((ds["output"].values != ds["output"].values[:1]).any() for ds in several):
        return "output"
    if all("label" in ds for ds in several):
        return "class"
    return "target" if all("target" in ds for ds in several) else "example"


def arranged(ds: xr.Dataset, kind: By, most: int) -> Rows:
    """The rows of a tangent in the order of their places; of more than `most`, evenly spaced ones.

    Within an output they are in the order of their classes.
    """
    total, output = ds.sizes["row"], ds["output"].values
    key = _key(ds, kind)
    second = ds["label"].values if kind == "output" and "label" in ds else ds["example"].values
    order = np.lexsort((key, output)) if kind == "input" else np.lexsort((second, key))
    kept = order[thinned(total, most)]
    place = np.arange(kept.size, dtype=float) if kind in _BLOCKS else key[kept].astype(float)
    said = tuple(_said(ds, kind, int(k)) for k in kept)
    breaks = np.flatnonzero(np.diff(output[kept])) + 1 if kind == "input" else np.empty(0, dtype=int)
    return Rows(kept, place, _tints(kind, key)[kept], kind == "input", said, breaks, total)


def thinned(total: int, most: int) -> np.ndarray:
    """At most so many of `total` places, evenly spaced, with the first and the last.

    Examples
    --------
    >>> thinned(10, 4)
    array([0, 3, 6, 9])
    """
    return np.arange(total) if total <= most else np.linspace(0, total - 1, most).round().astype(int)


def axis(several: list[Rows], kind: By, ds: xr.Dataset) -> Ruler:
    """The axis that they share."""
    if kind in _BLOCKS:
        return blocks(ds[_BLOCKS[kind]].values[several[0].kept], WORDS[kind])
    places = np.concatenate([rows.place for rows in several])
    return rulers.linear(WORDS[kind], places, 0.02)


def blocks(labels: np.ndarray, words: str) -> Ruler:
    """An axis over rows sorted by class, each class named in its middle.

    Examples
    --------
    >>> blocks(np.array([3, 3, 3, 8]), "Digit").ticks
    (1.0, 3.0)
    """
    names, first, count = np.unique(labels, return_index=True, return_counts=True)
    middle = first + (count - 1) / 2
    every = max(1, -(-names.size // _MOST_NAMES))
    ticks = tuple(map(float, middle[::every]))
    return Ruler(words, "linear", (-0.5, labels.size - 0.5), 1.0, ticks, tuple(map(str, names[::every])))


def bounds(labels: np.ndarray) -> np.ndarray:
    """Where one class ends and the next begins.

    Examples
    --------
    >>> bounds(np.array([3, 3, 3, 8]))
    array([2.5])
    """
    return np.flatnonzero(np.diff(labels)) + 0.5


def marks(ds: xr.Dataset, rows: Rows, kind: By) -> tuple[Mark, ...]:
    """Thin lines between classes or outputs."""
    if kind not in _BLOCKS:
        return ()
    return tuple(Mark(float(at), "") for at in bounds(ds[_BLOCKS[kind]].values[rows.kept]))


def colors(several: list[Rows], kind: By, ds: xr.Dataset) -> Shades:
    """The colours of their rows."""
    if kind in _BLOCKS:
        return shades.classes(kind, [str(name) for name in np.unique(ds[_BLOCKS[kind]].values)])
    words = {"input": "input x", "target": "target", "example": "example"}[kind]
    return shades.numbers(words, np.concatenate([rows.tints for rows in several]))


def _key(ds: xr.Dataset, kind: By) -> np.ndarray:
    name = {"input": "x", "target": "target", "example": "example"} | _BLOCKS
    return np.asarray(ds[name[kind]].values)


def _tints(kind: By, key: np.ndarray) -> np.ndarray:
    return (np.searchsorted(np.unique(key), key) if kind in _BLOCKS else key).astype(float)


def _said(ds: xr.Dataset, kind: By, row: int) -> str:
    """`x = 0.5, output 1`."""
    example = f"example {int(ds['example'].values[row])}"
    start = {
        "input": lambda: f"x = {number(float(ds['x'].values[row]), 3)}",
        "output": lambda: example + (f" of class {ds['label'].values[row]}" if "label" in ds else ""),
        "class": lambda: f"class {ds['label'].values[row]}, {example}",
        "target": lambda: f"target {number(float(ds['target'].values[row]), 3)}, {example}",
        "example": lambda: example,
    }[kind]()
    output = int(ds["output"].values[row])
    many = (ds["output"].values != output).any()
    return f"{start}, output {output}" if many else start
