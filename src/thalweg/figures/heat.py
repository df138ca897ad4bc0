"""A map of coloured cells, as plain numbers and words: overlaps of subspaces, densities along training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler


@dataclass(frozen=True)
class Heat:
    """Cells `values[i, j]` between `x_edges[i]`, `x_edges[i + 1]` and `y_edges[j]`, `y_edges[j + 1]`; nan is a hole.

    `low` and `high` are the ends of the colours, `ticks` and `words` what stands beside the colour bar, `hover` says
    something for every cell, `told` is written into it. `lines` lie on the map. `square`: cells are as wide as high;
    `downward`: the ordinate runs from top to bottom, as in a matrix.
    """

    x: Ruler
    y: Ruler
    x_edges: np.ndarray
    y_edges: np.ndarray
    values: np.ndarray
    low: float
    high: float
    bar: str
    ticks: tuple[float, ...]
    words: tuple[str, ...]
    hover: np.ndarray
    title: str
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    told: np.ndarray | None = None
    lines: tuple[Series, ...] = ()
    square: bool = False
    downward: bool = False


def edges(centres: np.ndarray, ruler: Ruler | None = None) -> np.ndarray:
    """Edges of cells around these places, half-way between them; a single cell is 1 wide.

    Examples
    --------
    >>> edges(np.array([0.0, 10.0, 30.0]))
    array([-5.,  5., 20., 40.])
    """
    if centres.size == 1:
        return np.asarray(centres[0] + np.array([-0.5, 0.5]))
    at = centres if ruler is None else ruler(centres)
    middles = (at[1:] + at[:-1]) / 2
    found = np.concatenate([[2 * at[0] - middles[0]], middles, [2 * at[-1] - middles[-1]]])
    return np.asarray(ruler.width * np.sinh(found) if ruler is not None and ruler.kind == "asinh" else found)


def thinned(count: int, most: int) -> np.ndarray:
    """Numbers of at most `most` of `count` cells, evenly spaced from the first; the last if it is not too close.

    Examples
    --------
    >>> thinned(25, 8)
    array([ 0,  4,  8, 12, 16, 20, 24])
    """
    every = max(1, -(-count // most))
    return np.arange(0, count, every)
