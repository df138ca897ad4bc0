"""The whole way in a minute or two: train a network while recording, look at where it ended, how it got there, and how
it is connected with another one; write a report.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from thalweg.apps.place import new_study
from thalweg.apps.report import report
from thalweg.apps.training import training
from thalweg.apps.valley import valley
from thalweg.landscapes import digits, small_cnn
from thalweg.measures import (
    eigen_line,
    loss_surface,
    spectral_density,
    top_eigenpairs,
    track_spectrum,
)
from thalweg.problem import ModuleProblem, accuracy
from thalweg.record import Recorder
from thalweg.store import load, save
from thalweg.subspaces import random_plane


class Demo(NamedTuple):
    """Where the demo left what it made, and the trained network's accuracies."""

    study: Path
    page: Path
    train_accuracy: float
    test_accuracy: float


def demo(
    folder: str | Path, *, seed: int = 0, points: int = 61, epochs: int = 15, say: Callable[[str], None] = print
) -> Demo:
    """Train a small convolutional network on the digits and write `study.zarr` and `report.html` into `folder`.

    Raises
    ------
    FileExistsError, NotADirectoryError
        If the folder holds a study already, or is a file.
    """
    study = new_study(folder)
    train, test = digits(seed=seed)
    model = small_cnn(seed=seed)
    recorder = Recorder(study)
    say(f"Training {sum(p.numel() for p in model.parameters()):,} weights on {len(train[1]):,} handwritten digits ...")
    _train(model, train, recorder, epochs, seed)
    problem = ModuleProblem(model.eval(), train, loss=F.cross_entropy, metrics={"accuracy": accuracy}, test_data=test)
    reached = problem.measure(problem.theta.unsqueeze(0)).values
    say(
        f"  accuracy {float(reached['accuracy'][0]):.1%} on the training images, "
        f"{float(reached['test_accuracy'][0]):.1%} on the test images"
    )
    say("Measuring the filter-normalised surface around the end point ...")
    around = loss_surface(problem, random_plane(problem, seed=seed), points=points, adaptive=0.01, store=study)
    say(f"  {around.attrs['num_evaluated']} of {points**2:,} points evaluated, the rest predicted")
    trajectory = load(study, "trajectory")
    training(problem, trajectory, study, points=points, seed=seed, say=say)
    _curvature(problem, trajectory, study, say)
    other = small_cnn(seed=seed + 1)
    say("Training a second network, from another seed ...")
    _train(other, train, None, epochs, seed + 1)
    there = problem.with_state(other.eval().state_dict()).theta
    valley(problem, problem.theta, there, study, steps=40 * epochs, points=41, seed=seed, say=say)
    page = report(study, study.with_name("report.html"), title="A convolutional network learns to read digits")
    return Demo(study, page, float(reached["accuracy"][0]), float(reached["test_accuracy"][0]))


def _curvature(problem: ModuleProblem, trajectory: xr.Dataset, study: Path, say: Callable[[str], None]) -> None:
    """Top eigenpairs, the density, the loss along the first eigenvector, and the top of the spectrum along the run."""
    say("Measuring the curvature: eigenvalues of the Hessian, and how they changed while it trained ...")
    pairs = top_eigenpairs(problem, 12)
    save(pairs, study, "spectrum/hessian")
    save(spectral_density(problem, num_probes=3, num_matvecs=30), study, "density/hessian")
    line = eigen_line(problem, pairs)
    reach = (2 * max(10 * line.info["loss"], 0.5) / line.info["eigenvalues"][0]) ** 0.5
    loss_surface(problem, line, extent=reach, points=41, store=study, name="surface/eigen")
    every = max(1, trajectory.sizes["step"] // 5)
    save(track_spectrum(problem, trajectory, 3, every=every, tol=1e-2), study, "spectrum/training")
    say(
        f"  the largest eigenvalues: {', '.join(f'{float(value):.3g}' for value in pairs.eigenvalue[:3])}; "
        f"{pairs.attrs['num_matvecs']} products"
    )


def _train(
    model: nn.Module, data: tuple[torch.Tensor, torch.Tensor], recorder: Recorder | None, epochs: int, seed: int
) -> None:
    """Adam at its default rate, mini-batches of 64, reshuffled every epoch; every sixth step recorded."""
    images, classes = data
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    with nullcontext() if recorder is None else recorder.attach(model, optimizer, every=6):
        for _ in range(epochs):
            for batch in torch.randperm(len(classes), generator=generator).split(64):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images[batch]), classes[batch])
                loss.backward()
                if recorder is not None:
                    recorder.log(loss)
                optimizer.step()
