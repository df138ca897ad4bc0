"""Interactive films in a real browser: the slider, the buttons, and a scene that its reader has turned."""

import numpy as np
import pytest

from tests.figures.stochastic import risks, sgd
from thalweg import figures

pytestmark = pytest.mark.slow
RISKS, RUN = risks(points=21), sgd()
STEPS = [0, 20, 40, 60, 80, 100]
STATE = """p => ({
  title: p.layout.title.text, active: p._fullLayout.sliders[0].active,
  path: p._fullData.filter(t => t.name == 'path so far').map(t => [Array.from(t.x), Array.from(t.y)])[0],
  map: p._fullData.filter(t => t.type == 'heatmap').map(t => Array.from(t.z[3]))[0]})"""


def slide(page, share):
    """Drag the slider's handle."""
    grip, rail = (page.locator(f".slider-{part}-rect").first.bounding_box() for part in ("grip", "rail"))
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(rail["x"] + share * rail["width"], grip["y"] + grip["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_timeout(600)


def test_the_slider_shows_the_step_it_names(tmp_path, open_page):
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=STEPS)
    shown = open_page(figures.save(film, tmp_path / "film.html"))
    plot = shown.page.locator(".js-plotly-plot")
    for share, number in ((0.4, 2), (1.0, 5), (0.2, 1)):
        slide(shown.page, share)
        state = plot.evaluate(STATE)
        expected = figures.risk(RISKS, descent=RUN, step=STEPS[number], backend="none")
        assert state["active"] == number
        assert expected.title in state["title"]
        np.testing.assert_allclose(state["path"], expected.panels[1].path, rtol=1e-5)
        np.testing.assert_allclose(state["map"], expected.panels[0].values[:, 3], rtol=1e-5)
    assert shown.foreign == []
    assert shown.complaints == []


def test_play_runs_to_the_end_and_the_controls_overlap_nothing(tmp_path, open_page):
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=STEPS, fps=20, theme="dark")
    shown = open_page(figures.save(film, tmp_path / "film.html"))
    plot = shown.page.locator(".js-plotly-plot")
    play, pause = (shown.page.locator(".updatemenu-button", has_text=word) for word in ("Play", "Pause"))
    parts = [play, pause, *(shown.page.locator(css).first for css in (".slider-container", ".legend", ".xtitle"))]
    boxes = [part.bounding_box() for part in parts]
    assert not any(_overlap(a, b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert all(box["y"] + box["height"] <= film.layout.height for box in boxes)
    assert plot.evaluate(STATE)["active"] == 0  # it waits
    play.click()
    shown.page.wait_for_function("document.querySelector('.js-plotly-plot')._fullLayout.sliders[0].active == 5")
    shown.page.wait_for_timeout(300)
    assert "Step 100" in plot.evaluate(STATE)["title"]
    assert shown.complaints == []


def test_play_and_pause_complain_about_nothing(tmp_path, open_page):
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=STEPS, fps=4)
    shown = open_page(figures.save(film, tmp_path / "film.html"))
    play, pause = (shown.page.locator(".updatemenu-button", has_text=word) for word in ("Play", "Pause"))
    for button in (play, pause, play, play, pause, pause):  # broken off, and broken off again
        button.click()
        shown.page.wait_for_timeout(300)
    slide(shown.page, 0.4)
    assert shown.page.locator(".js-plotly-plot").evaluate(STATE)["active"] == 2
    assert shown.complaints == []


def _overlap(a, b):
    apart = a["x"] + a["width"] <= b["x"] + 1 or b["x"] + b["width"] <= a["x"] + 1
    return not (apart or a["y"] + a["height"] <= b["y"] + 1 or b["y"] + b["height"] <= a["y"] + 1)


def test_a_scene_stays_turned_as_its_reader_turned_it(tmp_path, open_page):
    plain = RISKS.drop_vars("pointwise_risk")
    film = figures.animate(figures.surface, plain, "empirical_risk", descent=RUN, steps=[0, 50])
    shown = open_page(figures.save(film, tmp_path / "film.html"))
    plot = shown.page.locator(".js-plotly-plot")
    eye = "p => { const e = p._fullLayout.scene._scene.getCamera().eye; return [e.x, e.y, e.z] }"
    first = plot.evaluate(eye)
    np.testing.assert_allclose(first[:2], [film.layout.scene.camera.eye.x, film.layout.scene.camera.eye.y], atol=1e-6)
    shown.page.mouse.move(600, 400)
    shown.page.mouse.down()
    shown.page.mouse.move(760, 430, steps=6)
    shown.page.mouse.up()
    shown.page.wait_for_timeout(600)
    turned = plot.evaluate(eye)
    assert np.linalg.norm(np.subtract(turned, first)) > 0.1
    slide(shown.page, 1.0)
    assert "step 50" in plot.evaluate(STATE)["title"]
    np.testing.assert_allclose(plot.evaluate(eye), turned, atol=0.02)  # it glides a little when let go
