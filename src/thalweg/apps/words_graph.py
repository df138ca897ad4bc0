"""A computational graph in words, and as a picture that other pages can hold."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np
import xarray as xr

from thalweg import figures
from thalweg.figures.graph import GraphFigure
from thalweg.figures.graph_page import summary
from thalweg.figures.graph_place import scene
from thalweg.figures.graph_views import number
from thalweg.schema import graphs

_MOST = 120  # boxes, beyond which nothing can be read off a still picture


def graph(ds: xr.Dataset) -> list[str]:
    """What a graph is made of, its gradients if it has them, and where it opens and closes."""
    told = [html.escape(f"{summary(ds)}.")]
    leaves = np.isin(ds["role"].values, [graphs.NODE_ROLES.index(role) for role in ("input", "parameter")])
    found = ds.isel(node=leaves & np.isfinite(ds["gradient"].values))
    if int(ds.attrs["scalar"]) and found.sizes["node"]:
        pairs = zip(found["node"].values.tolist(), found["gradient"].values.tolist(), strict=True)
        told.append(f"The gradient: {html.escape(', '.join(f'{number(v)} in {name}' for name, v in pairs))}.")
    if still(ds) is None:
        told.append("It has too many operations outside of modules for a still picture.")
    told.append(
        "The page in which modules open by a click: <code>figures.save(figures.graph(ds), 'graph.html')</code>."
    )
    return told


def still(ds: xr.Dataset, **look: Any) -> GraphFigure | None:
    """The graph as a still picture; folded if it is large. None if even then there is too much of it."""
    figure = figures.graph(ds, **look)
    drawn = scene(figure.views[figure.view], figure.opened)
    return figure if len(drawn.nodes) + len(drawn.calls) <= _MOST else None


def address(figure: GraphFigure) -> str:
    """The picture as an address that holds it."""
    return "data:image/svg+xml;base64," + base64.b64encode(figure.to_svg().encode()).decode()


def image(figure: GraphFigure) -> str:
    """The picture in HTML; its styles stay its own."""
    return f'<img class="graph" alt="{html.escape(figure.title)}: computational graph" src="{address(figure)}">'
