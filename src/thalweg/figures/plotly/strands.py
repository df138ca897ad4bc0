"""Many descents as curves in plotly: one trace per outcome, and the dots and crosses on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.strands import Strand


def traces(strand: Strand, number: int, axes: dict[str, str], theme: themes.Theme) -> list[dict[str, Any]]:
    """The curves, and their starts, heads and crosses where they diverge; `axes` says in which panel."""
    color = themes.outcome_color(strand.rank, theme)
    group = {"type": "scatter", "legendgroup": f"descents {number}", **axes}
    where = "%{x:.4~g}" if strand.dotted else "update %{x}"
    hover = {"hovertemplate": f"{where}: %{{y:.4~g}}<extra>{strand.label.split(':')[0]}</extra>"}
    width = 1.0 if strand.many or strand.dotted else 1.5
    paper = themes.palette(theme).paper
    curve = {
        **group,
        **hover,
        "name": strand.label,
        "mode": "lines+markers" if strand.dotted else "lines",
        "x": _listed(strand.x),
        "y": _listed(strand.y),
        "line": {"color": color, "width": width, "dash": themes.outcome_strokes(strand.rank)},
        "marker": {"size": 6.5, "color": color, "opacity": 1, "line": {"width": 0.8, "color": paper}},
        "opacity": 0.8 if strand.many else 0.95,
        "connectgaps": False,
        "showlegend": True,
        "legendrank": 1,
    }
    return [curve, {**group, **_dots(strand, color, themes.palette(theme))}]


def _dots(strand: Strand, color: str, p: themes.Palette) -> dict[str, Any]:
    marks = (strand.starts, strand.heads, strand.lost)
    counts = [m.shape[1] for m in marks]
    places = np.concatenate(marks, axis=1)
    size = 6.0 if strand.many else 8.0
    return {
        "name": f"{strand.label}, ends",
        "mode": "markers",
        "x": _listed(places[0]),
        "y": _listed(places[1]),
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
        "marker": {
            "opacity": 1.0,
            "size": np.repeat([0.85 * size, size, size + 1], counts).tolist(),
            "symbol": np.repeat(["circle", "circle", "x"], counts).tolist(),
            "color": np.repeat([p.casing, color, color], counts).tolist(),
            "line": {"width": 1.2, "color": np.repeat([color, p.casing, p.casing], counts).tolist()},
        },
    }


def _listed(values: np.ndarray) -> list[float | None]:
    """Numbers with five digits, nan as None; nothing is one gap, so that the legend keeps its entry."""
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values.tolist()] or [None]
