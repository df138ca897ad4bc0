"""The pictures of results that are no surfaces over two coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import xarray as xr

from thalweg import figures
from thalweg.apps import sections_paths, sections_tangent, words_graph
from thalweg.apps.explorer.shelf import Refusal, Shelf
from thalweg.figures import theme as themes
from thalweg.figures.theme import Theme


@dataclass(frozen=True)
class Asked:
    """A result, the study around it, and how its pictures should look."""

    shelf: Shelf
    name: str
    ds: xr.Dataset
    theme: Theme = "light"
    log: Any = "auto"

    def others(self, kind: str) -> dict[str, xr.Dataset]:
        """Other results of a kind that can be read."""
        names = [entry.name for entry in self.shelf.entries() if entry.kind == kind and not entry.why]
        found = {}
        for name in names:
            try:
                found[name] = self.shelf.load(name)
            except Refusal:
                continue
        return found


Draw = Callable[[Asked], go.Figure]


def offered(asked: Asked) -> dict[str, Draw]:
    """Names of the pictures of a result, and what draws them; the first is shown first."""
    flat = [dim for dim in asked.ds.attrs.get("coordinates", []) if asked.ds.sizes.get(dim, 1) > 1]
    surface = asked.ds.attrs["kind"] == "surface" and len(flat) > 1  # drawn in space and as a map by `drawing`
    apart = surface or asked.ds.attrs["kind"] == "graph"  # which is a page of its own
    found: dict[str, Draw] = {} if apart else {"picture": _picture}
    found |= _MORE.get(str(asked.ds.attrs["kind"]), lambda _: {})(asked)
    return found


def draw(asked: Asked, which: str) -> go.Figure:
    """One of them.

    Raises
    ------
    Refusal
        If there is no such picture.
    """
    known = offered(asked)
    if which not in known:
        raise Refusal(404, f"{asked.name} has no picture {which!r}; it has {', '.join(known)}.")
    return known[which](asked)


def _picture(asked: Asked) -> go.Figure:
    if asked.ds.attrs["kind"] == "surface":
        return figures.profile(asked.ds.squeeze(), log=asked.log, theme=asked.theme)
    return figures.picture(asked.ds, theme=asked.theme)


def _risks(asked: Asked) -> dict[str, Draw]:
    if "pointwise_risk" not in asked.ds:
        return {}
    return {"three risks": lambda a: figures.risk(a.ds.squeeze(), theme=a.theme)}


def _density(_: Asked) -> dict[str, Draw]:
    """With the exact eigenvalues of the same matrix, where there are any."""
    return {"picture": lambda a: figures.density(a.ds, pairs=_same_matrix(a, "eigenpairs"), theme=a.theme)}


def _eigenpairs(asked: Asked) -> dict[str, Draw]:
    density = _same_matrix(asked, "spectral_density")
    return {} if density is None else {"among all": lambda a: figures.density(density, pairs=a.ds, theme=a.theme)}


def _same_matrix(asked: Asked, kind: str) -> xr.Dataset | None:
    keys = ("matrix", "parameters", "num_selected", "num_examples", "theta_id")
    mine = [asked.ds.attrs.get(key) for key in keys]
    others = asked.others(kind).values()
    return next((ds for ds in others if [ds.attrs.get(key) for key in keys] == mine), None)


def _spectrum_path(asked: Asked) -> dict[str, Draw]:
    found: dict[str, Draw] = {}
    if "overlap" in asked.ds and asked.ds.sizes["step"] > 1:
        found["overlap"] = lambda a: figures.overlap(a.ds, theme=a.theme)
    if "density" in asked.ds:
        found["densities"] = lambda a: figures.density_path(a.ds, theme=a.theme)
    return found


def _gradients(asked: Asked) -> dict[str, Draw]:
    return {"cosines": lambda a: figures.gradient_cosines(a.ds, theme=a.theme)} if "cosine" in asked.ds else {}


def _tangent(asked: Asked) -> dict[str, Draw]:
    """Beside its other states, before and after training."""
    states = asked.others("tangent")
    names = sections_tangent.together(asked.name, states) if asked.name in states else []
    if len(names) < 2:
        return {}
    return {"all states": lambda a: figures.tangent({name: states[name] for name in names}, theme=a.theme)}


def _connection(asked: Asked) -> dict[str, Draw]:
    """The losses along it first, where they were measured; then how it was learned."""

    def along(a: Asked) -> go.Figure:
        surfaces = a.others("surface")
        ways = {key.rpartition("/")[2]: surfaces[key] for key in sections_paths.ways(a.name, surfaces)}
        return figures.connection(ways, theme=a.theme)

    names = {entry.name: None for entry in asked.shelf.entries() if entry.kind == "surface"}
    return {"picture": along, "learning": _picture} if sections_paths.ways(asked.name, names) else {}  # type: ignore[arg-type]


def _graphs(asked: Asked) -> dict[str, Draw]:
    passes = [name for name in figures.graph(asked.ds).views if not name.endswith("+")]
    return {"picture": lambda a: _graph(a, passes[0]), **{name: _as_graph(name) for name in passes[1:]}}


def _as_graph(view: str) -> Draw:
    return lambda asked: _graph(asked, view)


def _graph(asked: Asked, view: str) -> go.Figure:
    """The graph's own picture, in axes without marks, so that it can be moved and enlarged as any other."""
    figure = words_graph.still(asked.ds, view=view, theme=asked.theme)
    if figure is None:
        raise Refusal(422, "This graph has too many operations outside of modules for a still picture.")
    width, height = figure.size
    place = {"x": 0, "y": 0, "sizex": width, "sizey": height, "xref": "x", "yref": "y", "layer": "below"}
    bare: dict[str, Any] = {"visible": False, "constrain": "domain"}
    made = go.Figure(layout={"template": themes.template(asked.theme), "height": min(max(height, 420.0), 1600.0)})
    made.add_trace(go.Scatter(x=[0, width], y=[0, height], mode="markers", marker_opacity=0, hoverinfo="skip"))
    made.add_layout_image(source=words_graph.address(figure), **place)
    made.update_xaxes(range=[0, width], **bare)
    made.update_yaxes(range=[height, 0], scaleanchor="x", **bare)
    return made.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0}, dragmode="pan", showlegend=False)


_MORE: dict[str, Callable[[Asked], dict[str, Draw]]] = {
    "surface": _risks,
    "spectral_density": _density,
    "eigenpairs": _eigenpairs,
    "spectrum_path": _spectrum_path,
    "gradients": _gradients,
    "tangent": _tangent,
    "connection": _connection,
    "graph": _graphs,
}
