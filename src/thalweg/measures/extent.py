r"""How far to look: the axes of a grid, given or found.

`auto` walks out along each direction, both ways, until the loss leaves a stated factor of its value at the origin, so that a
first picture is never blank and never nothing but a wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.problem import Plan, Problem
from thalweg.subspaces import GridPoints, Subspace

Extent = Any
_STEPS = 2.0 ** np.array([-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0])
_UNIT = 5
_ENOUGH_EXAMPLES = 1000


def axes_of(
    problem: Problem, subspace: Subspace, extent: Extent, points: Any, factor: float
) -> dict[str, np.ndarray]:
    """Coordinates along each dim of `subspace`.

    Parameters
    ----------
    extent
        `"auto"`; a radius `r` for $[-r, r]$ on every axis; a pair `(low, high)` for every axis; a mapping from dims to either; or
        one pair for each axis.
    points
        Number of points along every axis, or one number for each (sequence or mapping).
    factor
        For `"auto"`, see `loss_surface`.
    """
    counts = _counts(points, subspace.dims)
    ranges = _ranges(extent, subspace.dims)
    if ranges is None:
        ranges = subspace.domain
    if ranges is None:
        radii = auto_radii(problem, subspace, factor)
        ranges = np.stack([-radii, radii], axis=1)
    return {dim: axis(low, high, n) for dim, (low, high), n in zip(subspace.dims, ranges, counts, strict=True)}


def axis(low: float, high: float, n: int) -> np.ndarray:
    """`n` evenly spaced coordinates from `low` to `high`; on an odd symmetric axis the middle is 0 to the bit.

    Examples
    --------
    >>> axis(-0.3, 0.3, 5)
    array([-0.3 , -0.15,  0.  ,  0.15,  0.3 ])
    """
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"The extent runs from {low} to {high}; it needs finite bounds, the lower one first.")
    if low == -high:
        return high * ((2.0 * np.arange(n) - (n - 1)) / (n - 1))
    values = np.linspace(low, high, n)
    values[np.abs(values) < 1e-9 * (high - low) / (n - 1)] = 0.0
    return values


def auto_radii(problem: Problem, subspace: Subspace, factor: float) -> np.ndarray:
    r"""For each axis, how far one can go both ways while $L \le L_0 + (f - 1)\max(|L_0|, R / 100)$.

    $L_0$ is the loss at the origin, $f$ the factor, and $R$ the median rise at a step as long as the weights themselves; it matters
    only where the origin's loss is nearly zero. Probed at steps of powers of two (on at most 1,000 examples), then interpolated;
    rounded down to two digits. Along a direction on which the loss never rises so far, one unit.
    """
    if not factor > 1:
        raise ValueError(f"factor={factor}; it says how many times the origin's loss the picture may reach, so it exceeds 1.")
    dim = len(subspace.dims)
    units = _units(subspace)
    probes = np.zeros((dim, 2, len(_STEPS), dim))
    for k in range(dim):
        for sign in (0, 1):
            probes[k, sign, :, k] = (1 - 2 * sign) * _STEPS * units[k]
    coords = np.concatenate([np.zeros((1, dim)), probes.reshape(-1, dim)])
    losses = _losses(problem, subspace, coords)
    start, walls = losses[0], losses[1:].reshape(dim, 2, len(_STEPS))
    rises = np.abs(walls[:, :, _UNIT] - start)
    rise = float(np.median(rises[np.isfinite(rises)])) if np.isfinite(rises).any() else 0.0
    limit = start + (factor - 1) * max(abs(start), rise / 100)
    return np.array([_two_digits(min(_crossing(w, limit) for w in walls[k]) * units[k]) for k in range(dim)])


def _crossing(losses: np.ndarray, limit: float) -> float:
    """First step at which the loss passes the limit, between the probes (geometrically); one unit if it never does."""
    beyond = np.nonzero(~(losses <= limit))[0]
    if len(beyond) == 0:
        return 1.0
    i = int(beyond[0])
    if i == 0 or not np.isfinite(losses[i]):
        return float(_STEPS[max(0, i - 1)])
    share = (limit - losses[i - 1]) / (losses[i] - losses[i - 1])
    return float(_STEPS[i - 1] * (_STEPS[i] / _STEPS[i - 1]) ** share)


def _losses(problem: Problem, subspace: Subspace, coords: np.ndarray) -> np.ndarray:
    available = getattr(problem, "num_examples", None)
    subset = _ENOUGH_EXAMPLES if available and available > _ENOUGH_EXAMPLES else None
    points = GridPoints(subspace, coords, problem.theta)
    return problem.measure(points, metrics=(), num_examples=subset, plan=Plan()).values["loss"].numpy()


def _units(subspace: Subspace) -> np.ndarray:
    """Length of the weights in units of each direction: 1 for filter-normalised ones."""
    origin = float(subspace.origin.double().norm())
    steps = subspace(np.eye(len(subspace.dims))) - subspace.origin
    lengths = steps.double().norm(dim=-1).cpu().numpy()
    return (origin or 1.0) / lengths


def _two_digits(value: float) -> float:
    scale = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.floor(value / scale + 1e-9) * scale:.2g}")


def _counts(points: Any, dims: Sequence[str]) -> list[int]:
    if isinstance(points, Mapping):
        _same_names(points, dims, "points")
        points = [points[dim] for dim in dims]
    counts = [points] * len(dims) if np.ndim(points) == 0 else list(points)
    if len(counts) != len(dims) or any(int(n) != n or n < 2 for n in counts):
        raise ValueError(f"points={points!r}; expected a whole number of at least 2, or one for each of {', '.join(dims)}.")
    return [int(n) for n in counts]


def _ranges(extent: Extent, dims: Sequence[str]) -> np.ndarray | None:
    """`(dim, 2)`, or None for `auto`."""
    if isinstance(extent, str):
        if extent != "auto":
            raise ValueError(f"extent={extent!r}; expected 'auto', a radius, a pair (low, high), or one for each axis.")
        return None
    if isinstance(extent, Mapping):
        _same_names(extent, dims, "extent")
        return np.array([_pair(extent[dim]) for dim in dims])
    if np.ndim(extent) == 2:
        if np.shape(extent) != (len(dims), 2):
            raise ValueError(f"extent has shape {np.shape(extent)}; expected one pair (low, high) for each of {', '.join(dims)}.")
        return np.asarray(extent, dtype=float)
    return np.array([_pair(extent)] * len(dims))


def _pair(value: Any) -> tuple[float, float]:
    if np.ndim(value) == 0:
        if not float(value) > 0:
            raise ValueError(f"extent={value}; a radius is positive.")
        return -float(value), float(value)
    if np.shape(value) != (2,):
        raise ValueError(f"extent={value!r}; expected a radius or a pair (low, high).")
    return float(value[0]), float(value[1])


def _same_names(given: Mapping[str, Any], dims: Sequence[str], what: str) -> None:
    if set(given) != set(dims):
        raise ValueError(f"{what} names the axes {sorted(given)}; the subspace has {', '.join(dims)}.")
