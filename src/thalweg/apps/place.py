"""Where a demo leaves what it makes."""

from __future__ import annotations

from pathlib import Path


def new_study(folder: str | Path) -> Path:
    """The path of a study in `folder` that does not exist yet; nothing is made.

    Raises
    ------
    NotADirectoryError, FileExistsError
        If a file stands where the folder should be, or the folder holds a study already.
    """
    folder = Path(folder).expanduser()
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(f"{part} is a file, and a folder is needed. Choose another folder with --out.")
    study = folder / "study.zarr"
    if study.exists():
        raise FileExistsError(f"{folder} already holds a study. Choose another folder with --out, or remove it.")
    return study
