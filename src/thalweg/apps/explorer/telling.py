"""Results in words: their groups, a few words each for the list, sentences, and where they come from."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.apps import (
    sections_tangent,
    words,
    words_curvature,
    words_descent,
    words_graph,
    words_training,
    words_valley,
)
from thalweg.apps.explorer.shelf import Entry

GROUPS: dict[str, tuple[str, ...]] = {
    "Surfaces": ("surface",),
    "Profiles": ("profile",),
    "Between solutions": ("connection", "course", "barrier"),
    "Training": ("trajectory", "path", "motion", "components", "random_walk", "components_by_length"),
    "Descents": ("descent", "critical_points", "fit", "linear_approximation"),
    "Curvature": ("eigenpairs", "spectral_density", "spectrum_path", "estimate"),
    "Tangents": ("tangent", "tangent_path", "kernel", "lazy", "elbows"),
    "Gradients and beginnings": ("gradients", "gradient_features", "initializations", "extrapolation"),
    "Graphs": ("graph",),
}
_OTHERS, _BROKEN = "Other results", "Cannot be read"
_COUNTED = {"step": "step", "start": "start", "pair": "pair", "point": "point", "weight": "weight", "node": "node"}
_COUNTED |= {"row": "row", "value": "value", "layer": "layer", "scheme": "scheme", "example": "example"}
_COUNTED |= {"quantity": "quantity", "probe": "probe", "input": "input", "axis": "axis", "length": "length"}
_PLURALS = {"quantity": "quantities", "axis": "axes"}
_SILENT = ("kind", "title", "about", "request", "block", "probes", "solutions", "order", "kinks", "coordinates")
_LONG = 2000  # characters of an attr that the table shows


def grouped(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The list of results, by what they are."""
    place = {kind: title for title, kinds in GROUPS.items() for kind in kinds}
    groups: dict[str, list[dict[str, Any]]] = {title: [] for title in (*GROUPS, _OTHERS, _BROKEN)}
    for entry in entries:
        kind = "profile" if entry.kind == "surface" and len(entry.coordinates) < 2 else entry.kind
        title = _BROKEN if entry.why else place.get(kind, _OTHERS)
        told = {"name": entry.name, "kind": kind, "words": entry.why or few(entry), "broken": bool(entry.why)}
        groups[title].append(told | {"complete": entry.complete, "order": _order(entry)})
    for found in groups.values():
        found.sort(key=lambda one: (one["order"], "random" not in one["name"], one["name"]))
    return [{"title": title, "results": found} for title, found in groups.items() if found]


def few(entry: Entry) -> str:
    """A few words about a result, from its metadata.

    Examples
    --------
    >>> theta = {"shape": [61, 10], "dimension_names": ["step", "weight"]}
    >>> few(Entry("trajectory", "trajectory", {}, {"theta": theta}))
    '10 weights'
    """
    sizes = entry.sizes
    if entry.kind == "surface":
        grid = " × ".join(str(sizes[name]) for name in entry.coordinates if name in sizes) or "1 point"
        values = [told for array in entry.arrays.values() if (told := _words(array)).get("role") == "value"]
        metrics = sorted({str(value.get("metric", "")) for value in values}, key=lambda name: (name != "loss", name))
        shown = ", ".join(metric.replace("_", " ") for metric in metrics[:3]) + ", …" * (len(metrics) > 3)
        test = " · train, test" if {"train", "test"} <= {str(value.get("split")) for value in values} else ""
        return f"{grid} · {shown}{test}"
    if entry.kind == "trajectory":  # whose rows are allocated ahead
        sizes = {dim: n for dim, n in sizes.items() if dim != "step"}
    counts = [_count(sizes[dim], noun) for dim, noun in _COUNTED.items() if dim in sizes]
    return ", ".join(counts[:2]) or entry.kind.replace("_", " ")


def heading(name: str, ds: xr.Dataset) -> str:
    """The title of a result."""
    if title := str(ds.attrs.get("title") or ""):
        return title
    if ds.attrs["kind"] == "surface":
        return words.heading(ds)
    kind = str(ds.attrs["kind"]).replace("_", " ")
    return f"{kind[:1].upper()}{kind[1:]}: {name}"


def sentences(ds: xr.Dataset) -> list[str]:
    """What a result says, as plain text; nothing where its metadata do not suffice."""
    tell = _TELL.get(str(ds.attrs["kind"]))
    try:
        told = tell(ds) if tell is not None else []
    except (ValueError, KeyError, TypeError, IndexError):
        return []
    return [plain(text) for text in ([told] if isinstance(told, str) else told) if text]


def plain(text: str) -> str:
    """The text of a sentence that was written for HTML.

    Examples
    --------
    >>> plain("<b>(1 - xy)²</b> is &lt; 1")
    '(1 - xy)² is < 1'
    """
    return html.unescape(re.sub(r"</?(b|i|em|code|sub|sup|p)>|<br ?/?>", "", text))


def provenance(ds: xr.Dataset) -> list[list[str]]:
    """Where a result comes from: names and values, in words."""
    rows = [["size", ", ".join(f"{dim} {n:,}" for dim, n in ds.sizes.items())]]
    keys = sorted((key for key in ds.attrs if key not in _SILENT), key=lambda key: (key not in _FIRST, str(key)))
    return [*rows, *([str(key).replace("_", " "), _said(ds.attrs[key])[:_LONG]] for key in keys)]


_FIRST = ("model", "loss", "seed", "device", "dtype", "precision", "seconds", "created", "thalweg_version")
_TELL: dict[str, Callable[[xr.Dataset], list[str] | str]] = {
    "surface": lambda ds: [*(words_descent.landscape(ds) if "landscape" in ds.attrs else []), *words.surface(ds)],
    "path": words.path,
    "trajectory": words.trajectory,
    "connection": words_valley.connection,
    "course": words_valley.course,
    "barrier": lambda ds: words_valley.barriers({"": ds})[0].replace("On the way  ", "").capitalize(),
    "motion": words_training.motion,
    "random_walk": words_training.random_walk,
    "components_by_length": words_training.components_by_length,
    "descent": words_descent.descent,
    "critical_points": words_descent.critical_points,
    "eigenpairs": words_curvature.eigenpairs,
    "spectral_density": words_curvature.density,
    "spectrum_path": words_curvature.spectrum_path,
    "estimate": words_curvature.estimate,
    **dict.fromkeys(sections_tangent.KINDS, sections_tangent.told),
    "graph": words_graph.graph,
}


def _said(value: Any) -> str:
    """JSON text in words: `a: b; c: d`."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            return "; ".join(f"{key}: {_said(one)}" for key, one in json.loads(value).items() if one not in ({}, None))
        except (ValueError, AttributeError):
            return value
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_said(one)}" for key, one in value.items())
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    return ", ".join(map(_said, value)) if isinstance(value, (list, tuple, np.ndarray)) else str(value)


def _words(array: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an array, if they are what they should be."""
    found = array.get("attributes")
    return found if isinstance(found, dict) else {}


def _order(entry: Entry) -> float:
    order = entry.attrs.get("order", 0)
    return float(order) if isinstance(order, (int, float)) else 0.0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, noun + 's')}"


def variables(ds: xr.Dataset) -> list[dict[str, Any]]:
    """The quantities of a surface, for the choice of metric and split."""
    return [
        {
            "name": name,
            "metric": str(ds[name].attrs["metric"]),
            "split": str(ds[name].attrs["split"]),
            "label": str(ds[name].attrs["long_name"]),
        }
        for name in schema.values(ds)
    ]
