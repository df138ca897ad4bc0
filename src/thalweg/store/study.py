"""Save, load and list the results of a study."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from thalweg import schema
from thalweg.store.trajectory import arrays_over_step, as_recorded, recorded
from thalweg.store.tree import (
    attrs_of,
    clean,
    drafts,
    ensure_groups,
    group_path,
    is_result,
    need_study,
    reading,
    refuse_nested,
    study_path,
    tidy,
    walk,
)

STATUS = "status"
BOOKKEEPING = ("request", "block", "probes")
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

    It is written beside the study and renamed into place, so that a failure leaves the study as it was. (Killed between
    the two renames, the old result is put back by the next `save`, or by a `load` that misses it, after a minute.)

    Raises
    ------
    FileExistsError
        If the study has a result of that name and `overwrite` is not set; if the name is a group of other results, or
        lies inside one; if `study` is something else than a study.

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
    study, name = study_path(study), clean(name or dataset.attrs["kind"])
    refuse_nested(study, name)
    tidy(study)
    target = group_path(study, name)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{study} already holds a result `{name}`. Pass overwrite=True, or another name.")
    ensure_groups(study, name)
    draft, retired = drafts(study, name)
    try:
        kept = _with_free_strings(without_bookkeeping(dataset))
        encoding: dict[str, dict[str, Any]] = {}
        if kept.attrs["kind"] == "trajectory":
            kept, encoding = as_recorded(kept)
        kept.to_zarr(draft, mode="w", consolidated=False, encoding=encoding)
        put(draft, target, retired)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return study


def load(study: str | Path, name: str | None = None) -> xr.Dataset:
    """Read one result of a study into memory; `name` may be left out if there is only one.

    A grid that is still being computed comes with what is there, nan elsewhere, and `attrs["complete"]` false.

    Raises
    ------
    FileNotFoundError, KeyError, SchemaError, ValueError
        Naming the path, the names that exist, what is wrong with the dataset, or what is damaged.
    """
    study = study_path(study)
    if name is None:
        names = results(study)
        if len(names) != 1:
            raise KeyError(f"{study} holds {len(names)} results ({', '.join(names) or 'none'}); say which.")
        name = names[0]
    kind = _kind(study, name)
    with reading(study, name):
        if kind == "trajectory":
            group = zarr.open_group(str(study), path=clean(name), mode="r")
            return schema.check(_recorded(group, study, clean(name)))
        with xr.open_zarr(str(study), group=clean(name), consolidated=False, chunks=None) as dataset:
            return schema.check(finished(dataset.load()))


def results(study: str | Path) -> list[str]:
    """Names of a study's results, such as `surface/random`."""
    study = study_path(study)
    need_study(study)
    return sorted(walk(study))


def open_study(study: str | Path) -> xr.DataTree:
    """All results of a study as a tree: `study["surface/random"]`."""
    return xr.DataTree.from_dict({name: load(study, name) for name in results(study)})


def without_bookkeeping(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset without what only the store that computed it has a use for."""
    kept = dataset.copy(deep=False)
    kept.attrs = {key: value for key, value in dataset.attrs.items() if key not in BOOKKEEPING}
    return kept


def _with_free_strings(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with words of any length, for which zarr has a specification, and not for those of a fixed one."""
    fixed = [name for name, var in dataset.variables.items() if var.dtype.kind == "U"]
    return dataset.assign({name: dataset[name].astype(object) for name in fixed})


def finished(dataset: xr.Dataset) -> xr.Dataset:
    """Turn the bookkeeping of a resumable grid into what the schema knows: `interpolated`, and `complete` in attrs."""
    dataset = without_bookkeeping(dataset)
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
    arrays = arrays_over_step(group)
    rows = len(recorded(arrays["step"][:]))
    apart = [key for key, array in arrays.items() if array.shape[0] != arrays["theta"].shape[0]]
    dataset = xr.open_zarr(str(study), group=name, consolidated=False, chunks=None, drop_variables=apart)
    dataset = dataset.isel(step=slice(rows))
    for key in apart:
        dataset[key] = (arrays[key].metadata.dimension_names, arrays[key][:rows])
    dataset = dataset.set_coords("step")
    return dataset if dataset["theta"].nbytes > _LAZY_BYTES else dataset.load()


def _kind(study: Path, name: str) -> str:
    """Kind of a result, or a KeyError that lists what there is."""
    need_study(study)
    for attempt in range(2):
        with contextlib.suppress(KeyError):
            return _known_kind(study, name)
        if attempt == 0:
            tidy(study)  # a killed `save` may have put it aside
    raise KeyError(f"{study} has no result `{name}`; it has {', '.join(results(study)) or 'none'}.")


def _known_kind(study: Path, name: str) -> str:
    try:
        name = clean(name)
    except ValueError as error:
        raise KeyError(name) from error
    attrs = attrs_of(study, name)
    if attrs is None or not is_result(attrs):
        raise KeyError(name)
    return attrs["kind"]


def put(draft: Path, target: Path, retired: Path) -> None:
    """Move a draft to its place; if that fails, what was there stays."""
    if not target.exists():
        os.rename(draft, target)
        return
    os.rename(target, retired)
    try:
        os.rename(draft, target)
    except BaseException:
        os.replace(retired, target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


@functools.cache
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
