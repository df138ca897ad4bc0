r"""Eigenpairs of curvature: in which directions the loss bends most, and how much.

The Hessian $H = \nabla^2 L(\theta)$ (or Gauss-Newton, or Fisher) matrix has `num_weights`$^2$ entries and is never
formed; everything asks for products $v \mapsto Hv$ only (`problem.curvature`), each one to three gradients.

- `top_eigenpairs`: pairs at the ends of the spectrum, with residuals, by Lanczos (`linalg.lanczos`).
- `sharpness`: the largest eigenvalue, also of $P^{-1} H$ for what an adaptive optimiser sees (in `sharpness`).
- `spectral_density`, `trace`, `diagonal`: of the whole matrix (in `density`, `traces`).
- `num_outliers`, `overlap`: what is read off the pairs (in `outliers`).

Each returns a Dataset described in `schema`. Reference: Sagun et al. (2017), arXiv:1706.04454; Ghorbani, Krishnan &
Xiao (2019), arXiv:1901.10159.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import linalg, schema
from thalweg.linalg.stopping import WHICH, Which
from thalweg.measures.matrix import Place, place, watched, whole_number
from thalweg.problem import Problem
from thalweg.problem.criterion import one_of
from thalweg.problem.curvature import Curvature
from thalweg.problem.likelihood import num_classes

_TITLES = {
    "magnitude": "Eigenvalues of largest magnitude",
    "largest": "Largest eigenvalues",
    "smallest": "Smallest eigenvalues",
    "both": "Largest and smallest eigenvalues",
}


def top_eigenpairs(
    problem: Problem,
    k: int = 5,
    *,
    matrix: str = "hessian",
    which: Which = "magnitude",
    parameters: str | Sequence[str] | None = None,
    theta: Any = None,
    tol: float = 1e-3,
    max_matvecs: int | None = None,
    start: xr.Dataset | Tensor | None = None,
    copies: bool = False,
    seed: int = 0,
    num_examples: int | None = None,
    vectors: bool = True,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Eigenpairs $A v = \lambda v$ at the end(s) of the spectrum of a curvature matrix of the mean loss.

    Parameters
    ----------
    problem
        A problem; what its weights are matters only without `theta`.
    k
        Number of pairs.
    matrix
        `"hessian"`, `"ggn"`, `"fisher"`, `"fisher_sampled"` or `"empirical_fisher"`; see `ModuleProblem.curvature`.
    which
        `"magnitude"`: largest $|\lambda|$, in that order; `"largest"`, falling; `"smallest"`, rising (the most negative
        first); `"both"` ends: `k - k // 2` largest and `k // 2` smallest, falling.
    parameters
        The block of these parameters only: names, layers (`"conv1"`), or patterns (`"*.bias"`).
    theta
        Where, `(num_weights,)`; `problem.theta` by default.
    tol
        A pair has converged when $\lVert Av - \lambda v \rVert$, $\lVert v \rVert = 1$, is at most `tol` times the
        largest $|\lambda|$.
    max_matvecs
        Products at most; `max(300, 20 k)` by default.
    start
        An earlier result (eigenvectors at weights nearby), or vectors as rows: saves about a quarter of the products.
    copies
        Search for further copies of repeated eigenvalues, for about half as many products again where there are none.
        Without it one that is repeated may be returned once, as those of a linear model with a squared loss and several
        outputs are.
    seed
        Of the random start, of a subset of the examples, and of sampled targets.
    num_examples
        Over a fixed random subset of the examples. The residuals then tell nothing of the whole matrix.
    vectors
        Whether to keep the eigenvectors, `k * num_weights` numbers.
    progress
        Show a bar; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `eigenpairs`: `eigenvalue(pair)` and `residual(pair)` in the unit of the loss, `converged(pair)`, and
        `eigenvector(pair, weight)` over all weights (zero outside of `parameters`). In attrs `not_converged`, how many
        pairs missed `tol`, and `stop`, why it ended (`"converged"`, `"budget"`, or `"noise"`: the products are too
        inexact for `tol`); `loss`, and over the selected weights `gradient_norm` and `gradient_share`, the share of
        $\lVert\nabla L\rVert^2$ in the span of the vectors (loss and gradient are of all examples); `num_classes`;
        `num_matvecs`, and how products were computed (`product`).

    Raises
    ------
    ValueError, TypeError
        A bare model; `k` below 1 or above the number of weights; unknown `which`, `matrix` or `parameters`; weights
        that are not finite; a `start` that does not fit; a loss without curvature.
    FloatingPointError
        When a product is not finite.

    Notes
    -----
    Cost: about 15 products for five pairs and one gradient; `num_matvecs` vectors of memory. Of repeated
    eigenvalues see `copies`.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> saddle = FunctionProblem(lambda x, y, z: 2 * x**2 - y**2 + 0.5 * z**2)
    >>> pairs = top_eigenpairs(saddle, k=2)
    >>> pairs.eigenvalue.values.round(9).tolist(), pairs.converged.values.tolist()
    ([4.0, -2.0], [True, True])
    """
    at = place(problem, matrix, theta, parameters, num_examples, seed)
    _check(at, k, which)
    rows = warm_start(at, start)
    curvature = at.curvature(expected=max(30, 4 * k))
    with watched(curvature, "eigenpairs", None, progress, 3 * k) as product:
        found = linalg.top_eigenpairs(
            product,
            at.size,
            k,
            which=which,
            tol=tol,
            max_matvecs=max_matvecs,
            start=rows,
            copies=copies,
            seed=at.seed,
            dtype=at.theta.dtype,
            device=at.theta.device,
        )
    return eigenpairs(at, curvature, found, which, tol, vectors)


