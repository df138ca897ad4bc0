"""Critical points by themselves, interactive."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.critical import Points
from thalweg.figures.plotly import marks
from thalweg.figures.plotly.common import extra_lines, figure, legend, title

_SIDE = 580


def draw(shown: Points, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    key, tall = legend([m.label for m in shown.marks], _SIDE)
    head = 100 + extra_lines(shown.subtitle, _SIDE)
    axes = [(shown.x_label, "xaxis", 0), (shown.y_label, "yaxis", 1)]
    layout = {
        "title": title(shown.title, shown.subtitle, theme, _SIDE),
        **{name: _axis(words, shown.extent.low[k], shown.extent.high[k]) for words, name, k in axes},
        "plot_bgcolor": themes.palette(theme).hole,
        "margin": {"l": 84, "r": 40, "t": head, "b": 70 + tall},
        "width": _SIDE + 124,
        "height": 0.8 * _SIDE + head + 70 + tall,
        "hovermode": "closest",
        **key,
    }
    traces = [trace for m in shown.marks for trace in marks.on_map(m, shown.extent.span, theme)]
    return figure(traces, layout, theme)


def _axis(words: str, low: float, high: float) -> dict[str, Any]:
    return {"title": {"text": words}, "range": [low, high], "showgrid": False, "mirror": True}
