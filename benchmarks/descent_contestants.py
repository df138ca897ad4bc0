"""Who descends: thalweg, JAX, numpy and torch, each with the same starts, steps and learning rate, in float64.

Each entry of `CONTESTANTS` takes starts `(S, 2)` and a number of steps and returns a call that descends and gives the
iterates, `(steps + 1, S, 2)` or what `iterates` turns into that.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import thalweg as tw

RATE = 0.1
JAX_SETTINGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
OURS, OURS_COMPILED = "thalweg, plain", "thalweg, compile=True"
JAX, JAX_ITERATES = "JAX, keeping the same", "JAX, iterates only"
NUMPY, ALONE = "numpy, loop over steps", "torch, one start at a time"
Run = Callable[[], Any]


def loss(x: Any, y: Any) -> Any:
    """The two-weight network that should multiply by one."""
    return (1 - x * y) ** 2


def sgd(weights: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=RATE)


def adam(weights: list[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=RATE)


def ours(optimizer: Any, *, compile: bool) -> Callable[[np.ndarray, int], Run]:
    """`thalweg.descend`: iterates, losses and gradients as a labelled Dataset."""

    def prepare(starts: np.ndarray, steps: int) -> Run:
        problem = tw.FunctionProblem(loss)

        def run() -> Any:
            found = tw.descend(problem, starts, optimizer, steps, compile=compile)
            if compile and "not_compiled" in found.attrs:
                raise RuntimeError(found.attrs["not_compiled"])
            return found

        return run

    return prepare


def jax(*, everything: bool) -> Callable[[np.ndarray, int], Run]:
    """A scan over steps of one start, mapped over starts, compiled; `everything`: losses and gradients are kept too."""

    def prepare(starts: np.ndarray, steps: int) -> Run:
        os.environ.setdefault("XLA_FLAGS", JAX_SETTINGS)  # read when jax computes for the first time
        import jax as j

        j.config.update("jax_enable_x64", True)

        def descend(start: Any) -> Any:
            def step(at: Any, _: None) -> Any:
                value, slope = j.value_and_grad(lambda t: loss(t[0], t[1]))(at)
                return at - RATE * slope, (at, value, slope) if everything else (at,)

            return j.lax.scan(step, start, None, length=steps)

        compiled = j.jit(j.vmap(descend))
        return lambda: j.block_until_ready(compiled(starts))

    return prepare


def numpy_loop(starts: np.ndarray, steps: int) -> Run:
    """Gradient by hand, all starts at once, a loop over steps that keeps iterates, losses and gradients."""

    def run() -> np.ndarray:
        iterates, values = np.empty((steps + 1, *starts.shape)), np.empty((steps + 1, len(starts)))
        slopes = np.empty_like(iterates)
        at = starts.copy()
        for k in range(steps + 1):
            residual = 1 - at[:, 0] * at[:, 1]
            iterates[k], values[k] = at, residual**2
            slopes[k] = -2 * residual[:, None] * at[:, ::-1]
            at = at - RATE * slopes[k]
        return iterates

    return run


def one_at_a_time(optimizer: Any) -> Callable[[np.ndarray, int], Run]:
    """What a notebook does: for every start a parameter, an optimiser, and a loop with `backward` and `step`."""

    def prepare(starts: np.ndarray, steps: int) -> Run:
        def run() -> np.ndarray:
            return np.stack([_path(optimizer, start, steps) for start in starts], axis=1)

        return run

    return prepare


def _path(optimizer: Any, start: np.ndarray, steps: int) -> np.ndarray:
    at = torch.tensor(start, requires_grad=True)
    mover = optimizer([at])
    path = [at.detach().clone()]
    for _ in range(steps):
        mover.zero_grad()
        loss(at[0], at[1]).backward()
        mover.step()
        path.append(at.detach().clone())
    return torch.stack(path).numpy()


def iterates(result: Any) -> np.ndarray:
    """`(steps + 1, S, 2)` of whatever a contestant returned."""
    if isinstance(result, np.ndarray):
        return result
    if isinstance(result, tuple):  # JAX: the last iterates, and those before
        last, kept = result
        return np.concatenate([np.moveaxis(np.asarray(kept[0]), 0, 1), np.asarray(last)[None]])
    return np.moveaxis(result.theta.values, 0, 1)


def missing() -> dict[str, str]:
    """Contestants that are not installed."""
    if importlib.util.find_spec("jax"):
        return {}
    return dict.fromkeys((JAX, JAX_ITERATES), "not installed: pip install jax")


CONTESTANTS: dict[str, dict[str, Callable[[np.ndarray, int], Run]]] = {
    "SGD": {
        OURS: ours(sgd, compile=False),
        OURS_COMPILED: ours(sgd, compile=True),
        JAX: jax(everything=True),
        JAX_ITERATES: jax(everything=False),
        NUMPY: numpy_loop,
        ALONE: one_at_a_time(sgd),
    },
    "Adam": {
        OURS: ours(adam, compile=False),
        OURS_COMPILED: ours(adam, compile=True),
        ALONE: one_at_a_time(adam),
    },
}
