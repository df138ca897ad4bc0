"""The parts of a report: which pictures and words each result of a study gets, alone or with others."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import xarray as xr

from thalweg import figures, schema
from thalweg.apps import (
    sections_paths,
    sections_tangent,
    words,
    words_curvature,
    words_descent,
    words_graph,
    words_valley,
)
from thalweg.figures.export import CONFIG
from thalweg.figures.graph import GraphFigure

Results = dict[str, xr.Dataset]
Part = tuple[str, str, str]
Maker = Callable[[str, Results], tuple[str, list[str], list[Any]]]
_SPAN = 200.0  # of the losses, from the 5th to the 95th percentile: a map takes logarithms


def sections(results: Results) -> Iterator[Part]:
    """(anchor, heading, HTML) of each part of the page: surfaces first, what stands alone after them."""
    order = sorted(results, key=lambda name: (results[name].attrs.get("order", 0), "random" not in name, name))
    elsewhere = {path_name(name) for name in order if results[name].attrs["kind"] == "surface"}
    elsewhere |= sections_paths.elsewhere(results) | sections_tangent.elsewhere(results)
    for kind, make in _MAKERS.items():
        for name in order:
            if results[name].attrs["kind"] == kind and name not in elsewhere:
                yield _tried(name, results, make)


def path_name(surface: str) -> str:
    """Name of the path that belongs to a surface: `surface/x` and `path/x`; never the surface's own.

    Examples
    --------
    >>> path_name("surface/principal"), path_name("mine")
    ('path/principal', 'path/mine')
    """
    return f"path/{surface.removeprefix('surface/')}"


def lost(name: str, error: Exception) -> Part:
    """What is said of a result that cannot be drawn."""
    anchor, heading = _anchor(name), f"{name}: could not be drawn"
    text = html.escape(str(error) or type(error).__name__)
    body = f'<section id="{anchor}"><h2>{html.escape(heading)}</h2><div class="words"><p>{text}</p></div></section>'
    return anchor, heading, body


def _tried(name: str, results: Results, make: Maker) -> Part:
    try:
        heading, sentences, pictures = make(name, results)
        return _section(name, heading, sentences, pictures, results[name])
    except (ValueError, KeyError, TypeError) as error:
        return lost(name, error)


def _surface(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    path = results.get(path_name(name))
    path = path if path is not None and path.attrs["kind"] == "path" else None
    course = sections_paths.course(name, results)
    if "pointwise_risk" in ds:
        return "Three risks", words.surface(ds), [figures.risk(ds)]
    if "landscape" in ds.attrs:
        told = [*words_descent.landscape(ds), *words.surface(ds)]
        return "The landscape", told, _landscape_pictures(ds, _critical(name, results))
    told = [*words.surface(ds, path), *(words_valley.course(found) for found in course.values())]
    return words.heading(ds), told, _pictures(ds, path, course)


def _pictures(surface: xr.Dataset, path: xr.Dataset | None, course: dict[str, Any]) -> list[go.Figure]:
    surface = surface.squeeze([dim for dim in schema.coordinates(surface) if surface.sizes.get(dim) == 1])
    dims = [dim for dim in schema.coordinates(surface) if dim in surface.dims]
    if len(dims) == 1:
        return [figures.profile(surface)]
    if len(dims) > 2:
        surface = surface.isel({dim: surface.sizes[dim] // 2 for dim in dims[2:]})
    points = None if course else json.loads(surface.attrs.get("subspace", "{}")).get("points")
    drawn = [draw(surface, path=path, points=points, **course) for draw in (figures.surface, figures.contour)]
    return drawn if path is None else [*drawn, figures.path(path)]


def _landscape_pictures(ds: xr.Dataset, critical: xr.Dataset | None) -> list[go.Figure]:
    """The loss; other quantities; the loss with its gradient; the map with all that is known of it."""
    others = [name for name in schema.values(ds) if ds[name].attrs["metric"] not in ("loss", "gradient_norm")]
    pictures = [_alone(ds, name) for name in (*others, "loss")]
    field = "gradient" in ds
    if field:
        pictures.append(figures.surface(_only(ds, "loss"), field=True, title="The way down from every point"))
    known: dict[str, Any] = {
        "critical": None if critical is None else _apart(critical),
        "curves": solutions(ds),
        "region": _regions(ds) or None,
        "field": field,
        "points": None if critical is None else _kinks(critical),
        "log": _log(ds),
    }
    pictures.append(figures.contour(_only(ds, "loss", keep=_regions(ds)), title="What is known of it", **known))
    return pictures


def _alone(ds: xr.Dataset, name: str) -> go.Figure:
    said = str(ds[name].attrs["long_name"])
    return figures.surface(_only(ds, name), name, title=said[:1].upper() + said[1:])


def _only(ds: xr.Dataset, name: str, keep: Sequence[str] = ()) -> xr.Dataset:
    """The surface with one quantity and no regions but those to keep, so that the picture carries no others."""
    needed = {name, *(ds[region].attrs["of"] for region in keep)}
    others = [other for other in schema.values(ds) if other not in needed]
    return ds.drop_vars([*others, *(region for region in _regions(ds) if region not in keep)])


def _apart(critical: xr.Dataset) -> xr.Dataset:
    """The critical points without the samples of curves and regions."""
    names = critical["type"].attrs["names"]
    single = [k for k, kind in enumerate(critical["type"].values) if not names[int(kind)].startswith("degenerate")]
    return critical.isel(point=single)


def _kinks(critical: xr.Dataset) -> dict[str, list[float]] | None:
    """Places of the known minima at kinks and jumps, by what is written beside them."""
    known = words_descent.kinks(critical)
    many = len(known) > 1
    return {f"{p['type']}, not smooth{f' ({k + 1})' if many else ''}": p["at"] for k, p in enumerate(known)} or None


def _log(ds: xr.Dataset) -> bool | Literal["auto"]:
    """Maps of a landscape show its valleys: by curves of solutions, or else by logarithms where losses span decades."""
    loss = ds["loss"].values
    loss = loss[np.isfinite(loss)]
    if solutions(ds) or not loss.size or loss.min() < 0:
        return "auto"
    low, high = np.percentile(loss, [5, 95])
    return True if low > 0 and high / low > _SPAN else "auto"


def _regions(ds: xr.Dataset) -> list[str]:
    return [str(name) for name, var in ds.data_vars.items() if var.attrs.get("role") == "region"]


def solutions(ds: xr.Dataset) -> dict[str, np.ndarray] | None:
    """Curves of solutions that a surface brings along."""
    curves = json.loads(ds.attrs.get("solutions", "{}"))
    return {name: np.array(curve, dtype=float) for name, curve in curves.items()} or None


def _critical(name: str, results: Results) -> xr.Dataset | None:
    return next((ds for ds in results.values() if ds.attrs["kind"] == "critical_points" and _on(ds) == name), None)


def _on(ds: xr.Dataset) -> str | None:
    """Name of the surface on which a result is drawn."""
    return ds.attrs.get("on")


def _critical_points(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    ground = results.get(_on(ds) or "")
    pictures = []
    if ground is not None and (ds.sizes["point"] or words_descent.kinks(ds)):
        options: dict[str, Any] = {"critical": ds, "curves": solutions(ground), "title": "Critical points"}
        options["points"] = _kinks(ds)
        pictures = [figures.surface(_only(ground, "loss"), **options)]
    return "Critical points", words_descent.critical_points(ds), pictures


def _descent(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    ground = results.get(_on(ds) or "")
    pictures = []
    heading = str(ds.attrs.get("title") or f"Descent from {ds.sizes['start']:,} starts")
    if ground is not None and "coordinates" in ds.attrs:
        plain, critical = _only(ground, "loss"), _critical(str(_on(ds)), results)
        known: dict[str, Any] = {
            "curves": solutions(ground),
            "points": None if critical is None else _kinks(critical),
            "log": _log(ground),
        }
        pictures = [
            figures.surface(plain, descent=ds, title=heading),
            figures.contour(plain, descent=ds, title=heading, **known),
        ]
    return heading, words_descent.descent(ds), [*pictures, figures.descent(ds)]


def _single(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    if ds.attrs["kind"] == "fit":
        return "The model's fit", [f"{html.escape(str(ds.attrs['formula']))}"], [figures.fit(ds)]
    told = f"The function {html.escape(str(ds.attrs['function']))} and its tangent."
    return "The gradient as best linear approximation", [told], [figures.linear_approximation(ds)]


def _curvature(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    kind = ds.attrs["kind"]
    if kind == "eigenpairs":
        return "The largest curvatures", words_curvature.eigenpairs(ds), [figures.spectrum(ds)]
    if kind == "spectral_density":
        pairs = next((r for r in results.values() if r.attrs["kind"] == "eigenpairs" and _same_matrix(r, ds)), None)
        return "All curvatures", words_curvature.density(ds), [figures.density(ds, pairs=pairs)]
    if kind == "spectrum_path":
        pictures = [figures.spectrum_path(ds), figures.overlap(ds)] if ds.sizes["step"] > 1 else []
        return "Curvature along training", words_curvature.spectrum_path(ds), pictures
    return "An estimate", words_curvature.estimate(ds), []


def _same_matrix(one: xr.Dataset, other: xr.Dataset) -> bool:
    return all(
        one.attrs.get(name) == other.attrs.get(name)
        for name in ("matrix", "parameters", "num_selected", "num_examples", "theta_id")
    )


def _path(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    return "A path", words.path(results[name]), [figures.path(results[name])]


def _trajectory(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    ds = results[name]
    drawn = [figures.training(ds)] if np.isfinite(ds["loss"]).any() else []  # checkpoints come without losses
    return "The recorded training run", words.trajectory(ds), drawn


def _graph(name: str, results: Results) -> tuple[str, list[str], list[GraphFigure]]:
    ds = results[name]
    figure = words_graph.still(ds)
    heading = str(ds.attrs.get("title") or "A computational graph")
    return heading, words_graph.graph(ds), [] if figure is None else [figure]


_MAKERS: dict[str, Maker] = {
    "surface": _surface,
    "connection": sections_paths.connection,
    "barrier": sections_paths.barrier,
    "course": sections_paths.in_plane,
    **dict.fromkeys(sections_paths.RUNS, sections_paths.run),
    "critical_points": _critical_points,
    "descent": _descent,
    **dict.fromkeys(("linear_approximation", "fit"), _single),
    **dict.fromkeys(("eigenpairs", "spectral_density", "spectrum_path", "estimate"), _curvature),
    **dict.fromkeys(sections_tangent.KINDS, sections_tangent.section),
    "path": _path,
    "trajectory": _trajectory,
    "graph": _graph,
}


def _anchor(name: str) -> str:
    return name.replace("/", "-")


def _section(name: str, heading: str, sentences: list[str], pictures: list[Any], dataset: xr.Dataset) -> Part:
    anchor = _anchor(name)
    shown = "".join(f"<figure{_class(picture)}>{_embedded(picture)}</figure>" for picture in pictures)
    text = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    body = (
        f'<section id="{anchor}"><h2>{html.escape(heading)}</h2><div class="words">{text}</div>{shown}'
        f"<details><summary>Where this comes from: "
        f"<code>{html.escape(name)}</code></summary>{_provenance(dataset)}</details></section>"
    )
    return anchor, heading, body


def _class(figure: go.Figure | GraphFigure) -> str:
    """Figures of a width of their own (maps in equal aspect, graphs) are centred; the others fill the page."""
    return ' class="fixed"' if isinstance(figure, GraphFigure) or figure.layout.width else ""


def _embedded(figure: go.Figure | GraphFigure) -> str:
    if isinstance(figure, GraphFigure):
        return words_graph.image(figure)
    return pio.to_html(figure, include_plotlyjs=False, include_mathjax=False, full_html=False, config=CONFIG)


def _provenance(dataset: xr.Dataset) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(key.replace('_', ' '))}</th><td>{html.escape(_told(value))}</td></tr>"
        for key, value in sorted(dataset.attrs.items())
        if key not in ("kind", "title", "about", "request", "block", "solutions", "order", "kinks")
    )
    return f"<table>{rows}</table>"


def _told(value: Any) -> str:
    """JSON text in words: `a: b; c: d`."""
    if isinstance(value, str) and value.startswith("{"):
        items = json.loads(value)
        return "; ".join(f"{k}: {_told(v)}" for k, v in items.items() if v not in ({}, None))
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
