r"""The tangent of a network: which functions of the input its weights can move the outputs by, to first order.

Near the weights $\theta_0$ the outputs are $f(\theta) \approx f(\theta_0) + J (\theta - \theta_0)$, with the Jacobian
$J$ of one row for each input and output. Its singular value decomposition $J = U \Sigma V^\top$ ranks these functions:
a step of length $\epsilon$ along the right vector $v_k$ adds $\epsilon \sigma_k u_k$ to the outputs. The columns of
$U \Sigma$ are the principal features, the principal components (not centred) of the rows.

A Jacobian that fits in memory is computed layer by layer and factorised by random projections with a certificate, or by
its smaller Gram matrix. One that does not is known by its products alone (`lanczos`). The tangent kernel $J J^\top$ is
in `kernel`, features at other inputs in `features`, the linearised model as a problem of its own in
`thalweg.problem.tangent_model`. Reference: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import linalg, schema
from thalweg.measures.matrix import whole_number
from thalweg.measures.progress import bar
from thalweg.measures.rows import Rows, rows
from thalweg.problem.criterion import one_of
from thalweg.problem.examples import Diverged
from thalweg.problem.identity import free_memory
from thalweg.problem.outputs import Which, finite

Method = Literal["auto", "exact", "randomized", "lanczos"]
METHODS = ("auto", "exact", "randomized", "lanczos")
_MOST_VALUES = 100  # triplets kept unless asked for more
_FEW_VALUES = 20  # and of a Jacobian that is not stored
_SMALL = 300  # rows or weights up to which nothing is quicker than LAPACK
_EIGH = 6000  # rows or weights up to which the Gram matrix is decomposed in minutes
_STORED = 2**30


def linearize(
    problem: Any,
    inputs: Any = None,
    outputs: Which = "all",
    k: int | None = None,
    *,
    targets: Any = None,
    theta: Any = None,
    method: Method = "auto",
    tol: float | None = None,
    rtol: float | None = None,
    vectors: bool = False,
    memory: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Singular values and principal features of the Jacobian of a network's outputs in its weights.

    Parameters
    ----------
    problem
        A `ModuleProblem`.
    inputs
        The training data by default; `"test"`, or inputs as the network takes them.
    outputs
        `"all"`, one by its number, their `"sum"`, or each example's `"loss"`.
    k
        How many singular triplets; by default all up to the numerical rank, at most 100, or 20 of a Jacobian that is
        not stored.
    targets
        Of inputs that are given, if known.
    theta
        Where, `(num_weights,)`; `problem.theta` by default.
    method
        `"exact"`: all triplets of the stored Jacobian. `"randomized"`: few random projections, until what they leave
        out is measured to be negligible. `"lanczos"`: by products alone, the Jacobian is never stored. By default
        randomised where the Jacobian fits and that can be certified, else exact; Lanczos where it does not fit.
    tol
        Of `lanczos`: residuals at most `tol` $\sigma_1$ (1e-3 unless given); of `randomized`: what is left out, at
        most `tol` $\sigma_1$ in the Frobenius norm (`rtol` unless given, which settles the rank).
    rtol
        Singular values below this share of the largest count as zero; $\max(n, m)$ rounding units unless given.
    vectors
        Keep the right vectors too, `k * num_weights` numbers.
    memory
        Bytes that the Jacobian may take; by default a quarter of what is free, at most 1 GiB.
    seed
        Of random projections.
    progress
        Show a bar of products; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `tangent`: `singular_value(value)`, `residual(value)`, `bound(value)` (by how much a value can be larger,
        where that is certified), `principal_feature(row, value)` $= U\Sigma$, `prediction(row)`, and `x`, `target`
        where known. In attrs `rank` and `rank_known`, `frobenius`, `tail` (what the triplets leave out), `method`,
        `stop`, `num_products`.

    Raises
    ------
    Diverged
        Weights or derivatives that are not finite. (Never a failure to decompose.)
    ValueError, TypeError
        `k` above the rank, outputs without gradient, inputs of the wrong shape, an exact method that does not fit.

    Warns
    -----
    UserWarning
        Where `randomized` did not certify its values, or `lanczos` did not converge (`stop` is `"budget"`).

    Notes
    -----
    Signs: the largest entry of each feature is positive. Cost: one forward and `c` backward passes over the inputs for
    $c$ outputs, and the factorisation; or about five products with $J$ and with $J^\top$ (two or three forward passes
    each) for each two triplets, and no more memory than the vectors.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> problem = ModuleProblem(mlp([20]), sines_data().train, loss=torch.nn.functional.mse_loss)
    >>> tangent = linearize(problem)
    >>> dict(tangent.principal_feature.sizes), tangent.attrs["rank"], tangent.attrs["method"]
    ({'row': 1500, 'value': 14}, 14, 'exact')
    """
    one_of("method", method, METHODS)
    asked = rows(problem, inputs, outputs, targets, theta)
    checked_k(k, asked.shape)
    limit = min(free_memory(asked.theta.device) // 4, _STORED) if memory is None else memory
    seconds = 0.0 if asked.num_bytes <= limit else 60.0
    with bar("Jacobian", None, 0, show=progress, seconds=seconds, unit="products") as advance:
        try:
            values, found, used = triplets(asked, k, method, tol, rtol, limit, seed, advance)
        except FloatingPointError as error:
            raise Diverged(f"The network has diverged: {error}") from error
    _warn(found, used, k)
    return _dataset(asked, k, values, found, used, rtol, vectors)


def triplets(
    asked: Rows, k: int | None, method: str, tol: float | None, rtol: float | None, limit: int, seed: int, advance: Any
) -> tuple[Tensor, linalg.Triplets, str]:
    """The outputs, the triplets, and the method that found them."""
    fits = asked.num_bytes <= limit
    if method == "exact" and not fits:
        raise ValueError(
            f"The Jacobian ({asked.shape[0]:,} x {asked.shape[1]:,}) takes {asked.num_bytes / 2**30:.3g} GiB, more "
            f'than the {limit / 2**30:.3g} GiB allowed. Use method="lanczos", or raise `memory=`.'
        )
    if method == "lanczos" or not fits:
        values = asked.outputs.values(asked.theta)
        finite(values, "its outputs are")
        if method == "randomized":
            return values, _projected(asked, k, tol, rtol, seed, advance), "randomized"
        size = k or min(_FEW_VALUES, *asked.shape)
        matrix = _products(asked, advance)
        return values, linalg.lanczos_svd(matrix, size, tol=tol or 1e-3, rtol=rtol, seed=seed), "lanczos"
    pieces = list(asked.outputs.blocks(asked.theta, None))
    values = torch.cat([value for value, _ in pieces])
    finite(values, "its outputs are")
    jacobian = pieces[0][1] if len(pieces) == 1 else torch.cat([block for _, block in pieces])
    return values, *_of_stored(jacobian, k, method, tol, rtol, seed)


def _of_stored(
    jacobian: Tensor, k: int | None, method: str, tol: float | None, rtol: float | None, seed: int
) -> tuple[linalg.Triplets, str]:
    least = min(jacobian.shape)
    if method == "randomized":
        slow = linalg.randomized_svd(jacobian, tol=tol, rtol=rtol, seed=seed)
        if slow.stop == "certified" or k is None:
            return slow, "randomized"
        return linalg.randomized_svd(jacobian, k, tol=tol, rtol=rtol, power=3, seed=seed), "randomized"
    if method == "auto" and least > _SMALL:
        found = linalg.randomized_svd(jacobian, tol=tol, rtol=rtol, seed=seed)
        if found.stop == "certified" and (k is None or len(found.singular_values) >= k or found.rank_known):
            return found, "randomized"
        if least > _EIGH:
            matrix = linalg.LinearMap.of(jacobian)
            return linalg.lanczos_svd(matrix, k or _FEW_VALUES, tol=tol or 1e-3, rtol=rtol, seed=seed), "lanczos"
    return linalg.exact_svd(jacobian, rtol=rtol), "exact"


def _products(asked: Rows, advance: Any, frobenius: float = float("nan")) -> linalg.LinearMap:
    def forward(v: Tensor) -> Tensor:
        advance(len(v))
        return asked.outputs.jvp(asked.theta, v)

    def adjoint(u: Tensor) -> Tensor:
        advance(len(u))
        return asked.outputs.vjp(asked.theta, u)

    theta = asked.theta
    return linalg.LinearMap(forward, adjoint, asked.shape, dtype=theta.dtype, device=theta.device, frobenius=frobenius)


def _projected(
    asked: Rows, k: int | None, tol: float | None, rtol: float | None, seed: int, advance: Any
) -> linalg.Triplets:
    """Random projections of a Jacobian that is not stored; its norm takes one pass in pieces."""
    total = sum(float((block.double() ** 2).sum()) for _, block in asked.outputs.blocks(asked.theta, 2**27))
    size = k or min(_FEW_VALUES, *asked.shape)
    matrix = _products(asked, advance, total**0.5)
    return linalg.randomized_svd(matrix, size, tol=tol, rtol=rtol, power=2, seed=seed)


def _warn(found: linalg.Triplets, used: str, k: int | None) -> None:
    """Say that a method stopped before it was sure of its values."""
    if found.stop != "budget":
        return
    asked = "" if k is None else f" of the k={k} asked for"
    worst = found.residuals.max(initial=0.0) / found.singular_values.max(initial=1e-300)
    why = {
        "randomized": "did not certify them: what its projections leave out is above `tol` of the largest, so that "
        "values can be too small and others be missing",
        "lanczos": "did not converge within its products",
    }[used]
    what = '`method="exact"` where the Jacobian fits, `method="lanczos"`, '
    what = what if used == "randomized" else 'a smaller `k`, `method="exact"` where the Jacobian fits, '
    warnings.warn(
        f"linearize found {len(found.singular_values)} singular values{asked}, and method={used!r} {why} (residuals up "
        f"to {worst:.1g} of the largest). Take {what}or a larger `tol`.",
        stacklevel=3,
    )


def checked_k(k: Any, shape: tuple[int, int]) -> None:
    """Refuse more singular values than a Jacobian of this shape has."""
    if k is None:
        return
    whole_number("k", k, 1)
    if k > min(shape):
        raise ValueError(
            f"k={k} singular values were asked for, but a Jacobian of {shape[0]:,} rows (inputs times outputs) and "
            f"{shape[1]:,} weights has {min(shape):,}. Ask for at most so many."
        )


def _dataset(
    asked: Rows, k: int | None, values: Tensor, found: linalg.Triplets, used: str, rtol: float | None, vectors: bool
) -> xr.Dataset:
    share = linalg.rank_tolerance(asked.shape, asked.theta.dtype) if rtol is None else rtol
    if k is not None and len(found.singular_values) < k and found.rank_known:
        raise ValueError(
            f"k={k} singular values were asked for, but the Jacobian ({asked.shape[0]:,} x {asked.shape[1]:,}) has the "
            f"numerical rank {found.rank} (below {share:.1e} of the largest, a singular value counts as zero). Ask for "
            "at most so many, or leave `k` out."
        )
    found = found.first(_MOST_VALUES if k is None else k)
    sizes = torch.as_tensor(found.singular_values, dtype=found.left.dtype, device=found.left.device)
    features = (sizes[:, None] * found.left).cpu().numpy()
    signs = np.sign(features[np.arange(len(features)), np.abs(features).argmax(1)]) if len(features) else np.ones(0)
    data: dict[str, Any] = {
        "singular_value": ("value", found.singular_values, {"long_name": "singular value"}),
        "residual": ("value", found.residuals, {"long_name": "residual of the singular triplet"}),
        "principal_feature": (("row", "value"), (features * signs[:, None]).T, {"long_name": "principal feature"}),
        "prediction": ("row", values.double().cpu().numpy(), {"long_name": "prediction"}),
        **asked.about(),
    }
    if np.isfinite(found.bounds).all():
        data["bound"] = ("value", found.bounds, {"long_name": "a singular value is larger by at most this"})
    if vectors:
        right = found.right.cpu().numpy() * signs[:, None].astype(features.dtype)
        data["right_vector"] = (("value", "weight"), right, {"long_name": "right singular vector", "units": "1"})
    attrs = {
        "kind": "tangent",
        "title": f"Tangent of {asked.whose}",
        "method": used,
        "rank": found.rank,
        "rank_known": int(found.rank_known),
        "rtol": share,
        "frobenius": found.frobenius,
        "tail": found.tail,
        "stop": found.stop,
        "num_products": found.num_products,
        **asked.training_range(),
        **asked.facts(),
    }
    coords = {"value": np.arange(1, len(features) + 1), **asked.coordinates()}
    return schema.check(xr.Dataset(data, coords, attrs))
