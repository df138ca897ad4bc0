"""The 3-D surface for papers: shaded relief, iso-lines, a map on the floor, paths, the model.

Matplotlib has no depth buffer and would draw lines through hills. So what a hill hides is worked out here
(`camera.visible`) and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LightSource, Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import proj3d

from thalweg.figures import camera
from thalweg.figures import theme as themes
from thalweg.figures.matplotlib import swarm
from thalweg.figures.matplotlib.common import card_at, colorbar, heading, map_page, place
from thalweg.figures.overlay import Sheet
from thalweg.figures.prepare import Layer, Map

_FINE = 120  # cells along a side to which the drawn surface is refined (its shape stays bilinear)
_FLOOR, _HEIGHT, _ELEVATION = 0.42, 0.62, 29.0


def draw(shown: Map, theme: themes.Theme) -> Figure:
    """The whole figure: one panel per quantity that is shown."""
    single = len(shown.shown) == 1
    width, height = (5.6, 3.9) if single else (3.9, 3.3)
    with themes.matplotlib_style(theme):
        figure, panels = map_page(shown, width, height, theme)
        for layer, place in panels:
            axes: Any = figure.add_subplot(place, projection="3d", computed_zorder=False)
            _panel(axes, shown, layer, theme, seen=[layer for layer, _ in panels])
            if not single:
                heading(axes, layer)
            colorbar(figure, layer, bands=False, words=single, ax=axes, shrink=0.62, pad=0.03, aspect=26, fraction=0.04)
        return figure


def _panel(axes: Any, shown: Map, layer: Layer, theme: themes.Theme, seen: Sequence[Layer]) -> None:
    """One quantity, from where all of `seen` are seen best."""
    p = themes.palette(theme)
    s = layer.scale
    span = s.high - s.low
    ground = s.low - _FLOOR * span
    sides = camera.sides(shown.x.values, shown.y.values, shown.commensurate, _HEIGHT)
    slope = np.tan(np.deg2rad(_ELEVATION)) * (1 + _FLOOR) / _HEIGHT
    angle = camera.best(seen, slope)
    view = (angle, slope)
    _floor(axes, shown, layer, ground)
    _relief(axes, layer, sides, angle)
    for level, line in layer.sheet.iso_lines(layer.levels):
        line3 = np.column_stack([line, np.full(len(line), level)]).T
        _hidden_line(axes, layer.sheet, line3, view, color=(1, 1, 1, 0.55), linewidth=0.5)
    for i, track in enumerate(layer.tracks):
        below = np.where(np.isfinite(track.line[2]), ground, np.nan)
        look = {"color": themes.path_color(i), "zorder": 1.5, "label": f"_{track.label}, from above"}
        axes.plot(*track.line[:2], below, linewidth=1.0, **look)
        hidden_line = {"color": themes.path_color(i), "zorder": 5, "label": track.label}
        _hidden_line(axes, layer.sheet, track.line, view, linewidth=2.0, **hidden_line)
    swarm.on_surface(axes, layer.extras, layer.sheet, view, ground, sides, theme)
    _frame(axes, shown, layer, p, ground=ground, sides=sides, angle=angle)
    _places(axes, layer, p)
    for artist in [*axes.collections, *axes.lines, *axes.texts]:
        artist.set_clip_on(False)
        artist.set_in_layout(False)


def _places(axes: Any, layer: Layer, p: themes.Palette) -> None:
    """Both ends of each path, the model and the points, each with its word."""
    said: list[tuple[Any, str, tuple[int, int]]] = []
    for i, track in enumerate(layer.tracks):
        name = "" if len(layer.tracks) == 1 else f"{track.label}, "
        for k, shape, face in ((0, "o", p.casing), (-1, "s", themes.path_color(i))):
            at = (track.x[k], track.y[k], track.z[k])
            look = {"markersize": 5, "markerfacecolor": face, "markeredgecolor": p.ink, "zorder": 6}
            axes.plot(*([v] for v in at), shape, label=f"_{track.label}, {('start', 'end')[k]}", **look)
            said.append((at, name + ("start", track.end)[k], (13, 12)))
    for m in layer.markers:
        axes.plot([m.x], [m.y], [m.z], label=f"_{m.label}", zorder=6, **place(m, p))
        said.append(((m.x, m.y, m.z), m.label, (13 * m.side[0], 13 * m.side[1])))
    for at, word, shift in said:
        if np.isfinite(at).all():
            x, y, _ = proj3d.proj_transform(*at, axes.get_proj())
            card_at(axes, (x, y), word, shift, p)


def _relief(axes: Any, layer: Layer, sides: np.ndarray, angle: float) -> None:
    """The surface, refined without changing its shape, and lit from the viewer's left."""
    sheet, s = layer.sheet, layer.scale
    x, y = (refine(g) for g in (sheet.x, sheet.y))
    xx, yy = np.meshgrid(x, y, indexing="ij")
    z = sheet.height(xx.ravel(), yy.ravel()).reshape(xx.shape)
    scene = (z - s.low) / (s.high - s.low) * _HEIGHT / (1 + _FLOOR)
    dx, dy = sides[0] / (x.size - 1), sides[1] / (y.size - 1)
    colors = themes.colormap()(Normalize(s.low, s.high)(z))
    light = LightSource(azdeg=90 - float(np.rad2deg(angle)) + 70, altdeg=52)
    filled = np.where(np.isfinite(scene), scene, np.nanmin(scene))
    shade = light.hillshade(filled.T, dx=dx, dy=-dy, fraction=0.8).T[..., None]
    colors[..., :3] = np.clip(colors[..., :3] * (0.7 + 0.42 * shade), 0, 1)
    colors[~np.isfinite(z)] = 0
    options = {"rstride": 1, "cstride": 1, "linewidth": 0, "antialiased": False, "shade": False, "zorder": 2}
    drawn = axes.plot_surface(xx, yy, np.ma.masked_invalid(z), facecolors=colors, **options)
    drawn.set_rasterized(True)


