"""The interactive contour map: filled levels, labelled iso-lines, paths, the model; one panel per quantity."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.overlay import Track
from thalweg.figures.plotly import marks, swarm, ways
from thalweg.figures.plotly.common import (
    Traces,
    bar_title,
    colorbar,
    controls,
    extra_lines,
    figure,
    hover,
    legend,
    note,
    note_text,
    sentences,
    short,
    title,
    wrap,
)
from thalweg.figures.plotly.paths import SHAPES, SIZES, cards
from thalweg.figures.prepare import Layer, Map

_SIDE, _PANEL = 580, 400  # pixels of the map's longer side, alone and as one of several
_HEAD, _FOOT, _LEFT, _RIGHT, _ACROSS, _DOWN = 128, 76, 84, 118, 170, 120  # margins, and gaps between panels


def draw(shown: Map, theme: themes.Theme) -> go.Figure:
    """One map with controls, or several panels."""
    return _single(shown, theme) if len(shown.shown) == 1 else _panels(shown, theme)


def _single(shown: Map, theme: themes.Theme) -> go.Figure:
    first = shown.layers[shown.shown[0]]
    width, height = _sides(shown, _SIDE)
    frame, tall = _frame(shown, theme, width)
    layout = {
        **frame,
        **_axes(shown, theme, 1, (0.0, 1.0), (0.0, 1.0), height),
        "width": width + _LEFT + _RIGHT,
        "height": height + tall,
        "annotations": [note(first, theme, -62, width), bar_title(first), *_labels(first, 1, theme)],
        "updatemenus": controls(
            shown,
            lambda layer: _traces(shown, layer, theme, 1),
            lambda layer: {"annotations[0].text": note_text(layer, width), "annotations[1].text": layer.title},
            theme,
            above=True,
        ),
    }
    return figure(_traces(shown, first, theme, 1, x=1.01, y=0.5, len=1.0), layout, theme)


def _panels(shown: Map, theme: themes.Theme) -> go.Figure:
    count = len(shown.shown)
    columns = 2 if count in (2, 4) else min(3, count)
    rows = -(-count // columns)
    side = _sides(shown, _PANEL)
    across, down = columns * (side[0] + _ACROSS) - _ACROSS, rows * (side[1] + _DOWN) - _DOWN
    width, height = side[0] / across, side[1] / down
    traces: Traces = []
    frame, tall = _frame(shown, theme, across)
    layout: dict[str, Any] = frame | {"width": across + _LEFT + _RIGHT, "height": down + tall}
    notes, said = [], []
    for k, name in enumerate(shown.shown):
        row, column = divmod(k, columns)
        left, top = column * (width + _ACROSS / across), 1 - row * (height + _DOWN / down)
        layer = shown.layers[name]
        layout |= _axes(shown, theme, k + 1, (left, min(1.0, left + width)), (max(0.0, top - height), top), side[1])
        bar = {"x": left + width + 0.005, "y": top - height / 2, "len": height}
        traces += [t | {"showlegend": t["showlegend"] and not k} for t in _traces(shown, layer, theme, k + 1, **bar)]
        notes.append(_panel_title(layer, k + 1))
        notes += _labels(layer, k + 1, theme)
        said += [f"{layer.label}: {n}" for n in layer.notes]
    foot = note(shown.layers[shown.shown[0]], theme, -62) | {"text": wrap(sentences(said), across)}
    return figure(traces, {**layout, "annotations": [foot, *notes]}, theme)


def _sides(shown: Map, longer: int) -> tuple[float, float]:
    """Width and height of a map in pixels: true to the coordinates if they can be compared."""
    x, y = (float(np.ptp(a.values)) for a in (shown.x, shown.y))
    ratio = float(np.clip(y / x, 0.3, 3.0)) if shown.commensurate else 0.85
    return (longer, longer * ratio) if ratio <= 1 else (longer / ratio, longer)


def _frame(shown: Map, theme: themes.Theme, width: float) -> tuple[dict[str, Any], float]:
    """Title, margins and legend, and the pixels that they take above and below the map."""
    key, more = legend(shown.layers[shown.shown[0]].extras.legend, width)
    more += _notes_height(shown, width)
    head = _HEAD + extra_lines(shown.subtitle, width)
    layout = {
        "title": title(shown.title, shown.subtitle, theme, width),
        "margin": {"l": _LEFT, "r": _RIGHT, "t": head, "b": _FOOT + more},
        "hovermode": "closest",
        **key,
    }
    return layout, head + _FOOT + more


def _notes_height(shown: Map, width: float) -> float:
    """Pixels that the notes take, whatever is chosen."""
    single = len(shown.shown) == 1
    drawn = [*shown.layers.values(), *shown.others.values()] if single else [shown.layers[n] for n in shown.shown]
    texts = [sentences(layer.notes) for layer in drawn]
    lines = [wrap(t, width) for t in (texts if single else [" ".join(texts)])]
    return 16.0 * max(text.count("<br>") + bool(text) for text in lines)


def _panel_title(layer: Layer, panel: int) -> dict[str, Any]:
    anchor = {"xref": f"{_id('x', panel)} domain", "yref": f"{_id('y', panel)} domain", "x": 0, "y": 1}
    words = {"text": f"<b>{layer.title}</b>", "showarrow": False, "xanchor": "left", "yanchor": "bottom", "yshift": 4}
    return anchor | words | {"font": {"size": 14}}


def _axes(
    shown: Map, theme: themes.Theme, panel: int, x: tuple[float, float], y: tuple[float, float], height: float
) -> dict[str, Any]:
    n = "" if panel == 1 else str(panel)
    frame = {"showgrid": False, "constrain": "domain", "ticks": "outside", "mirror": True}
    equal = {"scaleanchor": _id("x", panel), "scaleratio": 1} if shown.commensurate else {}
    ends = [[float(a.values[0]), float(a.values[-1])] for a in (shown.x, shown.y)]
    across = {"title": {"text": shown.x.label}, "range": ends[0], "domain": list(x), "anchor": _id("y", panel)}
    words = wrap(shown.y.label, max(0.8 * height, 90))
    up = {"title": {"text": words}, "range": ends[1], "domain": list(y), "anchor": _id("x", panel)}
    return {
        f"xaxis{n}": {**frame, **across},
        f"yaxis{n}": {**frame, **up, **equal},
        "plot_bgcolor": themes.palette(theme).hole,
    }


def _id(letter: str, panel: int) -> str:
    return letter if panel == 1 else f"{letter}{panel}"


def _traces(shown: Map, layer: Layer, theme: themes.Theme, panel: int, **bar: float) -> list[dict[str, Any]]:
    p = themes.palette(theme)
    traces = [_fill(shown, layer, bar), _lines(shown, layer)]
    for i, track in enumerate(layer.tracks):
        traces += _track(track, themes.path_color(i), p)
    traces += [*_extras(shown, layer, theme), _places(layer, p)]
    axes = {"xaxis": _id("x", panel), "yaxis": _id("y", panel)}
    return [{"showlegend": False} | t | axes for t in traces]


def _extras(shown: Map, layer: Layer, theme: themes.Theme) -> Traces:
    """Arrows, regions, curves, descents, critical points, the last on top; curves before a crowd of descents."""
    on_it = layer.extras
    spans = np.array([np.ptp(shown.x.values), np.ptp(shown.y.values)])
    traces: Traces = []
    if on_it.arrows is not None:
        traces += marks.arrows_on_map(on_it.arrows, spans / _sides(shown, _SIDE), spans, theme)
    behind = ("region",) if on_it.crowded else ("region", "curve")
    for mark in on_it.marks:
        if mark.sort in behind:
            traces += marks.on_map(mark, spans, theme)
    for i, bundle in enumerate(on_it.bundles):
        traces += swarm.on_map(bundle, i, spans, theme)
    for way in on_it.ways:
        traces += ways.on_map(way, theme)
    for mark in on_it.marks:
        if mark.sort not in behind:
            traces += marks.on_map(mark, spans, theme)
    return traces


def _fill(shown: Map, layer: Layer, bar: dict[str, float]) -> dict[str, Any]:
    s = layer.scale
    size = float(layer.fine[1] - layer.fine[0])
    return {
        "type": "contour",
        "name": layer.label,
        "x": shown.x.values.tolist(),
        "y": shown.y.values.tolist(),
        "z": short(layer.heights.T),
        "customdata": layer.text.T.tolist(),
        "hovertemplate": hover(shown, layer),
        "colorscale": themes.colorscale(),
        "zmin": s.low,
        "zmax": s.high,
        "connectgaps": False,
        "contours": {"start": float(layer.fine[0]), "end": float(layer.fine[-1]), "size": size, "coloring": "fill"},
        "line": {"width": 0},
        "colorbar": colorbar(layer, **bar),
    }


def _lines(shown: Map, layer: Layer) -> dict[str, Any]:
    """Labelled iso-lines. Their labels are the ticks of a colour bar of no width: plotly offers no other way."""
    s = layer.scale
    step = float(layer.levels[1] - layer.levels[0]) if layer.levels.size > 1 else s.high - s.low
    turn = themes.ISO_SWITCH
    colors = [[0.0, turn, turn, 1.0], [themes.iso_color(0.0)] * 2 + [themes.iso_color(1.0)] * 2]
    hidden = {"thickness": 0, "x": 1.0, "tickfont": {"size": 1, "color": "rgba(0,0,0,0)"}}
    return {
        "type": "contour",
        "name": "iso-lines",
        "x": shown.x.values.tolist(),
        "y": shown.y.values.tolist(),
        "z": short(layer.heights.T),
        "hoverinfo": "skip",
        "colorscale": [list(c) for c in zip(*colors, strict=True)],
        "zmin": s.low,
        "zmax": s.high,
        "connectgaps": False,
        "contours": {
            "start": float(layer.levels[0]) if layer.levels.size else s.low,
            "end": float(layer.levels[-1]) if layer.levels.size else s.high,
            "size": step,
            "coloring": "lines",
            "showlabels": True,
            "labelfont": {"size": 11},
        },
        "line": {"width": 0.9},
        "colorbar": colorbar(layer) | hidden | {"ticks": ""},
    }


def _track(track: Track, color: str, p: themes.Palette) -> list[dict[str, Any]]:
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "x": track.x.tolist(), "y": track.y.tolist()}
    return [
        line | {"name": f"{track.label}, casing", "line": {"color": p.casing, "width": 5.5}},
        line | {"name": track.label, "line": {"color": color, "width": 2.8}},
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{track.label}, steps",
            "x": track.x.tolist(),
            "y": track.y.tolist(),
            "text": list(track.text),
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"opacity": 1, "size": 3.5, "color": color, "line": {"width": 0}},
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{track.label}, ends",
            "x": track.x[[0, -1]].tolist(),
            "y": track.y[[0, -1]].tolist(),
            "text": [track.text[0], track.text[-1]],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {
                "opacity": 1,
                "size": [11, 13],
                "symbol": ["circle", "square"],
                "color": [p.casing, color],
                "line": {"color": [color, p.casing], "width": 2},
            },
        },
    ]


def _places(layer: Layer, p: themes.Palette) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "places",
        "x": [m.x for m in layer.markers],
        "y": [m.y for m in layer.markers],
        "text": [m.text for m in layer.markers],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "opacity": 1,
            "size": [SIZES[m.kind] + (m.kind == "model") for m in layer.markers],
            "symbol": [SHAPES[m.kind] for m in layer.markers],
            "color": [themes.place_color(m.kind, m.number) for m in layer.markers],
            "line": {"color": p.ink, "width": 1.5},
        },
    }


def _labels(layer: Layer, panel: int, theme: themes.Theme) -> list[dict[str, Any]]:
    ids = {"xref": _id("x", panel), "yref": _id("y", panel)}
    made = []
    for card in cards(layer.tracks, layer.markers, themes.palette(theme)):
        x, y = ((card[k] - g[0]) / (g[-1] - g[0]) for k, g in (("x", layer.sheet.x), ("y", layer.sheet.y)))
        if 0 <= x <= 1 and 0 <= y <= 1:
            inwards = {"ax": abs(card["ax"]) * np.sign(0.5 - x)} if not 0.12 < x < 0.88 else {}
            inwards |= {"ay": abs(card["ay"]) * np.sign(y - 0.5)} if not 0.1 < y < 0.9 else {}
            made.append({k: v for k, v in card.items() if k != "z"} | inwards | ids)
    return made
