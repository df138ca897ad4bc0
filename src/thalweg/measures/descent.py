r"""Descent from many starts at once, with every iterate kept.

Gradient descent from a start $\theta_0$ is $\theta_{k+1} = \theta_k - \eta_k \nabla L(\theta_k)$; any optimiser of
`torch.optim` may take its place. All starts are rows of one stacked parameter, so that a step of thousands of them
costs little more than a step of one. With mini-batches the gradient is that of
$\frac{1}{|B_k|} \sum_{i \in B_k} \ell_i(\theta)$, with the same examples $B_k$ at all starts, which are recorded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.compiled import Kernel, NotCompiled, compiled
from thalweg.measures.optimizers import Descent, Factory, Scheduling
from thalweg.measures.progress import bar
from thalweg.measures.request import need_problem
from thalweg.problem import Problem
from thalweg.store import provenance

_MOST_BYTES = 2**33
_MOST_NAMES = 100


@dataclass
class _Record:
    """Iterates as they come, `(kept, starts, ...)`."""

    steps: list[int]
    theta: Tensor
    gradient: Tensor
    value: Tensor
    rate: list[float]
    examples: list[np.ndarray]

    def keep(self, k: int, descent: Descent, value: Tensor, slope: Tensor, examples: np.ndarray | None = None) -> None:
        """Row `k`: where the starts stand, with loss and gradient there."""
        self.theta[k], self.value[k], self.gradient[k] = descent.weights, value, slope
        self.rate.append(descent.learning_rate)
        if examples is not None:
            self.examples.append(examples)


def descend(
    problem: Problem,
    starts: Any,
    optimizer: Factory,
    steps: int,
    *,
    scheduler: Scheduling | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    noise: float = 0.0,
    seed: int = 0,
    every: int = 1,
    compile: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Run an optimiser from many starts at once and keep every iterate.

    Parameters
    ----------
    problem
        A `FunctionProblem`, or a `ModuleProblem` small enough to hold its weights at all starts (an ensemble).
    starts
        Weights `(..., num_weights)`; all leading dims become the dim `start`. See `grid_starts`, `random_starts`.
    optimizer
        A function that makes the optimiser: `lambda w: torch.optim.Adam(w, lr=0.1)`. One optimiser moves all starts if
        it treats every number by itself, which is tried out first; else each start gets its own (LBFGS, SAM).
    steps
        Number of updates; `steps + 1` iterates.
    scheduler
        A function of the optimiser, `lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=100)`.
    batch_size
        Examples in a mini-batch; the whole data by default. Examples are drawn without replacement, in a new order each
        epoch, or in the data's own order with `shuffle=False`.
    noise
        Standard deviation of independent normal noise added to every entry of every gradient.
    seed
        Of the order of the examples and of the noise.
    every
        Keep every n-th iterate (and the last).
    compile
        Run all steps as machine code, equal to rounding: for many steps of a `FunctionProblem` in float64 on the CPU,
        with an optimiser that treats every number by itself. Takes a C compiler and a few tenths of a second
        (`attrs["compile_seconds"]`). What cannot be compiled runs as always, and `attrs["not_compiled"]` says why.
    progress
        Show a bar; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `descent` (see `schema`): `theta(start, step, weight)`, `loss(start, step)` over all data, `gradient(start,
        step, weight)` (the one followed at that step, without the noise; with mini-batches undefined at the last step),
        `learning_rate(step)` and, with mini-batches, `batch_loss(start, step)` and `example(step, slot)`. A start that
        diverges keeps its `inf` and `nan`; the others go on.

    Raises
    ------
    ValueError, TypeError
        Starts of the wrong shape or not finite, no steps, settings that the optimiser refuses, a mini-batch of a
        problem without examples: before anything is computed.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> problem = FunctionProblem(lambda x, y: (1 - x * y) ** 2)
    >>> paths = descend(problem, [[1.0, 0.5], [-1.0, -0.5]], lambda w: torch.optim.SGD(w, lr=0.1), steps=100)
    >>> paths.theta.dims, paths.theta.shape
    (('start', 'step', 'weight'), (2, 101, 2))
    >>> bool((paths.theta[:, -1].prod("weight").round(6) == 1).all())
    True
    """
    need_problem(problem)
    begin = _starts(problem, starts)
    _validate(steps, every, noise, seed)
    order = _batches(problem, batch_size, shuffle, seed)
    began = time.perf_counter()
    descent = Descent(begin, optimizer, scheduler)
    record = _empty(begin, sorted({*range(0, steps + 1, every), steps}))
    kernel: Kernel | None = None
    told: dict[str, Any] = {}
    if compile:
        kernel, told = _kernel(problem, optimizer, scheduler, descent, steps, "mini-batches" if order else noise)
    _run(problem, descent, record, order, noise=noise, seed=seed, progress=progress, kernel=kernel)
    if kernel is not None and kernel.refused:
        told["not_compiled"] = kernel.refused
    attrs = {
        "optimizer": descent.label,
        "scheduler": descent.schedule,
        "one_optimizer_per_start": int(descent.separate),
        "steps": steps,
        "every": every,
        "batch_size": batch_size or 0,
        "shuffle": int(shuffle and batch_size is not None),
        "noise": noise,
        "seed": seed,
        "start_shape": list(np.shape(starts)[:-1]) or [1],
    }
    found = _dataset(problem, record, stochastic=order is not None)
    told["seconds"] = round(time.perf_counter() - began, 3)
    found.attrs |= attrs | told | provenance(**problem.provenance())
    return schema.check(found)


