"""What a result says, in sentences: the figures in words. HTML-safe, since only numbers and our own names go in."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from thalweg import schema

_HEADINGS = {
    "random": "The surface around the model",
    "principal": "The training path on its principal plane",
    "through": "The plane through three solutions",
    "segment": "Along the straight line between two solutions",
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
    """A number for prose: three significant digits."""
    if not np.isfinite(value):
        return "not finite"
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
        first, second = info["explained_variance_ratio"]
        return (
            f"The plane of the two principal components of the recorded path, which hold {100 * first:.1f}% and "
            f"{100 * second:.1f}% of its "
            "variance. (A random walk would show 61% and 15%: a large share alone says little.)"
        )
    if kind == "through":
        return "The plane through three weight vectors; coordinates are distances in weight space."
    if kind == "segment":
        return "The straight line between two weight vectors, from t = 0 to t = 1."
    return ""


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


def _path(path: xr.Dataset) -> str:
    distance = path["distance"].values
    length = path.attrs.get("length", float("nan"))
    told = (
        f"The path is {number(length)} long and leaves the plane by up to {number(distance.max())} "
        f"({100 * distance.max() / length:.0f}% of its length)."
    )
    if "projected_loss" in path:
        true, shown = path["loss"].values, path["projected_loss"].values
        worst = int(np.nanargmax(np.abs(true - shown)))
        told += (
            f" What the picture shows under it is the loss at its projection: at step {int(path.step[worst])} that is "
            f"{number(shown[worst])}, while the network itself had {number(true[worst])} (the largest "
            f"difference); at the last step "
            f"{number(shown[-1])} and {number(true[-1])}."
        )
    return told


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
            f"of which {evaluated:,} were evaluated and the rest predicted by cubic interpolation; the largest error "
            f"found at points left out is {_share_of_range(ds):.2g}% of the loss's range"
        )
    else:
        told += "all of them evaluated"
    if "num_examples" in ds.attrs:
        told += f", on a fixed random subset of {ds.attrs['num_examples']:,} examples"
    told += f"; it took {number(ds.attrs['seconds'])} s." if "seconds" in ds.attrs else "."
    examples = ds.attrs.get("num_training_examples", 0) + ds.attrs.get("num_test_examples", 0)
    return (
        f"{told} Each point is a pass over {examples:,} examples."
        if examples and "num_examples" not in ds.attrs
        else told
    )


def _share_of_range(ds: xr.Dataset) -> float:
    """Largest error found of the predicted losses, in percent of their range."""
    errors = json.loads(ds.attrs.get("interpolation_error", "{}"))
    values = ds["loss"].values[np.isfinite(ds["loss"].values)]
    return 100 * errors.get("loss", 0.0) / max(float(np.ptp(values)), 1e-300) if values.size else 0.0


def _training_loss(ds: xr.Dataset) -> str:
    known = ds["loss"].values[np.isfinite(ds["loss"].values)]
    return "" if not known.size else f"; the mini-batch loss went from {number(known[0])} to {number(known[-1])}"


def _quantity(value: float, attrs: dict) -> str:
    return f"{100 * value:.1f}%" if attrs["metric"] == "accuracy" else number(value)
