"""What spectra say, in sentences. HTML-safe: only numbers and our own names go in, texts of a dataset are escaped."""

from __future__ import annotations

import html

import numpy as np
import xarray as xr

from thalweg.apps.words import number
from thalweg.schema import MATRICES


def matrix(ds: xr.Dataset) -> str:
    """Which matrix, of which block."""
    asked = str(ds.attrs.get("matrix"))
    name = f"the {MATRICES.get(asked, html.escape(asked))}"
    block = str(ds.attrs.get("parameters", "all"))
    whose = name if block in ("all", "all weights") else f"{name} of {html.escape(block)}"
    some = ds.attrs.get("num_examples")
    return f"{whose} over a random subset of {int(some):,} examples" if some else whose


def eigenpairs(ds: xr.Dataset) -> list[str]:
    """Top eigenvalues, how exact they are, and what they cost."""
    values, converged = ds["eigenvalue"].values, ds["converged"].values
    ends = f"run from {number(float(values[0]))} to {number(float(values[-1]))}"
    largest = ds.attrs.get("which") == "magnitude"
    first = f"The {len(values)} largest eigenvalues of {matrix(ds)} (in magnitude) {ends}"
    first = first if largest else f"{len(values)} eigenvalues of {matrix(ds)} {ends}"
    lost = int((~converged).sum())
    exact = (
        f"; every residual is below {ds.attrs['tol']:g} of the largest."
        if not lost
        else f"; {lost} of them did not converge within the budget, and are marked so."
    )
    listed = ", ".join(number(float(value)) for value in values[:20]) + (", ..." if len(values) > 20 else "")
    told = [first + exact + f" That took {ds.attrs['num_matvecs']} products with the matrix.", f"They are {listed}."]
    classes = int(ds.attrs.get("num_classes", 0))
    if classes > 1 and len(values) >= classes:
        before, after = abs(float(values[classes - 2])), abs(float(values[classes - 1]))
        told.append(
            f"With {classes} classes one expects about {classes - 1} outliers: the eigenvalue number {classes - 1} is "
            f"{number(before / after if after else np.inf)} times the next."
        )
    share = float(ds.attrs.get("gradient_share", np.nan))
    if np.isfinite(share):
        told.append(f"{share:.0%} of the gradient's squared length lies in the span of these eigenvectors.")
    return told


def density(ds: xr.Dataset) -> list[str]:
    """Where the eigenvalues are."""
    nodes, weights, width = ds["node"].values, ds["node_weight"].values, float(ds.attrs["sigma"])
    negative = float(np.where(nodes < -width, weights, 0.0).sum(axis=-1).mean())
    return [
        f"The density of all {int(ds.attrs['num_selected']):,} eigenvalues of {matrix(ds)}, from "
        f"{int(ds.attrs['num_probes'])} random vectors. The trace is {number(float(ds.attrs['trace']))} ± "
        f"{number(float(ds.attrs['trace_standard_error']))} (standard error); {negative:.2g} of the "
        f"eigenvalues are below −{number(width)}, the width to which they are smoothed. The curve is that of the "
        "smoothed eigenvalues: a single one looks like a bell of that width. The band, which leaves the smoothing out, "
        "holds it with 95% confidence."
    ]


def spectrum_path(ds: xr.Dataset) -> list[str]:
    """How the top of the spectrum moved, against the line of stability."""
    top, line = ds["eigenvalue"].values[:, 0], ds["threshold"].values
    told = [
        f"Between step {int(ds['step'][0]):,} and step {int(ds['step'][-1]):,} the largest eigenvalue of {matrix(ds)} "
        f"went from {number(float(top[0]))} to {number(float(top[-1]))}. Each of the {ds.sizes['step']} measurements "
        f"took {float(ds['num_matvecs'].values.mean()):.0f} products on average."
    ]
    if np.isfinite(line[-1]):
        words = html.escape(str(ds.attrs.get("threshold_words", "2 / learning rate")))
        told.append(
            f"Gradient descent on a parabola is stable below {words} = {number(float(line[-1]))}; the last value is "
            f"{number(float(top[-1] / line[-1]))} times that."
        )
    return told


def estimate(ds: xr.Dataset) -> list[str]:
    """A trace or a diagonal with its standard error."""
    quantity = html.escape(str(ds.attrs.get("quantity", "estimate")))
    if ds["value"].ndim:
        return [f"The {quantity} of {matrix(ds)}, with {int(ds.attrs['num_matvecs'])} products."]
    value, error = float(ds["value"]), float(ds["standard_error"])
    return [f"The {quantity} of {matrix(ds)} is {number(value)} ± {number(error)} (standard error)."]
