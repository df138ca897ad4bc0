"""Steps of a record: which are there, where a given one lies, and how to say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
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
    TypeError, ValueError
        If the step is no number, or not recorded, naming the nearest.

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
    check(step)
    nearest = int(np.argmin(np.abs(steps - step)))
    if steps[nearest] != step:
        raise ValueError(f"Step {word(step)} is not recorded; the nearest is {word(steps[nearest])} ({said(steps)}).")
    return nearest


def check(step: Any) -> None:
    """Refuse what is no step.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or not finite.
    """
    if isinstance(step, bool) or not isinstance(step, Real):
        raise TypeError(f"step={step!r}; the number of a recorded step is needed, such as step=10, or None for all.")
    if not np.isfinite(float(step)):
        raise ValueError(f"step={step!r}; the number of a recorded step is needed, or None for all.")


def drawable(runs: Sequence[xr.Dataset], step: float | None) -> None:
    """Refuse a step that none of the drawn runs holds, which a title would name all the same.

    Of several runs each is drawn up to its own last step before that, because they may differ in length and spacing.

    Raises
    ------
    TypeError, ValueError
        If nothing has steps, or none holds this one, naming those that are recorded.
    """
    if step is None:
        return
    check(step)
    if not runs:
        raise ValueError(f"step={step!r} needs a path or a descent whose step it is; nothing here has steps.")
    if not any((recorded(run) == step).any() for run in runs):
        longest = max(runs, key=lambda run: float(recorded(run)[-1]) if run.sizes["step"] else -np.inf)
        index(longest, step)


def up_to(run: xr.Dataset, step: float | None) -> int:
    """How many of the recorded steps are not after `step`; all if it is None. `drawable` has been asked before.

    Raises
    ------
    ValueError
        If `step` lies before the first of them.

    Examples
    --------
    >>> up_to(xr.Dataset(coords={"step": [0, 10, 20]}), 10)
    2
    """
    known = recorded(run)
    if step is None:
        return int(known.size)
    check(step)
    count = int((known <= step).sum())
    if not count:
        raise ValueError(f"step={step!r} lies before the first step {word(known[0])} ({said(known)}).")
    return count


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
