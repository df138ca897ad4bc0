"""Axes: linear, logarithmic, or linear around zero and by decades beyond, for values of both signs.

A `Ruler` knows its words, its ends and its ticks, all in true values; backends ask it for positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.figures.scale import _SUPERSCRIPT, tick_text
from thalweg.figures.steps import number

Kind = Literal["linear", "log", "asinh"]
APART = 0.07  # least distance of ticks, as a share of an axis
ENOUGH = 5  # ticks at zero and powers of ten beside which no others are needed


@dataclass(frozen=True)
class Ruler:
    r"""An axis. On kind `asinh` the value $v$ stands at $\operatorname{arsinh}(v / \text{width})$.

    `ends` and `ticks` are values, `words` says what stands at the ticks; without them the backend chooses.
    """

    label: str
    kind: Kind = "linear"
    ends: tuple[float, float] | None = None
    width: float = 1.0
    ticks: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    def __call__(self, values: object) -> np.ndarray:
        """Positions for a backend that has linear axes only: decimal logarithms, arsinh, or the values themselves."""
        v = np.asarray(values, dtype=float)
        if self.kind == "asinh":
            return np.asarray(np.arcsinh(v / self.width))
        return np.log10(v) if self.kind == "log" else v


def linear(label: str, values: np.ndarray, room: float = 0.05, zero: bool = False) -> Ruler:
    """A linear axis that holds the finite `values` with some room, and zero if that is asked for.

    Examples
    --------
    >>> linear("loss", np.array([0.0, 10.0, np.nan])).ends
    (-0.5, 10.5)
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    pad = room * (high - low) or 0.05 * abs(low) or 0.5
    return Ruler(label, ends=(low - pad, high + pad))


def log(label: str, low: float, high: float) -> Ruler:
    """A logarithmic axis with ticks at whole decades, at most nine of them; within two decades also at 2 and 5.

    Examples
    --------
    >>> log("density", 3e-4, 20.0).words
    ('0.001', '0.01', '0.1', '1', '10')
    """
    first, last = np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(high) + 1e-9)
    powers = np.arange(first, last + 1, max(1, np.ceil((last - first) / 8)))
    ticks = 10.0**powers
    if powers.size < 3:
        every = np.outer(10.0 ** np.arange(first - 1, last + 1), [1, 2, 5]).ravel()
        ticks = every[(every >= low) & (every <= high)]
    return Ruler(label, "log", (low, high), 1.0, tuple(ticks.tolist()), tuple(map(_log_word, ticks)))


def _log_word(value: float) -> str:
    power = np.log10(value)
    return tick_text(float(power), True) if abs(power - round(power)) < 1e-9 else number(float(value), 2)


def scientific(label: str, low: float, high: float) -> Ruler:
    """As `log`, with every tick in scientific notation.

    Examples
    --------
    >>> scientific("gradient", 3e-3, 20.0).words, scientific("gradient", 0.9, 6.0).words
    (('10⁻²', '10⁻¹', '10⁰', '10¹'), ('1×10⁰', '2×10⁰', '5×10⁰'))
    """
    plain = log(label, low, high)
    bare = len(plain.ticks) > 0 and all(abs(np.log10(t) - round(np.log10(t))) < 1e-9 for t in plain.ticks)
    words = tuple(power_of_ten(t, 0)[2 * bare :] for t in plain.ticks)
    return Ruler(label, "log", plain.ends, 1.0, plain.ticks, words)


def power_of_ten(value: float, digits: int = 1) -> str:
    """A number in scientific notation, with so many digits behind the point.

    Examples
    --------
    >>> power_of_ten(0.000271), power_of_ten(-12.0, 0), power_of_ten(0.0), power_of_ten(np.inf)
    ('2.7×10⁻⁴', '−1×10¹', '0', 'inf')
    """
    if value == 0 or not np.isfinite(value):
        return f"{value:g}".replace("-", "−")
    mantissa, power = f"{value:.{digits}e}".split("e")
    return f"{mantissa.replace('-', '−')}×10{str(int(power)).translate(_SUPERSCRIPT)}"


def asinh(label: str, low: float, high: float, width: float) -> Ruler:
    """An axis that is linear within `width` of zero and goes by decades beyond, ticks at zero and powers of ten.

    Examples
    --------
    >>> asinh("eigenvalue", -1.0, 100.0, 0.5).words
    ('−1', '0', '1', '10', '100')
    """
    bare = Ruler(label, "asinh", (low, high), width)
    tallest = np.ceil(np.log10(max(abs(low), abs(high))))
    powers = 10.0 ** np.arange(tallest, np.floor(np.log10(width)) - 1, -1)
    candidates = [0.0, *(s * m * p for m in (1.0, 3.0) for p in powers for s in (1, -1))]
    span = float(np.ptp(bare(np.array([low, high]))))
    chosen: list[float] = []
    for k, value in enumerate(candidates):
        enough = k > 2 * powers.size and len(chosen) >= ENOUGH
        if not enough and low <= value <= high and all(abs(bare(value) - bare(v)) > APART * span for v in chosen):
            chosen.append(value)
    ticks = tuple(sorted(chosen))
    words = tuple("0" if v == 0 else ("−" if v < 0 else "") + _log_word(abs(v)) for v in ticks)
    return Ruler(label, "asinh", (low, high), width, ticks, words)


def counting(label: str, count: int) -> Ruler:
    """An axis over the numbers 1 to `count`.

    Examples
    --------
    >>> counting("pair", 3).words
    ('1', '2', '3')
    """
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10 ** len(str(count))) if count / s <= 20)
    ticks = sorted({1, *range(step, count + 1, step)} - ({2} if step == 2 else set()))
    return Ruler(label, "linear", (0.4, count + 0.6), 1.0, tuple(map(float, ticks)), tuple(map(str, ticks)))
