"""The lab of two weights in a browser: the ball answers at once, and so do the worked answers."""

import pytest

pytestmark = pytest.mark.slow


def test_the_ball_answers_at_once_and_answers_open(open_lab, tmp_path):
    lab = open_lab("multiply-by-one", reduced_motion="reduce")
    page = lab.page
    page.set_default_timeout(150_000)
    canvas = page.locator("canvas.tw-map").first
    canvas.wait_for()
    root, says = page.locator(".tw-ball").first, page.locator(".tw-says").first
    drawn = "([root, before]) => root.dataset.drawn !== before"
    canvas.focus()
    latencies = []
    picture, words = canvas.evaluate("c => c.toDataURL()"), says.inner_text()
    for _ in range(8):
        before = root.get_attribute("data-drawn")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(drawn, arg=[root.element_handle(), before])
        latencies.append(float(root.get_attribute("data-latency")))
    print(f"milliseconds from key to picture: {latencies}")
    assert canvas.evaluate("c => c.toDataURL()") != picture
    assert says.inner_text() != words
    page.screenshot(path=tmp_path / "lab.png")
    page.get_by_text("Show a worked answer").nth(1).click()
    page.get_by_text("carry the factor").wait_for()
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 800, "height": 1200})
    page.get_by_text("Your numbers differ").wait_for()
    for k, value in ((2, "90"), (3, "36")):  # −2 (1 − 10) (5, 2)
        page.locator("marimo-number input").nth(k).fill(value)
        page.keyboard.press("Enter")
    page.get_by_text("Both numbers are right").wait_for()
    page.screenshot(path=tmp_path / "lab_dark.png")
    assert not lab.complaints
    assert not lab.foreign
