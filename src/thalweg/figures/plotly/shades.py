"""Dots and cells whose colours are numbers, and the colour bar of their panel."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.shades import Shades, Tiles

ROOM = 92  # pixels that a colour bar takes beside its panel
_DOT = 5.5
_THICK = 14


def dots(s: Series, x: Ruler, y: Ruler, axis: str, **where: str) -> dict[str, Any]:
    """The marks of a series, coloured by `s.shades` on the colour axis `axis`."""
    at = {"x": s.x if x.kind == "log" else x(s.x), "y": s.y if y.kind == "log" else y(s.y)}
    marker = {"color": np.asarray(s.shades, dtype=float), "coloraxis": axis, "size": _DOT * s.size, "opacity": 0.9}
    said = {"customdata": s.said, "hovertemplate": "%{customdata}<extra></extra>"}
    return (
        {"type": "scatter", "mode": "markers", "name": s.label, "showlegend": False, "marker": marker}
        | at
        | said
        | where
    )


def cells(tiles: Tiles, x: Ruler, y: Ruler, axis: str, name: str, **where: str) -> dict[str, Any]:
    """The cells of a matrix on the colour axis `axis`."""
    said = {"hovertemplate": f"{name}: %{{z:.4~g}}<extra></extra>"}
    if tiles.hover is not None:
        said = {"customdata": tiles.hover.T.tolist(), "hovertemplate": "%{customdata}<extra></extra>"}
    return {
        "type": "heatmap",
        "name": name,
        "x": x(tiles.x_edges),
        "y": y(tiles.y_edges),
        "z": tiles.values.T.astype(np.float32),
        "coloraxis": axis,
        "hoverongaps": False,
        "showlegend": False,
        **said,
        **where,
    }


def coloraxis(
    shades: Shades, theme: themes.Theme, right: float, domain: tuple[float, float], total: float
) -> dict[str, Any]:
    """Colours and their bar right of a panel that ends at `right` and fills `domain` of a height of `total` pixels."""
    bar = {
        "x": right,
        "xpad": 8,
        "xanchor": "left",
        "y": (domain[0] + domain[1]) / 2,
        "yanchor": "middle",
        "ypad": 0,
        "lenmode": "pixels",
        "len": (domain[1] - domain[0]) * total,
        "thickness": _THICK,
        "outlinewidth": 0,
        "tickvals": list(shades.ticks),
        "ticktext": list(shades.words),
        "tickfont": {"size": 12},
        "ticks": "outside",
        "ticklen": 3,
        "title": {"text": shades.label, "side": "right", "font": {"size": 13}},
    }
    return {"cmin": shades.low, "cmax": shades.high, "colorscale": _scale(shades, theme), "colorbar": bar}


def _scale(shades: Shades, theme: themes.Theme) -> list[list[float | str]]:
    """[position, colour] pairs; flat colours have two each."""
    colors = shades.palette(theme)
    if shades.steps:
        return [[(k + end) / len(colors), c] for k, c in enumerate(colors) for end in (0, 1)]
    return [[k / (len(colors) - 1), c] for k, c in enumerate(colors)]
