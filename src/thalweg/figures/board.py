"""Panels of curves in rows and columns, each with axes of its own, as plain numbers and words."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.figures.chart import Mark, Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.shades import Shades, Tiles


@dataclass(frozen=True)
class Word:
    """A word beside a place of a panel; `side` says where: right or left (1, -1), above or below (1, -1), 0 between."""

    x: float
    y: float
    text: str
    side: tuple[int, int] = (1, 0)
    color: str = "text"


@dataclass(frozen=True)
class Cell:
    """One panel; it takes `span` columns. `equal`: both axes have one scale, as maps have.

    `shades` colour the `tiles` and the series that have `shades` of their own; `name` says what a tile's value is.
    """

    x: Ruler
    y: Ruler
    series: tuple[Series, ...]
    title: str = ""
    marks: tuple[Mark, ...] = ()
    words: tuple[Word, ...] = ()
    span: int = 1
    equal: bool = False
    tiles: Tiles | None = None
    shades: Shades | None = None
    name: str = ""


@dataclass(frozen=True)
class Board:
    """Cells in reading order, in so many `columns`; `rows` are the heights of the rows in inches.

    `width`, in inches too, is for matrices, which are square; otherwise the panels fill the page.
    """

    cells: tuple[Cell, ...]
    columns: int
    rows: tuple[float, ...]
    title: str
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    width: float | None = None

    @property
    def keys(self) -> list[Series]:
        """The series in the legend, each entry once; a single one needs none."""
        found: dict[str, Series] = {}
        for cell in self.cells:
            for s in cell.series:
                if s.entry:
                    found.setdefault(s.entry, s)
        return list(found.values()) if len(found) > 1 else []

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row and first column of each cell.

        Examples
        --------
        >>> ruler = Ruler("t")
        >>> cells = (Cell(ruler, ruler, (), span=2), Cell(ruler, ruler, ()), Cell(ruler, ruler, ()))
        >>> Board(cells, 2, (1.0, 1.0), "").places
        [(0, 0), (1, 0), (1, 1)]
        """
        found, at = [], 0
        for cell in self.cells:
            if at % self.columns + cell.span > self.columns:
                at += self.columns - at % self.columns
            found.append(divmod(at, self.columns))
            at += cell.span
        return found
