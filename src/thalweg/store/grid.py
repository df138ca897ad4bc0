"""A grid that is filled block by block, in memory or in a zarr store that survives being killed.

In a store each block is one chunk of every variable. A block is claimed with a file lock (freed by the system when its
holder dies), its values are written, and last its `status` is set. So a block either counts as known, with all its
values on disk, or is computed again; and several processes on one store share the blocks without knowing of each other.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from filelock import BaseFileLock, FileLock, Timeout

from thalweg.store.study import EVALUATED, INTERPOLATED, PENDING, STATUS, plain
from thalweg.store.tree import attrs_of, ensure_groups, group_path, reading, refuse_foreign, refuse_nested, sweep

Block = tuple[slice, ...]


class StoreMismatchError(ValueError):
    """A store holds another problem or grid than the one asked for."""


class Grid:
    """Values of several variables over a grid, with the status of every point (pending, evaluated, interpolated)."""

    def __init__(self, shape: Sequence[int], block: Sequence[int], variables: Mapping[str, tuple[int, ...]]) -> None:
        self.shape, self.block = tuple(shape), tuple(block)
        self.values = {name: np.full((*self.shape, *trail), np.nan) for name, trail in variables.items()}
        self.status = np.zeros(self.shape, dtype=np.uint8)

    @property
    def blocks(self) -> list[Block]:
        """The grid cut into blocks, in row-major order."""
        axes = [[slice(a, min(a + b, n)) for a in range(0, n, b)] for n, b in zip(self.shape, self.block, strict=True)]
        return list(itertools.product(*axes))

    @contextmanager
    def claimed(self, block: Block) -> Iterator[bool]:
        """Whether this process alone may compute the block now."""
        del block
        yield True

    def refresh(self) -> None:
        """See what others have written."""

    def commit(self, block: Block, chosen: np.ndarray, values: Mapping[str, np.ndarray], status: int) -> None:
        """Set the `chosen` points (a mask over the block) of every variable, then their status."""
        for name, found in values.items():
            self.values[name][block][chosen] = found
        self.status[block][chosen] = status

    def interpolate(self, values: Mapping[str, np.ndarray]) -> None:
        """Fill every pending point with a prediction."""
        while (self.status == PENDING).any():
            for block in self.blocks:
                with self.claimed(block) as mine:
                    chosen = self.status[block] == PENDING
                    if mine and chosen.any():
                        self.commit(block, chosen, {n: v[block][chosen] for n, v in values.items()}, INTERPOLATED)
            if (self.status == PENDING).any():
                self.wait()
                self.refresh()

    def wait(self) -> None:
        """Give the others time."""

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Record closing facts."""

    @property
    def evaluated(self) -> np.ndarray:
        """Where values were measured."""
        return self.status == EVALUATED


