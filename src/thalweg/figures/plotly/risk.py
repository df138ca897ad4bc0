"""The interactive maps of risk: filled bands whose hover says the risk, the path, the arrow, the iterate.

Plotly's contours are evenly spaced, and these levels are not. So a map is a heat map whose colours jump at the levels,
with the lines between them. Numbers travel as packed arrays, which keeps films small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from contourpy import contour_generator

from thalweg.figures import theme as themes
from thalweg.figures.bands import Bands
from thalweg.figures.plotly.common import Traces, extra_lines, figure, sentences, title, wrap
from thalweg.figures.risk import ARROW_WORDS, RiskMaps, RiskPanel

_SIDE, _GAP = 330, 34  # pixels of a map, and between maps
_HEAD, _FOOT, _LEFT, _RIGHT = 116, 122, 78, 108
_INK, _WHITE, _GOLD = "#16243a", "#ffffff", "#ffd34d"


def draw(shown: RiskMaps, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    p = themes.palette(theme)
    count = len(shown.panels)
    ratio = float(np.clip(np.ptp(shown.y.values) / np.ptp(shown.x.values), 0.4, 1.6)) if shown.commensurate else 0.9
    across, up = count * (_SIDE + _GAP) - _GAP, _SIDE * ratio
    head = _HEAD + extra_lines(shown.subtitle, across)
    text = wrap(sentences(shown.notes), across)
    foot = _FOOT + 16 * (1 + text.count("<br>"))
    traces: Traces = []
    layout: dict[str, Any] = {}
    words = [_foot(text, p), _bar_title(shown)]
    for k, panel in enumerate(shown.panels):
        left = k * (_SIDE + _GAP) / across
        layout |= _axes(shown, k, (left, left + _SIDE / across))
        traces += _traces(shown, panel, k, first=k == 0)
        words.append(_panel_title(panel, k))
    layout |= {
        "title": title(shown.title, shown.subtitle, theme, across),
        "width": across + _LEFT + _RIGHT,
        "height": up + head + foot,
        "margin": {"l": _LEFT, "r": _RIGHT, "t": head, "b": foot},
        "annotations": words,
        "plot_bgcolor": themes.palette("light").hole,
        "hovermode": "closest",
        "hoverdistance": 12,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -62 / up, "yanchor": "top"}
        | {"itemclick": False, "itemdoubleclick": False, "traceorder": "normal"}
        | ({"bgcolor": "#d3dae4", "font": {"color": _INK}} if theme == "dark" else {}),
        "showlegend": any(panel.here is not None for panel in shown.panels),
    }
    return figure(traces, layout, theme)


def _axes(shown: RiskMaps, k: int, domain: tuple[float, float]) -> dict[str, Any]:
    n = _number(k)
    frame = {"showgrid": False, "ticks": "outside", "mirror": True, "constrain": "domain"}
    ends = [[float(a.values[0]), float(a.values[-1])] for a in (shown.x, shown.y)]
    x = {**frame, "title": {"text": shown.x.label}, "range": ends[0], "domain": list(domain), "anchor": f"y{n}"}
    y = {**frame, "range": ends[1], "anchor": f"x{n}", "showticklabels": k == 0}
    if k:
        return {f"xaxis{n}": {**x, "matches": "x"}, f"yaxis{n}": {**y, "matches": "y"}}
    equal = {"scaleanchor": "x", "scaleratio": 1} if shown.commensurate else {}
    return {"xaxis": x, "yaxis": {**y, **equal, "title": {"text": shown.y.label}}}


def _number(k: int) -> str:
    return "" if k == 0 else str(k + 1)


def _traces(shown: RiskMaps, panel: RiskPanel, k: int, *, first: bool) -> Traces:
    traces = [*_map(shown, panel), *([_bar(shown)] if first else [])]
    if panel.path is not None:
        traces += _path(panel.path)
    if panel.here is not None:
        traces.append(_iterate(panel, first))
        if first:
            traces += _arrow(panel, head=min(14.0, 0.7 * _SIDE * shown.reach(panel)))
    return [t | {"xaxis": f"x{_number(k)}", "yaxis": f"y{_number(k)}"} for t in traces]


def _map(shown: RiskMaps, panel: RiskPanel) -> Traces:
    """The bands of the true risks, interpolated at every pixel, and thin lines between them."""
    levels = shown.bands.levels
    values = np.minimum(panel.values, levels[-1]).T.astype(np.float32)
    where = f"{shown.x.symbol} = %{{x:.3~g}}<br>{shown.y.symbol} = %{{y:.3~g}}"
    fill = {
        "type": "heatmap",
        "name": panel.title,
        "x": shown.x.values,
        "y": shown.y.values,
        "z": values,
        "zsmooth": "best",
        "zmin": float(levels[0]),
        "zmax": float(levels[-1]),
        "colorscale": _steps((levels - levels[0]) / (levels[-1] - levels[0]), shown.bands),
        "showscale": False,
        "hovertemplate": f"{where}<br><b>{shown.bar} = %{{z:.4~g}}</b><extra></extra>",
    }
    found = contour_generator(shown.x.values, shown.y.values, np.ma.masked_invalid(values))
    gap = np.full((1, 2), np.nan)
    parts = [part for level in levels[1:-1] for line in found.lines(float(level)) for part in (line, gap)]
    xy = np.concatenate([*parts, gap]).astype(np.float32)
    look = {"mode": "lines", "line": {"width": 0.7, "color": "rgba(22,36,58,0.4)"}, "hoverinfo": "skip"}
    lines = {"type": "scatter", "name": "levels", "x": xy[:, 0], "y": xy[:, 1], **look}
    return [{**fill, "showlegend": False}, {**lines, "showlegend": False}]


def _steps(edges: np.ndarray, bands: Bands) -> list[list[float | str]]:
    """A colour scale that jumps at `edges`."""
    return [[float(e), c] for a, b, c in zip(edges[:-1], edges[1:], bands.colors, strict=True) for e in (a, b)]


def _bar(shown: RiskMaps) -> dict[str, Any]:
    """The colour bar, of a trace that shows nothing else: bands are equally high in it, whatever they span."""
    at, words = shown.bands.ticks
    count = shown.bands.count
    ends = {"cmin": 0, "cmax": count, "colorscale": _steps(np.linspace(0.0, 1.0, count + 1), shown.bands)}
    bar = {
        "thickness": 14,
        "outlinewidth": 0,
        "tickvals": at.tolist(),
        "ticktext": list(words),
        "tickfont": {"size": 12},
        "ticks": "outside",
        "ticklen": 3,
        "x": 1.0,
        "xpad": 14,
        "ypad": 0,
        "len": 1.0,
    }
    nothing = {"type": "scatter", "mode": "markers", "name": "bar", "x": [None], "y": [None], "hoverinfo": "skip"}
    return {**nothing, "showlegend": False, "marker": {**ends, "color": [0], "showscale": True, "colorbar": bar}}


def _path(path: np.ndarray) -> Traces:
    line = {"type": "scatter", "mode": "lines", "x": path[0], "y": path[1], "hoverinfo": "skip"}
    start = {"type": "scatter", "mode": "markers", "x": path[0, :1], "y": path[1, :1], "name": "start", "legendrank": 2}
    ring = {"size": 9, "color": _WHITE, "opacity": 1, "line": {"color": _INK, "width": 2}}
    return [
        line | {"name": "path, casing", "line": {"color": _WHITE, "width": 5}, "showlegend": False},
        line | {"name": "path so far", "legendrank": 3, "line": {"color": _INK, "width": 2.4}},
        start | {"marker": ring, "hovertemplate": "start (%{x:.3g}, %{y:.3g})<extra></extra>"},
    ]


def _arrow(panel: RiskPanel, head: float) -> Traces:
    """A line with a head, in a light casing, and its key; nowhere if there is no gradient, so that films keep still."""
    ends = np.full((2, 2), np.nan)
    if panel.arrow is not None and panel.here is not None:
        ends = np.column_stack([panel.here, panel.here + panel.arrow])
    line = {"type": "scatter", "x": ends[0], "y": ends[1], "hoverinfo": "skip", "showlegend": False}
    look = {"color": _WHITE, "opacity": 1, "line": {"color": _INK, "width": 1.3}}
    tip = {**look, "symbol": "arrow", "angleref": "previous", "size": [0.0, head]}
    key = {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "name": ARROW_WORDS, "legendrank": 4}
    return [
        line | {"name": "arrow, casing", "mode": "lines", "line": {"color": _INK, "width": 5}},
        line | {"name": "arrow", "mode": "lines+markers", "line": {"color": _WHITE, "width": 2.4}, "marker": tip},
        key | {"marker": {**look, "symbol": "arrow-right", "size": 13}},
    ]


def _iterate(panel: RiskPanel, first: bool) -> dict[str, Any]:
    here = np.zeros(2) if panel.here is None else panel.here
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "iterate",
        "legendrank": 1,
        "x": here[:1],
        "y": here[1:],
        "showlegend": first,
        "hovertemplate": "iterate (%{x:.4g}, %{y:.4g})<extra></extra>",
        "marker": {"size": 12, "color": _GOLD, "opacity": 1, "line": {"color": _INK, "width": 2}},
    }


def _panel_title(panel: RiskPanel, k: int) -> dict[str, Any]:
    place = {"xref": f"x{_number(k)} domain", "yref": f"y{_number(k)} domain", "x": 0, "y": 1}
    look = {"showarrow": False, "xanchor": "left", "yanchor": "bottom", "yshift": 4, "font": {"size": 14}}
    return place | look | {"text": f"<b>{panel.title}</b>"}


def _bar_title(shown: RiskMaps) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": 0.5, "xanchor": "left", "yanchor": "middle", "xshift": 78}
    return {**place, "text": shown.bar, "textangle": -90, "showarrow": False, "name": "bar", "font": {"size": 13}}


def _foot(text: str, p: themes.Palette) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "yshift": -102}
    look = {"showarrow": False, "align": "left", "name": "note", "font": {"size": 12, "color": p.muted}}
    return {**place, **look, "text": text}
