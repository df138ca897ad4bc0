"""The report: everything in a study, in one page that needs no network."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.apps import words
from thalweg.apps.report import report
from thalweg.store import results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A trained network's surface, line and path."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(60, 4), torch.randint(3, (60,))
    path = tmp_path_factory.mktemp("report") / "study.zarr"
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    with tw.Recorder(path).attach(model, optimizer, every=4) as recorder:
        for _ in range(40):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            recorder.log(loss)
            optimizer.step()
    problem = tw.ModuleProblem(
        model.eval(), (x, y), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=(x[:20], y[:20])
    )
    plane = tw.principal_plane(tw.load(path, "trajectory"))
    tw.loss_surface(problem, tw.random_plane(problem, seed=0), points=(15, 11), store=path)
    tw.loss_surface(problem, tw.random_line(problem, seed=0), points=15, store=path, name="surface/line")
    tw.loss_surface(problem, plane, points=15, store=path, adaptive=0.05)
    tw.save(tw.project_trajectory(tw.load(path, "trajectory"), plane, problem), path, "path/principal")
    return path


def test_every_result_of_the_study_is_on_the_page(study, tmp_path):
    page = report(study, tmp_path / "page.html").read_text()
    for name in results(study):
        if not name.startswith("path"):
            assert f"<code>{name}</code>" in page


def test_the_words_say_the_numbers_of_the_dataset(study):
    surface = tw.load(study, "surface/random")
    told = " ".join(words.surface(surface))
    assert words.number(float(surface.loss.max())) in told
    assert words.number(float(surface.loss.min())) in told
    assert words.number(surface.loss.attrs["at_origin"]) in told
    assert "15 x 11" in told


def test_the_words_say_how_far_the_path_is_from_the_plane(study):
    surface, path = tw.load(study, "surface/principal"), tw.load(study, "path/principal")
    told = " ".join(words.surface(surface, path))
    assert words.number(float(path.distance.max())) in told
    assert words.number(float(path.loss[-1])) in told
    assert words.number(float(path.projected_loss[-1])) in told


def test_the_words_count_what_is_not_finite():
    problem = tw.FunctionProblem(lambda x, y: torch.where(x > 0.5, torch.inf, x * y))
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=5)
    lost = int((~np.isfinite(surface.loss)).sum())
    assert f"{lost} of 25 values are not finite" in " ".join(words.surface(surface))


def test_points_still_to_come_are_not_called_infinite(study):
    surface = tw.load(study, "surface/random")
    surface.loss[:3] = np.nan
    surface.attrs["complete"] = False
    said = " ".join(tw.figures.surface(surface, backend="none").layers["loss"].notes)
    assert "33 of 165 points are not computed yet" in said
    assert "not finite" not in " ".join(words.surface(surface))


def test_a_title_cannot_bring_code_into_the_page(study, tmp_path):
    page = report(study, tmp_path / "page.html", title="<script>alert(1)</script>").read_text()
    assert "<script>alert(1)" not in page


def test_a_report_that_fails_leaves_the_old_one(study, tmp_path, monkeypatch):
    target = report(study, tmp_path / "page.html")
    before = target.read_bytes()

    def broken(*_args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        report(study, target)
    assert target.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["page.html"]


def test_one_damaged_result_does_not_take_the_page_away(study, tmp_path):
    copy = tmp_path / "copy.zarr"
    shutil.copytree(study, copy)
    for chunk in (copy / "surface" / "line" / "loss" / "c").rglob("*"):
        chunk.write_bytes(b"damaged")
    page = report(copy).read_text()
    assert "surface/line: could not be drawn" in page
    assert "<code>surface/random</code>" in page


def test_the_words_tell_the_error_of_every_predicted_quantity(study):
    surface = tw.load(study, "surface/principal")
    errors = json.loads(surface.attrs["interpolation_error"])
    told = " ".join(words.surface(surface))
    for name in ("accuracy", "test_accuracy"):
        assert f"{100 * errors[name] / float(np.ptp(surface[name].values)):.2g}%" in told
    del surface.attrs["interpolation_error"]
    assert "the error is not known" in " ".join(words.surface(surface))


def test_reports_of_studies_that_differ_after_the_dot_are_different_files(study, tmp_path):
    shutil.copytree(study, tmp_path / "lr0.1")
    assert report(tmp_path / "lr0.1").name == "lr0.1.html"


def test_a_study_without_anything_to_draw_is_refused(tmp_path):
    model = nn.Linear(2, 1)
    with tw.Recorder(tmp_path / "s.zarr").attach(model, torch.optim.SGD(model.parameters(), lr=0.1)):
        pass
    with pytest.raises(ValueError, match="nothing to draw"):
        report(tmp_path / "s.zarr")


@pytest.mark.slow
def test_the_page_opens_without_network_errors_or_foreign_requests(study, tmp_path, open_page):
    shown = open_page(report(study, tmp_path / "page.html"))
    assert shown.page.locator(".js-plotly-plot").count() == 7
    shown.page.screenshot(path=tmp_path / "page.png")
    assert shown.foreign == []
    assert shown.complaints == []


@pytest.mark.slow
def test_the_control_switches_metric_and_split(study, tmp_path, open_page):
    """After a choice in the dropdown the map's heights are those of the chosen quantity."""
    shown = open_page(report(study, tmp_path / "page.html"))
    surface = tw.load(study, "surface/random")
    plot = shown.page.locator("#surface-random .js-plotly-plot").nth(1)  # the contour map
    plot.scroll_into_view_if_needed()
    plot.locator(".updatemenu-header").click()
    plot.locator(".updatemenu-dropdown-button", has_text=re.compile("^Test loss$", re.I)).click()
    shown.page.wait_for_timeout(300)
    drawn = plot.evaluate("p => [p._fullData[0].z].flatMap(z => Array.from(z[0]).concat(Array.from(z[z.length - 1])))")
    rows = np.concatenate([surface.test_loss.values[:, 0], surface.test_loss.values[:, -1]])
    np.testing.assert_allclose(drawn, rows, rtol=1e-3)
