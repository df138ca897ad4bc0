"""Many descents and marks in matplotlib: on the map, and on the surface without what a hill hides."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from thalweg.figures import camera
from thalweg.figures import theme as themes
from thalweg.figures.extras import Extras
from thalweg.figures.field import Arrows, outlines
from thalweg.figures.marks import Mark
from thalweg.figures.matplotlib import ways
from thalweg.figures.overlay import Sheet
from thalweg.figures.swarm import Bundle

View = tuple[float, float]
_SYMBOLS = {"minimum": "o", "saddle": "D", "maximum": "s"}
_QUIET: dict[str, Any] = {"linestyle": "none"}


def on_map(axes: Axes, extras: Extras, unit: np.ndarray, theme: themes.Theme) -> None:
    """Arrows, regions, curves, descents and critical points, the last on top.

    `unit` is what a point on paper is along x and y in the data's units.
    """
    p = themes.palette(theme)
    if extras.arrows is not None:
        _quiver(axes, extras.arrows, unit, p)
    for bundle in extras.bundles:
        _lines_on_map(axes, bundle, theme)
    for bundle in extras.bundles:
        look: dict[str, Any] = {"markersize": 2.0 if bundle.many else 3.4, "zorder": 4.4}
        for places, kind in ((bundle.starts, "start"), (bundle.ends, "end"), (bundle.lost, "lost")):
            axes.plot(*places[:2], label=f"_{bundle.label}, {kind}", **look, **_dot(bundle, kind, theme))
    for way in extras.ways:
        ways.on_map(axes, way, theme)
    for mark in extras.marks:
        zorder = {"region": 3.2, "curve": 4.6 if extras.crowded else 3.4, "critical": 4.8}[mark.sort]
        axes.plot(*mark.places[:2], label=f"_{mark.label}", zorder=zorder, **marker(mark, p, 1.0))


def on_surface(
    axes: Any, extras: Extras, sheet: Sheet, view: View, ground: float, sides: np.ndarray, theme: themes.Theme
) -> None:
    """The same on the surface as seen from `view`, with descents and curves also on the floor at height `ground`."""
    p = themes.palette(theme)
    if extras.arrows is not None:
        _draped(axes, extras.arrows, sheet, view, sides)
    for bundle in extras.bundles:
        _lines_on_surface(axes, bundle, sheet, view, ground, theme)
    for bundle in extras.bundles:
        look = {"markersize": 1.4 if bundle.many else 2.8, "zorder": 5.2}
        for places, kind in ((bundle.starts, "start"), (bundle.ends, "end"), (bundle.lost, "lost")):
            seen = places[:, camera.visible(sheet, places, *view)]
            axes.plot(*seen, label=f"_{bundle.label}, {kind}", **look, **_dot(bundle, kind, theme))
    for way in extras.ways:
        ways.on_surface(axes, way, sheet, view, ground)
    for mark in extras.marks:
        seen = mark.places[:, camera.visible(sheet, mark.places, *view)]
        zorder = {"region": 4.2, "curve": 5.4 if extras.crowded else 4.4, "critical": 5.6}[mark.sort]
        axes.plot(*seen, label=f"_{mark.label}", zorder=zorder, **marker(mark, p, 0.8))
        if mark.sort != "critical":
            below = np.full(mark.places.shape[1], ground)
            small = marker(mark, p, 0.5)
            axes.plot(*mark.places[:2], below, label=f"_{mark.label}, from above", zorder=1.4, **small)


def handles(extras: Extras, theme: themes.Theme) -> list[Any]:
    """Entries of the legend: descents, critical points, curves, regions, arrows."""
    p = themes.palette(theme)
    made = [outcome_key(b.rank, b.label, theme) for b in extras.bundles]
    order = ("critical", "curve", "region")
    made += [key(mark, p) for mark in sorted(extras.marks, key=lambda m: order.index(m.sort))]
    made += ways.keys(extras.ways, theme)
    if extras.arrows is not None:
        look = {"marker": r"$\rightarrow$", "markersize": 10, "color": p.text, **_QUIET}
        made.append(Line2D([], [], label=extras.arrows.label, **look))
    return made


def key(mark: Mark, p: themes.Palette) -> Line2D:
    """Entry of a legend for a mark."""
    look = marker(mark, p, 1.0 if mark.sort == "critical" else 1.7)
    look["markeredgecolor"] = p.text if look["markeredgecolor"] == p.ink else look["markeredgecolor"]
    return Line2D([], [], label=mark.label, **look)


def outcome_key(rank: int, label: str, theme: themes.Theme) -> Line2D:
    """Entry of a legend for the lines of an outcome, long enough to show its dashes."""
    look: dict[str, Any] = {"color": themes.outcome_color(rank, theme), "linestyle": themes.outcome_linestyle(rank)}
    return Line2D([], [], linewidth=2, label=label, **look)


def _lines_on_map(axes: Axes, bundle: Bundle, theme: themes.Theme) -> None:
    width = 0.6 if bundle.many else 1.1
    casing = [Stroke(linewidth=width + 0.9, foreground=themes.palette(theme).casing), Normal()]
    effects: dict[str, Any] = {} if bundle.many else {"path_effects": casing}
    color = themes.outcome_color(bundle.rank, theme)
    effects["linestyle"] = themes.outcome_linestyle(bundle.rank)
    axes.plot(*bundle.flat, color=color, linewidth=width, label=bundle.label, zorder=3.8, **effects)


def _lines_on_surface(axes: Any, bundle: Bundle, sheet: Sheet, view: View, ground: float, theme: themes.Theme) -> None:
    color = themes.outcome_color(bundle.rank, theme)
    low = np.where(np.isfinite(bundle.flat[0]), ground, np.nan)
    width = 0.5 if bundle.many else 1.2
    shadow = {"linewidth": 0.6 * width, "label": f"_{bundle.label}, from above", "zorder": 1.5}
    axes.plot(*bundle.flat, low, color=color, **shadow)
    seen = np.where(camera.visible(sheet, bundle.line, *view), bundle.line[2], np.nan)
    look: dict[str, Any] = {"linewidth": width, "linestyle": themes.outcome_linestyle(bundle.rank)}
    axes.plot(*bundle.line[:2], seen, color=color, label=bundle.label, zorder=5, **look)


def _dot(bundle: Bundle, kind: str, theme: themes.Theme) -> dict[str, Any]:
    """Small open dots at the starts, dots at the ends, crosses where a descent diverged."""
    p, color = themes.palette(theme), themes.outcome_color(bundle.rank, theme)
    if kind == "lost":
        return {"marker": "x", "markeredgecolor": color, "markeredgewidth": 1.0, **_QUIET}
    face, edge = (p.casing, color) if kind == "start" else (color, p.casing)
    thin = 0.0 if bundle.many else 0.5
    return {"marker": "o", "markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": thin, **_QUIET}


def marker(mark: Mark, p: themes.Palette, size: float) -> dict[str, Any]:
    """Symbol, colour and size of a mark."""
    if mark.sort == "critical":
        sort = mark.name.split(" ")[-1]
        color = themes.CRITICAL.get(sort, p.model)
        open_ = "degenerate" in mark.name
        edge = color if open_ else p.casing if sort == "maximum" else p.ink
        look = {"marker": _SYMBOLS.get(sort, "o"), "markersize": 5.5 * size, "markeredgewidth": 1.3 if open_ else 0.8}
        return {**look, "markerfacecolor": "none" if open_ else color, "markeredgecolor": edge, **_QUIET}
    if mark.sort == "curve":
        color, shape, diameter = themes.CURVES[mark.number % len(themes.CURVES)], "o", 2.6
    else:
        color, shape, diameter = themes.REGION, "s", 2.0
    look = {"markerfacecolor": color, "markeredgecolor": p.ink, "markeredgewidth": 0.4, **_QUIET}
    return {"marker": shape, "markersize": diameter * size, **look}


def _quiver(axes: Axes, arrows: Arrows, unit: np.ndarray, p: themes.Palette) -> None:
    """Arrows of one length on the page, centred at their places."""
    corners = arrows.corners(unit)
    tip, tail = corners[:, -1], corners[:, :2].mean(axis=1)
    length = (tip - tail) * np.array([[1.0, 1.0]])
    look: dict[str, Any] = {"color": p.casing, "edgecolor": p.ink, "linewidth": 0.25, "width": 0.0032}
    axes.quiver(*tail.T, *length.T, angles="xy", scale_units="xy", scale=1, label="_arrows", zorder=3, **look)


def _draped(axes: Any, arrows: Arrows, sheet: Sheet, view: View, sides: np.ndarray) -> None:
    """Arrows lying on the surface: light on water, dark on sand; those behind a hill or over its edge are left out."""
    spans = np.array([np.ptp(sheet.x), np.ptp(sheet.y)])
    corners = arrows.corners(spans / sides[:2])
    outline = outlines(corners)
    lying = sheet.lift(outline).T
    breaks = np.flatnonzero(np.isnan(outline[0]))
    parts = np.split(lying, breaks)
    parts = [part[np.isfinite(part[:, :2]).all(axis=1)] for part in parts] if len(corners) else []
    seen = camera.visible(sheet, arrows.sites, *view)
    kept = [k for k, part in enumerate(parts) if seen[k] and np.isfinite(part).all()]
    share = (arrows.sites[2] - sheet.scale.low) / (sheet.scale.high - sheet.scale.low)
    colors = ["#ffffff" if share[k] < themes.ISO_SWITCH else "#16243a" for k in kept]
    made = Poly3DCollection([parts[k] for k in kept], facecolors=colors, linewidths=0, zorder=4, label="_arrows")
    axes.add_collection3d(made)
