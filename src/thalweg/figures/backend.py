"""Which library draws: plotly, matplotlib, or none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from math import isfinite
from numbers import Real
from typing import Any, Literal

Backend = Literal["plotly", "matplotlib", "none"]
BACKENDS = ("plotly", "matplotlib", "none")


def _as_it_is(prepared: Any, _theme: str) -> Any:
    return prepared


def drawer(backend: str, what: str) -> Callable[..., Any]:
    """The function `draw(prepared, theme)` of `figures/<backend>/<what>.py`; for 'none' it returns what is prepared.

    Raises
    ------
    ValueError
        If there is no such backend.

    Examples
    --------
    >>> drawer("none", "surface")("prepared", "light")
    'prepared'
    """
    if backend not in BACKENDS:
        raise ValueError(f"Unknown backend {backend!r}; expected one of {', '.join(BACKENDS)}.")
    if backend == "none":
        return _as_it_is
    draw: Callable[..., Any] = import_module(f"thalweg.figures.{backend}.{what}").draw
    return draw


def positive(name: str, value: Any, unit: str) -> None:
    """Refuse what is no positive number of `unit`.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or not positive and finite.

    Examples
    --------
    >>> positive("dpi", 0, "pixels on an inch")
    Traceback (most recent call last):
    ValueError: dpi=0 cannot be; pass a positive number of pixels on an inch.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} is no number; pass a positive number of {unit}.")
    if not (isfinite(value) and float(value) > 0):
        raise ValueError(f"{name}={value!r} cannot be; pass a positive number of {unit}.")
