"""Curves for papers: one panel under the other over a shared abscissa."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.lines import Line, Panel, Sheets
from thalweg.figures.matplotlib_common import page


def draw(shown: Sheets, theme: themes.Theme) -> Figure:
    """The whole figure."""
    shares = [panel.share for panel in shown.panels]
    height = 3.0 if len(shares) == 1 else 0.6 + 0.95 * sum(shares)
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, notes, (5.6, height), theme)
        grid = figure.add_gridspec(len(shares), 1, height_ratios=shares)
        first: Axes | None = None
        for k, panel in enumerate(shown.panels):
            axes = figure.add_subplot(grid[k], sharex=first)
            first = first or axes
            _panel(axes, panel, theme)
            axes.tick_params(labelbottom=k == len(shares) - 1)
        axes.set_xlabel(shown.x)
        return figure


def _panel(axes: Axes, panel: Panel, theme: themes.Theme) -> None:
    p = themes.palette(theme)
    axes.grid(axis="y")
    axes.margins(x=0)
    axes.set_ylabel(panel.left)
    axes.set_yscale("log" if panel.log else "linear")
    axes.spines.right.set_visible(bool(panel.right))
    twin = axes.twinx() if panel.right else None
    if twin is not None:
        axes.yaxis.label.set_color(themes.line_color("loss", "train", theme))
        twin.set_ylabel(panel.right, color=themes.line_color("other", "train", theme))
    for line in panel.lines:
        _line(twin if line.right and twin is not None else axes, line, theme)
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


def _line(axes: Axes, line: Line, theme: themes.Theme) -> None:
    color = themes.line_color(line.metric, line.split, theme)
    style = "--" if line.dashed else "-"
    axes.plot(line.x, line.y, style, color=color, linewidth=1.5, label=line.label)
    if line.band is not None:
        low, high = line.y - line.band, line.y + line.band
        axes.fill_between(line.x, low, high, color=color, alpha=0.2, linewidth=0, label="_standard error")
