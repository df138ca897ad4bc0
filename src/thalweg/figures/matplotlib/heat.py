"""A map of coloured cells, for papers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.heat import Heat
from thalweg.figures.matplotlib.chart import measure, series
from thalweg.figures.matplotlib.common import legend, page, small_print

_SIZES = {True: (4.6, 3.7), False: (5.8, 3.4)}  # inches of square maps and others


def draw(shown: Heat, theme: themes.Theme) -> Figure:
    """The whole figure."""
    size = _SIZES[shown.square]
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, notes, size, theme, [s.label for s in shown.lines])
        axes = figure.add_subplot()
        axes.set_facecolor(themes.palette(theme).hole)
        _cells(figure, axes, shown)
        lines = [series(axes, s, theme) for s in shown.lines]
        for which, ruler in (("x", shown.x), ("y", shown.y)):
            measure(axes, which, ruler)
            getattr(axes, f"set_{which}label")(ruler.label)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        if shown.square:
            axes.set_aspect("equal")
        legend(figure, lines, small_print(notes, size[0]))
        return figure


def _cells(figure: Figure, axes: Axes, shown: Heat) -> None:
    look: dict[str, Any] = {"cmap": themes.colormap(), "vmin": shown.low, "vmax": shown.high, "rasterized": True}
    cells = axes.pcolormesh(shown.x_edges, shown.y_edges, np.ma.masked_invalid(shown.values.T), **look)
    bar = figure.colorbar(cells, ax=axes, ticks=shown.ticks, pad=0.02, aspect=30)
    bar.ax.set_yticklabels(shown.words)
    bar.set_label(shown.bar)
    bar.outline.set_visible(False)
    bar.ax.tick_params(width=0.6, length=2.5)
    if shown.told is None:
        return
    x, y = ((e[1:] + e[:-1]) / 2 for e in (shown.x_edges, shown.y_edges))
    for (i, j), text in np.ndenumerate(shown.told):
        ink = "#16243a" if shown.values[i, j] >= themes.ISO_SWITCH * shown.high else "#ffffff"
        axes.text(x[i], y[j], text, ha="center", va="center", fontsize=7, color=ink)
