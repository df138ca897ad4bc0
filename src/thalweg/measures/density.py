r"""The density of all eigenvalues of a curvature matrix, by stochastic Lanczos quadrature.

$\rho(x) = \frac1n \sum_i \mathcal N(x; \lambda_i, \sigma^2)$, estimated from a few random probes with
`linalg.spectral_quadrature`. Reference: Ghorbani, Krishnan & Xiao (2019), arXiv:1901.10159.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from thalweg import linalg, schema
from thalweg.linalg.estimate import quantile
from thalweg.measures.matrix import place, watched, whole_number
from thalweg.problem import Problem

CONFIDENCE = 0.95
_POINTS = 401
_BEYOND = 5.0  # widths, beyond the outermost node
_AROUND = np.linspace(-4.5, 4.5, 19)  # widths, around each node where the grid is coarser than the bumps


def spectral_density(
    problem: Problem,
    *,
    matrix: str = "hessian",
    parameters: str | Sequence[str] | None = None,
    theta: Any = None,
    num_probes: int = 10,
    num_matvecs: int = 80,
    width: float | None = None,
    points: Any = None,
    seed: int = 0,
    num_examples: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""The smoothed density of all eigenvalues of a curvature matrix of the mean loss; it integrates to 1.

    $$ \hat\rho(x) = \tfrac1p \sum_{i=1}^p \sum_{j=1}^m w_{ij}\, \mathcal N(x; \theta_{ij}, \sigma^2) $$

    with the nodes $\theta_{ij}$ and weights $w_{ij}$ of $m$ Lanczos steps from each of $p$ random probes.

    Parameters
    ----------
    problem, matrix, parameters, theta, num_examples, progress
        As for `top_eigenpairs`.
    num_probes
        $p$; standard errors fall as $1/\sqrt p$.
    num_matvecs
        $m$, products for each probe; at most as many as the matrix has rows.
    width
        $\sigma$; by default the length of the spectrum over $m$, what $m$ nodes resolve everywhere. The ends of the
        spectrum, single outliers among them, are resolved much better.
    points
        The eigenvalues to tell the density at: how many, evenly spaced, or a rising list. By default 401, and more
        around each node where these are coarser than `width`.
    seed
        Of the probes, of a subset of the examples, and of sampled targets.

    Returns
    -------
    Dataset
        Kind `spectral_density`: `density(eigenvalue)` in 1 / unit of the loss, with `density_standard_error` and the
        ends `density_low`, `density_high` of its 95% interval; `node(probe, rank)`, `node_weight(probe, rank)`. In
        attrs `sigma`; `trace` and `frobenius` (norm), each with its standard error; `quantile`, the number of standard
        errors that an interval reaches to either side. Errors are those of random probes, not of a subset of the
        examples nor of `width`. With one or two probes the interval of the trace covers about 80%, not 95%.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As `top_eigenpairs`; budgets below 1, a `width` that is not positive, points that do not rise.

    Notes
    -----
    Cost: `num_probes * num_matvecs` products, `num_matvecs` vectors of memory (eight times that on a GPU, where eight
    probes advance together).

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y, z: 2 * x**2 + 0.5 * y**2 + 0.5 * z**2)
    >>> found = spectral_density(bowl, num_probes=4)
    >>> round(float(found.density.integrate("eigenvalue")), 3), found.num_matvecs
    (1.0, 8)
    """
    at = place(problem, matrix, theta, parameters, num_examples, seed)
    whole_number("num_probes", num_probes, 1)
    whole_number("num_matvecs", num_matvecs, 1)
    if width is not None and not (np.isfinite(width) and width > 0):
        raise ValueError(f"width={width}; expected a positive width of the bumps, or None.")
    wanted = _wanted(points)
    budget = num_probes * min(num_matvecs, at.size)
    curvature = at.curvature(expected=budget)
    with watched(curvature, "spectral density", budget, progress, budget) as product:
        found = linalg.spectral_quadrature(
            product,
            at.size,
            num_probes=num_probes,
            num_matvecs=min(num_matvecs, at.size),
            seed=at.seed,
            dtype=at.theta.dtype,
            device=at.theta.device,
            block=at.block,
        )
    sigma = float(width) if width is not None else _resolved(found)
    attrs = {"kind": "spectral_density", "title": f"Spectral density of the {at.whose}", "num_probes": num_probes}
    return _dataset(found, sigma, _grid(found.nodes, sigma, wanted), attrs | at.facts(curvature), at.units)


def _dataset(found: linalg.Quadrature, sigma: float, x: np.ndarray, attrs: dict[str, Any], units: str) -> xr.Dataset:
    curve = found.density(x, sigma)
    low, high = curve.interval(CONFIDENCE)
    per = {"units": f"1 / {units}" if units else ""}
    columns = {
        "density": (curve.estimate, "density of the eigenvalues"),
        "density_standard_error": (curve.standard_error, "standard error of the density"),
        "density_low": (low, "lower end of the interval"),
        "density_high": (high, "upper end of the interval"),
    }
    data: dict[str, Any] = {n: ("eigenvalue", v, {"long_name": words, **per}) for n, (v, words) in columns.items()}
    data["node"] = (("probe", "rank"), found.nodes, {"long_name": "node of the quadrature", "units": units})
    data["node_weight"] = (("probe", "rank"), found.weights, {"long_name": "weight of the node", "units": "1"})
    coords = {"eigenvalue": ("eigenvalue", x, {"long_name": "eigenvalue", "units": units})}
    return schema.check(xr.Dataset(data, coords, attrs | {"sigma": sigma} | _moments(found)))


def _moments(found: linalg.Quadrature) -> dict[str, float]:
    """Trace and Frobenius norm with their standard errors."""
    trace, square = found.trace(), found.trace(np.square)
    norm = float(np.sqrt(max(square.estimate, 0.0)))
    return {
        "trace": trace.estimate,
        "trace_standard_error": trace.standard_error,
        "frobenius": norm,
        "frobenius_standard_error": square.standard_error / (2 * norm) if norm > 0 else 0.0,
        "quantile": quantile(CONFIDENCE, np.inf),
        "confidence": CONFIDENCE,
    }


def _resolved(found: linalg.Quadrature) -> float:
    """The width that the nodes resolve; of a multiple of the identity, a thousandth of its eigenvalue."""
    size = float(np.abs(found.nodes).max())
    return found.resolution if np.ptp(found.nodes) > 1e-9 * size else 1e-3 * (size or 1.0)


def _wanted(points: Any) -> int | np.ndarray:
    if points is None or isinstance(points, (int, np.integer)):
        if points is not None:
            whole_number("points", points, 2)
        return int(points or 0)
    given = np.asarray(points, dtype=np.float64)
    if given.ndim != 1 or not np.isfinite(given).all() or not (np.diff(given) > 0).all() or not given.size:
        raise ValueError("`points` must be a number of points, or a list of finite eigenvalues that rise.")
    return given


def _grid(nodes: np.ndarray, sigma: float, wanted: int | np.ndarray) -> np.ndarray:
    """Where the density is told."""
    if isinstance(wanted, np.ndarray):
        return wanted
    even = np.linspace(nodes.min() - _BEYOND * sigma, nodes.max() + _BEYOND * sigma, wanted or _POINTS)
    if wanted or even[1] - even[0] <= sigma / 2:
        return even
    return np.unique(np.concatenate([even, (nodes.reshape(-1, 1) + sigma * _AROUND).ravel()]))
