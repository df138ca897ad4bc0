"""The lab on linearisation as its reader meets it: trained by a button, a slider over its history, answers opened."""

import pytest

pytestmark = pytest.mark.slow


def test_it_trains_shows_its_history_answers_and_tells_a_divergence(open_lab, tmp_path):
    lab = open_lab("linearization", color_scheme="dark")
    page = lab.page
    page.get_by_text("Mean squared error on the test inputs").wait_for(timeout=60_000)

    # Another network, on the press of the button.
    page.get_by_label("Train the output layer only").click()
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("21 weights that move").wait_for(timeout=60_000)

    # The history answers to a key.
    film = page.locator(".film[data-place]").first
    film.locator(".main-svg").first.wait_for(timeout=20_000)
    curve = film.locator(".scatterlayer .js-line").last
    before, place = curve.get_attribute("d"), film.get_attribute("data-place")
    rail = page.get_by_role("slider", name="Step", exact=True).first
    rail.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("([f, d]) => f.dataset.place !== d", arg=[film.element_handle(), place])
    page.wait_for_timeout(300)
    assert int(film.get_attribute("data-place")) == int(place) - 8
    assert film.locator(".scatterlayer .js-line").last.get_attribute("d") != before

    # Tangents and elbows are drawn.
    page.locator(".js-plotly-plot", has_text="Principal features 1 to").first.wait_for(timeout=60_000)
    page.locator(".js-plotly-plot", has_text="Elbows of").wait_for(timeout=60_000)

    # An answer is computed when it is opened.
    assert page.get_by_text("**1,321 weights**").count() == page.get_by_text("1,321 weights").count() == 0
    page.get_by_text("Show a worked answer").first.click()
    page.get_by_text("1,321 weights").first.wait_for(timeout=20_000)
    page.screenshot(path=tmp_path / "linearization.png")

    # A divergence is told, and breaks nothing.
    page.get_by_label("Train the output layer only").click()
    page.get_by_label("First weights").select_option("uniform, ±3")
    page.get_by_role("slider", name="Hidden layers").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("It diverged").first.wait_for(timeout=60_000)
    page.get_by_text("it has no features").wait_for(timeout=60_000)
    assert (lab.foreign, lab.complaints) == ([], [])
