"""Instruments as pages of their own, without Python and without a network."""

import math

import numpy as np
import pytest

from thalweg.apps.widgets import HandFit, Tangent, usual_tasks

pytestmark = pytest.mark.slow
TASKS = usual_tasks()


def number(page, name):
    """What stands beside that name."""
    return float(page.locator(f"[data-value='{name}']").inner_text().replace("−", "-"))


def drawn(page, name):
    return page.locator(f"[data-name='{name}']").first.get_attribute("d")


def type_into(page, label, text):
    page.get_by_label(f"{label}, typed", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_tangent_types_slides_and_draws(tmp_path, open_page):
    shown = open_page(Tangent().standalone(tmp_path / "tangent.html"))
    page = shown.page
    type_into(page, "x", "-0.9")
    type_into(page, "x + ε", "0.4")
    expected = math.cos(-0.9 * math.pi) - math.pi * math.sin(-0.9 * math.pi) * 1.3 - math.cos(0.4 * math.pi)
    assert number(page, "error") == pytest.approx(expected, rel=1e-3)
    before = drawn(page, "tangent")
    page.get_by_role("slider", name="x", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert drawn(page, "tangent") != before
    assert page.get_by_label("x, typed", exact=True).input_value() == "−0.89"
    page.keyboard.press("Shift+ArrowLeft")
    assert page.get_by_label("x, typed", exact=True).input_value() == "−0.99"
    type_into(page, "x", "0.123456")  # between samples
    slope = -math.pi * math.sin(0.123456 * math.pi)
    assert number(page, "slope f′(x)") == pytest.approx(slope, rel=1e-3)
    type_into(page, "x", "nonsense")
    assert page.get_by_label("x, typed", exact=True).input_value() == "0.123456"
    page.get_by_label("Function", exact=True).select_option("abs")
    type_into(page, "x", "0")
    assert "convention" in page.locator(".note").inner_text()
    page.screenshot(path=tmp_path / "tangent.png")
    assert (shown.foreign, shown.complaints) == ([], [])


def test_a_fit_by_hand_and_by_descent_without_python(tmp_path, open_page):
    shown = open_page(HandFit().standalone(tmp_path / "fit.html"))
    page = shown.page
    before = drawn(page, "model")
    type_into(page, "w", "1.25")
    type_into(page, "b", "-2")
    x, y = (v.numpy() for v in TASKS["linear"].data)
    assert number(page, "MSE") == pytest.approx(np.mean((1.25 * x - 2 - y) ** 2), rel=1e-3)
    assert drawn(page, "model") != before
    page.wait_for_function("document.querySelector('[data-name=hand]').getAttribute('d').includes('M')")
    page.get_by_role("button", name="Descend from here").click()
    page.wait_for_function("document.querySelector('[data-name=descent]').getAttribute('d').split('M').length == 27")
    w, b = 1.25, -2.0
    for _ in range(25):
        left = w * x + b - y
        w, b = w - 0.01 * np.mean(left * x), b - 0.01 * np.mean(left)
    page.wait_for_timeout(2700)  # a tenth of a second for each step
    assert number(page, "MSE") == pytest.approx(np.mean((w * x + b - y) ** 2), rel=1e-3)
    page.get_by_label("Show the loss over the parameters").check()
    assert page.locator("[data-name=map]").count() == 1
    page.get_by_label("Model", exact=True).select_option("trigonometric")
    type_into(page, "θ", "6")
    x, y = (v.numpy() for v in TASKS["trigonometric"].data)
    assert number(page, "MSE") == pytest.approx(np.mean((np.sin(6 * x) - y) ** 2), rel=1e-3)
    assert page.locator("[data-name=loss]").count() == 1
    page.screenshot(path=tmp_path / "fit.png", full_page=True)
    assert (shown.foreign, shown.complaints) == ([], [])
