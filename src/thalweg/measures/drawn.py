"""One network as several schemes drew it: what was seen of each, and all of them as a Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg.measures.activations import Activation
from thalweg.measures.runs import Run
from thalweg.problem import ModuleProblem
from thalweg.schema.statistics import STATES

_BY_LAYER = {
    "activation_mean": ("mean", "mean activation"),
    "activation_std": ("std", "standard deviation of the activations"),
    "dead": ("dead", "share of dead units"),
}


@dataclass(frozen=True)
class Drawn:
    """Of one scheme: gradient norms and activations by layer, quantities before and after the run, singular values."""

    name: str
    norms: list[float]
    passed: list[Activation]
    before: dict[str, float]
    after: dict[str, float]
    run: Run
    spectra: tuple[np.ndarray, ...]


def dataset(problem: ModuleProblem, layers: list[str], found: list[Drawn]) -> xr.Dataset:
    """Kind `initializations`, without facts about the training."""
    coords: dict[str, Any] = {
        "scheme": [one.name for one in found],
        "layer": layers,
        "step": np.arange(1, len(found[0].run.losses) + 1),
        "activation": ("layer", [a.followed or "none" for a in found[0].passed]),
    }
    data = dict(_by_layer(found, problem.units("loss"))) | dict(_by_scheme(problem, found))
    most = max(len(values) for one in found for values in one.spectra)
    if most:
        spectra = np.full((len(found), len(STATES), most), np.nan)
        for row, one in zip(spectra, found, strict=True):
            for target, values in zip(row, one.spectra, strict=True):
                target[: len(values)] = values
        data["singular_value"] = (("scheme", "state", "value"), spectra, {"long_name": "singular value", "units": ""})
        coords |= {"state": list(STATES), "value": np.arange(1, most + 1)}
    title = f"Initialisations of {problem.provenance()['model']}"
    return xr.Dataset(data, coords, {"kind": "initializations", "title": title})


def _by_layer(found: list[Drawn], units: str) -> Iterator[tuple[str, Any]]:
    both = ("scheme", "layer")
    norms = np.array([one.norms for one in found])
    yield "gradient_norm", (both, norms, {"long_name": "norm of the gradient", "units": units})
    for name, (which, words) in _BY_LAYER.items():
        values = np.array([[getattr(a, which) for a in one.passed] for one in found])
        yield name, (both, values, {"long_name": words, "units": "1"})


def _by_scheme(problem: ModuleProblem, found: list[Drawn]) -> Iterator[tuple[str, Any]]:
    loss = {"long_name": "training loss of the mini-batch", "units": problem.units("loss")}
    yield "loss", (("scheme", "step"), np.array([one.run.losses for one in found]), loss)
    for quantity in found[0].before:
        for when, word in (("initial", "before"), ("final", "after")):
            values = [(one.before if when == "initial" else one.after)[quantity] for one in found]
            about = {"long_name": f"{quantity.replace('_', ' ')} {word} training", "units": problem.units(quantity)}
            yield f"{when}_{quantity}", ("scheme", values, about)
    steps = np.array([one.run.diverged_at for one in found])
    yield "diverged_at", ("scheme", steps, {"long_name": "first update whose loss is not finite, -1 for none"})
