"""The explorer in a real browser: what a hand does there, and what it sees then."""

import time

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import RegularGridInterpolator

import thalweg as tw
from tests.apps.explorer.conftest import THETA, A, B, bowl, surface

pytestmark = pytest.mark.slow
QUIET = "willReadFrequently"  # plotly's own remark about its canvas
MAP = "#panels figure:has([aria-label^='Map']) .plot"


class Window:
    """A page of the explorer, with what it complained about and asked for."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address, self.complaints, self.requests = page, address, [], []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda r: self.requests.append(r.url))

    def go(self, link: str = "") -> None:
        self.page.goto("about:blank")
        self.page.goto(self.address + link)
        self.until("document.querySelector('#heading').textContent !== 'Opening the study …'")
        self.settled()

    def until(self, told: str, limit: float = 30.0) -> None:
        """Wait without `eval`, which the page's policy forbids to the browser's own waiting too."""
        end = time.monotonic() + limit
        while not self.page.evaluate(told):
            assert time.monotonic() < end, told
            time.sleep(0.02)

    def settled(self) -> None:
        self.page.wait_for_timeout(60)
        self.until("!document.querySelector('#panels[aria-busy]') && !document.querySelector('.waiting')")
        self.page.wait_for_timeout(60)

    def open(self, name: str) -> None:
        self.page.locator(f"[data-result='{name}']").click()
        self.until(f"!!document.querySelector('[data-result=\"{name}\"][aria-current]')")
        self.settled()

    def text(self, where: str) -> str:
        return " ".join(self.page.locator(where).inner_text().split())

    def drawn(self, where: str) -> np.ndarray:
        """Heights of the first trace, indexed as the dataset's."""
        rows = self.page.locator(where).first.evaluate("p => p._fullData[0].z.map(row => Array.from(row))")
        return np.array(rows, dtype=float).T

    def clean(self) -> None:
        assert [text for text in self.complaints if QUIET not in text] == []
        assert [url for url in self.requests if not url.startswith((self.address, "blob:", "data:", "about:"))] == []


@pytest.fixture
def window(browser, served):
    contexts = []

    def opened(where, link="", size=(1400, 900), scheme="light"):
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        shown = Window(context.new_page(), served(where))
        shown.go(link)
        return shown

    yield opened
    for context in contexts:
        context.close()


def test_metric_split_and_scale_change_the_picture_and_the_address(study, window, tmp_path):
    shown = window(study, "#view=map")
    assert shown.text("#heading") == "A bowl"
    np.testing.assert_allclose(shown.drawn(MAP), surface().loss.values, rtol=1e-6)
    shown.page.get_by_label("test", exact=True).check()
    shown.settled()
    np.testing.assert_allclose(shown.drawn(MAP), surface().test_loss.values, rtol=1e-6)
    shown.page.get_by_label("logarithmic").check()
    shown.settled()
    np.testing.assert_allclose(shown.drawn(MAP), np.log10(surface().test_loss.values), rtol=1e-4, atol=1e-6)
    shown.page.get_by_label("Metric").select_option("accuracy")
    shown.settled()
    np.testing.assert_allclose(shown.drawn(MAP), surface().accuracy.values, rtol=1e-6)
    shown.page.wait_for_timeout(300)
    link = shown.page.url.partition("#")[2]
    shown.go(f"#{link}")
    assert shown.page.get_by_label("Metric").input_value() == "accuracy"
    np.testing.assert_allclose(shown.drawn(MAP), surface().accuracy.values, rtol=1e-6)
    shown.clean()


def test_a_dragged_line_gives_the_profile_of_the_surface(study, window, tmp_path):
    shown = window(study, "#view=map")
    box = shown.page.locator(f"{MAP} .nsewdrag").bounding_box()
    at = [(box["x"] + s * box["width"], box["y"] + t * box["height"]) for s, t in ((0.1, 0.8), (0.9, 0.25))]
    shown.page.mouse.move(*at[0])
    shown.page.mouse.down()
    shown.page.mouse.move(*at[1], steps=4)
    shown.page.mouse.up()
    shown.until("document.querySelector('#profile')._fullLayout")
    ends = [float(field.input_value()) for field in shown.page.locator("#ends input").all()]
    np.testing.assert_allclose(ends, [-1.6, -0.5, 1.6, 0.875], atol=0.02)
    _profile_is_right(shown, ends)
    for field, value in zip(shown.page.locator("#ends input").all(), (-2, -1, 2, 1.5), strict=True):
        field.fill(str(value))
        field.press("Enter")
    shown.page.wait_for_timeout(300)
    _profile_is_right(shown, (-2, -1, 2, 1.5))
    shown.page.screenshot(path=tmp_path / "profile.png", full_page=True)
    shown.page.get_by_role("button", name="Clear").click()
    assert not shown.page.locator("#profile").is_visible()
    shown.clean()


