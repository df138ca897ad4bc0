"""Checkpoints that somebody saved while a network trained, as a trajectory."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.problem.checkpoint import read_state
from thalweg.problem.flat import Network, flat_state, layout_of, module_of
from thalweg.problem.identity import layout_hash
from thalweg.store import StoredTrajectory, load, provenance
from thalweg.store.study import put
from thalweg.store.trajectory import PIECE
from thalweg.store.tree import clean, drafts, ensure_groups, group_path, refuse_nested, study_path

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_INSIDE = ("*/model.safetensors", "*/pytorch_model.bin")


def read_trajectory(
    source: str | Path | Iterable[str | Path],
    network: Network,
    *,
    pattern: str | None = None,
    steps: Sequence[int] | None = None,
    study: str | Path | None = None,
    name: str = "trajectory",
    overwrite: bool = False,
) -> xr.Dataset:
    """A folder of checkpoints, in order, as a trajectory.

    Files are read as data, never run: safetensors, or state dicts with `torch.load(weights_only=True)`.

    Parameters
    ----------
    source
        A folder, or a list of files, taken in the order given.
    network
        The model, or its `ModuleProblem`, that the checkpoints are of. It is not changed.
    pattern
        Which files of the folder: a glob such as `"epoch-*.pt"` or `"checkpoint-*/model.safetensors"`. By default all
        files that end like checkpoints (safetensors, pt, pth, bin, ckpt); if there are none, the `model.safetensors` or
        `pytorch_model.bin` of each folder inside. They are sorted as people count: 2 before 10.
    steps
        Their numbers of updates; by default the number in which the files' names differ (the last such), if it rises;
        else 0, 1, 2, ...
    study, name, overwrite
        Write the trajectory into a study under this name, with one checkpoint in memory at a time: for networks and
        runs that do not fit. Without it all rows are held in memory.

    Returns
    -------
    Dataset
        Kind `trajectory`: `theta(step, weight)`, trainable parameters only (buffers such as running statistics are
        left out, see its attrs), `loss` and `learning_rate` nan; `attrs["files"]` are their names.

    Raises
    ------
    FileNotFoundError
        No such folder or file.
    ValueError
        No checkpoints there; two of the same number (`a-2.pt` and `a-02.pt`) or the same file twice; a file that is
        damaged, could run code, or holds another network: it is named.

    Examples
    --------
    >>> import tempfile, torch
    >>> folder, model = Path(tempfile.mkdtemp()), torch.nn.Linear(2, 1)
    >>> for epoch in (1, 2, 10):
    ...     torch.save(model.state_dict(), folder / f"epoch-{epoch}.pt")
    >>> read_trajectory(folder, model).step.values
    array([ 1,  2, 10])
    """
    files = _files(source, pattern)
    numbers = _numbers(files) if steps is None else _given(steps, files)
    rows = (_read(file, network) for file in files)
    folder = Path(os.path.commonpath([file.parent for file in files]))
    layout, model = layout_of(network), module_of(network)
    has_buffers = any(True for _ in model.buffers())
    about = provenance(
        title=f"{len(files)} checkpoints of {type(model).__name__}",
        model=type(model).__name__,
        num_weights=layout.num_weights,
        dtype=str(layout.dtype).removeprefix("torch."),
        layout=layout_hash(layout),
        source=str(source) if isinstance(source, (str, Path)) else f"{len(files)} files",
        steps="given" if steps is not None else "counted" if numbers is None else "from the files' names",
        files=[_name(file, folder) for file in files],
        buffers="left out: theta holds trainable parameters only" if has_buffers else "none",
    )
    counted = list(range(len(files))) if numbers is None else numbers
    if study is None:
        theta = np.empty((len(files), about["num_weights"]), about["dtype"])
        for k, row in enumerate(rows):
            theta[k] = row
        return _in_memory(theta, counted, about)
    where = _stored(study_path(study), clean(name), overwrite, rows, counted, about)
    return load(where, name)


def _read(file: Path, network: Network) -> np.ndarray:
    try:
        return flat_state(read_state(file), network, str(file)).numpy()
    except ValueError as error:
        if str(file) in str(error):
            raise
        raise ValueError(f"{error} ({file})") from error


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _stem(file: Path, folder: Path) -> str:
    """A file's place in the folder, without what checkpoints end in."""
    name = _name(file, folder)
    return name.removesuffix(file.suffix) if file.suffix in SUFFIXES else name


