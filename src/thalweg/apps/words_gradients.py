"""What gradients and initialisations say, in sentences. HTML-safe: texts of a dataset are escaped."""

from __future__ import annotations

import html

import numpy as np
import xarray as xr

from thalweg.apps.words import number


def gradients(ds: xr.Dataset) -> list[str]:
    """Norms by layer, and the noise scale."""
    scale, error = float(ds.attrs["noise_scale"]), float(ds.attrs["noise_scale_standard_error"])
    noise = (
        f"The gradient noise scale is {number(scale)} ± {number(error)} examples (standard error): mini-batches much "
        "smaller than that point mostly in random directions."
        if np.isfinite(scale)
        else "The gradient's length is not told apart from its noise, so the noise scale has no finite estimate."
    )
    return [f"Norms of the gradient by parameter: {_norms(ds['layer'].values, ds['norm'].values)}.", noise]


def initializations(ds: xr.Dataset) -> list[str]:
    """For each scheme: gradient norms, and where training led."""
    told = []
    for k, name in enumerate(ds["scheme"].values):
        at, loss = int(ds["diverged_at"][k]), float(ds["final_loss"][k])
        end = f"training diverged at step {at:,}" if at >= 0 else f"final loss {number(loss)}"
        norms = _norms(ds["layer"].values, ds["gradient_norm"].values[k])
        told.append(f"{html.escape(str(name))}: {end}. Norms of its first gradient: {norms}.")
    return told


def _norms(layers: np.ndarray, norms: np.ndarray) -> str:
    shown = ", ".join(f"{html.escape(str(layer))} {norm:.3e}" for layer, norm in zip(layers, norms, strict=True))
    return shown if len(layers) <= 20 else f"from {np.nanmin(norms):.3e} to {np.nanmax(norms):.3e}"
