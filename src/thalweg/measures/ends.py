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
_AROUND = 1e-3  # of the spread: where the loss around a point without gradient and curvature is looked at
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


@dataclass(frozen=True)
class Judged:
    """Of every end: its kind, its critical point; the sharpest curvature there, how far off Newton's iteration may have
    left it, and whether it is isolated (no curvature vanishes).
    """

    kinds: np.ndarray
    place: np.ndarray
    sharpest: np.ndarray
    slack: np.ndarray
    isolated: np.ndarray


def ends_of(paths: xr.Dataset, problem: Problem, settle: int) -> Ends:
    """The last iterates, after `settle` more steps of plain gradient descent; scales of what did not diverge."""
    theta = paths["theta"].values
    begin, slopes = at(problem, theta[:, 0])
    last = _settled(problem, theta[:, -1], settle)
    value, gradient = at(problem, last)
    lengths = np.abs(slopes).max(axis=1, initial=0.0)
    stayed = np.isfinite(value) & np.isfinite(begin) & np.isfinite(lengths)
    return Ends(
        theta=last,
        loss=value,
        gradient=gradient,
        spread=_spread(theta[stayed, 0], last[stayed]),
        drop=max(float(np.median(begin[stayed] - value[stayed])), 0.0) if stayed.any() else 0.0,
        steepest=float(np.median(lengths[stayed])) if stayed.any() else 0.0,
    )


def _spread(starts: np.ndarray, last: np.ndarray) -> float:
    """Within which three of four starts lie around their middle (a far one is no matter); of one, how far it went."""
    if not len(starts):
        return 1.0
    apart = np.linalg.norm(starts - np.median(starts, axis=0), axis=1)
    gone = np.linalg.norm(last - starts, axis=1)
    return float(np.quantile(apart, 0.75, method="nearest")) or float(apart.max()) or float(gone.max()) or 1.0


def judged(ends: Ends, problem: Problem, tolerance: float) -> Judged:
    """Of every end its kind, a word of `KINDS`, and the critical point that it is at."""
    kinds = np.where(ends.finite, "moving", "diverged").astype(object)
    found = Judged(kinds, ends.theta.copy(), np.zeros(len(kinds)), np.zeros(len(kinds)), np.zeros(len(kinds), bool))
    known = np.flatnonzero(ends.finite)
    if ends.theta.shape[1] > DENSE:
        small = np.linalg.norm(ends.gradient[known], axis=1) <= 1e-3 * ends.steepest
        kinds[known[small]] = "flat"
        return found
    theta, slope = ends.theta[known], ends.gradient[known]
    rest, place, here = _at_rest(problem, theta, slope, ends, tolerance)
    curvature, directions = eigen(problem, place)
    sharpest = np.abs(curvature).max(axis=1, initial=0.0)
    level = max(_STRAIGHT, 100 * torch.finfo(problem.layout.dtype).eps) * sharpest
    down, up = (curvature < -level[:, None]).any(1), (curvature > level[:, None]).any(1)
    # A path that passes near a saddle leaves it again along the directions that bend down; one that stays is on none.
    off = np.einsum("nij,ni->nj", directions, theta - place)
    stays = np.linalg.norm(np.where(curvature < -level[:, None], off, 0.0), axis=1) <= _STAYS * ends.spread
    kinds[known[rest & ~down]] = "minimum"
    kinds[known[rest & down & stays & up]] = "saddle"
    kinds[known[rest & down & stays & ~up]] = "maximum"
    softest = np.abs(curvature).min(axis=1, initial=np.inf)
    soft = np.flatnonzero(rest & ~down & up & (softest <= level))  # curvature alone does not tell
    falls = ~_holds(problem, place[soft], here[soft], sharpest[soft], ends.spread)
    kinds[known[soft[falls]]] = np.where(stays[soft[falls]], "saddle", "moving")
    still = np.abs(slope).max(axis=1, initial=0.0) <= 1e-9 * ends.steepest
    bent = np.abs(eigen(problem, theta)[0]).max(axis=1, initial=0.0) * ends.spread
    ground = np.flatnonzero(still & (bent <= 1e-9 * ends.steepest))
    kinds[known[ground]] = _ground(problem, theta[ground], ends.loss[known[ground]], ends.spread)
    found.isolated[known] = rest & (softest > level)
    found.sharpest[known] = sharpest
    found.slack[known] = np.linalg.norm(here, axis=1) / np.maximum(softest, 1e-300)
    found.place[known] = place
    return found


