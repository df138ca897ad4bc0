r"""Lazy or not: how far a network leaves its tangent while it trains.

Along weights $\theta_t$ from $\theta_0$, the network's outputs $f(\theta_t)$ are held against those of its
linearisation at the same weights, $f(\theta_0) + J (\theta_t - \theta_0)$. Where training is lazy the two agree, the
kernel stays what it was, and training is that of a linear model. Wide networks are lazy; small initial weights,
narrow networks and large learning rates are not.

Reference: Chizat, Oyallon & Bach (2019), arXiv:1812.07956; Fort et al. (2020), arXiv:2010.15110 (the kernel's course).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.kernel_path import KernelPath
from thalweg.measures.matrix import whole_number
from thalweg.measures.recorded import recorded
from thalweg.measures.rows import Rows, rows
from thalweg.problem.identity import free_memory, hash_tensor
from thalweg.problem.tangent_model import LinearizedProblem
from thalweg.store import provenance

_STORED = 2**29


def laziness(
    problem: Any,
    trajectory: xr.Dataset,
    linear: xr.Dataset | None = None,
    *,
    inputs: Any = None,
    kernel_examples: int = 200,
) -> xr.Dataset:
    r"""How far a training run leaves the linearisation at its first step, and how the kernel changes.

    Parameters
    ----------
    problem
        The network's `ModuleProblem`.
    trajectory
        Kind `trajectory`, or `descent` with one start. Its first step is $\theta_0$.
    linear
        The same of the `LinearizedProblem` trained by itself from $\theta_0$, with the same steps.
    inputs
        Where outputs are compared: the training data by default, `"test"`, or inputs as the network takes them.
    kernel_examples
        The kernel (its trace over outputs) is that of so many examples, the first; 0 for none.

    Returns
    -------
    Dataset
        Kind `lazy`, over `step`: `distance` $\lVert \theta_t - \theta_0 \rVert$ and `relative_distance` (of
        $\lVert \theta_0 \rVert$); `error`, the root mean square of the network's outputs less the linearised ones, and
        `relative_error` (of the change of outputs since the first step); `loss` and `linear_loss` of both at the same
        weights; `kernel_alignment` with the first step's kernel and `target_alignment`. With `linear` also
        `trained_loss`, its loss, and `apart`, the root mean square of the outputs of the two trained models. A step
        that diverged keeps its `inf` and `nan`.

    Raises
    ------
    Diverged
        A first step that is not finite.
    ValueError
        Weights of another network; other steps in `linear`; several starts.

    Notes
    -----
    Cost: two or three forward passes for each step, and for kernels one forward and `c` backward passes over their
    examples.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> problem = tw.ModuleProblem(mlp([20]), sines_data(200).train, loss=torch.nn.functional.mse_loss)
    >>> run = tw.descend(problem, problem.theta[None], lambda w: torch.optim.SGD(w, lr=0.05), steps=20, every=10)
    >>> lazy = laziness(problem, run)
    >>> float(lazy.error[0]), bool(lazy.error[2] > lazy.error[1] > 0)
    (0.0, True)
    """
    whole_number("kernel_examples", kernel_examples, 0)
    began = time.perf_counter()
    thetas, steps = _weights(trajectory, problem)
    asked = rows(problem, inputs, "all", None, thetas[0])
    twin = LinearizedProblem(problem, thetas[0])
    found, real = _departure(asked, twin, thetas)
    if linear is not None:
        others, other_steps = _weights(linear, problem)
        if not np.array_equal(steps, other_steps) or not torch.allclose(others[0], thetas[0]):
            raise ValueError("The linearised model's run has other steps or another first step than the network's.")
        tangents = _tangents(asked, twin, others)
        found["apart"] = np.array([_size(real_t - t) for real_t, t in zip(real, tangents, strict=True)])
        found["trained_loss"] = _losses(twin, others)
    if kernel_examples:
        found |= _alignments(asked, thetas, kernel_examples)
    data = {name: ("step", values, _ABOUT[name]) for name, values in found.items()}
    attrs = {
        "kind": "lazy",
        "title": f"Departure of {asked.whose} from its tangent",
        "inputs": asked.outputs.examples.words,
        "kernel_examples": kernel_examples,
        "theta_id": hash_tensor(thetas[0]),
        "seconds": round(time.perf_counter() - began, 3),
        **provenance(**{**problem.provenance(), "loss": None}),
    }
    return schema.check(xr.Dataset(data, {"step": steps}, attrs))


_ABOUT: dict[str, dict[str, str]] = {
    "distance": {"long_name": "distance from the first weights"},
    "relative_distance": {"long_name": "distance from the first weights, of their length"},
    "error": {"long_name": "error of the linearised outputs"},
    "relative_error": {"long_name": "error of the linearised outputs, of the outputs' change"},
    "loss": {"long_name": "training loss"},
    "linear_loss": {"long_name": "training loss of the linearised model at the same weights"},
    "trained_loss": {"long_name": "training loss of the linearised model, trained by itself"},
    "apart": {"long_name": "distance of the outputs of the two trained models"},
    "kernel_alignment": {"long_name": "alignment of the kernel with the first step's"},
    "target_alignment": {"long_name": "alignment of the kernel with the targets"},
}


def _weights(run: xr.Dataset, problem: Any) -> tuple[Tensor, np.ndarray]:
    """`(step, weight)` and the steps."""
    known = recorded(run, problem)
    return known.weights(slice(None)), known.steps


def _departure(asked: Rows, twin: LinearizedProblem, thetas: Tensor) -> tuple[dict[str, np.ndarray], list[Tensor]]:
    """Distances, errors and losses, and the network's outputs at each step."""
    outputs = asked.outputs
    real = [outputs.values(theta).double() for theta in thetas]
    errors = np.array([_size(f - t) for f, t in zip(real, _tangents(asked, twin, thetas), strict=True)])
    changes = np.array([_size(f - real[0]) for f in real])
    moved = (thetas - thetas[0]).double().norm(dim=1).cpu().numpy()
    errors[0] = 0.0  # but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "distance": moved,
            "relative_distance": moved / float(thetas[0].double().norm()),
            "error": errors,
            "relative_error": np.where(changes > 0, errors / changes, np.where(np.isnan(changes), np.nan, 0.0)),
            "loss": _losses(asked.problem, thetas),
            "linear_loss": _losses(twin, thetas),
        }
    return found, real


def _tangents(asked: Rows, twin: LinearizedProblem, thetas: Tensor) -> list[Tensor]:
    """Outputs of the linearised model at each step; by the Jacobian, if it fits, else by directional derivatives."""
    first, moves = asked.outputs.values(twin.origin).double(), thetas - twin.origin
    if asked.num_bytes <= min(_STORED, free_memory(thetas.device) // 8):
        pushed = moves @ asked.outputs.jacobian(twin.origin).T
    else:
        pushed = asked.outputs.jvp(twin.origin, moves)
    return list(first + pushed.double())


def _losses(problem: Any, thetas: Tensor) -> np.ndarray:
    return problem.measure(thetas, metrics=[]).values["loss"].numpy()


def _alignments(asked: Rows, thetas: Tensor, num: int) -> dict[str, np.ndarray]:
    """Of each step's kernel with the first, and with the targets where these are known."""
    path = KernelPath(asked, num)
    found = [path.add(theta) for theta in thetas]
    return {name: np.array([values[name] for values in found]) for name in found[0]}


def _size(difference: Tensor) -> float:
    """Root mean square."""
    return float((difference**2).mean().sqrt())
