"""What the server tells: the numbers of the datasets, and what is wrong with those that cannot be read."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

import thalweg as tw
from tests.apps.explorer.conftest import THETA, bowl, surface
from thalweg.apps.explorer import application

KEYS = ("kind", "coordinates", "title", "order", "complete", "subspace", "subspace_id", "on", "role", "metric", "split")
BOWL = {"name": "surface/bowl", "variable": "loss"}


def client(where):
    return TestClient(application(where), base_url="http://127.0.0.1")


def told(client, what, **asked):
    reply = client.get(f"/api/{what}", params=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()


def array(spec):
    numbers = np.frombuffer(base64.b64decode(spec["bdata"]), np.dtype(spec["dtype"]))
    return numbers.reshape([int(n) for n in spec["shape"].split(",")]) if "shape" in spec else numbers


def names(client):
    groups = told(client, "study")["groups"]
    return {group["title"]: [one["name"] for one in group["results"]] for group in groups}


def test_results_are_grouped_by_what_they_are(study):
    assert names(client(study)) == {
        "Surfaces": ["surface/bowl", "surface/steep"],
        "Profiles": ["surface/line"],
        "Training": ["path/bowl"],
        "Curvature": ["spectrum/hessian"],
    }


def test_the_values_are_those_of_the_dataset_to_the_last_bit(study):
    grid = told(client(study), "grid", **BOWL)
    values = np.frombuffer(base64.b64decode(grid["values"]), "<f8").reshape(21, 17)
    loaded = tw.load(study, "surface/bowl")
    np.testing.assert_array_equal(values, loaded.loss.values)
    np.testing.assert_array_equal(grid["x"]["values"], loaded.alpha.values)
    assert grid["commensurate"]


def test_a_walk_goes_through_the_steps_of_the_path_on_the_surface(study):
    (walker,) = told(client(study), "walk", **BOWL, on="path:path/bowl")["walkers"]
    assert walker["values"] == [10.0 * k for k in range(12)]
    np.testing.assert_allclose([walker["x"][0], walker["y"][0]], THETA)
    np.testing.assert_allclose(walker["z"][0], bowl(*THETA))
    np.testing.assert_allclose(walker["true"][0], bowl(*THETA) + 0.01)
    np.testing.assert_allclose(walker["distance"][0], 0.1 * np.arange(12))


def test_a_walk_on_a_logarithmic_surface_goes_at_logarithms(study):
    (walker,) = told(client(study), "walk", **BOWL, on="path:path/bowl", log="true")["walkers"]
    np.testing.assert_allclose(walker["z"][0], np.log10(bowl(*THETA)))


@pytest.mark.parametrize("view", ["space", "map"])
def test_two_surfaces_are_drawn_on_one_scale(study, view):
    asked = {"view": view, "variable": "loss", "like_variable": "loss"}
    one = told(client(study), "picture", name="surface/bowl", like="surface/steep", **asked)
    other = told(client(study), "picture", name="surface/steep", like="surface/bowl", **asked)
    assert one["range"] == other["range"]
    low, high = ("cmin", "cmax") if view == "space" else ("zmin", "zmax")
    assert [one["data"][0][k] for k in (low, high)] == [other["data"][0][k] for k in (low, high)]
    assert one["data"][0]["colorbar"]["tickvals"] == other["data"][0]["colorbar"]["tickvals"]
    alone = told(client(study), "picture", name="surface/bowl", view=view, variable="loss")
    assert alone["range"] != one["range"]
    drawn = array(one["data"][0]["z"])
    np.testing.assert_allclose(drawn, np.minimum(surface().loss.values.T, one["range"][1]), rtol=1e-6)


def test_metric_split_and_scale_choose_what_is_drawn(study):
    page = client(study)
    test = told(page, "picture", name="surface/bowl", variable="test_loss", view="map", log="true")
    assert test["log"]
    np.testing.assert_allclose(array(test["data"][0]["z"]), np.log10(surface().test_loss.values.T), rtol=1e-5)
    accuracy = told(page, "picture", name="surface/bowl", variable="accuracy", view="map")
    assert not accuracy["switch"]  # no logarithm of bounded scores


def test_every_kind_has_its_picture_and_where_it_comes_from(study):
    page = client(study)
    for name in ("surface/line", "path/bowl", "spectrum/hessian"):
        result = told(page, "result", name=name)
        assert result["provenance"]
        for view in result["pictures"]:
            assert told(page, "picture", name=name, view=view, theme="dark")["data"]
    rows = dict(told(page, "result", name="surface/bowl")["provenance"])
    assert rows["seed"] == "7"


def test_a_path_names_the_surfaces_that_it_lies_on(study):
    page = client(study)
    lies = told(page, "result", name="path/bowl")["grounds"]
    assert lies == [{"name": name, "on": "path:path/bowl"} for name in ("surface/bowl", "surface/steep")]
    assert told(page, "result", name="surface/bowl")["grounds"] == []
    offers = told(page, "result", name="surface/bowl")["surface"]["offers"]
    assert [(one["id"], one["label"], one["on"]) for one in offers] == [("path:path/bowl", "path", True)]


def test_what_is_seen_becomes_a_page_that_needs_no_network(study):
    page = client(study)
    seen = told(page, "picture", **BOWL, view="map")
    reply = page.post("/api/page", json={"data": seen["data"], "layout": seen["layout"]})
    assert reply.status_code == 200
    assert reply.text.count("<html") == 1
    assert not re.search(r"<(script|link)[^>]+(src|href)=", reply.text)
    assert len(reply.content) > 3e6


DAMAGES = {
    "metadata": lambda a: (a / "zarr.json").write_text("{"),
    "array metadata": lambda a: (a / "loss" / "zarr.json").write_text("[]"),
    "chunks": lambda a: [f.write_bytes(b"no") for f in (a / "loss" / "c").rglob("*") if f.is_file()],
    "a missing coordinate": lambda a: shutil.rmtree(a / "alpha"),
    "attrs": lambda a: _attrs(a, coordinates=3),
    "another kind": lambda a: _attrs(a, kind="hologram"),
    "no kind": lambda a: _attrs(a, kind=None),
}


def _attrs(folder, **changes):
    told = json.loads((folder / "zarr.json").read_text())
    told["attributes"] = {k: v for k, v in (told["attributes"] | changes).items() if v is not None}
    (folder / "zarr.json").write_text(json.dumps(told))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_says_what_is_wrong_and_the_others_stay(own, damage):
    DAMAGES[damage](own / "surface" / "steep")
    page = client(own)
    assert any("surface/steep" in group for group in names(page).values())
    reply = page.get("/api/result", params={"name": "surface/steep"})
    assert reply.status_code == 422
    assert len(reply.json()["error"]) > 20
    assert told(page, "picture", **BOWL, view="map")["data"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=8)
@given(attributes=JSON, array=JSON)
def test_whatever_stands_in_the_metadata_the_list_is_shown(tmp_path_factory, attributes, array):
    where = tw.save(surface(), tmp_path_factory.mktemp("any") / "s.zarr", "surface/bowl")
    shutil.copytree(where / "surface" / "bowl", where / "surface" / "odd")
    odd = where / "surface" / "odd"
    for file, changed in ((odd / "zarr.json", attributes), (odd / "loss" / "zarr.json", array)):
        metadata = json.loads(file.read_text())
        merged = isinstance(changed, dict) and isinstance(metadata["attributes"], dict)
        metadata["attributes"] = metadata["attributes"] | changed if merged else changed
        file.write_text(json.dumps(metadata))
    page = client(where)
    assert "surface/bowl" in names(page)["Surfaces"]
    assert page.get("/api/result", params={"name": "surface/odd"}).status_code in (200, 404, 422)
    assert told(page, "result", name="surface/bowl")["kind"] == "surface"


def test_an_empty_study_says_so(own):
    for child in own.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
    found = told(client(own), "study")
    assert found["groups"] == []
    assert "no results yet" in found["message"]


def test_what_is_no_study_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, error in (("file", ValueError), ("folder", ValueError), ("nothing", FileNotFoundError)):
        with pytest.raises(error, match=name):
            application(tmp_path / name)


def test_a_study_that_goes_away_says_so(own):
    page = client(own)
    shutil.rmtree(own)
    reply = page.get("/api/study")
    assert reply.status_code == 410
    assert "no study" in reply.json()["error"]


def test_a_growing_study_is_read_again(own):
    page = client(own)
    before = told(page, "grid", **BOWL)
    told(page, "picture", **BOWL, view="map")
    tw.save(surface(lambda a, b, _="train": 2 * bowl(a, b)), own, "surface/bowl", overwrite=True)
    assert told(page, "grid", **BOWL)["values"] != before["values"]
    tw.save(surface(), own, "surface/new")
    assert "surface/new" in names(page)["Surfaces"]


def test_a_grid_that_is_being_computed_is_called_incomplete(tmp_path):
    problem = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    where = tmp_path / "s.zarr"
    tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=9, store=where, name="surface/live")
    group = where / "surface" / "live"
    _attrs(group, complete=None)
    shutil.rmtree(group / "status" / "c")
    page = client(where)
    assert not told(page, "study")["groups"][0]["results"][0]["complete"]
    assert not told(page, "result", name="surface/live")["complete"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"name": "surface/none"}, 404, "no result `surface/none`"),
        ({}, 400, "lacks `name`"),
        ({"name": "surface/bowl", "view": "map", "variable": "lost"}, 404, "it has loss"),
        ({"name": "surface/bowl", "view": "map", "variable": "loss", "log": "maybe"}, 400, "auto, true, false"),
        ({"name": "surface/bowl", "view": "map", "variable": "loss", "theme": "pink"}, 400, "light or dark"),
        ({"name": "surface/bowl", "view": "map", "variable": "loss", "at": "gamma"}, 400, "gamma:3"),
        ({"name": "surface/line", "view": "map", "variable": "loss"}, 422, "one coordinate"),
        ({"name": "path/bowl", "view": "hologram"}, 404, "it has picture"),
        ({"name": "surface/bowl", "view": "map", "variable": "loss", "on": "path:surface/steep"}, 422, "kind"),
    ],
)
def test_questions_that_cannot_be_answered_say_why(study, asked, status, words):
    reply = client(study).get("/api/picture", params=asked)
    assert reply.status_code == status
    assert words in reply.json()["error"]


def test_a_box_is_cut_where_the_slider_says(tmp_path):
    problem = tw.FunctionProblem(lambda x, y, z: x**2 + y**2 + 3 * z)
    box = tw.loss_surface(
        problem,
        tw.Box(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)),
        extent=1.0,
        points=(5, 5, 3),
    )
    page = client(tw.save(box, tmp_path / "s.zarr", "surface/box"))
    third = box.attrs["coordinates"][2]
    (depth,) = told(page, "result", name="surface/box")["surface"]["depths"]
    assert depth["values"] == [-1.0, 0.0, 1.0]
    grid = told(page, "grid", name="surface/box", variable="loss", at=f"{third}:2")
    values = np.frombuffer(base64.b64decode(grid["values"]), "<f8").reshape(5, 5)
    np.testing.assert_array_equal(values, box.loss.isel({third: 2}).values)
