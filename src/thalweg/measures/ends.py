r"""Where descents stopped: at a minimum, on a saddle, in a flat region, or on their way.

An end is *at rest* if Newton's iteration from it stays near and makes the gradient vanish. The eigenvalues of the
Hessian then tell minima from saddles. Beyond `DENSE` weights no Hessian is formed, and a small gradient has to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from thalweg.problem import FunctionProblem, Problem

KINDS = ("minimum", "saddle", "maximum", "flat", "moving", "diverged")
DENSE = 64  # weights up to which the Hessian is formed
_STRAIGHT = 1e-6  # of the sharpest curvature: what is none
_STAYS = 1e-6  # of the spread: how far along an unstable direction an end on a saddle may be
_NEWTON = 8


@dataclass(frozen=True)
class Ends:
    """Ends of the descents: weights, loss, gradient; how far the starts spread and how far the loss fell."""

    theta: np.ndarray
    loss: np.ndarray
    gradient: np.ndarray
    spread: float
    drop: float
    steepest: float

    @property
    def finite(self) -> np.ndarray:
        """Which of them did not diverge."""
        return np.isfinite(self.theta).all(1) & np.isfinite(self.loss) & np.isfinite(self.gradient).all(1)


def ends_of(paths: xr.Dataset, problem: Problem, settle: int) -> Ends:
    """The last iterates, after `settle` more steps of plain gradient descent."""
    theta = paths["theta"].values
    begin, slopes = at(problem, theta[:, 0])
    last = _settled(problem, theta[:, -1], settle)
    value, gradient = at(problem, last)
    stayed = theta[np.isfinite(value) & np.isfinite(begin), 0]
    spread = float(np.sqrt(((stayed - stayed.mean(axis=0)) ** 2).sum(1).mean())) if len(stayed) else 1.0
    if spread == 0.0:  # a single start
        spread = float(np.linalg.norm(np.nan_to_num(last[0] - theta[0, 0]))) or 1.0
    finite = value[np.isfinite(value)]
    begin = begin[np.isfinite(begin)]
    drop = max(float(np.median(begin) - finite.min()), 0.0) if finite.size and begin.size else 0.0
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(slopes, axis=1)
    lengths = lengths[np.isfinite(lengths)]
    return Ends(last, value, gradient, spread, drop, float(np.median(lengths)) if lengths.size else 0.0)


def kinds_of(ends: Ends, problem: Problem, tolerance: float) -> np.ndarray:
    """Of every end, a word of `KINDS`."""
    kinds = np.where(ends.finite, "moving", "diverged").astype(object)
    known = np.flatnonzero(ends.finite)
    if ends.theta.shape[1] > DENSE:
        small = np.linalg.norm(ends.gradient[known], axis=1) <= 1e-3 * ends.steepest
        kinds[known[small]] = "flat"
        return kinds
    theta, slope = ends.theta[known], ends.gradient[known]
    still = np.abs(slope).max(axis=1, initial=0.0) <= 1e-9 * ends.steepest
    bent = np.abs(hessians(problem, theta)).max(axis=(1, 2), initial=0.0) * ends.spread
    kinds[known[still & (bent <= 1e-9 * ends.steepest)]] = "flat"
    rest, place = _at_rest(problem, theta, slope, ends, tolerance)
    curvature, directions = _eigen(problem, place)
    level = _STRAIGHT * np.abs(curvature).max(axis=1, keepdims=True, initial=0.0)
    down, up = curvature < -level, curvature > level
    # A path that passes near a saddle leaves it again along the directions that bend down; one that stays is on none.
    off = np.einsum("nij,ni->nj", directions, theta - place)
    stays = np.linalg.norm(np.where(down, off, 0.0), axis=1) <= _STAYS * ends.spread
    rest &= kinds[known] != "flat"
    kinds[known[rest & ~down.any(1)]] = "minimum"
    kinds[known[rest & down.any(1) & stays & up.any(1)]] = "saddle"
    kinds[known[rest & down.any(1) & stays & ~up.any(1)]] = "maximum"
    return kinds


def hessians(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Dense Hessians at several weight vectors `(n, num_weights)`, symmetric, by one product for each weight."""
    units = np.eye(theta.shape[1])
    dense = np.stack([products(problem, theta, unit) for unit in units], axis=1)
    return (dense + dense.swapaxes(1, 2)) / 2


