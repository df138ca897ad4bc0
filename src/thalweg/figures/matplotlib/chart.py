"""Panels of curves, marks and bars, for papers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import NullLocator

from thalweg.figures import theme as themes
from thalweg.figures.chart import Chart, Mark, Panel, Series, color
from thalweg.figures.matplotlib.common import legend, page, small_print
from thalweg.figures.rulers import Ruler

_WIDTH = 5.6  # inches of the panels
_SYMBOLS = {"circle": "o", "triangle": "v", "tick": "|", "": ""}


def draw(shown: Chart, theme: themes.Theme) -> Figure:
    """The whole figure."""
    shares = [panel.share for panel in shown.panels]
    size = (_WIDTH, 3.0 if len(shares) == 1 else 0.6 + 0.95 * sum(shares))
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, notes, size, theme, [s.entry for s in shown.keys])
        grid = figure.add_gridspec(len(shares), 1, height_ratios=shares)
        first: Axes | None = None
        drawn: dict[Series, Any] = {}
        for k, panel in enumerate(shown.panels):
            axes = figure.add_subplot(grid[k], sharex=first)
            first = first or axes
            drawn |= _panel(axes, panel, theme)
            axes.tick_params(labelbottom=k == len(shares) - 1)
        measure(first, "x", shown.x)
        axes.set_xlabel(shown.x.label)
        legend(figure, [drawn[s] for s in shown.keys], small_print(notes, _WIDTH))
        return figure


def _panel(axes: Axes, panel: Panel, theme: themes.Theme) -> dict[Series, Any]:
    """Draw a panel; what the legend shows of its series."""
    axes.grid(axis="y")
    axes.spines.right.set_visible(False)
    measure(axes, "y", panel.ruler)
    axes.set_ylabel(panel.ruler.label)
    drawn = {s: series(axes, s, theme) for s in panel.series}
    for m in panel.marks:
        mark(axes, m, theme)
    measure(axes, "y", panel.ruler)
    return drawn


def measure(axes: Any, which: str, ruler: Ruler) -> None:
    """Scale, ends and ticks of an axis."""
    options = {"linear_width": ruler.width} if ruler.kind == "asinh" else {}
    getattr(axes, f"set_{which}scale")(ruler.kind, **options)
    axis = getattr(axes, f"{which}axis")
    if ruler.ticks:
        axis.set_ticks(ruler.ticks, ruler.words)
    if ruler.ticks or ruler.kind != "linear":
        axis.set_minor_locator(NullLocator())
    if ruler.ends is not None:
        getattr(axes, f"set_{which}lim")(ruler.ends)


def series(axes: Axes, s: Series, theme: themes.Theme) -> Any:
    """The band, the curve with its marks, and the bars; returns the curve."""
    shade, paper = color(s.color, theme), themes.palette(theme).paper
    name = s.entry or f"_{s.label}"
    if s.filled:
        low = axes.get_ylim()[0] if axes.get_yscale() == "log" else max(axes.get_ylim()[0], 0.0)
        heights = np.where(s.y > low, s.y - low, np.nan)
        return axes.bar(s.x, heights, s.filled, low, color=shade, linewidth=0, label=name, zorder=2)
    if s.band is not None:
        axes.fill_between(s.x, *s.band, color=shade, alpha=0.2, linewidth=0, label=f"_{s.label}, band")
    for ends, upright in ((s.bars, True), (s.across, False)):
        if ends is not None:
            draw_bars = axes.vlines if upright else axes.hlines
            draw_bars(s.x if upright else s.y, *ends, color=shade, linewidth=1.0, label=f"_{s.label}, bars", zorder=2.4)
    look: dict[str, Any] = {
        "color": shade,
        "linewidth": s.line,
        "linestyle": "none" if not s.line else ":" if s.dotted else "--" if s.dashed else "-",
    }
    look |= (
        {"path_effects": [Stroke(linewidth=s.line + 1.6, foreground="#ffffff"), Normal()]} if s.cased and s.line else {}
    )
    if s.symbol:
        edge = "#16243a" if s.cased else shade
        width = 1.1 if s.hollow or s.symbol == "tick" else 0.5 * s.cased
        look |= {
            "marker": _SYMBOLS[s.symbol],
            "markersize": s.size * (8 if s.symbol == "tick" else 3.6 if s.line else 5),
        }
        look |= {"markerfacecolor": paper if s.hollow else shade, "markeredgecolor": edge, "markeredgewidth": width}
    (curve,) = axes.plot(s.x, s.y, label=name, zorder=3, **look)
    return curve


def mark(axes: Axes, mark: Mark, theme: themes.Theme) -> None:
    """A thin line across the panel, and its word."""
    muted = themes.palette(theme).muted
    if not mark.upright:
        axes.axhline(mark.at, color=muted, linewidth=0.7, label=f"_{mark.word or 'zero'}", zorder=1)
        return
    axes.axvline(mark.at, color=muted, linewidth=0.8, linestyle=":", label=f"_{mark.word}")
    at: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points", "va": "top"}
    axes.annotate(mark.word, (mark.at, 1), xytext=(3, -1), fontsize=7, color=muted, **at)
