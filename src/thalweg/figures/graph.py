"""A computational graph as a page that opens and closes, or as SVG."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from thalweg.figures import theme as themes
from thalweg.figures.graph_page import page
from thalweg.figures.graph_place import scene
from thalweg.figures.graph_svg import size, svg
from thalweg.figures.graph_views import View, default_open, small, views
from thalweg.figures.kinds import need
from thalweg.figures.theme import Theme


@dataclass(frozen=True)
class GraphFigure:
    """A drawn graph: `figures.save(figure, "graph.html")`, or `"graph.svg"`; notebooks show the page."""

    dataset: xr.Dataset
    views: dict[str, View]
    view: str
    opened: frozenset[int]
    theme: Theme | None
    title: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the SVG, in pixels."""
        return size(scene(self.views[self.view], self.opened), self.title)

    def to_svg(self) -> str:
        """The view as it is, as SVG; made without a browser."""
        return svg(self.views[self.view], self.opened, self.theme or "light", self.title)

    def to_html(self) -> str:
        """The page: all views, modules open and close by click or key. It needs no network."""
        return page(self.dataset, self.views, self.view, sorted(self.opened), self.theme, self.title)

    def write_html(self, file: str) -> None:
        """Write the page."""
        Path(file).write_text(self.to_html(), encoding="utf-8")

    def write_svg(self, file: str) -> None:
        """Write the SVG."""
        Path(file).write_text(self.to_svg(), encoding="utf-8")

    def _repr_html_(self) -> str:
        inside = html.escape(self.to_html(), quote=True)
        title = html.escape(self.title, quote=True)
        return f'<iframe title="{title}" srcdoc="{inside}" style="width:100%;height:720px;border:0"></iframe>'


def graph(
    ds: xr.Dataset,
    *,
    view: str = "forward",
    parameters: bool | None = None,
    open: str | Iterable[str] | None = None,
    theme: Theme | None = None,
    title: str | None = None,
) -> GraphFigure:
    """Draw a computational graph, folded by modules.

    Forward, values flow down; backward, gradients flow up. Where every value is one number, each line carries its
    value forward, and backward the gradient that arrives, times the local derivative, and what that makes.

    Parameters
    ----------
    ds
        Kind `graph`.
    view
        `"forward"` or `"backward"`: what an SVG shows and a page shows first.
    parameters
        Whether parameters are nodes of their own; by default in graphs of up to 40 operations. The page can switch.
    open
        Which modules are open: `"all"`, `"none"`, or paths such as `["layer1", "layer1.0"]` (what is around them is
        opened too). By default all of a graph of up to 40 operations.
    theme
        `"light"` or `"dark"`; by default pages follow the reader's system, and SVG is light.
    title
        Instead of the graph's own.

    Returns
    -------
    GraphFigure
        For `figures.save`.

    Raises
    ------
    ValueError
        If the dataset is no graph, there is no such view, or no module of that path.

    Examples
    --------
    >>> import thalweg as tw
    >>> ds = tw.computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0)
    >>> graph(ds).to_svg().count('class="operation')
    3
    """
    need(ds, "graph")
    if theme is not None:
        themes.palette(theme)
    drawn = views(ds)
    parameters = small(ds) if parameters is None else parameters
    if view not in ("forward", "backward"):
        raise ValueError(f"There is no view {view!r}; expected 'forward' or 'backward'.")
    if view not in drawn:
        raise ValueError("This graph has no backward pass: nothing in it requires a gradient.")
    name = f"{view}+" if parameters and f"{view}+" in drawn else view
    words = title or str(ds.attrs.get("title") or "Computational graph")
    return GraphFigure(ds, drawn, name, frozenset(_opened(ds, open)), theme, words)


def _opened(ds: xr.Dataset, wanted: Any) -> set[int]:
    paths, parents = ds["path"].values.tolist(), ds["parent"].values.tolist()
    if wanted is None:
        return default_open(ds)
    if wanted in ("all", "none"):
        return set(range(len(paths))) if wanted == "all" else set()
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    lost = [name for name in names if name not in paths]
    if lost:
        raise ValueError(f"There is no module {lost[0]!r}; there are {', '.join(dict.fromkeys(paths)) or 'none'}.")
    found: set[int] = set()
    for call, path in enumerate(paths):
        here = call if path in names else -1
        while here >= 0:
            found.add(here)
            here = parents[here]
    return found
