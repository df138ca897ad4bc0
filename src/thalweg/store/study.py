"""Save, load and list the results of a study."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from thalweg import schema

STATUS = "status"
PENDING, EVALUATED, INTERPOLATED = 0, 1, 2
_LAZY_BYTES = 2**30


def provenance(**facts: Any) -> dict[str, Any]:
    """Who, when and with what: attrs for a result. None values are left out."""
    found = {
        "thalweg_version": _version("thalweg"),
        "torch_version": _version("torch"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return found | {key: value for key, value in facts.items() if value is not None}


def save(dataset: xr.Dataset, study: str | Path, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Write a result into a study under `name` (by default its kind).

    It is written beside the study and renamed into place, so that a crash leaves the study as it was.

    Raises
    ------
    FileExistsError
        If the study has a result of that name and `overwrite` is not set.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=3)
    >>> study = save(surface, tempfile.mkdtemp() + "/study.zarr", "surface/bowl")
    >>> load(study, "surface/bowl").loss.values[0]
    array([2., 1., 2.])
    """
    schema.check(dataset)
    study = Path(study)
    name = _clean(name or dataset.attrs["kind"])
    target = group_path(study, name)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{study} already holds a result `{name}`. Pass overwrite=True, or another name.")
    ensure_groups(study, name)
    draft = study.parent / f".{study.name}.draft-{uuid.uuid4().hex[:8]}"
    try:
        dataset.to_zarr(draft, mode="w", consolidated=False)
        retired = draft.with_suffix(".old")
        if target.exists():
            os.rename(target, retired)
        os.rename(draft, target)
        shutil.rmtree(retired, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return study


def load(study: str | Path, name: str | None = None) -> xr.Dataset:
    """Read one result of a study into memory; `name` may be left out if there is only one.

    A grid that is still being computed comes with what is there, nan elsewhere, and `attrs["complete"]` false.

    Raises
    ------
    FileNotFoundError, KeyError, SchemaError
        Naming the path, the names that exist, or what is wrong with the dataset.
    """
    names = results(study)
    if name is None:
        if len(names) != 1:
            raise KeyError(f"{study} holds {len(names)} results ({', '.join(names) or 'none'}); say which.")
        name = names[0]
    if name not in names:
        raise KeyError(f"{study} has no result `{name}`; it has {', '.join(names) or 'none'}.")
    if _open(study)[name].attrs["kind"] == "trajectory":
        return schema.check(_recorded(_open(study)[name], study, name))
    with xr.open_zarr(str(study), group=name, consolidated=False, chunks=None) as dataset:
        return schema.check(finished(dataset.load()))


def results(study: str | Path) -> list[str]:
    """Names of a study's results, such as `surface/random`."""
    root = _open(study)
    return sorted(name for name, group in _groups(root) if group.attrs.get("kind") in schema.KINDS)


def open_study(study: str | Path) -> xr.DataTree:
    """All results of a study as a tree: `study["surface/random"]`."""
    return xr.DataTree.from_dict({name: load(study, name) for name in results(study)})


def finished(dataset: xr.Dataset) -> xr.Dataset:
    """Turn the bookkeeping of a resumable grid into what the schema knows: `interpolated`, and `complete` in the attrs."""
    if STATUS not in dataset:
        return dataset
    status = dataset[STATUS]
    first = schema.values(dataset)
    dataset = dataset[[*first, *(n for n in sorted(map(str, dataset.data_vars)) if n not in {*first, STATUS})]]
    dataset.attrs["complete"] = bool((status != PENDING).all())
    dataset.attrs["num_evaluated"] = int((status == EVALUATED).sum())
    if (status == INTERPOLATED).any():
        dataset["interpolated"] = (status == INTERPOLATED).assign_attrs(
            role="mask", long_name="predicted by cubic interpolation, not evaluated"
        )
    return dataset


def _recorded(group: zarr.Group, study: str | Path, name: str) -> xr.Dataset:
    """A trajectory up to its last complete row: recorders allocate rows ahead, and may be killed while they write.

    Weights of more than a gigabyte stay on disk and are read as they are used.
    """
    arrays = dict(group.arrays())
    rows = int((arrays["step"][:] >= 0).sum())
    if len({array.shape[0] for array in arrays.values()}) == 1:
        dataset = xr.open_zarr(str(study), group=name, consolidated=False, chunks=None).isel(step=slice(rows))
        return dataset if dataset["theta"].nbytes > _LAZY_BYTES else dataset.load()
    variables = {key: (array.metadata.dimension_names, array[:rows]) for key, array in arrays.items()}
    return xr.Dataset(variables, attrs=dict(group.attrs)).set_coords("step")


def ensure_groups(study: Path, name: str) -> None:
    """Make the study and the groups above `name`."""
    study.parent.mkdir(parents=True, exist_ok=True)
    if study.exists() and not (study / "zarr.json").exists() and any(study.iterdir()):
        raise FileExistsError(f"{study} exists and is no zarr store; choose another path.")
    group = zarr.open_group(str(study), mode="a")
    for part in name.split("/")[:-1]:
        group = group.require_group(part)


def group_path(study: Path, name: str) -> Path:
    """Folder of a result inside the study."""
    return study.joinpath(*_clean(name).split("/"))


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind: `.partial` files older than a minute."""
    now = datetime.now().timestamp()
    for litter in folder.rglob("*.partial"):
        with contextlib.suppress(OSError):
            if now - litter.stat().st_mtime > 60:
                litter.unlink()


def _clean(name: str) -> str:
    parts = name.strip("/").split("/")
    if not all(part.replace("-", "_").replace(".", "_").isidentifier() or part.isalnum() for part in parts):
        raise ValueError(f"{name!r} is no name for a result; use letters, digits, - and _, with / between levels.")
    return "/".join(parts)


def _open(study: str | Path) -> zarr.Group:
    path = Path(study)
    if not path.exists():
        raise FileNotFoundError(f"There is no study {path} (looked in {path.resolve().parent}).")
    try:
        return zarr.open_group(str(path), mode="r")
    except Exception as error:
        raise ValueError(f"{path} is no study: it cannot be opened as a zarr store ({error}).") from error


def _groups(group: zarr.Group, prefix: str = "") -> Iterator[tuple[str, zarr.Group]]:
    for name, child in group.groups():
        yield prefix + name, child
        yield from _groups(child, f"{prefix}{name}/")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: arrays as lists, numpy scalars as Python's."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value
