"""A function and its tangent, interactive."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.approximation import Approximation, colors
from thalweg.figures.plotly.common import figure, title

_ROUND = 6  # digits


def draw(shown: Approximation, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    c = colors(theme)
    p = themes.palette(theme)
    curve = {"type": "scatter", "mode": "lines", "x": shown.x.round(_ROUND)}
    true = {"simplify": False}
    said = "%{fullData.name}: (%{x:.4g}, %{y:.4g})<extra></extra>"
    bar: dict[str, Any] = {"type": "scatter", "mode": "lines", "hovertemplate": said}
    dot: dict[str, Any] = {"type": "scatter", "mode": "markers", "hovertemplate": said}
    edge = {"color": p.paper, "width": 1.5}
    traces = [
        curve | {"name": "tangent at x", "y": shown.tangent, "line": {"color": c["tangent"], "width": 2.8, **true}},
        curve | {"name": shown.function, "y": shown.value, "line": {"color": c["function"], "width": 3, **true}},
        bar | {"name": "ε", **_ends(shown.epsilon_bar), "line": {"color": c["epsilon"], "width": 5}},
        bar | {"name": "error", **_ends(shown.error_bar), "line": {"color": c["error"], "width": 5}},
        dot
        | {"name": "x", **_ends(shown.point[None])}
        | {"marker": {"size": 13, "color": c["point"], "line": edge, "opacity": 1}},
        dot
        | {"name": "x + ε", **_ends(shown.moved[None])}
        | {"marker": {"size": 13, "color": c["moved"], "line": edge, "opacity": 1}},
    ]
    order = (2, 1, 3, 4, 5, 6)
    zero = {"zeroline": True, "zerolinecolor": c["axes"], "zerolinewidth": 1, "showgrid": False}
    layout = {
        "title": title(shown.title, shown.subtitle, theme),
        "xaxis": {**zero, "title": {"text": shown.x_label}, "range": list(shown.x_range)},
        "yaxis": {**zero, "title": {"text": shown.y_label}, "range": list(shown.y_range)},
        "margin": {"l": 84, "r": 40, "t": 124, "b": 72},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom"},
        "hovermode": "closest",
        "annotations": _words(shown, c, p),
        "height": 560,
    }
    return figure([t | {"legendrank": k} for t, k in zip(traces, order, strict=True)], layout, theme)


def _ends(places: np.ndarray) -> dict[str, list[float]]:
    return {"x": places[:, 0].round(_ROUND).tolist(), "y": places[:, 1].round(_ROUND).tolist()}


def _words(shown: Approximation, c: dict[str, str], p: themes.Palette) -> list[dict[str, Any]]:
    """The names of both bars beside them, away from the triangle that they close."""
    right, up = shown.epsilon >= 0, shown.tangent[-1] >= shown.tangent[0]
    below = right == up
    x, y = shown.epsilon_bar.mean(axis=0)
    low, high = np.clip(np.sort(shown.error_bar[:, 1]), *shown.y_range)
    look = {"showarrow": False, "bgcolor": p.card, "borderpad": 1}
    level = {"yanchor": "top" if below else "bottom", "yshift": -5 if below else 5}
    side = {"xanchor": "left" if right else "right", "xshift": 8 if right else -8}
    words = [
        {"x": float(x), "y": float(y), "text": "<b>ε</b>", "font": {"color": c["epsilon"], "size": 15}, **level},
        {"x": float(shown.error_bar[0, 0]), "y": float(low + high) / 2, "text": "<b>error</b>", **side}
        | {"font": {"color": c["error"], "size": 14}},
    ]
    return [w | look | {"visible": v != 0} for w, v in zip(words, (shown.epsilon, shown.error), strict=True)]
