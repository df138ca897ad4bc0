"""Interactive panels of curves in rows and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.board import Board, Cell, Word
from thalweg.figures.chart import color
from thalweg.figures.plotly.chart import KEY, WIDE, axis, foot, mark, series
from thalweg.figures.plotly.common import Traces, extra_lines, figure, sentences, title, wrap
from thalweg.figures.plotly.shades import ROOM, cells, coloraxis, dots

_ACROSS, _DOWN, _INCH = 86, 84, 106  # pixels between panels, and those that an inch of a row takes
_LEFT, _RIGHT, _FOOT, _HEAD = 80, 30, 84, 92
_ROW = 24  # pixels of a row of the legend


def draw(shown: Board, theme: themes.Theme) -> go.Figure:
    """The whole figure."""
    wide = WIDE if shown.width is None else shown.width * _INCH
    tall = np.array(shown.rows) * _INCH
    height = float(tall.sum() + _DOWN * (len(tall) - 1))
    tops = 1 - np.concatenate([[0.0], np.cumsum(tall + _DOWN)[:-1]]) / height
    gap = _ACROSS / wide
    width = (1 - gap * (shown.columns - 1)) / shown.columns
    keys = {s.entry for s in shown.keys}
    traces: Traces = []
    marks: dict[str, list[dict[str, Any]]] = {"shapes": [], "annotations": [foot(sentences(shown.notes), theme, wide)]}
    layout: dict[str, Any] = {}
    for k, (cell, (row, column)) in enumerate(zip(shown.cells, shown.places, strict=True)):
        n = "" if k == 0 else str(k + 1)
        left = column * (width + gap)
        across = (left, min(1.0, left + cell.span * (width + gap) - gap))
        domain = (max(0.0, tops[row] - tall[row] / height), float(tops[row]))
        here = {"xaxis": f"x{n}", "yaxis": f"y{n}"}
        if cell.shades is not None:
            across = (across[0], across[1] - ROOM / wide)
            layout[f"coloraxis{n}"] = coloraxis(cell.shades, theme, across[1], domain, height)
        layout |= _axes(cell, n, across, domain)
        if cell.tiles is not None:
            traces.append(cells(cell.tiles, cell.x, cell.y, f"coloraxis{n}", cell.name, **here))
        for s in cell.series:
            if s.shades is not None:
                traces.append(dots(s, cell.x, cell.y, f"coloraxis{n}", **here))
                continue
            keyed = s.entry in keys
            keys -= {s.entry} if keyed else set()
            made = series(s, cell.x, cell.y, theme, keyed=keyed, **here)
            traces += [t | ({"legendgroup": s.entry} if s.entry else {}) for t in made]
        mark(marks, cell.marks, n, theme)
        marks["annotations"] += [*_title(cell, n), *(_word(w, cell, n, theme) for w in cell.words)]
    lines = _legend_rows([s.entry for s in shown.keys], wide)
    above = _titles(shown)
    head = _HEAD + _ROW * lines + above + extra_lines(shown.subtitle, wide)
    below = _FOOT + 16 * wrap(sentences(shown.notes), wide).count("<br>")
    lifted = KEY | {"y": 1 + (above + 4 if above else 2) / height}
    size = {} if shown.width is None else {"width": int(wide + _LEFT + _RIGHT)}
    layout |= {
        "title": title(shown.title, shown.subtitle, theme, wide),
        **size,
        "height": int(height + head + below),
        "margin": {"l": _LEFT, "r": _RIGHT, "t": head, "b": below},
        "legend": lifted,
        "showlegend": bool(shown.keys),
        "hovermode": "closest",
        **marks,
    }
    return figure(traces, layout, theme)


def _titles(shown: Board) -> int:
    """Pixels that the titles of the first row take above it."""
    lines = [
        c.title.count("\n") + 1 for c, (row, _) in zip(shown.cells, shown.places, strict=True) if not row and c.title
    ]
    return 4 + 18 * max(lines) if lines else 0


def _legend_rows(entries: list[str], width: float) -> int:
    """Lines that the legend takes."""
    wide = [46 + 7.0 * len(entry) for entry in entries]
    if not wide:
        return 0
    columns = max(1, int(width // max(wide)))
    return 1 if sum(wide) <= width else -(-len(wide) // columns)


def _axes(cell: Cell, n: str, x: tuple[float, float], y: tuple[float, float]) -> dict[str, Any]:
    across = axis(cell.x) | {"anchor": f"y{n}", "domain": list(x), "showgrid": False}
    up = axis(cell.y) | {"anchor": f"x{n}", "domain": list(y), "showgrid": cell.tiles is None}
    if cell.tiles is not None:
        across, up = across | {"mirror": True}, up | {"mirror": True}
    if cell.equal:
        up |= {"scaleanchor": f"x{n}", "scaleratio": 1, "constrain": "domain"}
        across |= {"constrain": "domain"}
    return {f"xaxis{n}": across, f"yaxis{n}": up}


def _title(cell: Cell, n: str) -> list[dict[str, Any]]:
    place = {"xref": f"x{n} domain", "yref": f"y{n} domain", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"}
    look = {"showarrow": False, "yshift": 4, "font": {"size": 14}, "align": "left"}
    return [{**place, **look, "text": f"<b>{cell.title.replace(chr(10), '<br>')}</b>"}] if cell.title else []


def _word(word: Word, cell: Cell, n: str, theme: themes.Theme) -> dict[str, Any]:
    across, up = word.side
    place = {"xref": f"x{n}", "yref": f"y{n}", "x": float(cell.x(word.x)), "y": float(cell.y(word.y))}
    turn = {
        "xanchor": {1: "left", 0: "center", -1: "right"}[across],
        "yanchor": {1: "bottom", 0: "middle", -1: "top"}[up],
    }
    look = {"showarrow": False, "xshift": 7 * across, "yshift": 7 * up, "bgcolor": themes.palette(theme).card}
    return {**place, **turn, **look, "text": word.text, "font": {"size": 12, "color": color(word.color, theme)}}
