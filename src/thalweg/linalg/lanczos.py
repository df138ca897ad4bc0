r"""Eigenpairs at the ends of the spectrum of a symmetric matrix, from its products alone.

Lanczos with full re-orthogonalisation (so that no eigenvalue comes twice by rounding), thick restart when the basis
exceeds its memory, and a stop when **each** wanted pair has
$\lVert Av - \lambda v \rVert \le$ `tol` $|\lambda|_{\max}$ and no other is likely to be unseen (`stopping`).
Never a fixed number of steps, never the change of a value.

Cost of $m$ products besides the products themselves: $O(m^2 n)$ for orthogonality, $m$ vectors of memory.
Reference: Golub & Van Loan, Matrix Computations, chapter 10; the decomposition and its restart are in `krylov`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.krylov import Krylov
from thalweg.linalg.operator import Device, Matvec, Operator
from thalweg.linalg.stopping import WHICH, Settling, Stop, Which, order, unseen, verdict

WARM_NOISE = 1.0
"""Share of a random vector in a warm start, so that a direction which is new is not orthogonal to it."""

NEGLIGIBLE = 0.01
"""A subspace counts as closed when what leads out of it is this share of `tol`; it is added to the residuals."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenpairs with what is known about their errors.

    Attributes
    ----------
    eigenvalues
        `(k,)`, float64, in the order that `which` asks for.
    eigenvectors
        `(k, n)`, orthonormal rows, in the dtype and on the device of the products.
    residuals
        `(k,)`, ‖Av − λv‖ of each pair, float64. Some eigenvalue lies within it.
    converged
        `(k,)`, whether the residual is at most `tol * scale`.
    scale
        The largest |λ| seen.
    num_matvecs
        Products taken.
    stop
        "converged"; "budget" when `max_matvecs` came first; "noise" when the products are too inexact or asymmetric for
        `tol`, so that more of them would not help.
    """

    eigenvalues: np.ndarray
    eigenvectors: Tensor
    residuals: np.ndarray
    converged: np.ndarray
    scale: float
    num_matvecs: int
    stop: Stop


def top_eigenpairs(
    matvec: Matvec,
    n: int,
    k: int,
    *,
    which: Which = "magnitude",
    tol: float = 1e-3,
    max_matvecs: int | None = None,
    max_basis: int | None = None,
    start: Tensor | None = None,
    copies: bool = False,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Eigenpairs:
    r"""The `k` eigenpairs at the end(s) of the spectrum of a symmetric $n \times n$ matrix $A$.

    Parameters
    ----------
    matvec
        $v \mapsto Av$, `(n,)` to `(n,)`.
    n, k
        Size of the matrix, number of pairs; `1 <= k <= n`.
    which
        "magnitude": largest |λ|, in that order; "largest": λ falling; "smallest": λ rising; "both": `k - k // 2`
        largest and `k // 2` smallest, λ falling.
    tol
        A pair has converged when its residual is at most `tol` times the largest |λ|.
    max_matvecs
        The budget, `max(300, 20 k)` unless given. Pairs that miss `tol` within it are returned, and flagged.
    max_basis
        Rows kept before a restart; unless given, what fits in 2 GiB, at most `max(500, 4 k)`.
    start
        A vector `(n,)`, or earlier eigenvectors `(m, n)` of a matrix nearby, whose sum is used, with a
        random vector as long for directions that are new. Saves a quarter of the products when the matrix moved
        little.
    copies
        Search for further copies of repeated eigenvalues: about half as many products again where there are none, and
        about as many again for each copy.
    seed
        Of the random start; equal on every device.
    dtype, device
        Of the vectors; those of `start`, or torch's defaults, unless given.

    Raises
    ------
    ValueError
        On `k`, `which`, `tol`, `start` or budgets that make no sense.
    FloatingPointError
        When a product is not finite.

    Notes
    -----
    One start vector sees one copy of a repeated eigenvalue. Others are found when the subspace closes: a random vector
    orthogonal to it goes on, until what it finds ranks below the wanted pairs. If these meet `tol` before the subspace
    closes, a repeated eigenvalue is returned once, unless `copies` asks for such searches then, too: a copy of a value
    found, or an eigenvalue 5% beyond the last, remains unseen with a probability below 1%. Where `max_basis` forces a
    restart, there are no searches. Curvature matrices repeat eigenvalues for layers of linear models with a squared
    loss, and for symmetric networks. An eigenvalue close to one that was found can be overlooked too;
    one in a gap of the wanted ones, or a tenth beyond them, is looked for until chance alone could hide it.

    Examples
    --------
    >>> A = torch.diag(torch.tensor([-4.0, 3.0, 1.0, 0.5], dtype=torch.float64))
    >>> pairs = top_eigenpairs(lambda v: A @ v, 4, 2, dtype=torch.float64)
    >>> pairs.eigenvalues.round(9).tolist(), pairs.converged.tolist(), pairs.stop
    ([-4.0, 3.0], [True, True], 'converged')
    """
    if start is not None:
        dtype, device = dtype or start.dtype, device or start.device
    operator = Operator(matvec, n, dtype=dtype, device=device)
    budget = max(300, 20 * k) if max_matvecs is None else max_matvecs
    _check(n, k, which, tol, budget, max_basis)
    capacity = _capacity(operator, k, budget, max_basis)
    generator = torch.Generator().manual_seed(seed)
    vector, share = _start(operator, start, generator)
    krylov = Krylov(operator, vector, capacity, generator, share)
    krylov.negligible = NEGLIGIBLE * tol
    return _iterate(krylov, k, which, tol, budget, capacity, copies)


def _iterate(krylov: Krylov, k: int, which: Which, tol: float, budget: int, capacity: int, copies: bool) -> Eigenpairs:
    operator, settling = krylov.operator, Settling(k, which, tol)
    while krylov.next is not None:
        krylov.absorb(operator(krylov.next))
        spent = operator.num_matvecs >= budget
        full = krylov.size == capacity and krylov.size < operator.n
        if krylov.size < k or not (spent or full or krylov.size <= 128 or krylov.size % 2 == 0):
            continue
        still = settling.seen(krylov.ritz()[0])
        stop = verdict(krylov, k, which, tol)
        if copies and stop == "converged" and still and not spent:
            missing = _missing(krylov, k, which, tol)
            if missing:
                krylov.search()
            if missing or missing is None:
                stop = None
        if (stop is not None and (still or stop == "noise")) or spent:
            return _result(krylov, k, which, tol, stop or "budget", still)
        if full:
            values, vectors, *_ = krylov.ritz()
            krylov.restart(vectors[:, order(values, which)[: _kept(k, capacity)]])
    return _result(krylov, k, which, tol, verdict(krylov, k, which, tol) or "noise")


def _missing(krylov: Krylov, k: int, which: Which, tol: float) -> bool | None:
    values = krylov.ritz()[0]
    return unseen(krylov, values[order(values, which)[:k]], which, tol * float(np.abs(values).max()))


def _result(krylov: Krylov, k: int, which: Which, tol: float, stop: Stop, still: bool = True) -> Eigenpairs:
    values, vectors, residuals, _ = krylov.ritz()
    wanted = order(values, which)[:k]
    if which == "both":
        wanted = wanted[np.argsort(-values[wanted])]
    scale = float(np.abs(values).max())
    return Eigenpairs(
        eigenvalues=values[wanted],
        eigenvectors=krylov.basis.combine(vectors[:, wanted]),
        residuals=residuals[wanted],
        converged=(residuals[wanted] <= tol * scale) & still,
        scale=scale,
        num_matvecs=krylov.operator.num_matvecs,
        stop=stop,
    )


def _kept(k: int, capacity: int) -> int:
    return min(k + max(2, 2 * (capacity - k) // 5), capacity - 2)


def _capacity(operator: Operator, k: int, budget: int, max_basis: int | None) -> int:
    row = operator.n * torch.finfo(operator.dtype).bits // 8
    fits = min(2**31 // row, max(500, 4 * k)) if max_basis is None else max_basis
    return min(operator.n, budget, max(fits, 2 * k + 8 if max_basis is None else k + 4))


def _start(operator: Operator, start: Tensor | None, generator: torch.Generator) -> tuple[Tensor, float]:
    """The start vector, and the share of it that a direction has by chance."""
    draw = operator.random(generator)
    chance = operator.n**-0.5
    if start is None:
        return draw, chance
    total = start.detach().reshape(-1, start.shape[-1]).sum(0) if start.ndim in (1, 2) else start
    if total.shape != (operator.n,):
        raise ValueError(
            f"`start` has shape {tuple(start.shape)}, but vectors have n={operator.n} entries. "
            f"Pass ({operator.n},), or earlier eigenvectors as rows (m, {operator.n})."
        )
    total = total.to(operator.device, operator.dtype)
    length = float(total.norm())
    if not (np.isfinite(length) and length > 0):
        raise ValueError(
            f"`start` sums to a vector of length {length}. Leave it out, or pass finite rows, not all zero."
        )
    return total / length + WARM_NOISE * draw / draw.norm(), WARM_NOISE * chance


def _check(n: int, k: int, which: Which, tol: float, budget: int, max_basis: int | None) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k={k} pairs of a matrix with n={n} rows. Ask for 1 to {n}.")
    if which not in WHICH:
        raise ValueError(f"which={which!r} is not an end of the spectrum. Choose from {', '.join(WHICH)}.")
    if not (np.isfinite(tol) and tol > 0):
        raise ValueError(f"tol={tol} can never be met. Pass a share of the largest eigenvalue, such as 1e-3.")
    if budget < k:
        raise ValueError(f"max_matvecs={budget} products span too little for k={k} pairs. Allow at least {k}.")
    if max_basis is not None and max_basis < min(n, k + 4):
        raise ValueError(
            f"max_basis={max_basis} rows cannot hold k={k} pairs and grow. Allow at least {min(n, k + 4)}."
        )
