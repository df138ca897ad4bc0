"""A function, its tangent at a point, and the error of the tangent: moved by two sliders, drawn at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import traitlets
import xarray as xr

from thalweg.apps.widgets.instrument import Instrument, packed
from thalweg.landscapes import FUNCTIONS
from thalweg.measures import linear_approximation


class Tangent(Instrument, script="tangent.js"):
    r"""Move $x$ and $x + \varepsilon$, and see how well the tangent at $x$ predicts the function at $x + \varepsilon$.

    Each function is sampled once, values and derivatives at `num` places and halfway between (with
    `thalweg.linear_approximation`); the module interpolates by cubics, linearly in cells where a cubic misses the
    value halfway (kinks). `dataset()` computes the numbers that are shown anew.

    Parameters
    ----------
    functions
        Names and functions of one variable, elementwise, of torch or numpy; the six of `landscapes.FUNCTIONS` by
        default. A `formula` and `kinks` of theirs are shown.
    extent
        The places are in `[-extent, extent]`, or in a pair.
    function, x, moved
        What is shown first: the name, the point, and the point moved by epsilon.
    num
        Places of the sampling.

    Examples
    --------
    >>> shown = Tangent({"cube": lambda x: x**3}, x=1.0, moved=1.5)
    >>> shown.epsilon, float(shown.dataset().error[0])
    (0.5, -0.875)
    """

    title = "The tangent and its error"
    functions = traitlets.Dict().tag(sync=True)
    low = traitlets.Float(-2.0).tag(sync=True)
    high = traitlets.Float(2.0).tag(sync=True)
    function = traitlets.Unicode().tag(sync=True)
    x = traitlets.Float(0.5).tag(sync=True)
    moved = traitlets.Float(1.0).tag(sync=True)

    def __init__(
        self,
        functions: Mapping[str, Callable[[Any], Any]] | None = None,
        *,
        extent: float | tuple[float, float] = 2.0,
        function: str | None = None,
        x: float = 0.5,
        moved: float = 1.0,
        num: int = 801,
        theme: str = "auto",
    ) -> None:
        self._callables = dict(FUNCTIONS if functions is None else functions)
        if not self._callables:
            raise ValueError("There is no function to draw; give at least one, or none for the usual six.")
        low, high = (-float(extent), float(extent)) if isinstance(extent, (int, float)) else map(float, extent)
        name = next(iter(self._callables)) if function is None else function
        if name not in self._callables:
            raise ValueError(f"There is no function {name!r}; there are {', '.join(map(repr, self._callables))}.")
        for word, at in (("x", x), ("moved", moved)):
            if not low <= at <= high:
                raise ValueError(f"{word}={at:g} lies outside of the places drawn, {low:g} to {high:g}.")
        sampled = {key: _sampled(call, key, low, high, num) for key, call in self._callables.items()}
        super().__init__(functions=sampled, low=low, high=high, function=name, x=x, moved=moved, theme=theme)

    @property
    def epsilon(self) -> float:
        r"""$\varepsilon$, from `x` to `moved`."""
        return self.moved - self.x

    def dataset(self) -> xr.Dataset:
        """What is shown, as `thalweg.linear_approximation` computes it (kind `linear_approximation`)."""
        call = self._callables[self.function]
        name = getattr(call, "formula", self.function)
        return linear_approximation(call, self.x, self.epsilon, extent=(self.low, self.high), name=name)


def _sampled(function: Callable[[Any], Any], name: str, low: float, high: float, num: int) -> dict[str, Any]:
    """Values and slopes at `num` places, and in which cells between them cubics are to be trusted."""
    kinks = [float(kink) for kink in getattr(function, "kinks", ())]
    places = np.linspace(low, high, 2 * num - 1)
    found = linear_approximation(function, places, 0.0, extent=(low, high), num=2)
    value, slope = found["true"].values, found["slope"].values
    ends, steep, halfway = value[::2], slope[::2], value[1::2]
    width = places[2] - places[0]
    linear = (ends[:-1] + ends[1:]) / 2
    cubic = linear + width / 8 * (steep[:-1] - steep[1:])
    with np.errstate(invalid="ignore"):
        smooth = np.abs(cubic - halfway) <= np.abs(linear - halfway)
    return {
        "formula": getattr(function, "formula", name),
        "kinks": kinks,
        "value": packed(ends),
        "slope": packed(steep),
        "smooth": packed(smooth),
    }
