"""Interactive panels of curves, marks and bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.chart import Chart, Mark, Series, color, see_through
from thalweg.figures.chart import foot as standing
from thalweg.figures.plotly.common import Traces, extra_lines, figure, sentences, title, wrap
from thalweg.figures.rulers import Ruler

_GAP = 0.05
WIDE = 980  # pixels that a line of words may take
_SYMBOLS = {"circle": "circle", "triangle": "triangle-down", "tick": "line-ns"}


def draw(shown: Chart, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    count = len(shown.panels)
    shares = np.array([panel.share for panel in shown.panels])
    heights = shares / shares.sum() * (1 - _GAP * (count - 1))
    traces: Traces = []
    marks: dict[str, list[dict[str, Any]]] = {"shapes": [], "annotations": [foot(sentences(shown.notes), theme)]}
    layout: dict[str, Any] = {}
    top = 1.0
    for k, (panel, height) in enumerate(zip(shown.panels, heights, strict=True)):
        n = "" if k == 0 else str(k + 1)
        layout |= _axes(shown, k, (max(0.0, top - height), top))
        top -= height + _GAP
        for s in panel.series:
            here = {"xaxis": f"x{n}", "yaxis": f"y{n}"}
            traces += series(s, shown.x, panel.ruler, theme, keyed=s in shown.keys, **here)
        mark(marks, panel.marks, n, theme)
    layout |= {
        "title": title(shown.title, shown.subtitle, theme, WIDE),
        "height": int(250 + 130 * shares.sum() + (160 if count == 1 else 0)),
        "margin": {"l": 84, "r": 40, "t": 92 + 24 * bool(shown.keys) + extra_lines(shown.subtitle, WIDE), "b": 90},
        "legend": KEY,
        "showlegend": bool(shown.keys),
        "hovermode": "x unified" if shown.unified else "closest",
        **marks,
    }
    return figure(traces, layout, theme)


KEY = {"x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom", "orientation": "h", "traceorder": "normal"}


def foot(words: str, theme: themes.Theme, width: float = WIDE) -> dict[str, Any]:
    """The small print below the panels."""
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "yshift": -56}
    look = {"showarrow": False, "align": "left", "name": "note"}
    return {**place, **look, "text": wrap(words, width), "font": {"size": 12, "color": themes.palette(theme).muted}}


def axis(ruler: Ruler) -> dict[str, Any]:
    """Plotly's words for an axis."""
    found: dict[str, Any] = {"title": {"text": ruler.label.replace("\n", "<br>")}}
    found |= {"type": "log"} if ruler.kind == "log" else {}
    if ruler.ends is not None:
        found["range"] = ruler(ruler.ends).tolist()
    if ruler.ticks:
        at = np.asarray(ruler.ticks) if ruler.kind == "log" else ruler(ruler.ticks)
        found |= {"tickvals": at.tolist(), "ticktext": list(ruler.words)}
    return found


def _axes(shown: Chart, k: int, domain: tuple[float, float]) -> dict[str, Any]:
    n = "" if k == 0 else str(k + 1)
    last = k == len(shown.panels) - 1
    across = axis(shown.x) | {"anchor": f"y{n}", "showticklabels": last, "showgrid": False}
    across |= {"matches": "x"} if k else {}
    across["title"] = across["title"] if last else {"text": ""}
    up = axis(shown.panels[k].ruler) | {"anchor": f"x{n}", "domain": list(domain)}
    return {f"xaxis{n}": across, f"yaxis{n}": up}


def series(s: Series, x: Ruler, y: Ruler, theme: themes.Theme, *, keyed: bool, **where: str) -> Traces:
    """The band, the rim and the curve with its marks and bars."""
    shade = color(s.color, theme)
    if s.filled:
        return [_filled(s, x, y, shade, keyed) | where]
    base = {"type": "scatter", "x": _at(s.x, x), "y": _at(s.y, y), **where}
    mode = "+".join(["lines"] * bool(s.line) + ["markers"] * bool(s.symbol))
    curve = base | {
        "name": s.entry if keyed else s.label,
        "mode": mode or "lines",
        "showlegend": keyed,
        "connectgaps": False,
    }
    curve |= {"customdata": s.said, "hovertemplate": "%{customdata}<extra></extra>"}
    dash = "dot" if s.dotted else "dash" if s.dashed else "solid"
    curve |= {"line": {"color": shade, "width": 1.6 * s.line, "dash": dash}} if s.line else {}
    curve |= {"marker": _marker(s, shade, theme)} if s.symbol else {}
    for ends, at, name, ruler in ((s.bars, s.y, "error_y", y), (s.across, s.x, "error_x", x)):
        curve |= {name: _bars(ends, at, ruler, shade)} if ends is not None else {}
    rim = {"mode": "lines", "name": f"{s.label}, casing", "hoverinfo": "skip", "showlegend": False}
    rims = [base | rim | {"line": {"color": "#ffffff", "width": 1.6 * s.line + 2.6}}] if s.cased and s.line else []
    return [*_band(s, x, y, shade, where), *rims, curve]