def _ground(problem: Problem, theta: np.ndarray, loss: np.ndarray, spread: float) -> np.ndarray:
    """Without gradient and curvature: flat, or at a kink or a point of high order, as the loss around tells."""
    if not len(theta):
        return np.empty(0, dtype=object)
    rise = _around(problem, theta, loss, spread)
    level = 100 * torch.finfo(problem.layout.dtype).eps * np.abs(loss)[:, None]
    flat = (np.abs(rise) <= level).mean(axis=1) >= 0.1
    up, down = rise > level, rise < -level
    sloped = (up & np.roll(down, up.shape[1] // 2, axis=1)).any(axis=1)  # up one way, down the opposite way
    up, down = up.any(axis=1), down.any(axis=1)
    words = ["flat", "moving", "minimum", "maximum"]
    return np.select([flat, sloped, up & ~down, down & ~up], words, "saddle").astype(object)


def _around(problem: Problem, theta: np.ndarray, loss: np.ndarray, spread: float) -> np.ndarray:
    """By how much the loss rises a little beside each point, along axes and random directions."""
    num_weights = theta.shape[1]
    ways = np.random.default_rng(0).normal(size=(32, num_weights))
    ways = np.concatenate([np.eye(num_weights), ways / np.linalg.norm(ways, axis=1, keepdims=True)])
    ways = _AROUND * spread * np.concatenate([ways, -ways])
    places = torch.as_tensor((theta[:, None] + ways).reshape(-1, num_weights)).to(problem.theta)
    values = problem.measure(places, metrics=[]).values["loss"].numpy().reshape(len(theta), -1)
    return values - loss[:, None]


def _holds(problem: Problem, place: np.ndarray, slope: np.ndarray, sharpest: np.ndarray, spread: float) -> np.ndarray:
    """Whether the loss falls nowhere beside points at which some curvature vanishes, beyond what rounding explains."""
    if not len(place):
        return np.empty(0, dtype=bool)
    value = at(problem, place)[0]
    rise, step = _around(problem, place, value, spread), _AROUND * spread
    level = 1e-3 * sharpest * step**2 + 2 * step * np.linalg.norm(slope, axis=1)
    level += 100 * torch.finfo(problem.layout.dtype).eps * np.abs(value)
    return (rise >= -level[:, None]).all(axis=1)


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


def eigen(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether Newton's iteration comes to an end within `tolerance` spreads of each point; where; what is left of the
    gradient there.
    """
    reach = tolerance * ends.spread
    place, here, last = theta.copy(), slope.copy(), np.full(len(theta), np.inf)
    eps = torch.finfo(problem.layout.dtype).eps
    gone = 1e-6 * np.linalg.norm(slope, axis=1) + max(1e-9, 100 * eps) * ends.steepest
    short = (1e-3 if eps < 1e-10 else 0.1) * reach
    for _ in range(_NEWTON):
        near = np.linalg.norm(place - theta, axis=1) <= reach
        active = np.flatnonzero(near & ((last > 1e-3 * short) | (np.linalg.norm(here, axis=1) > gone)))
        if active.size == 0:
            break
        step = _newton(*eigen(problem, place[active]), here[active])
        last[active] = np.abs(step).max(axis=1, initial=0.0)
        shortened = np.minimum(1.0, 2 * reach / np.maximum(last[active], 1e-300))  # further is too far anyway
        place[active] += step * shortened[:, None]
        here[active] = np.nan_to_num(at(problem, place[active])[1], nan=np.inf)
    near = np.linalg.norm(place - theta, axis=1) <= reach
    rest = near & (last <= short) & (np.linalg.norm(here, axis=1) <= gone)
    return rest, np.where(rest[:, None], place, theta), np.where(rest[:, None], here, 0.0)


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
