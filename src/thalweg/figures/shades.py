"""Colours that stand for numbers within a panel: of dots, or of the cells of a matrix, with a colour bar beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.figures import bands, scale
from thalweg.figures import theme as themes
from thalweg.figures.steps import number

Colors = Literal["depth", "diverging", "dots"]

# OKLab lightness rises strictly, so that the order is seen with any colour vision; every one is legible on its paper.
_DOTS = {
    "light": ("#1d1a63", "#4a2a9c", "#8b2fa8", "#c93f86", "#ec6a4f", "#f0932a", "#e6b81c"),
    "dark": ("#5b6cf0", "#8f6bf2", "#c76be0", "#f071b4", "#ff8a7a", "#ffb04d", "#ffe066"),
}
_MOST_TICKS = 6
_NEAR = 0.03  # of a step


@dataclass(frozen=True)
class Shades:
    """Values between `low` and `high` as colours; `steps`: so many flat ones, for what is counted.

    `depth` is the colour map of surfaces, `diverging` is pale in the middle, `dots` keeps clear of the paper. `label`
    stands at the colour bar, `words` at its `ticks`.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    words: tuple[str, ...]
    colors: Colors = "depth"
    steps: int = 0

    def palette(self, theme: themes.Theme = "light") -> list[str]:
        """Evenly spaced colours from `low` to `high`.

        Examples
        --------
        >>> Shades("x", 0.0, 1.0, (), (), "diverging").palette()[0]
        '#042b61'
        """
        known = {"depth": themes.COLORS, "diverging": bands.COLORS, "dots": _DOTS[theme]}[self.colors]
        return _spread(known, self.steps) if self.steps else list(known)


@dataclass(frozen=True, eq=False)
class Tiles:
    """Cells `values[i, j]` between `x_edges[i]`, `x_edges[i + 1]` and `y_edges[j]`, `y_edges[j + 1]`; nan is a hole.

    `hover` says something for every cell, or is empty where there are too many; then it is the value.
    """

    x_edges: np.ndarray
    y_edges: np.ndarray
    values: np.ndarray
    hover: np.ndarray | None = None


def numbers(label: str, values: np.ndarray, colors: Colors = "dots") -> Shades:
    """From the least to the greatest of the finite values.

    Examples
    --------
    >>> numbers("input", np.array([-1.0, 0.0, 1.0])).words
    ('−1', '−0.5', '0', '0.5', '1')
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return _with_ticks(label, low, high, colors)


def around_zero(label: str, reach: float) -> Shades:
    """From `-reach` to `reach`, pale at zero.

    Examples
    --------
    >>> around_zero("kernel", 2.0).words
    ('−2', '−1', '0', '1', '2')
    """
    return _with_ticks(label, -reach, reach, "diverging")


def classes(label: str, names: list[str]) -> Shades:
    """One colour for each of the classes 0, 1, ...

    Examples
    --------
    >>> classes("digit", ["3", "8"]).ticks, len(classes("digit", ["3", "8"]).palette())
    ((0.0, 1.0), 2)
    """
    every = max(1, -(-len(names) // 12))
    at = range(0, len(names), every)
    ticks, words = tuple(float(k) for k in at), tuple(names[k] for k in at)
    return Shades(label, -0.5, len(names) - 0.5, ticks, words, "dots", len(names))


def ticks(low: float, high: float, most: int = _MOST_TICKS) -> np.ndarray:
    """Nice numbers between two ends, or hardly beyond them.

    Examples
    --------
    >>> ticks(-1.0, 1.0)
    array([-1. , -0.5,  0. ,  0.5,  1. ])
    """
    step = scale.nice_step(high - low, most - 1)
    first, last = np.ceil(low / step - _NEAR), np.floor(high / step + _NEAR)
    return np.arange(first, last + 0.5) * step + 0.0


def _with_ticks(label: str, low: float, high: float, colors: Colors) -> Shades:
    at = ticks(low, high)
    if at.size:
        low, high = min(low, float(at[0])), max(high, float(at[-1]))
    return Shades(label, low, high, tuple(at.tolist()), tuple(number(float(v), 3) for v in at), colors)


def _spread(colors: tuple[str, ...], count: int) -> list[str]:
    """So many colours at even distances along a map."""
    channels = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in colors], dtype=float)
    at = np.linspace(0, len(colors) - 1, count) if count > 1 else np.zeros(1)
    mixed = np.stack([np.interp(at, np.arange(len(colors)), channel) for channel in channels.T], axis=1)
    return ["#" + "".join(f"{round(float(v)):02x}" for v in row) for row in mixed]
