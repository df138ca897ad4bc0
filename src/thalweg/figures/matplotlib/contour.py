"""The contour map for papers: the same levels, lines and words as the interactive one."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from thalweg.figures import theme as themes
from thalweg.figures.matplotlib import swarm
from thalweg.figures.matplotlib.common import band_edges, card_at, colorbar, heading, map_page, place
from thalweg.figures.prepare import Layer, Map

_LETTERS = 14  # of the words beside an axis, on an inch


def draw(shown: Map, theme: themes.Theme) -> Figure:
    """The whole figure: one panel per quantity that is shown."""
    single = len(shown.shown) == 1
    with themes.matplotlib_style(theme):
        figure, panels = map_page(shown, _wide(shown), 0.5 + _tall(shown), theme)
        for layer, place in panels:
            axes = figure.add_subplot(place)
            _panel(axes, shown, layer, theme)
            if not single:
                heading(axes, layer)
            colorbar(figure, layer, bands=True, words=single, cax=axes.inset_axes((1.025, 0, 0.035, 1)))
        return figure


def _wide(shown: Map) -> float:
    """Inches that a panel takes with its words."""
    return 5.2 if len(shown.shown) == 1 else 3.6


def _tall(shown: Map) -> float:
    """Inches that a map is high."""
    ratio = np.ptp(shown.y.values) / np.ptp(shown.x.values) if shown.commensurate else 0.85
    return (_wide(shown) - 1.3) * float(np.clip(ratio, 0.3, 1.6))


def _panel(axes: Axes, shown: Map, layer: Layer, theme: themes.Theme) -> None:
    p = themes.palette(theme)
    s = layer.scale
    x, y, z = shown.x.values, shown.y.values, np.ma.masked_invalid(layer.heights.T)
    axes.set_facecolor(p.hole)
    axes.contourf(x, y, z, levels=band_edges(layer), cmap=themes.colormap(), vmin=s.low, vmax=s.high, extend="both")
    _iso_lines(axes, x, y, z, layer)
    _overlay(axes, layer, p)
    sides = (1.0, np.ptp(y) / np.ptp(x) if shown.commensurate else 0.85)
    swarm.on_map(axes, layer.extras, np.array([np.ptp(x), np.ptp(y)]) / sides, theme)
    letters = int(max(_LETTERS * _tall(shown), 14))
    axes.set(xlabel=shown.x.label, ylabel=textwrap.fill(shown.y.label, letters), xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.spines.top.set_visible(True)
    if shown.commensurate:
        axes.set_aspect("equal")


def _iso_lines(axes: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, layer: Layer) -> None:
    s = layer.scale
    inner = [(h, t) for h, t in zip(layer.levels, layer.ticks, strict=True) if z.min() < h < z.max()]
    if not inner:
        return
    heights = [h for h, _ in inner]
    colors = [themes.iso_color((h - s.low) / (s.high - s.low)) for h in heights]
    drawn = axes.contour(x, y, z, levels=heights, colors=[_rgba(c) for c in colors], linewidths=0.6)
    axes.clabel(drawn, fmt=dict(inner), fontsize=6.5, inline_spacing=3)


def _rgba(color: str) -> tuple[float, ...]:
    red, green, blue, alpha = (float(v) for v in color[5:-1].split(","))
    return red / 255, green / 255, blue / 255, alpha


def _overlay(axes: Axes, layer: Layer, p: themes.Palette) -> None:
    ends = []
    for i, track in enumerate(layer.tracks):
        color = themes.path_color(i)
        casing = [Stroke(linewidth=3.2, foreground=p.casing), Normal()]
        axes.plot(track.x, track.y, color=color, linewidth=1.7, label=track.label, path_effects=casing, zorder=4)
        last: dict[str, Any] = {"markerfacecolor": color, "markeredgecolor": p.casing}
        first: dict[str, Any] = {"markerfacecolor": p.casing, "markeredgecolor": color}
        axes.plot(track.x[:1], track.y[:1], "o", markersize=6, **first, zorder=5, label=f"_{track.label}, start")
        axes.plot(track.x[-1:], track.y[-1:], "s", markersize=6, **last, zorder=5, label=f"_{track.label}, end")
        name = "" if len(layer.tracks) == 1 else f"{track.label}, "
        for k, word in ((0, "start"), (-1, track.end)):
            ends.append((track.x[k], track.y[k], f"{name}{word}", (14, 10)))
    for m in layer.markers:
        axes.plot([m.x], [m.y], **place(m, p), zorder=6, label=f"_{m.label}")
        ends.append((m.x, m.y, m.label, (13 * m.side[0], 12 * m.side[1])))
    for card in ends:
        _card(axes, layer, p, card)


def _card(axes: Axes, layer: Layer, p: themes.Palette, card: tuple[float, float, str, tuple[int, int]]) -> None:
    """A word on a small card beside its place, turned inwards at the border."""
    x, y, text, shift = card
    u, v = ((c - g[0]) / (g[-1] - g[0]) for c, g in ((x, layer.sheet.x), (y, layer.sheet.y)))
    if not (0 <= u <= 1 and 0 <= v <= 1):
        return
    right = shift[0] > 0 if 0.15 < u < 0.85 else u < 0.5
    up = shift[1] > 0 if 0.1 < v < 0.9 else v < 0.5
    card_at(axes, (x, y), text, (abs(shift[0]) * (1 if right else -1), abs(shift[1]) * (1 if up else -1)), p)
