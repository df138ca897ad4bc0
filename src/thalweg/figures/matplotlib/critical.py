"""Critical points by themselves, for papers."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thalweg.figures import theme as themes
from thalweg.figures.critical import Points
from thalweg.figures.matplotlib.common import legend, page
from thalweg.figures.matplotlib.swarm import key, marker

_SIZE = (4.8, 3.8)


def draw(shown: Points, theme: themes.Theme) -> Figure:
    """The whole figure."""
    p = themes.palette(theme)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, "", _SIZE, theme, [m.label for m in shown.marks])
        axes = figure.add_subplot()
        axes.set_facecolor(p.hole)
        keys: list[Line2D] = []
        for mark in shown.marks:
            axes.plot(*mark.places, label=f"_{mark.label}", **marker(mark, p, 1.2))
            keys.append(key(mark, p))
        (left, below), (right, above) = shown.extent.low, shown.extent.high
        axes.set(xlabel=shown.x_label, ylabel=shown.y_label, xlim=(left, right), ylim=(below, above))
        legend(figure, keys, 0)
        return figure
