"""The state of a long computation, kept beside its study until the result is whole.

It is read as tensors, numbers and names only (`torch.load(weights_only=True)`): a file from somebody else runs no code.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from thalweg.store.grid import lock_folder

_UNKEPT = (
    "The optimiser or the scheduler remembers more than numbers and tensors, so that its state cannot be kept safely. "
    "Leave out `store=` and save the result at the end, or choose another."
)


def read_again(state: dict[str, Any]) -> dict[str, Any]:
    """The state as a later process would read it; refused if none could."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    try:
        return torch.load(file, weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(_UNKEPT) from None


class Unfinished:
    """One computation's state file, and the lock that lets one process at a time work on it."""

    def __init__(self, study: Path, name: str) -> None:
        self._folder = lock_folder(study, name)
        self._file = self._folder / "state.pt"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other process works on it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / "work.lock")
        try:
            lock.acquire()
        except (NotImplementedError, OSError):  # a file system without locks: two may do the same work, harmlessly
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def write(self, state: dict[str, Any]) -> None:
        """Put `state` in the place of the one before, or leave that if anything fails."""
        draft = self._file.with_suffix(f".{os.getpid()}.partial")
        try:
            torch.save(state, draft)
            os.replace(draft, self._file)
        finally:
            draft.unlink(missing_ok=True)

    def read(self) -> dict[str, Any] | None:
        """The last state; None if there is none, or if it cannot be read (it then begins anew)."""
        try:
            return torch.load(self._file, map_location="cpu", weights_only=True)
        except (FileNotFoundError, pickle.UnpicklingError, RuntimeError, EOFError):
            return None

    def begin(self, state: dict[str, Any]) -> None:
        """Write a first state, and refuse one that could not be read again before hours are spent."""
        self.write(state)
        if self.read() is None:
            self.leave()
            raise ValueError(_UNKEPT)

    def leave(self) -> None:
        """Take away what is no longer needed."""
        for file in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                file.unlink()
        for folder in (self._folder, self._folder.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()
