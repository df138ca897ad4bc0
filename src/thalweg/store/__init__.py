"""Results on disk: a study is a zarr store that holds several results as an `xarray.DataTree`."""

from thalweg.store.grid import Grid, StoredGrid, StoreMismatchError
from thalweg.store.study import load, open_study, provenance, results, save

__all__ = ["Grid", "StoreMismatchError", "StoredGrid", "load", "open_study", "provenance", "results", "save"]
