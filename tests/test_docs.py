"""The documentation: it builds without a warning, tells of everything public, and is read without a network."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import typer
from filelock import FileLock

import thalweg as tw
from thalweg import schema
from thalweg.cli import app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DOCS = Path(__file__).parent.parent / "docs"
MADE = ("_build", "_pictures", "examples", "reference", "__pycache__")


def build(folder: Path) -> None:
    """Build a copy, so that nothing is written into the checkout."""
    source = folder / "source"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns(*MADE))
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "read"), str(source)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "THALWEG_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *command, str(folder / "html")], check=False, capture_output=True, text=True, env=environment
    )
    (folder / "failed").write_text("" if done.returncode == 0 else f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}")


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The pages, built once in a run of the tests, whichever processes ask for them; or those in `THALWEG_DOCS`."""
    if os.environ.get("THALWEG_DOCS"):
        return Path(os.environ["THALWEG_DOCS"]).resolve()
    pytest.importorskip("sphinx", reason='the documentation needs: pip install "thalweg[docs]"')
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "documentation"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            build(folder)
    failure = (folder / "failed").read_text()
    assert not failure, failure
    return folder / "html"


@dataclass
class Found(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        words = dict(attrs)
        self.ids |= {words["id"]} if words.get("id") else set()
        if tag == "a" and words.get("href"):
            self.links.append(words["href"])
        if tag in ("script", "img", "iframe", "source") and words.get("src"):
            self.loads.append(words["src"])
        if tag == "link" and words.get("rel") != "canonical" and words.get("href"):
            self.loads.append(words["href"])
        if tag == "img" and "alt" not in words:
            self.unnamed.append(words.get("src", ""))


@pytest.fixture(scope="session")
def pages(html) -> dict[Path, Found]:
    """Every page, read."""
    found = {}
    for file in sorted(set(html.rglob("*.html")) - set((html / "_static").rglob("*"))):
        found[file.resolve()] = page = Found()
        page.feed(file.read_text())
    return found


def documented(html: Path) -> set[str]:
    """The names of `objects.inv`."""
    raw = (html / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split(" ")[0] for line in zlib.decompress(raw).decode().splitlines() if " py:" in line}


def test_every_public_name_is_documented(html):
    names = {f"thalweg.{name}" for name in tw.__all__}
    names |= {f"thalweg.{part}.{name}" for part in ("figures", "landscapes") for name in getattr(tw, part).__all__}
    assert names - documented(html) <= {"thalweg.figures.theme"}  # a module of colours


def test_every_kind_of_dataset_is_documented(pages, html):
    ids = pages[(html / "reference" / "kinds.html").resolve()].ids
    assert {kind for kind in schema.KINDS if f"kind-{kind.replace('_', '-')}" not in ids} == set()


def test_every_command_and_option_is_documented(html):
    text = (html / "reference" / "commands.html").read_text()
    for name, verb in typer.main.get_command(app).commands.items():
        assert f"thalweg {name}" in text
        assert [o for p in verb.params for o in p.opts if o.startswith("--") and o not in text] == []


def test_no_link_within_the_pages_is_broken(pages, html):
    broken = []
    for file, page in pages.items():
        for link in page.links:
            target, place = urldefrag(link)
            if target.startswith(("http:", "https:", "mailto:")) or link == "#":
                continue
            there = (file.parent / unquote(target)).resolve() if target else file
            known = pages[there].ids if there in pages else set()
            if not there.exists() or (place and there in pages and unquote(place) not in known):
                broken.append(f"{file.relative_to(html.resolve())} -> {link}")
    assert broken == []


def test_pages_load_nothing_from_elsewhere_and_pictures_have_words(pages):
    loads = [load for page in pages.values() for load in page.loads]
    assert loads
    assert [load for load in loads if load.startswith(("http:", "https:", "//"))] == []
    assert [image for page in pages.values() for image in page.unnamed] == []


class Reader:
    """One window without a network, and what its pages complain about and ask for."""

    def __init__(self, browser, look: str) -> None:
        self.context = browser.new_context(viewport={"width": 800, "height": 600}, offline=True, color_scheme=look)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.complaints.append(f"asked for {url}")

    def read(self, file: Path, query: str = "") -> None:
        self.page.goto(file.as_uri() + query)
        if self.page.query_selector(".math"):
            self.page.wait_for_selector("mjx-container", state="attached")
            assert self.page.query_selector("mjx-merror") is None, file
        for number in range(self.page.locator(".interactive-figure").count()):
            self.page.locator(".interactive-figure").nth(number).scroll_into_view_if_needed()
            self.page.wait_for_selector(f".interactive-figure >> nth={number} >> .main-svg >> nth=0", timeout=60_000)


@pytest.fixture(params=["light", "dark"])
def reader(browser, request) -> Iterator[Reader]:
    made = Reader(browser, request.param)
    yield made
    made.context.close()


def test_every_page_is_read_without_a_network(pages, html, reader):
    dark = reader.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    few = [html / name for name in ("index.html", "howto/export.html", "meaning/scale.html")]
    for file in [f.resolve() for f in few] if dark else pages:
        reader.read(file)
        assert reader.page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        lost = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert reader.page.evaluate(lost) == [], file
        assert reader.complaints == [], file


def test_the_search_finds_without_a_network(html, browser):
    reader = Reader(browser, "light")
    reader.read((html / "search.html").resolve(), "?q=sharpness")
    reader.page.wait_for_selector("#search-results li a")
    assert "sharpness" in reader.page.inner_text("#search-results").lower()
    assert reader.complaints == []
    reader.context.close()
