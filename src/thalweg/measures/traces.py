r"""Trace and diagonal of a curvature matrix, each with a standard error.

$\operatorname{tr} H$ is the sum of all curvatures, and the mean curvature along a random direction times the number of
weights; the diagonal tells it weight by weight. The estimators are in `linalg.trace` and `linalg.xtrace`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from thalweg import linalg, schema
from thalweg.linalg.estimate import quantile
from thalweg.measures.density import CONFIDENCE
from thalweg.measures.matrix import Place, place, watched, whole_number
from thalweg.problem import Problem
from thalweg.problem.criterion import one_of
from thalweg.problem.curvature import Curvature

TraceMethod = Literal["xtrace", "hutch++", "hutchinson"]
_METHODS = {"xtrace": linalg.xtrace, "hutch++": linalg.hutch_plus_plus, "hutchinson": linalg.hutchinson}


def trace(
    problem: Problem,
    *,
    matrix: str = "hessian",
    method: TraceMethod = "xtrace",
    parameters: str | Sequence[str] | None = None,
    theta: Any = None,
    num_matvecs: int = 120,
    seed: int = 0,
    num_examples: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""The trace of a curvature matrix of the mean loss, $\operatorname{tr} A = \sum_i \lambda_i$.

    Parameters
    ----------
    problem, matrix, parameters, theta, num_examples, progress
        As for `top_eigenpairs`.
    method
        `"xtrace"` (the smallest error for a budget), `"hutch++"`, or `"hutchinson"` (the least memory).
    num_matvecs
        Products, at least 6 (2 for `"hutchinson"`). With as many as the matrix has rows, `"xtrace"` and `"hutch++"`
        are exact.
    seed
        Of the probes, of a subset of the examples, and of sampled targets.

    Returns
    -------
    Dataset
        Kind `estimate`: `value()` and `standard_error()` in the unit of the loss. In attrs `quantile`, the number of
        standard errors (Student's t) that a 95% interval reaches to either side, and its ends `low`, `high`. The error
        is that of random probes, not of a subset of the examples.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As `top_eigenpairs`; an unknown method, or a budget too small for a standard error.

    Notes
    -----
    Memory: about `2 * num_matvecs` vectors; `"hutchinson"` two.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y, z: 2 * x**2 - y**2 + 0.5 * z**2)
    >>> found = trace(bowl)
    >>> float(found.value), float(found.standard_error), found.num_matvecs
    (3.0, 0.0, 3)
    """
    at = place(problem, matrix, theta, parameters, num_examples, seed)
    one_of("method", method, tuple(_METHODS))
    whole_number("num_matvecs", num_matvecs, 2 if method == "hutchinson" else 6)
    curvature = at.curvature(expected=num_matvecs)
    with watched(curvature, "trace", num_matvecs, progress, num_matvecs) as product:
        found = _METHODS[method](product, at.size, num_matvecs=num_matvecs, **_probes(at))
    low, high = found.interval(CONFIDENCE)
    attrs = {"low": low, "high": high} | _attrs(at, curvature, "trace", method, found.degrees)
    about = {"units": at.units}
    data = {
        "value": ((), found.estimate, {"long_name": "trace", **about}),
        "standard_error": ((), found.standard_error, {"long_name": "standard error of the trace", **about}),
    }
    return schema.check(xr.Dataset(data, attrs=attrs))


def diagonal(
    problem: Problem,
    *,
    matrix: str = "hessian",
    parameters: str | Sequence[str] | None = None,
    theta: Any = None,
    num_matvecs: int = 120,
    seed: int = 0,
    num_examples: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""The diagonal of a curvature matrix of the mean loss, $\partial^2 L / \partial \theta_i^2$ for the Hessian.

    The mean of $g \odot Ag$ over random signs $g$; unbiased, with variance $\sum_{j \ne i} a_{ij}^2$ per product.

    Parameters
    ----------
    problem, matrix, parameters, theta, num_examples, progress
        As for `top_eigenpairs`.
    num_matvecs
        Products, at least 2. With as many as the matrix has rows the diagonal is exact (unit vectors are used).
    seed
        Of the probes, of a subset of the examples, and of sampled targets.

    Returns
    -------
    Dataset
        Kind `estimate`: `value(weight)` and `standard_error(weight)` in the unit of the loss, for the selected weights,
        whose places in `theta` are the coordinate `weight`. In attrs `quantile`, as for `trace`; each entry's interval
        is its own, and of many some will miss.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As `trace`.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> diagonal(FunctionProblem(lambda x, y: 2 * x**2 + x * y - y**2)).value.values
    array([ 4., -2.])
    """
    at = place(problem, matrix, theta, parameters, num_examples, seed)
    whole_number("num_matvecs", num_matvecs, 2)
    curvature = at.curvature(expected=min(num_matvecs, at.size))
    exactly = num_matvecs >= at.size
    with watched(curvature, "diagonal", min(num_matvecs, at.size), progress, num_matvecs) as product:
        if exactly:
            units = torch.eye(at.size, dtype=at.theta.dtype, device=at.theta.device)
            value = torch.stack([product(unit)[i] for i, unit in enumerate(units)])
            error, degrees = torch.zeros_like(value), np.inf
        else:
            found = linalg.diagonal(product, at.size, num_matvecs=num_matvecs, **_probes(at))
            value, error, degrees = found.estimate, found.standard_error, found.degrees
    attrs = _attrs(at, curvature, "diagonal", "exact" if exactly else "hutchinson", degrees)
    about = {"units": at.units}
    places = np.arange(at.size) if at.selection.index is None else at.selection.index.cpu().numpy()
    data = {
        "value": ("weight", value.double().cpu().numpy(), {"long_name": "diagonal", **about}),
        "standard_error": (
            "weight",
            error.double().cpu().numpy(),
            {"long_name": "standard error of the diagonal", **about},
        ),
    }
    return schema.check(xr.Dataset(data, {"weight": places}, attrs))


def _probes(at: Place) -> dict[str, Any]:
    return {"seed": at.seed, "dtype": at.theta.dtype, "device": at.theta.device, "block": at.block}


def _attrs(at: Place, curvature: Curvature, quantity: str, method: str, degrees: float) -> dict[str, Any]:
    return {
        "kind": "estimate",
        "title": f"{quantity.capitalize()} of the {at.whose}",
        "quantity": quantity,
        "method": method,
        "quantile": quantile(CONFIDENCE, degrees),
        "confidence": CONFIDENCE,
        **at.facts(curvature),
    }
