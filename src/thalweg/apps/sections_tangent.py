"""The parts of a report on the tangent of a network, its initialisation and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from thalweg import figures
from thalweg.apps import words_gradients, words_tangent

Results = dict[str, xr.Dataset]
Made = tuple[str, list[str], list[go.Figure]]
_PLAIN = {
    "extrapolation": "Inside and outside of the training range",
    "elbows": "The elbows of a ReLU network",
    "gradient_features": "The gradient in every weight",
}
_TOLD: dict[str, tuple[str, Any]] = {
    "kernel": ("The tangent kernel", words_tangent.kernel),
    "lazy": ("Lazy training, or not", words_tangent.lazy),
    "tangent_path": ("The tangent along training", words_tangent.path),
    "initializations": ("Initialisations side by side", words_gradients.initializations),
    "gradients": ("Gradients of single examples", words_gradients.gradients),
}
KINDS = ("tangent", *_TOLD, *_PLAIN)
_MOMENTS = {"before": 0, "initial": 0, "start": 0, "after": 1, "trained": 1, "end": 1}
_START = "tangent/"


def elsewhere(results: Results) -> set[str]:
    """Names of tangents that are drawn below another, in one figure."""
    return {name for first in results for name in together(first, results)[1:]}


def together(name: str, results: Results) -> list[str]:
    """Names of the tangents that share a figure with this one, before, then after: of one folder, of the same rows.

    Examples
    --------
    >>> about = {"example": ("row", [0]), "output": ("row", [0])}
    >>> found = xr.Dataset({}, about, {"kind": "tangent", "inputs": "training", "outputs": "all"})
    >>> together("tangent/net-before", {"tangent/net-after": found, "tangent/net-before": found})
    ['tangent/net-before', 'tangent/net-after']
    """
    if results[name].attrs["kind"] != "tangent" or not name.startswith(_START):
        return [name]
    folder = name.rpartition("/")[0]
    near = {key: ds for key, ds in results.items() if key.rpartition("/")[0] == folder}
    same = [key for key, ds in near.items() if _same_rows(ds, results[name])]
    return sorted(same, key=lambda key: (results[key].attrs.get("order", 0), *_split(key)))


def _split(name: str) -> tuple[str, int, str]:
    """`tangent/deep-before` as a network, the number of a moment, and the whole; one network's states stay together."""
    start, _, last = name.rpartition("-")
    return (start, _MOMENTS[last], name) if last in _MOMENTS else (name, 0, name)


def _same_rows(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two tangents are those of the same outputs of the same inputs."""
    if one.attrs["kind"] != other.attrs["kind"] or one.sizes["row"] != other.sizes["row"]:
        return False
    same = all(one.attrs.get(name) == other.attrs.get(name) for name in ("inputs", "outputs"))
    known = "x" in one, "x" in other
    return same and known[0] == known[1] and (not known[0] or np.array_equal(one["x"], other["x"]))


def section(name: str, results: Results) -> Made:
    """Words and pictures of a result of one of `KINDS`."""
    ds = results[name]
    kind = ds.attrs["kind"]
    if kind == "tangent":
        group = together(name, results)
        states = {_title(key): results[key] for key in group}
        folder = name.removeprefix(_START).rpartition("/")[0]
        return f"The tangent of the network{folder and f': {folder}'}", words_tangent.tangents(states), [_drawn(states)]
    if kind in _TOLD:
        heading, told = _TOLD[kind]
        return heading, told(ds), [figures.picture(ds)]
    return _PLAIN[kind], [], [figures.picture(ds)]


def told(ds: xr.Dataset) -> list[str]:
    """What a result of one of `KINDS` says by itself, for a terminal."""
    kind = ds.attrs["kind"]
    if kind == "tangent":
        return words_tangent.tangents({"": ds})
    return list(_TOLD[kind][1](ds)) if kind in _TOLD else []


def _drawn(states: Results) -> go.Figure:
    return figures.tangent(next(iter(states.values())) if len(states) == 1 else states)


def _title(name: str) -> str:
    """`tangent/deep-before` as `deep, before training`.

    Examples
    --------
    >>> _title("tangent/deep-before"), _title("tangent/deep/he-after"), _title("tangent/after"), _title("mine")
    ('deep, before training', 'deep he, after training', 'after training', 'mine')
    """
    bare = name.removeprefix(_START).replace("/", "-")
    start, _, last = bare.rpartition("-")
    said = f"{last} training" if last in ("before", "after") else last
    return f"{start.replace('-', ' ')}, {said}" if start and last in _MOMENTS else said if not start else bare