def _in_memory(theta: np.ndarray, steps: list[int], about: dict[str, Any]) -> xr.Dataset:
    unknown = ("step", np.full(len(theta), np.nan))
    return schema.check(
        xr.Dataset(
            {"theta": (("step", "weight"), theta), "loss": unknown, "learning_rate": unknown},
            {"step": steps},
            {"kind": "trajectory", **about},
        )
    )


def _stored(
    study: Path, name: str, overwrite: bool, rows: Iterator[np.ndarray], steps: list[int], about: dict[str, Any]
) -> Path:
    """Written beside the study and renamed into place, so that a bad file leaves the study as it was."""
    refuse_nested(study, name)
    target = group_path(study, name)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{study} already holds a result `{name}`. Pass overwrite=True, or another name.")
    draft, retired = drafts(study, name)
    draft.parent.mkdir(parents=True, exist_ok=True)
    try:
        stored = StoredTrajectory.create(draft, about["num_weights"], about["dtype"], about)
        for step, theta in zip(steps, rows, strict=True):
            stored.append(step, (theta[k : k + PIECE] for k in range(0, len(theta), PIECE)), {})
        ensure_groups(study, name)
        put(draft, target, retired)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return study


def _files(source: str | Path | Iterable[str | Path], pattern: str | None) -> list[Path]:
    """The checkpoints, in order."""
    if not isinstance(source, (str, Path)):
        files = [Path(file).expanduser().absolute() for file in source]
        if not files:
            raise ValueError("The list of checkpoints is empty; a trajectory needs one at least.")
        _refuse_twice([file.resolve() for file in files], files)
        return files
    folder = Path(source).expanduser()
    if not folder.is_dir():
        what = "a file; pass its folder, or a list of files" if folder.exists() else "no folder that exists"
        raise FileNotFoundError(f"{folder} is {what} (looked in {folder.resolve().parent}).")
    if pattern is not None:
        files = [file for file in folder.glob(pattern) if file.is_file()]
    else:
        files = [file for file in folder.iterdir() if file.is_file() and file.suffix in SUFFIXES]
        for inside in _INSIDE:
            files = files or list(folder.glob(inside))
    if not files:
        looked = f"that match {pattern!r}" if pattern else f"({', '.join(SUFFIXES)}, or one in each folder inside)"
        raise ValueError(f"{folder} has no checkpoints {looked}. `pattern=` says which files are some.")
    files.sort(key=lambda file: (_key(file, folder), str(file)))
    _refuse_twice([_key(file, folder) for file in files], files)
    return files


def _key(file: Path, folder: Path) -> tuple[tuple[str, int], ...]:
    """By which people sort names: text as text, numbers as numbers; what a file ends in does not tell two apart."""
    parts = re.split(r"(\d+)", _stem(file, folder))
    return tuple(("", int(part)) if k % 2 else (part, -1) for k, part in enumerate(parts))


def _refuse_twice(keys: Sequence[Any], files: Sequence[Path]) -> None:
    first: dict[Any, Path] = {}
    for key, file in zip(keys, files, strict=True):
        if key in first:
            raise ValueError(
                f"{first[key]} and {file} are the same checkpoint twice, or have the same number. Choose with "
                "`pattern=`, or pass a list of files."
            )
        first[key] = file


def _numbers(files: Sequence[Path]) -> list[int] | None:
    """The last number in which the names differ, if it rises from file to file."""
    folder = Path(os.path.commonpath([file.parent for file in files]))
    found = [[int(digits) for digits in re.findall(r"\d+", _stem(file, folder))] for file in files]
    if len({len(row) for row in found}) != 1 or not found[0]:
        return None
    columns = [list(column) for column in zip(*found, strict=True) if len(files) == 1 or len(set(column)) > 1]
    with contextlib.suppress(IndexError):
        if all(a < b for a, b in zip(columns[-1], columns[-1][1:], strict=False)):
            return columns[-1]
    return None


def _given(steps: Sequence[int], files: Sequence[Path]) -> list[int]:
    listed = np.asarray(steps)
    rising = listed.ndim == 1 and listed.dtype.kind in "iu" and (np.diff(listed) > 0).all() and (listed >= 0).all()
    if not rising or len(listed) != len(files):
        raise ValueError(
            f"steps={list(steps)!r}; expected {len(files)} whole numbers that rise from 0 or more, one for each of "
            f"{files[0].name} to {files[-1].name}."
        )
    return listed.tolist()