def eigenpairs(
    at: Place, curvature: Curvature, found: linalg.Eigenpairs, which: str, tol: float, vectors: bool, **told: Any
) -> xr.Dataset:
    """The dataset of what Lanczos found."""
    missed = int((~found.converged).sum())
    title = f"{_TITLES[which]} of the {at.whose}"
    attrs = {
        "kind": "eigenpairs",
        "title": title + (f" ({missed} of {len(found.converged)} not converged)" if missed else ""),
        "which": which,
        "tol": tol,
        "stop": found.stop,
        "not_converged": missed,
        "num_classes": _classes(at.problem),
        **_slope(at, found.eigenvectors),
        **at.facts(curvature),
        **told,
    }
    scale = {"units": at.units}
    data: dict[str, Any] = {
        "eigenvalue": ("pair", found.eigenvalues, {"long_name": "eigenvalue", **scale}),
        "residual": ("pair", found.residuals, {"long_name": "residual ‖Av − λv‖", **scale}),
        "converged": ("pair", found.converged, {"long_name": "residual at most tol times the largest eigenvalue"}),
    }
    if vectors:
        full = curvature.embed(found.eigenvectors).cpu().numpy()
        data["eigenvector"] = (("pair", "weight"), full, {"long_name": "eigenvector", "units": "1"})
    return schema.check(xr.Dataset(data, {"pair": np.arange(1, len(found.eigenvalues) + 1)}, attrs))


def warm_start(at: Place, start: xr.Dataset | Tensor | None) -> Tensor | None:
    """Rows over the selected weights, from an earlier result or from vectors over all or the selected weights.

    Raises
    ------
    ValueError
        A result without vectors, or vectors of another length.
    """
    if start is None:
        return None
    if isinstance(start, xr.Dataset):
        if "eigenvector" not in start:
            raise ValueError(
                "`start` has no eigenvectors to begin with; measure it with `vectors=True`, or leave `start` out."
            )
        start = torch.as_tensor(start["eigenvector"].values)
    rows = torch.atleast_2d(torch.as_tensor(start).detach()).to(at.theta)
    if rows.shape[-1] == at.problem.num_weights:
        rows = at.selection.of(rows)
    if rows.shape[-1] != at.size:
        raise ValueError(
            f"`start` has vectors of {rows.shape[-1]} entries; expected {at.problem.num_weights} (all weights)"
            + (f" or {at.size} (the selected ones)." if at.size != at.problem.num_weights else ".")
        )
    return rows if bool(rows.any()) else None


def _check(at: Place, k: Any, which: str) -> None:
    whole_number("k", k, 1)
    one_of("which", which, WHICH)
    if k > at.size:
        of = "the problem has" if at.parameters is None else f"{at.selection.words} has"
        raise ValueError(f"k={k} pairs were asked for, but {of} {at.size} weights. Ask for at most {at.size}.")


def _slope(at: Place, vectors: Tensor) -> dict[str, float]:
    """Loss, and how much of the gradient lies in the span of the vectors."""
    loss, full = at.problem.value_and_gradient(at.theta)
    slope = at.selection.of(full)
    share = linalg.share_in_subspace(slope.to(vectors), vectors) if bool(slope.any()) else float("nan")
    return {"loss": float(loss), "gradient_norm": float(slope.double().norm()), "gradient_share": share}


def _classes(problem: Problem) -> int:
    """Of a network that classifies; else 0."""
    network, splits = getattr(problem, "_network", None), getattr(problem, "_splits", None)
    if network is None or not splits:
        return 0
    return num_classes(network, splits["train"].first())
