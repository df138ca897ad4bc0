"""The maps of risk for papers: the same bands, path and arrow as the interactive ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerPatch
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrow, FancyArrowPatch
from matplotlib.patheffects import Normal, Stroke

from thalweg.figures import theme as themes
from thalweg.figures.matplotlib.common import page
from thalweg.figures.risk import ARROW_WORDS, RiskMaps, RiskPanel

_SIDE, _BAR, _KEY = 3.0, 1.1, 0.75  # inches of a map, of the colour bar with its words, of the legend with labels
INK = "#16243a"  # on maps, whatever the theme


def draw(shown: RiskMaps, theme: themes.Theme) -> Figure:
    """The whole figure."""
    ratio = float(np.clip(np.ptp(shown.y.values) / np.ptp(shown.x.values), 0.4, 1.6)) if shown.commensurate else 0.9
    count = len(shown.panels)
    size = (count * _SIDE + _BAR, (_SIDE - 0.3) * ratio + _KEY)
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, notes, size, theme)
        grid = figure.add_gridspec(2, count, height_ratios=[1, 0.05])
        for k, panel in enumerate(shown.panels):
            axes = figure.add_subplot(grid[0, k])
            _map(axes, shown, panel)
            _places(axes, panel, head=min(8.0, 0.7 * 72 * 0.85 * _SIDE * shown.reach(panel)))
            axes.set_title(panel.title)
            axes.set_ylabel(shown.y.label if k == 0 else "")
            axes.tick_params(labelleft=k == 0)
        _bar(figure, shown, axes)
        _legend(figure.add_subplot(grid[1, :]), shown)
        return figure


def _map(axes: Axes, shown: RiskMaps, panel: RiskPanel) -> None:
    x, y, levels = shown.x.values, shown.y.values, shown.bands.levels
    z = np.ma.masked_invalid(np.where(np.isposinf(panel.values), levels[-1], panel.values).T)
    colors, norm = _look(shown)
    axes.set_facecolor(themes.palette("light").hole)
    axes.contourf(x, y, z, levels=levels, cmap=colors, norm=norm)
    axes.contour(x, y, z, levels=levels[1:-1], colors=INK, linewidths=0.35, alpha=0.35)
    axes.set(xlabel=shown.x.label, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.spines.top.set_visible(True)
    if shown.commensurate:
        axes.set_aspect("equal")


def _places(axes: Axes, panel: RiskPanel, head: float) -> None:
    """The path so far with its start, the iterate, and from it the arrow, whose `head` is so many points long."""
    if panel.path is not None:
        casing = [Stroke(linewidth=3.2, foreground="#ffffff"), Normal()]
        axes.plot(*panel.path, color=INK, linewidth=1.5, path_effects=casing, zorder=4, label="_path")
        axes.plot(*panel.path[:, :1], **_START, zorder=5, label="_start")
    if panel.arrow is not None and panel.here is not None:
        ends: Any = (tuple(panel.here), tuple(panel.here + panel.arrow))
        style = f"simple,head_length={head},head_width={head},tail_width={0.28 * head}"
        axes.add_patch(FancyArrowPatch(*ends, arrowstyle=style, shrinkA=0, shrinkB=0, label="_arrow", **_ARROW))
    if panel.here is not None:
        axes.plot(*panel.here[:, None], **_HERE, zorder=6, label="_iterate")


_START: dict[str, Any] = {
    "marker": "o",
    "markersize": 5.5,
    "markerfacecolor": "#ffffff",
    "markeredgecolor": INK,
    "markeredgewidth": 1.2,
    "linestyle": "none",
}
_ARROW: dict[str, Any] = {"facecolor": "#ffffff", "edgecolor": INK, "linewidth": 0.9, "zorder": 6.5}
_HERE: dict[str, Any] = {**_START, "markersize": 7, "markerfacecolor": "#ffd34d"}


def _look(shown: RiskMaps) -> tuple[ListedColormap, BoundaryNorm]:
    return ListedColormap(shown.bands.colors), BoundaryNorm(shown.bands.levels, shown.bands.count)


def _bar(figure: Figure, shown: RiskMaps, axes: Axes) -> None:
    colors, norm = _look(shown)
    at, words = shown.bands.ticks
    place = axes.inset_axes((1.04, 0, 0.05, 1))
    bar = figure.colorbar(ScalarMappable(norm, colors), cax=place, spacing="uniform", ticks=shown.bands.levels[at])
    bar.ax.set_yticklabels(words)
    bar.ax.minorticks_off()
    bar.set_label(shown.bar)
    bar.outline.set_visible(False)
    bar.ax.tick_params(width=0.6, length=2.5)


def _legend(axes: Axes, shown: RiskMaps) -> None:
    """One line of keys below the maps; there whether or not this step has an arrow, so that films stay still."""
    axes.set_axis_off()
    if not any(panel.here is not None for panel in shown.panels):
        return
    casing = [Stroke(linewidth=3.2, foreground="#ffffff"), Normal()]
    keys: list[Any] = [
        Line2D([], [], **_HERE, label="iterate"),
        Line2D([], [], **_START, label="start"),
        Line2D([], [], color=INK, linewidth=1.5, path_effects=casing, label="path so far"),
        FancyArrow(0, 0, 1, 0, label=ARROW_WORDS, **_ARROW),
    ]
    look: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (0, 0), "borderaxespad": 0, "columnspacing": 1.6}
    axes.legend(handles=keys, ncols=4, handler_map={FancyArrow: HandlerPatch(_key_arrow)}, **look)


def _key_arrow(width: float, height: float, **_rest: Any) -> FancyArrow:
    look: dict[str, Any] = {"width": 0.25 * height, "head_width": 1.0 * height, "head_length": height}
    return FancyArrow(0, height / 2, width, 0, length_includes_head=True, **look)
