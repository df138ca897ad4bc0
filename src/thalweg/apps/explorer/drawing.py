"""Figures as the page takes them: without the words that the page writes itself, and as wide as it has room."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.io.json import to_json_plotly

from thalweg import figures
from thalweg.apps.explorer.telling import plain
from thalweg.figures.backend import drawer
from thalweg.figures.plotly.common import without_controls
from thalweg.figures.prepare import Map
from thalweg.figures.theme import Theme

VIEWS = {"space": "surface", "map": "contour"}
_TITLE, _LINE, _LEAST = 60, 17, 26  # pixels of a title with a line below it, of a further line, and of the margin left
_WIDE = {"l": 76, "r": 104}
Json = dict[str, Any]


def surface(shown: Map, view: str, theme: Theme) -> Json:
    """The surface in `space` or as a `map`, of a size that the page chooses."""
    with without_controls():
        figure: go.Figure = drawer("plotly", VIEWS[view])(shown, theme)
    found = fitted(figure)
    layout = found["layout"]
    layout.pop("height", None)
    layout.pop("width", None)
    if view == "map":
        layout["margin"] |= _WIDE
        layout["margin"]["t"] = _LEAST  # above the map were the controls that the page has itself
        layout["dragmode"] = False
    return found


def warm() -> None:
    """Draw something once: the first picture of all loads what draws it, which takes half a second."""
    words = {"role": "value", "metric": "loss", "split": "train", "long_name": "loss", "units": ""}
    axis = np.linspace(0.0, 1.0, 3)
    loss = (("x", "y"), axis[:, None] + axis, words)
    tiny = xr.Dataset({"loss": loss}, {"x": axis, "y": axis}, {"kind": "surface", "coordinates": ["x", "y"]})
    shown = figures.surface(tiny, backend="none")
    for view in VIEWS:
        to_json_plotly(surface(shown, view, "light"))


def fitted(figure: go.Figure) -> Json:
    """A figure as JSON: its title apart, and no width of its own unless its sides have to stay in proportion."""
    told: Json = figure.to_dict()
    layout = told["layout"]
    title = layout.pop("title", None) or {}
    margin = layout.setdefault("margin", {})
    before = float(margin.get("t", 100))
    words = str((title.get("subtitle") or {}).get("text") or "")
    taken = (_TITLE + _LINE * words.count("<br>")) if title.get("text") else 0
    margin["t"] = max(before - taken, _LEAST)
    layout["autosize"] = True
    if "height" in layout:
        layout["height"] -= before - margin["t"]
    layout.pop("width", None)
    head = {"title": title, "top": before}
    return {"data": told["data"], "layout": layout, "head": head, "words": _lines(str(title.get("text") or ""), words)}


def _lines(title: str, subtitle: str) -> list[str]:
    """Title and subtitle as plain text."""
    return [html.unescape(plain(text.replace("<br>", " "))) for text in (title, subtitle)]
