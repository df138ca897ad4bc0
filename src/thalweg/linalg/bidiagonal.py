r"""The largest singular triplets of a matrix that is never stored: Golub-Kahan-Lanczos bidiagonalisation.

One product with $A$ and one with its transpose give one more row of $V$ and of $U$, both kept orthonormal by full
re-orthogonalisation:

$$ A V^\top = U^\top B, \qquad A^\top U^\top = V^\top B^\top + \beta\, v\, e^\top . $$

$B$ holds every coefficient that orthogonalisation removed (in exact arithmetic two diagonals). A triplet
$(x, \sigma, y)$ of $B$ is one of $A$ with the residual $\lVert A^\top u - \sigma v \rVert = \beta |x_m|$, which costs
no product. Where the rows close ($\beta = 0$) a random vector goes on, until what it finds is nothing: the rank.

One start vector sees one copy of a repeated singular value. So once $k$ triplets have converged, a random vector
orthogonal to all rows goes on (a search), and what $A$ drops out of the rows is kept as a further residual. With
$T = B_s^\top B_s$ of the rows of the search, a triplet $(u, \sqrt\mu, v)$ that is orthogonal to the rows before has
the coordinates $h \propto (\mu - T)^{-1} e$, so its share of the random vector is at most $|h_1| / \lVert h \rVert$.
The search ends with nothing when this is below $0.01 / \sqrt m$, which a random direction is with a probability of
0.8% (less if there are several copies). One that found a value above the $k$-th is followed by another.

Cost of $m$ steps besides $2m$ products: $m$ vectors of each side, $O(m^2)$ of them in operations.
Reference: Golub & Kahan (1965), SIAM J. Numer. Anal. 2(2); Golub & Van Loan, Matrix Computations, section 10.4.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.krylov import Basis
from thalweg.linalg.linear_map import LinearMap
from thalweg.linalg.svd import Triplets, rank_tolerance

_STILL = 3  # steps at least, and a quarter of all, for which the values have to stand still
_EACH = 128  # rows up to which every step is looked at
_GAP = 0.05  # unseen values less than this share above the k-th are looked for only where one was found
_APART = 1e-3  # share of the largest by which values differ that are no copies of each other
_CHANCE = 0.01  # share of the random vector, in units of its mean, below which a direction is said to be absent


class _Bidiagonal:
    """The decomposition, as it grows."""

    def __init__(self, matrix: LinearMap, generator: torch.Generator) -> None:
        self.matrix, self.generator = matrix, generator
        self.left = Basis(matrix.shape[0], matrix.dtype, matrix.device)
        self.right = Basis(matrix.shape[1], matrix.dtype, matrix.device)
        self._b = np.zeros((0, 0))
        self.beta = self.scale = 0.0
        self.dropped = 0.0  # what was taken for zero, squared
        self.exhausted = False
        self._drawn = True  # whether `next` is random
        self.first = (0, 0)  # rows of each side where the search began
        self._open: list[tuple[int, Tensor]] = []  # left row, and what of its product no row of the right spans
        self.next: Tensor | None = self._unit(matrix.random(1, generator)[0])

    @property
    def small(self) -> float:
        """Lengths that are rounding."""
        return 64 * torch.finfo(self.matrix.dtype).eps * self.scale

    def step(self) -> None:
        """Take in `next`."""
        assert self.next is not None
        row = self.matrix.forward(self.next[None])[0]
        coefficients, rest = self.left.split(row)
        alpha = float(rest.norm())
        self.scale = max(self.scale, float(np.hypot(alpha, np.linalg.norm(coefficients))))
        self.right.append(self.next)
        grown = np.zeros((self.left.size + 1, self.right.size))
        grown[: self._b.shape[0], : self._b.shape[1]] = self._b
        grown[: self.left.size, -1] = coefficients
        new = self.next.to(self.right.accumulate)
        self._open = [(at, rest - (rest @ new) * new) for at, rest in self._open]
        if alpha <= self.small or self.left.size == self.matrix.shape[0]:
            self.dropped += alpha**2
            self._b = grown[:-1]
            # of a direction that is orthogonal to all before and random, nothing is left: there is nothing left at all
            self.exhausted = not self._open and (
                self.exhausted or self._drawn or self.left.size == self.matrix.shape[0]
            )
            self._go_on()
            return
        grown[-1, -1] = alpha
        self._b = grown
        self.left.append((rest / alpha).to(self.matrix.dtype))
        self._follow(self.matrix.adjoint(self._last(self.left)[None])[0])

    def search(self) -> None:
        """Leave the direction that would follow, and go on from a random one."""
        if self.beta and self.next is not None:
            self._open.append((self.left.size - 1, self.beta * self.next.to(self.right.accumulate)))
        self.first = (self.left.size, self.right.size)
        self._random()

    def share(self, places: np.ndarray) -> float:
        """The largest share of the search's random vector that singular values at `places` can have, in its mean's."""
        block = self._b[self.first[0] :, self.first[1] :]
        values, vectors = np.linalg.eigh(block.T @ block)
        with np.errstate(divide="ignore", invalid="ignore"):  # a place that was found: asked again after a step
            last = vectors[-1] / (places[:, None] ** 2 - values)
            shares = np.abs(last @ vectors[0]) / np.linalg.norm(last, axis=1)
        return float(np.nan_to_num(shares, nan=1.0).max()) * max(self.matrix.shape[1] - self.first[1], 1) ** 0.5

    def leading(self) -> float:
        """The largest singular value in what the search spans."""
        block = self._b[self.first[0] :, self.first[1] :]
        return float(np.linalg.norm(block, 2)) if block.size else 0.0

    def _follow(self, product: Tensor) -> None:
        rest = self.right.split(product)[1]
        self.beta = float(rest.norm())
        self.scale = max(self.scale, self.beta)
        if self.beta <= self.small:
            self.dropped += self.beta**2
            self._go_on()
        else:
            self.next, self._drawn = self._unit(rest), False

    def _go_on(self) -> None:
        """From what a search left behind, or else from a random direction."""
        self.beta = 0.0
        while self._open:
            rest = self.right.split(self._open[-1][1])[1]
            size = float(rest.norm())
            if size > self.small:
                self.next, self._drawn = self._unit(rest), False
                return
            self.dropped += size**2
            self._open.pop()
        self._random()

    def _random(self) -> None:
        """Go on from a random direction; there is none when the rows span everything."""
        self.beta, self._drawn = 0.0, True
        if self.right.size == self.matrix.shape[1]:
            self.next, self.exhausted = None, True
            return
        self.next = self._unit(self.right.split(self.matrix.random(1, self.generator)[0])[1])

    def triplets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Columns x, values, rows y, residuals."""
        x, values, y = np.linalg.svd(self._b, full_matrices=False)
        tails = self._tails(x) if len(x) else np.zeros(0)
        rounding = torch.finfo(self.matrix.dtype).eps * self.scale
        return x, values, y, np.sqrt(tails**2 + self.dropped + rounding**2)

    def _tails(self, x: np.ndarray) -> np.ndarray:
        """`‖A^T u - V^T B^T x‖` of each column of `x`."""
        if not self._open:
            return self.beta * np.abs(x[-1])
        last = [(len(x) - 1, self.beta * self.next.to(self.right.accumulate))] if self.next is not None else []
        rows, rests = zip(*self._open, *last, strict=True)
        stacked = torch.stack(rests)
        gram = (stacked @ stacked.T).cpu().numpy()
        return np.sqrt(np.maximum(np.einsum("pi,pq,qi->i", x[list(rows)], gram, x[list(rows)]), 0.0))

    def _last(self, basis: Basis) -> Tensor:
        pick = np.zeros((basis.size, 1))
        pick[-1] = 1.0
        return basis.combine(pick)[0]

    def _unit(self, vector: Tensor) -> Tensor:
        return (vector / vector.norm()).to(self.matrix.dtype)


