"""Levels at quantiles and a diverging colour map: for quantities whose values crowd around one of them.

Risks of single examples spread over decades while those of a whole data set crowd around the risk of doing nothing.
Evenly spaced levels would colour the crowd alike; here every band holds an equal share of the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from thalweg.figures.steps import number

BELOW, ABOVE = 11, 10  # levels up to and including the middle of colour, and above it
_ENOUGH = 100_000  # values from which quantiles are taken
_SHARES = 2001  # quantiles that stand for a sample
_TIES = 0.02  # share of even spacing by which levels that coincide are parted

# OKLab lightness rises evenly from both ends to the middle; blue and orange differ for any colour vision.
COLORS = (
    *("#042b61", "#024380", "#045c9d", "#1377b7", "#4392c5", "#6bacd2", "#94c5df", "#c0deeb", "#f7f3ea"),
    *("#eed4bb", "#e5b58d", "#da9562", "#cd7437", "#bd5303", "#a03c00", "#812804", "#631503"),
)


@dataclass(frozen=True)
class Bands:
    """Edges of the bands, strictly increasing; `middle` is the number of the edge where the two colours meet."""

    levels: np.ndarray
    middle: int

    def __call__(self, values: Any) -> np.ndarray:
        """Values as band numbers: edge k becomes k, linear between edges; +inf at the top, nan and -inf as nan."""
        v = np.array(values, dtype=float)
        v[np.isneginf(v)] = np.nan
        return np.asarray(np.interp(v, self.levels, np.arange(self.levels.size, dtype=float)))

    @property
    def count(self) -> int:
        """Number of bands."""
        return self.levels.size - 1

    @property
    def ticks(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Numbers of every second edge, the middle among them, and their values."""
        at = np.arange(self.middle % 2, self.levels.size, 2)
        least = 1e-6 * float(np.ptp(self.levels))
        return at, tuple(number(float(v) if abs(v) > least else 0.0, 3) for v in self.levels[at])

    @property
    def colors(self) -> list[str]:
        """One colour per band, from lowest to highest."""
        below = (np.arange(self.middle) + 0.5) / (2 * self.middle)
        above = 0.5 + (np.arange(self.count - self.middle) + 0.5) / (2 * (self.count - self.middle))
        return [color(float(position)) for position in (*below, *above)]


def color(position: float) -> str:
    """The diverging colour map between 0 and 1; its middle is pale.

    Examples
    --------
    >>> color(0.0), color(0.5), color(1.0)
    ('#042b61', '#f7f3ea', '#631503')
    """
    channels = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLORS], dtype=float)
    at = position * (len(COLORS) - 1)
    mixed = [np.interp(at, np.arange(len(COLORS)), channel) for channel in channels.T]
    return "#" + "".join(f"{round(float(v)):02x}" for v in mixed)


def quantile_bands(samples: Sequence[np.ndarray], middle: float) -> Bands:
    """Bands that share the values of `samples` evenly, ten on either side of `middle`; each sample counts the same.

    Levels that coincide, because many values are equal, are parted a little. If fewer than 5% of the values lie on one
    side of `middle`, the median takes its place.

    Raises
    ------
    ValueError
        If no value is finite.

    Examples
    --------
    >>> quantile_bands([np.linspace(0.0, 30.0, 3001)], middle=10.0).levels[[0, 5, 10, 15, 20]].round(1)
    array([ 0.,  5., 10., 20., 30.])
    """
    kept = [v for v in (_thinned(s) for s in samples) if v.size]
    if not kept:
        raise ValueError("None of the risks is finite, so there is nothing to draw.")
    even = np.linspace(0.0, 1.0, _SHARES)
    pooled = np.sort(np.concatenate([np.quantile(v, even) for v in kept]))
    low, high = (float(edge([edge(v) for v in kept])) for edge in (np.min, np.max))
    below = float((pooled < middle).mean())
    at = middle if below >= 0.05 and float((pooled > middle).mean()) >= 0.05 else float(np.median(pooled))
    if not low < at < high:
        pad = 0.05 * abs(at) or 0.05
        low, high = min(low, at - pad), max(high, at + pad)
    under = _parted(pooled[pooled <= at], low, at, BELOW)
    over = _parted(pooled[pooled >= at], at, high, ABOVE + 1)
    return Bands(np.concatenate([under, over[1:]]), BELOW - 1)


def _thinned(sample: np.ndarray) -> np.ndarray:
    """The finite values; of very many, evenly spaced ones, with the least and the greatest."""
    values = np.asarray(sample, dtype=float).ravel()
    step = max(1, values.size // _ENOUGH)
    while step > 1 and gcd(step, values.size) > 1:  # a common divisor would leave out whole examples
        step += 1
    finite = values[np.isfinite(values)]
    if step == 1 or not finite.size:
        return finite
    some = values[::step]
    return np.concatenate([some[np.isfinite(some)], [finite.min(), finite.max()]])


def _parted(values: np.ndarray, low: float, high: float, count: int) -> np.ndarray:
    """`count` quantiles from `low` to `high`, strictly increasing."""
    even = np.linspace(low, high, count)
    found = np.quantile(values, np.linspace(0, 1, count)) if values.size else even
    if (np.diff(found) <= 1e-9 * (high - low)).any():
        found = (1 - _TIES) * found + _TIES * even
    found[0], found[-1] = low, high
    return np.asarray(found)