def _floor(axes: Any, shown: Map, layer: Layer, ground: float) -> None:
    s = layer.scale
    z = np.ma.masked_invalid(layer.heights.T)
    levels = np.linspace(s.low, s.high, 60)
    look = {"cmap": themes.colormap(), "vmin": s.low, "vmax": s.high, "extend": "both", "zorder": 1}
    axes.contourf(shown.x.values, shown.y.values, z, levels=levels, zdir="z", offset=ground, **look)
    for _, line in layer.sheet.iso_lines(layer.levels):
        axes.plot(*line.T, ground, color=(1, 1, 1, 0.5), linewidth=0.4, zorder=1.2, label="_floor")


def _hidden_line(axes: Any, sheet: Sheet, line: np.ndarray, view: tuple[float, float], **look: Any) -> None:
    """A line over the surface without the parts that a hill hides."""
    x, y, z = line
    seen = camera.visible(sheet, line, *view)
    axes.plot(x, y, np.where(seen, z, np.nan), **{"zorder": 3, "label": "_iso-line", "solid_capstyle": "round", **look})


def _frame(
    axes: Any, shown: Map, layer: Layer, p: themes.Palette, *, ground: float, sides: np.ndarray, angle: float
) -> None:
    s = layer.scale
    axes.set(xlim=shown.x.values[[0, -1]], ylim=shown.y.values[[0, -1]], zlim=(ground, s.high))
    several = len(shown.shown) > 1  # then words below a panel are above another one
    axes.set(xlabel=shown.x.label, ylabel=shown.y.label)
    axes.set_zticks(layer.levels, layer.ticks)
    axes.set_box_aspect([*sides[:2], _HEIGHT], zoom=0.88 if several else 1.06)
    axes.view_init(elev=_ELEVATION, azim=float(np.rad2deg(angle)))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0, 0, 0, 0))
        axis.line.set_color(p.grid)
        axis._axinfo["grid"].update(color=p.grid, linewidth=0.5)
        axis.set_tick_params(pad=0, labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.labelpad = -3 if several else -1
        axis.label.set_fontsize(7.0 if several else 9)
        axis.get_major_locator().set_params(nbins=5)


def refine(values: np.ndarray) -> np.ndarray:
    """Every given value and evenly spaced ones between, so that a bilinear surface keeps its shape."""
    parts = max(1, round(_FINE / max(values.size - 1, 1)))
    return np.interp(np.arange((values.size - 1) * parts + 1) / parts, np.arange(values.size), values)
