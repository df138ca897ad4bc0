"""An interactive map of coloured cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.heat import Heat
from thalweg.figures.plotly.chart import KEY, WIDE, axis, foot, series
from thalweg.figures.plotly.common import Traces, extra_lines, figure, sentences, title, wrap

_SIDE = 560  # pixels of a square map


def draw(shown: Heat, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    p = themes.palette(theme)
    head = 92 + 24 * bool(shown.lines) + extra_lines(shown.subtitle, _width(shown))
    frame = {"showgrid": False, "ticks": "outside", "mirror": True}
    x, y = ({**axis(r), **frame} for r in (shown.x, shown.y))
    size: dict[str, Any] = {"height": 560 + head}
    if shown.square:
        x |= {"constrain": "domain"}
        y |= {"scaleanchor": "x", "scaleratio": 1, "constrain": "domain"}
        size = {"width": _SIDE + 84 + 130, "height": _SIDE + head + 90}
    layout = {
        "title": title(shown.title, shown.subtitle, theme, _width(shown)),
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 84, "r": 130, "t": head, "b": 90},
        "plot_bgcolor": p.hole,
        "legend": KEY,
        "showlegend": bool(shown.lines),
        "hovermode": "closest",
        "annotations": [foot(sentences(shown.notes), theme), _bar_title(shown), *_told(shown)],
        **size,
    }
    lines: Traces = [t for s in shown.lines for t in series(s, shown.x, shown.y, theme, keyed=True)]
    return figure([_cells(shown), *lines], layout, theme)


def _width(shown: Heat) -> float:
    return _SIDE if shown.square else WIDE


def _cells(shown: Heat) -> dict[str, Any]:
    bar = {
        "thickness": 14,
        "outlinewidth": 0,
        "tickvals": list(shown.ticks),
        "ticktext": list(shown.words),
        "tickfont": {"size": 12},
        "ticks": "outside",
        "ticklen": 3,
        "ypad": 0,
    }
    return {
        "type": "heatmap",
        "name": shown.bar,
        "x": shown.x(shown.x_edges),
        "y": shown.y(shown.y_edges),
        "z": shown.values.T.astype(np.float32),
        "zmin": shown.low,
        "zmax": shown.high,
        "colorscale": themes.colorscale(),
        "colorbar": bar,
        "customdata": shown.hover.T.tolist(),
        "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": False,
        "showlegend": False,
    }


def _bar_title(shown: Heat) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 0.5, "xanchor": "left", "yanchor": "middle", "xshift": 78}
    look = {"textangle": -90, "showarrow": False, "name": "bar", "font": {"size": 13}}
    return {**place, **look, "text": wrap(shown.bar, 420)}


def _told(shown: Heat) -> list[dict[str, Any]]:
    """The number of every cell in its middle."""
    if shown.told is None:
        return []
    x, y = ((e[1:] + e[:-1]) / 2 for e in (shown.x_edges, shown.y_edges))
    words = []
    for (i, j), text in np.ndenumerate(shown.told):
        ink = "#16243a" if shown.values[i, j] >= themes.ISO_SWITCH * shown.high else "#ffffff"
        words.append({"x": x[i], "y": y[j], "text": text, "showarrow": False, "font": {"size": 12, "color": ink}})
    return words