def _profile_is_right(shown, ends):
    """Both splits, against another interpolation."""
    told = shown.page.locator("#profile").evaluate("p => p.data.map(t => [Array.from(t.x), Array.from(t.y)])")
    start, end = np.array(ends[:2]), np.array(ends[2:])
    for (x, y), name in zip(told, ("loss", "test_loss"), strict=True):
        assert x[-1] == pytest.approx(np.linalg.norm(end - start), rel=1e-3)
        places = start + np.linspace(0, 1, len(x))[:, None] * (end - start)
        inside = RegularGridInterpolator((A, B), surface()[name].values, bounds_error=False)(places)
        known = np.isfinite(inside) & np.array([v is not None for v in y])
        assert known.sum() > 250
        np.testing.assert_allclose(np.array(y, dtype=float)[known], inside[known], rtol=2e-3)


def test_values_are_read_under_the_pointer_and_by_arrow_keys(study, window):
    shown = window(study, "#view=map")
    box = shown.page.locator(f"{MAP} .nsewdrag").bounding_box()
    shown.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    shown.until("document.querySelector('#reading').textContent.includes('=')")
    assert shown.text("#reading").startswith("α = 0, β = 0 Training loss = 0.3")
    shown.page.mouse.move(0, 0)
    shown.page.locator(MAP).focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowUp"):
        shown.page.keyboard.press(key)
    said = shown.text("#reading")
    numbers = [float(part.split("=")[1].split()[0].strip(",")) for part in said.split("(")[0].split(", ")[:1]]
    assert numbers[0] in np.round(A, 4)
    value = float(said.rpartition("=")[2].split()[0])
    alpha, beta = numbers[0], float(said.split("β = ")[1].split()[0])
    assert value == pytest.approx(bowl(alpha, beta), rel=1e-3)
    shown.clean()


def test_a_marker_walks_the_path_on_the_map_and_in_space(study, window, tmp_path):
    shown = window(study, "#view=both")
    slide = shown.page.get_by_label("Place along it")
    slide.focus()
    slide.press("Home")
    slide.press("ArrowRight")
    assert shown.page.locator("#place").input_value() == "10"
    shown.page.locator("#place").fill("31")
    shown.page.locator("#place").press("Enter")
    assert shown.page.locator("#place").input_value() == "30"  # the nearest
    shown.page.wait_for_timeout(300)
    a, b = THETA[:, 3]
    (dot,) = shown.page.locator(MAP).evaluate("p => p.layout.shapes.map(s => [s.xanchor, s.yanchor])")
    np.testing.assert_allclose(dot, [a, b])
    trace = "p => {const t = p._fullData.at(-1); return [t.x[0], t.y[0], t.z[0]]}"
    x, y, z = shown.page.locator("#panels .plot").first.evaluate(trace)
    np.testing.assert_allclose([x, y], [a, b])
    assert bowl(a, b) < z < bowl(a, b) + 0.5  # it stands on the surface
    said = shown.text("#there")
    for word in ("step 30", f"{bowl(a, b) + 0.01:.4g}", f"{bowl(a, b):.4g}", "distance from the plane 0.3"):
        assert word in said
    shown.page.screenshot(path=tmp_path / "walk.png")
    shown.clean()


def test_two_surfaces_have_one_scale_and_one_camera(study, window, tmp_path):
    shown = window(study, "#view=space&theme=dark", size=(1000, 700))
    shown.page.locator("#against").select_option("surface/steep")
    shown.until("document.querySelectorAll('#panels .plot .gl-container canvas').length === 2")
    shown.settled()
    plots = shown.page.locator("#panels .plot")
    assert plots.count() == 2
    scales = [plots.nth(k).evaluate("p => [p._fullData[0].cmin, p._fullData[0].cmax]") for k in range(2)]
    assert scales[0] == scales[1]
    box = plots.first.bounding_box()
    before = plots.nth(1).evaluate("p => p._fullLayout.scene._scene.getCamera().eye")
    shown.page.mouse.move(box["x"] + 200, box["y"] + 200)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 300, box["y"] + 230, steps=3)
    shown.page.mouse.up()
    eye = "_fullLayout.scene._scene.getCamera().eye"
    both = f"const [a, b] = [...document.querySelectorAll('#panels .plot')].map(p => p.{eye})"
    shown.until(f"(() => {{{both}; return 'xyz'.split('').every(k => Math.abs(a[k] - b[k]) < 1e-3)}})()")
    assert plots.nth(1).evaluate(f"p => p.{eye}") != before
    shown.page.screenshot(path=tmp_path / "compared.png")
    shown.clean()


