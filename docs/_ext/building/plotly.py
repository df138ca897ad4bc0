"""Plotly's library beside the pages, from the installed package: nothing is fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.util.fileutil import copy_asset_file


def copy_library(app: Any, exception: Exception | None) -> None:
    """Copy `plotly.min.js` to `_static`, where `figures.js` looks for it."""
    import plotly

    if exception is None:
        copy_asset_file(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", Path(app.outdir) / "_static")


def setup(app: Any) -> None:
    """Run when everything else is written."""
    app.connect("build-finished", copy_library)
