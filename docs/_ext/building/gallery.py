"""Pictures of the gallery: what the last expression of a block draws, in the light and in the dark look."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from building import pictures

_folder = tempfile.mkdtemp(prefix="gallery-")


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figure of a block's last expression; return the reStructuredText that shows it."""
    parsed = ast.parse(block.content).body
    namespace = block_vars["example_globals"]
    if not parsed or not isinstance(parsed[-1], ast.Expr):
        return ""
    value = namespace.get("___")
    if not (pictures.is_still(value) or pictures.is_interactive(value)):
        return ""
    dark = pictures.in_the_dark(parsed[-1].value, namespace)
    label = _label(block.content)
    if pictures.is_interactive(value):
        return f"\n.. raw:: html\n\n    {pictures.interactive_html(value, dark, label)}\n\n"
    file = Path(block_vars["image_path_iterator"].next())
    pictures.save_still(value, file)
    rst = _image(file, gallery_conf, label, "only-light" if dark else "")
    if dark is not None:
        other = file.with_name(f"{file.stem}_dark.png")
        pictures.save_still(dark, other)
        rst += _image(other, gallery_conf, label, "only-dark")
    return rst


def fresh(_conf: dict[str, Any], _file: str) -> None:
    """A working folder of its own for every script."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(_folder)
    os.makedirs(_folder)


def _label(code: str) -> str:
    comments = [line[2:].strip() for line in code.splitlines() if line.startswith("# ")]
    return comments[0] if comments else "The figure that the code above draws"


def _image(file: Path, gallery_conf: dict[str, Any], label: str, look: str) -> str:
    place = f"/{file.relative_to(gallery_conf['src_dir']).as_posix()}"
    return f"\n.. image-sg:: {place}\n    :alt: {label}\n    :srcset: {place}\n    :class: drawn {look}\n"
