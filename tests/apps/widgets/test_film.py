"""The film: frames of any figure, moved by keys, by a typed number and by its button."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

import thalweg as tw
from thalweg.apps.widgets import Film
from thalweg.landscapes import LinearModel, linear_data, regression_problem


@pytest.fixture(scope="module")
def film():
    data = linear_data(seed=0)
    problem = regression_problem(LinearModel(), data)
    paths = tw.descend(problem, torch.zeros(1, 2), lambda w: torch.optim.SGD(w, lr=5e-3), steps=25, every=2)
    return tw.figures.animate(tw.figures.fit, tw.model_fit(problem, paths, data))


def test_it_takes_the_steps_and_leaves_plotlys_own_controls(film):
    shown = Film(film)
    assert shown.steps == [*range(0, 25, 2), 25]
    assert (shown.place, shown.unit) == (13, "step")
    content = json.loads(shown.film)
    assert len(content["frames"]) == 14
    assert not {"sliders", "updatemenus"} & set(content["layout"])
    assert content["layout"]["margin"]["b"] < film.layout.margin.b
    assert film.layout.sliders, "the figure itself stays as it was"


def test_what_is_no_film_is_refused():
    with pytest.raises(TypeError, match="without frames is no film"):
        Film(go.Figure(go.Scatter(y=[1, 2])))


def test_a_walk_along_a_curve_counts_t():
    plane = tw.coordinate_plane(problem := tw.FunctionProblem(lambda x, y: (x**2 + y**2 - 1) ** 2))
    chain = tw.connect(problem, [-1.0, 0.0], [1.0, 0.0], "polygonal", init=[[0.0, 0.5]], steps=5).curve
    shown = Film(
        tw.figures.animate(
            tw.figures.contour, tw.loss_surface(problem, plane, points=5), course=tw.course(chain, plane)
        )
    )
    assert shown.unit == "t"
    assert (shown.steps[0], shown.steps[-1]) == (0.0, 1.0)
    assert (np.diff(shown.steps) > 0).all()


@pytest.mark.slow
def test_keys_typed_numbers_and_the_button_move_it(film, open_page, tmp_path):
    opened = open_page(Film(film).standalone(tmp_path / "film.html"))
    page = opened.page
    place = lambda: int(page.locator(".film").get_attribute("data-place"))  # noqa: E731
    curve = page.locator(".film .cartesianlayer").first.inner_html
    page.wait_for_selector(".film[data-place] .js-line", state="attached")
    last, before = place(), curve()
    page.get_by_role("slider", name="Step").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(150)
    assert (last, place()) == (13, 12)
    page.get_by_label("Step, typed").fill("9")
    page.keyboard.press("Enter")
    page.wait_for_timeout(150)
    assert place() in (4, 5)  # recorded are 8 and 10
    assert curve() != before
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.film').dataset.place === '13'", timeout=10_000)
    page.wait_for_function("document.querySelector('button').textContent === 'Play'")
    page.screenshot(path=tmp_path / "film.png")
    assert (opened.foreign, opened.complaints) == ([], [])
