"""Interactive curves: one panel under the other over a shared abscissa."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.lines import Line, Panel, Sheets
from thalweg.figures.plotly import strands
from thalweg.figures.plotly.common import extra_lines, figure, legend, sentences, title, wrap

_GAP = 0.05


def draw(shown: Sheets, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    p = themes.palette(theme)
    count = len(shown.panels)
    shares = np.array([panel.share for panel in shown.panels])
    heights = shares / shares.sum() * (1 - _GAP * (count - 1))
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    top = 1.0
    for k, (panel, height) in enumerate(zip(shown.panels, heights, strict=True)):
        layout |= _axes(panel, k, (max(0.0, top - height), top), theme, shown.x if k == count - 1 else "")
        top -= height + _GAP
        for line in panel.lines:
            traces += _line(line, k, theme)
        for number, strand in enumerate(panel.strands):
            n = "" if k == 0 else str(2 * k + 1)
            traces += strands.traces(strand, number, {"xaxis": f"x{n}", "yaxis": f"y{n}"}, theme)
    shapes, marks = _marks(shown, theme)
    foot = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "yshift": -56}
    words = {"text": wrap(sentences(shown.notes), 1100), "showarrow": False, "align": "left"}
    layout |= {
        "title": title(shown.title, shown.subtitle, theme),
        "annotations": [{**foot, **words, "font": {"size": 12, "color": p.muted}}, *marks],
        "shapes": shapes,
        "height": int(250 + 130 * shares.sum() + (120 if count == 1 else 0)),
        **_around(shown),
    }
    layout["height"] += layout["margin"]["b"] - 90
    return figure(traces, layout, theme)


def _around(shown: Sheets) -> dict[str, Any]:
    """Margins, legend and hover: above a few curves, which are compared; below many descents, which are not."""
    above = {"x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom", "orientation": "h", "traceorder": "normal"}
    head = 116 + extra_lines(shown.subtitle, 1100)
    if not any(panel.strands for panel in shown.panels):
        return {"margin": {"l": 84, "r": 84, "t": head, "b": 90}, "legend": above, "hovermode": "x unified"}
    lines = [line.label for line in shown.panels[0].lines]
    key, tall = legend([*(s.label for s in shown.panels[0].strands), *lines], 1000)
    return {"margin": {"l": 84, "r": 84, "t": head - 26, "b": 90 + tall}, "hovermode": "closest", **key}


def _axes(panel: Panel, k: int, domain: tuple[float, float], theme: themes.Theme, x: str) -> dict[str, Any]:
    number = "" if k == 0 else str(2 * k + 1)
    twin = str(2 * k + 2)
    title: dict[str, Any] = {"text": panel.left.replace("\n", "<br>")}
    across: dict[str, Any] = {
        "anchor": f"y{number}",
        "showticklabels": bool(x),
        "title": {"text": x},
        "showgrid": False,
    }
    up: dict[str, Any] = {
        "domain": list(domain),
        "anchor": f"x{number}",
        "title": title,
        "type": "log" if panel.log else "linear",
    }
    up |= {"exponentformat": "power", "dtick": 1} if panel.log else {}
    if panel.ylim is not None:
        low, high = np.log10(panel.ylim) if panel.log else panel.ylim
        up |= {"range": [float(low), float(high)]} | ({"dtick": int(np.ceil((high - low) / 8))} if panel.log else {})
    across |= {"range": list(panel.xlim)} if panel.xlim is not None else {}
    if panel.right:
        up["title"] = title | {"font": {"color": themes.line_color("loss", "train", theme)}}
    found: dict[str, Any] = {f"xaxis{number}": across | ({"matches": "x"} if k else {}), f"yaxis{number}": up}
    if panel.right:
        words = {"text": panel.right, "font": {"color": themes.line_color("other", "train", theme)}}
        found[f"yaxis{twin}"] = {
            "overlaying": f"y{number}",
            "side": "right",
            "title": words,
            "showgrid": False,
            "tickmode": "auto",
        }
    return found


def _line(line: Line, k: int, theme: themes.Theme) -> list[dict[str, Any]]:
    number = "" if k == 0 else str(2 * k + 1)
    color = themes.line_color(line.metric, line.split, theme)
    axes = {"xaxis": f"x{number}", "yaxis": f"y{2 * k + 2}" if line.right else f"y{number}"}
    curve = {
        "type": "scatter",
        "mode": "lines",
        "name": line.label,
        "x": line.x.tolist(),
        "y": _finite(line.y),
        "line": {"color": color, "width": 2.4, "dash": "dash" if line.dashed else "solid"},
        "hovertemplate": "%{y:.5g}",
        "connectgaps": False,
        "showlegend": k == 0,
        **axes,
    }
    return [curve, *_band(line, color, axes)]


def _band(line: Line, color: str, axes: dict[str, str]) -> list[dict[str, Any]]:
    """One standard error to either side, one filled outline per stretch without gaps."""
    if line.band is None:
        return []
    ok = np.isfinite(line.y) & np.isfinite(line.band)
    low, high = line.y[ok] - line.band[ok], line.y[ok] + line.band[ok]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{line.label} ± standard error",
            "x": [*line.x[ok].tolist(), *line.x[ok][::-1].tolist()],
            "y": [*low.tolist(), *high[::-1].tolist()],
            "fill": "toself",
            "fillcolor": f"rgba({int(color[1:3], 16)},{int(color[3:5], 16)},{int(color[5:7], 16)},0.2)",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            **axes,
        }
    ]


def _marks(shown: Sheets, theme: themes.Theme) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A dotted line at the model and its word: shapes and annotations."""
    muted = themes.palette(theme).muted
    shapes, words = [], []
    for k, panel in enumerate(shown.panels):
        if panel.mark is None:
            continue
        n = "" if k == 0 else str(2 * k + 1)
        line = {
            "type": "line",
            "name": "model",
            "line": {"color": muted, "width": 1.2, "dash": "dot"},
            "layer": "below",
        }
        shapes.append({"x0": panel.mark, "x1": panel.mark, "y0": 0, "y1": 1, **line})
        shapes[-1] |= {"xref": f"x{n}", "yref": f"y{n} domain"}
        place = {"xref": f"x{n}", "yref": f"y{n} domain", "x": panel.mark, "y": 0, "xanchor": "left", "xshift": 3}
        words.append({**place, "yanchor": "bottom", "text": "model", "showarrow": False})
        words[-1] |= {"font": {"size": 12, "color": muted}}
    return shapes, words


def _finite(y: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in y]
