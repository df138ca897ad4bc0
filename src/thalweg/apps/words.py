"""What a result says, in sentences: the figures in words. HTML-safe, since only numbers and our own names go in."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema

_HEADINGS = {
    "random": "The surface around the model",
    "principal": "The training path on its principal plane",
    "through": "The plane through three solutions",
    "curve": "The plane in which a curve between two solutions bends",
    "segment": "Along the straight line between two solutions",
    "eigen": "Along eigenvectors of the Hessian",
    "coordinates": "The landscape",
}


def heading(surface: xr.Dataset) -> str:
    """Heading of a surface's section."""
    info = json.loads(surface.attrs.get("subspace", "{}"))
    kind = info.get("kind", "subspace")
    if kind == "random" and len(schema.coordinates(surface)) == 1:
        return "Along a random line through the model"
    return _HEADINGS.get(kind, f"The surface on {kind}")


def surface(ds: xr.Dataset, path: xr.Dataset | None = None) -> list[str]:
    """What a surface shows, paragraph by paragraph."""
    told = [_where(ds), _what_is_there(ds), _how(ds)]
    if path is not None:
        told.insert(2, _path(path))
    return [paragraph for paragraph in told if paragraph]


def trajectory(ds: xr.Dataset) -> list[str]:
    """What was recorded."""
    steps = ds["step"].values
    weights = ds.sizes["weight"]
    return [
        f"{len(steps)} sets of {weights:,} weights were recorded between steps {int(steps[0]):,} and {int(steps[-1]):,}"
        f"{_training_loss(ds)}."
    ]


def number(value: float) -> str:
    """A number for prose: three significant digits.

    Examples
    --------
    >>> number(0.12345), number(2509.3), number(1.5e-7)
    ('0.123', '2,510', '1.5e-07')
    """
    if not np.isfinite(value):
        return "not finite"
    if 1e3 <= abs(value) < 1e5:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.1e}"


def _where(ds: xr.Dataset) -> str:
    info = json.loads(ds.attrs.get("subspace", "{}"))
    kind = info.get("kind")
    if kind == "random":
        scale = {"filter": "filter-normalised ", "layer": "layer-normalised "}.get(info.get("normalize", ""), "")
        dim = len(schema.coordinates(ds))
        many = {1: "one", 2: "two", 3: "three"}.get(dim, str(dim))
        unit = " A step of 1 is as long as each filter of the network." if scale.startswith("filter") else ""
        rest = _unmoved(info.get("exclude", "nothing"))
        along = f"{many} {scale}random direction{'s' * (dim > 1)} (seed {info.get('seed')})"
        return f"The loss around the weights, along {along}.{unit}{rest}"
    if kind == "principal":
        return _principal(info)
    if kind == "eigen":
        values = ", ".join(number(float(value)) for value in info.get("eigenvalues", []))
        several = len(info.get("eigenvalues", [])) > 1
        one = f"the eigenvector of its Hessian with the eigenvalue {values}; dashed, the parabola that it predicts"
        along = f"eigenvectors of its Hessian, with eigenvalues {values}" if several else one
        return f"The loss along {along}. A step of 1 is a unit of distance."
    return {
        "through": "The plane through three weight vectors; coordinates are distances in weight space.",
        "segment": "The straight line between two weight vectors, from t = 0 to t = 1.",
    }.get(kind, "")


def _principal(info: dict[str, Any]) -> str:
    if "explained_variance_ratio" not in info:
        return "A plane of principal components."
    first, second = (f"{100 * share:.1f}%" for share in info["explained_variance_ratio"])
    if info.get("center") == "last":
        return (
            "The plane of the two principal components about the last step of the recorded path, which hold "
            f"{first} and {second} of its second moment. (A random walk would show 81% and 9%.)"
        )
    return (
        f"The plane of the two principal components of the recorded path, which hold {first} and {second} of its "
        "variance. (A random walk would show 61% and 15%: a large share alone says little.)"
    )


_KINDS = {"bias": "biases", "norm": "normalisation parameters", "vector": "other vectors", "weight": "matrices"}


def _unmoved(excluded: str) -> str:
    """Which kinds of parameters the directions leave where they are."""
    kinds = [_KINDS[kind] for kind in excluded.split(", ") if kind in _KINDS]
    return f" Not moved: {', '.join(kinds)}." if kinds else ""


