"""The look: one colour map, line colours, fonts, and what plotly and matplotlib need to wear them.

The colour map `thalweg` runs from deep water in the valley over teal to pale sand on the ridge. Its luminance rises
strictly (steps of equal lightness in OKLab), so that it reads in greyscale and with any colour vision; a path is drawn
in a warm red with a light casing, which no level of the map contains. Importing this module registers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.colors import LinearSegmentedColormap

Theme = Literal["light", "dark"]

# Equal steps of OKLab lightness from 0.23 to 0.97.
COLORS = (
    *("#071a3d", "#09264f", "#0a335e", "#0a416c", "#0a5173", "#0e6079", "#12717f", "#1b8185", "#348f8a"),
    *("#4e9d8f", "#66ab94", "#7fb898", "#9dc49a", "#bacf9f", "#dfd7a8", "#f4e3b9", "#fdf3dc"),
)
ISO_SWITCH = 0.62  # position in the colour map from which iso-lines are dark
PATHS = ("#f4502c", "#d4379b", "#ffc02e", "#8f5bf0")  # the first path, the second, ...; then round again
# Outcomes of many descents: hues that no level of the map has, told apart with any colour vision, legible on both
# papers.
OUTCOMES = ("#f4502c", "#8b3dff", "#e69f00", "#ec8ce6", "#b01e6b")
DASHES = ("solid", "dash", "dot", "dashdot")  # of outcomes beyond as many as there are colours
_STROKES = {"dash": "7px,4px", "dot": "2px,3px", "dashdot": "9px,3px,2px,3px"}  # short enough to be seen in a legend
OTHER = -2  # number of the look of outcomes that share one entry of the legend
CRITICAL = {"minimum": "#4dff88", "saddle": "#ff9de8", "maximum": "#2a5fff"}
CURVES = ("#ffffff", "#ffe14d", "#ff9de2")
REGION = "#d4ff3a"
FONT = "Inter, 'Source Sans 3', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
_FAMILIES = ("Inter", "Source Sans 3", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")


@dataclass(frozen=True)
class Palette:
    """The colours that depend on light or dark; `lines` is keyed by (group, split)."""

    paper: str
    text: str
    muted: str
    grid: str
    hole: str
    casing: str
    card: str
    model: str
    ink: str
    button: str
    lines: dict[tuple[str, str], str]


_PALETTES = {
    "light": Palette(
        paper="#ffffff",
        text="#16243a",
        muted="#5c6b80",
        grid="#dde3ea",
        hole="#c9ced6",
        casing="#ffffff",
        card="rgba(255,255,255,0.82)",
        model="#ffd34d",
        ink="#16243a",
        button="#16243a",
        lines={
            ("loss", "train"): "#0a416c",
            ("loss", "test"): "#2f8fc4",
            ("other", "train"): "#b8420f",
            ("other", "test"): "#ef8a3c",
        },
    ),
    "dark": Palette(
        paper="#0b1220",
        text="#e8edf4",
        muted="#9aa8bb",
        grid="#263246",
        hole="#39445a",
        casing="#ffffff",
        card="rgba(11,18,32,0.78)",
        model="#ffd34d",
        ink="#0b1220",
        button="#4b8fdc",  # plotly paints the active button almost white whatever the theme
        lines={
            ("loss", "train"): "#3d9be0",
            ("loss", "test"): "#8fd3ff",
            ("other", "train"): "#f0702a",
            ("other", "test"): "#ffb36b",
        },
    ),
}


def palette(theme: Theme = "light") -> Palette:
    """Colours of the `light` or the `dark` look.

    Raises
    ------
    ValueError
        If there is no such theme.

    Examples
    --------
    >>> palette("dark").paper
    '#0b1220'
    """
    if theme not in _PALETTES:
        raise ValueError(f"Unknown theme {theme!r}; expected 'light' or 'dark'.")
    return _PALETTES[theme]


def colorscale() -> list[list[float | str]]:
    """The colour map `thalweg` as plotly reads it: [position, colour] pairs.

    Examples
    --------
    >>> colorscale()[0]
    [0.0, '#071a3d']
    """
    return [[i / (len(COLORS) - 1), color] for i, color in enumerate(COLORS)]


def colormap() -> LinearSegmentedColormap:
    """The colour map `thalweg` as matplotlib reads it, registered there under this name.

    Examples
    --------
    >>> colormap().name
    'thalweg'
    """
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap

    made = LinearSegmentedColormap.from_list("thalweg", COLORS)
    if "thalweg" not in matplotlib.colormaps:
        matplotlib.colormaps.register(made)
    return made


def iso_color(position: float) -> str:
    """Colour of an iso-line and its label at a position of the colour map: light on water, dark on sand.

    Examples
    --------
    >>> iso_color(0.2) == iso_color(0.9)
    False
    """
    return "rgba(255,255,255,0.8)" if position < ISO_SWITCH else "rgba(22,36,58,0.75)"


def path_color(index: int) -> str:
    """Colour of the path with this number."""
    return PATHS[index % len(PATHS)]


def place_color(kind: str, number: int = 0, theme: Theme = "light") -> str:
    """Colour of a labelled place: the model and optima are gold, who walks has the colour of the way, others are white.

    Examples
    --------
    >>> place_color("optimum"), place_color("bend"), place_color("here")
    ('#ffd34d', '#ffffff', '#f4502c')
    """
    if kind == "here":
        return path_color(number)
    p = palette(theme)
    return p.model if kind in ("model", "optimum") else p.casing


def outcome_color(rank: int, theme: Theme = "light") -> str:
    """Colour of the outcome with this number (`outcomes.color_ranks`); negative ones are what diverged and the rest.

    Numbers beyond the palette repeat it in darker shades, and with other dashes (`outcome_dash`).

    Examples
    --------
    >>> outcome_color(0), outcome_color(5)
    ('#f4502c', '#a8371e')
    """
    if rank < 0:
        return palette(theme).text if rank == OTHER else palette(theme).muted
    turn, place = divmod(rank, len(OUTCOMES))
    shade = 0.69**turn
    red, green, blue = (int(int(OUTCOMES[place][k : k + 2], 16) * shade + 0.5) for k in (1, 3, 5))
    return f"#{red:02x}{green:02x}{blue:02x}"


def outcome_dash(rank: int) -> str:
    """How the lines of an outcome are broken, in plotly's words for scenes: solid for the first turn of the colours.

    Examples
    --------
    >>> [outcome_dash(rank) for rank in (0, 4, 5, 10, -1)]
    ['solid', 'solid', 'dash', 'dot', 'solid']
    """
    if rank < 0:
        return "dot" if rank == OTHER else "solid"
    return DASHES[rank // len(OUTCOMES) % len(DASHES)]


def outcome_strokes(rank: int) -> str:
    """The same in plotly's words for maps and curves.

    Examples
    --------
    >>> [outcome_strokes(rank) for rank in (0, 5)]
    ['solid', '7px,4px']
    """
    dash = outcome_dash(rank)
    return _STROKES.get(dash, dash)


def outcome_linestyle(rank: int) -> str:
    """The same in matplotlib's words.

    Examples
    --------
    >>> [outcome_linestyle(rank) for rank in (0, 5, 10)]
    ['-', '--', ':']
    """
    return {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}[outcome_dash(rank)]


def line_color(metric: str, split: str, theme: Theme = "light") -> str:
    """Colour of a curve: blue for the loss and orange for other metrics, dark for training and light for test data.

    What is neither, a distance, a rate or a prediction, has the colour of the text.

    Examples
    --------
    >>> line_color("loss", "train") != line_color("loss", "test")
    True
    """
    if metric in ("distance", "rate", "quadratic"):
        return palette(theme).text
    return palette(theme).lines["loss" if metric == "loss" else "other", "train" if split == "train" else "test"]


def template(theme: Theme = "light") -> go.layout.Template:
    """A plotly template: `figure.update_layout(template=thalweg.figures.theme.template("dark"))`.

    Examples
    --------
    >>> template("light").layout.paper_bgcolor
    '#ffffff'
    """
    import plotly.graph_objects as go

    p = palette(theme)
    axis = {
        "gridcolor": p.grid,
        "zeroline": False,
        "linecolor": p.muted,
        "showline": True,
        "ticks": "outside",
        "tickcolor": p.muted,
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 10},
    }
    wall = {"gridcolor": p.grid, "zeroline": False, "showbackground": False, "linecolor": p.grid, "showspikes": False}
    layout = {
        "font": {"family": FONT, "size": 14, "color": p.text},
        "title": {"x": 0.0, "xanchor": "left", "xref": "paper", "font": {"size": 21}},
        "paper_bgcolor": p.paper,
        "plot_bgcolor": p.paper,
        "colorway": [*p.lines.values()],
        "colorscale": {"sequential": colorscale()},
        "xaxis": axis,
        "yaxis": axis,
        "scene": {"xaxis": wall, "yaxis": wall, "zaxis": wall},
        "hoverlabel": {
            "bgcolor": p.paper,
            "bordercolor": p.muted,
            "font": {"family": FONT, "color": p.text, "size": 13},
        },
        "legend": {"bgcolor": "rgba(0,0,0,0)", "font": {"size": 13}},
    }
    return go.layout.Template(layout=layout)


@contextmanager
def matplotlib_style(theme: Theme = "light") -> Iterator[None]:
    """Matplotlib's settings for as long as the block runs; the caller's own are restored after it.

    Examples
    --------
    >>> import matplotlib
    >>> with matplotlib_style("dark"):
    ...     matplotlib.rcParams["figure.facecolor"]
    '#0b1220'
    """
    import matplotlib
    from matplotlib import font_manager

    p = palette(theme)
    known = set(font_manager.get_font_names())
    settings: dict[Any, Any] = {
        "font.family": [name for name in _FAMILIES if name in known],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.edgecolor": p.muted,
        "axes.labelcolor": p.text,
        "axes.facecolor": p.paper,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "figure.facecolor": p.paper,
        "savefig.facecolor": p.paper,
        "figure.dpi": 144,
        "savefig.dpi": 300,
        "text.color": p.text,
        "xtick.color": p.muted,
        "ytick.color": p.muted,
        "xtick.labelcolor": p.text,
        "ytick.labelcolor": p.text,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "grid.color": p.grid,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
    }
    with matplotlib.rc_context(settings):
        yield