class StoredGrid(Grid):
    """A `Grid` in a zarr group that several processes may fill."""

    def __init__(
        self,
        study: Path,
        name: str,
        *,
        shape: Sequence[int],
        block: Sequence[int],
        variables: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__(shape, block, variables)
        self._locks = lock_folder(study, name)
        sweep(group_path(study, name))
        with reading(study, name):
            self._group: Any = zarr.open_group(str(study), path=name, mode="r+")
            self._arrays: dict[str, Any] = {n: self._group[n] for n in (*variables, STATUS)}
            self.refresh()

    @staticmethod
    def create(
        study: Path,
        name: str,
        *,
        coords: Mapping[str, tuple[np.ndarray, Mapping[str, Any]]],
        block: Sequence[int],
        variables: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], Mapping[str, Any]]],
        attrs: Mapping[str, Any],
    ) -> None:
        """Lay out an empty grid. `variables` maps a name to its trailing dims, their lengths and its attrs."""
        ensure_groups(study, name)
        group = zarr.open_group(str(study), path=name, mode="w")
        for dim, (axis, about) in coords.items():
            array = _array(group, dim, axis.shape, axis.shape, (dim,), about)
            array[:] = axis
        dims = tuple(coords)
        shape = tuple(len(axis) for axis, _ in coords.values())
        for variable, (trail_dims, trail, about) in variables.items():
            _array(group, variable, (*shape, *trail), (*block, *trail), (*dims, *trail_dims), about)
        _array(group, STATUS, shape, tuple(block), dims, {"role": "mask"}, dtype="uint8", fill=PENDING)
        # last, and in one write: a grid without attrs is a wreck
        group.update_attributes({key: plain(value) for key, value in attrs.items()})

    @contextmanager
    def claimed(self, block: Block) -> Iterator[bool]:
        """Hold the block's lock, if nobody else does."""
        where = "-".join(str(s.start) for s in block)
        lock = FileLock(self._locks / f"{where}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except (NotImplementedError, OSError):  # a file system without locks: blocks may be computed twice, harmlessly
            yield True
            return
        try:
            self._read(block)
            yield True
        finally:
            lock.release()

    def refresh(self) -> None:
        """Read status, then values, from the store."""
        self._read(tuple(slice(0, n) for n in self.shape))

    def commit(self, block: Block, chosen: np.ndarray, values: Mapping[str, np.ndarray], status: int) -> None:
        """Write the block's values, and only then its status."""
        super().commit(block, chosen, values, status)
        for name in values:
            self._arrays[name][block] = self.values[name][block]
        self._arrays[STATUS][block] = self.status[block]

    def wait(self) -> None:
        """A fifth of a second."""
        time.sleep(0.2)

    def finish(self, attrs: Mapping[str, Any]) -> None:
        """Record closing facts once (the first process to finish), and clear the locks away."""
        if "complete" not in self._group.attrs:
            self._group.update_attributes({"complete": True} | {key: plain(value) for key, value in attrs.items()})
        shutil.rmtree(self._locks, ignore_errors=True)
        with contextlib.suppress(OSError):  # another grid's locks lie there
            self._locks.parent.rmdir()

    def _read(self, block: Block) -> None:
        self.status[block] = self._arrays[STATUS][block]
        for name in self.values:
            self.values[name][block] = self._arrays[name][block]


@contextmanager
def creation(study: Path, name: str) -> Iterator[dict[str, Any] | None]:
    """The attrs of the grid that exists under `name`; or None, under a lock, if it is to be created."""
    refuse_foreign(study)
    refuse_nested(study, name)
    attrs = stored_attrs(study, name)
    if attrs is not None:
        yield attrs
        return
    folder = lock_folder(study, name)
    lock = FileLock(folder / "create.lock")
    _acquire(lock, folder)
    try:
        refuse_nested(study, name)
        yield stored_attrs(study, name)
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, folder: Path) -> None:
    """Hold a lock in a folder that whoever finishes a grid may be clearing away just now."""
    for attempt in range(20):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except FileNotFoundError:
            if attempt == 19:
                raise
        else:
            return


def stored_attrs(study: Path, name: str) -> dict[str, Any] | None:
    """Attrs of a grid in a store, or None if there is none (or only the wreck of one)."""
    return attrs_of(study, name) or None


def stored_axes(study: Path, name: str, dims: Sequence[str]) -> dict[str, np.ndarray]:
    """Coordinates of a grid in a store."""
    with reading(study, name):
        group: Any = zarr.open_group(str(study), path=name, mode="r")
        return {dim: np.asarray(group[dim][:]) for dim in dims}


def same_request(stored: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> None:
    """Refuse to mix two computations in one grid; name what differs."""
    keys = [key for key in {**stored, **wanted} if stored.get(key) != wanted.get(key)]
    if keys:
        told = "; ".join(
            f"{key}: stored {_short(stored.get(key))}, asked for {_short(wanted.get(key))}" for key in keys
        )
        raise StoreMismatchError(
            f"{where} holds another computation ({told}). Nothing was changed. Choose another name "
            "(`name=`, on the command line `--name`) or another store."
        )


def same_values(stored: Mapping[str, list[float]], found: Mapping[str, list[float]], where: str) -> None:
    """Refuse to mix two functions that go by one name: at the same few points they had the same values."""
    for name, before in stored.items():
        now = found.get(name, [])
        size = max((abs(v) for v in before if np.isfinite(v)), default=0.0)
        if len(now) != len(before) or not np.allclose(now, before, rtol=1e-3, atol=1e-6 * size, equal_nan=True):
            raise StoreMismatchError(
                f"{where} holds another computation: at the same points `{name}` was {_short(before)} and is now "
                f"{_short(now)}. Nothing was changed. Choose another name "
                "(`name=`, on the command line `--name`) or another store."
            )


def lock_folder(study: Path, name: str) -> Path:
    """Where the locks of a grid lie: beside the study, since a zarr store holds only arrays."""
    return study.parent / f".{study.name}.locks" / name.replace("/", "%")


def _array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
    attrs: Mapping[str, Any],
    *,
    dtype: str = "float64",
    fill: float = np.nan,
) -> zarr.Array:
    chunks = tuple(max(1, min(c, n)) for c, n in zip(chunks, shape, strict=True))
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        fill_value=fill,
        dimension_names=dims,
        attributes={key: plain(value) for key, value in attrs.items()},
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def process_number() -> int:
    """A number that differs between processes that share a store, to start them on different blocks."""
    for key in ("SLURM_ARRAY_TASK_ID", "RANK", "SLURM_PROCID"):
        if os.environ.get(key, "").isdigit():
            return int(os.environ[key])
    return os.getpid()
