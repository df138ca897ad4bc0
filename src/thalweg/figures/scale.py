"""Numbers to heights: logarithms, ceilings, ticks and iso-levels. Pure numpy; nothing here knows a dataset.

A *height* is what is drawn: the value itself, or its decimal logarithm. A `Scale` turns values into heights and knows
where it flattens: below `floor` (logarithms of what is not positive) and above `ceiling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

DECADES_FOR_LOG = 3.0  # 'auto' takes logarithms when the 5th to the 95th percentile spans more than this
DEPTH_OF_LOG = 1e-10  # positive values below this fraction of the largest are flattened on a log scale
LARGEST = 1e37  # on a linear scale; browsers draw in single precision, which ends not far above
CEILING = 4.0  # 'auto' flattens what is higher than this many times the way from the minimum to the 90th percentile
_HIGHEST = float(np.log10(np.finfo(float).max))

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """How values become heights: `scale(values)`."""

    log: bool
    floor: float | None
    ceiling: float | None
    low: float
    high: float

    def __call__(self, values: Any) -> np.ndarray:
        """Heights of `values`: +inf at the top, nan and -inf as nan, the rest flattened to [floor, ceiling]."""
        v = np.array(values, dtype=float)
        v[np.isneginf(v)] = np.nan
        v[np.isposinf(v)] = self.top
        if self.log:
            v[v <= 0] = self.bottom
        if self.floor is not None:
            v = np.maximum(v, self.floor)
        if self.ceiling is not None:
            v = np.minimum(v, self.ceiling)
        return np.log10(v) if self.log else v

    @property
    def bottom(self) -> float:
        """The smallest value of the surface that is drawn."""
        return (value_at(self.low) if self.log else self.low) if self.floor is None else self.floor

    @property
    def top(self) -> float:
        """The largest value of the surface that is drawn."""
        return (value_at(self.high) if self.log else self.high) if self.ceiling is None else self.ceiling


def wants_log(values: np.ndarray, log: bool | Literal["auto"]) -> bool:
    """Whether to take logarithms; 'auto' asks how many decades the bulk of the values spans.

    Examples
    --------
    >>> wants_log(np.logspace(-4, 5, 50), "auto"), wants_log(np.linspace(0.1, 7, 50), "auto")
    (True, False)
    """
    if log != "auto":
        return bool(log)
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    if not positive.size or positive.size < 0.95 * finite.size or (finite < 0).any():
        return False
    low, high = (np.log10(_percentile(positive, q)) for q in (5, 95))
    return bool(high - low > DECADES_FOR_LOG) or _percentile(positive, 90) > LARGEST


def fit(name: str, values: np.ndarray, log: bool, clip: float | Literal["auto"] | None) -> Scale:
    """The scale that shows `values`.

    Raises
    ------
    ValueError
        If no value is finite, none is positive on a log scale, `clip` lies below all of them, or they are too large
        for a linear scale.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError(f"None of the {values.size:,} values of `{name}` is finite, so there is nothing to draw.")
    if log and not (finite > 0).any():
        raise ValueError(f"`{name}` has no positive value, so it has no logarithm; draw it with log=False.")
    floor = None
    if log and finite.min() <= finite.max() * DEPTH_OF_LOG:
        floor = float(finite[finite > finite.max() * DEPTH_OF_LOG].min())
    drawn = np.maximum(finite, floor) if floor is not None else finite
    heights = np.log10(drawn) if log else drawn
    ceiling = _ceiling(name, heights, log, clip)
    low, high = float(heights.min()), float(heights.max())
    if ceiling is not None:
        high = float(np.log10(ceiling) if log else ceiling)
    if not log and max(abs(low), abs(high)) > LARGEST:
        raise ValueError(
            f"`{name}` runs from {number(low)} to {number(high)}, more than a linear scale can show; draw it with "
            f"log=True{'' if low > 0 else ' (what is not positive lies on the floor)'}, or flatten it with clip=."
        )
    if high <= low:  # a constant is drawn in the middle of a range that is not empty
        pad = 0.05 * abs(low) or 0.05
        low, high = low - pad, high + pad
    return Scale(log, floor, ceiling, low, high)