def _what_is_there(ds: xr.Dataset) -> str:
    sentences = []
    here = "At the model" if schema.at_model(ds) else "At the origin of the coordinates"
    origin = [
        f"{ds[name].attrs['long_name']} {_quantity(ds[name].attrs['at_origin'], ds[name].attrs)}"
        for name in schema.values(ds)
    ]
    sentences.append(f"{here}: {', '.join(origin)}.")
    for name in schema.values(ds):
        if ds[name].attrs["metric"] != "loss":
            continue
        values = ds[name].values
        finite = np.isfinite(values)
        if finite.any():
            sentences.append(
                f"On the grid the {ds[name].attrs['long_name']} runs from {number(values[finite].min())} to "
                f"{number(values[finite].max())}."
            )
        if not finite.all() and ds.attrs.get("complete", True):
            sentences.append(f"{int((~finite).sum()):,} of {values.size:,} values are not finite.")
    if ds.attrs.get("batch_norm") == "running":
        sentences.append(
            "Batch normalisation uses the model's stored statistics everywhere, also where other weights would have "
            'others (batch_norm="recalibrate" computes them at every point).'
        )
    return " ".join(sentences)


def path(ds: xr.Dataset) -> list[str]:
    """What a path shows, where no surface goes with it."""
    return [_path(ds)]


def _path(ds: xr.Dataset) -> str:
    distance, length = ds["distance"].values, ds.attrs.get("length", float("nan"))
    finite = np.isfinite(distance)
    if not finite.all() or not np.isfinite(length):
        return f"{int((~finite).sum()):,} of {len(distance):,} recorded steps have no finite place: the run diverged."
    share = f" ({100 * distance.max() / length:.0f}% of its length)" if length > 0 else ""
    told = f"The path is {number(length)} long and leaves the subspace by up to {number(distance.max())}{share}."
    if "projected_loss" in ds:
        told += _compared(ds)
    return told


def _compared(ds: xr.Dataset) -> str:
    """The loss at the recorded weights beside the one that the picture shows under them."""
    true, shown = ds["loss"].values, ds["projected_loss"].values
    known = np.isfinite(true) & np.isfinite(shown)
    if not known.any():
        return ""
    worst = int(np.argmax(np.where(known, np.abs(true - shown), -1.0)))
    stored = ", with the batch-norm statistics of the end" if ds.attrs.get("batch_norm") == "running" else ""
    return (
        f" What the picture shows under it is the loss at its projection: at step {int(ds.step[worst])} that is "
        f"{number(shown[worst])}, while the recorded weights{stored} have {number(true[worst])} (the largest "
        f"difference); at the last step {number(shown[-1])} and {number(true[-1])}."
    )


def _how(ds: xr.Dataset) -> str:
    sizes = [ds.sizes[dim] for dim in schema.coordinates(ds) if dim in ds.dims]
    total = int(np.prod(sizes))
    evaluated = int(ds.attrs.get("num_evaluated", total))
    grid = " x ".join(map(str, sizes))
    told = f"A grid of {grid} points, "
    if not ds.attrs.get("complete", True):
        told += f"still incomplete: {evaluated:,} of {total:,} are there so far"
    elif evaluated < total:
        told += (
            f"of which {evaluated:,} were evaluated and the rest predicted by cubic interpolation; {_errors_told(ds)}"
        )
    else:
        told += "all of them evaluated"
    if "num_examples" in ds.attrs:
        told += f", on a fixed random subset of {ds.attrs['num_examples']:,} examples"
    told += f"; it took {number(ds.attrs['seconds'])} s." if "seconds" in ds.attrs else "."
    train, test = (ds.attrs.get(f"num_{split}_examples", 0) for split in ("training", "test"))
    if not train or "num_examples" in ds.attrs:
        return told
    return f"{told} Each point is a pass over {train:,} training{f' and {test:,} test' if test else ''} examples."


def _errors_told(ds: xr.Dataset) -> str:
    """The largest error found of the predicted losses, as a share of their range, and of each other metric."""
    errors = json.loads(ds.attrs.get("interpolation_error", "{}"))
    names = [name for name in schema.values(ds) if name in errors]
    if not names:
        return "the error is not known"
    shares = {name: 100 * errors[name] / _range(ds[name].values) for name in names}
    losses = [share for name, share in shares.items() if ds[name].attrs["metric"] == "loss"]
    told = f"the largest error found at points left out is {max(losses, default=0.0):.2g}% of the loss's range"
    others = [f"{ds[n].attrs['long_name']} {s:.2g}%" for n, s in shares.items() if ds[n].attrs["metric"] != "loss"]
    return told + (f" (predicted along, not controlled: {', '.join(others)} of theirs)" if others else "")


def _range(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return max(float(np.ptp(finite)), 1e-300) if finite.size else 1e-300


def _training_loss(ds: xr.Dataset) -> str:
    known = ds["loss"].values[np.isfinite(ds["loss"].values)]
    return "" if not known.size else f"; the mini-batch loss went from {number(known[0])} to {number(known[-1])}"


def _quantity(value: float, attrs: dict) -> str:
    return f"{100 * value:.1f}%" if attrs["metric"] == "accuracy" else number(value)
