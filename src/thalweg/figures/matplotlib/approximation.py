"""A function and its tangent for papers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.approximation import Approximation, colors
from thalweg.figures.matplotlib.common import page


def draw(shown: Approximation, theme: themes.Theme) -> Figure:
    """The whole figure."""
    c = colors(theme)
    with themes.matplotlib_style(theme):
        figure = page(shown.title, shown.subtitle, "", (6.6, 3.6), theme)
        axes = figure.add_subplot()
        for line in (axes.axhline, axes.axvline):
            line(0, color=c["axes"], linewidth=0.7, zorder=1, label="_axis")
        axes.plot(shown.x, shown.value, color=c["function"], linewidth=1.8, zorder=3, label=shown.function)
        axes.plot(shown.x, shown.tangent, color=c["tangent"], linewidth=1.6, zorder=2.5, label="tangent at x")
        bar: dict[str, Any] = {"linewidth": 3, "solid_capstyle": "butt", "zorder": 4}
        axes.plot(*shown.epsilon_bar.T, color=c["epsilon"], label="ε", **bar)
        axes.plot(*shown.error_bar.T, color=c["error"], label="error", **bar)
        dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7.5, "zorder": 5}
        edge: dict[str, Any] = {"markeredgecolor": themes.palette(theme).paper, "markeredgewidth": 1.0}
        axes.plot(*shown.point[:, None], color=c["point"], label="x", **dot, **edge)
        axes.plot(*shown.moved[:, None], color=c["moved"], label="x + ε", **dot, **edge)
        _words(axes, shown, c, themes.palette(theme))
        axes.set(xlabel=shown.x_label, ylabel=shown.y_label, xlim=shown.x_range, ylim=shown.y_range)
        axes.spines.right.set_visible(False)
        axes.legend(ncols=6, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, columnspacing=1.3)
        return figure


def _words(axes: Axes, shown: Approximation, c: dict[str, str], p: themes.Palette) -> None:
    """The names of both bars beside them, away from the triangle that they close."""
    right, up = shown.epsilon >= 0, shown.tangent[-1] >= shown.tangent[0]
    below = right == up
    card = {"boxstyle": "round,pad=0.15", "facecolor": p.paper, "edgecolor": "none", "alpha": 0.8}
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "fontweight": "bold", "bbox": card}
    look |= {"annotation_clip": True, "zorder": 6}
    middle = shown.epsilon_bar.mean(axis=0)
    level: dict[str, Any] = {"ha": "center", "va": "top" if below else "bottom"}
    if shown.epsilon:
        axes.annotate("ε", tuple(middle), xytext=(0, -5 if below else 5), color=c["epsilon"], **level, **look)
    low, high = np.clip(np.sort(shown.error_bar[:, 1]), *shown.y_range)
    side: dict[str, Any] = {"ha": "left" if right else "right", "va": "center"}
    place = (float(shown.error_bar[0, 0]), float(low + high) / 2)
    if shown.error:
        axes.annotate("error", place, xytext=(8 if right else -8, 0), color=c["error"], **side, **look)
