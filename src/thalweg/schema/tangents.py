"""Kinds of the tangent of a network: Jacobians, kernels, what initialisation does, gradients, lazy training."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import SchemaError, need, need_variables

PARTS = ("full", "trace", "layer")


def _tangent(ds: xr.Dataset) -> None:
    wanted = {"singular_value": ("value",), "residual": ("value",), "principal_feature": ("row", "value")}
    further = {"bound": ("value",), "right_vector": ("value", "weight")}
    need_variables(ds, wanted | {name: dims for name, dims in further.items() if name in ds})
    need(ds, ds.coords, "value", "coordinate")
    need_rows(ds, "row", "")
    need_variables(ds, {name: ("row",) for name in ("x", "prediction", "target") if name in ds.data_vars})


def _kernel(ds: xr.Dataset) -> None:
    layers = ("layer",) if "layer" in ds.dims else ()
    need_variables(ds, {"kernel": (*layers, "row", "column")})
    need_variables(ds, {name: ("value",) for name in ("eigenvalue",) if name in ds.data_vars})
    if ds.attrs.get("part") not in PARTS:
        raise SchemaError(f"attrs['part'] of a kernel is {ds.attrs.get('part')!r}; expected one of {PARTS}.")
    if (ds.attrs["part"] == "layer") != bool(layers):
        raise SchemaError("A kernel has the dim `layer` where attrs['part'] is 'layer', and only there.")
    if layers:
        need(ds, ds.coords, "layer", "coordinate")
    need_rows(ds, "row", "")
    need_rows(ds, "column", "column_")


def _lazy(ds: xr.Dataset) -> None:
    need_variables(ds, dict.fromkeys(("distance", "error", "loss", "linear_loss"), ("step",)))
    further = ("relative_distance", "relative_error", "kernel_alignment", "target_alignment", "apart", "trained_loss")
    need_variables(ds, {name: ("step",) for name in further if name in ds})
    need(ds, ds.coords, "step", "coordinate")


def _tangent_path(ds: xr.Dataset) -> None:
    over_steps = ("rank", "rank_known", "effective_rank", "loss", "diverged")
    need_variables(ds, dict.fromkeys(over_steps, ("step",)))
    need_variables(ds, {"singular_value": ("step", "value"), "prediction": ("step", "row")})
    further: dict[str, tuple[str, ...]] = {"kernel_alignment": ("step",), "target_alignment": ("step",)}
    further |= {"test_loss": ("step",), "x": ("row",), "target": ("row",)}
    further["principal_feature"] = ("step", "row", "value")
    if "principal_feature" in ds:
        need_variables(ds, {"place": ("step", "value"), "agreement": ("step", "value")})
    need_variables(ds, {name: dims for name, dims in further.items() if name in ds.data_vars})
    for name in ("step", "value"):
        need(ds, ds.coords, name, "coordinate")
    need_rows(ds, "row", "")
    if "diverged_at" not in ds.attrs:
        raise SchemaError("A tangent_path says in attrs['diverged_at'] at which step it diverged, -1 for never.")


def _gradient_features(ds: xr.Dataset) -> None:
    need_variables(ds, {"feature": ("row", "weight"), "prediction": ("row",)})
    for name in ("parameter", "layer"):
        need(ds, ds.coords, name, "coordinate")
        if ds[name].dims != ("weight",):
            raise SchemaError(f"`{name}` has dims {ds[name].dims}; expected ('weight',).")
    need_rows(ds, "row", "")
    need_variables(ds, {name: ("row",) for name in ("x", "target") if name in ds.data_vars})


def _elbows(ds: xr.Dataset) -> None:
    need_variables(ds, {"x": ("elbow",), "turns": ("elbow",), "bend": ("elbow", "output")})
    need_variables(ds, {"node_x": ("node",), "prediction": ("node", "output")})
    need_variables(ds, dict.fromkeys(("units", "always_on", "never_on"), ("part",)))
    further = {"train_x": "example", "train_y": "example", "truth_x": "place", "truth": "place"}
    need_variables(ds, {name: (dim,) for name, dim in further.items() if name in ds})
    for name in ("layer", "depth", "unit", "part", "relu_depth", "relu_unit"):
        need(ds, ds.coords, name, "coordinate")


def need_rows(ds: xr.Dataset, dim: str, prefix: str) -> None:
    """Rows that say of which example and output they are."""
    for name in ("example", "output"):
        need(ds, ds.coords, prefix + name, "coordinate")
        if ds[prefix + name].dims != (dim,):
            raise SchemaError(f"`{prefix + name}` has dims {ds[prefix + name].dims}; expected ('{dim}',).")


CHECKS = {
    "tangent": _tangent,
    "kernel": _kernel,
    "lazy": _lazy,
    "tangent_path": _tangent_path,
    "gradient_features": _gradient_features,
    "elbows": _elbows,
}
