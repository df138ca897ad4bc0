"""Random vectors with their products, and sums taken in float64: what the estimators of `trace` and `xtrace` share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from thalweg.linalg.estimate import Estimate
from thalweg.linalg.operator import Operator, accumulator


def exact(operator: Operator) -> Estimate:
    """The trace from the unit vectors."""
    total = 0.0
    for first in range(0, operator.n, operator.block):
        size = min(operator.block, operator.n - first)
        units = torch.zeros(size, operator.n, dtype=operator.dtype, device=operator.device)
        units[torch.arange(size), first + torch.arange(size)] = 1.0
        total += float(dots(units, operator.rows(units)).sum())
    return Estimate(total, 0.0, np.inf, operator.num_matvecs)


def signs(
    operator: Operator, count: int, generator: torch.Generator, without: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random signs and their products, a block at a time, `(b, n)` each; `without` is projected out of the signs."""
    for first in range(0, count, operator.block):
        size = min(operator.block, count - first)
        drawn = torch.stack([operator.signs(generator) for _ in range(size)])
        if without is not None:
            drawn = drawn - (drawn @ without.T) @ without
        yield drawn, operator.rows(drawn)


def sphere(operator: Operator, count: int, generator: torch.Generator) -> Tensor:
    """Gaussian vectors scaled to length √n, `(count, n)`."""
    draws = torch.stack([operator.random(generator) for _ in range(count)])
    return draws * (operator.n**0.5 / torch.linalg.vector_norm(draws, dim=1, keepdim=True))


def row_basis(rows: Tensor) -> tuple[Tensor, np.ndarray]:
    """Orthonormal rows Q with rows.T = Q.T R; factored in the dtype of sums."""
    q, r = torch.linalg.qr(rows.T.to(accumulator(rows.device)))
    return q.T.to(rows.dtype).contiguous(), r.cpu().numpy().astype(np.float64)


def dots(a: Tensor, b: Tensor) -> np.ndarray:
    """Inner products of corresponding rows."""
    wide = accumulator(a.device)
    return np.array([float(x.to(wide) @ y.to(wide)) for x, y in zip(a, b, strict=True)])


def gram(a: Tensor, b: Tensor) -> np.ndarray:
    """Inner products of all rows with all rows."""
    wide = accumulator(a.device)
    return (a.to(wide) @ b.to(wide).T).cpu().numpy().astype(np.float64)


def at_least(num_matvecs: int, least: int) -> None:
    """Refuse a budget too small for a standard error."""
    if num_matvecs < least:
        raise ValueError(f"num_matvecs={num_matvecs} products give no standard error here. Allow at least {least}.")
