"""What every kind is asked for, in one wording."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr


class SchemaError(ValueError):
    """A dataset is not what the rest of thalweg can read."""


def coordinates(surface: xr.Dataset) -> tuple[str, ...]:
    """Names of the grid's dims, in order."""
    return tuple(np.atleast_1d(surface.attrs["coordinates"]).tolist())


def need_coordinates(ds: xr.Dataset) -> tuple[str, ...]:
    """Names of the coordinates, which have to be there."""
    kind = ds.attrs["kind"]
    if "coordinates" not in ds.attrs:
        raise SchemaError(f"A {kind} names its dims in attrs['coordinates'], for example ['alpha', 'beta'].")
    dims = coordinates(ds)
    if not dims or not all(isinstance(dim, str) for dim in dims):
        raise SchemaError(
            f"attrs['coordinates'] of a {kind} is {ds.attrs['coordinates']!r}; expected names of its dims."
        )
    return dims


def need_variables(ds: xr.Dataset, wanted: dict[str, tuple[str, ...]]) -> None:
    """Refuse a dataset without these variables over these dims."""
    for name, dims in wanted.items():
        need(ds, ds.data_vars, name, "variable")
        if ds[name].dims != dims:
            raise SchemaError(f"`{name}` has dims {ds[name].dims}; expected {dims}.")


def need(ds: xr.Dataset, where: Iterable[Hashable], name: str, what: str) -> None:
    """Refuse a dataset without `name` among its variables or coordinates."""
    if name not in where:
        raise SchemaError(f"A {ds.attrs['kind']} needs the {what} `{name}`; it has {sorted(map(str, where))}.")


def one_dimensional(ds: xr.Dataset, names: Iterable[str], dim: str) -> None:
    """Refuse variables that are not over `dim` alone."""
    need(ds, ds.coords, dim, "coordinate")
    for name in names:
        if ds[name].dims != (dim,):
            raise SchemaError(f"`{name}` has dims {ds[name].dims}; expected ('{dim}',).")


def need_increasing(axis: xr.DataArray) -> None:
    """Refuse an axis that is not a list of rising numbers."""
    numeric = axis.dtype.kind in "iuf"
    if not numeric or not np.isfinite(axis).all() or not (np.diff(axis.values) > 0).all():
        raise SchemaError(f"Coordinate `{axis.name}` must be a list of numbers, finite and strictly increasing.")


def need_names(var: xr.DataArray, *keys: str) -> None:
    """Numbers that stand for words: each has one."""
    for key in keys:
        words = np.atleast_1d(var.attrs.get(key, []))
        if var.dtype.kind not in "iu" or (var.size and not 0 <= int(var.min()) <= int(var.max()) < len(words)):
            raise SchemaError(f"`{var.name}` holds whole numbers, each the place of a word in its attrs[{key!r}].")
