"""Who may ask: pages of this very server, in a browser of this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
# Plotly writes its styles into the page and builds pictures as blobs and data.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Refuses requests that name another host, or come from another site; closes the page to anything from outside.

    A name server can make the name of a foreign site mean 127.0.0.1 (DNS rebinding); the browser then sends that name
    as `Host`, by which such requests are known.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = _refused(headers, scope["method"])
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, guarded)


def _refused(headers: Headers, method: str) -> PlainTextResponse | None:
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or not _here(host):
        return PlainTextResponse(f"This server is only for {' and '.join(HOSTS)}.\n", 400)
    origin = headers.get("origin")
    foreign = origin is not None and origin != f"http://{host}"
    if foreign or (headers.get("sec-fetch-site") == "cross-site" and method != "GET"):
        return PlainTextResponse("This server answers its own pages only.\n", 403)
    return None


def _here(host: str) -> bool:
    """Whether a `Host` header names this machine.

    Examples
    --------
    >>> _here("localhost:8000"), _here("127.0.0.1"), _here("127.0.0.1.example.org"), _here("")
    (True, True, False, False)
    """
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in HOSTS and parts.netloc.lower() in (parts.hostname, f"{parts.hostname}:{parts.port}")
    except ValueError:
        return False
