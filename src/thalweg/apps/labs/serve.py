"""The labs as a server on this machine: a page that lists them, and each as an app of marimo."""

from __future__ import annotations

import html
import importlib
import socket
import threading
import webbrowser
from collections.abc import Callable
from string import Template
from typing import Any

import marimo
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from thalweg.apps.labs import LABS, lab
from thalweg.apps.labs.running import COOKIE
from thalweg.apps.widgets.instrument import look

HOST = "127.0.0.1"


def head() -> str:
    """What marimo puts into the head of each lab: our colours and fonts, larger, and a cookie that tells of the look.

    Figures are drawn in Python, which learns from the cookie whether the reader's page is light or dark.
    """
    shown = look()
    light, dark = shown["light"], shown["dark"]
    return f"""<script>
document.cookie = "{COOKIE}=" + (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
  + ";path=/;SameSite=Strict";
</script>
<style>
html:root {{ font-size: 18px; --marimo-text-font: {shown["font"]}; --marimo-heading-font: {shown["font"]}; }}
html:root, html body, html body .marimo {{ --background: {light["paper"]} !important; }}
html:root:has(body.dark), html body.dark, html body.dark .marimo {{ --background: {dark["paper"]} !important; }}
body :is(.prose, .markdown) {{ font-size: 1.05rem !important; line-height: 1.6; color: {light["text"]}; }}
body.dark :is(.prose, .markdown) {{ color: {dark["text"]}; }}
body :is(.prose, .markdown) :is(h1, h2, h3) {{ font-weight: 640; }}
body .prose {{ max-width: none; }}
body :focus-visible {{ outline: 3px solid {light["moved"]} !important; outline-offset: 2px; }}
</style>"""


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Labs of thalweg</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: light-dark($text, $text_dark); --paper: light-dark($paper, $paper_dark);
  --muted: light-dark($muted, $muted_dark); --line: light-dark($grid, $grid_dark); }
body { margin: 0; background: var(--paper); color: var(--ink); font: 20px/1.5 $font; }
header { background: linear-gradient(120deg, #071a3d, #0a416c 55%, #1b8185); color: #fff; padding: 2.2rem max(1.5rem,
8vw); }
h1 { margin: 0; font-size: 2.3rem; } header p { margin: .4rem 0 0; color: #d5e3ea; }
main { padding: 1.5rem max(1.5rem, 8vw) 4rem; }
ul { list-style: none; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem,
1fr)); }
a { display: block; height: 100%; box-sizing: border-box; color: inherit; text-decoration: none; border: 1.5px solid
var(--line); border-radius: 12px; padding: 1rem 1.3rem; }
a:hover { border-color: var(--ink); } a:focus-visible { outline: 3px solid #dd2c1e; outline-offset: 2px; }
h2 { margin: 0; font-size: 1.4rem; } p { margin: .3rem 0 0; } .minutes { color: var(--muted); }
</style></head>
<body><header><h1>Labs</h1><p>Questions to try out, with answers that are computed.</p></header>
<main><ul>$labs</ul></main></body></html>
""")


def application() -> Starlette:
    """The server's application: the list of labs at `/`, each lab at `/name/`. Other host names are refused."""
    labs: Any = marimo.create_asgi_app(quiet=True, html_head=head())
    for found in LABS.values():
        labs = labs.with_app(path=f"/{found.name}", root=str(found.file))

    def index(request: Request) -> HTMLResponse:  # noqa: ARG001
        return HTMLResponse(index_page())

    return Starlette(
        routes=[Route("/", index), Mount("/", labs.build())],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
    )


def index_page() -> str:
    """The page that lists the labs."""
    shown = look()
    both = {f"{key}{end}": shown[name][key] for name, end in (("light", ""), ("dark", "_dark")) for key in _KEYS}
    items = (
        f'<li><a href="/{found.name}/"><h2>{html.escape(found.title)}</h2><p>{html.escape(found.about)}</p>'
        f'<p class="minutes">About {found.minutes} minutes</p></a></li>'
        for found in LABS.values()
    )
    return _PAGE.substitute(labs="".join(items), font=shown["font"], **both)


_KEYS = ("paper", "text", "muted", "grid")


def serve(
    name: str | None = None, *, port: int | None = None, browser: bool = True, say: Callable[[str], None] = print
) -> None:
    """Serve the labs at 127.0.0.1 until interrupted, and open one of them.

    Parameters
    ----------
    name
        The lab to open; the list of them if not given.
    port
        Any free one if not given.
    browser
        Open it in the system's browser.
    say
        Told the address.

    Raises
    ------
    KeyError, OSError
        If there is no such lab, or the port is taken.
    """
    place = f"{lab(name).name}/" if name else ""
    listening = _listen(port)
    address = f"http://{HOST}:{listening.getsockname()[1]}/{place}"
    server = uvicorn.Server(uvicorn.Config(application(), log_level="warning", timeout_graceful_shutdown=1))
    say(address)
    threading.Thread(target=importlib.import_module, args=("thalweg.apps.widgets",), daemon=True).start()  # seconds
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    server.run(sockets=[listening])


def _listen(port: int | None) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port or 0))
        listening.listen(64)  # who comes before the server is ready waits
    except OSError as error:
        listening.close()
        raise OSError(f"Port {port} of {HOST} is taken ({error.strerror}); choose another --port, or none.") from error
    return listening
