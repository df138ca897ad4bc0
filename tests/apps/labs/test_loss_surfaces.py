"""The lab on loss surfaces as its reader meets it: each step is a button, and an opened study is there."""

import pytest

pytestmark = pytest.mark.slow


def pressed(page, name, then):
    page.get_by_role("button", name=name).click()
    page.locator(".js-plotly-plot", has_text=then).first.wait_for(timeout=90_000)


def test_each_step_is_a_button_and_the_study_stays(open_lab, tmp_path):
    lab = open_lab("loss-surfaces")
    page = lab.page
    folder = page.get_by_label("Folder of the study")
    folder.fill(str(tmp_path))
    page.get_by_role("button", name="Open the study").click()
    page.get_by_text("It is empty.").wait_for(timeout=60_000)

    pressed(page, "Train for", "Loss of the mini-batches")
    pressed(page, "eigenpairs", "Eigenvalues of largest magnitude")
    pressed(page, "Train a second network", "chain")
    pressed(page, "Measure the plane of the path", "Principal")

    # The path is walked with a key.
    film = page.locator(".film[data-place]").last
    film.locator(".main-svg").first.wait_for(timeout=20_000)
    rail = page.get_by_role("slider", name="Step", exact=True).last
    rail.focus()
    before, place = film.locator("svg.main-svg").first.inner_html(), film.get_attribute("data-place")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    page.wait_for_function("([f, d]) => f.dataset.place !== d", arg=[film.element_handle(), place])
    page.wait_for_timeout(300)
    assert film.locator("svg.main-svg").first.inner_html() != before

    page.get_by_text("Show a worked answer").nth(1).click()
    page.get_by_text("10 classes").wait_for(timeout=30_000)
    page.screenshot(path=tmp_path / "loss_surfaces.png")

    # Opened again, the results are there without another press.
    again = open_lab("loss-surfaces")
    again.page.get_by_label("Folder of the study").fill(str(tmp_path))
    again.page.get_by_role("button", name="Open the study").click()
    again.page.locator(".js-plotly-plot", has_text="Eigenvalues of largest magnitude").wait_for(timeout=60_000)
    again.page.get_by_text("thalweg open").first.wait_for(timeout=60_000)
    for one in (lab, again):
        assert (one.foreign, one.complaints) == ([], [])