def _ceiling(name: str, heights: np.ndarray, log: bool, clip: float | Literal["auto"] | None) -> float | None:
    if clip is None:
        return None
    low, high = float(heights.min()), float(heights.max())
    if clip == "auto":
        reach = CEILING * (_percentile(heights, 90) - low)
        if reach <= 0 or low + reach >= high:
            return None
        highest = float(heights[heights <= low + reach].max())
        return _round_up(value_at(highest) if log else highest)
    smallest = value_at(low) if log else low
    if float(clip) <= smallest:
        raise ValueError(
            f"clip={clip!r} lies below all of `{name}`, whose smallest value is {number(smallest)}; "
            "pass a larger number, clip='auto', or clip=None to flatten nothing."
        )
    top = value_at(high) if log else high
    return float(clip) if float(clip) < top else None


def value_at(height: float) -> float:
    """The value at a logarithmic height; above all numbers it is the largest of them."""
    return float(10.0**height) if height < _HIGHEST else float(np.finfo(float).max)


def _percentile(values: np.ndarray, q: float) -> float:
    """A percentile that does not overflow where values are as large as numbers can be."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(np.percentile(values, q))
    return found if np.isfinite(found) else float(np.percentile(values, q, method="lower"))


def _round_up(value: float) -> float:
    """`value` with two digits, upwards: a ceiling that is easy to say."""
    unit = 10.0 ** (np.floor(np.log10(abs(value))) - 1) if value else 1.0
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.2g}")


def nice_step(span: float, count: int) -> float:
    """The step of the form 1, 2, 2.5 or 5 times a power of ten that cuts `span` into at most `count` parts.

    Examples
    --------
    >>> nice_step(7.1, 8)
    1.0
    """
    if span <= 0:
        return 1.0
    raw = span / count
    unit = 10.0 ** np.floor(np.log10(raw))
    return float(unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * (1 - 1e-9)))


def levels(scale: Scale, count: int) -> np.ndarray:
    """About `count` evenly spaced heights at nice values; on a log scale whole decades are preferred.

    Examples
    --------
    >>> levels(Scale(False, None, None, 0.2, 7.3), 8)
    array([1., 2., 3., 4., 5., 6., 7.])
    """
    span = scale.high - scale.low
    decades = scale.log and span > 2
    step = float(max(1, np.ceil(span / count))) if decades else nice_step(span, count)
    first, last = np.ceil(scale.low / step - 1e-9), np.floor(scale.high / step + 1e-9)
    return np.arange(first, last + 0.5) * step + 0.0


def refine(coarse: np.ndarray, scale: Scale, count: int) -> np.ndarray:
    """Every level of `coarse` and evenly spaced ones between and beside them, about `count` in all.

    Examples
    --------
    >>> refine(np.array([2.0, 4.0]), Scale(False, None, None, 1.2, 5.1), 8)
    array([1.5, 2. , 2.5, 3. , 3.5, 4. , 4.5, 5. ])
    """
    if coarse.size < 2:
        return np.linspace(scale.low, scale.high, count + 1)[1:-1]
    step = float(coarse[1] - coarse[0])
    parts = min((1, 2, 4, 5, 10), key=lambda k: abs(k * (scale.high - scale.low) / step - count))
    step /= parts
    first, last = np.ceil(scale.low / step - 1e-9), np.floor(scale.high / step + 1e-9)
    return np.arange(first, last + 0.5) * step + 0.0


def tick_text(height: float, log: bool) -> str:
    """What stands at a tick: the value, written with a power of ten where that is shorter.

    Examples
    --------
    >>> [tick_text(-4.0, True), tick_text(1.0, True), tick_text(0.25, False), tick_text(25000.0, False)]
    ['10⁻⁴', '10', '0.25', '25,000']
    """
    if log and abs(height - round(height)) < 1e-9:
        power = round(height)
        return f"{10.0**power:g}" if -3 <= power <= 3 else "10" + str(power).translate(_SUPERSCRIPT)
    return number(value_at(height), 2) if log else number(height)


def number(value: float, digits: int = 4) -> str:
    """A number for people: four digits, thousands separated, powers of ten only when needed.

    Examples
    --------
    >>> [number(v) for v in (0.123456, 12345.6, 3.2e-7, np.inf, np.nan)]
    ['0.1235', '12,346', '3.2×10⁻⁷', 'inf', 'nan']
    """
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e3:
        return f"{float(f'{value:.{digits}g}'):.{max(digits, 4)}g}"
    if 1e3 <= abs(value) < 1e6:
        return f"{float(f'{value:.{max(digits, 5)}g}'):,.0f}"
    mantissa, power = f"{value:.{min(digits, 3) - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}×10" + str(int(power)).translate(_SUPERSCRIPT)
