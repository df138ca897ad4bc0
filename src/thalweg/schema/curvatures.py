"""Kinds of curvature."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import SchemaError, need, need_increasing, need_variables

MATRICES = {
    "hessian": "Hessian",
    "ggn": "Gauss-Newton matrix",
    "fisher": "Fisher matrix",
    "fisher_sampled": "sampled Fisher matrix",
    "empirical_fisher": "empirical Fisher matrix",
}
QUANTITIES = {"trace": (), "diagonal": ("weight",)}


def _eigenpairs(ds: xr.Dataset) -> None:
    need_matrix(ds)
    need_variables(ds, dict.fromkeys(("eigenvalue", "residual", "converged"), ("pair",)))
    if "eigenvector" in ds:
        need_variables(ds, {"eigenvector": ("pair", "weight")})
    need(ds, ds.coords, "pair", "coordinate")
    need_verdicts(ds)


def _spectral_density(ds: xr.Dataset) -> None:
    need_matrix(ds)
    need(ds, ds.coords, "eigenvalue", "coordinate")
    further = [name for name in ("density_low", "density_high") if name in ds]
    need_variables(ds, dict.fromkeys(("density", "density_standard_error", *further), ("eigenvalue",)))
    need_increasing(ds["eigenvalue"])
    for name in ("node", "node_weight"):
        need(ds, ds.data_vars, name, "variable")
        dims = ds[name].dims
        if len(dims) != 2 or dims[0] != "probe" or dims != ds["node"].dims:
            raise SchemaError(f"`{name}` has dims {dims}; expected `probe` and one for the nodes, for both the same.")


def _estimate(ds: xr.Dataset) -> None:
    need_matrix(ds)
    quantity = ds.attrs.get("quantity")
    if quantity not in QUANTITIES:
        raise SchemaError(f"attrs['quantity'] is {quantity!r}; an estimate is of one of {', '.join(QUANTITIES)}.")
    need_variables(ds, dict.fromkeys(("value", "standard_error"), QUANTITIES[quantity]))
    if "sample" in ds:
        need_variables(ds, {"sample": ("probe",)})


def _spectrum_path(ds: xr.Dataset) -> None:
    need_matrix(ds)
    need(ds, ds.coords, "step", "coordinate")
    every = dict.fromkeys(("eigenvalue", "residual", "converged"), ("step", "pair"))
    scalars = ("num_matvecs", "learning_rate", "loss", "gradient_norm", "gradient_share", "threshold")
    need_variables(ds, {**every, **dict.fromkeys(scalars, ("step",))})
    further = {"preconditioned": ("step", "pair"), "overlap": ("step", "other"), "density": ("step", "grid")}
    need_variables(ds, {name: dims for name, dims in further.items() if name in ds})
    need_verdicts(ds)
    for name, coordinate in (("overlap", "other"), ("density", "grid")):
        if name in ds:
            need(ds, ds.coords, coordinate, "coordinate")
    if "density" in ds:
        need_increasing(ds["grid"])


def need_matrix(ds: xr.Dataset) -> None:
    """Refuse an unknown matrix."""
    if ds.attrs.get("matrix") not in MATRICES:
        raise SchemaError(
            f"attrs['matrix'] of a {ds.attrs['kind']} is {ds.attrs.get('matrix')!r}; "
            f"expected one of {', '.join(MATRICES)}."
        )


def need_verdicts(ds: xr.Dataset) -> None:
    """Refuse verdicts that are not true or false."""
    if ds["converged"].dtype.kind not in "biu":
        raise SchemaError(f"`converged` holds {ds['converged'].dtype}; expected true or false for every pair.")


CHECKS = {
    "eigenpairs": _eigenpairs,
    "spectral_density": _spectral_density,
    "estimate": _estimate,
    "spectrum_path": _spectrum_path,
}
