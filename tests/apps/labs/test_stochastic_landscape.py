"""The lab of the three risks in a browser: the maps follow the slider, the start, and the settings."""

import pytest

pytestmark = pytest.mark.slow


def test_maps_follow_the_slider_and_the_start(open_lab, tmp_path):
    lab = open_lab("stochastic-landscape", reduced_motion="reduce")
    page = lab.page
    page.set_default_timeout(150_000)
    maps = page.locator(".tw-risk canvas.tw-sheet")
    maps.first.wait_for()
    heading, says = page.locator(".tw-risk h2"), page.locator(".tw-risk .tw-says")
    picture = maps.first.evaluate("c => c.toDataURL()")
    page.locator(".tw-risk").get_by_label("Step", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert heading.inner_text().startswith("Step 1, example 1")
    assert maps.first.evaluate("c => c.toDataURL()") != picture
    words = says.inner_text()
    page.locator(".tw-risk").get_by_label("Start w1").fill("1")
    page.keyboard.press("Enter")
    page.wait_for_function("([p, words]) => p.textContent !== words", arg=[says.element_handle(), words])
    assert "Iterate (1" in says.inner_text()
    page.screenshot(path=tmp_path / "lab.png")
    page.get_by_text("Show a worked answer").nth(1).click()
    page.get_by_text("Half of the inputs have the sign").wait_for()
    assert not lab.complaints
    assert not lab.foreign
