"""What descents and critical points say, in sentences. HTML-safe: texts that come with a dataset are escaped."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import xarray as xr

from thalweg.apps.words import number

_MOST = 12  # critical points told one by one
_FEW = 3  # degenerate points up to which they are points, and not samples of a curve


def landscape(ds: xr.Dataset) -> list[str]:
    """What a written landscape is, and what is to be learned from it."""
    told = f"<b>{html.escape(str(ds.attrs['formula']))}</b>. {html.escape(str(ds.attrs.get('about', '')))}"
    regions = [var.attrs for var in ds.data_vars.values() if var.attrs.get("role") == "region"]
    return [told, *map(_near, regions)]


def _near(region: dict) -> str:
    of, _, eps = str(region["long_name"]).partition(" < ")
    share = f"{100 * region['share']:.2g}% of the picture"
    return (
        f"The {html.escape(of)} is below {html.escape(eps)} on {share}, in {_several(region['components'], 'region')}."
    )


def kinds(ds: xr.Dataset) -> list[str]:
    """How many critical points of each type, and how many at a kink or a jump are known besides.

    Examples
    --------
    >>> from thalweg import FunctionProblem, coordinate_plane, critical_points
    >>> two = FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    >>> kinds(critical_points(two, coordinate_plane(two), extent=2.0))
    ['2 minima', '1 saddle']
    """
    known = [f"{_several(len(some), kind)} at a kink or a jump" for kind, some in _by_type(kinks(ds)).items()]
    return [*_found(ds), *known]


def kinks(ds: xr.Dataset) -> list[dict]:
    """Minima known on paper at which there is no gradient to vanish: `at`, `type` and `loss` of each."""
    return json.loads(ds.attrs.get("kinks", "[]"))


def critical_points(ds: xr.Dataset) -> list[str]:
    """How many of each type, and where they are, or the first dozen."""
    names, found = ds["type"].attrs["names"], _found(ds)
    none = "No point with a vanishing gradient was found in the picture."
    told = [f"Found in the picture: {', '.join(found)}." if found else none]
    if ds.attrs.get("flat"):
        told.append(f"On {100 * ds.attrs['flat']:.2g}% of the picture gradient and curvature are zero: flat ground.")
    alone = _single(ds)
    shown = alone if len(alone) <= _MOST + 1 else alone[:_MOST]
    told += [_place(ds, k, names) for k in shown]
    if len(alone) > len(shown):
        told.append(f"And {len(alone) - len(shown)} more.")
    if len(alone) < ds.sizes["point"]:
        told.append(
            "Degenerate points have an eigenvalue of zero; they are samples of a curve or a region on which the "
            "gradient vanishes, half a cell of the grid apart at least."
        )
    return told + [_kink(point) for point in kinks(ds)]


def descent(ds: xr.Dataset) -> list[str]:
    """What moved, from how many places, where it ended, how long it waited, what it crossed."""
    scheduler = "" if ds.attrs["scheduler"] == "none" else f" under {html.escape(str(ds.attrs['scheduler']))}"
    moved = f"{html.escape(str(ds.attrs['optimizer']))}{scheduler}, {_several(int(ds.attrs['steps']), 'step')}"
    batch = f", mini-batches of {ds.attrs['batch_size']}" if ds.attrs.get("batch_size") else ""
    noise = f", noise {number(float(ds.attrs['noise']))}" if ds.attrs.get("noise") else ""
    told = [f"{moved} from {_several(ds.sizes['start'], 'start')}{batch}{noise}."]
    if ds.attrs.get("about"):
        told.insert(0, html.escape(str(ds.attrs["about"])))
    if "outcome" in ds:
        settled = int(ds.attrs.get("settled", 0))
        rest = f", {settled:,} steps without noise later" if settled else ""
        told.append(f"Where they ended{rest}: {html.escape('; '.join(ends(ds)))}.")
    if "plateau" in ds and _plain(ds) and _rested(ds):
        told.append(_waited(ds))
    if "crossings" in ds:
        told.append(_crossed(ds["crossings"].values))
    return told


def ends(ds: xr.Dataset, most: int = 8) -> list[str]:
    """How many starts ended where, most first; beyond `most` places only how many."""
    names = ds["outcome"].attrs["names"]
    counts = np.bincount(ds["outcome"].values, minlength=len(names))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    told = [f"{counts[k]:,} {_at(str(names[k]))}" for k in order[:most]]
    rest = order[most:]
    return told + ([f"{int(counts[rest].sum()):,} in {_several(len(rest), 'other place')}"] if rest else [])


def _at(name: str) -> str:
    """`in the minimum at (1, 1)`; names without a place (`still moving`) stay as they are."""
    where = {"minimum": "in the", "flat": "in the", "saddle": "on the", "maximum": "on the", "branch": "on the"}
    word = where.get(name.split(" ", maxsplit=1)[0])
    return f"{word} {name}" if word else name


def _plain(ds: xr.Dataset) -> bool:
    """Whether this is gradient descent and nothing else: only then does a slow stretch of the loss tell of a plateau.

    Momentum and large steps make the loss swing, Adam and schedules begin slowly, noise and mini-batches shake it.
    """
    alone = re.fullmatch(r"SGD(\(lr=[^,]*\))?", str(ds.attrs["optimizer"])) and ds.attrs["scheduler"] == "none"
    return bool(alone) and not ds.attrs.get("noise") and not ds.attrs.get("batch_size")


def _rested(ds: xr.Dataset) -> bool:
    """Whether every descent came to its end."""
    if "outcome" not in ds:
        return False
    reached = {ds["outcome"].attrs["kinds"][int(k)] for k in ds["outcome"].values}
    return not reached & {"moving", "diverged"}


def _found(ds: xr.Dataset) -> list[str]:
    names = ds["type"].attrs["names"]
    counts = np.bincount(ds["type"].values, minlength=len(names))
    return [_several(int(n), name) for n, name in zip(counts, names, strict=True) if n]


def _single(ds: xr.Dataset) -> list[int]:
    """The points to be told one by one: not those that sample a curve or a region."""
    names = ds["type"].attrs["names"]
    degenerate = [names[int(k)].startswith("degenerate") for k in ds["type"].values]
    few = sum(degenerate) <= _FEW
    return [k for k, sampled in enumerate(degenerate) if few or not sampled]


def _by_type(points: list[dict]) -> dict[str, list[dict]]:
    return {kind: [p for p in points if p["type"] == kind] for kind in dict.fromkeys(p["type"] for p in points)}


def _kink(point: dict) -> str:
    where = ", ".join(number(x) for x in point["at"])
    return (
        f"Known on paper: {html.escape(point['type'])} at ({where}), loss {number(point['loss'])}. There the loss has "
        "a kink or a jump, and no gradient that vanishes, which is what Newton's iteration looks for: so it finds none."
    )


def _place(ds: xr.Dataset, k: int, names: list[str]) -> str:
    where = ", ".join(number(round(float(ds[dim][k]), 6) + 0.0) for dim in ds.attrs["coordinates"])
    low, high = (number(float(v)) for v in ds["eigenvalue"].values[k])
    kind = names[int(ds["type"][k])]
    kind = "Degenerate point" if kind == "degenerate" else kind.capitalize()
    loss = number(round(float(ds["loss"][k]), 12) + 0.0)  # what is left of zero after rounding is zero
    return f"{kind} at ({where}): loss {loss}, eigenvalues {low} and {high}."


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
