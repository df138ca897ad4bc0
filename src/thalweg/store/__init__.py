"""Results on disk: a study is a zarr store that holds several results as an `xarray.DataTree`."""

from thalweg.store.grid import Grid, StoredGrid, StoreMismatchError
from thalweg.store.study import load, open_study, provenance, results, save
from thalweg.store.trajectory import StoredTrajectory

__all__ = [
    "Grid",
    "StoreMismatchError",
    "StoredGrid",
    "StoredTrajectory",
    "load",
    "open_study",
    "provenance",
    "results",
    "save",
]
