r"""How many weight vectors at a time, which batches, which memory format, compiled or not: decided by measuring.

`run` evaluates many weight vectors in one pass over the data. Data on the device are looped over inside (one weight
vector is placed once); data that are streamed are looped over outside (a batch is loaded once). Sums are kept on the
device in float64 and nothing is read back before the end.

`choose` times a few plans on a sample of the data and returns the fastest. Numbers that led to this set of candidates:
small batches, channels-last and compilation are worth 3 to 5 times on a CPU for convolutions; `vmap` over points is
worth 9 times for tiny networks and loses for large ones.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from thalweg.problem.data import Batches
from thalweg.problem.network import Network, arithmetic
from thalweg.problem.tree import batch_size as _count
from thalweg.problem.tree import leaves, take, tree_map

_SAMPLE = {"cpu": 2048, "cuda": 8192}
_SIZES = {"cpu": (256, 64, 128, 512, 1024, 2048), "cuda": (1024, 256, 4096, 8192)}
_CHUNKS = (32, 256, 2048)
_CHUNK_BYTES = {"cpu": 2**29, "cuda": 2**32}
_OVERHEAD_BOUND = {"cpu": 5e-4, "cuda": 5e-2}
_WORTH_COMPILING = 120.0
_MOST_MEASURING = 60.0


class Points(Protocol):
    """Weight vectors by number: a tensor `(num_points, num_weights)`, or a subspace's coordinates."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, index: slice, /) -> Tensor:
        """Those of a slice, `(k, num_weights)`."""


@dataclass(frozen=True)
class Plan:
    """How to evaluate. `batch_size=None` keeps the batches as they come; `points_at_once > 1` is `vmap`."""

    points_at_once: int = 1
    batch_size: int | None = None
    channels_last: bool = False
    compiled: bool = False
    measured: dict[str, float] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        counts = [self.points_at_once] + ([] if self.batch_size is None else [self.batch_size])
        if any(type(count) is not int or count < 1 for count in counts):
            raise ValueError(
                f"A plan with points_at_once={self.points_at_once!r} and batch_size={self.batch_size!r}; both are "
                "positive whole numbers, and batch_size may be None (batches as they come)."
            )
        if not (isinstance(self.channels_last, bool) and isinstance(self.compiled, bool)):
            raise ValueError("`channels_last` and `compiled` of a plan are True or False.")
        if not isinstance(self.measured, dict):
            raise ValueError(f"`measured` of a plan is a {type(self.measured).__name__}; expected a dict of timings.")

    def to_json(self) -> str:
        """As text, for a result's attrs; `measured` holds milliseconds per point and thousand examples."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Inverse of `to_json`."""
        return cls(**json.loads(text))

    @property
    def label(self) -> str:
        """The plan in a few words."""
        words = [f"batch {self.batch_size}" if self.batch_size else "batches as given"]
        words += [f"vmap {self.points_at_once}"] if self.points_at_once > 1 else ["one point"]
        words += ["channels last"] * self.channels_last + ["compiled"] * self.compiled
        return ", ".join(words)


class Sums:
    """Running totals of every quantity at every point, on the device."""

    def __init__(self, num_points: int, device: torch.device, *, squares: bool, keep: bool) -> None:
        self.num_points, self.device, self.keep = num_points, device, keep
        self.with_squares = squares
        self.total: dict[str, Tensor] = {}
        self.square: dict[str, Tensor] = {}
        self._kept: list[tuple[slice, int, Tensor]] = []
        self._columns: dict[int, int] = {}
        self.count: dict[str, int] = {}

    def add(self, where: slice, values: Mapping[str, Tensor], num_examples: int) -> None:
        """Add one batch's values at the points `where`."""
        for name, value in values.items():
            if name not in self.total:
                self.total[name] = torch.zeros(self.num_points, dtype=torch.float64, device=self.device)
                self.square[name] = torch.zeros_like(self.total[name])
                self.count[name] = 0
            if where.start == 0:
                self.count[name] += num_examples if value.ndim == 1 else value.shape[1]
            if value.ndim == 1:
                self._need_examples(name)
                self.total[name][where] += value.double() * num_examples
                continue
            self.total[name][where] += value.sum(1, dtype=torch.float64)
            if self.with_squares:
                self.square[name][where] += value.double().square().sum(1)
            if self.keep and name == "loss":
                column = self._columns.get(where.start, 0)
                self._kept.append((where, column, value))
                self._columns[where.start] = column + value.shape[1]

    def losses(self) -> Tensor:
        """The loss of every example at every point, `(num_points, num_examples)`, float64, on the CPU."""
        every = torch.empty(self.num_points, self.count["loss"], dtype=torch.float64)
        for where, column, value in self._kept:
            every[where, column : column + value.shape[1]] = value.double().cpu()
        return every

    def _need_examples(self, name: str) -> None:
        if self.keep or self.with_squares:
            raise ValueError(
                f"`{name}` returns the mean over a batch, so single examples' values are not known. For standard "
                "errors (`num_examples=`) and per-example losses return one value per example."
            )


