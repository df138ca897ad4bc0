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
    if ds.attrs.get("part") not in PARTS:
        raise SchemaError(f"attrs['part'] of a kernel is {ds.attrs.get('part')!r}; expected one of {PARTS}.")
    if (ds.attrs["part"] == "layer") != bool(layers):
        raise SchemaError("A kernel has the dim `layer` where attrs['part'] is 'layer', and only there.")
    if layers:
        need(ds, ds.coords, "layer", "coordinate")
    need_rows(ds, "row", "")
    need_rows(ds, "column", "column_")


def _initializations(ds: xr.Dataset) -> None:
    by_layer = dict.fromkeys(("gradient_norm", "activation_mean", "activation_std", "dead"), ("scheme", "layer"))
    by_scheme = dict.fromkeys(("final_loss", "diverged_at"), ("scheme",))
    need_variables(
        ds, {**by_layer, **by_scheme, "singular_value": ("scheme", "state", "value"), "loss": ("scheme", "step")}
    )
    for name in ("scheme", "layer", "state", "value", "step"):
        need(ds, ds.coords, name, "coordinate")
    if ds["diverged_at"].dtype.kind not in "iu":
        raise SchemaError("`diverged_at` holds steps: whole numbers, -1 where training did not diverge.")


def _gradients(ds: xr.Dataset) -> None:
    need_variables(ds, {"norm": ("layer",), "example_norm": ("example",), "cosine": ("example", "other")})
    for name in ("layer", "example"):
        need(ds, ds.coords, name, "coordinate")
    for name in ("noise_scale", "noise_scale_standard_error"):
        if name not in ds.attrs:
            raise SchemaError(f"Gradient statistics need attrs[{name!r}].")


def _lazy(ds: xr.Dataset) -> None:
    need_variables(ds, dict.fromkeys(("distance", "error", "loss", "linear_loss"), ("step",)))
    further = ("relative_distance", "relative_error", "kernel_alignment", "target_alignment", "apart", "trained_loss")
    need_variables(ds, {name: ("step",) for name in further if name in ds})
    need(ds, ds.coords, "step", "coordinate")


def need_rows(ds: xr.Dataset, dim: str, prefix: str) -> None:
    """Rows that say of which example and output they are."""
    for name in ("example", "output"):
        need(ds, ds.coords, prefix + name, "coordinate")
        if ds[prefix + name].dims != (dim,):
            raise SchemaError(f"`{prefix + name}` has dims {ds[prefix + name].dims}; expected ('{dim}',).")


CHECKS = {
    "tangent": _tangent,
    "kernel": _kernel,
    "initializations": _initializations,
    "gradients": _gradients,
    "lazy": _lazy,
}
