r"""Principal components of many weights and few steps, or the other way round: the numbers, without the vectors.

With $W$ the weights of $T$ steps less the centre, $W W^\top = Q \Lambda Q^\top$ is `(steps, steps)`, summed over
stripes of columns. Where there are more steps than weights the smaller side is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import scipy.linalg
import xarray as xr

from thalweg.measures.stripes import stripes

Center = Literal["mean", "last"]


def check_center(center: str) -> None:
    """Refuse an unknown centre."""
    if center not in ("mean", "last"):
        raise ValueError(f"center={center!r}; expected 'mean' or 'last'.")


def centred(theta: xr.DataArray, center: Center) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Stripes less the centre, and the centre's part in them."""
    check_center(center)
    for columns, block in stripes(theta):
        middle = block.mean(axis=0) if center == "mean" else block[-1].copy()
        block -= middle
        yield columns, block, middle


def gram(theta: xr.DataArray, center: Center) -> np.ndarray:
    """Inner products of the rows less the centre, `(step, step)`."""
    total = np.zeros((theta.sizes["step"],) * 2)
    for _, block, _ in centred(theta, center):
        total += block @ block.T
    return total


def places(theta: xr.DataArray, center: Center = "mean") -> np.ndarray:
    """The path in as few dimensions as hold it, less its centre, `(step, min(step, weight))`: distances are kept."""
    if theta.sizes["step"] > theta.sizes["weight"]:
        return np.concatenate([block for _, block, _ in centred(theta, center)], axis=1)
    eigenvalues, vectors = np.linalg.eigh(gram(theta, center))
    return vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))


def principal(points: np.ndarray, num_axes: int, center: Center = "mean") -> tuple[np.ndarray, np.ndarray, float]:
    """Largest eigenvalues, unit vectors `(dim, axis)` and total variance of points `(step, dim)` about their centre."""
    offsets = points - (points.mean(axis=0) if center == "mean" else points[-1])
    few = offsets.shape[0] < offsets.shape[1]
    matrix = offsets @ offsets.T if few else offsets.T @ offsets
    size = len(matrix)
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=[max(0, size - num_axes), size - 1])
    values, vectors = np.clip(values[::-1], 0.0, None), vectors[:, ::-1]
    if few:
        vectors = offsets.T @ vectors / np.sqrt(np.maximum(values, 1e-300))
    return values, vectors, float(np.trace(matrix))
