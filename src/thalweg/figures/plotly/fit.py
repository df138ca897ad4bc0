"""A model among its data, interactive."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.fit import Curve, Fit
from thalweg.figures.plotly.common import Traces, figure, sentences, title, wrap

_SHARE, _GAP = 0.57, 0.1


def draw(shown: Fit, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    p = themes.palette(theme)
    up = list(np.log10(shown.loss_range)) if shown.log else list(shown.loss_range)
    power = {"type": "log", "exponentformat": "power", "dtick": 1} if shown.log else {}
    foot = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "yshift": -56}
    words = {"text": wrap(sentences(shown.notes), 1100), "showarrow": False, "align": "left"}
    layout = {
        "title": title(shown.title, shown.subtitle, theme),
        "xaxis": _across(shown.x_label, shown.x_range, (0.0, _SHARE), "y"),
        "yaxis": {"title": {"text": shown.y_label}, "range": list(shown.y_range), "showgrid": False},
        "xaxis2": _across(shown.place_label, shown.place_range, (_SHARE + _GAP, 1.0), "y2"),
        "yaxis2": {"title": {"text": shown.loss_label}, "range": up, "anchor": "x2", "showgrid": False, **power},
        "margin": {"l": 84, "r": 40, "t": 124 + _more_rows(shown), "b": 84 if shown.notes else 68},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom"}
        | {"traceorder": "normal"},
        "hovermode": "closest",
        "height": 540 + _more_rows(shown),
        "annotations": [{**foot, **words, "font": {"size": 12, "color": p.muted}}],
    }
    return figure([*_left(shown, theme), *_right(shown, theme)], layout, theme)


def _more_rows(shown: Fit) -> int:
    """Pixels that the legend takes beyond its first row: plotly gives all entries the width of the longest."""
    wide = [50 + 7 * len(name) for name in ("data", "truth", *(c.label for c in shown.curves))]
    columns = max(1, 1000 // max(wide))
    return 0 if sum(wide) <= 1000 else 20 * (-(-len(wide) // columns) - 1)


def _across(words: str, ends: tuple[float, float], domain: tuple[float, float], anchor: str) -> dict[str, Any]:
    ends_, domain_ = list(ends), list(domain)
    return {"title": {"text": words}, "range": ends_, "domain": domain_, "anchor": anchor, "showgrid": False}


def _left(shown: Fit, theme: themes.Theme) -> Traces:
    p = themes.palette(theme)
    curve: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": shown.input}
    said = {"hovertemplate": "%{fullData.name}: (%{x:.4g}, %{y:.4g})<extra></extra>"}
    dots = {"size": 5.5, "color": p.muted, "opacity": 0.55}
    data = {"type": "scatter", "mode": "markers", "name": "data", "x": shown.data[0], "y": shown.data[1]}
    traces: Traces = [data | {"marker": dots, **said}]
    for k, c in enumerate(shown.curves):
        traces.append(_earlier(shown, c, themes.path_color(k)))
    if shown.truth is not None:
        line = {"color": p.text, "width": 2, "dash": "dash", "simplify": False}
        traces.append(curve | said | {"name": "truth", "y": shown.truth, "line": line})
    for k, c in enumerate(shown.curves):
        casing = {"color": p.paper, "width": 6, "simplify": False}
        line = {"color": themes.path_color(k), "width": 3, "simplify": False}
        hidden = {"name": f"{c.label}, casing", "showlegend": False, "hoverinfo": "skip"}
        traces += [
            curve | hidden | {"y": c.now, "line": casing},
            curve | said | {"name": c.label, "y": c.now, "line": line},
        ]
    return traces


def _earlier(shown: Fit, curve: Curve, color: str) -> dict[str, Any]:
    """All earlier curves as one line with gaps."""
    gap = np.full((len(curve.earlier), 1), np.nan)
    x = np.tile([*shown.input, np.nan], len(curve.earlier))
    line = {"type": "scatter", "mode": "lines", "name": f"{curve.label}, earlier", "x": x, "opacity": 0.28}
    y = np.concatenate([curve.earlier, gap], axis=1).ravel()
    return line | {"y": y, "line": {"color": color, "width": 1.6}, "hoverinfo": "skip", "showlegend": False}


def _right(shown: Fit, theme: themes.Theme) -> Traces:
    p = themes.palette(theme)
    here: dict[str, Any] = {"type": "scatter", "xaxis": "x2", "yaxis": "y2", "showlegend": False}
    said = {"hovertemplate": f"{shown.place_label} %{{x:.4~g}}<br>{shown.loss_label} %{{y:.4~g}}<extra></extra>"}
    traces: Traces = []
    if shown.landscape is not None:
        line = {"color": themes.line_color("loss", "train", theme), "width": 2.4, "simplify": False}
        x, y = shown.landscape
        traces.append(here | said | {"mode": "lines", "name": "landscape", "x": x, "y": y, "line": line})
    for k, c in enumerate(shown.curves):
        color = themes.path_color(k)
        mode = {"mode": "markers", "marker": {"size": 5, "color": color, "opacity": 1}}
        if shown.landscape is None:
            rest = {"mode": "lines", "name": f"{c.label}, to come", "opacity": 0.28, "hoverinfo": "skip"}
            traces.append(here | rest | {"x": c.rest[0], "y": c.rest[1], "line": {"color": color, "width": 1.6}})
            mode = {"mode": "lines", "line": {"color": color, "width": 2.8}}
        traces.append(here | said | mode | {"name": f"{c.label}, way", "x": c.way[0], "y": c.way[1]})
        dot = {"size": 12, "color": color, "opacity": 1, "line": {"color": p.paper, "width": 1.5}}
        now = {"mode": "markers", "name": f"{c.label}, now", "x": c.way[0, -1:], "y": c.way[1, -1:], "marker": dot}
        traces.append(here | said | now)
    return traces
