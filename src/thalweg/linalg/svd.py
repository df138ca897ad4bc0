r"""Singular triplets $Av = \sigma u$, $A^\top u = \sigma v$ of a rectangular matrix, with their errors.

- `exact_svd`: all of a stored matrix, by its smaller Gram matrix in float64.
- `randomized_svd`: of a matrix whose singular values fall fast, from products with few random vectors, with a
  certificate: $\lVert A - Q Q^\top A \rVert_F$ is measured, and bounds the error of every singular value.
- `lanczos_svd`: the largest few of a matrix that is never stored, by Golub-Kahan bidiagonalisation (`bidiagonal`).

For $B = Q^\top A$ and the rest $E = A - QB$, $A^\top A = B^\top B + E^\top E$, so that (Weyl)
$\sigma_i(B)^2 \le \sigma_i(A)^2 \le \sigma_i(B)^2 + \lVert E \rVert_F^2$.
References: Halko, Martinsson & Tropp (2011), arXiv:0909.4061; Martinsson & Voronin (2016), arXiv:1503.07157.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.linear_map import LinearMap
from thalweg.linalg.operator import accumulator

SvdStop = Literal["exact", "certified", "converged", "budget"]
_DIRECT = 600  # rows or columns up to which the matrix itself is decomposed, to the rounding unit


@dataclass(frozen=True)
class Triplets:
    """Singular triplets, the largest first.

    Attributes
    ----------
    singular_values
        `(k,)`, float64, falling.
    left, right
        Orthonormal rows `(k, n)` and `(k, m)`.
    residuals
        `(k,)`, the root of ‖Av − σu‖² + ‖Aᵀu − σv‖², or more.
    bounds
        `(k,)`, by how much the true singular value can be larger, where there is a certificate; else nan.
    frobenius, tail
        ‖A‖_F and ‖A − UΣVᵀ‖_F of all triplets returned; nan where they are not known.
    rank
        Singular values above `rtol` times the largest.
    rank_known
        Whether there can be no more of these.
    num_products
        With A and with its transpose.
    stop
        "exact"; "certified": the rest is below `tol`; "converged": the residuals are; "budget": neither.
    """

    singular_values: np.ndarray
    left: Tensor
    right: Tensor
    residuals: np.ndarray
    bounds: np.ndarray
    frobenius: float
    tail: float
    rank: int
    rank_known: bool
    num_products: int
    stop: SvdStop

    def first(self, k: int) -> Triplets:
        """The largest `k`."""
        dropped = float((self.singular_values[k:] ** 2).sum())
        return Triplets(
            self.singular_values[:k],
            self.left[:k],
            self.right[:k],
            self.residuals[:k],
            self.bounds[:k],
            self.frobenius,
            (self.tail**2 + dropped) ** 0.5,
            self.rank,
            self.rank_known,
            self.num_products,
            self.stop,
        )


def rank_tolerance(shape: tuple[int, int], dtype: torch.dtype) -> float:
    """Share of the largest singular value below which one counts as zero: that of `numpy.linalg.matrix_rank`.

    Examples
    --------
    >>> rank_tolerance((1500, 1321), torch.float32)
    0.00017881393432617188
    """
    return max(shape) * torch.finfo(dtype).eps


def exact_svd(matrix: Tensor, *, rtol: float | None = None) -> Triplets:
    r"""All singular triplets of a stored matrix up to its numerical rank.

    Up to 600 rows or columns by LAPACK; beyond, the eigenvectors of the smaller Gram matrix in float64, which tell
    singular values down to $10^{-8}$ of the largest.

    Parameters
    ----------
    matrix
        `(n, m)`.
    rtol
        Singular values below this share of the largest count as zero; `rank_tolerance` unless given, at least 1e-7
        where the Gram matrix is used.

    Raises
    ------
    FloatingPointError
        Entries that are not finite.

    Examples
    --------
    >>> found = exact_svd(torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    >>> found.singular_values, found.rank, found.tail
    (array([4., 3.]), 2, 0.0)
    """
    if not bool(torch.isfinite(matrix).all()):
        raise FloatingPointError("The matrix has entries that are not finite, and no singular values.")
    share = rank_tolerance((matrix.shape[0], matrix.shape[1]), matrix.dtype) if rtol is None else rtol
    if min(matrix.shape) <= _DIRECT:
        u, s, right = torch.linalg.svd(matrix.to(accumulator(matrix.device)), full_matrices=False)
        left = u.T
    else:
        share = max(share, 1e-7)
        left, s, right = _by_gram(matrix)
    kept = int((s > share * s[0]).sum()) if float(s[0]) > 0 else 0
    values = s[:kept].double().cpu().numpy()
    left, right = left[:kept].to(matrix.dtype), right[:kept].to(matrix.dtype)
    zeros = np.zeros(kept)
    size = float((s.double() ** 2).sum()) ** 0.5
    tail = float((s[kept:].double() ** 2).sum()) ** 0.5
    return Triplets(values, left, right, zeros, zeros, size, tail, kept, True, 0, "exact")


def _by_gram(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left rows, falling singular values and right rows of `(n, m)`."""
    wide = matrix.shape[0] <= matrix.shape[1]
    rows = matrix if wide else matrix.T
    gram = rows.new_zeros((len(rows), len(rows)), dtype=accumulator(matrix.device))
    step = max(1, 2**25 // len(rows))
    for columns in rows.split(step, dim=1):
        part = columns.to(gram.dtype)
        gram.addmm_(part, part.T)
    near = torch.linalg.eigh(gram)[1].T.flip(0)
    far = torch.cat([near @ columns.to(gram.dtype) for columns in rows.split(step, dim=1)], 1)
    s = torch.linalg.vector_norm(far, dim=1)  # truer than the root of an eigenvalue
    s, order = s.sort(descending=True)
    near, far = near[order], far[order] / s.clamp_min(torch.finfo(s.dtype).tiny)[:, None]
    return (near, s, far) if wide else (far, s, near)


def randomized_svd(
    matrix: LinearMap | Tensor,
    k: int | None = None,
    *,
    tol: float | None = None,
    rtol: float | None = None,
    block: int = 32,
    power: int = 0,
    max_rank: int | None = None,
    seed: int = 0,
) -> Triplets:
    r"""Singular triplets from products with random vectors, and a measured bound of what they leave out.

    Rows $Q$ that span the products with a block of random vectors are found until the rest
    $\lVert A - Q^\top Q A \rVert_F$ is at most `tol` $\sigma_1$ (`certified`), or `max_rank` of them are there.

    Parameters
    ----------
    matrix
        Stored, or known by its products and its Frobenius norm.
    k
        How many triplets to return at most, and if given how many to look for: `k + 10` rows, whatever they leave.
    tol
        Of the rest; `rtol` unless given, so that the numerical rank is known.
    rtol
        Singular values below this share of the largest count as zero; `rank_tolerance` unless given.
    block
        Random vectors at a time.
    power
        Times that random vectors go back and forth through A first: for singular values that fall slowly.
    max_rank
        Rows at most; unless given, a third of the smaller side.
    seed
        Of the random vectors.

    Raises
    ------
    ValueError
        An unknown Frobenius norm, `k` out of range.
    FloatingPointError
        A product that is not finite.

    Examples
    --------
    >>> torch.manual_seed(0)
    <torch._C.Generator object at ...>
    >>> A = torch.randn(300, 3) @ torch.randn(3, 200)
    >>> found = randomized_svd(A)
    >>> found.rank, found.rank_known, found.stop
    (3, True, 'certified')
    """
    matrix = LinearMap.of(matrix) if isinstance(matrix, Tensor) else matrix
    n, m = matrix.shape
    _need(matrix, k)
    share = rank_tolerance(matrix.shape, matrix.dtype) if rtol is None else rtol
    tol = max(share if tol is None else tol, matrix.resolution)
    most = min(n, m) if k is not None else max(min(block, n, m), min(n, m) // 3 if max_rank is None else max_rank)
    most = min(k + 10, n, m) if k is not None else most
    generator = torch.Generator().manual_seed(seed)
    left, right, rest = _range(matrix, most, most if k is not None else block, power, tol, generator)
    u, s, v = _small_svd(left, right)
    certified = rest <= tol * float(s[0]) if len(s) else True
    kept = int((s > share * s[0]).sum()) if len(s) and float(s[0]) > 0 else 0
    known = rest <= share * float(s[0]) if kept else certified
    wanted = kept if k is None else min(k, kept)
    values = s.double().cpu().numpy()
    tail = (rest**2 + float((values[wanted:] ** 2).sum())) ** 0.5
    values = values[:wanted]
    return Triplets(
        values,
        u[:wanted],
        v[:wanted],
        np.full(wanted, rest) if certified else matrix.missed(values, u[:wanted], v[:wanted]),
        np.sqrt(values**2 + rest**2) - values,
        matrix.frobenius,
        tail,
        kept,
        bool(known),
        matrix.num_products,
        "certified" if certified else "budget",
    )


def _need(matrix: LinearMap, k: int | None) -> None:
    if not np.isfinite(matrix.frobenius):
        raise ValueError("The certificate needs the Frobenius norm: pass `frobenius=` to the LinearMap.")
    if k is not None and not 1 <= k <= min(matrix.shape):
        raise ValueError(f"k={k} triplets of a matrix of shape {matrix.shape}. Ask for 1 to {min(matrix.shape)}.")


def _range(
    matrix: LinearMap, most: int, block: int, power: int, tol: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Orthonormal rows Q, B = QA, and ‖A − QᵀB‖_F."""
    left = torch.empty(0, matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    right = torch.empty(0, matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    rest, largest = matrix.frobenius, 0.0
    while len(left) < most and rest > tol * largest:
        rows = matrix.forward(matrix.random(min(block, most - len(left)), generator))
        for _ in range(power):
            rows = matrix.forward(_orthonormal(matrix.adjoint(_orthonormal(rows, left)), right[:0]))
        new = _orthonormal(rows, left)
        products = matrix.adjoint(new)
        rest = matrix.remove(new, products)
        left, right = torch.cat([left, new]), torch.cat([right, products])
        if not largest:
            largest = float(torch.linalg.matrix_norm(products.to(accumulator(matrix.device)), 2))
            if not largest:
                break
    return left, right, rest


def _orthonormal(rows: Tensor, against: Tensor) -> Tensor:
    """Orthonormal rows of the same span, less that of `against`; twice is enough."""
    for _ in range(2 if len(against) else 1):
        rows = rows - (rows @ against.T) @ against if len(against) else rows
        rows = torch.linalg.qr(rows.T)[0].T
    return rows.contiguous()


def _small_svd(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triplets of Qᵀ B, B with few rows, in float64: by its Gram matrix where float32 is all it knows, else by
    way of R in Bᵀ = Q'R.
    """
    if right.dtype == torch.float32 and accumulator(right.device) == torch.float64:
        wide = right.double()
        squares, vectors = torch.linalg.eigh(wide @ wide.T)
        x = vectors.flip(1).T
        s = squares.flip(0).clamp_min(0.0).sqrt()
        far = (x @ wide) / s.clamp_min(torch.finfo(s.dtype).tiny)[:, None]
        return x.to(left.dtype) @ left, s, far.to(right.dtype)
    basis, triangle = torch.linalg.qr(right.T.to(accumulator(right.device)))
    x, s, y = torch.linalg.svd(triangle.T)
    return x.T.to(left.dtype) @ left, s, (y @ basis.T).to(right.dtype)
