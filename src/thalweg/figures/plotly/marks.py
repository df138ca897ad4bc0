"""Critical points, curves, regions and arrows in plotly, on the surface and on the map."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.field import Arrows, outlines, triangles
from thalweg.figures.marks import Mark
from thalweg.figures.overlay import Sheet
from thalweg.figures.plotly.paths import Box
from thalweg.figures.plotly.swarm import LIFT, spots

Traces = list[dict[str, Any]]
_FEW = 20  # critical points of one type that are drawn large
_SYMBOLS = {"minimum": "circle", "saddle": "diamond", "maximum": "square"}  # in 3-D, crosses need rare fonts


def in_space(mark: Mark, box: Box, ground: float, theme: themes.Theme) -> Traces:
    """A mark on the surface; regions and curves also on the floor at height `ground`."""
    p = themes.palette(theme)
    shift = {"region": 1.5, "curve": 2.5, "critical": 3.5}[mark.sort] * LIFT * box.unit[2]
    group = {"type": "scatter3d", "mode": "markers", "legendgroup": mark.label}
    high = np.concatenate([mark.places[:2], mark.places[2:] + shift])
    low = np.where(np.isfinite(mark.places[0]), ground + shift, np.nan)
    look = marker(mark, p, flat=False)
    traces = [{**group, **_words(mark), **spots(high, box.spans), "marker": look}]
    if mark.sort != "critical":
        below = spots(np.concatenate([mark.places[:2], low[None]]), box.spans)
        small = look | {"size": 0.7 * look["size"]}
        quiet = {"name": f"{mark.label}, seen from above", "showlegend": False, "hoverinfo": "skip"}
        traces.append({**group, **quiet, **below, "marker": small})
    return traces


def on_map(mark: Mark, spans: np.ndarray, theme: themes.Theme) -> Traces:
    """A mark on the map."""
    look = marker(mark, themes.palette(theme), flat=True)
    group = {"type": "scatter", "mode": "markers", "legendgroup": mark.label}
    return [{**group, **_words(mark), **spots(mark.places[:2], spans), "marker": look}]


def marker(mark: Mark, p: themes.Palette, flat: bool) -> dict[str, Any]:
    """Symbol, colour and size of a mark."""
    if mark.sort == "critical":
        sort = mark.name.split(" ")[-1]
        name, color = _SYMBOLS.get(sort, "circle"), themes.CRITICAL.get(sort, p.model)
        edge = p.casing if sort == "maximum" else p.ink
        symbol = f"{name}-open" if "degenerate" in mark.name else name  # open markers have the one colour `color`
        size = (12.0 if flat else 7.0) * (1.0 if mark.places.shape[1] <= _FEW else 0.65)
        line = {"color": edge, "width": 2.5 if symbol.endswith("open") else 1.5}
        return {"symbol": symbol, "size": size, "color": color, "opacity": 1.0, "line": line}
    if mark.sort == "curve":
        color = themes.CURVES[mark.number % len(themes.CURVES)]
        line = {"color": p.ink, "width": 1}
        return {"symbol": "circle", "size": 5.5 if flat else 3.2, "color": color, "opacity": 1.0, "line": line}
    line = {"color": p.ink, "width": 0.5}
    return {"symbol": "square", "size": 4.0 if flat else 2.4, "color": themes.REGION, "opacity": 1.0, "line": line}


def arrows_in_space(arrows: Arrows, sheet: Sheet, box: Box, theme: themes.Theme) -> Traces:
    """Flat arrows draped over the surface: light on water, dark on sand; one that would not lie on it is left out."""
    corners = arrows.corners(box.unit[:2])
    count = corners.shape[1]
    across = sheet.lift(corners.reshape(-1, 2).T)
    across[2] += 2 * LIFT * box.unit[2]
    light = (arrows.sites[2] - sheet.scale.low) / (sheet.scale.high - sheet.scale.low) < themes.ISO_SWITCH
    whole = np.isfinite(across[2]).reshape(-1, count).all(axis=1)
    across[2] = np.where(np.repeat(whole, count), across[2], np.repeat(arrows.sites[2], count))
    made = triangles(len(corners))
    per = len(made) // max(len(corners), 1)
    made, light = made[np.repeat(whole, per)], light[whole]
    mesh = {
        "type": "mesh3d",
        "name": "arrows",
        "legendgroup": arrows.label,
        **spots(across, box.spans),
        **{k: v.tolist() for k, v in zip("ijk", made.T, strict=True)},
        "facecolor": np.repeat(np.where(light, "#ffffff", "#16243a"), per).tolist(),
        "lighting": {"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0},
        "hoverinfo": "skip",
    }
    return [mesh, _key(arrows, theme) | {"type": "scatter3d", "z": [None], "mode": "lines"}]


def arrows_on_map(arrows: Arrows, unit: np.ndarray, spans: np.ndarray, theme: themes.Theme) -> Traces:
    """Flat arrows; `unit` is what a pixel is along x and y in the data's units."""
    p = themes.palette(theme)
    drawn = {
        "type": "scatter",
        "mode": "lines",
        "name": "arrows",
        "legendgroup": arrows.label,
        **spots(outlines(arrows.corners(unit)), spans),
        "fill": "toself",
        "fillcolor": p.casing,
        "line": {"color": p.ink, "width": 0.7},
        "hoverinfo": "skip",
    }
    symbol = {"symbol": "arrow", "angle": 90, "size": 13, "color": p.text, "opacity": 1}
    return [drawn, _key(arrows, theme) | {"type": "scatter", "mode": "markers", "marker": symbol}]


def _key(arrows: Arrows, theme: themes.Theme) -> dict[str, Any]:
    """The legend's entry: plotly shows none for a mesh."""
    look = {"line": {"color": themes.palette(theme).text, "width": 2}, "hoverinfo": "skip"}
    said = {"name": arrows.label, "legendgroup": arrows.label, "legendrank": 5, "showlegend": True}
    return {"x": [None], "y": [None], **look, **said}


def _words(mark: Mark) -> dict[str, Any]:
    """Name, place in the legend, and hover texts of a mark."""
    rank = {"critical": 2, "curve": 3, "region": 4}[mark.sort]
    said = {"text": list(mark.text), "hovertemplate": "%{text}<extra></extra>"} if mark.text else {"hoverinfo": "skip"}
    return {"name": mark.label, "showlegend": True, "legendrank": rank, **said}
