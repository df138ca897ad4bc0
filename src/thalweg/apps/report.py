"""A study as one self-contained HTML page: its pictures, the figures in words, and where they come from.

The page reads datasets only, needs no network, and is written whole or not at all.
"""

from __future__ import annotations

import html
import json
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
import xarray as xr
from plotly.offline import get_plotlyjs

from thalweg import figures, schema, store
from thalweg.apps import words
from thalweg.apps.page import PAGE

_CONFIG = {"displaylogo": False, "responsive": True}


def report(study: str | Path, file: str | Path | None = None, *, title: str | None = None) -> Path:
    """Write the report of a study and return its path (beside the study by default, with the suffix `.html`).

    Every surface is drawn in three dimensions and as a map (a line as a profile), with the path that belongs to it:
    the result
    `path/<name>` goes with `surface/<name>`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such study, or it holds nothing that can be drawn.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2)
    >>> study = tempfile.mkdtemp() + "/study.zarr"
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=2.0, points=21, store=study)
    >>> report(study).name
    'study.html'
    """
    study = Path(study).expanduser()
    names = store.results(study)
    results, lost = _loaded(study, names)
    surfaces = {name: ds for name, ds in results.items() if ds.attrs["kind"] == "surface"}
    if not surfaces and not any(ds.attrs["kind"] == "path" for ds in results.values()):
        raise ValueError(f"{study} holds nothing to draw (its results: {', '.join(names) or 'none'}).")
    sections = [*_sections(results), *(_told_lost(name, error) for name, error in lost.items())]
    title = title or str(next(iter(surfaces.values()), next(iter(results.values()))).attrs.get("title", study.stem))
    page = PAGE.substitute(
        title=html.escape(title),
        date=datetime.now().strftime("%d %B %Y"),
        plotly=get_plotlyjs(),
        contents="".join(f'<a href="#{anchor}">{html.escape(head)}</a>' for anchor, head, _ in sections),
        sections="".join(body for _, _, body in sections),
    )
    target = (
        Path(file).expanduser() if file is not None else study.with_name(study.name.removesuffix(".zarr") + ".html")
    )
    draft = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _sections(results: dict[str, xr.Dataset]) -> Iterator[tuple[str, str, str]]:
    """(anchor, heading, HTML) of each part of the page."""
    order = sorted(results, key=lambda name: ("random" not in name, name))
    for name in order:
        dataset = results[name]
        if dataset.attrs["kind"] == "surface":
            path = results.get(path_name(name))
            yield _surface_section(name, dataset, path if path is not None and path.attrs["kind"] == "path" else None)
    claimed = {path_name(name) for name in order if results[name].attrs["kind"] == "surface"}
    for name in order:
        if results[name].attrs["kind"] == "path" and name not in claimed:
            yield _section(name, "A path", words.path(results[name]), [figures.path(results[name])], results[name])
    for name in order:
        if results[name].attrs["kind"] == "trajectory":
            yield _section(name, "The recorded training run", words.trajectory(results[name]), [], results[name])


def path_name(surface: str) -> str:
    """Name of the path that belongs to a surface: `surface/x` and `path/x`; never the surface's own.

    Examples
    --------
    >>> path_name("surface/principal"), path_name("mine")
    ('path/principal', 'path/mine')
    """
    return f"path/{surface.removeprefix('surface/')}"


def _loaded(study: Path, names: list[str]) -> tuple[dict[str, xr.Dataset], dict[str, Exception]]:
    """What can be read, and why the rest cannot: one damaged result does not take the page away."""
    results: dict[str, xr.Dataset] = {}
    lost: dict[str, Exception] = {}
    for name in names:
        try:
            results[name] = store.load(study, name)
        except Exception as error:
            lost[name] = error
    return results, lost


def _surface_section(name: str, dataset: xr.Dataset, path: xr.Dataset | None) -> tuple[str, str, str]:
    try:
        return _section(name, words.heading(dataset), words.surface(dataset, path), _pictures(dataset, path), dataset)
    except (ValueError, KeyError, TypeError) as error:
        return _told_lost(name, error)


def _told_lost(name: str, error: Exception) -> tuple[str, str, str]:
    anchor, heading = name.replace("/", "-"), f"{name}: could not be drawn"
    text = html.escape(str(error) or type(error).__name__)
    body = f'<section id="{anchor}"><h2>{html.escape(heading)}</h2><div class="words"><p>{text}</p></div></section>'
    return anchor, heading, body


def _pictures(surface: xr.Dataset, path: xr.Dataset | None) -> list[go.Figure]:
    surface = surface.squeeze([dim for dim in schema.coordinates(surface) if surface.sizes.get(dim) == 1])
    dims = [dim for dim in schema.coordinates(surface) if dim in surface.dims]
    if len(dims) == 1:
        return [figures.profile(surface)]
    if len(dims) > 2:
        surface = surface.isel({dim: surface.sizes[dim] // 2 for dim in dims[2:]})
    points = json.loads(surface.attrs.get("subspace", "{}")).get("points")
    drawn = [draw(surface, path=path, points=points) for draw in (figures.surface, figures.contour)]
    return drawn if path is None else [*drawn, figures.path(path)]


def _section(
    name: str, heading: str, sentences: list[str], pictures: list[go.Figure], dataset: xr.Dataset
) -> tuple[str, str, str]:
    anchor = name.replace("/", "-")
    lead, *rest = sentences
    shown = "".join(f"<figure{_class(picture)}>{_embedded(picture)}</figure>" for picture in pictures)
    text = f"<p>{lead}</p>" + "".join(f"<p>{sentence}</p>" for sentence in rest)
    body = (
        f'<section id="{anchor}"><h2>{html.escape(heading)}</h2><div class="words">{text}</div>{shown}'
        f"<details><summary>Where this comes from: "
        f"<code>{html.escape(name)}</code></summary>{_provenance(dataset)}</details></section>"
    )
    return anchor, heading, body


def _class(figure: go.Figure) -> str:
    """Figures of a width of their own (maps in equal aspect) are centred; the others fill the page."""
    return ' class="fixed"' if figure.layout.width else ""


def _embedded(figure: go.Figure) -> str:
    return pio.to_html(figure, include_plotlyjs=False, include_mathjax=False, full_html=False, config=_CONFIG)


def _provenance(dataset: xr.Dataset) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(key.replace('_', ' '))}</th><td>{html.escape(_told(value))}</td></tr>"
        for key, value in sorted(dataset.attrs.items())
        if key not in ("kind", "title", "request", "block")
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
