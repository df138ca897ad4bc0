"""The labs' server as a process of its own, and pages of it in Chromium; one server for the whole run of the tests."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest


class Lab:
    """An opened lab, with everything it complained about and asked for."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address, self.complaints, self.requests = page, address, [], []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda r: self.requests.append(r.url))
        page.goto(address)
        page.wait_for_selector("h1", timeout=60_000)

    @property
    def foreign(self) -> list[str]:
        """Requests to anything but this server."""
        own = self.address.split("/")[2]
        local = ("data:", "blob:", f"http://{own}/", f"ws://{own}/")
        return [url for url in self.requests if not url.startswith(local)]


@pytest.fixture(scope="session")
def labs() -> Iterator[str]:
    """Address of the labs, served by the command line, in the quick setting."""
    command = [sys.executable, "-m", "thalweg.cli", "lab", "calculus", "--no-browser"]
    settings = {**os.environ, "THALWEG_LAB_QUICK": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            assert found, "the server did not say where it is"
            yield found[0]
        finally:
            process.terminate()


@pytest.fixture
def open_lab(browser, labs):
    """Open a lab of that name: `open_lab("calculus", color_scheme="dark")`; settings are those of a browser context."""
    contexts = []

    def opened(name: str, **settings) -> Lab:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **settings})
        contexts.append(context)
        return Lab(context.new_page(), f"{labs}{name}/")

    yield opened
    for context in contexts:
        context.close()