def _filled(s: Series, x: Ruler, y: Ruler, shade: str, keyed: bool) -> dict[str, Any]:
    """Bars, of a width in units of the abscissa, that plotly is not to move beside each other."""
    low = standing(y)
    tops = np.where(s.y > low, s.y, np.nan)
    size = {"x": _at(s.x, x), "y": tops - low, "base": low, "width": s.filled, "offset": -s.filled / 2}
    look = {
        "name": s.entry if keyed else s.label,
        "showlegend": keyed,
        "marker": {"color": shade, "line": {"width": 0}},
    }
    return {"type": "bar", **size, **look, "customdata": s.said, "hovertemplate": "%{customdata}<extra></extra>"}


def _marker(s: Series, shade: str, theme: themes.Theme) -> dict[str, Any]:
    paper = themes.palette(theme).paper
    edge = {"color": "#16243a" if s.cased else shade, "width": 1.8 if s.hollow or s.symbol == "tick" else 0.8 * s.cased}
    size = {"tick": 12.0, "triangle": 11.0}.get(s.symbol, 6.5 if s.line else 9.0)
    return {
        "symbol": _SYMBOLS[s.symbol],
        "size": s.size * size,
        "color": paper if s.hollow else shade,
        "line": edge,
        "opacity": 1,
    }


def _bars(ends: np.ndarray, at: np.ndarray, ruler: Ruler, shade: str) -> dict[str, Any]:
    """Lengths beyond the marks; what plotly wants on linear and on its own logarithmic axes alike."""
    low, high = (_at(end, ruler) for end in ends)
    here = _at(at, ruler)
    look = {"color": shade, "thickness": 1.4, "width": 3}
    return {"type": "data", "symmetric": False, "array": high - here, "arrayminus": here - low, **look}


def _band(s: Series, x: Ruler, y: Ruler, shade: str, where: dict[str, str]) -> Traces:
    if s.band is None:
        return []
    ok = np.isfinite(s.band).all(axis=0)
    across, (low, high) = _at(s.x[ok], x), (_at(end[ok], y) for end in s.band)
    look = {"fill": "toself", "fillcolor": see_through(shade, 0.2), "line": {"width": 0}, "hoverinfo": "skip"}
    outline = {"x": np.concatenate([across, across[::-1]]), "y": np.concatenate([low, high[::-1]])}
    name = {"type": "scatter", "mode": "lines", "name": f"{s.label}, band", "showlegend": False}
    return [name | outline | look | where]


def _at(values: np.ndarray, ruler: Ruler) -> np.ndarray:
    """Plotly takes logarithms itself, and knows no arsinh."""
    return values if ruler.kind == "log" else ruler(values)


def mark(to: dict[str, list[dict[str, Any]]], marks: Sequence[Mark], n: str, theme: themes.Theme) -> None:
    """Add thin lines and their words to the shapes and annotations of axes number `n`."""
    muted = themes.palette(theme).muted
    for m in marks:
        line = {"color": muted, "width": 1.2, "dash": "dot" if m.upright else "solid"}
        place = {"x0": m.at, "x1": m.at, "y0": 0, "y1": 1, "xref": f"x{n}", "yref": f"y{n} domain"}
        if not m.upright:
            place = {"x0": 0, "x1": 1, "y0": m.at, "y1": m.at, "xref": f"x{n} domain", "yref": f"y{n}"}
        to["shapes"].append({"type": "line", "name": m.word or "zero", "layer": "below", "line": line, **place})
        if m.word:
            at = {"xref": f"x{n}", "yref": f"y{n} domain", "x": m.at, "y": 1, "xanchor": "left", "xshift": 4}
            look = {"yanchor": "top", "showarrow": False, "font": {"size": 12, "color": muted}}
            to["annotations"].append({**at, **look, "text": m.word})
