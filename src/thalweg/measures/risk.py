r"""Pointwise, empirical and expected risk: three landscapes of one model.

For an example $i$ the *pointwise risk* is $\ell_i(\theta)$, what one step of stochastic descent sees; the *empirical
risk* is their mean over the data, what training minimises; the *expected risk* $\mathbb E\, \ell(\theta)$ is the mean
over all examples that might come, what one would want to minimise (Vapnik 1991).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.request import need_problem
from thalweg.measures.surface import loss_surface
from thalweg.problem import Problem
from thalweg.store import provenance
from thalweg.subspaces import GridPoints, Subspace

_POINTS = 101
_MOST_BYTES = 2**33
_BLOCK_BYTES = 2**28
_ABOUT: dict[str, Any] = {"role": "value", "metric": "risk"}


def risk(
    problem: Problem,
    subspace: Subspace,
    *,
    expected: Callable[[Any], Any] | None = None,
    fresh: Problem | None = None,
    extent: Any = None,
    points: Any = None,
    **options: Any,
) -> xr.Dataset:
    r"""Measure pointwise, empirical and expected risk on a grid.

    Parameters
    ----------
    problem
        Any problem with per-example losses.
    subspace, extent, points, options
        As for `loss_surface`, with 101 points along each axis; or the coordinates themselves (`alpha=..., beta=...`).
    expected
        The expected risk in closed form, `(..., num_weights) -> (...)` on float64 tensors.
    fresh
        Instead of a closed form: the same model and loss on examples drawn anew, independent of the training data. The
        mean over its $n$ examples estimates the expected risk with the standard error $s / \sqrt n$.

    Returns
    -------
    Dataset
        Kind `surface` with `pointwise_risk(alpha, beta, example)`, `empirical_risk(alpha, beta)` and, if asked for,
        `expected_risk(alpha, beta)` with `expected_risk_standard_error` where it is an estimate.

    Raises
    ------
    ValueError, TypeError
        Both `expected` and `fresh`, a `fresh` of another number of weights, an `expected` that does not return one
        number for each point, or a grid whose pointwise risks do not fit in memory.

    Examples
    --------
    >>> from thalweg import coordinate_plane
    >>> from thalweg.landscapes import expected_risk, perceptron_problem
    >>> problem = perceptron_problem()
    >>> found = risk(problem, coordinate_plane(problem), expected=expected_risk, extent=5.0, points=21)
    >>> dict(found.pointwise_risk.sizes), bool((found.expected_risk > 9).all())
    ({'alpha': 21, 'beta': 21, 'example': 100}, True)
    """
    need_problem(problem)
    _validate(problem, expected, fresh, options)
    grid = {key: value for key, value in (("extent", extent), ("points", points)) if value is not None}
    named = [np.size(options[dim]) for dim in subspace.dims if dim in options]
    if not named:
        grid.setdefault("points", _POINTS)
    _fits(named or grid["points"], subspace, problem)
    found = loss_surface(problem, subspace, metrics=[], per_example=True, **grid, **options)
    dims = schema.coordinates(found)
    coords = np.stack(np.meshgrid(*(found[dim].values for dim in dims), indexing="ij"), axis=-1)
    units = found["loss"].attrs.get("units", "")
    about = _ABOUT | {"split": "train", "long_name": "empirical risk", "units": units}
    data: dict[str, Any] = {
        "empirical_risk": (dims, found["loss"].values, about | {"at_origin": found["loss"].attrs.get("at_origin")}),
        "pointwise_risk": (
            (*dims, "example"),
            found["losses"].values,
            {"role": "per_example", "long_name": "pointwise risk", "units": units},
        ),
    }
    data |= _expected(problem, subspace, coords, expected, fresh, units)
    attrs = {key: value for key, value in found.attrs.items() if key not in ("engine", "seconds_per_point", "title")}
    return schema.check(xr.Dataset(data, {dim: found[dim] for dim in dims}, attrs | provenance()))


def _expected(
    problem: Problem,
    subspace: Subspace,
    coords: np.ndarray,
    expected: Callable[[Any], Any] | None,
    fresh: Problem | None,
    units: str,
) -> dict[str, Any]:
    dims = subspace.dims
    about = _ABOUT | {"split": "population", "long_name": "expected risk", "units": units}
    flat = coords.reshape(-1, len(dims))
    origin = subspace.origin.unsqueeze(0)
    if expected is not None:
        theta = subspace(flat).to(problem.theta)
        values, at_origin = (_closed(expected, points.double()) for points in (theta, origin))
        about["at_origin"] = float(at_origin[0])
        return {"expected_risk": (dims, values.reshape(coords.shape[:-1]), about)}
    if fresh is None:
        return {}
    mean, error = _estimated(fresh, GridPoints(subspace, flat, fresh.theta))
    about["at_origin"] = float(fresh.measure(origin.to(fresh.theta), metrics=[]).values["loss"][0])
    told = {"role": "standard_error", "of": "expected_risk", "long_name": "standard error of the expected risk"}
    return {
        "expected_risk": (dims, mean.reshape(coords.shape[:-1]), about),
        "expected_risk_standard_error": (dims, error.reshape(coords.shape[:-1]), told),
    }


def _closed(expected: Callable[[Any], Any], theta: torch.Tensor) -> np.ndarray:
    values = np.asarray(torch.as_tensor(expected(theta)).detach().cpu(), dtype=np.float64)
    if values.shape != theta.shape[:-1]:
        raise ValueError(
            f"`expected` returned shape {values.shape} for weights of shape {tuple(theta.shape)}; it must return one "
            f"number for each weight vector, {tuple(theta.shape[:-1])}."
        )
    return values


def _estimated(fresh: Problem, points: GridPoints) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the fresh examples and its standard error at every point, a block of points at a time."""
    count = int(getattr(fresh, "num_examples", 1))
    size = max(1, _BLOCK_BYTES // (8 * count))
    plan, _ = fresh.plan(len(points))
    means, errors = [], []
    for start in range(0, len(points), size):
        found = fresh.measure(points[start : start + size], metrics=[], per_example=True, plan=plan)
        losses = found.losses["train"].numpy()
        means.append(losses.mean(axis=1))
        errors.append(losses.std(axis=1, ddof=1) / np.sqrt(losses.shape[1]))
    return np.concatenate(means), np.concatenate(errors)


def _validate(
    problem: Problem, expected: Callable[[Any], Any] | None, fresh: Problem | None, options: dict[str, Any]
) -> None:
    if expected is not None and fresh is not None:
        raise ValueError("Give the expected risk in closed form (`expected`) or fresh examples (`fresh`), not both.")
    if expected is not None and not callable(expected):
        raise TypeError(f"`expected` is a {type(expected).__name__}; expected a function of the weights.")
    if fresh is not None:
        need_problem(fresh)
        if fresh.num_weights != problem.num_weights:
            raise ValueError(
                f"`fresh` has {fresh.num_weights} weights, the problem {problem.num_weights}; both are the same model."
            )
        if getattr(fresh, "num_examples", 1) < 2:
            raise ValueError("`fresh` has a single example; a standard error needs two at least, and many are better.")
    taken = [name for name in ("store", "adaptive", "num_examples", "gradient", "per_example") if name in options]
    if taken:
        raise ValueError(
            f"`risk` keeps every example's loss at every point, in memory; leave out {', '.join(taken)} "
            "(`thalweg.save` writes the result)."
        )


def _fits(points: Any, subspace: Subspace, problem: Problem) -> None:
    counts = np.atleast_1d(np.asarray(list(points.values()) if isinstance(points, Mapping) else points, dtype=float))
    counts = np.broadcast_to(counts, (len(subspace.dims),)) if counts.size == 1 else counts
    num_examples = int(getattr(problem, "num_examples", 1))
    needed = int(np.prod(counts)) * num_examples * 16
    if needed > _MOST_BYTES:
        raise ValueError(
            f"{int(np.prod(counts)):,} points with {num_examples:,} examples each need {needed / 2**30:.1f} GiB. Take "
            "fewer points, or a problem with fewer examples."
        )
