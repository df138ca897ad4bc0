"""The reference of kinds of datasets: the docstring of `thalweg.schema`, as a page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from building.docstrings import converted
from building.files import write
from thalweg import schema

_HEAD = """Kinds of datasets
=================

Every result is an `xarray.Dataset`. ``attrs["kind"]`` says what it holds, `thalweg.schema.check` whether it
does. Figures and the explorer read these variables and attributes and nothing else, so that a result written on
one machine is drawn on another, without the network that it was measured on.

Besides what stands here, ``attrs`` hold where a result comes from: version, seed, device, precision, the
identities of model, weights and data, and the time it took.

.. code-block:: python

    surface.loss.sel(alpha=0, beta=0, method="nearest")     # a value by its coordinates
    surface.loss.attrs["units"], surface.attrs["seed"]      # units, and how it was made

"""


def page() -> str:
    """reStructuredText: a section for each kind, which can be linked to as `kind-surface`."""
    text = inspect.cleandoc(schema.__doc__ or "")
    return _HEAD + converted("\n".join(_sections(text.split("Kinds\n-----\n", 1)[1]))) + "\n"


def _sections(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name = re.fullmatch(r"`(\w+)`", line)
        if name:
            yield from ("", f".. _kind-{name[1]}:", "", f"``{name[1]}``", "-" * (len(name[1]) + 4), "")
        else:
            yield line.removeprefix("    ")


def _write(app: Any) -> None:
    write(Path(app.srcdir) / "reference" / "kinds.rst", page())


def setup(app: Any) -> None:
    """Before Sphinx looks for pages."""
    app.connect("builder-inited", _write, priority=100)
