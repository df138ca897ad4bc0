r"""Fashion-MNIST: 70,000 grey 28x28 images of clothes in ten classes (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747).

The four files are looked for in a folder given, else where Debian's package `dataset-fashion-mnist` puts them; else
torchvision fetches them once. They are in the idx format: two zero bytes, a type (8: unsigned bytes), the number of
dims, each dim as a big-endian 32-bit integer, then the values.
"""

from __future__ import annotations

import gzip
import importlib
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from thalweg.landscapes.images import Split

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (*("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),)
"""Names of the classes 0 to 9."""

_PARTS = {"train": "train", "test": "t10k"}


def fashion_mnist(
    num_train: int | None = None, num_test: int | None = None, *, folder: str | Path | None = None
) -> Split:
    """Training and test images `(n, 1, 28, 28)` in [0, 1], and classes `(n,)`: the first of each, all by default.

    Parameters
    ----------
    num_train, num_test
        How many; up to 60,000 and 10,000. The files are in random order already.
    folder
        Where the files `train-images-idx3-ubyte` and so on are, `.gz` or unpacked, also under `FashionMNIST/raw` as
        torchvision leaves them.

    Raises
    ------
    FileNotFoundError
        With what to do, where the files are in no place looked at and cannot be fetched.
    """
    folder = _find(Path(folder).expanduser() if folder is not None else None)
    counts = {"train": num_train, "test": num_test}
    return Split(*(_part(folder, part, counts[part]) for part in _PARTS))


def read_idx(file: str | Path, num: int | None = None) -> np.ndarray:
    """Unsigned bytes of an idx file, packed or not: the first `num` entries of its first dim, all by default.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "labels.gz"
    >>> size = file.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])))
    >>> read_idx(file).tolist(), read_idx(file, num=2).tolist()
    ([7, 8, 9], [7, 8])
    """
    file = Path(file)
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            zeros, kind, ndim = struct.unpack(">HBB", stream.read(4))
            if zeros or kind != 8 or not ndim:
                raise ValueError("it is no idx file of unsigned bytes")
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
            if num is not None and not 0 < num <= shape[0]:
                raise IndexError(f"{num} examples were asked for, but {file.name} holds {shape[0]}; ask for 1 to that.")
            shape = (shape[0] if num is None else num, *shape[1:])
            values = np.frombuffer(stream.read(math.prod(shape)), dtype=np.uint8)
            if num is None and stream.read(1):
                raise ValueError("it is longer than it says")
            return values.reshape(shape)
    except (ValueError, struct.error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} cannot be read ({error}). Fetch it again.") from error


def _part(folder: Path, part: str, num: int | None) -> tuple[Tensor, Tensor]:
    images = read_idx(_file(folder, f"{_PARTS[part]}-images-idx3-ubyte"), num)
    classes = read_idx(_file(folder, f"{_PARTS[part]}-labels-idx1-ubyte"), num)
    if images.ndim != 3 or classes.ndim != 1 or len(images) != len(classes):
        raise ValueError(
            f"The {part} files in {folder} hold images {images.shape} and classes {classes.shape}, which do not belong "
            "together. Fetch them again."
        )
    return torch.tensor(images).unsqueeze(1) / 255, torch.tensor(classes, dtype=torch.int64)


def _find(folder: Path | None) -> Path:
    """The folder that has all four files."""
    if folder is not None:
        for place in (folder, folder / "FashionMNIST" / "raw"):
            if _complete(place):
                return place
        raise FileNotFoundError(
            f"{folder} does not hold the four files of Fashion-MNIST (train-images-idx3-ubyte.gz and so on). Without "
            "`folder` they are looked for where Debian puts them, and else fetched."
        )
    return DEBIAN if _complete(DEBIAN) else _fetched(_cache())


def _fetched(cache: Path) -> Path:
    """The cache, filled by torchvision where it is not yet."""
    raw = cache / "FashionMNIST" / "raw"
    if _complete(raw):
        return raw
    try:
        importlib.import_module("torchvision.datasets").FashionMNIST(str(cache), download=True)
    except (ImportError, OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"Fashion-MNIST is neither in {DEBIAN} nor in {cache}, and could not be fetched ({error}). On Debian run: "
            "sudo apt install dataset-fashion-mnist. With a network run: pip install torchvision. Or give "
            "`folder=` with the four files."
        ) from error
    return raw


def _cache() -> Path:
    if "THALWEG_CACHE_DIR" in os.environ:
        return Path(os.environ["THALWEG_CACHE_DIR"]) / "datasets"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thalweg" / "datasets"


def _complete(folder: Path) -> bool:
    names = (f"{prefix}-{what}" for prefix in _PARTS.values() for what in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    return all(_existing(folder, name) is not None for name in names)


def _file(folder: Path, name: str) -> Path:
    found = _existing(folder, name)
    if found is None:
        raise FileNotFoundError(f"{folder / name} has gone, packed or not.")
    return found


def _existing(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / f"{name}.gz", folder / name) if file.is_file()), None)
