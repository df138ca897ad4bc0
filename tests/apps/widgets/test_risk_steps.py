"""Stochastic descent sample by sample: the page gets what was measured, and walks through it."""

import base64

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.apps.widgets import RiskSteps, unpacked
from thalweg.landscapes import expected_risk, perceptron_data, perceptron_problem


@pytest.fixture(scope="module")
def measured():
    data = perceptron_data(30)
    problem = perceptron_problem(data)
    plane = tw.coordinate_plane(problem)
    return data, problem, plane, tw.risk(problem, plane, extent=5.0, points=31, expected=expected_risk)


def descent(measured, start, batch=1):
    _, problem, plane, _ = measured
    path = tw.descend(
        problem, [start], lambda w: torch.optim.SGD(w, lr=0.01), steps=20, batch_size=batch, shuffle=False
    )
    return tw.project_trajectory(path, plane)


@pytest.fixture
def walk(measured):
    return RiskSteps(measured[3], descent(measured, [3.0, -4.0]), examples=measured[0])


def decoded(value):
    codes = np.frombuffer(base64.b64decode(value["data"]), "<u2").reshape(value["shape"])
    return value["low"] + value["span"] * (codes / value["full"]) ** 2


def test_risks_arrive_as_exact_as_a_screen_can_show(measured, walk):
    """Half a step of the square root r at risk r² is r / 65,535 of the span."""
    risk = measured[3]
    for name, told in (
        ("pointwise", risk.pointwise_risk.transpose("example", "alpha", "beta")),
        ("empirical_risk", risk.empirical_risk),
        ("expected_risk", risk.expected_risk),
    ):
        np.testing.assert_allclose(decoded(walk.maps[name]), told, atol=walk.maps[name]["span"] / 65535)


def test_the_arrow_is_a_tenth_of_the_negative_gradient_of_its_example(measured, walk):
    (x, y), _, _, _ = measured
    w1, w2 = unpacked(walk.path["theta"])[7]
    k = int(unpacked(walk.path["example"])[7, 0])
    hidden = max(w2 * float(x[k]), 0.0)
    residual = w1 * hidden - float(y[k])
    by_hand = 2 * residual * np.array([hidden, w1 * float(x[k]) * (hidden > 0)])
    np.testing.assert_allclose(unpacked(walk.path["arrow"])[7], -0.1 * by_hand, rtol=1e-4, atol=1e-6)


def test_the_start_can_be_moved_where_python_descends_again(measured, walk):
    assert not walk.movable
    walk.show(measured[3], walk.descent, again=lambda start: descent(measured, start, batch=5))
    walk.start = [1.0, 1.0]
    np.testing.assert_allclose(unpacked(walk.path["theta"])[0], [1.0, 1.0])
    assert unpacked(walk.path["example"]).shape[1] == 5


def test_the_step_stays_where_there_is_one(measured, walk):
    walk.step = 20
    walk.show(measured[3], walk.descent.isel(step=slice(0, 8)))
    assert walk.step == 7


@pytest.mark.slow
def test_a_page_without_python_walks_through_the_descent(walk, open_page, tmp_path):
    page = open_page(walk.standalone(tmp_path / "risk.html"))
    heading, maps = page.page.locator(".tw-risk h2"), page.page.locator("canvas.tw-sheet")
    picture = "c => c.toDataURL()"
    assert heading.inner_text().startswith("Step 0, example 0 (x = ")
    before = [maps.nth(k).evaluate(picture) for k in range(3)]
    page.page.get_by_label("Step", exact=True).focus()
    for _ in range(2):
        page.page.keyboard.press("ArrowRight")
    assert heading.inner_text().startswith("Step 2, example 2")
    assert all(maps.nth(k).evaluate(picture) != before[k] for k in range(2))
    page.page.screenshot(path=tmp_path / "risk.png")
    page.page.get_by_label("Step, typed").fill("20")
    page.page.keyboard.press("Enter")
    assert "the end" in heading.inner_text()
    page.page.get_by_role("button", name="Play").click()  # begins again
    page.page.wait_for_function("() => document.querySelector('.tw-risk h2').textContent.startsWith('Step 1,')")
    page.page.get_by_role("button", name="Pause").click()
    assert not page.complaints
    assert not page.foreign
