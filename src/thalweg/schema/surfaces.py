"""Surfaces, and what lies on them."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import (
    SchemaError,
    need,
    need_coordinates,
    need_increasing,
    one_dimensional,
)

ROLES = ("value", "standard_error", "gradient", "hessian", "per_example", "mask", "region")


def values(surface: xr.Dataset) -> list[str]:
    """Names of the measured quantities, training before test, loss before the metrics."""
    names = [str(name) for name, var in surface.data_vars.items() if var.attrs.get("role") == "value"]
    return sorted(names, key=lambda n: (surface[n].attrs["split"] != "train", surface[n].attrs["metric"] != "loss"))


def _surface(ds: xr.Dataset) -> None:
    dims = need_coordinates(ds)
    for dim in dims:
        need(ds, ds.coords, dim, "coordinate")
        if ds[dim].dims != (dim,):
            raise SchemaError(f"Coordinate `{dim}` must be a list of numbers, finite and strictly increasing.")
        need_increasing(ds[dim])
    for name, var in ds.data_vars.items():
        _variable(ds, str(name), var, dims)
    if not values(ds):
        raise SchemaError("A surface needs at least one variable with attrs['role'] == 'value'.")


def _variable(ds: xr.Dataset, name: str, var: xr.DataArray, dims: tuple[str, ...]) -> None:
    role = var.attrs.get("role")
    if role not in ROLES:
        raise SchemaError(f"Variable `{name}` has role {role!r}; expected one of {', '.join(ROLES)}.")
    further = {
        "gradient": ("coordinate",),
        "hessian": ("coordinate", "coordinate_2"),
        "per_example": tuple(map(str, var.dims[len(dims) :][:1])) or ("example",),
    }.get(role, ())
    if tuple(var.dims) != (*dims, *further):
        more = {
            "gradient": " and `coordinate`",
            "hessian": " and `coordinate`, `coordinate_2`",
            "per_example": " and one for the examples",
        }.get(role, "")
        raise SchemaError(f"Variable `{name}` has dims {var.dims}; a {role} has {dims}{more}, in this order.")
    if role == "value":
        for key in ("metric", "split", "long_name", "units"):
            if key not in var.attrs:
                raise SchemaError(f"Variable `{name}` lacks attrs[{key!r}].")
    if role in ("standard_error", "region") and var.attrs.get("of") not in ds:
        whose = {"standard_error": "whose standard error it is", "region": "of which variable it is a region"}[role]
        raise SchemaError(f"Variable `{name}` must say in attrs['of'] {whose}.")


def _path(ds: xr.Dataset) -> None:
    dims = need_coordinates(ds)
    for dim in dims:
        need(ds, ds.data_vars, dim, "position")
    need(ds, ds.data_vars, "distance", "variable")
    one_dimensional(ds, [*dims, "distance"], "step")


CHECKS = {
    "surface": _surface,
    "path": _path,
}
