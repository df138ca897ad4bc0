"""Curves between optima, and the barriers on them."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import SchemaError, need, need_coordinates, need_increasing, need_variables, one_dimensional

CURVES = ("polygonal", "bezier")


def _connection(ds: xr.Dataset) -> None:
    need_variables(ds, {"theta": ("node", "weight"), "loss": ("step",), "learning_rate": ("step",)})
    need(ds, ds.coords, "step", "coordinate")
    if ds.attrs.get("curve") not in CURVES:
        raise SchemaError(f"attrs['curve'] of a connection is {ds.attrs.get('curve')!r}; expected one of {CURVES}.")


def _barrier(ds: xr.Dataset) -> None:
    need(ds, ds.coords, "quantity", "coordinate")
    need_variables(ds, dict.fromkeys(("barrier", "t", "highest", "start", "end"), ("quantity",)))


def _course(ds: xr.Dataset) -> None:
    dims = need_coordinates(ds)
    for dim in dims:
        need(ds, ds.data_vars, dim, "position")
    need(ds, ds.data_vars, "distance", "variable")
    one_dimensional(ds, [*dims, "distance"], "t")
    need_increasing(ds["t"])
    need_variables(ds, dict.fromkeys(("node_distance", *(f"node_{dim}" for dim in dims)), ("node",)))


CHECKS = {
    "connection": _connection,
    "barrier": _barrier,
    "course": _course,
}
