"""Descents, and the points they go to."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import coordinates, need, need_coordinates, need_names, need_variables


def _descent(ds: xr.Dataset) -> None:
    every = ("start", "step", "weight")
    need_variables(ds, {"theta": every, "loss": every[:2], "gradient": every, "learning_rate": ("step",)})
    for dim in every[:2]:
        need(ds, ds.coords, dim, "coordinate")
    if "coordinates" in ds.attrs:
        need_variables(ds, dict.fromkeys((*coordinates(ds), "distance"), every[:2]))
    further = {"batch_loss": every[:2], "example": ("step", "slot"), "crossings": every[:1]}
    need_variables(ds, {name: dims for name, dims in further.items() if name in ds})
    if "outcome" in ds:
        need_variables(ds, dict.fromkeys(("outcome", "plateau"), every[:1]))
        need_names(ds["outcome"], "names", "kinds")


def _critical_points(ds: xr.Dataset) -> None:
    dims = need_coordinates(ds)
    flat = dict.fromkeys((*dims, "loss", "gradient_norm", "type"), ("point",))
    matrices = {"eigenvalue": ("point", "direction"), "eigenvector": ("point", "coordinate", "direction")}
    need_variables(ds, {**flat, **matrices})
    need_names(ds["type"], "names")


def _linear_approximation(ds: xr.Dataset) -> None:
    steps = dict.fromkeys(("point", "epsilon", "slope", "true", "approximation", "error"), ("step",))
    need_variables(ds, {"value": ("x",), "tangent": ("step", "x"), **steps})
    for dim in ("x", "step"):
        need(ds, ds.coords, dim, "coordinate")


def _fit(ds: xr.Dataset) -> None:
    need_variables(
        ds,
        {
            "prediction": ("start", "step", "input"),
            "loss": ("start", "step"),
            "theta": ("start", "step", "weight"),
            "x": ("example",),
            "y": ("example",),
        },
    )
    if "truth" in ds:
        need_variables(ds, {"truth": ("input",)})
    for dim in ("start", "step", "input"):
        need(ds, ds.coords, dim, "coordinate")


CHECKS = {
    "descent": _descent,
    "critical_points": _critical_points,
    "linear_approximation": _linear_approximation,
    "fit": _fit,
}
