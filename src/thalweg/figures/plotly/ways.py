"""Curves between optima in plotly: on the map, and as tubes on the surface with their shadow on the floor."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.plotly.paths import Box, places, tube
from thalweg.figures.ways import Way

Traces = list[dict[str, Any]]
_DASH = "9px,6px"
_LIGHT = {"ambient": 0.8, "diffuse": 0.45, "specular": 0.2, "roughness": 0.4, "fresnel": 0.0}


def on_map(way: Way, theme: themes.Theme) -> Traces:
    """The curve in a light casing; the segment dashed, light in a dark casing."""
    p = themes.palette(theme)
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "legendgroup": way.name}
    curve = line | {"x": way.line[0], "y": way.line[1]}
    straight = line | {"x": way.straight[0], "y": way.straight[1], "legendgroup": "straight segment"}
    found = [
        curve | {"name": f"{way.name}, casing", "line": {"color": p.casing, "width": 6.5, "simplify": False}},
        curve | {"name": way.name, "line": {"color": themes.path_color(way.number), "width": 3.4, "simplify": False}},
    ]
    if way.straight.size:
        found += [
            straight | {"name": "straight segment, casing", "line": {"color": "#16243a", "width": 4.2}},
            straight | {"name": "straight segment, drawn", "line": {"color": "#ffffff", "width": 2.2, "dash": _DASH}},
        ]
    return [*found, *_keys(way, {"type": "scatter"}, theme)]


def in_space(way: Way, box: Box, ground: float, theme: themes.Theme) -> Traces:
    """The curve as a tube, the segment dashed a little above the surface, and both on the floor at height `ground`."""
    color = themes.path_color(way.number)
    corners, triangles = tube(way.line, box.unit)
    mesh = {
        "type": "mesh3d",
        "name": way.name,
        "legendgroup": way.name,
        **places(corners[:, 0], corners[:, 1], corners[:, 2]),
        **{k: v.tolist() for k, v in zip("ijk", triangles.T, strict=True)},
        "color": color,
        "lighting": _LIGHT,
        "hoverinfo": "skip",
    }
    line = {"type": "scatter3d", "mode": "lines", "hoverinfo": "skip"}
    shadow = line | {"legendgroup": way.name, "line": {"color": color, "width": 4}}
    found = [mesh, shadow | {"name": f"{way.name}, seen from above", **_floor(way.line, ground, box)}]
    if way.straight.size:
        dashes = line | {"legendgroup": "straight segment", "line": {"color": "#ffffff", "width": 5, "dash": "dash"}}
        high = way.straight[2] + 0.01 * box.spans[2]
        found += [
            dashes | {"name": "straight segment, drawn", **places(way.straight[0], way.straight[1], high)},
            dashes | {"name": "straight segment, seen from above", **_floor(way.straight, ground, box)},
        ]
    return [*found, *_keys(way, {"type": "scatter3d", "z": [None]}, theme)]


def _floor(line: np.ndarray, ground: float, box: Box) -> dict[str, np.ndarray]:
    return places(line[0], line[1], np.where(np.isfinite(line[2]), ground + 0.012 * box.spans[2], np.nan))


def _keys(way: Way, nothing: dict[str, Any], theme: themes.Theme) -> Traces:
    """Entries of the legend, legible on paper."""
    base = nothing | {"x": [None], "y": [None], "mode": "lines", "hoverinfo": "skip", "showlegend": True}
    curve = {"color": themes.path_color(way.number), "width": 5}
    found = [base | {"name": way.name, "legendgroup": way.name, "legendrank": 3, "line": curve}]
    if way.straight.size:
        look = {"color": themes.palette(theme).text, "width": 2, "dash": "dot" if "z" in nothing else "5px,3px"}
        said = {"name": "straight segment", "legendgroup": "straight segment", "legendrank": 4}
        found.append(base | said | {"line": look})
    return found
