"""Training runs, their components, and what a random walk would look like."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import need, need_variables


def _trajectory(ds: xr.Dataset) -> None:
    need_variables(ds, {"theta": ("step", "weight"), "loss": ("step",), "learning_rate": ("step",)})
    need(ds, ds.coords, "step", "coordinate")


def _components(ds: xr.Dataset) -> None:
    need_variables(
        ds,
        {
            "component": ("axis", "weight"),
            "mean": ("weight",),
            "explained_variance_ratio": ("axis",),
            "score": ("start", "step", "axis") if "start" in ds.dims else ("step", "axis"),
        },
    )


def _motion(ds: xr.Dataset) -> None:
    names = ("distance_from_start", "distance_from_end", "path_length", "speed", "cosine")
    need_variables(ds, dict.fromkeys(names, ("step",)))
    need(ds, ds.coords, "step", "coordinate")


def _random_walk(ds: xr.Dataset) -> None:
    scores = dict.fromkeys(("score", "walk_score", "theory_score"), ("step", "axis"))
    ratios = {"explained_variance_ratio": ("axis",), "theory": ("axis",), "walk": ("sample", "axis")}
    need_variables(ds, {**ratios, **scores})
    need(ds, ds.coords, "axis", "coordinate")


def _components_by_length(ds: xr.Dataset) -> None:
    ratios = dict.fromkeys(("explained_variance_ratio", "theory"), ("length", "axis"))
    need_variables(ds, {**ratios, "overlap": ("length",)})
    for name in ("length", "axis"):
        need(ds, ds.coords, name, "coordinate")


CHECKS = {
    "trajectory": _trajectory,
    "components": _components,
    "motion": _motion,
    "random_walk": _random_walk,
    "components_by_length": _components_by_length,
}