def checked(points: Any, num_weights: int) -> Points:
    """The points as they came, if they are weight vectors `(P, num_weights)`; anything else would be broadcast."""
    points = torch.as_tensor(points) if isinstance(points, np.ndarray) else points
    shape = tuple(points.shape) if isinstance(points, Tensor) else (len(points), *points[0:1].shape[1:])
    if len(shape) != 2 or shape[1] != num_weights or shape[0] == 0:
        raise ValueError(
            f"The points have shape {shape}; expected (P, {num_weights}), one row of {num_weights} weights for each of "
            "one or more points. A single vector needs `theta[None]`."
        )
    return points


def run(
    network: Network,
    splits: Mapping[str, Batches],
    points: Points,
    plan: Plan,
    *,
    calibration: Batches | None = None,
    squares: bool = False,
    keep: bool = False,
    advance: Callable[[float], None] = lambda _: None,
) -> dict[str, Sums]:
    """Sums of every quantity over every split at `points`, in one pass over the data.

    `calibration` are the data for batch-norm statistics, recomputed at every point. `advance` is told of each finished
    point (fractions where data are streamed).
    """
    sums = {split: Sums(len(points), network.device, squares=squares, keep=keep) for split in splits}
    resident = all(data.resident for data in splits.values())
    loop = _points_outside if resident or calibration is not None else _data_outside
    with torch.no_grad(), arithmetic(network.precision, network.device), _quiet():
        loop(network, splits, points, plan, calibration, sums, advance)
    return sums


def _points_outside(
    network: Network,
    splits: Mapping[str, Batches],
    points: Points,
    plan: Plan,
    calibration: Batches | None,
    sums: dict[str, Sums],
    advance: Callable[[float], None],
) -> None:
    for where in _chunks(len(points), plan.points_at_once):
        network.load(points[where], plan.points_at_once)
        if calibration is not None:
            network.recalibrate(calibration.mixed())
        for split, data in splits.items():
            for batch in data.iterate(plan.batch_size):
                sums[split].add(where, network(_formatted(batch, plan), plan.compiled), _count(batch))
        advance(where.stop - where.start)


def _data_outside(
    network: Network,
    splits: Mapping[str, Batches],
    points: Points,
    plan: Plan,
    _: Batches | None,
    sums: dict[str, Sums],
    advance: Callable[[float], None],
) -> None:
    num_batches = sum(data.num_batches for data in splits.values())
    for split, data in splits.items():
        for batch in data.iterate(plan.batch_size):
            formatted = _formatted(batch, plan)
            for where in _chunks(len(points), plan.points_at_once):
                network.load(points[where], plan.points_at_once)
                sums[split].add(where, network(formatted, plan.compiled), _count(batch))
                advance((where.stop - where.start) / num_batches)


def choose(
    network: Network,
    data: Batches,
    num_points: int,
    *,
    recut: bool,
    compile: bool | str = "auto",
    total_examples: int | None = None,
) -> tuple[Plan, float]:
    """The fastest plan for `num_points` points, and its estimated seconds per point.

    Measuring costs at most a twentieth of the estimated run (and is skipped for runs of a few milliseconds), the
    compilation apart. `recut` says whether batches may be cut anew and points taken together.
    """
    trial = _Trial(network, data, recut)
    convolves = any(block.kind == "weight" and len(block.shape) == 4 for block in network.layout.blocks)
    ratio = (total_examples or data.num_examples) / trial.num_examples
    start = Plan(batch_size=256 if recut and data.joined and convolves else None)
    search = _Search(trial, start, allowance=0.05 * ratio * num_points)
    for plan in _candidates(network, data, trial.num_examples, recut, convolves):
        search.consider(plan)
    if recut and not network.recalibrates and search.seconds < _OVERHEAD_BOUND.get(trial.device, 5e-2):
        for chunk in _CHUNKS:
            if chunk > 2 * num_points or not trial.fits(chunk):
                break
            search.consider(replace(search.best, points_at_once=chunk, channels_last=False))
            if search.best.points_at_once != chunk:
                break
    if _may_compile(network, compile, search.seconds * ratio * num_points):
        search.consider(replace(search.best, points_at_once=1, compiled=True))
    unit = 1e6 / trial.num_examples
    measured = {label: round(took * unit, 4) for label, took in search.timings.items()}
    return replace(search.best, measured=measured), search.seconds * ratio


