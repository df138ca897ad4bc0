"""A model among its data, for papers."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from thalweg.figures import theme as themes
from thalweg.figures.fit import Fit
from thalweg.figures.matplotlib.common import legend, page, small_print

_SIZE = (8.4, 3.4)  # inches of the panels


def draw(shown: Fit, theme: themes.Theme) -> Figure:
    """The whole figure."""
    notes = ". ".join(shown.notes) + "." * bool(shown.notes)
    with themes.matplotlib_style(theme):
        entries = ["data", *(["truth"] if shown.truth is not None else []), *(c.label for c in shown.curves)]
        figure = page(shown.title, shown.subtitle, notes, _SIZE, theme, entries)
        left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
        _data(left, shown, theme)
        _loss(right, shown, theme)
        legend(figure, left.get_legend_handles_labels()[0], small_print(notes, _SIZE[0]))
        return figure


def _data(axes: Axes, shown: Fit, theme: themes.Theme) -> None:
    p = themes.palette(theme)
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.2, "markeredgewidth": 0}
    axes.plot(*shown.data, color=p.muted, alpha=0.55, label="data", zorder=1, **dots)
    for k, curve in enumerate(shown.curves):
        for before in curve.earlier:
            look: dict[str, Any] = {"color": themes.path_color(k), "alpha": 0.28, "linewidth": 1.1}
            axes.plot(shown.input, before, zorder=2, label="_earlier", **look)
    if shown.truth is not None:
        axes.plot(shown.input, shown.truth, "--", color=p.text, linewidth=1.4, label="truth", zorder=3)
    for k, curve in enumerate(shown.curves):
        casing = [Stroke(linewidth=3.6, foreground=p.paper), Normal()]
        look = {"color": themes.path_color(k), "linewidth": 2.0, "path_effects": casing}
        axes.plot(shown.input, curve.now, label=curve.label, zorder=4, **look)
    axes.spines.right.set_visible(False)
    axes.set(xlabel=shown.x_label, ylabel=shown.y_label, xlim=shown.x_range, ylim=shown.y_range)


def _loss(axes: Axes, shown: Fit, theme: themes.Theme) -> None:
    p = themes.palette(theme)
    axes.set_yscale("log" if shown.log else "linear")
    if shown.landscape is not None:
        axes.plot(*shown.landscape, color=themes.line_color("loss", "train", theme), linewidth=1.6, label="_landscape")
    for k, curve in enumerate(shown.curves):
        color = themes.path_color(k)
        steps: dict[str, Any] = {
            "marker": "o",
            "markersize": 3,
            "linewidth": 0.0 if shown.landscape is not None else 1.8,
        }
        if shown.landscape is None:
            axes.plot(*curve.rest, color=color, alpha=0.28, linewidth=1.1, label="_to come")
            steps |= {"marker": ""}
        axes.plot(*curve.way, color=color, label="_way", **steps)
        look: dict[str, Any] = {"marker": "o", "markersize": 7, "linestyle": "none", "markeredgecolor": p.paper}
        axes.plot(*curve.way[:, -1:], color=color, label="_now", zorder=5, **look)
    axes.spines.right.set_visible(False)
    axes.set(xlabel=shown.place_label, ylabel=shown.loss_label, xlim=shown.place_range, ylim=shown.loss_range)
