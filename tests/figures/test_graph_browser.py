"""The page of a graph in a real browser: modules open by click and by key, and nobody is asked for anything."""

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg import figures

pytestmark = pytest.mark.slow
PLACES = r"""(of) => [...document.querySelectorAll(`${of} > g > g[transform]`)].map(
  g => g.getAttribute("transform").match(/-?[\d.]+/g).map(Number))"""


def boxes(page):
    """What stands where, and what of it is open."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('#canvas [data-key]')].map(g => {
             const r = g.querySelector('rect:not(.behind)').getBoundingClientRect();
             const [x, y, w] = [r.x, r.y, r.width].map(Math.round);
             return [g.dataset.key, [g.getAttribute('aria-expanded'), x, y, w]]}))"""
    )


@pytest.fixture
def shown(tmp_path, open_page):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    ds = tw.computational_graph(nn.Sequential(block, nn.Linear(4, 1)), torch.randn(2, 4))
    return open_page(figures.save(figures.graph(ds, open="none", parameters=False), tmp_path / "graph.html"))


def test_a_click_opens_a_module_and_another_closes_it(shown, tmp_path):
    page = shown.page
    folded, picture = boxes(page), page.screenshot()
    assert [v[0] for k, v in folded.items() if k.startswith("c")] == ["false", "false"]
    page.locator("[data-key=c0] > .name").click()
    opened = boxes(page)
    assert opened["c0"][0] == "true"
    assert opened["c0"][3] > folded["c0"][3]
    assert len(opened) == len(folded) + 2
    assert page.screenshot() != picture
    assert abs(opened["c0"][2] - folded["c0"][2]) <= 1  # its upper edge stays under the pointer
    page.locator("[data-key=c0] > .title").click()
    assert boxes(page) == folded
    page.get_by_role("button", name="Open all").click()
    assert all(v[0] == "true" for k, v in boxes(page).items() if k.startswith("c"))
    page.get_by_role("button", name="Backward").click()
    assert page.locator("#canvas text", has_text="AddmmBackward0").count() == 2
    page.get_by_role("button", name="Parameters").click()
    assert page.locator("#canvas .parameter").count() == 4
    page.get_by_role("button", name="Light or dark").click()
    page.screenshot(path=tmp_path / "dark.png")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert (shown.foreign, shown.complaints) == ([], [])


def test_keys_walk_open_close_and_zoom(shown):
    page = shown.page
    focused = "() => document.activeElement.getAttribute('data-key')"
    page.locator("#canvas [data-key]").first.focus()
    assert page.evaluate(focused) == "n0"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "c0"
    assert page.locator("#what").text_content() == "0"
    page.keyboard.press("Enter")
    assert boxes(page)["c0"][0] == "true"
    assert page.evaluate(focused) == "c0"
    page.keyboard.press("ArrowDown")
    inner = page.evaluate(focused)
    assert inner not in ("c0", "n0")
    page.keyboard.press("Escape")
    assert boxes(page)["c0"][0] == "false"
    assert page.evaluate(focused) == "c0"
    before = boxes(page)["c0"][3]
    page.keyboard.press("+")
    assert boxes(page)["c0"][3] > before
    page.keyboard.press("0")
    assert (shown.foreign, shown.complaints) == ([], [])


def test_the_page_draws_the_picture_of_the_svg(tmp_path, open_page):
    """The layout is written twice, in Python and in JavaScript."""
    ds = tw.computational_graph(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(1, 5, 8))
    for view in ("forward", "backward"):
        figure = figures.graph(ds, open="all", view=view)
        page = open_page(figures.save(figure, tmp_path / f"{view}.html")).page.evaluate(PLACES, "#canvas")
        svg = open_page(figures.save(figure, tmp_path / f"{view}.svg")).page.evaluate(PLACES, ".graph")
        assert len(page) == len(svg) == len(figure.views[figure.view].nodes) + 8
        for x, y in page:
            assert min(max(abs(x - u), abs(y - v)) for u, v in svg) < 0.11


def test_paths_light_up(tmp_path, open_page):
    ds = tw.computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0)
    shown = open_page(figures.save(figures.graph(ds), tmp_path / "graph.html"))
    page = shown.page
    page.locator("#route-list button", has_text="b → + 1 → ×").hover()
    assert page.locator("#canvas .lit").count() == 2
    page.locator("h1").hover()
    assert page.locator("#canvas .lit").count() == 0
    assert (shown.foreign, shown.complaints) == ([], [])
