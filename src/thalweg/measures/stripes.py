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
WORK_BYTES = 2**22
"""What is widened to float64 at a time: what stays in a processor's cache."""


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


def rising_steps(trajectory: xr.Dataset) -> np.ndarray:
    """The updates at which rows were recorded; refused if they do not rise."""
    steps = trajectory["step"].values.astype(float)
    if not (np.diff(steps) > 0).all():
        raise ValueError(
            "The recorded steps do not rise, so they are no times along a path. Give the rows their numbers of "
            "updates: `trajectory.assign_coords(step=...)`."
        )
    return steps


def stripes(theta: xr.DataArray, *, finite: bool = True) -> Iterator[tuple[slice, np.ndarray]]:
    """Columns and their values at all steps: copies in float64, `(step, some weights)`.

    Raises
    ------
    ValueError
        At weights that are not finite (the run diverged), unless `finite` is not asked for.
    """
    num_steps, num_weights = theta.shape
    fitting = max(1, READ_BYTES // max(1, num_steps * theta.dtype.itemsize))
    narrow = max(1, WORK_BYTES // (8 * max(1, num_steps)))
    for left, right in _cuts(num_weights, _chunk(theta), fitting):
        read = theta[:, left:right].values
        for start in range(0, read.shape[1], narrow):
            block = np.array(read[:, start : start + narrow], dtype=np.float64)
            if finite and not np.isfinite(block).all():
                raise ValueError(
                    "The trajectory has non-finite weights: the run diverged. Take the steps before that: "
                    "`.isel(step=slice(k))`."
                )
            yield slice(left + start, left + start + block.shape[1]), block


def combine(theta: xr.DataArray, coefficients: np.ndarray) -> np.ndarray:
    """Sum of the rows with these coefficients `(step,)`: taken in float64, told in their dtype."""
    total = np.empty(theta.sizes["weight"], theta.dtype)
    for columns, block in stripes(theta):
        total[columns] = coefficients @ block
    return total


def _cuts(num_weights: int, chunk: int, fitting: int) -> Iterator[tuple[int, int]]:
    """Columns to read at a time: whole chunks if that many fit, else parts of one chunk."""
    stride = min(max(fitting // chunk, 1) * chunk, num_weights)
    for start in range(0, num_weights, max(1, stride)):
        end = min(start + stride, num_weights)
        for left in range(start, end, fitting):
            yield left, min(left + fitting, end)


def _chunk(theta: xr.DataArray) -> int:
    """Columns in a chunk on disk; 1 if there are none."""
    chunks = theta.encoding.get("chunks")
    return int(chunks[-1]) if chunks else 1
