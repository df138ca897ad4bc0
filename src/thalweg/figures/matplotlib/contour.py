"""The contour map for papers: the same levels, lines and words as the interactive one."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from thalweg.figures import theme as themes
from thalweg.figures.matplotlib import swarm
from thalweg.figures.matplotlib.common import band_edges, card_at, colorbar, map_page
from thalweg.figures.prepare import Layer, Map


def draw(shown: Map, theme: themes.Theme) -> Figure:
    """The whole figure: one panel per quantity that is shown."""
    ratio = np.ptp(shown.y.values) / np.ptp(shown.x.values) if shown.commensurate else 0.85
    single = len(shown.shown) == 1
    width = 5.2 if single else 3.6
    with themes.matplotlib_style(theme):
        figure, panels = map_page(shown, width, 0.5 + (width - 1.3) * float(np.clip(ratio, 0.3, 1.6)), theme)
        for layer, place in panels:
            axes = figure.add_subplot(place)
            _panel(axes, shown, layer, theme)
            if not single:
                axes.set_title(layer.label)
            colorbar(figure, layer, bands=True, cax=axes.inset_axes((1.025, 0, 0.035, 1)))
        return figure


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
    axes.set(xlabel=shown.x.label, ylabel=shown.y.label, xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
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
        face, shape = (p.model, "D") if m.kind == "model" else (p.casing, "o")
        look: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": p.ink, "markeredgewidth": 0.9}
        axes.plot([m.x], [m.y], shape, markersize=5.5, **look, zorder=6, label=f"_{m.label}", linestyle="none")
        ends.append((m.x, m.y, m.label, (-14, -12) if m.kind == "model" else (12, -11)))
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
