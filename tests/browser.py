"""A real browser for pages: Chromium, headless, without network; one for the whole run of the tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Page:
    """An opened page, with everything it complained about and asked for."""

    def __init__(self, page, file: Path) -> None:
        self.page, self.complaints, self.requests = page, [], []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda r: self.requests.append(r.url))
        page.goto(file.resolve().as_uri())
        page.wait_for_function("[...document.querySelectorAll('.js-plotly-plot')].every(p => p._fullLayout)")

    @property
    def foreign(self) -> list[str]:
        """Requests to anything but the file itself."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="session")
def browser() -> Iterator:
    executable = next((p for p in map(shutil.which, ("chromium", "google-chrome", "chrome")) if p), None)
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: apt install chromium")
        pytest.skip("no Chromium here: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Open a file of disk as a user would, in a window of a laptop's size, with the network switched off."""
    contexts = []

    def opened(file: Path) -> Page:
        context = browser.new_context(viewport={"width": 1400, "height": 900}, offline=True)
        contexts.append(context)
        return Page(context.new_page(), file)

    yield opened
    for context in contexts:
        context.close()
