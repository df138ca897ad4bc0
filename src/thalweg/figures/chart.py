"""Panels of curves, marks and bars, as plain numbers and words: what the figures of curvature are made of.

A `Chart` is a column of `Panel`s that share their abscissa; a panel holds `Series` on one axis and `Mark`s beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number

Symbol = Literal["", "circle", "triangle", "tick"]


@dataclass(frozen=True, eq=False)
class Series:
    """Points `x`, `y` (n,), joined by a line if `line` (its width) is positive, marked if there is a `symbol`.

    `bars` and `across` (2, n) are the ends of bars in y and in x, `band` (2, n) those of a filled band. `color` is a
    word of `color`; `cased` lines have a light rim, for maps. With `filled`, their width, the points are the tops of
    filled bars that stand on zero, or on the lower end of an axis where zero is not on it. `hover` says one thing for
    every point. `key` is what the legend says: the label unless given, nothing if empty. `shades` (n,) are numbers that
    colour the marks, by the colour bar of a `board.Cell`; `size` enlarges marks.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    color: str = "main"
    line: float = 0.0
    dashed: bool = False
    dotted: bool = False
    symbol: Symbol = ""
    hollow: bool = False
    cased: bool = False
    bars: np.ndarray | None = None
    across: np.ndarray | None = None
    band: np.ndarray | None = None
    filled: float = 0.0
    hover: tuple[str, ...] = ()
    key: str | None = None
    shades: np.ndarray | None = None
    size: float = 1.0

    @property
    def entry(self) -> str:
        """The words in the legend."""
        return self.label if self.key is None else self.key

    @property
    def said(self) -> list[str]:
        """What hovering says of every point."""
        return list(self.hover) if self.hover else [f"{self.label}: {number(float(v), 5)}" for v in self.y]


def foot(ruler: Ruler) -> float:
    """What filled bars stand on: zero, or the lower end of an axis that does not reach it.

    Examples
    --------
    >>> foot(Ruler("loss", ends=(-1.0, 2.0))), foot(Ruler("loss", "log", (0.01, 2.0)))
    (0.0, 0.01)
    """
    low = ruler.ends[0] if ruler.ends is not None else 0.0
    return low if ruler.kind == "log" else max(low, 0.0)


@dataclass(frozen=True)
class Mark:
    """A thin line across the panel at a place of the abscissa (`upright`) or of the ordinate, and its word."""

    at: float
    word: str
    upright: bool = True


@dataclass(frozen=True)
class Panel:
    """Series that share an axis; `share` is the panel's part of the height."""

    ruler: Ruler
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Chart:
    """Everything that a figure of panels draws; `unified` hovering tells all series at one abscissa."""

    panels: tuple[Panel, ...]
    x: Ruler
    title: str
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    unified: bool = False

    @property
    def keys(self) -> list[Series]:
        """The series in the legend; a single one needs none."""
        found = [s for panel in self.panels for s in panel.series if s.entry]
        return found if len(found) > 1 else []


_MORE: dict[str, dict[str, str]] = {  # further hues, for many curves that are compared
    "light": {"violet": "#8b3dff", "amber": "#c08400", "plum": "#d4379b"},
    "dark": {"violet": "#9150ff", "amber": "#ffd34d", "plum": "#ff7cc0"},
}


def color(word: str, theme: themes.Theme = "light") -> str:
    """The colour of a series: `main`, `light` (its lighter kin), `warm` (what is opposed to it), `text`, ...

    Examples
    --------
    >>> color("main"), color("path")
    ('#0a416c', '#f4502c')
    """
    p = themes.palette(theme)
    known = {
        "main": p.lines["loss", "train"],
        "light": p.lines["loss", "test"],
        "warm": p.lines["other", "train"],
        "text": p.text,
        "muted": p.muted,
        "faint": p.hole,
        "pale": p.casing,
        "ink": "#16243a",
        "path": themes.path_color(0),
        "gold": p.model,
    } | _MORE[theme]
    return known[word]


def see_through(color: str, share: float) -> str:
    """A colour `#rrggbb` with an opacity, in plotly's words.

    Examples
    --------
    >>> see_through("#0a416c", 0.2)
    'rgba(10,65,108,0.2)'
    """
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"
