"""Initialisations held against each other, statistics of gradients, and errors beyond the training data."""

from __future__ import annotations

import xarray as xr

from thalweg.schema.needs import SchemaError, need, need_variables

STATES = ("initial", "trained")
REGIONS = ("inside", "outside")


def _initializations(ds: xr.Dataset) -> None:
    layers = ("gradient_norm", "activation_mean", "activation_std", "dead")
    scalars = ("initial_loss", "final_loss", "diverged_at")
    need_variables(
        ds,
        {
            **dict.fromkeys(layers, ("scheme", "layer")),
            "loss": ("scheme", "step"),
            **dict.fromkeys(scalars, ("scheme",)),
        },
    )
    for name in ("scheme", "layer", "step"):
        need(ds, ds.coords, name, "coordinate")
    if "singular_value" in ds:
        need_variables(ds, {"singular_value": ("scheme", "state", "value")})
        _need_exactly(ds, "state", STATES)
    if ds["diverged_at"].dtype.kind not in "iu":
        raise SchemaError(f"`diverged_at` holds {ds['diverged_at'].dtype}; expected whole numbers, -1 for never.")


def _gradients(ds: xr.Dataset) -> None:
    need_variables(ds, {"norm": ("layer",), "example_norm": ("example",)})
    for name in ("layer", "example"):
        need(ds, ds.coords, name, "coordinate")
    if "cosine" in ds:
        need_variables(ds, {"cosine": ("one", "other")})
        for name in ("one", "other"):
            need(ds, ds.coords, name, "coordinate")
    need(ds, ds.attrs, "noise_scale", "attr")
    need(ds, ds.attrs, "noise_scale_standard_error", "attr")


def _extrapolation(ds: xr.Dataset) -> None:
    need_variables(ds, dict.fromkeys(("x", "prediction", "target", "inside"), ("input",)))
    need_variables(ds, dict.fromkeys(("mean_square_error", "largest_error", "count"), ("region",)))
    _need_exactly(ds, "region", REGIONS)
    need(ds, ds.attrs, "train_range", "attr")


def _need_exactly(ds: xr.Dataset, name: str, words: tuple[str, ...]) -> None:
    need(ds, ds.coords, name, "coordinate")
    if tuple(ds[name].values.tolist()) != words:
        raise SchemaError(f"Coordinate `{name}` is {ds[name].values.tolist()}; expected {list(words)}.")


CHECKS = {"initializations": _initializations, "gradients": _gradients, "extrapolation": _extrapolation}