class _Search:
    """The fastest plan so far, as long as the time for measuring lasts: `allowance` times what a point takes."""

    def __init__(self, trial: _Trial, start: Plan, allowance: float) -> None:
        self.trial, self.best = trial, start
        self.seconds = trial.time(start, repeats=1)
        self.budget = min(allowance * self.seconds, _MOST_MEASURING)
        self.timings = {start.label: self.seconds}

    def consider(self, plan: Plan) -> None:
        """Time a plan and keep it if it is faster."""
        if plan.label in self.timings or (self.budget <= 0 and not plan.compiled):
            return
        start = time.perf_counter()
        try:
            took = self.trial.time(plan, repeats=1)
        except Exception as error:  # no batching rule, no compiler, out of memory: not a candidate
            self.timings[f"{plan.label}: {type(error).__name__}"] = math.nan
            return
        finally:
            self.budget -= time.perf_counter() - start
        self.timings[plan.label] = took
        if took < 0.97 * self.seconds:
            self.best, self.seconds = plan, took


class _Trial:
    """Times plans on a sample of the data, at the network's own weights."""

    def __init__(self, network: Network, data: Batches, recut: bool) -> None:
        self.network, self.recut = network, recut
        self.device = network.device.type
        if recut and data.joined:
            self.num_examples = min(data.num_examples, _SAMPLE.get(self.device, 2048))
            sample = next(data.iterate(self.num_examples))
            self.batches = lambda plan: _cut(sample, self.num_examples, plan.batch_size)
        else:
            batch = data.first()
            self.num_examples = _count(batch)
            self.batches = lambda _: iter([batch])
        self.input_bytes = sum(leaf.numel() * 4 for leaf in leaves(next(self.batches(Plan()))))

    def time(self, plan: Plan, repeats: int) -> float:
        """Seconds per point over the sample: the best of `repeats`, after one to warm up."""
        thetas = self.network.theta.expand(plan.points_at_once, -1)
        thetas = thetas.contiguous() if plan.points_at_once > 1 else thetas
        seconds = math.inf
        for repeat in range(1 + repeats):
            start = time.perf_counter()
            self._once(plan, thetas)
            if repeat:
                seconds = min(seconds, time.perf_counter() - start)
        return seconds / plan.points_at_once

    def fits(self, points: int) -> bool:
        """Whether so many points' weights and activations are likely to fit; these are guessed from the inputs."""
        weights = 4 * self.network.layout.num_weights
        return points * (weights + 8 * self.input_bytes) <= _CHUNK_BYTES.get(self.device, 2**29)

    def _once(self, plan: Plan, thetas: Tensor) -> None:
        with torch.no_grad(), arithmetic(self.network.precision, self.network.device), _quiet():
            self.network.load(thetas, plan.points_at_once)
            sums = Sums(plan.points_at_once, self.network.device, squares=False, keep=False)
            for batch in self.batches(plan):
                values = self.network(_formatted(batch, plan), plan.compiled)
                sums.add(slice(0, plan.points_at_once), values, _count(batch))
        if self.device == "cuda":
            torch.cuda.synchronize(self.network.device)


def _candidates(network: Network, data: Batches, sample: int, recut: bool, convolves: bool) -> Iterator[Plan]:
    """Batch sizes and memory formats worth timing, the most promising first."""
    formats = (True, False) if convolves else (False,)
    sizes: list[int | None] = [None]
    if recut and data.joined:
        # small batches pay in cache only for images
        least = 1 if convolves else 512
        known = _SIZES.get(network.device.type, _SIZES["cpu"])
        sizes = [size for size in known if least <= size < data.num_examples]
        sizes += [data.num_examples] if data.num_examples <= sample else []
    yield from (Plan(batch_size=size, channels_last=fmt) for size in sizes for fmt in formats)


def _may_compile(network: Network, compile: bool | str, seconds: float) -> bool:
    if compile is False or network.recalibrates or (compile == "auto" and seconds < _WORTH_COMPILING):
        return False
    return network.device.type != "cpu" or any(shutil.which(c) for c in ("g++", "clang++", "c++", "cl"))


def _chunks(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def _cut(sample: Any, total: int, size: int | None) -> Iterator[Any]:
    for where in _chunks(total, size or min(total, 1024)):
        yield take(sample, where, total)


@contextmanager
def _quiet() -> Iterator[None]:
    """Layers without a batching rule are slow under `vmap`, which timing finds; torch's warning is no news."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


def _formatted(batch: Any, plan: Plan) -> Any:
    if not plan.channels_last:
        return batch
    return tree_map(lambda leaf: leaf.contiguous(memory_format=torch.channels_last) if leaf.ndim == 4 else leaf, batch)
