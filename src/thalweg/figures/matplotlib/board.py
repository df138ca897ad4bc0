"""Panels of curves in rows and columns, for papers."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.board import Board, Cell, Word
from thalweg.figures.chart import color
from thalweg.figures.matplotlib.chart import mark, measure, series
from thalweg.figures.matplotlib.common import legend, page, small_print
from thalweg.figures.matplotlib.shades import bar, cells, dots

_WIDTH = 7.2  # inches of all panels
_SIDE = 0.75  # beside matrices, which have a width of their own


def draw(shown: Board, theme: themes.Theme) -> Figure:
    """The whole figure."""
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    width = _WIDTH if shown.width is None else shown.width + _SIDE
    size = (width, sum(shown.rows) + 0.5 * len(shown.rows))
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, notes, size, theme, [s.entry for s in shown.keys])
        grid = figure.add_gridspec(len(shown.rows), shown.columns, height_ratios=shown.rows)
        drawn: dict[str, Any] = {}
        for cell, (row, column) in zip(shown.cells, shown.places, strict=True):
            axes = figure.add_subplot(grid[row, column : column + cell.span])
            for entry, curve in _cell(axes, cell, theme).items():
                drawn.setdefault(entry, curve)
            if cell.shades is not None:
                bar(figure, axes, cell.shades, theme)
        legend(figure, [drawn[s.entry] for s in shown.keys], small_print(notes, width))
        return figure


def _cell(axes: Axes, cell: Cell, theme: themes.Theme) -> dict[str, Any]:
    """Draw a panel; what the legend shows of its series."""
    axes.grid(axis="y")
    axes.spines.right.set_visible(False)
    axes.set(xlabel=cell.x.label, ylabel=cell.y.label)
    for which, ruler in (("x", cell.x), ("y", cell.y)):
        measure(axes, which, ruler)
    if cell.title:
        axes.set_title(cell.title, fontsize=9)
    if cell.tiles is not None and cell.shades is not None:
        cells(axes, cell.tiles, cell.shades, theme)
    drawn = {}
    for s in cell.series:
        if s.shades is not None and cell.shades is not None:
            drawn[s.entry] = dots(axes, s, cell.shades, theme)
        else:
            drawn[s.entry] = series(axes, s, theme)
    for m in cell.marks:
        mark(axes, m, theme)
    for word in cell.words:
        _word(axes, word, theme)
    for which, ruler in (("x", cell.x), ("y", cell.y)):
        measure(axes, which, ruler)
    if cell.equal:
        axes.set_aspect("equal", adjustable="box")
    return drawn


def _word(axes: Axes, word: Word, theme: themes.Theme) -> None:
    across, up = word.side
    axes.annotate(
        word.text,
        (word.x, word.y),
        xytext=(4 * across, 5 * up),
        textcoords="offset points",
        ha={1: "left", 0: "center", -1: "right"}[across],
        va={1: "bottom", 0: "center", -1: "top"}[up],
        fontsize=7,
        color=color(word.color, theme),
        zorder=6,
        bbox={
            "boxstyle": "round,pad=0.15",
            "facecolor": themes.palette(theme).paper,
            "edgecolor": "none",
            "alpha": 0.8,
        },
    )
