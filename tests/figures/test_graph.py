"""Graphs as pages and as SVG: nothing overlaps, nothing is missing, nothing is asked of another host."""

import json
import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg import figures
from thalweg.figures.graph_place import scene

SVG = "{http://www.w3.org/2000/svg}"


class Residual(nn.Module):
    """A block of a ResNet."""

    def __init__(self, channels=4):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.act(self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))) + x)


@pytest.fixture(scope="module")
def drawn():
    """Graphs by name, made once."""
    torch.manual_seed(0)
    two = nn.Sequential(Residual(), Residual())
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return {
        "expression": tw.computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0),
        "negative": tw.computational_graph(lambda a, b: -(a**2) * b + (a - b).tanh(), a=-2.0, b=3.0),
        "mlp": tw.computational_graph(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)), torch.randn(5, 8)),
        "residual": tw.computational_graph(two, torch.randn(1, 4, 6, 6)),
        "encoder": tw.computational_graph(encoder, torch.randn(1, 5, 8)),
    }


def boxes(view, opened):
    """(name, left, top, right, bottom) of what is no open module."""
    made = scene(view, opened)
    found = [(view.nodes[n]["name"], x, y, x + view.nodes[n]["w"], y + view.nodes[n]["h"]) for n, x, y in made.nodes]
    found += [(view.calls[c]["name"], x, y, x + w, y + h) for c, x, y, w, h, is_open in made.calls if not is_open]
    found += [(words, x - 4 * len(words), y - 8, x + 4 * len(words), y + 8) for words, x, y, _ in made.labels]
    return found, made


def overlap(one, other):
    return min(one[3], other[3]) - max(one[1], other[1]) > 0.1 and min(one[4], other[4]) - max(one[2], other[2]) > 0.1


GRAPHS = ["expression", "negative", "mlp", "residual", "encoder"]


@pytest.mark.parametrize("opened", ["none", "all", "first"])
@pytest.mark.parametrize("name", GRAPHS)
def test_no_box_overlaps_another_or_leaves_the_picture(drawn, name, opened):
    for view in figures.graph(drawn[name]).views.values():
        calls = range(len(view.calls))
        found, made = boxes(view, {"none": set(), "all": set(calls), "first": set(calls[:1])}[opened])
        assert found
        for one, other in combinations(found, 2):
            assert not overlap(one, other), f"{one} overlaps {other} in {view.name}"
        for box in found:
            assert min(box[1], box[2]) >= -0.1
            assert box[3] <= made.width + 0.1
            assert box[4] <= made.height + 0.1


@pytest.mark.parametrize("name", ["mlp", "residual", "encoder"])
def test_what_is_inside_a_module_lies_inside_its_frame_below_its_title(drawn, name):
    for view in figures.graph(drawn[name]).views.values():
        made = scene(view, set(range(len(view.calls))))
        frames = {c: (x, y, x + w, y + h) for c, x, y, w, h, _ in made.calls}
        inside = [(view.nodes[n]["module"], x, y, view.nodes[n]["w"], view.nodes[n]["h"]) for n, x, y in made.nodes]
        inside += [(view.calls[c]["module"], x, y, w, h) for c, x, y, w, h, _ in made.calls]
        for module, x, y, w, h in inside:
            if module >= 0:
                left, top, right, bottom = frames[module]
                assert left < x
                assert x + w < right
                assert top + 30 < y
                assert y + h < bottom


def test_edges_point_the_way_the_pass_runs(drawn):
    for name in GRAPHS:
        for view in figures.graph(drawn[name]).views.values():
            made = scene(view, set(range(len(view.calls))))
            top = {n: y for n, _, y in made.nodes}
            assert all(top[link.tail] + view.nodes[link.tail]["h"] < top[link.head] for link in view.links)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", GRAPHS)
def test_svg_is_valid_and_has_every_box_once(drawn, name, theme):
    figure = figures.graph(drawn[name], open="all", theme=theme)
    root = ET.fromstring(figure.to_svg())
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label")
    assert "var(" not in figure.to_svg()
    groups = [g.get("class") for g in root.iter(f"{SVG}g")]
    view = figure.views[figure.view]
    roles = ("operation", "input", "parameter", "buffer", "constant")
    assert sum(g.split()[0] in roles for g in groups if g) == len(view.nodes)
    assert groups.count("open") == len(view.calls)
    width, height = float(root.get("width")), float(root.get("height"))
    numbers = [float(v) for p in root.iter(f"{SVG}path") for v in re.findall(r"(?<![a-z-])\d+\.\d", p.get("d"))]
    assert max(numbers) < max(width, height)


