"""Dots and cells whose colours are numbers, and the colour bar of their panel, for papers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.chart import Series
from thalweg.figures.shades import Shades, Tiles

_DOT = 7.0  # square points


def dots(axes: Axes, s: Series, shades: Shades, theme: themes.Theme) -> Any:
    """The marks of a series, coloured by `s.shades`."""
    look: dict[str, Any] = {"s": _DOT * s.size**2, "linewidths": 0, "zorder": 3, "label": s.entry or f"_{s.label}"}
    return axes.scatter(s.x, s.y, c=s.shades, rasterized=len(s.x) > 500, **_scaled(shades, theme), **look)


def cells(axes: Axes, tiles: Tiles, shades: Shades, theme: themes.Theme) -> None:
    """The cells of a matrix, framed."""
    axes.grid(False)
    axes.set_facecolor(themes.palette(theme).hole)
    values = np.ma.masked_invalid(tiles.values.T)
    axes.pcolormesh(tiles.x_edges, tiles.y_edges, values, rasterized=True, zorder=0.5, **_scaled(shades, theme))
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)


def bar(figure: Figure, axes: Axes, shades: Shades, theme: themes.Theme) -> None:
    """The colour bar right of a panel."""
    shown = figure.colorbar(ScalarMappable(**_scaled(shades, theme)), ax=axes, ticks=shades.ticks, pad=0.02, aspect=25)
    shown.ax.set_yticklabels(shades.words)
    shown.set_label(shades.label)
    shown.outline.set_visible(False)
    shown.ax.minorticks_off()
    shown.ax.tick_params(width=0.6, length=2.5)


def _scaled(shades: Shades, theme: themes.Theme) -> dict[str, Any]:
    colors = shades.palette(theme)
    stepped = bool(shades.steps)
    cmap: Colormap = ListedColormap(colors) if stepped else LinearSegmentedColormap.from_list(shades.colors, colors)
    return {"norm": Normalize(shades.low, shades.high), "cmap": cmap}
