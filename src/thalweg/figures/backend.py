"""Which library draws: plotly, matplotlib, or none."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
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
