"""Several quantities as 3-D surfaces in one picture, each in a scene of its own."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.plotly.common import extra_lines, figure, legend, note, sentences, title, wrap
from thalweg.figures.plotly.surface import scene, surface_traces
from thalweg.figures.prepare import Layer, Map

_TALL, _WIDE, _BAR = 430, 1100, 0.075  # pixels of a scene and of a line of words; a colour bar's share of the width


def draw(shown: Map, theme: themes.Theme) -> go.Figure:
    """One scene for each quantity that is shown; those of training and test data are seen from the same side."""
    names = shown.shown
    columns = 2
    rows = -(-len(names) // columns)
    first = shown.layers[names[0]]
    key, tall = legend(first.extras.legend, _WIDE)
    said = wrap(sentences(f"{shown.layers[n].label}: {s}" for n in names for s in shown.layers[n].notes), _WIDE)
    foot = 20 + 16 * (said.count("<br>") + bool(said)) + tall
    layout: dict[str, Any] = {
        "title": title(shown.title, shown.subtitle, theme),
        "margin": {"l": 16, "r": 16, "t": 84 + extra_lines(shown.subtitle, _WIDE), "b": foot},
        "height": rows * _TALL + 84 + foot,
        **key,
    }
    traces, words = [], [note(first, theme) | {"text": said}]
    for k, name in enumerate(names):
        layer, place = shown.layers[name], divmod(k, columns)
        left, top = place[1] / columns, 1 - place[0] / rows
        width, height = 1 / columns, 1 / rows
        mine = "scene" if k == 0 else f"scene{k + 1}"
        domain = {"x": [left, left + width - _BAR], "y": [top - 0.97 * height, top - 0.03 * height]}
        layout[mine] = _smaller(scene(shown, layer, theme, seen=[shown.layers[n] for n in names])) | {"domain": domain}
        bar = {"x": left + width - _BAR, "y": top - height / 2, "len": 0.62 * height}
        drawn = surface_traces(shown, layer, theme, [layer], **bar)
        traces += [trace | {"scene": mine, "showlegend": trace["showlegend"] and k == 0} for trace in drawn]
        words.append(_heading(layer, left, top))
    return figure(traces, layout | {"annotations": words}, theme)


def _smaller(scene: dict[str, Any]) -> dict[str, Any]:
    """Words and view for a scene that is one of several; its heading names the quantity."""
    axes = {f"{k}axis": scene[f"{k}axis"] | {"tickfont": {"size": 11}, "nticks": 5} for k in "xyz"}
    for name, axis in axes.items():
        axis["title"] = {"text": ""} if name == "zaxis" else axis["title"] | {"font": {"size": 12}}
    eye = {k: 1.2 * v for k, v in scene["camera"]["eye"].items()}
    return scene | axes | {"camera": scene["camera"] | {"eye": eye}}


def _heading(layer: Layer, left: float, top: float) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "x": left, "y": top, "xanchor": "left", "yanchor": "top", "xshift": 8}
    return {
        **place,
        "text": f"<b>{wrap(layer.title, 400)}</b>",
        "align": "left",
        "showarrow": False,
        "font": {"size": 14},
    }
