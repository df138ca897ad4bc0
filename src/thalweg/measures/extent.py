r"""How far to look: the axes of a grid, given or found.

`auto` walks out along each direction, both ways, until the loss leaves a stated factor of its value at the origin, so
that a first picture is never blank and never nothing but a wall.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from thalweg.problem import Plan, Problem
from thalweg.subspaces import GridPoints, Subspace

Extent = Any
_STEPS = 2.0 ** np.array([-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0])
_UNIT = 5
_INWARDS = 8
_SMALLEST = 2.0**-60
POINTS = 51
_ENOUGH_EXAMPLES = 1000


@dataclass(frozen=True)
class Asked:
    """A grid as it was asked for, in any spelling: coordinates, or ranges and numbers of points along each dim."""

    dims: tuple[str, ...]
    axes: dict[str, np.ndarray] | None
    ranges: np.ndarray | None
    counts: tuple[int, ...]
    factor: float

    def found(self, problem: Problem, subspace: Subspace) -> dict[str, np.ndarray]:
        """Coordinates along each dim; measures how far to look where that was left open."""
        if self.axes is not None:
            return self.axes
        ranges = self.ranges
        if ranges is None:
            radii = auto_radii(problem, subspace, self.factor)
            ranges = np.stack([-radii, radii], axis=1)
        return {dim: axis(low, high, n) for dim, (low, high), n in zip(self.dims, ranges, self.counts, strict=True)}

    def facts(self) -> dict[str, Any]:
        """What determines the coordinates, for a store to recognise."""
        if self.axes is not None:
            return {dim: hashlib.sha256(axis.tobytes()).hexdigest()[:16] for dim, axis in self.axes.items()}
        if self.ranges is None:
            return {"extent": "auto", "points": list(self.counts), "factor": self.factor}
        return {"extent": self.ranges.tolist(), "points": list(self.counts)}


def asked(subspace: Subspace, extent: Extent, points: Any, factor: float, coords: Mapping[str, Any]) -> Asked:
    """Read a grid in any of its spellings; nothing is computed.

    Parameters
    ----------
    extent
        `"auto"`; a radius `r` for $[-r, r]$ on every axis; a pair `(low, high)` for every axis; a mapping from dims to
        either; or one pair for each axis.
    points
        Number of points along every axis, or one number for each (sequence or mapping).
    factor
        For `"auto"`, see `loss_surface`.
    coords
        Coordinates by dim, instead of both; or nothing.
    """
    dims = tuple(subspace.dims)
    if coords:
        return Asked(dims, _given_axes(coords, dims, extent, points), None, (), factor)
    if not factor > 1:
        raise ValueError(
            f"factor={factor}; it says how many times the origin's loss the picture may reach, so it exceeds 1."
        )
    ranges = _ranges(extent, dims)
    return Asked(dims, None, subspace.domain if ranges is None else ranges, _counts(points, dims), factor)


def axis(low: float, high: float, n: int) -> np.ndarray:
    """`n` evenly spaced coordinates from `low` to `high`; on an odd symmetric axis the middle is 0 to the bit.

    Examples
    --------
    >>> axis(-0.3, 0.3, 5)
    array([-0.3 , -0.15,  0.  ,  0.15,  0.3 ])
    """
    if low == -high:
        return high * ((2.0 * np.arange(n) - (n - 1)) / (n - 1))
    values: np.ndarray = np.linspace(low, high, n)
    values[np.abs(values) < 1e-9 * (high - low) / (n - 1)] = 0.0
    return values


def auto_radii(problem: Problem, subspace: Subspace, factor: float) -> np.ndarray:
    r"""For each axis, how far one can go both ways while $L \le L_0 + (f - 1)\max(|L_0|, R / 100)$.

    $L_0$ is the loss at the origin, $f$ the factor, and $R$ the median rise at a step as long as the weights
    themselves; it matters only where the origin's loss is nearly zero. Probed at steps of powers of two (on at most
    1,000 examples), inwards too where the first is already beyond, then interpolated; rounded down to two digits. Along
    a direction on which the loss never rises so far, one unit.
    """
    dim, units = len(subspace.dims), _units(subspace)
    walls, start = _walls(problem, subspace, units, _STEPS)
    rises = np.abs(walls[:, :, _UNIT] - start)
    rise = float(np.median(rises[np.isfinite(rises)])) if np.isfinite(rises).any() else 0.0
    limit = start + (factor - 1) * max(abs(start), rise / 100)
    steps = _STEPS
    while np.isfinite(limit) and (walls[:, :, 0] > limit).any() and steps[0] > _SMALLEST:
        inner = steps[0] * 2.0 ** np.arange(-_INWARDS, 0)
        nearer, _ = _walls(problem, subspace, units, inner)
        walls, steps = np.concatenate([nearer, walls], axis=2), np.concatenate([inner, steps])
    return np.array([_two_digits(min(_crossing(w, steps, limit) for w in walls[k]) * units[k]) for k in range(dim)])


def _walls(problem: Problem, subspace: Subspace, units: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, float]:
    """Losses at `steps` along each direction, both ways, `(dim, 2, len(steps))`, and at the origin."""
    dim = len(units)
    probes = np.zeros((dim, 2, len(steps), dim))
    for k in range(dim):
        for sign in (0, 1):
            probes[k, sign, :, k] = (1 - 2 * sign) * steps * units[k]
    losses = _losses(problem, subspace, np.concatenate([np.zeros((1, dim)), probes.reshape(-1, dim)]))
    return losses[1:].reshape(dim, 2, len(steps)), float(losses[0])


def _crossing(losses: np.ndarray, steps: np.ndarray, limit: float) -> float:
    """First step at which the loss passes the limit, between the probes (geometrically); one unit if it never does."""
    beyond = np.nonzero(~(losses <= limit))[0]
    if len(beyond) == 0:
        return 1.0
    i = int(beyond[0])
    if i == 0 or not np.isfinite(losses[i]):
        return float(steps[max(0, i - 1)])
    share = (limit - losses[i - 1]) / (losses[i] - losses[i - 1])
    return float(steps[i - 1] * (steps[i] / steps[i - 1]) ** share)


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


def _given_axes(coords: Mapping[str, Any], dims: tuple[str, ...], extent: Extent, points: Any) -> dict[str, np.ndarray]:
    """Explicit coordinates, copied: nobody's later edits reach the result."""
    if set(coords) != set(dims):
        raise TypeError(
            f"loss_surface got the keywords {', '.join(sorted(coords))}; the coordinates of this subspace are "
            f"{', '.join(dims)}."
        )
    if not (isinstance(extent, str) and extent == "auto" and isinstance(points, int) and points == POINTS):
        raise TypeError(
            f"Coordinates {', '.join(dims)} came together with extent={extent!r}, points={points!r}, which they "
            "replace. Pass one or the other."
        )
    axes = {}
    for dim in dims:
        try:
            values = np.atleast_1d(np.array(_bare(coords[dim]), dtype=np.float64))
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
            raise ValueError(
                f"Coordinate `{dim}` must be a list of finite, strictly increasing numbers, at least one; "
                f"{_short(coords[dim])} came."
            )
        axes[dim] = values
    return axes


