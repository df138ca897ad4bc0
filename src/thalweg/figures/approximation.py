r"""The gradient as the best linear approximation: a function of one variable, its tangent, and what the tangent misses.

At $x$ the tangent predicts $f(x + \varepsilon) \approx f(x) + f'(x)\,\varepsilon$. The figure shows the error of that
prediction, which vanishes faster than $\varepsilon$, as a bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.prepare import label
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme, palette

_MARGIN, _REACH = 0.12, 1.0  # of the function's range: room around it, and how far predictions may widen the axis


@dataclass(frozen=True)
class Approximation:
    """Everything that the figure draws: two curves over `x`, places (2,), bars (2, 2) from end to end, and words."""

    x: np.ndarray
    value: np.ndarray
    tangent: np.ndarray
    point: np.ndarray
    moved: np.ndarray
    epsilon_bar: np.ndarray
    error_bar: np.ndarray
    epsilon: float
    error: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_label: str
    y_label: str
    function: str
    title: str
    subtitle: str


def linear_approximation(
    ds: xr.Dataset,
    *,
    step: float | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw a function, its tangent at a point, and the error of the tangent at a second point.

    The function is a line, the tangent gold; the point is grey, the point moved by $\varepsilon$ red; a blue bar is
    $\varepsilon$, a purple one the error $f(x) + f'(x)\varepsilon - f(x + \varepsilon)$. Axes stay the same over all
    steps, for films.

    Parameters
    ----------
    ds
        Kind `linear_approximation`; each step is one pair of a point and $\varepsilon$.
    step
        Which pair; None is the last.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `Approximation`.

    Raises
    ------
    ValueError
        If the dataset is of another kind or has no such step.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> x = np.linspace(-2, 2, 5)
    >>> pair = {"point": 1.0, "epsilon": 0.5, "slope": 2.0, "true": 2.25, "approximation": 2.0, "error": -0.25}
    >>> square = xr.Dataset(
    ...     {"value": ("x", x**2), "tangent": (("step", "x"), [2 * x - 1])}
    ...     | {k: ("step", [v]) for k, v in pair.items()},
    ...     {"x": x, "step": [0]},
    ...     {"kind": "linear_approximation", "function": "x²"},
    ... )
    >>> shown = linear_approximation(square, backend="none")
    >>> shown.title, shown.error_bar.tolist()
    ('Linear approximation of x²', [[1.5, 2.0], [1.5, 2.25]])
    """
    draw = drawer(backend, "approximation")
    return draw(prepare_approximation(ds, step=step, title=title), theme)


def prepare_approximation(ds: xr.Dataset, *, step: float | None = None, title: str | None = None) -> Approximation:
    """Read one pair of a point and epsilon.

    Raises
    ------
    ValueError
        As `linear_approximation`.
    """
    if ds.attrs.get("kind") != "linear_approximation":
        kind = ds.attrs.get("kind")
        raise ValueError(
            f"This dataset is of kind {kind!r}, and one of kind 'linear_approximation' is needed; "
            "`thalweg.linear_approximation` makes it."
        )
    schema.check(ds)
    at = steps.index(ds, step)
    names = ("point", "epsilon", "slope", "true", "approximation", "error")
    x, value = ds["x"].values.astype(float), ds["value"].values.astype(float)
    dust = 1e-12 * (1.0 + np.abs(value[np.isfinite(value)]).max(initial=0.0))  # what rounding leaves of nought
    numbers = [float(ds[n].values[at]) for n in names]
    point, epsilon, slope, true, near, error = (0.0 if abs(v) < dust else v for v in numbers)
    before = near - slope * epsilon
    moved = point + epsilon
    function = str(ds.attrs.get("function", "f"))
    told = [f"{w} {number(v, 3)}" for w, v in (("tangent", near), ("function", true), ("error", error))]
    said = f"Slope {number(slope, 3)} at x = {number(point, 3)}. With ε = {number(epsilon, 3)}: {', '.join(told)}"
    return Approximation(
        x=x,
        value=value,
        tangent=ds["tangent"].values[at].astype(float),
        point=np.array([point, before]),
        moved=np.array([moved, true]),
        epsilon_bar=np.array([[point, before], [moved, before]]),
        error_bar=np.array([[moved, near], [moved, true]]),
        epsilon=epsilon,
        error=error,
        x_range=(float(x[0]), float(x[-1])),
        y_range=_range(ds, value),
        x_label=label(ds["x"]),
        y_label=label(ds["value"]) if "long_name" in ds["value"].attrs else "f(x)",
        function=function,
        title=title or f"Linear approximation of {function}",
        subtitle=said,
    )


def colors(theme: Theme) -> dict[str, str]:
    """Colours of the parts, the same for both backends.

    Examples
    --------
    >>> sorted(colors("light"))
    ['axes', 'epsilon', 'error', 'function', 'moved', 'point', 'tangent']
    """
    p = palette(theme)
    dark = theme == "dark"
    return {
        "function": p.text,
        "tangent": "#ffc02e" if dark else "#dc9a00",
        "epsilon": "#4ea6ea" if dark else "#1f78c8",
        "error": "#b794ff" if dark else "#8347e0",
        "point": p.muted,
        "moved": "#ff6a57" if dark else "#dd2c1e",
        "axes": p.muted,
    }


def _range(ds: xr.Dataset, value: np.ndarray) -> tuple[float, float]:
    """Room for the function and for the predictions of all steps, unless those run away."""
    finite = value[np.isfinite(value)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0)
    span = (high - low) or 1.0
    told = np.concatenate([ds[n].values.astype(float) for n in ("true", "approximation")])
    told = np.clip(told[np.isfinite(told)], low - _REACH * span, high + _REACH * span)
    low, high = min([low, *told]), max([high, *told])
    return low - _MARGIN * span, high + _MARGIN * span
