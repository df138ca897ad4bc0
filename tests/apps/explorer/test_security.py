"""Who may ask, and for what: nothing outside of the study, nobody but this machine."""

import contextlib
import http.client
import itertools
import os
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from thalweg.apps.explorer import application

OUTSIDE = [
    "../secret",
    "surface/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "%2e%2e/secret",
    "..%2fsecret",
    "surface\\..\\..\\secret",
    "surface/bowl\0",
    "surface/bowl/../steep",
    "surface/bowl/",
    "./surface/bowl",
    ".hidden",
    "zarr.json",
    "surface/bowl\n",
    "~",
    "C:\\secret",
]


@pytest.fixture
def client(own):
    (own.parent / "secret").mkdir()
    (own.parent / "secret" / "zarr.json").write_bytes((own / "surface" / "bowl" / "zarr.json").read_bytes())
    return TestClient(application(own), base_url="http://127.0.0.1")


def test_a_name_that_leads_elsewhere_is_refused(client):
    for name, what in itertools.product(OUTSIDE, ("result", "picture", "grid", "walk")):
        reply = client.get(f"/api/{what}", params={"name": name, "variable": "loss", "view": "map"})
        assert reply.status_code in (400, 404), (name, what)
        assert "error" in reply.json()


@pytest.mark.parametrize("key", ["on", "like"])
def test_what_lies_on_a_surface_and_what_it_is_compared_with_are_guarded_too(client, key):
    asked = {"name": "surface/bowl", "variable": "loss", "view": "map", "like_variable": "loss"}
    reply = client.get("/api/picture", params=asked | {key: "path:../secret" if key == "on" else "../secret"})
    assert reply.status_code == 400


def test_files_of_the_page_are_all_that_is_served(own, served):
    there = urlsplit(served(own))
    for path in ("../guard.py", "%2e%2e/guard.py", "..%2f..%2fpage.py", "/etc/passwd", "../../../x"):
        with contextlib.closing(http.client.HTTPConnection(there.hostname, there.port)) as connection:
            connection.request("GET", f"/static/{path}")  # as it is: clients tidy such paths up
            with connection.getresponse() as reply:
                assert reply.status in (400, 404), path


@pytest.mark.parametrize("where", ["surface/out", "surface/bowl/loss", "surface/bowl/loss/c", "surface"])
def test_a_symbolic_link_is_not_followed(client, own, where):
    target = own.parent / "elsewhere"
    place = own.joinpath(*where.split("/"))
    if place.exists():
        place.rename(target)
    else:
        (own / "surface" / "steep").rename(target)
    os.symlink(target, place)
    name = "surface/out" if where.endswith("out") else "surface/bowl"
    reply = client.get("/api/grid", params={"name": name, "variable": "loss"})
    assert reply.status_code in (404, 422)
    assert "symbolic link" in reply.json()["error"]
    assert client.get("/api/result", params={"name": "path/bowl"}).status_code == 200


def test_other_hosts_are_refused(client):
    hosts = ["example.org", "example.org:80", "127.0.0.1.example.org", "localhost.example.org", "127.0.0.1@example.org"]
    hosts += ["", "[::1", "127.0.0.1:x", "0.0.0.0", "169.254.1.1"]
    for host, path in itertools.product(hosts, ("/", "/api/study", "/static/main.js", "/plotly.min.js")):
        assert client.get(path, headers={"host": host}).status_code == 400, (host, path)


def test_names_of_this_machine_are_answered(client):
    for host in ("127.0.0.1", "127.0.0.1:8123", "localhost:80", "LOCALHOST"):
        assert client.get("/api/study", headers={"host": host}).status_code == 200, host


def test_another_sites_page_cannot_ask(client):
    for origin in ("http://example.org", "null", "https://127.0.0.1", "http://127.0.0.1:9"):
        reply = client.get("/api/study", headers={"origin": origin})
        assert reply.status_code == 403
    assert client.get("/api/study", headers={"origin": "http://127.0.0.1"}).status_code == 200
    sent = client.post("/api/page", json={}, headers={"sec-fetch-site": "cross-site"})
    assert sent.status_code == 403


def test_the_page_may_only_talk_to_its_own_server(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "http" not in policy.replace("http-equiv", "")


def test_only_questions_and_one_kind_of_message_are_taken(client):
    for path in ("/", "/api/study", "/api/result", "/static/main.js"):
        assert client.post(path).status_code == 405
    assert client.post("/api/page", content="x", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/api/page", json={"data": 1}).status_code == 400


def test_a_figure_that_is_too_large_is_not_taken(client, monkeypatch):
    monkeypatch.setattr("thalweg.apps.explorer.server._MOST", 100)
    assert client.post("/api/page", json={"data": [], "layout": {"x": "y" * 200}}).status_code == 413


def test_nothing_in_the_study_is_changed_by_looking(client, own):
    def state():
        return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(own.rglob("*"))}

    before = state()
    for name in ("surface/bowl", "surface/line", "path/bowl", "spectrum/hessian", "surface/none"):
        client.get("/api/result", params={"name": name})
        client.get("/api/picture", params={"name": name, "view": "picture"})
    assert state() == before
