r"""A symmetric matrix that is known only by its products: counted, and checked for what spoils a spectrum silently.

- `Operator`: a matvec with its size, dtype and device; counts products, refuses wrong shapes and non-finite entries.
- `check_operator`: four products that tell whether a matvec is deterministic, symmetric and linear.

A matvec maps `(n,)` to `(n,)`. One that also takes rows, `(b, n)` to `(b, n)`, says so with `block=b`: probes then go
through it `b` at a time (on GPUs a vectorised product of 8 costs little more than one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Matvec = Callable[[Tensor], Tensor]
Device = torch.device | str | None


class Operator:
    r"""Products $v \mapsto Av$ with a symmetric $n \times n$ matrix, counted and checked.

    Parameters
    ----------
    matvec
        Maps `(n,)` to `(n,)`, or `(b, n)` to `(b, n)` for every `1 <= b <= block` when `block` is above one.
    n
        The size of the matrix.
    dtype, device
        Of the vectors handed to `matvec` and of the products it must return; torch's defaults unless given.
    block
        How many vectors `matvec` takes at a time; 1: it is called with single vectors of shape `(n,)`.

    Raises
    ------
    ValueError
        When `n` or `block` is below one, or a product has another shape, dtype or device.
    FloatingPointError
        When a product has a non-finite entry; the message says after how many products.

    Examples
    --------
    >>> double = Operator(lambda v: 2 * v, 3)
    >>> double(torch.ones(3)), double.num_matvecs
    (tensor([2., 2., 2.]), 1)
    """

    def __init__(
        self, matvec: Matvec, n: int, *, dtype: torch.dtype | None = None, device: Device = None, block: int = 1
    ) -> None:
        if n < 1:
            raise ValueError(f"A matrix of size n={n} has no products. Pass the length of the vectors, at least 1.")
        if block < 1:
            raise ValueError(f"block={block} vectors at a time is none. Pass 1 for a matvec of single vectors.")
        self.matvec = matvec
        self.n = n
        self.dtype = torch.get_default_dtype() if dtype is None else dtype
        self.device = torch.empty(0, device=device).device
        self.block = block
        self.num_matvecs = 0
        if not self.dtype.is_floating_point:
            raise ValueError(f"Vectors of {self.dtype} cannot be normalised. Pass a floating-point `dtype`.")

    def __call__(self, vector: Tensor) -> Tensor:
        """One product, `(n,)` to `(n,)`."""
        return self.rows(vector[None])[0]

    def rows(self, vectors: Tensor) -> Tensor:
        """The product of each row, `(b, n)` to `(b, n)`, at most `block` of them in one call of the matvec."""
        products = torch.empty_like(vectors)
        for first in range(0, len(vectors), self.block):
            part = slice(first, first + self.block)
            # copied at once: a matvec may return the same buffer each time, or its own argument
            products[part] = self._products(vectors[part])
        return products

    def random(self, generator: torch.Generator) -> Tensor:
        """A Gaussian vector, drawn on the CPU in float64 so that every device and dtype sees the same one."""
        return torch.randn(self.n, generator=generator, dtype=torch.float64).to(self.device, self.dtype)

    def signs(self, generator: torch.Generator) -> Tensor:
        """A Rademacher vector (entries +1 or -1), drawn on the CPU."""
        bits = torch.randint(0, 2, (self.n,), generator=generator, dtype=torch.int8)
        return (2 * bits - 1).to(self.device, self.dtype)

    def _products(self, vectors: Tensor) -> Tensor:
        wanted = vectors if self.block > 1 else vectors[0]
        products = self.matvec(wanted).detach()
        if products.shape != wanted.shape:
            raise ValueError(
                f"The matvec returned shape {tuple(products.shape)} for vectors of shape {tuple(wanted.shape)}. "
                f"Return the product in the shape of its argument (n={self.n}, block={self.block})."
            )
        if products.dtype != self.dtype or products.device != self.device:
            raise ValueError(
                f"The matvec returned {products.dtype} on {products.device}, but was given {self.dtype} on "
                f"{self.device}. Pass the `dtype` and `device` that it computes in."
            )
        self.num_matvecs += len(vectors)
        if not bool(torch.isfinite(products).all()):
            raise FloatingPointError(
                f"Product {self.num_matvecs} has entries that are not finite. Check that the weights, the loss and its "
                "derivatives are finite at this point (float64, or a smaller step, may help)."
            )
        return products


@dataclass(frozen=True)
class OperatorCheck:
    """Relative defects of a matvec: zero up to rounding for a symmetric matrix.

    `repeat`: one vector twice; `symmetry`: ⟨u, Av⟩ against ⟨Au, v⟩; `linearity`: A(u + v) against Au + Av.
    """

    repeat: float
    symmetry: float
    linearity: float
    num_matvecs: int


def check_operator(
    matvec: Matvec,
    n: int,
    *,
    rtol: float | None = None,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: Device = None,
    block: int = 1,
) -> OperatorCheck:
    r"""Refuse a matvec that is not deterministic, symmetric and linear; four products.

    With Gaussian $u, v$: $\lVert Au - (Au)'\rVert / \lVert Au \rVert$,
    $|\langle u, Av\rangle - \langle Au, v\rangle| / \lVert u\rVert\lVert Av\rVert$ and
    $\lVert A(u+v) - Au - Av\rVert / \lVert A(u+v)\rVert$ must each be at most `rtol`.

    Parameters
    ----------
    matvec, n, dtype, device, block
        As in `Operator`.
    rtol
        1e-2 below float64 (TensorFloat-32 products are off by 2e-3) and 1e-6 in float64 unless given.
        Dropout, shuffled batches and forgotten terms show as defects of 0.1 to 1.

    Raises
    ------
    ValueError
        Which law fails, by how much, and what usually causes it.

    Examples
    --------
    >>> A = torch.tensor([[1.0, 2.0], [2.0, 0.0]])
    >>> check_operator(lambda v: A @ v, 2).num_matvecs
    4
    >>> check_operator(lambda v: A.triu() @ v, 2)
    Traceback (most recent call last):
    ...
    ValueError: The matvec is not symmetric: ...
    """
    operator = Operator(matvec, n, dtype=dtype, device=device, block=block)
    allowed = rtol if rtol is not None else (1e-6 if operator.dtype == torch.float64 else 1e-2)
    generator = torch.Generator().manual_seed(seed)
    u, v = operator.random(generator), operator.random(generator)
    Au, again, Av, Auv = operator(u), operator(u), operator(v), operator(u + v)
    accumulate = accumulator(operator.device)
    u, v, Au, again, Av, Auv = (x.to(accumulate) for x in (u, v, Au, again, Av, Auv))
    found = OperatorCheck(
        repeat=_ratio((Au - again).norm(), Au.norm()),
        symmetry=_ratio((u @ Av - Au @ v).abs(), u.norm() * Av.norm()),
        linearity=_ratio((Auv - Au - Av).norm(), Auv.norm()),
        num_matvecs=operator.num_matvecs,
    )
    _refuse("deterministic", found.repeat, allowed, "the same vector gave two products: dropout, or shuffled data")
    _refuse("linear", found.linearity, allowed, "A(u + v) is not Au + Av: differences of gradients across kinks")
    _refuse("symmetric", found.symmetry, allowed, "⟨u, Av⟩ and ⟨Au, v⟩ differ: a term detached from the graph")
    return found


def accumulator(device: torch.device) -> torch.dtype:
    """The dtype in which sums over entries are taken: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def _ratio(defect: Tensor, size: Tensor) -> float:
    return float(defect / size) if float(defect) > 0 else 0.0


def _refuse(law: str, defect: float, allowed: float, cause: str) -> None:
    if not defect <= allowed:
        raise ValueError(
            f"The matvec is not {law}: relative defect {defect:.1e}, allowed {allowed:.1e}; {cause}. "
            "Mend it, or pass `rtol` if the defect is rounding."
        )
