"""What initialisation does to a network's tangent, on a sum of sine waves: the whole lesson measured, and a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from thalweg.apps.place import new_study
from thalweg.apps.report import report
from thalweg.apps.tangent import save_all, tangent
from thalweg.landscapes.sines import SinesData, mlp, sines_data
from thalweg.measures import (
    compare_initializations,
    descend,
    elbows,
    extrapolation,
    initialize,
    laziness,
    track_tangent,
)
from thalweg.problem import LinearizedProblem, ModuleProblem
from thalweg.store import save

SCHEMES = {"small": "uniform(0.03)", "large": "uniform(3)", "he": "he_uniform"}
_SHALLOW, _DEEP, _ORDER = 100, 600, 50  # seeds of the networks, and what is added for the order of the batches
_EPOCHS, _BATCH = 10, 32
_NARROW = (-1.0, 0.4)  # training inputs of the networks that are asked about inputs beyond


class Demo(NamedTuple):
    """Where the demo left what it made."""

    study: Path
    page: Path


def sines_demo(folder: str | Path, *, seed: int = 0, say: Callable[[str], None] = print) -> Demo:
    """Train a shallow network and deep ones from three initialisations; write `study.zarr` and `report.html`.

    One hidden layer of 20 units, and four of them (1,321 weights), by SGD with momentum on 1,500 noisy values of a
    sum of sine waves. Their tangents before and after training, gradients by layer, losses, what they predict beyond
    their training data, and how far the shallow one leaves its tangent.

    Raises
    ------
    FileExistsError, NotADirectoryError
        If the folder holds a study already, or is a file.
    """
    study = new_study(folder)
    data = sines_data()
    say(f"Training on {len(data.train.x):,} noisy values of {data.truth.formula} ...")
    first, second = seed + _SHALLOW, seed + _DEEP
    shallow = _problem(mlp([20], seed=first), data)
    run = _before_and_after(shallow, study, "shallow", "One hidden layer", 0, first, say)
    _lazy(shallow, run, study, first, say)
    deep = mlp([20] * 4)
    for order, (name, scheme) in enumerate(SCHEMES.items(), 1):
        drawn = _problem(initialize(deep, scheme, second), data)
        run = _before_and_after(drawn, study, f"deep/{name}", f"Four hidden layers, {scheme}", order, second, say)
    _along(drawn, run, data, study)
    _compared(_problem(deep, data), study, second)
    _beyond(mlp([20], seed=first), study, "shallow", first, say)
    _beyond(initialize(deep, SCHEMES["he"], second), study, "deep", second, say)
    page = report(study, study.with_name("report.html"), title="What initialisation does to a network's tangent")
    return Demo(study, page)


def _problem(model: nn.Module, data: SinesData) -> ModuleProblem:
    return ModuleProblem(model, tuple(data.train), loss=F.mse_loss, test_data=tuple(data.test))


def _steps(problem: ModuleProblem) -> int:
    return _EPOCHS * -(-problem.num_examples // _BATCH)


def _trained(problem: ModuleProblem, seed: int) -> xr.Dataset:
    """Ten epochs of SGD with momentum; every tenth iterate."""
    settings: dict[str, Any] = {"batch_size": _BATCH, "seed": seed + _ORDER, "every": 10, "progress": False}
    return descend(problem, problem.theta[None], _sgd, _steps(problem), **settings)


def _sgd(weights: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.1, momentum=0.9)


def _end(problem: ModuleProblem, run: xr.Dataset) -> ModuleProblem:
    return problem.at(torch.as_tensor(run["theta"][0, -1].values))


def _before_and_after(
    problem: ModuleProblem, study: Path, name: str, title: str, order: int, seed: int, say: Callable[[str], None]
) -> xr.Dataset:
    """The training of one network, and its tangents before and after; one that diverged has none afterwards.

    Kernels and gradients of the shallow one too.
    """
    run = _trained(problem, seed)
    settings: dict[str, Any] = {} if name == "shallow" else {"kernel_examples": 0, "gradients": False}
    for state, theta in zip(("before", "after"), run["theta"][0, [0, -1]].values, strict=True):
        if np.isfinite(theta).all():
            about = {"title": f"{title}, {state} training", "order": order}
            found = tangent(problem, theta=theta, about=about, seed=seed, **settings)
            save_all(found, study, f"{name}-{state}")
    losses = run["loss"][0].values
    said = f"{losses[-1]:.3g}" if np.isfinite(losses[-1]) else "the training diverged"
    say(f"  {title}: training loss {losses[0]:.3g}; after {int(run.step[-1])} steps {said}")
    return run


def _lazy(problem: ModuleProblem, run: xr.Dataset, study: Path, seed: int, say: Callable[[str], None]) -> None:
    """The network's run against that of its linearised model from the same start, on the same mini-batches."""
    found = laziness(problem, run, _trained(LinearizedProblem(problem), seed))
    save(found, study, "lazy/shallow")
    loss, linear, error = (float(found[name][-1]) for name in ("loss", "trained_loss", "relative_error"))
    say(f"  Its tangent trained instead: {linear:.3g} against {loss:.3g}; the network ends {error:.0%} off its tangent")


def _along(problem: ModuleProblem, run: xr.Dataset, data: SinesData, study: Path) -> None:
    """How the last network's tangent changed while it trained, and where its units bend in the end."""
    save(track_tangent(problem, run), study, "tangent_path/deep-he")
    low, high = float(data.test.x.min()), float(data.test.x.max())
    save(elbows(_end(problem, run), input_range=(low, high), truth=data.truth), study, "elbows/deep-he")


def _compared(problem: ModuleProblem, study: Path, seed: int) -> None:
    """Gradients by layer, what layers pass on, losses and singular values, scheme by scheme."""
    settings: dict[str, Any] = {"steps": _steps(problem), "batch_size": _BATCH, "progress": False}
    found = compare_initializations(problem, list(SCHEMES.values()), seed=seed, training_seed=seed + _ORDER, **settings)
    save(found, study, "initializations/deep")


def _beyond(model: nn.Module, study: Path, name: str, seed: int, say: Callable[[str], None]) -> None:
    """What a network predicts beyond its training inputs, and its tangent over all inputs."""
    data = sines_data(train_range=_NARROW, seed=50)
    problem = _problem(model, data)
    end = _end(problem, _trained(problem, seed))
    found = extrapolation(end, data.test.x, data.test.y, _NARROW)
    save(found, study, f"extrapolation/{name}")
    about = {"title": f"Trained on inputs from {_NARROW[0]:g} to {_NARROW[1]:g}: {name}", "order": 9}
    seen = tangent(end, inputs="test", kernel_examples=0, gradients=False, about=about, seed=seed)
    save_all(seen, study, f"beyond/{name}")
    inside, outside = found["mean_square_error"].values
    low, high = _NARROW
    say(f"  {name}, trained on inputs from {low:g} to {high:g}: squared error {inside:.3g} there, {outside:.3g} beyond")