def lanczos_svd(
    matrix: LinearMap,
    k: int,
    *,
    tol: float = 1e-3,
    rtol: float | None = None,
    max_products: int | None = None,
    seed: int = 0,
) -> Triplets:
    r"""The `k` largest singular triplets, from products alone.

    Parameters
    ----------
    matrix
        Products with A and its transpose.
    k
        How many; fewer come back where the rank is lower.
    tol
        A triplet has converged when $\lVert A^\top u - \sigma v \rVert \le$ `tol` $\sigma_1$ ($Av = \sigma u$ holds
        to rounding) and the values stood still for a quarter of the steps: of neighbours one may be found late.
    rtol
        Singular values below this share of the largest count as zero; `rank_tolerance` unless given.
    max_products
        With A and its transpose together; `max(400, 40 k)` unless given.
    seed
        Of the random start.

    Notes
    -----
    Copies of a repeated singular value are found: after convergence random vectors orthogonal to what is known search
    until one finds nothing above the k-th value. A copy of a value found, or an unseen value more than 5% above the
    k-th, then remains unseen with a probability below 1%. Each copy costs about as many products as the first.

    Examples
    --------
    >>> A = torch.diag(torch.arange(1.0, 101.0, dtype=torch.float64))
    >>> matrix = LinearMap(lambda v: v @ A.T, lambda u: u @ A, (100, 100), dtype=torch.float64)
    >>> found = lanczos_svd(matrix, 2, tol=1e-6)
    >>> found.singular_values.round(6), found.stop
    (array([100.,  99.]), 'converged')
    """
    if not 1 <= k <= min(matrix.shape):
        raise ValueError(f"k={k} triplets of a matrix of shape {matrix.shape}. Ask for 1 to {min(matrix.shape)}.")
    budget = max(400, 40 * k) if max_products is None else max_products
    grown = _Bidiagonal(matrix, torch.Generator().manual_seed(seed))
    seen: list[tuple[int, np.ndarray]] = []
    searching = done = False
    while grown.next is not None and not grown.exhausted and matrix.num_products < budget and not done:
        grown.step()
        size = grown.left.size
        if size < k or (size > _EACH and size % 4):
            continue
        _, values, _, residuals = grown.triplets()
        seen.append((size, values[:k]))
        allowed = tol * values[0]
        if not (residuals[:k] <= allowed).all():
            continue
        if searching and grown.leading() <= values[k - 1] + allowed:
            done = grown.share(_place(values[:k], allowed)) <= _CHANCE
        elif _still(seen, size - grown.first[0], allowed):
            grown.search()
            searching, seen = True, []
    return _result(grown, k, rank_tolerance(matrix.shape, matrix.dtype) if rtol is None else rtol, done)


