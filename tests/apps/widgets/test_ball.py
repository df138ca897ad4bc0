"""The ball: its way is that of `descend`; in the browser it rolls from where the reader puts it."""

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.apps.widgets import Ball, unpacked
from thalweg.landscapes import landscape


@pytest.fixture
def ball():
    return Ball.on(landscape("multiply-by-one"), start=[1.2, 0.3], steps=40)


def sent(ball):
    return {name: unpacked(ball.path[name]) for name in ("theta", "loss", "slope")}


def test_the_page_gets_the_iterates_of_gradient_descent(ball):
    """θ ← θ + 2 η (1 − t₁t₂) (t₂, t₁), step by step."""
    theta = np.array([1.2, 0.3])
    for seen in sent(ball)["theta"][0]:
        np.testing.assert_allclose(seen, theta, rtol=1e-6)
        theta = theta + 2 * 0.1 * (1 - theta.prod()) * theta[::-1]


@pytest.mark.parametrize("name", ["momentum", "Nesterov", "Adam"])
def test_optimisers_are_those_of_torch(ball, name):
    ball.optimizer, ball.learning_rate, ball.momentum = name, 0.02, 0.8
    makers = {
        "momentum": lambda w: torch.optim.SGD(w, lr=0.02, momentum=0.8),
        "Nesterov": lambda w: torch.optim.SGD(w, lr=0.02, momentum=0.8, nesterov=True),
        "Adam": lambda w: torch.optim.Adam(w, lr=0.02),
    }
    expected = tw.descend(ball.problem, [[1.2, 0.3]], makers[name], steps=40)
    np.testing.assert_allclose(sent(ball)["theta"], expected.theta, rtol=1e-6)
    np.testing.assert_allclose(sent(ball)["loss"], expected.loss, rtol=1e-6, atol=1e-30)


def test_one_message_makes_one_descent(ball, monkeypatch):
    runs = []
    monkeypatch.setattr("thalweg.apps.widgets.ball.descend", lambda *a, **k: runs.append(k) or tw.descend(*a, **k))
    ball.set_state({"start": [0.5, 0.5], "learning_rate": 0.3, "steps": 7, "asked": 1})
    assert [run["steps"] for run in runs] == [7]
    assert ball.path["asked"] == 1


def test_the_ball_comes_first_among_many_starts(ball):
    for many, count in (("circle", 25), ("grid", 122)):
        ball.many = many
        theta = sent(ball)["theta"]
        assert theta.shape == (count, 41, 2)
        np.testing.assert_allclose(theta[0, 0], [1.2, 0.3], rtol=1e-6)
    ball.many = "circle"
    np.testing.assert_allclose(np.linalg.norm(sent(ball)["theta"][:, 0], axis=1), np.hypot(1.2, 0.3), rtol=1e-6)


def test_a_path_that_diverges_is_told_as_it_is(ball):
    ball.learning_rate = 5.0
    assert not np.isfinite(sent(ball)["loss"][0, -1])


def test_settings_that_torch_refuses_are_told(ball):
    ball.learning_rate = -1.0
    assert "refuses" in ball.path["refused"]
    ball.learning_rate = 0.1
    assert "refused" not in ball.path


def test_the_saddle_is_a_start_like_any_other():
    ball = Ball.on(landscape("multiply-by-one"), start=[0.0, 0.0], steps=5)
    assert not sent(ball)["theta"].any()


def test_another_landscape_keeps_the_settings_and_the_ball_inside(ball):
    ball.learning_rate = 0.05
    ball.start = [1.9, -1.9]
    ball.show(landscape("l3").problem(), landscape("l3").extent)
    assert ball.learning_rate == 0.05
    assert ball.start == [1.5, -1.5]
    np.testing.assert_allclose(unpacked(ball.scene["heights"]), ball.surface.loss, rtol=1e-6)


def test_a_problem_of_more_weights_is_refused():
    with pytest.raises(ValueError, match="3 weights"):
        Ball(landscape("l0").problem().__class__(lambda x, y, z: x + y + z))


@pytest.mark.slow
def test_in_a_page_without_python_the_nearest_descent_is_shown(ball, open_page, tmp_path):
    page = open_page(ball.standalone(tmp_path / "ball.html"))
    root, says = page.page.locator(".tw-ball"), page.page.locator(".tw-says")
    canvas = page.page.locator("canvas.tw-map")
    picture = "c => c.toDataURL()"
    before = canvas.evaluate(picture)
    page.page.get_by_label("Start t1").fill("-1.02")
    page.page.keyboard.press("Enter")
    page.page.get_by_label("t2", exact=True).fill("-0.3")
    page.page.keyboard.press("Enter")
    assert "from (−1, −0.333)" in says.inner_text()  # of the 13 x 13 starts, a third apart
    assert "no Python" in says.inner_text()
    assert canvas.evaluate(picture) != before
    page.page.screenshot(path=tmp_path / "ball.png")
    page.page.get_by_label("Learning rate", exact=True).select_option("0.03")
    assert "lr=0.03" in says.inner_text()
    drawn = int(root.get_attribute("data-drawn"))
    canvas.focus()
    page.page.keyboard.press("ArrowUp")
    assert int(root.get_attribute("data-drawn")) == drawn + 1
    surface = page.page.locator("canvas.tw-relief")
    turned = surface.evaluate(picture)
    surface.focus()
    page.page.keyboard.press("ArrowLeft")
    page.page.wait_for_timeout(100)
    assert surface.evaluate(picture) != turned
    assert not page.complaints
    assert not page.foreign
