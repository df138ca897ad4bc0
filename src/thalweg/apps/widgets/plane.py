"""What instruments that draw in a plane hand to the page: axes, marks, colours, and the scripts that they share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from thalweg.apps.widgets.instrument import packed
from thalweg.figures import theme as themes
from thalweg.figures.marks import Mark
from thalweg.figures.prepare import Axis


def source(*scripts: str) -> str:
    """The text of scripts that an instrument's own follows.

    Examples
    --------
    >>> "class Relief" in source("plane.js", "relief.js")
    True
    """
    folder = files("thalweg.apps.widgets").joinpath("static")
    return "".join(folder.joinpath(name).read_text(encoding="utf-8") + "\n" for name in scripts)


def axis(values: Axis, name: str) -> dict[str, Any]:
    """An axis by its name, its ends and its number of points.

    Examples
    --------
    >>> axis(Axis("alpha", "α", "α", np.array([-1.0, 0.0, 1.0])), "t1")
    {'symbol': 't1', 'low': -1.0, 'high': 1.0, 'count': 3}
    """
    low, high = float(values.values[0]), float(values.values[-1])
    return {"symbol": name, "low": low, "high": high, "count": len(values.values)}


def pens() -> dict[str, str]:
    """Colours that are the same in light and dark rooms.

    Examples
    --------
    >>> pens()["casing"]
    '#ffffff'
    """
    p = themes.palette("light")
    return {"casing": p.casing, "ink": p.ink, "model": p.model, "hole": p.hole}


def marks(found: Sequence[Mark]) -> list[dict[str, Any]]:
    """Critical points and curves as the page draws them."""
    shown = []
    for mark in found:
        if mark.sort == "critical":
            kind = mark.name.removeprefix("degenerate ")
            look = {"color": themes.CRITICAL.get(kind, "#ffffff"), "open": mark.name.startswith("degenerate")}
            places = mark.places[:2].T
        else:
            look = {"color": themes.CURVES[mark.number % len(themes.CURVES)]}
            places = mark.line[:2].T
        shown.append(
            {"sort": mark.sort, "name": mark.name, "label": mark.label, "xy": packed(places.astype(np.float32)), **look}
        )
    return shown
