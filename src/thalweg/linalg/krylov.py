r"""The Krylov decomposition that Lanczos grows, one product at a time, fully re-orthogonalised.

With $m$ orthonormal rows $V$, after each product

$$ A V^\top = V^\top C + \beta\, v\, b^\top, \qquad v \perp V, \quad b = e_m \text{ until a restart.} $$

$C$ holds every coefficient that orthogonalisation removed, not only the three diagonals of exact arithmetic. So the
residual of a Ritz pair $(\theta, V^\top s)$ of $(C + C^\top)/2$ costs no product,

$$ \lVert A y - \theta y \rVert^2 = \lVert Cs - \theta s \rVert^2 + \beta^2 (b^\top s)^2 , $$

and it sees an asymmetric or noisy $A$, which $\beta |s_m|$ alone does not.

Rows are kept in the dtype of the problem; sums over the $n$ entries, $C$ and $\beta$ are float64.
References: Stewart (2002), A Krylov-Schur algorithm for large eigenproblems, SIAM J. Matrix Anal. Appl. 23(3); Wu &
Simon (2000), Thick-restart Lanczos, same journal 22(2); "twice is enough": Giraud & Langou (2002), IMA J. Numer. Anal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.operator import Operator, accumulator

ROWS = 16
"""Rows allocated at a time."""


class Basis:
    """Orthonormal rows of length `n`, allocated a few at a time and never copied while they grow.

    Examples
    --------
    >>> basis = Basis(3, torch.float32, torch.device("cpu"))
    >>> basis.append(torch.tensor([1.0, 0.0, 0.0]))
    >>> coefficients, rest = basis.split(torch.tensor([3.0, 4.0, 0.0]))
    >>> coefficients, rest
    (array([3.]), tensor([0., 4., 0.], dtype=torch.float64))
    """

    def __init__(self, n: int, dtype: torch.dtype, device: torch.device) -> None:
        self.n, self.dtype, self.device = n, dtype, device
        self.accumulate = accumulator(device)
        self.blocks: list[Tensor] = []
        self.size = 0

    def append(self, vector: Tensor) -> None:
        """One more row."""
        if self.size == ROWS * len(self.blocks):
            self.blocks.append(torch.empty(ROWS, self.n, dtype=self.dtype, device=self.device))
        self.blocks[self.size // ROWS][self.size % ROWS] = vector
        self.size += 1

    def split(self, vector: Tensor) -> tuple[np.ndarray, Tensor]:
        """Coefficients `(size,)` along the rows, and what is left: classical Gram-Schmidt, twice, in float64."""
        rest = vector.to(self.accumulate, copy=True)
        first, second = rest.new_zeros(self.size), rest.new_zeros(self.size)
        for columns, rows in self._chunks():
            first += _along(rows, rest[columns])
        for columns, rows in self._chunks():
            _remove(rows, first, rest[columns])
            second += _along(rows, rest[columns])
        for columns, rows in self._chunks():
            _remove(rows, second, rest[columns])
        return (first + second).cpu().numpy().astype(np.float64), rest

    def combine(self, mixing: np.ndarray) -> Tensor:
        """Rows `mixing.T @ rows` for `mixing` of shape `(size, p)`: a tensor `(p, n)`."""
        mixed = torch.empty(mixing.shape[1], self.n, dtype=self.dtype, device=self.device)
        self._mix(mixing, [mixed])
        return mixed

    def rotate(self, mixing: np.ndarray) -> None:
        """Replace the rows by the `p` rows `mixing.T @ rows`, in place."""
        kept = self.blocks[: -(-mixing.shape[1] // ROWS)]
        self._mix(mixing, kept)
        self.blocks, self.size = kept, mixing.shape[1]

    def _mix(self, mixing: np.ndarray, out: list[Tensor]) -> None:
        weights = torch.as_tensor(mixing.T.copy()).to(self.device, self.accumulate)
        for columns, rows in self._chunks():
            mixed = weights @ torch.cat(rows)
            for part, values in zip(out, mixed.split(len(out[0])), strict=True):
                part[: len(values), columns] = values.to(self.dtype)

    def _chunks(self) -> Iterator[tuple[slice, list[Tensor]]]:
        """Columns with the filled rows of every block, in the dtype of sums: small enough to stay in cache."""
        entries = 2**18 if self.device.type == "cpu" else 2**25
        width = self.n if self.dtype == self.accumulate else max(entries // max(self.size, 1), 256)
        for first in range(0, self.n, width):
            columns = slice(first, first + width)
            filled = [min(ROWS, self.size - ROWS * i) for i in range(len(self.blocks))]
            yield (
                columns,
                [b[:rows, columns].to(self.accumulate) for b, rows in zip(self.blocks, filled, strict=True) if rows],
            )


def _along(rows: list[Tensor], vector: Tensor) -> Tensor:
    return torch.cat([part @ vector for part in rows]) if rows else vector.new_zeros(0)


def _remove(rows: list[Tensor], coefficients: Tensor, vector: Tensor) -> None:
    for part, c in zip(rows, coefficients.split(ROWS) if rows else (), strict=True):
        vector -= c @ part


class Krylov:
    """The decomposition above for an operator and a start vector, with at most `capacity` rows.

    `next` is the unit vector whose product is wanted; `absorb(product)` adds it. `closed` is true when the rows span an
    invariant subspace (β = 0 up to rounding, or to `negligible`): `next` is then a random vector orthogonal to them, or
    None when they span everything.

    Examples
    --------
    >>> operator = Operator(lambda v: torch.tensor([3.0, 1.0]) * v, 2, dtype=torch.float64)
    >>> krylov = Krylov(operator, torch.tensor([1.0, 1.0]), capacity=2, generator=torch.Generator())
    >>> krylov.absorb(operator(krylov.next)); krylov.absorb(operator(krylov.next))
    >>> np.round(np.linalg.eigvalsh(krylov.matrix), 12), krylov.next is None
    (array([1., 3.]), True)
    """

    next: Tensor | None

    def __init__(
        self, operator: Operator, start: Tensor, capacity: int, generator: torch.Generator, share: float = 1.0
    ) -> None:
        self.operator, self.generator = operator, generator
        self.basis = Basis(operator.n, operator.dtype, operator.device)
        self._c = np.zeros((capacity, capacity))
        self.coupling = np.zeros(0)  # b
        self.noise = np.zeros(0)  # what the relation of each column may be wrong by
        self.beta = 0.0
        self.scale = 0.0  # the largest product of a unit vector so far, a lower bound of ‖A‖
        self.share = share  # of the start vector, along a direction that it was not made from
        self.closed = self.restarted = False
        self.negligible = 0.0  # share of `scale` below which a β is dropped, and counted as an error of its column
        self.blocks = [0]  # where rows begin that have nothing to do with those before them
        self._open: list[tuple[np.ndarray, Tensor]] = []  # b of a search's start, and what no row spans of its β v
        self.searches: int | None = None  # the row where the last search began
        self.next = self._unit(start.to(self.basis.accumulate))

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self.basis.size

    @property
    def matrix(self) -> np.ndarray:
        """C, `(size, size)`."""
        return self._c[: self.size, : self.size]

    def absorb(self, product: Tensor) -> None:
        """Take in the product of `next`, and set the following `next`."""
        assert self.next is not None
        m = self.size
        self._c[m, :m] = self.beta * self.coupling
        self._span(self.next)
        self.basis.append(self.next)
        self._c[: m + 1, m], rest = self.basis.split(product)
        self.beta = float(rest.norm())
        length = float(np.hypot(self.beta, np.linalg.norm(self._c[: m + 1, m])))
        self.scale = max(self.scale, length)
        self.coupling = np.eye(1, m + 1, m)[0]
        small = max(64 * torch.finfo(self.operator.dtype).eps, self.negligible) * self.scale
        self.closed = self.size == self.operator.n or self.beta <= small
        rounding = torch.finfo(self.operator.dtype).eps * length
        self.noise = np.append(self.noise, rounding + (self.beta if self.closed else 0.0))
        if self.closed:
            self.blocks.append(self.size)
            self.beta = 0.0
        self.next = self._new_direction() if self.closed else self._unit(rest)

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Ritz values (ascending), vectors in the basis (columns), residuals, and their share that steps can lower."""
        return ritz_pairs(self.matrix, self._tail(), self.noise)

    def search(self) -> None:
        """Leave the direction that would follow, and go on from a random one orthogonal to all rows."""
        if self.beta and self.next is not None:
            self._open.append((self.coupling, self.beta * self.next.to(self.basis.accumulate)))
        self.searches, self.beta = self.size, 0.0
        if self.blocks[-1] != self.size:
            self.blocks.append(self.size)
        self.next = self._new_direction()

    def restart(self, mixing: np.ndarray) -> None:
        """Keep the Ritz vectors `mixing`, `(size, p)`: thick restart."""
        image = self.matrix @ mixing
        inside = mixing.T @ image
        dropped = ((image - mixing @ inside) ** 2).sum(0)
        self.noise = np.sqrt(self.noise**2 @ mixing**2 + dropped)
        self.coupling = self.coupling @ mixing
        self._open = [(_padded(b, len(mixing)) @ mixing, v) for b, v in self._open]
        self.basis.rotate(mixing)
        self._c[:] = 0.0
        self._c[: self.size, : self.size] = inside
        self.blocks, self.restarted, self.searches = [0], True, None

    def _span(self, row: Tensor) -> None:
        """Note what a new row has of the directions that searches left."""
        new = row.to(self.basis.accumulate)
        for i, (b, rest) in enumerate(self._open):
            share = rest @ new
            self._c[self.size, : len(b)] += float(share) * b
            self._open[i] = b, rest - share * new

    def _tail(self) -> np.ndarray:
        """What leads out of the rows, `(m,)`, or with searches `(p, m)` in orthonormal directions."""
        last = self.beta * self.coupling
        if not self._open:
            return last
        couplings = [_padded(b, self.size) for b, _ in self._open]
        rests = [rest for _, rest in self._open]
        if self.beta and self.next is not None:
            couplings, rests = [*couplings, last], [*rests, self.next.to(self.basis.accumulate)]
        stacked = torch.stack(rests)
        squares, turn = np.linalg.eigh((stacked @ stacked.T).cpu().numpy().astype(np.float64))
        return np.sqrt(np.maximum(squares, 0.0))[:, None] * (turn.T @ np.stack(couplings))

    def _new_direction(self) -> Tensor | None:
        if self.size == self.operator.n:
            return None
        draw = self.operator.random(self.generator)
        return self._unit(self.basis.split(draw)[1])

    def _unit(self, vector: Tensor) -> Tensor:
        return (vector / vector.norm()).to(self.operator.dtype)


def _padded(vector: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([vector, np.zeros(size - len(vector))])


def ritz_pairs(
    matrix: np.ndarray, tail: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Eigenpairs of the symmetric part of C, with residuals from C, β b and the rounding of each column.

    Examples
    --------
    >>> values, vectors, residuals, tails = ritz_pairs(np.diag([1.0, 2.0]), np.array([0.0, 0.5]), np.zeros(2))
    >>> values, residuals
    (array([1., 2.]), array([0. , 0.5]))
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    inside = matrix @ vectors - vectors * values
    tails = np.linalg.norm(np.atleast_2d(tail) @ vectors, axis=0)
    return values, vectors, np.sqrt((inside**2).sum(0) + tails**2 + noise**2 @ vectors**2), tails
