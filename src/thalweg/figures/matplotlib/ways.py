"""Curves between optima in matplotlib: on the map, and on the surface without what a hill hides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from thalweg.figures import camera
from thalweg.figures import theme as themes
from thalweg.figures.overlay import Sheet
from thalweg.figures.ways import Way

_DASHES = (0, (4, 2.5))
_INK = "#16243a"


def on_map(axes: Axes, way: Way, theme: themes.Theme) -> None:
    """The curve in a light casing; the segment dashed, light in a dark casing."""
    p = themes.palette(theme)
    if way.straight.size:
        axes.plot(*way.straight[:2], color=_INK, linewidth=2.4, zorder=3.7, label="_straight segment, casing")
        look: dict[str, Any] = {"color": "#ffffff", "linewidth": 1.2, "linestyle": _DASHES}
        axes.plot(*way.straight[:2], zorder=3.8, label="_straight segment", **look)
    casing = [Stroke(linewidth=3.6, foreground=p.casing), Normal()]
    color = themes.path_color(way.number)
    axes.plot(*way.line[:2], color=color, linewidth=2.0, label=way.name, path_effects=casing, zorder=4)


def on_surface(axes: Any, way: Way, sheet: Sheet, view: tuple[float, float], ground: float) -> None:
    """The same on the surface as seen from `view`, and on the floor at height `ground`."""
    color = themes.path_color(way.number)
    for line, name, look in (
        (way.straight, "straight segment", {"color": "#ffffff", "linewidth": 1.2, "linestyle": _DASHES}),
        (way.line, way.name, {"color": color, "linewidth": 2.2}),
    ):
        if not line.size:
            continue
        below = np.where(np.isfinite(line[2]), ground, np.nan)
        axes.plot(*line[:2], below, zorder=1.5, label=f"_{name}, from above", **(look | {"linewidth": 1.0}))
        seen = np.where(camera.visible(sheet, line, *view), line[2], np.nan)
        axes.plot(*line[:2], seen, zorder=5, label=f"_{name}" if name != way.name else name, **look)


def keys(ways: Sequence[Way], theme: themes.Theme) -> list[Any]:
    """Entries of the legend."""
    made = [Line2D([], [], color=themes.path_color(way.number), linewidth=2.2, label=way.name) for way in ways]
    if any(way.straight.size for way in ways):
        look: dict[str, Any] = {"color": themes.palette(theme).text, "linestyle": "--", "linewidth": 1.2}
        made.append(Line2D([], [], label="straight segment", **look))
    return made
