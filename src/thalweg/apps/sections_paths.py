"""The parts of a report on curves between optima and on training runs."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import xarray as xr

from thalweg import figures, schema
from thalweg.apps import words_training, words_valley

Results = dict[str, xr.Dataset]
Made = tuple[str, list[str], list[go.Figure]]
RUNS = ("motion", "random_walk", "components_by_length")
_TITLES = {
    "unaligned": "straight, as trained",
    "segment": "straight",
    "curve": "learned curve",
}


def elsewhere(results: Results) -> set[str]:
    """Names of results that are shown with another: what belongs to a connection, and courses on their surfaces."""
    found = set()
    for name, ds in results.items():
        if ds.attrs["kind"] == "connection":
            along = ways(name, results)
            found |= {*along, *(f"barrier{way.removeprefix('along')}" for way in along)}
        elif ds.attrs["kind"] == "surface" and course(name, results):
            found.add(f"course/{name.removeprefix('surface/')}")
    return found


def ways(name: str, results: Results) -> list[str]:
    """Names of what was measured along the ways of a connection `curve/x`: `along/x/segment`, `along/x/curve`."""
    start = f"along/{name.removeprefix('curve/')}/"
    known = [start + way for way in _TITLES if start + way in results]
    return [*known, *(key for key in results if key.startswith(start) and key not in known)]


def connection(name: str, results: Results) -> Made:
    """A learned curve against the segment, with their barriers."""
    along = {way.rpartition("/")[2]: results[way] for way in ways(name, results)}
    start = f"barrier/{name.removeprefix('curve/')}/"
    barriers = {way: results[start + way] for way in along if start + way in results}
    said = [words_valley.connection(results[name]), *words_valley.barriers(barriers)]
    titles = _TITLES | ({"segment": "straight, aligned"} if "unaligned" in along else {})
    learned = figures.picture(results[name])
    drawn = [figures.connection({titles.get(way, way): ds for way, ds in along.items()})] if along else [learned]
    return "Between two solutions", said, drawn


def barrier(name: str, results: Results) -> Made:
    """Barriers that belong to no learned curve of the study."""
    return "Barriers between two solutions", [], [figures.barrier(results[name])]


def in_plane(name: str, results: Results) -> Made:
    """A curve that belongs to no surface by its name: on those of its plane, and alone."""
    ds = results[name]
    same = [r for r in results.values() if r.attrs["kind"] == "surface" and _same_plane(r, ds)]
    return (
        "A curve in its plane",
        [words_valley.course(ds)],
        [figures.picture(ds, on=r) for r in same] or [figures.picture(ds)],
    )


def _same_plane(surface: xr.Dataset, ds: xr.Dataset) -> bool:
    mine, its = surface.attrs.get("subspace_id"), ds.attrs.get("subspace_id")
    return mine is not None and mine == its and len(schema.coordinates(surface)) == 2


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
