"""Which kind of result a figure needs, and what makes one."""

from __future__ import annotations

import xarray as xr

from thalweg import schema

_MAKERS = {
    "eigenpairs": "top_eigenpairs",
    "spectral_density": "spectral_density",
    "estimate": "trace",
    "spectrum_path": "track_spectrum",
    "trajectory": "Recorder",
    "connection": "connect",
    "barrier": "loss_barrier",
    "course": "course",
    "motion": "motion",
    "random_walk": "random_walk",
    "components_by_length": "components_by_length",
    "initializations": "compare_initializations",
    "gradients": "gradient_statistics",
    "extrapolation": "extrapolation",
    "tangent_path": "track_tangent",
    "gradient_features": "gradient_features",
    "elbows": "elbows",
    "tangent": "linearize",
    "kernel": "empirical_ntk",
    "lazy": "laziness",
    "graph": "computational_graph",
}


def need(ds: xr.Dataset, kind: str | tuple[str, ...], argument: str = "ds") -> xr.Dataset:
    """The checked dataset, if it is of this kind, or of one of them.

    Raises
    ------
    ValueError
        Naming the kind that came, and what makes the one that is needed.
    TypeError
        If it is no dataset.

    Examples
    --------
    >>> need(xr.Dataset(attrs={"kind": "surface"}), "eigenpairs")
    Traceback (most recent call last):
    ValueError: `ds` is of kind 'surface', and one of kind 'eigenpairs' is needed; `thalweg.top_eigenpairs` makes one.
    """
    known = (kind,) if isinstance(kind, str) else kind
    needed, makers = " or ".join(map(repr, known)), " or ".join(f"`thalweg.{_MAKERS[k]}`" for k in known)
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"`{argument}` is a {type(ds).__name__}; a dataset of kind {needed} is needed.")
    if (came := ds.attrs.get("kind")) not in known:
        raise ValueError(f"`{argument}` is of kind {came!r}, and one of kind {needed} is needed; {makers} makes one.")
    return schema.check(ds)
