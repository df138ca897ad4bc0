"""What curves between optima say, in sentences. HTML-safe: only numbers and our own names go in."""

from __future__ import annotations

import html
from collections.abc import Mapping

import xarray as xr

from thalweg.apps.words import number

_WAYS = {
    "unaligned": "On the straight way between the networks as they were trained",
    "segment": "On the straight way",
    "curve": "On the learned curve",
}


def matched(before: float, after: float) -> str:
    """What alignment did."""
    return (
        "The units of the second network were put into the order of the first: the cosine between their weights rose "
        f"from {number(before)} to {number(after)}. What it computes is the same."
    )


def barriers(found: Mapping[str, xr.Dataset]) -> list[str]:
    """How far the training loss, or else the first quantity, rises on each way."""
    ways = _WAYS | ({"segment": "On the straight way after their alignment"} if "unaligned" in found else {})
    return [f"{ways.get(way, f'On the way {html.escape(way)}')} {_risen(ds)}" for way, ds in found.items()]


def _risen(ds: xr.Dataset) -> str:
    names = [str(name) for name in ds["quantity"].values]
    told = []
    for name, words in (("loss", "the training loss"), ("test_loss", "the test loss")):
        if name in names:
            one = ds.sel(quantity=name)
            ends = f"the line between its ends ({number(float(one['start']))} and {number(float(one['end']))})"
            height = float(one["barrier"])
            above = f"rises by {number(height)} above {ends}, at t = {float(one['t']):.2f}"
            told.append(f"{words} {above if not height <= 0 else f'nowhere rises above {ends}'}")
    return "; ".join(told) + "."


def connection(ds: xr.Dataset) -> str:
    """How a curve was learned."""
    kind = {"bezier": "A Bezier curve", "polygonal": "A polygonal chain"}[ds.attrs["curve"]]
    bends = int(ds.sizes["node"]) - 2
    return (
        f"{kind} with {bends} bend{'s' * (bends != 1)} between two solutions, learned in {ds.sizes['step']:,} steps so "
        "that the mean loss along it becomes small (Garipov et al. 2018)."
    )


def course(ds: xr.Dataset) -> str:
    """How far the curve is from the plane."""
    away = float(ds["distance"].max())
    far = f"It leaves the plane by up to {number(away)}." if away > 1e-3 * _width(ds) else "It lies in the plane."
    return f"The curve with its ends and bends, and the straight segment. {far}"


def _width(ds: xr.Dataset) -> float:
    return max(float(ds[str(dim)].max() - ds[str(dim)].min()) for dim in ds.attrs["coordinates"])
