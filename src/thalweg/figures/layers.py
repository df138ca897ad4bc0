"""Norms by layer, as groups of bars on a logarithmic axis in scientific notation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.figures import rulers
from thalweg.figures.board import Cell, Word
from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler

COLORS = ("main", "warm", "violet", "amber", "light", "plum", "text")
_MOST_WORDS = 14  # bars up to which each says its number
_MOST_TICKS = 16
_WIDTH = 0.8  # of a group, in layers


@dataclass(frozen=True)
class Bar:
    """One bar in each group: its entry in the legend, and its norms `(layers,)`."""

    name: str
    norms: np.ndarray


def axis(layers: Sequence[object] | np.ndarray, words: str = "") -> Ruler:
    """Layers at 0, 1, ...; with many of them only some are named."""
    every = max(1, -(-len(layers) // _MOST_TICKS))
    places = tuple(float(k) for k in range(0, len(layers), every))
    return Ruler(words, "linear", (-0.6, len(layers) - 0.4), 1.0, places, tuple(str(layers[int(k)]) for k in places))


def bars(layers: Sequence[object] | np.ndarray, found: Sequence[Bar], words: str, heading: str, span: int = 1) -> Cell:
    """Groups of bars; a norm that is 0 or not finite is a word at the foot of its group."""
    values = np.concatenate([bar.norms for bar in found])
    positive = values[np.isfinite(values) & (values > 0)]
    ruler = rulers.linear(words, np.zeros(1), zero=True)
    if positive.size:
        ruler = rulers.scientific(words, 10 ** _below(float(positive.min())), 2.5 * float(positive.max()))
    width = _WIDTH / len(found)
    series, told = [], []
    many = values.size > _MOST_WORDS
    for k, bar in enumerate(found):
        at = np.arange(bar.norms.size) + (k + 0.5) * width - _WIDTH / 2
        color = COLORS[k % len(COLORS)]
        hover = tuple(
            f"{bar.name}, {n}: {rulers.power_of_ten(float(v), 3)}" for n, v in zip(layers, bar.norms, strict=True)
        )
        series.append(Series(bar.name, at, bar.norms, color, filled=0.92 * width, hover=hover))
        for x, v in zip(at, bar.norms, strict=True):
            drawn = np.isfinite(v) and v > 0
            if not (drawn and many):
                place = float(v) if drawn else (ruler.ends or (0.0, 1.0))[0]
                told.append(Word(float(x), place, rulers.power_of_ten(float(v)), (0, 1), color))
    return Cell(axis(layers), ruler, tuple(series), heading, words=tuple(told), span=span)


def _below(value: float) -> float:
    """The decade below the smallest bar, which leaves it some height."""
    return float(np.floor(np.log10(value) - 0.3))
