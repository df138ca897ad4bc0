"""What descents and critical points say, in sentences. HTML-safe: texts that come with a dataset are escaped."""

from __future__ import annotations

import html

import numpy as np
import xarray as xr

from thalweg.apps.words import number


def landscape(ds: xr.Dataset) -> list[str]:
    """What a written landscape is, and what is to be learned from it."""
    told = f"<b>{html.escape(str(ds.attrs['formula']))}</b>. {html.escape(str(ds.attrs.get('about', '')))}"
    regions = [var.attrs for var in ds.data_vars.values() if var.attrs.get("role") == "region"]
    return [told, *map(_near, regions)]


def _near(region: dict) -> str:
    share = f"{100 * region['share']:.2g}% of the picture"
    return f"The {html.escape(region['long_name'])} on {share}, in {_several(region['components'], 'region')}."


def critical_points(ds: xr.Dataset) -> list[str]:
    """How many of each type, and where the first few are."""
    names = ds["type"].attrs["names"]
    counts = np.bincount(ds["type"].values, minlength=len(names))
    if not counts.any():
        return ["No critical point was found in the picture."]
    kinds = [_several(int(n), name) for n, name in zip(counts, names, strict=True) if n]
    told = [f"Found in the picture: {', '.join(kinds)}."]
    alone = [k for k in range(ds.sizes["point"]) if not names[int(ds["type"][k])].startswith("degenerate")]
    told += [_place(ds, k, names) for k in alone[:8]]
    if len(alone) > 8:
        told.append(f"And {len(alone) - 8} more.")
    if len(alone) < ds.sizes["point"]:
        told.append(
            "Degenerate points have an eigenvalue of zero; they are samples of a curve or a region on which the "
            "gradient vanishes, half a cell of the grid apart at least."
        )
    return told


def descent(ds: xr.Dataset) -> list[str]:
    """What moved, from how many places, where it ended, how long it waited, what it crossed."""
    scheduler = "" if ds.attrs["scheduler"] == "none" else f" under {html.escape(str(ds.attrs['scheduler']))}"
    moved = f"{html.escape(str(ds.attrs['optimizer']))}{scheduler}, {_several(int(ds.attrs['steps']), 'step')}"
    batch = f", mini-batches of {ds.attrs['batch_size']}" if ds.attrs.get("batch_size") else ""
    noise = f", noise {number(float(ds.attrs['noise']))}" if ds.attrs.get("noise") else ""
    told = [f"{moved} from {_several(ds.sizes['start'], 'start')}{batch}{noise}."]
    if "about" in ds.attrs:
        told.insert(0, html.escape(str(ds.attrs["about"])))
    if "outcome" in ds:
        settled = int(ds.attrs.get("settled", 0))
        rest = f", {settled:,} steps without noise later" if settled else ""
        told.append(f"Where they ended{rest}: {html.escape('; '.join(ends(ds)))}.")
    if "plateau" in ds and not ds.attrs.get("noise"):
        told.append(_waited(ds))
    if "crossings" in ds:
        told.append(_crossed(ds["crossings"].values))
    return [text for text in told if text]


def ends(ds: xr.Dataset, most: int = 8) -> list[str]:
    """How many starts ended where, most first; beyond `most` places only how many."""
    names = ds["outcome"].attrs["names"]
    counts = np.bincount(ds["outcome"].values, minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    told = [f"{counts[k]:,} {names[k]}" for k in order[:most]]
    rest = order[most:]
    return told + ([f"{int(counts[rest].sum()):,} in {len(rest)} other places"] if rest else [])


def _place(ds: xr.Dataset, k: int, names: list[str]) -> str:
    where = ", ".join(number(round(float(ds[dim][k]), 6) + 0.0) for dim in ds.attrs["coordinates"])
    low, high = (number(float(v)) for v in ds["eigenvalue"].values[k])
    kind = names[int(ds["type"][k])]
    return f"{kind.capitalize()} at ({where}): loss {number(float(ds['loss'][k]))}, eigenvalues {low} and {high}."


def _waited(ds: xr.Dataset) -> str:
    steps = ds["plateau"].values
    waited = int((steps > 0).sum())
    if not waited:
        return "None waited on a plateau."
    return (
        f"{waited:,} of {steps.size:,} waited on a plateau (the loss shrinking at less than a fifth of the rate to "
        f"come): {_several(int(np.median(steps[steps > 0])), 'step')} in the median, {int(steps.max()):,} at most."
    )


def _crossed(crossings: np.ndarray) -> str:
    some = int((crossings > 0).sum())
    if not some:
        return "None crossed the barrier."
    return f"{some:,} of {crossings.size:,} crossed the barrier, {_several(int(crossings.sum()), 'time')} in all."


def _several(count: int, noun: str) -> str:
    plural = {"degenerate minimum": "degenerate minima", "minimum": "minima", "maximum": "maxima"}
    plural |= {"degenerate maximum": "degenerate maxima", "degenerate": "degenerate points"}
    if count == 1:
        return f"1 {noun}" if noun != "degenerate" else "1 degenerate point"
    return f"{count:,} {plural.get(noun, noun + 's')}"
