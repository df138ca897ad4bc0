"""Paths, curves and descents as places on the surface, one after the other, for a marker that walks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from thalweg.apps.explorer.scenery import WALKED, Look, plane
from thalweg.apps.explorer.shelf import Shelf
from thalweg.figures import theme as themes
from thalweg.figures.overlay import Sheet
from thalweg.figures.prepare import Map

MOST_PLACES, MOST_STARTS = 2000, 60  # what travels to the page; more are thinned out evenly
_LOSSES = ("loss", "batch_loss")


def walkers(shelf: Shelf, prepared: Callable[[Look], Map], look: Look) -> list[dict[str, Any]]:
    """Everything on the surface that can be walked: by step or t, positions, heights as drawn, and what is known there.

    Raises
    ------
    Refusal, ValueError
        As `prepared`.
    """
    sheet = prepared(look).layers[look.variable].sheet
    keys = [key.partition(":") for key in look.on_it if key.partition(":")[0] in WALKED]
    order = sorted(keys, key=lambda key: WALKED.index(key[0]))  # figures colour paths first, then curves
    dims = plane(shelf.load(look.name), look.at).attrs["coordinates"]
    return [
        _walker(f"{kind}:{name}", shelf.load(name), sheet, look.variable, number, len(dims) == 2)
        for number, (kind, _, name) in enumerate(order)
    ]


def _walker(key: str, ds: xr.Dataset, sheet: Sheet, variable: str, number: int, same: bool) -> dict[str, Any]:
    dim = "t" if ds.attrs["kind"] == "course" else "step"
    ds = ds.isel({dim: _thinned(ds.sizes[dim], MOST_PLACES)})
    if "start" in ds.dims:
        ds = ds.isel(start=_thinned(ds.sizes["start"], MOST_STARTS))
    walk = ds.transpose("start", dim, ...) if "start" in ds.dims else ds
    values = walk[dim].values if dim in walk.coords else np.arange(walk.sizes[dim])
    places = np.stack([np.atleast_2d(walk[d].values.astype(float)) for d in sheet.dims])
    projected = _over(walk, f"projected_{variable}", dim) if same else None
    heights = np.stack([sheet.lift(one)[2] for one in places.swapaxes(0, 1)])
    if projected is not None:
        inside = sheet.covers(*places) & np.isfinite(projected)
        heights = np.where(inside, sheet.scale(projected), heights)
    true = next((found for name in (variable, *_LOSSES) if (found := _over(walk, name, dim)) is not None), None)
    return {
        "id": key,
        "dim": dim,
        "values": _plain(values),
        "x": _plain(places[0]),
        "y": _plain(places[1]),
        "z": _plain(heights),
        "true": None if true is None else _plain(true),
        "projected": None if projected is None else _plain(projected),
        "distance": None if (far := _over(walk, "distance", dim)) is None else _plain(far),
        "color": themes.path_color(number),
    }


def _over(ds: xr.Dataset, name: str, dim: str) -> np.ndarray | None:
    """A variable over (start, step), if it is there and over these."""
    if name not in ds or dim not in ds[name].dims or not set(ds[name].dims) <= {"start", dim}:
        return None
    return np.atleast_2d(ds[name].values.astype(float))


def _thinned(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _plain(numbers: np.ndarray) -> Any:
    """Numbers for JSON; what is not finite is None."""
    numbers = np.asarray(numbers, dtype=float)
    told = numbers.astype(object)
    told[~np.isfinite(numbers)] = None
    return told.tolist()
