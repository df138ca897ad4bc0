"""The parts of a report on curves between optima and on training runs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import xarray as xr

from thalweg import figures
from thalweg.apps import words_training, words_valley

Results = dict[str, xr.Dataset]
Made = tuple[str, list[str], list[go.Figure]]
RUNS = ("motion", "random_walk", "components_by_length")
_TITLES = {
    "segment": "straight",
    "unaligned": "straight, as trained",
    "curve": "learned curve",
}


def ways(name: str, results: Results) -> Results:
    """Surfaces along the ways that belong to a connection `curve/x`: `along/x/segment`, ..."""
    start = f"along/{name.removeprefix('curve/')}/"
    found = {key.removeprefix(start): ds for key, ds in results.items() if key.startswith(start)}
    known = [way for way in ("unaligned", "segment", "curve") if way in found]
    return {way: found[way] for way in [*known, *(way for way in found if way not in known)]}


def connection(name: str, results: Results) -> Made:
    """A learned curve against the segment, with their barriers."""
    ds, told = results[name], ways(name, results)
    short = name.removeprefix("curve/")
    barriers = {way: results[f"barrier/{short}/{way}"] for way in told if f"barrier/{short}/{way}" in results}
    said = [words_valley.connection(ds), *words_valley.barriers(barriers)]
    titles = _TITLES | ({"segment": "straight, aligned"} if "unaligned" in told else {})
    pictures = [figures.connection({titles.get(way, way): along for way, along in told.items()})] if told else []
    return "Between two solutions", said, pictures


def course(surface: str, results: Results) -> dict[str, Any]:
    """The curve that runs in a surface, `course/x` for `surface/x`, as an option of figures."""
    found = results.get(f"course/{surface.removeprefix('surface/')}")
    return {} if found is None or found.attrs["kind"] != "course" else {"course": found}


def run(name: str, results: Results) -> Made:
    """How a run moved, or what a random walk's components would have been."""
    ds = results[name]
    if ds.attrs["kind"] == "motion":
        return "How the run moved", words_training.motion(ds), [figures.motion(ds)]
    if ds.attrs["kind"] == "random_walk":
        return "The run beside a random walk", words_training.random_walk(ds), [figures.random_walk(ds)]
    told = words_training.components_by_length(ds)
    return "Components of shorter runs", told, [figures.components_by_length(ds)]
