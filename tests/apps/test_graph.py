"""Graphs of a study in its report and in the explorer."""

import base64
import re
import xml.etree.ElementTree as ET

import pytest
import torch
from starlette.testclient import TestClient
from torch import nn

import thalweg as tw
from thalweg.apps.explorer import application
from thalweg.apps.report import report


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    where = tmp_path_factory.mktemp("graphs") / "study.zarr"
    expression = tw.computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0, title="a < b")
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))

    def long(a):
        for _ in range(150):
            a = a.sin()
        return a

    tw.save(expression, where, "graph/expression")
    tw.save(tw.computational_graph(model, torch.randn(5, 8)), where, "graph/mlp")
    tw.save(tw.computational_graph(long, a=1.0, title="Long"), where, "graph/long")
    return where


def drawn(address):
    return ET.fromstring(base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")))


def test_the_report_shows_graphs_and_says_where_one_is_too_large(study, tmp_path):
    page = report(study, tmp_path / "page.html").read_text()
    assert "could not be drawn" not in page
    pictures = re.findall(r'<img class="graph" alt="([^"]*)" src="([^"]*)"', page)
    assert [alt for alt, _ in pictures] == ["a &lt; b: computational graph", "Sequential: computational graph"]
    assert "linear" in "".join(drawn(pictures[1][1]).itertext())
    assert "The gradient: 4 in a, 9 in b." in page
    assert page.count("too many operations outside of modules") == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_explorer_shows_both_passes(study, theme):
    client = TestClient(application(study), base_url="http://127.0.0.1")
    told = client.get("/api/result", params={"name": "graph/mlp"}).json()
    assert told["heading"] == "Sequential"
    assert told["pictures"] == ["picture", "backward"]
    assert "161 parameters" in told["sentences"][0]
    for view, words in (("picture", "tanh"), ("backward", "TanhBackward0")):
        asked = {"name": "graph/mlp", "view": view, "theme": theme}
        (image,) = client.get("/api/picture", params=asked).json()["layout"]["images"]
        picture = drawn(image["source"])
        assert words in "".join(picture.itertext())
        width, height = (float(picture.get(side)) for side in ("width", "height"))
        assert (image["sizex"], image["sizey"]) == pytest.approx((width, height), abs=0.6)


def test_the_explorer_says_where_a_graph_is_too_large(study):
    client = TestClient(application(study), base_url="http://127.0.0.1")
    reply = client.get("/api/picture", params={"name": "graph/long", "view": "picture"})
    assert reply.status_code == 422
    assert "too many operations" in reply.json()["error"]
