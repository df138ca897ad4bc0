r"""Subspaces given by a few rows: orthonormal bases, and how much two of them share.

For orthonormal rows $U$ `(k, n)` and $V$ `(l, n)` the overlap is $\lVert U V^\top \rVert_F^2 / \min(k, l)$ (1: one
contains the other; $\max(k, l)/n$: what chance gives), as in Gur-Ari, Roberts & Dyer (2018), arXiv:1812.04754.
Angles: Björck & Golub (1973), Math. Comp. 27.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.linalg.operator import accumulator


def orthonormalize(rows: Tensor, *, rtol: float | None = None) -> Tensor:
    """An orthonormal basis of the span of `rows`, `(k, n)` to `(r, n)`; dependent rows are dropped, so `r <= k`.

    Parameters
    ----------
    rows
        `(k, n)` or one vector `(n,)`.
    rtol
        Singular values below this share of the largest count as zero; `n` times the rounding unit unless given.

    Examples
    --------
    >>> orthonormalize(torch.tensor([[0.0, 2.0, 0.0], [0.0, -4.0, 0.0]])).abs()
    tensor([[0., 1., 0.]])
    """
    rows = _rows("rows", rows)
    _, values, right = torch.linalg.svd(rows.to(accumulator(rows.device)), full_matrices=False)
    share = torch.finfo(rows.dtype).eps * rows.shape[1] if rtol is None else rtol
    return right[(values > share * values.max()) & (values > 0)].to(rows.dtype)


def principal_angles(first: Tensor, second: Tensor) -> Tensor:
    """Angles between two subspaces, `(min(k, l),)`, rising, in radians; small ones from sines, so that 1e-8 is not 0.

    Parameters
    ----------
    first, second
        Orthonormal rows `(k, n)` and `(l, n)`; `orthonormalize` makes them.

    Examples
    --------
    >>> e = torch.eye(3, dtype=torch.float64)
    >>> principal_angles(e[:2], torch.stack([e[0], e[2]]))
    tensor([0.0000, 1.5708], dtype=torch.float64)
    """
    U, V = _pair(first, second)
    if len(U) < len(V):
        U, V = V, U
    cosines = torch.linalg.svdvals(U @ V.T).clamp(max=1.0)
    sines = torch.linalg.svdvals(V - (V @ U.T) @ U).flip(0).clamp(max=1.0)
    return torch.where(cosines**2 > 0.5, torch.asin(sines), torch.acos(cosines))


def subspace_overlap(first: Tensor, second: Tensor) -> float:
    r"""$\lVert U V^\top \rVert_F^2 / \min(k, l)$: the mean squared cosine of the principal angles, from 0 to 1.

    Parameters
    ----------
    first, second
        Orthonormal rows `(k, n)` and `(l, n)`.

    Examples
    --------
    >>> e = torch.eye(3)
    >>> subspace_overlap(e[:2], e[1:])
    0.5
    """
    U, V = _pair(first, second)
    return float(((U @ V.T) ** 2).sum()) / min(len(U), len(V))


def share_in_subspace(vector: Tensor, rows: Tensor) -> float:
    r"""How much of a vector's squared length lies in a subspace, $\lVert U v \rVert^2 / \lVert v \rVert^2$.

    Parameters
    ----------
    vector
        `(n,)`, for instance a gradient.
    rows
        Orthonormal, `(k, n)`.

    Returns
    -------
    float
        From 0 to 1; NaN for a vector of zeros.

    Examples
    --------
    >>> share_in_subspace(torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 0.0]])) == 9 / 25
    True
    """
    U, v = _pair(rows, vector[None], orthonormal=1)
    length = float((v**2).sum())
    return float(((U @ v.T) ** 2).sum()) / length if length > 0 else float("nan")


def _pair(first: Tensor, second: Tensor, orthonormal: int = 2) -> tuple[Tensor, Tensor]:
    pair = (_rows("first", first), _rows("second", second))
    if pair[0].shape[1] != pair[1].shape[1]:
        raise ValueError(
            f"Vectors of {pair[0].shape[1]} and of {pair[1].shape[1]} entries lie in different spaces. "
            "Pass rows of the same length."
        )
    U, V = (rows.to(accumulator(rows.device)) for rows in pair)
    for rows, given in list(zip((U, V), pair, strict=True))[:orthonormal]:
        defect = float((rows @ rows.T - torch.eye(len(rows), dtype=rows.dtype, device=rows.device)).abs().max())
        if not defect <= 1e3 * torch.finfo(given.dtype).eps:
            raise ValueError(
                f"The rows are not orthonormal (defect {defect:.1e}). Pass them through `orthonormalize` first."
            )
    return U, V


def _rows(name: str, rows: Tensor) -> Tensor:
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.numel() == 0:
        raise ValueError(f"`{name}` has shape {tuple(rows.shape)}. Pass vectors as rows, (k, n) with k, n at least 1.")
    if not bool(torch.isfinite(rows).all()):
        raise ValueError(f"`{name}` has entries that are not finite. Pass finite vectors.")
    return rows