def products(problem: Problem, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Hessian times one vector at several weight vectors; a written landscape takes all of them at once."""
    thetas = torch.as_tensor(np.ascontiguousarray(theta)).to(problem.theta)
    vector = torch.as_tensor(v).to(thetas)
    if isinstance(problem, FunctionProblem):
        return problem.hvp(thetas, vector).double().cpu().numpy()
    found = [problem.hvp(row, vector).double().cpu().numpy() for row in thetas]
    return np.stack(found) if found else np.empty(theta.shape)


def at(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss `(n,)` and gradient `(n, num_weights)`."""
    value, slope = problem.value_and_gradient(torch.as_tensor(np.ascontiguousarray(theta)))
    return value.double().cpu().numpy(), slope.double().cpu().numpy()


def _eigen(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues `(n, w)` and eigenvectors of the Hessians; zero where they are not finite."""
    dense = hessians(problem, theta)
    return np.linalg.eigh(np.where(np.isfinite(dense).all(axis=(1, 2), keepdims=True), dense, 0.0))


def _newton(curvature: np.ndarray, directions: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Newton's step, with the sharpest curvature where there is none."""
    stiffest = np.maximum(np.abs(curvature).max(axis=1, keepdims=True, initial=0.0), 1e-300)
    bent = np.abs(curvature) > _STRAIGHT * stiffest
    along = np.einsum("nij,ni->nj", directions, slope)
    with np.errstate(over="ignore"):
        lengths = np.clip(along / np.where(bent, curvature, stiffest), -1e100, 1e100)
    return -np.einsum("nij,nj->ni", directions, lengths)


def _at_rest(
    problem: Problem, theta: np.ndarray, slope: np.ndarray, ends: Ends, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Whether Newton's iteration makes the gradient vanish within `tolerance` spreads of each point, and where."""
    reach = tolerance * ends.spread
    place, here = theta.copy(), slope.copy()
    exact = 100 * torch.finfo(problem.layout.dtype).eps
    gone = 1e-6 * np.linalg.norm(slope, axis=1) + max(1e-9, exact) * ends.steepest
    for _ in range(_NEWTON):
        near = np.linalg.norm(place - theta, axis=1) <= reach
        active = np.flatnonzero(near & (np.linalg.norm(here, axis=1) > 1e-3 * gone))
        if active.size == 0:
            break
        step = _newton(*_eigen(problem, place[active]), here[active])
        longest = np.abs(step).max(axis=1, keepdims=True)
        place[active] += step * np.minimum(1.0, 2 * reach / np.maximum(longest, 1e-300))  # further is too far anyway
        here[active] = np.nan_to_num(at(problem, place[active])[1], nan=np.inf)
    near = np.linalg.norm(place - theta, axis=1) <= reach
    rest = near & (np.linalg.norm(here, axis=1) <= gone)
    return rest, np.where(rest[:, None], place, theta)


def _settled(problem: Problem, theta: np.ndarray, steps: int) -> np.ndarray:
    """Ends after some steps of plain gradient descent, each start with a step length of its own."""
    if not steps:
        return theta
    if theta.shape[1] > DENSE:
        raise ValueError(f"settle={steps} needs the curvature at the ends, which is not formed beyond {DENSE} weights.")
    known = np.isfinite(theta).all(1)
    length = np.full(len(theta), 1.0)
    sharpest = np.abs(np.linalg.eigvalsh(np.nan_to_num(hessians(problem, theta[known])))).max(axis=1, initial=0.0)
    length[known] = 1 / np.maximum(sharpest, 1e-12)
    theta = theta.copy()
    value, slope = at(problem, theta)
    for _ in range(steps):
        tried = theta - length[:, None] * slope
        there, steeper = at(problem, tried)
        with np.errstate(invalid="ignore"):
            lower = there <= value
        theta, slope = np.where(lower[:, None], tried, theta), np.where(lower[:, None], steeper, slope)
        value, length = np.where(lower, there, value), np.where(lower, length, length / 2)
    return theta
