"""The picture of any result: the figure of its kind, where nobody says which."""

from __future__ import annotations

from typing import Any

import xarray as xr

from thalweg import schema
from thalweg.figures.approximation import linear_approximation
from thalweg.figures.backend import Backend
from thalweg.figures.barrier import barrier
from thalweg.figures.by_length import components_by_length
from thalweg.figures.course import course as in_plane
from thalweg.figures.critical import critical_points
from thalweg.figures.density import density
from thalweg.figures.descent import descent
from thalweg.figures.elbows import elbows
from thalweg.figures.estimate import estimate
from thalweg.figures.extrapolation import extrapolation
from thalweg.figures.fit import fit
from thalweg.figures.gradient_features import gradient_features
from thalweg.figures.gradients import gradients
from thalweg.figures.graph import graph
from thalweg.figures.initializations import initializations
from thalweg.figures.kernel import kernel
from thalweg.figures.lazy import lazy
from thalweg.figures.motion import motion
from thalweg.figures.random_walk import random_walk
from thalweg.figures.risk import risk
from thalweg.figures.singular_values import singular_values
from thalweg.figures.spectrum import spectrum
from thalweg.figures.spectrum_path import spectrum_path
from thalweg.figures.surface import profile, surface
from thalweg.figures.tangent import tangent
from thalweg.figures.theme import Theme
from thalweg.figures.training import training
from thalweg.figures.trajectory import path as over_steps
from thalweg.figures.ways import Courses


def picture(
    ds: xr.Dataset,
    *,
    on: xr.Dataset | None = None,
    path: xr.Dataset | None = None,
    course: Courses | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a result of any kind that has a picture.

    A surface over one coordinate becomes a profile, over two a surface, with risks their maps; descents become curves
    of the loss, critical points and courses places in their plane, or they are drawn on a surface. A trajectory and the
    training of a curve become losses over the steps; a graph is the same whatever the backend;
    components have no picture without random walks beside them.

    Parameters
    ----------
    ds
        Of any kind but `components`.
    on
        A surface to draw critical points on, a course, or a descent that has positions on it; or a spectral density to
        draw eigenpairs on.
    path, course
        Kinds `path` and `course`, to lie on a surface over two coordinates.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        As the figure that is chosen.

    Raises
    ------
    ValueError
        If there is no picture of this kind, or its figure refuses it.

    Examples
    --------
    >>> import xarray as xr
    >>> words = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": ""}
    >>> line = xr.Dataset({"loss": ("t", [1.0, 2.0], words)}, {"t": [0, 1]}, {"kind": "surface", "coordinates": ["t"]})
    >>> picture(line, backend="none").title
    'Profile of the loss'
    """
    kind = schema.check(ds).attrs["kind"]
    if kind == "graph":
        return graph(ds, theme=theme, title=title)
    look: dict[str, Any] = {"backend": backend, "theme": theme, "title": title}
    if kind == "surface":
        return _surface(ds, path, course, look)
    if on is not None and kind == "eigenpairs":
        return density(on, ds, **look)
    if on is not None and kind in _OVERLAYS and "coordinates" in ds.attrs:
        lying: dict[str, Any] = {_OVERLAYS[kind]: ds}
        return surface(on, **lying, **look)
    if kind == "components":
        raise ValueError(
            "Components have no picture of their own, because those of a random walk look like a finding too: "
            "`random_walk(...)` lays both beside each other."
        )
    if kind not in _FIGURES:
        raise ValueError(
            f"A result of kind {kind!r} has no picture of its own. Project it onto a plane "
            f"(`project_trajectory`), or draw one of kind surface, {', '.join(_FIGURES)}."
        )
    return _FIGURES[kind](ds, **look)


_OVERLAYS = {"descent": "descent", "critical_points": "critical", "course": "course"}
_FIGURES: dict[str, Any] = {
    "path": over_steps,
    "descent": descent,
    "critical_points": critical_points,
    "fit": fit,
    "linear_approximation": linear_approximation,
    "eigenpairs": spectrum,
    "spectral_density": density,
    "estimate": estimate,
    "spectrum_path": spectrum_path,
    "trajectory": training,
    "connection": training,
    "barrier": barrier,
    "course": in_plane,
    "motion": motion,
    "random_walk": random_walk,
    "components_by_length": components_by_length,
    "initializations": initializations,
    "gradients": gradients,
    "extrapolation": extrapolation,
    "tangent": tangent,
    "kernel": kernel,
    "lazy": lazy,
    "tangent_path": singular_values,
    "elbows": elbows,
    "gradient_features": gradient_features,
}


def _surface(ds: xr.Dataset, path: xr.Dataset | None, course: Courses | None, look: dict[str, Any]) -> Any:
    """Two coordinates are a surface, one is a profile; axes of a single point do not count."""
    flat = ds.squeeze([d for d in schema.coordinates(ds) if ds.sizes.get(d) == 1])
    dims = [d for d in schema.coordinates(flat) if d in flat.dims]
    if "pointwise_risk" in flat and len(dims) == 2:
        return risk(flat, **look)
    return profile(flat, **look) if len(dims) == 1 else surface(flat, path=path, course=course, **look)
