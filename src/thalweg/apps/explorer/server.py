"""What the page asks for, and how it is answered: every error becomes words, and none of them stops the server."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import plotly
import plotly.graph_objects as go
from plotly.io.json import to_json_plotly
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from thalweg import figures
from thalweg.apps.explorer.answers import Answers
from thalweg.apps.explorer.guard import Guard
from thalweg.apps.explorer.shelf import Refusal, Shelf
from thalweg.apps.explorer.style import stylesheet

STATIC = Path(__file__).parent / "static"
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_MOST = 64 * 2**20  # bytes of a picture that is sent back to be saved
_log = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]


def build(study: str | Path) -> Starlette:
    """The application."""
    answers = Answers(Shelf(study))
    small = [Middleware(GZipMiddleware, minimum_size=4096, compresslevel=1)]
    routes = [
        Route("/", _file(STATIC / "index.html")),
        Route("/theme.css", _text(stylesheet(), "text/css")),
        Route("/plotly.min.js", _file(_PLOTLY, lasting=True)),
        *(Route(f"/api/{name}", _told(answer), middleware=small) for name, answer in answers.by_name.items()),
        Route("/api/page", _told_page, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


def _told(answer: Callable[[dict[str, str]], Any]) -> Answer:
    """An answer as JSON, made in a thread; what goes wrong is said in it."""

    async def told(request: Request) -> Response:
        return await anyio.to_thread.run_sync(_tried, answer, dict(request.query_params))

    return told


def _tried(answer: Callable[[dict[str, str]], Any], asked: dict[str, str]) -> Response:
    try:
        return _json(answer(asked))
    except Refusal as refusal:
        return _json({"error": refusal.why}, refusal.status)
    except MemoryError:
        return _json({"error": "This result is too large for the memory of this machine."}, 422)
    except Exception as error:  # a picture that fails must not take the others away
        _log.debug("not drawn: %s", asked, exc_info=True)
        text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        return _json({"error": text or type(error).__name__}, 422)


async def _told_page(request: Request) -> Response:
    """The picture that the page shows, sent here as JSON, as a page that needs no network."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _json({"error": "A figure is sent as application/json."}, 415)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return _json({"error": f"A figure of more than {_MOST >> 20} MB is not saved."}, 413)
    return await anyio.to_thread.run_sync(_page, body)


def _page(body: bytes) -> Response:
    try:
        told = json.loads(body)
        figure = go.Figure({"data": told["data"], "layout": told["layout"]})
    except Exception as error:
        return _json({"error": f"This is no figure of plotly ({type(error).__name__})."}, 400)
    with tempfile.TemporaryDirectory() as folder:
        page = figures.save(figure, Path(folder) / "figure.html").read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="figure.html"'}
    return Response(page, media_type="text/html", headers=headers)


def _json(content: Any, status: int = 200) -> Response:
    text = to_json_plotly(content)
    return Response(text, status, {"Cache-Control": "no-store"}, media_type="application/json")


def _file(path: Path, lasting: bool = False) -> Answer:
    kept = {"Cache-Control": "max-age=86400" if lasting else "no-cache"}

    async def found(_: Request) -> Response:
        return FileResponse(path, headers=kept)

    return found


def _text(text: str, kind: str) -> Answer:
    tag = hashlib.sha256(text.encode()).hexdigest()[:16]

    async def found(_: Request) -> Response:
        return Response(text, media_type=kind, headers={"Cache-Control": "no-cache", "ETag": f'"{tag}"'})

    return found
