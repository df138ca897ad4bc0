"""`thalweg open`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from thalweg.cli.common import explained, out


def explore(
    study: Annotated[Path, typer.Argument(help="A study, such as `study.zarr`.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Open a study in the browser: turn its surfaces, walk its paths, cut profiles, compare.

    The study is only read, and may still be growing. The page is served to this machine alone, until Ctrl+C.
    """
    with explained():
        from thalweg.apps.explorer import serve

        serve(study, port=port, browser=browser, ready=_say)


def _say(page: str) -> None:
    out.print(f"The study is open at {escape(page)} (Ctrl+C ends it).")