def test_what_is_seen_is_saved(study, window, open_page, tmp_path):
    shown = window(study, "#view=map&line=-1,0,1,0.5&metric=accuracy")
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("HTML", b"<!doctype html>")):
        with shown.page.expect_download() as download:
            shown.page.get_by_role("button", name=f"as {kind}").first.click()
        file = tmp_path / f"saved.{kind.lower()}"
        download.value.save_as(file)
        assert file.read_bytes().startswith(start), kind
    saved = open_page(tmp_path / "saved.html")
    kept = saved.page.locator(".js-plotly-plot").evaluate("p => [p.layout.title.text, p.layout.shapes.length]")
    assert "A bowl" in kept[0] or "ccuracy" in kept[0]
    assert kept[1] >= 4  # the line and the marker
    assert saved.complaints == saved.foreign == []
    shown.clean()


def test_other_kinds_damage_and_growth(own, window, tmp_path):
    (own / "surface" / "steep" / "zarr.json").write_text("{")
    tw.save(tw.computational_graph(lambda a, b: (a + b) * b, a=2.0, b=3.0), own, "graph/small")
    shown = window(own, "#result=spectrum/hessian", size=(800, 1200), scheme="dark")
    assert shown.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert shown.page.locator("#panels .plot").count() == 1
    shown.page.screenshot(path=tmp_path / "spectrum.png", full_page=True)
    shown.open("surface/steep")
    shown.until("!document.querySelector('#notice').hidden")
    assert "damaged" in shown.text("#notice")
    shown.open("graph/small")
    inside = shown.page.frame_locator("iframe.graph")
    inside.get_by_role("button", name="Backward").click()
    assert inside.locator("svg .operation, svg [class^=operation]").count() >= 2
    shown.open("path/bowl")
    assert shown.page.locator("iframe").count() == 0
    assert shown.page.locator("#notice").is_hidden()
    assert shown.page.locator("#panels .plot").count() == 1
    evil = surface(title="<img src=x onerror=document.title='taken'>")
    evil.attrs["model"] = "<script>document.title='taken'</script>"
    tw.save(evil, own, "surface/new")
    shown.page.get_by_role("button", name="Reload").click()
    shown.until("!!document.querySelector('[data-result=\"surface/new\"]')")
    shown.open("surface/new")
    shown.page.locator("summary").click()
    assert "<script>" in shown.text("#provenance")
    assert "taken" not in shown.page.title()
    refused = [text for text in shown.complaints if "422" in text]
    shown.complaints = [text for text in shown.complaints if text not in refused]
    shown.clean()


def test_the_first_picture_of_a_large_study_comes_and_its_time_is_told(window, tmp_path):
    grid = np.linspace(-1, 1, 101)
    words = {"role": "value", "units": "", "at_origin": 0.0}
    values = np.log1p(3 * (grid[:, None] ** 2 + 2 * grid[None] ** 2)) + 0.2 * np.sin(5 * grid[:, None])
    names = [(m, s) for m in ("loss", "accuracy") for s in ("train", "test")]
    told = {
        f"{'' if s == 'train' else 'test_'}{m}": (
            ("alpha", "beta"),
            values,
            words | {"metric": m, "split": s, "long_name": m},
        )
        for m, s in names
    }
    large = xr.Dataset(told, {"alpha": grid, "beta": grid}, {"kind": "surface", "coordinates": ["alpha", "beta"]})
    shown = window(tw.save(large, tmp_path / "large.zarr", "surface/large"), "#view=map")
    processor = shown.page.context.new_cdp_session(shown.page)
    processor.send("Performance.enable", {"timeDomain": "threadTicks"})  # its own time, however busy the machine is
    shown.go("#view=map")
    spent = {one["name"]: one["value"] for one in processor.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    wall = shown.page.evaluate("performance.getEntriesByName('first-picture')[0].startTime") / 1000
    print(f"first picture after {wall:.2f} s, of which the browser was busy {spent:.2f} s")
    assert shown.page.locator(".js-plotly-plot").first.is_visible()
    shown.clean()
