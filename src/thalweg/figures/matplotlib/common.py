"""What the matplotlib figures share: a page with a title, facts and notes around the panels, and colour bars.

Figures are made without pyplot: nothing is registered, and nothing has to be closed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from thalweg.figures import theme as themes
from thalweg.figures.matplotlib import swarm
from thalweg.figures.overlay import Marker
from thalweg.figures.prepare import Layer, Map

_LINE = 0.15  # inches that a line of small print takes
_LETTERS = 15  # letters of small print on an inch
_TITLE = 122  # letters of a title on an inch, times the points of its font
_BETWEEN = 0.2  # inches between rows of panels
_HEADING = 36  # letters above one of several panels
_ROW, _KEY, _LETTER = 0.165, 0.57, 0.062  # inches of a legend: a row, a key with its gaps, a letter


def page(
    title: str,
    subtitle: str,
    notes: str,
    size: tuple[float, float],
    theme: themes.Theme,
    entries: Sequence[str] = (),
) -> Figure:
    """A figure whose panels fill `size` inches (width, height) between the title above and the small print below.

    Room is left for a legend with these `entries`, which `legend` puts there.
    """
    width, height = size
    p = themes.palette(theme)
    above, below = (textwrap.wrap(text, int(width * _LETTERS)) for text in (subtitle, notes))
    head, foot = 0.34 + _LINE * len(above), 0.06 + _LINE * len(below) + _ROW * _rows(entries, width)
    full = height + head + foot
    figure = Figure(figsize=(width, full), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0, foot / full, 1, height / full), w_pad=0.06, h_pad=0.05)
    left = 0.1 / width
    letters = max(8.5, min(12.0, _TITLE * width / max(len(title), 1)))
    figure.text(left, 1 - 0.09 / full, title, va="top", fontsize=letters, fontweight="bold")
    small: dict[str, Any] = {"fontsize": 7.5, "color": p.muted, "linespacing": 1.25}
    if above:
        figure.text(left, 1 - 0.32 / full, "\n".join(above), va="top", **small)
    if below:
        figure.text(left, 0.06 / full, "\n".join(below), va="bottom", **small)
    return figure


def small_print(text: str, width: float) -> int:
    """Lines that a text takes on a page of this width."""
    return len(textwrap.wrap(text, int(width * _LETTERS)))


def legend(figure: Figure, handles: Sequence[Any], notes: int) -> None:
    """The legend at the foot of a page, above so many lines of small print."""
    if not handles:
        return
    width, full = figure.get_size_inches()
    entries = [str(h.get_label()) for h in handles]
    place = (0.1 / width, (0.06 + _LINE * notes) / full)
    look: dict[str, Any] = {"borderaxespad": 0.0, "borderpad": 0.0, "handlelength": 2.2, "labelspacing": 0.35}
    columns = _columns(entries, width)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncols=columns, columnspacing=1.4, **look)


def _columns(entries: Sequence[str], width: float) -> int:
    return max(1, min(len(entries), int(width / (_KEY + _LETTER * max(map(len, entries), default=1)))))


def _rows(entries: Sequence[str], width: float) -> int:
    return -(-len(entries) // _columns(entries, width)) if entries else 0


def map_page(shown: Map, width: float, height: float, theme: themes.Theme) -> tuple[Figure, list[tuple[Layer, Any]]]:
    """A page for a map, with each quantity that is shown and its place in the grid of panels."""
    layers = [shown.layers[name] for name in shown.shown]
    many = len(layers) > 1
    notes = [f"{x.label}: {n}" if many else n for x in layers for n in x.notes]
    columns = 2 if len(layers) in (2, 4) else min(3, len(layers))
    rows = -(-len(layers) // columns)
    text = ". ".join(notes) + "." * bool(notes)
    entries = layers[0].extras.legend
    size = columns * width, rows * height + _BETWEEN * (rows - 1)
    figure = page(shown.title, shown.subtitle, text, size, theme, entries)
    handles = swarm.handles(layers[0].extras, theme)
    legend(figure, handles, small_print(text, columns * width))
    grid = figure.add_gridspec(rows, columns)
    if rows > 1:  # the heading of a row is not to touch the axis above it
        engine: Any = figure.get_layout_engine()
        engine.set(hspace=_BETWEEN / height)
    return figure, [(layer, grid[divmod(k, columns)]) for k, layer in enumerate(layers)]


def heading(axes: Any, layer: Layer) -> None:
    """What one of several panels shows, in lines that are no wider than the panel."""
    axes.set_title("\n".join(textwrap.wrap(layer.title, _HEADING)), fontsize=9, loc="left")


def colorbar(figure: Figure, layer: Layer, bands: bool, words: bool = True, **place: Any) -> None:
    """A colour bar with the labelled iso-lines as ticks, in bands or continuous; `words` say what it shows."""
    colors = themes.colormap()
    shown = ScalarMappable(norm=Normalize(layer.scale.low, layer.scale.high), cmap=colors)
    edges: dict[str, Any] = {"boundaries": band_edges(layer)} if bands else {}
    inside = (layer.levels >= layer.scale.low) & (layer.levels <= layer.scale.high)
    bar = figure.colorbar(shown, ticks=layer.levels[inside], spacing="proportional", **edges, **place)
    bar.ax.set_yticklabels([t for t, ok in zip(layer.ticks, inside, strict=True) if ok])
    if words:
        bar.set_label(layer.title)
    bar.outline.set_visible(False)
    bar.ax.tick_params(width=0.6, length=2.5)


def band_edges(layer: Layer) -> np.ndarray:
    """Heights between which the bands of a filled map lie, from the lowest to the highest."""
    ends = np.array([layer.scale.low, layer.scale.high])
    inner = layer.fine[(layer.fine > ends[0]) & (layer.fine < ends[1])]
    return np.concatenate([ends[:1], inner, ends[1:]])


_SHAPES = {"model": "D", "point": "o", "optimum": "o", "bend": "s", "here": "o"}
_SIZES = {"model": 5.5, "point": 5.5, "optimum": 6.5, "bend": 5.0, "here": 7.5}


def place(m: Marker, p: themes.Palette) -> dict[str, Any]:
    """The look of a labelled place."""
    look = {"markerfacecolor": themes.place_color(m.kind, m.number), "markeredgecolor": p.ink, "markeredgewidth": 0.9}
    return {"marker": _SHAPES[m.kind], "markersize": _SIZES[m.kind], "linestyle": "none", **look}


def card_at(axes: Any, place: tuple[float, float], text: str, shift: tuple[float, float], p: themes.Palette) -> None:
    """A word on a small card, `shift` points beside its place, with a thin line between them."""
    axes.annotate(
        text,
        place,
        xytext=shift,
        textcoords="offset points",
        ha="left" if shift[0] > 0 else "right",
        va="bottom" if shift[1] > 0 else "top",
        fontsize=7,
        zorder=7,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": p.paper, "edgecolor": "none", "alpha": 0.82},
        arrowprops={"arrowstyle": "-", "color": p.muted, "linewidth": 0.6, "shrinkB": 3},
    )