def _counts(points: Any, dims: Sequence[str]) -> tuple[int, ...]:
    if isinstance(points, Mapping):
        _same_names(points, dims, "points")
        points = [points[dim] for dim in dims]
    counts = np.empty(0)
    if not isinstance(points, str):
        with contextlib.suppress(TypeError, ValueError):
            counts = np.asarray(_bare(points), dtype=float)
    counts = np.full(len(dims), counts) if counts.ndim == 0 else counts
    if counts.shape != (len(dims),) or not (np.isfinite(counts) & (counts == np.round(counts)) & (counts >= 2)).all():
        raise ValueError(
            f"points={points!r}; expected a whole number of at least 2, or one for each of {', '.join(dims)}."
        )
    return tuple(int(n) for n in counts)


def _ranges(extent: Extent, dims: Sequence[str]) -> np.ndarray | None:
    """`(dim, 2)`, or None for `auto`."""
    if isinstance(extent, str):
        if extent != "auto":
            raise _no_extent(extent)
        return None
    if isinstance(extent, Mapping):
        _same_names(extent, dims, "extent")
        return np.array([_pair(extent[dim]) for dim in dims])
    try:
        table = np.asarray(_bare(extent), dtype=float)
    except (TypeError, ValueError):
        raise _no_extent(extent) from None
    if table.ndim != 2:
        return np.array([_pair(extent)] * len(dims))
    if table.shape != (len(dims), 2):
        raise ValueError(
            f"extent has shape {table.shape}; expected one pair (low, high) for each of {', '.join(dims)}."
        )
    return np.array([_pair(row) for row in table])


def _pair(value: Any) -> tuple[float, float]:
    """Lower and upper bound, from a radius or a pair."""
    try:
        bounds = np.asarray(_bare(value), dtype=float)
    except (TypeError, ValueError):
        raise _no_extent(value) from None
    if value is None or bounds.shape not in ((), (2,)):
        raise _no_extent(value)
    if bounds.ndim == 0 and not bounds > 0:
        raise ValueError(f"extent={value}; a radius is positive.")
    low, high = (-float(bounds), float(bounds)) if bounds.ndim == 0 else map(float, bounds)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"The extent runs from {low} to {high}; it needs finite bounds, the lower one first.")
    return low, high


def _no_extent(value: Any) -> ValueError:
    return ValueError(
        f"extent={_short(value)}; expected 'auto', a radius or a pair (low, high) for all axes, or a pair for each "
        "(mixed: a mapping from axis to either)."
    )


def _bare(value: Any) -> Any:
    """A tensor as numpy's array, anything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _same_names(given: Mapping[str, Any], dims: Sequence[str], what: str) -> None:
    if set(given) != set(dims):
        raise ValueError(f"{what} names the axes {sorted(given)}; the subspace has {', '.join(dims)}.")
