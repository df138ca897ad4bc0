"""A trajectory in a zarr store that grows row by row, and survives being killed.

A row is its weights, its values, and last its `step`; without that it does not count, and is written again. Weights go
to disk in pieces, so that a row need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from thalweg.store.tree import group_path, reading, sweep

CHUNK = 2**20
"""Weights in a chunk: what the columns of many rows are read by (`principal_components`)."""
PIECE = 2**22
"""Weights that are written at a time."""
OWN = ("theta", "step", "weight", "loss", "learning_rate")
"""Names that a trajectory uses itself."""
_ROWS = 1024


class StoredTrajectory:
    """Rows of a trajectory in a zarr group.

    Parameters
    ----------
    group
        As `create` makes it. Arrays may be of different lengths if their writer was killed.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self._arrays = arrays_over_step(group)
        self.steps: list[int] = recorded(self._arrays["step"][:]).tolist()

    @classmethod
    def create(cls, folder: str | Path, num_weights: int, dtype: str, attrs: Mapping[str, Any]) -> StoredTrajectory:
        """An empty trajectory in a folder of its own; whatever is there is erased."""
        group = zarr.open_group(str(folder), mode="w")
        _growing(group, "theta", (0, num_weights), (1, min(num_weights, CHUNK)), ("step", "weight"), dtype)
        for name, kind in (("loss", "float64"), ("learning_rate", "float64"), ("step", "int64")):
            _growing(group, name, (0,), (_ROWS,), ("step",), kind)
        group.update_attributes({**attrs, "kind": "trajectory"})
        return cls(group)

    @classmethod
    def reopen(cls, study: Path, name: str) -> StoredTrajectory:
        """One that is there, to go on with.

        Raises
        ------
        ValueError
            If it is damaged, or something else than a growing trajectory.
        """
        sweep(group_path(study, name))
        with reading(study, name):
            group = zarr.open_group(str(study), path=name, mode="r+")
            kind = group.attrs.get("kind")
            if kind == "trajectory":
                _mend(group)
                return cls(group)
        raise ValueError(f"`{name}` in {study} is a result of kind {kind!r} and cannot go on as a trajectory.")

    @property
    def attrs(self) -> dict[str, Any]:
        """Facts about the run."""
        return dict(self._group.attrs)

    @property
    def num_weights(self) -> int:
        """Length of a row."""
        return self._arrays["theta"].shape[1]

    @property
    def dtype(self) -> str:
        """Of the weights."""
        return str(self._arrays["theta"].dtype)

    def note(self, **facts: Any) -> None:
        """Add attrs."""
        self._group.update_attributes(facts)

    def append(self, step: int, pieces: Iterable[np.ndarray], values: Mapping[str, float]) -> None:
        """Write one row: its weights piece by piece, what is known of it, and `step` last.

        Raises
        ------
        ValueError
            For a negative step, and weights that are not as many as a row has.
        """
        if step < 0:
            raise ValueError(f"step {step}; rows are of steps from 0.")
        k = len(self.steps)
        self._make_room(k, values)
        start, theta = 0, self._arrays["theta"]
        for piece in pieces:
            theta[k, start : start + len(piece)] = piece
            start += len(piece)
        if start != self.num_weights:
            raise ValueError(f"{start} weights came for a row of {self.num_weights}.")
        for name, array in self._arrays.items():
            if name not in ("theta", "step"):
                array[k] = values.get(name, float("nan"))
        self._arrays["step"][k] = step
        self.steps.append(step)

    def holds(self, row: int, pieces: Iterable[np.ndarray]) -> bool:
        """Whether these are the weights of a row, to the bit; read no further than the first difference."""
        start, theta = 0, self._arrays["theta"]
        for piece in pieces:
            there = theta[row, start : start + len(piece)]
            if not np.array_equal(there, piece, equal_nan=True):
                return False
            start += len(piece)
        return True

    def keep(self, num_rows: int) -> None:
        """Drop all rows but the first so many."""
        if num_rows < len(self.steps):
            self._arrays["step"][num_rows:] = -1
            del self.steps[num_rows:]

    def _make_room(self, row: int, names: Iterable[str]) -> None:
        """Space for many rows at a time, in `step` last; and arrays for values that are told for the first time."""
        length = self._arrays["theta"].shape[0]
        if row >= length:
            length = row + _ROWS
        for name in sorted(self._arrays, key=lambda name: name == "step"):
            array = self._arrays[name]
            if array.shape[0] != length:
                array.resize((length, *array.shape[1:]))
        for name in names:
            if name not in self._arrays:
                _growing(self._group, name, (length,), (_ROWS,), ("step",), "float64")
                self._arrays[name] = self._group[name]


def as_recorded(dataset: xr.Dataset) -> tuple[xr.Dataset, dict[str, dict[str, Any]]]:
    """A trajectory and the encoding with which xarray writes it as `create` lays it out, so that it can grow.

    Raises
    ------
    ValueError
        For steps that are no whole numbers from 0: a negative one means that a row does not count.
    """
    steps = dataset["step"].values
    if steps.dtype.kind not in "iuf" or not (steps >= 0).all() or not (steps % 1 == 0).all():
        raise ValueError(
            f"The steps of the trajectory are {_some(steps)}; they are numbers of updates, whole and from 0. "
            "`trajectory.assign_coords(step=...)` gives others."
        )
    kept = dataset.drop_encoding().assign_coords(step=("step", steps.astype("int64"), dataset["step"].attrs))
    kept.attrs = {key: value for key, value in dataset.attrs.items() if key != "run"}  # no recorder's any more
    encoding: dict[str, dict[str, Any]] = {
        str(name): {"chunks": (_ROWS,)} for name, var in kept.variables.items() if var.dims == ("step",)
    }
    encoding["step"]["fill_value"] = -1
    encoding["theta"] = {"chunks": (1, max(1, min(kept.sizes["weight"], CHUNK)))}
    return kept, encoding


def arrays_over_step(group: Any) -> dict[str, Any]:
    """The arrays of a trajectory that have a row for each step."""
    return {name: array for name, array in group.arrays() if (array.metadata.dimension_names or ("",))[0] == "step"}


def _mend(group: Any) -> None:
    """Have rows that are yet to come count as not recorded, also in a trajectory that did not grow so far."""
    if group["step"].fill_value == -1:
        return
    steps = group["step"][:]
    del group["step"]
    _growing(group, "step", steps.shape, (_ROWS,), ("step",), "int64")
    group["step"][:] = steps


def _some(steps: np.ndarray) -> str:
    return ", ".join(f"{step}" for step in steps[:4]) + ", ..." * (len(steps) > 4)


def recorded(steps: np.ndarray) -> np.ndarray:
    """Steps of the rows that count: those before the first that has none."""
    missing = steps < 0
    return steps[: int(missing.argmax()) if missing.any() else len(steps)]


def _growing(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: str
) -> None:
    fill = -1 if dtype.startswith("int") else float("nan")
    group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, dimension_names=dims)
