"""A finished result's numbers over step, sent to a logger."""

from __future__ import annotations

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.record.loggers.sink import MetricSink, named

KINDS = ("trajectory", "spectrum_path", "motion", "path")


def log_dataset(dataset: xr.Dataset, sink: MetricSink, prefix: str | None = None) -> None:
    """Send each number that a result has over `step`: losses, metrics, learning rates, eigenvalues, speeds, distances.

    Weights are not sent, nor values that are unknown (nan).

    Parameters
    ----------
    dataset
        Of kind `trajectory`, `spectrum_path`, `motion` or `path`.
    sink
        A `TensorBoardSink`, `WandbSink`, `MlflowSink`, or one's own `MetricSink`. It stays open.
    prefix
        Goes before each name; by default the dataset's kind: `motion/speed`.

    Raises
    ------
    ValueError
        For a result of another kind.

    Examples
    --------
    >>> import xarray as xr
    >>> names = ("distance_from_start", "distance_from_end", "path_length", "cosine")
    >>> nothing = {name: ("step", [float("nan")] * 2) for name in names}
    >>> motion = xr.Dataset({"speed": ("step", [0.5, 0.25]), **nothing}, {"step": [10, 20]}, {"kind": "motion"})
    >>> class Printer:
    ...     def log(self, step, values):
    ...         print(step, values)
    ...
    ...     def close(self): ...
    >>> log_dataset(motion, Printer())
    10 {'motion/speed': 0.5}
    20 {'motion/speed': 0.25}
    """
    kind = schema.check(dataset).attrs["kind"]
    if kind not in KINDS:
        raise ValueError(f"A result of kind {kind!r} has no numbers over step to send; expected {', '.join(KINDS)}.")
    found = numbers(dataset)
    for row, step in enumerate(dataset["step"].values):
        values = named({name: float(column[row]) for name, column in found.items()}, prefix or kind)
        if values:
            sink.log(int(step), values)


def numbers(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Columns over `step`; of pairs (eigenvalues) one column each, `eigenvalue_1` the first."""
    found = {}
    for key, variable in dataset.data_vars.items():
        name = str(key)
        if variable.dtype.kind not in "fiu":
            continue
        if variable.dims == ("step",):
            found[name] = variable.values
        elif variable.dims == ("step", "pair"):
            found |= {f"{name}_{pair}": variable.sel(pair=pair).values for pair in dataset["pair"].values}
    return found