def _still(seen: list[tuple[int, np.ndarray]], steps: int, allowed: float) -> bool:
    """Whether the values stood still: they only grow, and one that was hidden moves those below it when it is found."""
    size, values = seen[-1]
    earlier = [old for at, old in seen if at <= size - max(_STILL, steps // 4)]
    return bool(earlier) and float(np.abs(earlier[-1] - values).max()) <= allowed


def _place(values: np.ndarray, allowed: float) -> np.ndarray:
    """The lowest singular value that a search has to exclude: `(1,)`."""
    least = values[-1]
    apart = max(allowed, _APART * values[0])
    return np.array([min([least * (1 + _GAP), *values[values > least + apart]])])


def _result(grown: _Bidiagonal, k: int, share: float, converged: bool) -> Triplets:
    matrix = grown.matrix
    x, values, y, residuals = grown.triplets()
    above = int((values > share * values[0]).sum()) if len(values) and values[0] > 0 else 0
    kept = min(k, above)
    values = values[:kept]
    tail = max(matrix.frobenius**2 - float((values**2).sum()), 0.0) ** 0.5
    left = grown.left.combine(x[:, :kept]) if kept else torch.empty(0, matrix.shape[0], dtype=matrix.dtype)
    right = grown.right.combine(y[:kept].T) if kept else torch.empty(0, matrix.shape[1], dtype=matrix.dtype)
    return Triplets(
        values,
        left,
        right,
        residuals[:kept],
        np.full(kept, np.nan),
        matrix.frobenius,
        tail,
        above,
        grown.exhausted,
        matrix.num_products,
        "converged" if converged or grown.exhausted else "budget",
    )
