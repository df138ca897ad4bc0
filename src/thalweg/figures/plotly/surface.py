"""The interactive 3-D surface: light, iso-lines, a map on the floor, paths as tubes, and what can be chosen.

The scene is built in heights, so that a logarithmic surface is lit, cut and coloured like any other; the ticks say
the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import camera
from thalweg.figures import theme as themes
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
    short,
    title,
)
from thalweg.figures.plotly.paths import Box, labels, marker_trace, path_traces, places
from thalweg.figures.prepare import Layer, Map

_HEIGHT = 0.62  # of the scene, in units of its longer side
_FLOOR = 0.42  # depth of the floor below the surface, in units of the surface's own height
_LIGHT = {"ambient": 0.55, "diffuse": 0.72, "specular": 0.08, "roughness": 0.65, "fresnel": 0.08}
_EYE = (1.5, 0.84)  # distance of the eye from the vertical axis, and its height, in scene units


def draw(shown: Map, theme: themes.Theme) -> go.Figure:
    """The whole figure: one scene with controls, or one for each quantity."""
    if shown.panels and len(shown.shown) > 1:
        from thalweg.figures.plotly.scenes import draw as draw_scenes

        return draw_scenes(shown, theme)
    states = [*shown.layers.values(), *shown.others.values()]
    first = shown.layers[shown.shown[0]]
    key, tall = legend(first.extras.legend, 1000)
    layout = {
        "title": title(shown.title, shown.subtitle, theme),
        "annotations": [note(first, theme), bar_title(first)],
        "margin": {"l": 16, "r": 112, "t": 84 + extra_lines(shown.subtitle, 1100), "b": 34 + tall},
        "height": 760 + tall,
        **key,
        "scene": scene(shown, first, theme, seen=[first]),
        "updatemenus": controls(
            shown,
            lambda layer: surface_traces(shown, layer, theme, states),
            lambda layer: {
                "annotations[0].text": note_text(layer),
                "annotations[1].text": layer.title,
                "scene.annotations": labels(layer.tracks, layer.markers, themes.palette(theme)),
                **{f"scene.zaxis.{k}": v for k, v in _zaxis(layer).items()},
            },
            theme,
        ),
    }
    return figure(surface_traces(shown, first, theme, states), layout, theme)


def box(shown: Map, layer: Layer) -> Box:
    """Proportions of the surface within the scene."""
    spans = np.array([np.ptp(shown.x.values), np.ptp(shown.y.values), layer.scale.high - layer.scale.low])
    return Box(camera.sides(shown.x.values, shown.y.values, shown.commensurate, _HEIGHT / (1 + _FLOOR)), spans)


def floor(layer: Layer) -> float:
    """Height of the map below the surface."""
    return layer.scale.low - _FLOOR * (layer.scale.high - layer.scale.low)


def surface_traces(shown: Map, layer: Layer, theme: themes.Theme, states: list[Layer], **bar: float) -> Traces:
    """Everything in a scene; each of the `states` that it can be in has its own lines on the floor."""
    p = themes.palette(theme)
    sides = box(shown, layer)
    traces = [_surface(shown, layer, bar), _floor(shown, layer), *(_floor_lines(s, s is layer) for s in states)]
    for i, track in enumerate(layer.tracks):
        traces += path_traces(track, sides, floor(layer), themes.path_color(i), p)
    traces += _extras(layer, sides, theme)
    quiet = {"showlegend": False}
    return [quiet | t for t in [*traces, marker_trace(layer.markers, sides, p)]]


def _extras(layer: Layer, sides: Box, theme: themes.Theme) -> Traces:
    """Descents, marks and arrows on the surface."""
    on_it, ground = layer.extras, floor(layer)
    traces: Traces = []
    for i, bundle in enumerate(on_it.bundles):
        traces += swarm.in_space(bundle, i, sides, ground, theme)
    for way in on_it.ways:
        traces += ways.in_space(way, sides, ground, theme)
    for mark in on_it.marks:
        traces += marks.in_space(mark, sides, ground, theme)
    if on_it.arrows is not None:
        traces += marks.arrows_in_space(on_it.arrows, layer.sheet, sides, theme)
    return traces


def _surface(shown: Map, layer: Layer, bar: dict[str, float]) -> dict[str, Any]:
    s = layer.scale
    step = float(layer.levels[1] - layer.levels[0]) / 2 if layer.levels.size > 1 else s.high - s.low
    start = float(np.ceil(s.low / step) * step)
    lines = {"show": True, "start": start, "end": s.high, "size": step, "width": 1, "highlight": False}
    return {
        "type": "surface",
        "name": layer.label,
        "x": shown.x.values.tolist(),
        "y": shown.y.values.tolist(),
        "z": short(layer.heights.T),
        "customdata": layer.text.T.tolist(),
        "hovertemplate": hover(shown, layer),
        "colorscale": themes.colorscale(),
        "cmin": s.low,
        "cmax": s.high,
        "lighting": _LIGHT,
        "lightposition": {"x": -6000, "y": 9000, "z": 4000},
        "contours": {
            "x": {"highlight": False},
            "y": {"highlight": False},
            "z": {**lines, "color": "rgba(255,255,255,0.5)"},
        },
        "colorbar": colorbar(layer, **({"len": 0.62, "x": 1.0, "y": 0.5} | bar)),
    }


def _floor(shown: Map, layer: Layer) -> dict[str, Any]:
    s = layer.scale
    flat = np.where(np.isfinite(layer.heights), floor(layer), np.nan)
    return {
        "type": "surface",
        "name": "floor",
        "x": shown.x.values.tolist(),
        "y": shown.y.values.tolist(),
        "z": short(flat.T),
        "surfacecolor": short(layer.heights.T),
        "colorscale": themes.colorscale(),
        "cmin": s.low,
        "cmax": s.high,
        "showscale": False,
        "hoverinfo": "skip",
        "lighting": {"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0},
        "contours": {k: {"highlight": False} for k in "xyz"},
    }


def _floor_lines(layer: Layer, visible: bool) -> dict[str, Any]:
    """Iso-lines of the map on the floor, a little above it.

    Each quantity on each scale has its own, of which one is visible: so x and y are the same whatever is chosen, for
    these and for all other traces, and need not travel with every button.
    """
    gap = np.full((1, 2), np.nan)
    parts = [part for _, line in layer.sheet.iso_lines(layer.levels) for part in (line, gap)]
    xy = np.concatenate([*parts, gap])
    z = np.full(len(xy), floor(layer) + 0.006 * (layer.scale.high - layer.scale.low))
    return {
        "type": "scatter3d",
        "name": "iso-lines",
        "mode": "lines",
        **places(xy[:, 0], xy[:, 1], z),
        **({} if visible else {"z": [None]}),
        "line": {"color": "rgba(255,255,255,0.55)", "width": 1.5},
        "hoverinfo": "skip",
    }


def scene(shown: Map, layer: Layer, theme: themes.Theme, seen: Sequence[Layer]) -> dict[str, Any]:
    """Axes, proportions and words of a scene, looked at from where all of `seen` are seen best."""
    sides = box(shown, layer)
    return {
        "xaxis": {
            "title": {"text": shown.x.label},
            "range": _ends(shown.x.values),
            "nticks": 6,
            "tickfont": {"size": 12},
        },
        "yaxis": {
            "title": {"text": shown.y.label},
            "range": _ends(shown.y.values),
            "nticks": 6,
            "tickfont": {"size": 12},
        },
        "zaxis": _zaxis(layer),
        "aspectmode": "manual",
        "aspectratio": {"x": sides.sides[0], "y": sides.sides[1], "z": _HEIGHT},
        "camera": _camera(seen),
        "annotations": labels(layer.tracks, layer.markers, themes.palette(theme)),
    }


def _camera(layers: Sequence[Layer]) -> dict[str, Any]:
    away, up = _EYE
    angle = camera.best(layers, slope=up / away * (1 + _FLOOR) / _HEIGHT)
    eye = {"x": away * np.cos(angle), "y": away * np.sin(angle), "z": up}
    return {"eye": eye, "center": {"x": 0.0, "y": 0.0, "z": -0.13}}


def _zaxis(layer: Layer) -> dict[str, Any]:
    s = layer.scale
    return {
        "title": {"text": layer.title},
        "range": [floor(layer) - 0.01 * (s.high - s.low), s.high + 0.02 * (s.high - s.low)],
        "tickvals": layer.levels.tolist(),
        "ticktext": list(layer.ticks),
        "tickfont": {"size": 12},
    }


def _ends(values: np.ndarray) -> list[float]:
    return [float(values[0]), float(values[-1])]
