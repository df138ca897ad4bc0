"""`thalweg lab`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from thalweg.cli.common import explained, out


def lab(
    name: Annotated[str | None, typer.Argument(help="The lab to open; without it they are listed.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of 127.0.0.1; any free one by default.")] = None,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """List the labs, or open one: notebooks to try things out in, in the browser, on this machine only.

    Ends with Ctrl-C. Needs the extra `thalweg[apps]`.
    """
    with explained():
        from thalweg.apps.labs import LABS

        if name is None:
            for found in LABS.values():
                out.print(escape(f"  {found.name:22} {found.title}: {found.about} About {found.minutes} min."))
            out.print("Open one: thalweg lab NAME.")
            return
        _open(name, port, browser)


def _open(name: str, port: int | None, browser: bool) -> None:
    from thalweg.apps.labs import lab as named

    named(name)
    try:
        from thalweg.apps.labs.serve import serve
    except ModuleNotFoundError as error:
        if str(error.name).startswith("thalweg"):
            raise
        raise ModuleNotFoundError(f'Labs need {error.name}: pip install "thalweg[apps]".', name=error.name) from error
    serve(name, port=port, browser=browser, say=lambda address: out.print(f"Serving {address}  Ctrl-C ends it."))
