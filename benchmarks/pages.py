"""How soon pages answer, in headless Chromium: sliders of the labs, first pictures, the graph of ResNet-50.

- Labs: from a key on a slider or on the map to the picture that shows it, under marimo, after the page came to rest.
- Explorer: from opening the page to the first picture of a study of 101 x 101 points with four quantities, the page's
  code not cached, and cached.
- Graphs: tracing, layout of the folded graph, and the redrawing after a click.

    python benchmarks/pages.py            # two minutes
    python benchmarks/pages.py --case explorer
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

import thalweg as tw

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PRESSES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="some only")
    options = parser.parse_args()
    table = Table("what", "median", "worst", "target", title="Until the picture is there", title_justify="left")
    for name in options.case or CASES:
        for row in CASES[name]():
            table.add_row(*row)
    Console(width=110).print(table)
    return 0


def _row(what: str, seconds: list[float], target: str) -> tuple[str, str, str, str]:
    return what, _told(statistics.median(seconds)), _told(max(seconds)), target


def _told(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


@contextmanager
def _served(*command: str) -> Iterator[str]:
    """The address that a verb of the command line says."""
    line = [sys.executable, "-u", "-m", "thalweg.cli", *command, "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = None
            while process.stdout is not None and found is None:
                found = re.search(r"http://127\.0\.0\.1:\d+/\S*", process.stdout.readline())
            yield found[0] if found else ""
        finally:
            process.terminate()


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    executable = next((p for p in map(shutil.which, ("chromium", "google-chrome", "chrome")) if p), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


def _labs() -> Iterator[tuple[str, str, str, str]]:
    with _served("lab", "calculus") as address, _chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
        page.goto(address)
        yield _row("tangent: a slider", _presses(page, "marimo-anywidget input[type=range]", "ArrowRight"), "100 ms")
        page.goto(address.replace("calculus", "multiply-by-one"))
        yield _row("ball: the start, with 100 new steps", _presses(page, "canvas.tw-map", "ArrowLeft"), "100 ms")
        page.goto(address.replace("calculus", "stochastic-landscape"))
        yield _row("sample by sample: a step", _presses(page, ".tw-risk input[type=range]", "ArrowRight"), "100 ms")


def _presses(page: Any, place: str, key: str) -> list[float]:
    """From a key until the instrument's picture differs, looked at in every frame."""
    found = page.locator(place).first
    found.wait_for(timeout=60_000)
    page.wait_for_timeout(15_000)  # until the cells below are done
    found.focus()
    return [float(found.evaluate(_WATCH, key)) / 1e3 for _ in range(PRESSES)]


_WATCH = """async (control, key) => {
  const around = control.getRootNode();  // of its own, where the page keeps instruments apart
  const told = around.querySelector("[data-drawn]");  // an instrument that counts its pictures; reading them takes time
  const shown = () => told ? told.dataset.drawn
    : [...around.querySelectorAll("canvas, svg path, svg line, svg circle")]
      .map((e) => (e.toDataURL ? e.toDataURL() : e.outerHTML)).join();
  const before = shown(), began = performance.now();
  if (control.type === "range") {
    const [low, high, value] = [control.min, control.max, control.value].map(Number), step = Number(control.step) || 0;
    const next = value + Math.max(step, (high - low) / 60);
    control.value = next > high ? low : next;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  } else control.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  while (shown() === before && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def _explorer() -> Iterator[tuple[str, str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        study = tw.save(_large(), Path(folder) / "study.zarr", "surface/large")
        with _served("open", str(study)) as address, _chromium() as browser:
            for words, view in (("map and scene", ""), ("map alone", "#view=map")):
                cold, warm = [], []
                for _ in range(3):
                    context = browser.new_context(
                        viewport={"width": 1400, "height": 900}, bypass_csp=True
                    )  # to look at it
                    page = context.new_page()
                    cold.append(_first(page, address + view))
                    warm.append(_first(page, address + view))
                    context.close()
                yield _row(f"explorer, {words}: first picture, nothing cached", cold, "2 s")
                yield _row(f"explorer, {words}: first picture, opened again", warm, "2 s")


def _first(page: Any, address: str) -> float:
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("performance.getEntriesByName('first-picture').length")
    return float(page.evaluate("performance.getEntriesByName('first-picture')[0].startTime")) / 1e3


def _large() -> xr.Dataset:
    grid = np.linspace(-1, 1, 101)
    values = np.log1p(3 * (grid[:, None] ** 2 + 2 * grid[None] ** 2)) + 0.2 * np.sin(5 * grid[:, None])
    found = {}
    for metric in ("loss", "accuracy"):
        for split in ("train", "test"):
            words = {"role": "value", "units": "", "at_origin": 0.0, "metric": metric, "split": split}
            name = metric if split == "train" else f"test_{metric}"
            found[name] = (("alpha", "beta"), values, words | {"long_name": metric})
    return xr.Dataset(found, {"alpha": grid, "beta": grid}, {"kind": "surface", "coordinates": ["alpha", "beta"]})


def _graphs() -> Iterator[tuple[str, str, str, str]]:
    import torch
    from torchvision.models import resnet50

    model, image = resnet50(weights=None).eval(), torch.randn(1, 3, 224, 224)
    took, graph = _timed(lambda: tw.computational_graph(model, image))
    yield _row(f"ResNet-50: traced, {graph.sizes['node']} nodes", [took], "")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.html"
        took, _ = _timed(lambda: tw.figures.save(tw.figures.graph(graph), file))
        yield _row(f"ResNet-50: laid out, a page of {file.stat().st_size / 2**20:.1f} MB", [took], "5 s")


def _timed(made: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = made()
    return time.perf_counter() - began, found


CASES: dict[str, Callable[[], Iterator[tuple[str, str, str, str]]]] = {
    "explorer": _explorer,
    "graphs": _graphs,
    "labs": _labs,
}

if __name__ == "__main__":
    sys.exit(main())
