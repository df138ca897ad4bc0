"""A study as an application, and as a server of this machine."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.applications import Starlette

ADDRESS = "127.0.0.1"
_EXTRA = 'The explorer needs starlette and uvicorn. Install them with: pip install "thalweg[apps]"'


def application(study: str | Path) -> Starlette:
    """The explorer of a study as an ASGI application, for a server of one's own.

    It answers requests that name this machine (`127.0.0.1`, `localhost`) and refuses all others, so that no page of
    another site can read the study through the browser.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such study, or it is something else.
    ModuleNotFoundError
        Without the extra `thalweg[apps]`.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2)
    >>> study = tempfile.mkdtemp() + "/study.zarr"
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=2.0, points=21, store=study)
    >>> [route.path for route in application(study).routes][:3]
    ['/', '/theme.css', '/plotly.min.js']
    """
    try:
        from thalweg.apps.explorer.server import build
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_EXTRA, name=error.name) from error
    return build(study)


def serve(study: str | Path, *, port: int = 0, browser: bool = True, ready: Callable[[str], Any] | None = None) -> None:
    """Show a study in the browser until the server is interrupted (Ctrl+C).

    Parameters
    ----------
    study
        Path of the study. It may still be growing.
    port
        Of 127.0.0.1; 0 takes a free one.
    browser
        Whether to open the page in the browser.
    ready
        Called with the address of the page as soon as it can be opened.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such study, or it is something else; if `port` is no port.
    OSError
        If the port is taken.
    ModuleNotFoundError
        Without the extra `thalweg[apps]`.
    """
    app = application(study)
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_EXTRA, name=error.name) from error
    from thalweg.apps.explorer.drawing import warm

    listener = _listen(port)
    warm()
    page = f"http://{ADDRESS}:{listener.getsockname()[1]}/"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off", server_header=False))
    try:
        if ready is not None:
            ready(page)
        if browser:  # the socket listens already: what the browser asks for waits there
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


def _listen(port: int) -> socket.socket:
    """A socket of this machine only."""
    if not 0 <= port <= 65535:
        raise ValueError(f"port={port} is no port; pass one from 1 to 65535, or 0 for a free one.")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(
            f"Port {port} of {ADDRESS} cannot be used ({error.strerror}); choose another, or 0 for a free one."
        ) from error
    return listener
