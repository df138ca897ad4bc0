"""Curves for papers: one panel under the other over a shared abscissa."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thalweg.figures import theme as themes
from thalweg.figures.lines import Line, Panel, Sheets
from thalweg.figures.matplotlib.common import legend, page, small_print
from thalweg.figures.matplotlib.swarm import outcome_key
from thalweg.figures.strands import Strand


def decades(low: float, high: float) -> np.ndarray:
    """Whole decades for the ticks of a logarithmic axis, at most nine of them.

    Examples
    --------
    >>> decades(2e-3, 30.0).tolist()
    [0.01, 0.1, 1.0, 10.0]
    """
    first, last = np.ceil(np.log10(low)), np.floor(np.log10(high))
    return np.asarray(10.0 ** np.arange(first, last + 1, max(1, np.ceil((last - first) / 8))))


def draw(shown: Sheets, theme: themes.Theme) -> Figure:
    """The whole figure."""
    shares = [panel.share for panel in shown.panels]
    height = 3.0 if len(shares) == 1 else 0.6 + 0.95 * sum(shares)
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        keys = _keys(shown, theme)
        size = (5.6, height)
        figure = page(shown.title, shown.subtitle, notes, size, theme, [str(k.get_label()) for k in keys])
        legend(figure, keys, small_print(notes, size[0]))
        grid = figure.add_gridspec(len(shares), 1, height_ratios=shares)
        first: Axes | None = None
        for k, panel in enumerate(shown.panels):
            axes = figure.add_subplot(grid[k], sharex=first)
            first = first or axes
            _panel(axes, panel, theme)
            if keys and (said := axes.get_legend()) is not None:
                said.remove()
            axes.tick_params(labelbottom=k == len(shares) - 1)
        axes.set_xlabel(shown.x)
        return figure


def _panel(axes: Axes, panel: Panel, theme: themes.Theme) -> None:
    p = themes.palette(theme)
    axes.grid(axis="y")
    axes.margins(x=0)
    axes.set_ylabel(panel.left)
    axes.set_yscale("log" if panel.log else "linear")
    if panel.log and panel.ylim is not None:
        axes.set_yticks(decades(*panel.ylim), minor=False)
        axes.set_yticks([], minor=True)
    axes.spines.right.set_visible(bool(panel.right))
    twin = axes.twinx() if panel.right else None
    if twin is not None:
        axes.yaxis.label.set_color(themes.line_color("loss", "train", theme))
        twin.set_ylabel(panel.right, color=themes.line_color("other", "train", theme))
    for line in panel.lines:
        _line(twin if line.right and twin is not None else axes, line, theme)
    for strand in panel.strands:
        _strand(axes, strand, theme)
    if panel.xlim is not None:
        axes.set_xlim(panel.xlim)
    if panel.ylim is not None:
        axes.set_ylim(panel.ylim)
    if panel.mark is not None:
        axes.axvline(panel.mark, color=p.muted, linewidth=0.8, linestyle=":", label="_model")
        at: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
        axes.annotate("model", (panel.mark, 0), xytext=(3, 3), fontsize=7, color=p.muted, **at)
    handles = [h for ax in (axes, twin) if ax is not None for h in ax.get_legend_handles_labels()[0]]
    if len(handles) > 1:
        place: dict[str, Any] = {
            "loc": "lower left",
            "bbox_to_anchor": (0, 1.0),
            "borderaxespad": 0.2,
            "handlelength": 2.4,
        }
        axes.legend(handles=handles, ncols=min(len(handles), 4), columnspacing=1.2, **place)


def _strand(axes: Axes, strand: Strand, theme: themes.Theme) -> None:
    """Curves with their starts, heads and crosses where they diverge."""
    p, color = themes.palette(theme), themes.outcome_color(strand.rank, theme)
    width = 0.6 if strand.many or strand.dotted else 0.9
    dots: dict[str, Any] = {"linestyle": themes.outcome_linestyle(strand.rank)}
    if strand.dotted:
        dots |= {"marker": "o", "markersize": 3.0, "markeredgewidth": 0.4, "markeredgecolor": p.paper}
    axes.plot(strand.x, strand.y, color=color, linewidth=width, label=strand.label, zorder=3, **dots)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 4.2, "zorder": 5, "clip_on": False}
    for kind, places, face, edge in (
        ("start", strand.starts, p.casing, color),
        ("head", strand.heads, color, p.casing),
        ("lost", strand.lost, color, color),
    ):
        shape = "x" if kind == "lost" else "o"
        colors: dict[str, Any] = {
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markeredgewidth": 1.1 if kind == "lost" else 0.7,
        }
        (drawn,) = axes.plot(*places, shape, label=f"_{strand.label}, {kind}", **look, **colors)
        drawn.set_in_layout(False)  # where there is none, its box would be the corner of the page


def _keys(shown: Sheets, theme: themes.Theme) -> list[Any]:
    """Entries of the legend below the panels, if there are descents; else each panel has its own above it."""
    strands = [strand for panel in shown.panels for strand in panel.strands]
    if not strands:
        return []
    made = [outcome_key(s.rank, s.label, theme) for s in strands]
    for line in shown.panels[0].lines:
        color = themes.line_color(line.metric, line.split, theme)
        made.append(Line2D([], [], color=color, linestyle="--" if line.dashed else "-", label=line.label))
    return made


def _line(axes: Axes, line: Line, theme: themes.Theme) -> None:
    color = themes.line_color(line.metric, line.split, theme)
    style = "--" if line.dashed else "-"
    axes.plot(line.x, line.y, style, color=color, linewidth=1.5, label=line.label)
    if line.band is not None:
        low, high = line.y - line.band, line.y + line.band
        axes.fill_between(line.x, low, high, color=color, alpha=0.2, linewidth=0, label="_standard error")