def _kernel(
    problem: Problem, optimizer: Factory, scheduler: Scheduling | None, descent: Descent, steps: int, random: Any
) -> tuple[Kernel | None, dict[str, Any]]:
    """The compiled descent, or why there is none."""
    began = time.perf_counter()
    try:
        if random:
            raise NotCompiled("mini-batches and noise are drawn step by step")
        kernel = compiled(problem, optimizer, scheduler, descent, steps)
    except NotCompiled as reason:
        return None, {"not_compiled": str(reason)}
    return kernel, {"compile_seconds": round(time.perf_counter() - began, 4)}


def _run(
    problem: Problem,
    descent: Descent,
    record: _Record,
    order: Iterator[np.ndarray] | None,
    *,
    noise: float,
    seed: int,
    progress: bool | None,
    kernel: Kernel | None = None,
) -> None:
    """Step after step: evaluate, keep, move."""
    generator = torch.Generator().manual_seed(int(seed))

    def noisy(slope: Tensor) -> Tensor:
        if not noise:
            return slope
        return slope + noise * torch.randn(slope.shape, generator=generator, dtype=slope.dtype).to(slope)

    def looked(at: Tensor, examples: np.ndarray | None) -> tuple[Tensor, Tensor]:
        value, slope = problem.value_and_gradient(at, examples)
        return value, noisy(slope)

    places = {step: k for k, step in enumerate(record.steps)}
    steps = record.steps[-1]
    began = time.perf_counter()
    problem.value_and_gradient(descent.weights, None if order is None else [0])
    expected = (time.perf_counter() - began) * steps
    with bar(f"{len(descent.weights):,} descents", steps, 0, show=progress, seconds=expected, unit="steps") as advance:
        for step in range(steps):
            examples = None if order is None else next(order)
            value, slope = problem.value_and_gradient(descent.weights, examples)
            if step in places:
                record.keep(places[step], descent, value, slope, examples)
            descent.step(value, noisy(slope), lambda at: looked(at, examples))  # noqa: B023 called at once
            if kernel is not None and kernel.takes_over(step, value, slope, descent, record):
                advance(steps - step)
                break
            advance(1)
        if order is None:
            record.keep(-1, descent, *problem.value_and_gradient(descent.weights))
        else:  # the batch that would come next has not been drawn
            nothing = torch.full_like(descent.weights, math.nan)
            record.keep(-1, descent, nothing[:, 0], nothing)


# --- what comes in ---


def _starts(problem: Problem, starts: Any) -> Tensor:
    like = problem.theta
    begin = torch.as_tensor(np.asarray(starts) if not isinstance(starts, Tensor) else starts.detach())
    if begin.ndim == 0 or begin.shape[-1] != problem.num_weights or begin.numel() == 0:
        raise ValueError(
            f"The starts have shape {tuple(begin.shape)}; expected (..., {problem.num_weights}), one row of "
            f"{problem.num_weights} weights for each start. `grid_starts` and `random_starts` make some."
        )
    begin = begin.reshape(-1, problem.num_weights).to(like, copy=True)
    if not torch.isfinite(begin).all():
        raise ValueError(f"{int((~begin.isfinite()).any(1).sum())} of the {len(begin)} starts have non-finite weights.")
    return begin


