"""What is in a study, read without trust: nothing outside of its folder, and no damaged result stops the others."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from thalweg import schema, store
from thalweg.store.tree import clean, is_result, need_study, node, study_path

_ADVICE = "Other results are not touched by that; remove its folder, or compute it again under another name."
_KEPT, _BYTES = 12, 5 * 10**8  # results in memory, and their size in all


class Refusal(Exception):
    """What cannot be answered: the status of the reply, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True)
class Entry:
    """A result as its metadata tell it; `why` says what is wrong with one that cannot be read."""

    name: str
    kind: str
    attrs: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)
    why: str = ""

    @property
    def complete(self) -> bool:
        """False while a grid is being computed."""
        return bool(self.attrs.get("complete", "status" not in self.arrays))

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dims, as far as the arrays name them."""
        found: dict[str, int] = {}
        for array in self.arrays.values():
            names, lengths = array.get("dimension_names"), array.get("shape")
            if isinstance(names, list) and isinstance(lengths, list):
                pairs = zip(map(str, names), lengths, strict=False)
                found |= {name: length for name, length in pairs if isinstance(length, int)}
        return found

    @property
    def coordinates(self) -> list[str]:
        """Coordinates of a surface, a path or a course with more than one value."""
        named = self.attrs.get("coordinates", [])
        names = named if isinstance(named, list) else [named]
        return [str(name) for name in names if self.sizes.get(str(name), 2) != 1]


class Shelf:
    """The results of one study. Links are not followed: what they lead to is not part of the study."""

    def __init__(self, study: str | Path) -> None:
        given = study_path(study)
        need_study(given)
        self.path = given.resolve()
        self._kept: OrderedDict[str, tuple[str, xr.Dataset]] = OrderedDict()
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """All results, also those that cannot be read.

        Raises
        ------
        Refusal
            If the study is gone, or damaged as a whole.
        """
        try:
            need_study(self.path)
            return sorted(self._walk(self.path, ""), key=lambda entry: entry.name)
        except (OSError, ValueError) as error:
            raise Refusal(410, str(error)) from error

    def entry(self, name: str) -> Entry:
        """One of them.

        Raises
        ------
        Refusal
            If the name is no name of a result, or of none that is there.
        """
        folder = self._folder(name)
        for entry in self._looked_at(folder, name) if folder.is_dir() else []:
            if entry.name == name:
                return entry
        has = ", ".join(entry.name for entry in self.entries()) or "none yet"
        raise Refusal(404, f"The study has no result `{name}`; it has {has}.")

    def load(self, name: str) -> xr.Dataset:
        """A result, from memory if it has not changed since.

        Raises
        ------
        Refusal
            If it is not there, or damaged.
        """
        entry = self.entry(name)
        if entry.why:
            raise Refusal(422, entry.why)
        with self._lock:
            stamp = self.stamp(name)
            if name not in self._kept or self._kept[name][0] != stamp:
                self._kept[name] = (stamp, self._read(name))
            self._kept.move_to_end(name)
            self._forget()
            return self._kept[name][1]

    def stamp(self, name: str) -> str:
        """A word that changes when the files of a result do.

        Raises
        ------
        Refusal
            If there are links among them.
        """
        last, count, size = 0, 0, 0
        for root, folders, files in os.walk(self._folder(name)):
            for each in (*folders, *files):
                path = os.path.join(root, each)
                if os.path.islink(path):
                    raise Refusal(422, _link(f"{name}: {each}"))
            for each in (root, *(os.path.join(root, file) for file in files)):
                try:
                    found = os.stat(each)
                except FileNotFoundError:  # a file that a writer is just replacing
                    continue
                last, count, size = max(last, found.st_mtime_ns), count + 1, size + found.st_size
        return f"{last:x}-{count:x}-{size:x}"

    def _folder(self, name: str) -> Path:
        """Folder of a result; refused if it could be anywhere else than in the study."""
        try:
            proper = clean(name) == name
        except ValueError:
            proper = False
        if not proper:
            raise Refusal(400, f"{name!r} is no name of a result.")
        folder = self.path.joinpath(*name.split("/"))
        for part in (folder, *folder.parents):
            if part == self.path:
                break
            if part.is_symlink():
                raise Refusal(404, _link(name))
        return folder

    def _walk(self, folder: Path, prefix: str) -> list[Entry]:
        found: list[Entry] = []
        for child in sorted(folder.iterdir()):
            name = prefix + child.name
            if child.name.startswith("."):
                continue
            if child.is_symlink():
                found.append(Entry(name, "", why=_link(name)))
            elif child.is_dir():
                found += self._looked_at(child, name)
        return found

    def _looked_at(self, folder: Path, name: str) -> list[Entry]:
        """A folder: a result, a group of results, something that cannot be read, or nothing of ours."""
        if (folder / "zarr.json").is_symlink():
            return [Entry(name, "", why=_link(f"{name}: zarr.json"))]
        try:
            found = node(folder)
        except (OSError, ValueError) as error:
            return [Entry(name, "", why=f"Its metadata are damaged ({error}). {_ADVICE}")]
        if found is None or found["node_type"] != "group":
            return []
        attrs, arrays = found.get("attributes") or {}, _arrays(folder)
        if not isinstance(attrs, dict):
            return [Entry(name, "", why=f"Its metadata are damaged (attributes: {type(attrs).__name__}). {_ADVICE}")]
        if is_result(attrs):
            return [Entry(name, str(attrs["kind"]), attrs, arrays)]
        below = [] if "kind" in attrs else self._walk(folder, f"{name}/")
        return below or ([Entry(name, "", attrs, why=_foreign(attrs))] if "kind" in attrs or arrays else [])

    def _read(self, name: str) -> xr.Dataset:
        try:
            return store.load(self.path, name)
        except MemoryError as error:
            raise Refusal(422, f"`{name}` is too large for the memory of this machine.") from error
        except (schema.SchemaError, ValueError, KeyError, OSError) as error:
            raise Refusal(422, str(error.args[0] if isinstance(error, KeyError) else error)) from error

    def _forget(self) -> None:
        """Keep few results in memory, and the one that is asked for."""
        while len(self._kept) > 1 and (
            len(self._kept) > _KEPT or sum(ds.nbytes for _, ds in self._kept.values()) > _BYTES
        ):
            self._kept.popitem(last=False)


def _arrays(folder: Path) -> dict[str, dict[str, Any]]:
    """Metadata of the arrays of a group, without those that are damaged."""
    found = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.is_symlink() and not (child / "zarr.json").is_symlink():
            try:
                told = node(child)
            except (OSError, ValueError):
                continue
            if told is not None and told["node_type"] == "array":
                found[child.name] = told
    return found


def _foreign(attrs: dict[str, Any]) -> str:
    """Why a group that holds something is no result."""
    if "kind" in attrs:
        return f"It is of kind {attrs['kind']!r}, which this version of thalweg does not know."
    return "It was not written by thalweg: its metadata name no kind of result."


def _link(name: str) -> str:
    return f"{name} is a symbolic link. What it leads to lies outside of the study and is not read."
