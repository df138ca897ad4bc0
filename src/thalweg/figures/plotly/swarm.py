"""Many descents in plotly: one line per outcome on the surface, the floor and the map, and dots at both ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.plotly.paths import Box
from thalweg.figures.swarm import Bundle

Traces = list[dict[str, Any]]
_CROSS = 0.018  # of the map: half the width of a cross
LIFT = 0.006  # of what lies on the surface, in scene units


def in_space(bundle: Bundle, number: int, box: Box, ground: float, theme: themes.Theme) -> Traces:
    """Lines lying on the surface, their shadow on the floor at height `ground`, and the dots at both ends."""
    color = themes.outcome_color(bundle.rank, theme)
    lift = LIFT * box.unit[2]
    low = np.where(np.isfinite(bundle.flat[0]), ground + 1.5 * lift, np.nan)
    group = {"type": "scatter3d", "legendgroup": f"descents {number}"}
    line = {"color": color, "dash": themes.outcome_dash(bundle.rank)}
    dots = np.concatenate([bundle.starts, bundle.ends], axis=1)
    high = np.concatenate([bundle.line, _crosses(bundle.lost, box.spans)], axis=1)
    return [
        {
            **group,
            **_lines(bundle.label),
            **spots(np.concatenate([high[:2], high[2:] + lift]), box.spans),
            "line": {**line, "width": 2.2 if bundle.many else 5},
        },
        {
            **group,
            **_lines(f"{bundle.label}, seen from above", legend=False),
            **spots(np.concatenate([bundle.flat, low[None]]), box.spans),
            "line": {**line, "width": 1.5 if bundle.many else 2.5},
        },
        {
            **group,
            **_dots(bundle, bundle.end_text),
            **spots(dots + np.array([[0], [0], [2.5 * lift]]), box.spans),
            "marker": _look(bundle, color, themes.palette(theme), (3.0, 2.0) if bundle.many else (5.5, 3.6), 0),
        },
    ]


def on_map(bundle: Bundle, number: int, spans: np.ndarray, theme: themes.Theme) -> Traces:
    """Lines with a light casing if they are few, and the dots at both ends."""
    p = themes.palette(theme)
    color = themes.outcome_color(bundle.rank, theme)
    group = {"type": "scatter", "legendgroup": f"descents {number}"}
    width = 1.3 if bundle.many else 2.0
    places = spots(bundle.flat, spans)
    look = {"color": color, "width": width, "dash": themes.outcome_strokes(bundle.rank)}
    line = {**group, **places, **_lines(bundle.label), "line": look}
    casing = {**group, **places, **_lines(f"{bundle.label}, casing", legend=False)}
    dots = np.concatenate([m[:2] for m in (bundle.starts, bundle.ends, bundle.lost)], axis=1)
    spot = _look(bundle, color, p, (5.5, 4.5) if bundle.many else (8.5, 7.0), bundle.lost.shape[1])
    made = [casing | {"line": {"color": p.casing, "width": width + 1.8}}] * (not bundle.many)
    words = _dots(bundle, bundle.end_text + bundle.lost_text)
    return [*made, line, {**group, **words, **spots(dots, spans), "marker": spot, "cliponaxis": False}]


def spots(places: np.ndarray, spans: np.ndarray) -> dict[str, list[float | None]]:
    """Places (2 or 3, n) as lists, rounded to a 20,000th of each span; what is not finite is a gap.

    No place at all is one gap, because plotly gives traces without data no entry in the legend.
    """
    if not places.shape[1]:
        return {name: [None] for name, _ in zip("xyz", places, strict=False)}
    there = np.isfinite(places).all(axis=0)
    digits = [int(np.ceil(4.3 - np.log10(max(s, 1e-300)))) for s in spans]
    return {
        name: [v if ok else None for v, ok in zip(np.round(row, d).tolist(), there, strict=True)]
        for name, row, d in zip("xyz", places, digits, strict=False)
    }


def _lines(name: str, legend: bool = True) -> dict[str, Any]:
    look = {"mode": "lines", "hoverinfo": "skip", "connectgaps": False}
    return {"name": name, "showlegend": legend, "legendrank": 1, **look}


def _crosses(places: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Crosses lying at `places` (3, k), as one line with nan between strokes: plotly's own in 3-D need rare fonts."""
    reach = _CROSS * spans[:2]
    strokes = [np.array([-1, -1]), np.array([1, 1]), np.full(2, np.nan), np.array([-1, 1]), np.array([1, -1])]
    corners = np.array([np.full(2, np.nan), *strokes]) * reach
    made = places[:2].T[:, None] + corners
    z = np.repeat(places[2], len(corners))
    return np.concatenate([made.reshape(-1, 2).T, np.where(np.isfinite(made.reshape(-1, 2)[:, 0]), z, np.nan)[None]])


def _dots(bundle: Bundle, text: tuple[str, ...]) -> dict[str, Any]:
    said = {"text": [*bundle.start_text, *text], "hovertemplate": "%{text}<extra></extra>"}
    return {
        "name": f"{bundle.label}, ends",
        "mode": "markers",
        "showlegend": False,
        **(said if text else {"hoverinfo": "skip"}),
    }


def _look(bundle: Bundle, color: str, p: themes.Palette, sizes: tuple[float, float], lost: int) -> dict[str, Any]:
    """Small open dots at the starts, dots at the ends, and crosses at `lost` places where a descent diverged."""
    counts = [bundle.starts.shape[1], bundle.ends.shape[1], lost]
    end, start = sizes
    return {
        "opacity": 1.0,
        "size": np.repeat([start, end * (1.25 if bundle.moving else 1.0), end], counts).tolist(),
        "symbol": np.repeat(["circle", "circle", "x"], counts).tolist(),
        "color": np.repeat([p.casing, color, color], counts).tolist(),
        "line": {"width": 0 if bundle.many else 1.2, "color": np.repeat([color, p.casing, p.casing], counts).tolist()},
    }
