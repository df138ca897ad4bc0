"""Steps of a record: which are there, where a given one lies, and how to say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import scale


def recorded(ds: xr.Dataset) -> np.ndarray:
    """The recorded steps, or their numbers if the dataset does not name them."""
    return np.asarray(ds["step"].values if "step" in ds.coords else np.arange(ds.sizes["step"]))


def index(ds: xr.Dataset, step: float | None) -> int:
    """Place of `step` in the record; None is the last.

    Raises
    ------
    ValueError
        If the step is not recorded, naming the nearest.

    Examples
    --------
    >>> run = xr.Dataset(coords={"step": [0, 10, 20]})
    >>> index(run, 10), index(run, None)
    (1, 2)
    >>> index(run, 12)
    Traceback (most recent call last):
    ValueError: Step 12 is not recorded; the nearest is 10 (3 steps from 0 to 20).
    """
    steps = recorded(ds)
    if not steps.size:
        raise ValueError("The dataset holds no step, so there is nothing to draw.")
    if step is None:
        return int(steps.size - 1)
    nearest = int(np.argmin(np.abs(steps - step)))
    if steps[nearest] != step:
        raise ValueError(f"Step {step} is not recorded; the nearest is {steps[nearest]} ({said(steps)}).")
    return nearest


def said(steps: np.ndarray) -> str:
    """`101 steps from 0 to 100`."""
    count = "1 step" if steps.size == 1 else f"{steps.size:,} steps from {word(steps[0])} to {word(steps[-1])}"
    return count if steps.size > 1 else f"{count}, {word(steps[0])}"


def word(step: float) -> str:
    """A step as text: whole numbers in full.

    Examples
    --------
    >>> word(12345), word(0.5)
    ('12345', '0.5')
    """
    return str(int(step)) if float(step).is_integer() else number(float(step))


def number(value: float, digits: int = 4) -> str:
    """`scale.number` with a minus sign as on the axes.

    Examples
    --------
    >>> number(-1.5)
    '−1.5'
    """
    return scale.number(value + 0.0, digits).replace("-", "−")


def thinned(steps: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the steps, evenly spaced, with the first and the last.

    Examples
    --------
    >>> thinned(np.arange(0, 1001, 10), 5).tolist()
    [0, 250, 500, 750, 1000]
    """
    return np.asarray(steps[np.unique(np.linspace(0, steps.size - 1, min(steps.size, most)).round().astype(int))])


def datasets(values: Iterable[Any]) -> Iterator[xr.Dataset]:
    """The datasets among `values` and in lists, tuples and mappings of them."""
    for value in values:
        if isinstance(value, xr.Dataset):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from datasets(value)
        elif isinstance(value, dict):
            yield from datasets(value.values())