def _validate(steps: Any, every: Any, noise: Any, seed: Any) -> None:
    for name, value, least in (("steps", steps, 1), ("every", every, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}={value!r}; expected a whole number from {least}.")
    if not (isinstance(noise, (int, float, np.number)) and math.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise={noise!r}; it is a standard deviation, a number from 0.")


def _batches(problem: Problem, batch_size: int | None, shuffle: bool, seed: int) -> Iterator[np.ndarray] | None:
    """Numbers of the examples in each mini-batch, epoch after epoch; None for the whole data."""
    if batch_size is None:
        return None
    total = getattr(problem, "num_examples", 0)
    if not total:
        raise ValueError("A FunctionProblem has no examples to make a mini-batch of; leave out `batch_size`.")
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or not 1 <= batch_size <= total:
        raise ValueError(
            f"batch_size={batch_size!r}; expected a whole number from 1 to {total}, the examples there are."
        )
    return _epochs(int(total), int(batch_size), np.random.default_rng(seed) if shuffle else None)


def _epochs(total: int, size: int, draw: np.random.Generator | None) -> Iterator[np.ndarray]:
    while True:
        order = np.arange(total) if draw is None else draw.permutation(total)
        yield from (order[k : k + size] for k in range(0, total, size))


# --- what goes out ---


def _empty(begin: Tensor, kept: list[int]) -> _Record:
    shape = (len(kept), *begin.shape)
    needed = math.prod(shape) * 16
    if needed > _MOST_BYTES:
        raise ValueError(
            f"{len(kept):,} iterates of {shape[1]:,} starts with {shape[2]:,} weights need {needed / 2**30:.1f} GiB. "
            f"Keep fewer: `every={math.ceil(kept[-1] / max(_MOST_BYTES * len(kept) // needed - 2, 1))}`, or start from "
            "fewer places."
        )
    theta = torch.empty(shape, dtype=begin.dtype, device=begin.device)
    value = torch.empty(shape[:2], dtype=torch.float64, device=begin.device)
    return _Record(kept, theta, torch.empty_like(theta), value, [], [])


def _dataset(problem: Problem, record: _Record, *, stochastic: bool) -> xr.Dataset:
    def by_start(tensor: Tensor) -> np.ndarray:
        return np.moveaxis(tensor.cpu().numpy(), 0, 1)

    units = str(getattr(problem, "units", lambda _: "")("loss"))
    whose = "training " if getattr(problem, "num_examples", 0) else ""
    about = {"role": "value", "long_name": f"{whose}loss", "units": units}
    value = record.value
    if stochastic:
        flat = record.theta.reshape(-1, record.theta.shape[-1])
        value = problem.measure(flat, metrics=[]).values["loss"].reshape(value.shape)
    weight = {"long_name": "weights", "names": _names(problem)}
    data: dict[str, Any] = {
        "theta": (("start", "step", "weight"), by_start(record.theta), weight),
        "loss": (("start", "step"), by_start(value), about),
        "gradient": (("start", "step", "weight"), by_start(record.gradient)),
        "learning_rate": ("step", np.array(record.rate), {"long_name": "learning rate", "units": "1"}),
    }
    if stochastic:
        told = about | {"role": "batch", "long_name": "loss of the mini-batch"}
        data["batch_loss"] = (("start", "step"), by_start(record.value), told)
        data["example"] = (("step", "slot"), _slots(record))
    coords = {"start": np.arange(record.theta.shape[1]), "step": np.array(record.steps)}
    return xr.Dataset(data, coords, {"kind": "descent", "weights": _names(problem)})


def _slots(record: _Record) -> np.ndarray:
    """Numbers of the examples at each kept step, -1 where there is none."""
    widest = max(map(len, record.examples))
    slots = np.full((len(record.steps), widest), -1)
    for row, chosen in zip(slots, record.examples, strict=False):
        row[: len(chosen)] = chosen
    return slots


def _names(problem: Problem) -> list[str]:
    """Of the weights, where there are few."""
    if problem.num_weights > _MOST_NAMES:
        return []
    names = getattr(problem, "names", None)
    return list(names) if names else [problem.layout.name(k) for k in range(problem.num_weights)]
