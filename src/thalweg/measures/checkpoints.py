"""Checkpoints that somebody saved while a network trained, as a trajectory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.sequence import Named, need_one_sequence, numbers
from thalweg.problem.checkpoint import read_state
from thalweg.problem.flat import Network, flat_state, layout_of, module_of
from thalweg.problem.identity import hash_tensor, layout_hash
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
        `pytorch_model.bin` of each folder inside. Their names may differ in numbers only: a `best.pt` or `last.ckpt`
        among them is refused. They are sorted by that number which counts: the one after `step`; else after `epoch`,
        `iter`, `checkpoint` or the like; else the only one that differs. Metrics, rates and seeds count nothing.
    steps
        Their numbers of updates; by default the numbers that they are sorted by. Of a list, its own numbers if they
        rise; else 0, 1, 2, ...
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
        No checkpoints there; names that tell no order, or several; two of the same number (`a-2.pt` and `a-02.pt`) or
        the same file twice; a file that is damaged, could run code, or holds another network: it is named. A network
        without trainable parameters; frozen ones that are not the same in all files.

    Examples
    --------
    >>> import tempfile, torch
    >>> folder, model = Path(tempfile.mkdtemp()), torch.nn.Linear(2, 1)
    >>> for epoch in (1, 2, 10):
    ...     torch.save(model.state_dict(), folder / f"epoch-{epoch}.pt")
    >>> read_trajectory(folder, model).step.values
    array([ 1,  2, 10])
    """
    layout, model = layout_of(network), module_of(network)
    if not layout.num_weights:
        raise ValueError(
            f"{type(model).__name__} has no trainable parameters, so there is nothing to read. Thaw those that were "
            "trained: `model.requires_grad_(True)`."
        )
    files, told = checkpoint_files(source, pattern)
    told = told if steps is None else _given(steps, files)
    rows = _read(files, network)
    folder = Path(os.path.commonpath([file.parent for file in files]))
    has_buffers = any(True for _ in model.buffers())
    about = provenance(
        title=f"{len(files)} checkpoints of {type(model).__name__}",
        model=type(model).__name__,
        num_weights=layout.num_weights,
        dtype=str(layout.dtype).removeprefix("torch."),
        layout=layout_hash(layout),
        source=str(source) if isinstance(source, (str, Path)) else f"{len(files)} files",
        steps="given" if steps is not None else "counted" if told is None else "from the files' names",
        files=[_name(file, folder) for file in files],
        buffers="left out: theta holds trainable parameters only" if has_buffers else "none",
    )
    counted = list(range(len(files))) if told is None else told
    if study is None:
        theta = np.empty((len(files), about["num_weights"]), about["dtype"])
        for k, row in enumerate(rows):
            theta[k] = row
        return _in_memory(theta, counted, about)
    where = _stored(study_path(study), clean(name), overwrite, rows, counted, about)
    return load(where, name)


def _read(files: Sequence[Path], network: Network) -> Iterator[np.ndarray]:
    """The weights of each; refused where frozen ones differ, which `theta` would not tell."""
    frozen = {name for name, p in module_of(network).named_parameters() if not p.requires_grad}
    first: dict[str, str] = {}
    for file in files:
        try:
            state = read_state(file)
            theta = flat_state(state, network, str(file)).numpy()
        except ValueError as error:
            if str(file) in str(error):
                raise
            raise ValueError(f"{error} ({file})") from error
        found = _hashes(state, frozen)
        odd = [name for name, known in found.items() if first.setdefault(name, known) != known]
        if odd:
            raise ValueError(
                f"`{odd[0]}` is frozen in the network, and differs between {files[0].name} and {file.name} ({file}). "
                "It was trained: set its `requires_grad` to true, or take only the files where it stands still."
            )
        yield theta


def _hashes(state: Mapping[str, Tensor], names: set[str]) -> dict[str, str]:
    return {name: hash_tensor(value) for name, value in state.items() if name in names}


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


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


def checkpoint_files(
    source: str | Path | Iterable[str | Path], pattern: str | None = None
) -> tuple[list[Path], list[int] | None]:
    """The checkpoints, in order, and the numbers that their names tell, if they do."""
    if not isinstance(source, (str, Path)):
        files = [Path(file).expanduser().absolute() for file in source]
        if not files:
            raise ValueError("The list of checkpoints is empty; a trajectory needs one at least.")
        _refuse_twice([file.resolve() for file in files], files)
        return files, _rising(files)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        what = "a file; pass its folder, or a list of files" if folder.exists() else "no folder that exists"
        raise FileNotFoundError(f"{folder} is {what} (looked in {folder.resolve().parent}).")
    files = sorted(_found(folder, pattern))
    if not files:
        looked = f"that match {pattern!r}" if pattern else f"({', '.join(SUFFIXES)}, or one in each folder inside)"
        raise ValueError(f"{folder} has no checkpoints {looked}. `pattern=` says which files are some.")
    names = _names(files)
    need_one_sequence(names)
    taken = [Named.of(name) for name in names]
    _refuse_twice([(one.skeleton, one.values) for one in taken], files)
    _refuse_twice([file.resolve() for file in files], files)
    told = numbers(names)
    if told is None:
        return files, None
    order = sorted(range(len(files)), key=told.__getitem__)
    files, told = [files[k] for k in order], [told[k] for k in order]
    _refuse_twice(told, files)
    return files, told


def _found(folder: Path, pattern: str | None) -> list[Path]:
    """All that may be checkpoints, in no order."""
    if pattern is not None:
        return [file for file in folder.glob(pattern) if file.is_file()]
    here = [f for f in folder.iterdir() if f.is_file() and f.suffix in SUFFIXES and not f.name.startswith(".")]
    inside = next((found for place in _INSIDE if (found := list(folder.glob(place)))), [])
    if here and inside and not any(Named.of(file.stem).values for file in here):
        raise ValueError(
            f"{folder} has checkpoints of its own, such as {here[0].name}, and in folders inside, such as "
            f"{_name(inside[0], folder)}. Say which are meant: pattern='*/{inside[0].name}'."
        )
    return here or inside


def _names(files: Sequence[Path]) -> list[str]:
    """Their places in the folder that they share, without what checkpoints end in."""
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return [_name(f, folder).removesuffix(f.suffix if f.suffix in SUFFIXES else "") for f in files]


def _rising(files: Sequence[Path]) -> list[int] | None:
    """The numbers that the names of a list tell, if they rise."""
    names = _names(files)
    try:
        need_one_sequence(names)
        told = numbers(names)
    except ValueError:
        return None
    return told if told and all(a < b for a, b in pairwise(told)) else None


def _refuse_twice(keys: Sequence[Any], files: Sequence[Path]) -> None:
    first: dict[Any, Path] = {}
    for key, file in zip(keys, files, strict=True):
        if key in first:
            raise ValueError(
                f"{first[key]} and {file} are the same checkpoint twice, or have the same number. Choose with "
                "`pattern=`, or pass a list of files."
            )
        first[key] = file


def _given(steps: Sequence[int], files: Sequence[Path]) -> list[int]:
    listed = np.asarray(steps)
    rising = listed.ndim == 1 and listed.dtype.kind in "iu" and (np.diff(listed) > 0).all() and (listed >= 0).all()
    if not rising or len(listed) != len(files):
        raise ValueError(
            f"steps={list(steps)!r}; expected {len(files)} whole numbers that rise from 0 or more, one for each of "
            f"{files[0].name} to {files[-1].name}."
        )
    return listed.tolist()
