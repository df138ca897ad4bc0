"""Where results lie in a study: names, folders, and what the metadata in a folder say it is.

Read with nothing but `json`, so that the half-written file of a killed writer, or one damaged result, disturbs nobody
else.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from thalweg import schema

_MINUTE, _DAY = 60.0, 86400.0


def study_path(study: str | Path) -> Path:
    """Path of a study; `~` is the home folder."""
    return Path(study).expanduser()


def clean(name: str) -> str:
    """A result's name without slashes around it; refused if it could lead anywhere else than into the study.

    Examples
    --------
    >>> clean("surface/2024-01-05/")
    'surface/2024-01-05'
    """
    parts = name.strip("/").split("/")
    if not all(re.fullmatch(r"\w[\w.-]*", part) and part != "zarr.json" for part in parts):
        raise ValueError(
            f"{name!r} is no name for a result; use letters, digits, . - and _ (not first), with / between levels."
        )
    return "/".join(parts)


def group_path(study: Path, name: str) -> Path:
    """Folder of a result inside the study."""
    return study.joinpath(*clean(name).split("/"))


def node(folder: Path) -> dict[str, Any] | None:
    """What `zarr.json` says in a folder; None if there is none, ValueError if it cannot be read."""
    try:
        found = json.loads((folder / "zarr.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not isinstance(found, dict) or "node_type" not in found:
        raise ValueError(f"{folder / 'zarr.json'} describes neither a group nor an array")
    return found


def attrs_of(study: Path, name: str) -> dict[str, Any] | None:
    """Attrs of the group `name`; None if there is no such group."""
    with reading(study, name):
        found = node(group_path(study, name))
    if found is None or found["node_type"] != "group":
        return None
    return found.get("attributes") or {}


def is_result(attrs: dict[str, Any] | None) -> bool:
    """Whether a group with these attrs is a result."""
    return attrs is not None and attrs.get("kind") in schema.KINDS


def walk(study: Path, prefix: str = "") -> Iterator[str]:
    """Names of all results; what lies inside a result is not looked at."""
    for folder in sorted(study.joinpath(*prefix.split("/")).iterdir()):
        if folder.name.startswith(".") or not (folder / "zarr.json").exists():
            continue
        name = prefix + folder.name
        with reading(study, name):
            found = node(folder)
        if found is None or found["node_type"] != "group":
            continue
        if is_result(found.get("attributes")):
            yield name
        else:
            yield from walk(study, f"{name}/")


def need_study(study: Path) -> None:
    """Refuse to read from what is no study."""
    if not study.exists():
        raise FileNotFoundError(f"There is no study {study} (looked in {study.resolve().parent}).")
    try:
        found = node(study)
    except ValueError as error:
        raise ValueError(f"{study} is no study: it cannot be opened as a zarr store ({error}).") from error
    if found is None or found["node_type"] != "group":
        raise ValueError(
            f"{study} is no study: it has no `zarr.json` of a group. A study is made by `save` or `store=`."
        )


def refuse_foreign(study: Path) -> None:
    """Refuse to write into what is no study and no empty folder."""
    if study.exists() and not study.is_dir():
        raise FileExistsError(f"{study} is a file; a study is a folder. Choose another path.")
    if study.exists() and not (study / "zarr.json").exists() and any(study.iterdir()):
        raise FileExistsError(f"{study} exists and is no zarr store; choose another path.")


def refuse_nested(study: Path, name: str) -> None:
    """Refuse a name below or above another result: writing there would erase it, or be erased with it."""
    parts = clean(name).split("/")
    for k in range(1, len(parts)):
        above = "/".join(parts[:k])
        found = attrs_of(study, above)
        if found is None and (group_path(study, above) / "zarr.json").exists():
            raise FileExistsError(
                f"`{above}` in {study} is an array, so `{name}` cannot lie inside it; choose another name."
            )
        if is_result(found):
            raise FileExistsError(
                f"`{above}` in {study} is a result, so `{name}` cannot lie inside it; choose another name."
            )
    folder = group_path(study, name)
    below = [child.name for child in folder.iterdir() if _is_group(child)] if folder.is_dir() else []
    if below:
        names = ", ".join(f"`{clean(name)}/{child}`" for child in sorted(below)[:5])
        raise FileExistsError(
            f"`{name}` in {study} is a group that holds {names}; a result of that name would erase them. "
            "Choose another name."
        )


def ensure_groups(study: Path, name: str) -> None:
    """Make the study and the groups above `name`."""
    refuse_foreign(study)
    study.parent.mkdir(parents=True, exist_ok=True)
    if (study / "zarr.json").exists():
        need_study(study)
    group = zarr.open_group(str(study), mode="a")
    for part in clean(name).split("/")[:-1]:
        group = group.require_group(part)


@contextlib.contextmanager
def reading(study: Path, name: str) -> Iterator[None]:
    """Have errors of reading name the result and its study; pass over what other writers left lying beside it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not recognized as a component of a Zarr hierarchy")
            yield
    except schema.SchemaError as error:
        raise schema.SchemaError(f"`{name}` in {study} is not whole: {error}") from error
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        raise ValueError(
            f"`{name}` in {study} is damaged and cannot be read ({type(error).__name__}: {error}). Other results can "
            "still be loaded by name; remove its folder, or compute it again under another name."
        ) from error


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind: `.partial` files older than a minute."""
    now = time.time()
    for litter in folder.rglob("*.partial"):
        with contextlib.suppress(OSError):
            if now - litter.stat().st_mtime > _MINUTE:
                litter.unlink()


def drafts(study: Path, name: str) -> tuple[Path, Path]:
    """Where a new version of a result is written, and where the old one is put aside, beside the study."""
    unique = uuid.uuid4().hex[:8]
    beside = study.parent / f".{study.name}."
    return Path(f"{beside}draft-{unique}"), Path(f"{beside}retired-{name.replace('/', '%')}-{unique}")


def tidy(study: Path) -> None:
    """Clear away what killed calls of `save` left beside the study; a result put aside goes back to an empty place."""
    start = f".{study.name}."
    for litter in study.parent.glob(glob.escape(start) + "*-*"):
        what, _, rest = litter.name.removeprefix(start).partition("-")
        with contextlib.suppress(OSError, ValueError):
            age = time.time() - litter.stat().st_ctime
            if what == "draft" and age > _DAY:
                shutil.rmtree(litter, ignore_errors=True)
            elif what == "retired" and age > _MINUTE:
                target = group_path(study, rest.rpartition("-")[0].replace("%", "/"))
                if target.exists():
                    shutil.rmtree(litter, ignore_errors=True)
                else:
                    os.replace(litter, target)


def _is_group(folder: Path) -> bool:
    try:
        found = node(folder)
    except ValueError:
        return False
    return found is not None and found["node_type"] == "group"