def test_backward_of_numbers_says_the_chain_rule(drawn):
    said = [
        text.text
        for text in ET.fromstring(figures.graph(drawn["expression"], view="backward").to_svg()).iter(f"{SVG}text")
    ]
    for words in ("gradient 4", "gradient 9", "4 × 1 = 4", "5 × 1 = 5", "1 × 4 = 4", "1 × 5 = 5"):
        assert words in said
    forward = [text.text for text in ET.fromstring(figures.graph(drawn["expression"]).to_svg()).iter(f"{SVG}text")]
    assert {"= 2", "= 3", "= 5", "= 4", "= 20", "+ 1"} <= set(forward)


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


@pytest.mark.parametrize("name", GRAPHS)
def test_the_page_asks_nobody_for_anything(drawn, name):
    page = figures.graph(drawn[name]).to_html()
    loads = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)|@import\s+(\S+)""", page)
    assert all(any(part.startswith("data:") for part in found) for found in loads)
    for address in re.findall(r"https?://[^\s\"'<]*", page):
        assert address == "http://www.w3.org/2000/svg"
    assert "fetch(" not in page
    assert '<html lang="en">' in page


def test_the_page_tells_paths_apart(drawn):
    paths = {p["leaf"]: p for p in data_of(figures.graph(drawn["expression"]).to_html())["paths"]}
    assert [p["route"] for p in paths["b"]["paths"]] == ["b → + → ×", "b → + 1 → ×"]
    assert [p["product"] for p in paths["b"]["paths"]] == ["1 × 4 = 4", "1 × 5 = 5"]
    assert paths["b"]["gradient"] == "9"
    assert paths["a"]["count"] == "1"


def test_words_from_outside_cannot_break_the_page():
    ds = tw.computational_graph(lambda a: a * 2, a=1.0, title="</script><b>&")
    figure = figures.graph(ds)
    assert "</script><b>" not in figure.to_html()
    assert "&lt;/script&gt;" in figure.to_html()
    ET.fromstring(figure.to_svg())


def test_modules_fold_and_open(drawn):
    def shown(open):
        root = ET.fromstring(figures.graph(drawn["residual"], open=open).to_svg())
        groups = [g.get("class") or "" for g in root.iter(f"{SVG}g")]
        return groups.count("call"), groups.count("open")

    assert shown("none") == (2, 0)
    assert shown(["0"]) == (1 + 6, 1)
    assert shown(["0.conv1"]) == (1 + 5, 2)
    assert shown("all") == (0, 14)
    with pytest.raises(ValueError, match=r"no module 'head'; there are 0, 0\.conv1"):
        figures.graph(drawn["residual"], open="head")


def test_large_graphs_start_folded_and_small_ones_open(drawn):
    assert len(figures.graph(drawn["mlp"]).opened) == 3
    deep = tw.computational_graph(
        nn.Sequential(*(nn.Sequential(nn.Tanh(), nn.Tanh()) for _ in range(25))), torch.ones(2)
    )
    figure = figures.graph(deep)
    assert not figure.opened
    assert figure.view == "forward"
    assert len(ET.fromstring(figure.to_svg()).findall(f".//{SVG}g[@class='call']")) == 25


def test_saving_and_refusals(drawn, tmp_path):
    figure = figures.graph(drawn["mlp"])
    assert figures.save(figure, tmp_path / "graph.html").read_text() == figure.to_html()
    assert figures.save(figure, tmp_path / "graph.svg").read_text() == figure.to_svg()
    assert "srcdoc" in figure._repr_html_()
    for suffix in (".png", ".pdf", ".gif", ".mp4"):
        with pytest.raises(ValueError, match=r"becomes \.html or \.svg"):
            figures.save(figure, tmp_path / f"graph{suffix}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.html", "graph.svg"]
    with pytest.raises(ValueError, match="'sideways'"):
        figures.graph(drawn["mlp"], view="sideways")
    with torch.no_grad():
        flat = tw.computational_graph(nn.Tanh(), torch.ones(2))
    with pytest.raises(ValueError, match="no backward pass"):
        figures.graph(flat, view="backward")
    assert figures.picture(drawn["mlp"]).to_svg() == figure.to_svg()
