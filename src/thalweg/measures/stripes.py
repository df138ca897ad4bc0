r"""The weights of a trajectory, read a stripe of columns at a time: memory does not grow with network or run.

What is asked of a path (inner products, distances, averages) is a sum over weights, so the `(step, weight)` matrix is
cut into stripes of all steps and so many weights. Stripes end where the chunks on disk do, and each number is read once
for each pass where a chunk of all steps fits, else a few times.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from thalweg import schema

READ_BYTES = 2**28
"""What is read at a time."""
WORK_BYTES = 2**26
"""What is widened to float64 at a time."""


def recorded_weights(trajectory: xr.Dataset, least: int, what: str) -> xr.DataArray:
    """`theta(step, weight)` of a trajectory of at least so many steps.

    Raises
    ------
    ValueError
        Naming the kind that came, or how many steps there are.
    """
    kind = schema.check(trajectory).attrs["kind"]
    if kind != "trajectory":
        raise ValueError(
            f"This is a result of kind {kind!r}; {what} is told of a trajectory, which a `Recorder` or "
            "`read_trajectory` makes."
        )
    theta = trajectory["theta"]
    if theta.sizes["step"] < least:
        raise ValueError(
            f"{what.capitalize()} needs at least {least} recorded steps; the trajectory "
            + (f"has {theta.sizes['step']}." if theta.sizes["step"] else "is empty.")
        )
    return theta


def stripes(theta: xr.DataArray) -> Iterator[tuple[slice, np.ndarray]]:
    """Columns and their values at all steps: copies in float64, `(step, some weights)`.

    Raises
    ------
    ValueError
        At weights that are not finite: the run diverged.
    """
    num_steps, num_weights = theta.shape
    wide = _width(num_steps * theta.dtype.itemsize, _chunk(theta), num_weights)
    narrow = max(1, WORK_BYTES // (8 * max(1, num_steps)))
    for left in range(0, num_weights, wide):
        read = theta[:, left : left + wide].values
        for start in range(0, read.shape[1], narrow):
            block = np.array(read[:, start : start + narrow], dtype=np.float64)
            if not np.isfinite(block).all():
                raise ValueError(
                    "The trajectory has non-finite weights: the run diverged. Take the steps before that: "
                    "`.isel(step=slice(k))`."
                )
            yield slice(left + start, left + start + block.shape[1]), block


def combine(theta: xr.DataArray, coefficients: np.ndarray) -> np.ndarray:
    """Sums of rows with these coefficients `(..., step)`, `(..., weight)`, float64."""
    total = np.empty((*coefficients.shape[:-1], theta.sizes["weight"]))
    for columns, block in stripes(theta):
        total[..., columns] = coefficients @ block
    return total


def _width(bytes_per_column: int, chunk: int, num_weights: int) -> int:
    """Columns to read at a time: whole chunks if possible, else equal parts of one."""
    fitting = max(1, READ_BYTES // max(1, bytes_per_column))
    if fitting >= num_weights:
        return max(1, num_weights)
    return fitting // chunk * chunk if fitting >= chunk else -(-chunk // -(-chunk // fitting))


def _chunk(theta: xr.DataArray) -> int:
    """Columns in a chunk on disk; 1 if there are none."""
    chunks = theta.encoding.get("chunks")
    return int(chunks[-1]) if chunks else 1
