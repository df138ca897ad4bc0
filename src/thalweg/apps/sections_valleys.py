"""The parts of a report on runs and on curves between solutions: pictures that tell their own numbers."""

from __future__ import annotations

import plotly.graph_objects as go
import xarray as xr

from thalweg import figures, schema

Results = dict[str, xr.Dataset]
HEADINGS = {
    "motion": "How the run moved",
    "random_walk": "The run beside random walks",
    "components_by_length": "Components of the first steps",
    "connection": "How a curve between two solutions was learned",
    "barrier": "Barriers between two solutions",
    "course": "A curve in its plane",
}


def valley(name: str, results: Results) -> tuple[str, list[str], list[go.Figure]]:
    """A picture that tells its own numbers; a curve also on the surfaces of its plane."""
    ds = results[name]
    drawn = [figures.picture(ds)]
    if ds.attrs["kind"] == "course":
        same = [r for r in results.values() if r.attrs["kind"] == "surface" and _same_plane(r, ds)]
        drawn = [figures.picture(ds, on=surface) for surface in same] + drawn
    return HEADINGS[ds.attrs["kind"]], [], drawn


def _same_plane(surface: xr.Dataset, course: xr.Dataset) -> bool:
    mine, its = surface.attrs.get("subspace_id"), course.attrs.get("subspace_id")
    return mine is not None and mine == its and len(schema.coordinates(surface)) == 2
