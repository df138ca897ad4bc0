r"""A rectangular matrix known by its products $v \mapsto Av$ and $u \mapsto A^\top u$ alone: counted and checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.operator import Device, accumulator

Product = Callable[[Tensor], Tensor]


class LinearMap:
    r"""Products with an $n \times m$ matrix $A$ and with its transpose.

    Parameters
    ----------
    forward, adjoint
        Rows `(b, m)` to `(b, n)`, each row $v$ to $Av$; and rows `(b, n)` to `(b, m)`, each $u$ to $A^\top u$.
    shape
        `(n, m)`.
    dtype, device
        Of all vectors; torch's defaults unless given.
    frobenius
        $\lVert A \rVert_F$, if it is known: what is left of it after a factorisation is the error of that.

    Raises
    ------
    ValueError
        A product of another shape.
    FloatingPointError
        A product that is not finite.

    Examples
    --------
    >>> A = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    >>> matrix = LinearMap.of(A)
    >>> matrix.forward(torch.tensor([[1.0, 1.0, 1.0]])), matrix.frobenius, matrix.num_products
    (tensor([[3., 4.]]), 5.0, 1)
    """

    def __init__(
        self,
        forward: Product,
        adjoint: Product,
        shape: tuple[int, int],
        *,
        dtype: torch.dtype | None = None,
        device: Device = None,
        frobenius: float = float("nan"),
    ) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"A matrix of shape {shape} has no products; pass (n, m), both at least 1.")
        self._forward, self._adjoint = forward, adjoint
        self.shape = shape
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.empty(0, device=device).device
        self.frobenius, self._left = frobenius, frobenius**2
        self.num_products = 0

    @staticmethod
    def of(matrix: Tensor) -> LinearMap:
        """A matrix that is stored."""
        return _Stored(matrix)

    def forward(self, rows: Tensor) -> Tensor:
        """`A v` of each row."""
        return self._checked(self._forward(rows), rows, self.shape[0])

    def adjoint(self, rows: Tensor) -> Tensor:
        """`A^T u` of each row."""
        return self._checked(self._adjoint(rows), rows, self.shape[1])

    def remove(self, left: Tensor, right: Tensor) -> float:
        r"""Note that orthonormal rows $Q$ and $B = QA$ were found; the Frobenius norm of what is left.

        Of a matrix known by products alone the squared norm of $B$ is subtracted, which resolves what is left down to
        about the root of the rounding unit.
        """
        del left
        self._left -= float((right.to(accumulator(self.device)) ** 2).sum())
        return max(self._left, 0.0) ** 0.5

    def missed(self, values: np.ndarray, left: Tensor, right: Tensor) -> np.ndarray:
        """`‖A v − σ u‖` of triplets, `(k,)`."""
        sizes = torch.as_tensor(values, dtype=left.dtype, device=left.device)
        return _norms(self.forward(right) - sizes[:, None] * left)

    @property
    def resolution(self) -> float:
        """The share of the norm below which `remove` cannot see a rest."""
        return (10 * torch.finfo(self.dtype).eps) ** 0.5

    def random(self, rows: int, generator: torch.Generator) -> Tensor:
        """Gaussian rows `(b, m)`, drawn on the CPU so that every device sees the same."""
        drawn = torch.randn(rows, self.shape[1], generator=generator, dtype=self.dtype)
        return drawn.to(self.device)

    def _checked(self, products: Tensor, rows: Tensor, length: int) -> Tensor:
        if products.shape != (len(rows), length):
            raise ValueError(f"A product has shape {tuple(products.shape)}; expected {(len(rows), length)}.")
        self.num_products += len(rows)
        if not bool(torch.isfinite(products).all()):
            raise FloatingPointError(
                f"Product {self.num_products} has entries that are not finite. Check that the matrix is finite."
            )
        return products.detach().to(self.dtype)


class _Stored(LinearMap):
    """Found parts are subtracted from a copy, so that what is left is known to the rounding unit."""

    def __init__(self, matrix: Tensor) -> None:
        if matrix.ndim != 2 or not matrix.is_floating_point():
            raise ValueError(f"A {matrix.dtype} tensor of shape {tuple(matrix.shape)}; expected a matrix of numbers.")
        self._rest, self._own = matrix, False
        super().__init__(
            lambda rows: rows @ self._rest.T,
            lambda rows: rows @ self._rest,
            (matrix.shape[0], matrix.shape[1]),
            dtype=matrix.dtype,
            device=matrix.device,
            frobenius=_size(matrix),
        )

    @property
    def resolution(self) -> float:
        return 10 * torch.finfo(self.dtype).eps

    def missed(self, values: np.ndarray, left: Tensor, right: Tensor) -> np.ndarray:
        del values, left
        return _norms(self.forward(right))

    def remove(self, left: Tensor, right: Tensor) -> float:
        if self._own:
            self._rest.addmm_(left.T, right, alpha=-1.0)
        else:
            self._rest, self._own = torch.addmm(self._rest, left.T, right, alpha=-1.0), True
        return _size(self._rest)


def _size(matrix: Tensor) -> float:
    """‖A‖_F, rows in the matrix's own dtype (a sum in another is ten times as slow), their squares in float64."""
    return float(torch.linalg.vector_norm(matrix, dim=1).to(accumulator(matrix.device)).norm())


def _norms(rows: Tensor) -> np.ndarray:
    return torch.linalg.vector_norm(rows.to(accumulator(rows.device)), dim=1).cpu().numpy()
