"""Interactive films: each frame shows its step, and carries nothing that does not change."""

import copy
import json

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr

from tests.figures.stochastic import fit, risks, sgd, tangents
from thalweg import figures
from thalweg.figures import theme as themes
from thalweg.figures.animate import MOST_FRAMES, Film

RISKS, RUN = risks(points=13), sgd()
PLAIN = RISKS.drop_vars("pointwise_risk")
TANGENTS = tangents((0.5, -1.0, 0.25), (0.4, 0.0, 0.1))


def merged(under, over):
    """What plotly shows once a frame is laid over a figure: dicts key by key, lists of dicts item by item."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            merged(under[key], value)
        elif isinstance(value, (list, tuple)) and value and all(isinstance(v, dict) for v in value):
            items = list(under.get(key) or [])
            items += [{} for _ in range(len(value) - len(items))]
            under[key] = [merged(dict(a), b) for a, b in zip(items, value, strict=False)] + items[len(value) :]
        else:
            under[key] = value
    return under


def seen(figure):
    """Traces that are visible, and the words of the layout that are; numbers as arrays."""
    traces = [t for t in figure["data"] if t.get("visible", True)]
    layout = {k: v for k, v in figure["layout"].items() if k not in ("updatemenus", "sliders", "height", "margin")}
    layout["annotations"] = [a for a in layout.get("annotations", ()) if a.get("visible", True)]
    for thing in [*traces, *layout["annotations"]]:
        thing.pop("visible", None)
    return traces, layout


def plain(figure):
    """A figure as nested dicts with its numbers as they were given."""
    layout = figure.layout.to_plotly_json()
    layout.pop("template", None)
    return {"data": [t.to_plotly_json() for t in figure.data], "layout": layout}


def shown_by(film, *numbers):
    """What is seen after these frames were shown one after another."""
    state = plain(go.Figure(film.data, film.layout))
    for number in numbers:
        frame = film.frames[number]
        for place, trace in zip(frame.traces, frame.data, strict=True):
            merged(state["data"][place], trace.to_plotly_json())
        merged(state["layout"], frame.layout.to_plotly_json())
    return seen(state)


def assert_alike(a, b):
    assert type(a) is type(b) or not isinstance(a, dict)
    if isinstance(a, dict):
        assert {k for k in a if a[k] is not None} == {k for k in b if b[k] is not None}
        for key in a:
            assert_alike(a[key], b[key])
    elif isinstance(a, (list, tuple)) and a and isinstance(a[0], dict):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_alike(left, right)
    elif isinstance(a, (list, tuple, np.ndarray)):
        left, right = (np.asarray(v, dtype=object).ravel() for v in (a, b))
        try:
            numbers = [np.where(v == None, np.nan, v).astype(float) for v in (left, right)]  # noqa: E711
        except (TypeError, ValueError):
            assert left.tolist() == right.tolist()
        else:
            np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-5)
    else:
        assert a == b


FILMS = {
    "risk": (figures.risk, (RISKS,), {"descent": RUN, "theme": "dark"}, [0, 1, 2, 50, 100]),
    "tangent": (figures.linear_approximation, (TANGENTS,), {}, [0, 1, 2]),
    "fit": (figures.fit, (fit(starts=(0.5, 6.0)),), {}, [0, 3, 12, 25]),
    "contour": (figures.contour, (PLAIN, "empirical_risk"), {"descent": RUN}, [0, 10, 100]),
    "surface": (figures.surface, (PLAIN, "empirical_risk"), {"descent": RUN}, [0, 10, 100]),
    "descent": (figures.descent, (RUN,), {}, [0, 10, 100]),
}


@pytest.mark.parametrize("name", FILMS)
def test_each_frame_shows_what_the_figure_shows_at_its_step_wherever_one_came_from(name):
    draw, datasets, arguments, steps = FILMS[name]
    film = figures.animate(draw, *datasets, steps=steps, **arguments)
    assert len(film.frames) == len(steps)
    for k, step in enumerate(steps):
        expected = seen(plain(draw(*datasets, step=step, **arguments)))
        for route in ([k], [len(steps) - 1, k], [0, len(steps) - 1, 1, k]):
            traces, layout = shown_by(film, *route)
            assert_alike(traces, expected[0])
            assert_alike(layout["annotations"], expected[1]["annotations"])
            assert layout["title"] == expected[1]["title"]


@pytest.mark.parametrize("name", FILMS)
def test_frames_hold_only_what_differs_between_them(name):
    draw, datasets, arguments, steps = FILMS[name]
    film = figures.animate(draw, *datasets, steps=steps, **arguments)
    frames = [json.loads(frame.to_json()) for frame in film.frames]
    assert len({tuple(frame["traces"]) for frame in frames}) == 1
    for place in range(len(frames[0]["traces"])):
        versions = [frame["data"][place] for frame in frames]
        for key in {key for version in versions for key in version} - {"type"}:
            assert len({json.dumps(version.get(key)) for version in versions}) > 1, key


def test_maps_that_stay_are_not_repeated():
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=range(0, 30, 3))
    moving = [film.data[k].name for k in film.frames[0].traces]
    assert "Pointwise risk of example 0" in moving
    assert not {"Empirical risk", "Expected risk", "bar", "start"} & set(moving)


def test_a_film_of_a_path_over_a_fine_map_stays_small(tmp_path):
    """The last frames, whose path is the longest, stand for a hundred of them."""
    fine = risks(points=100).drop_vars("pointwise_risk")
    film = figures.animate(figures.contour, fine, "empirical_risk", descent=RUN, steps=(97, 98, 99, 100))
    whole = figures.save(film, tmp_path / "film.html").stat().st_size
    frame = max(len(frame.to_json()) for frame in film.frames)
    assert whole + 96 * frame < 8e6


def test_the_slider_names_each_step_and_leads_to_its_frame():
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=[0, 7, 100])
    (slider,) = film.layout.sliders
    assert [s.label for s in slider.steps] == ["0", "7", "100"]
    assert [s.args[0][0] for s in slider.steps] == [f.name for f in film.frames]
    assert film.layout.title.text == film.frames[0].layout.title.text


def test_the_buttons_play_at_the_given_speed_and_pause():
    play, pause = figures.animate(figures.risk, RISKS, descent=RUN, steps=[0, 1], fps=4).layout.updatemenus[0].buttons
    assert play.args[0] is None
    assert play.args[1]["frame"]["duration"] == 250
    assert play.args[1]["fromcurrent"]
    assert list(pause.args[0]) == [None]
    assert pause.args[1]["mode"] == "immediate"


def test_the_figure_s_own_controls_give_way_and_the_strip_takes_room_of_its_own():
    still = figures.contour(PLAIN, descent=RUN)
    film = figures.animate(figures.contour, PLAIN, descent=RUN, steps=[0, 5])
    assert still.layout.updatemenus
    assert [b.label for b in film.layout.updatemenus[0].buttons] == ["Play", "Pause"]
    assert len(film.layout.updatemenus) == 1
    assert film.layout.margin.b - still.layout.margin.b == film.layout.height - still.layout.height > 50
    assert film.layout.sliders[0].pad.t >= still.layout.margin.b
    foot = film.layout.legend.y * film.layout.height
    assert foot == pytest.approx(film.layout.height - still.layout.height)


def test_frames_leave_the_camera_to_the_reader():
    film = figures.animate(figures.surface, PLAIN, descent=RUN, steps=[0, 50])
    assert film.layout.scene.camera.eye.x is not None
    for frame in film.frames:
        assert "camera" not in json.dumps(frame.layout.to_plotly_json())


def two_of_many(ds, *, step, backend, height=300):
    """A figure whose traces and annotations come and go."""
    early = [go.Scatter(name="early", x=[0, 1], y=[0, 1])] if step < 2 else []
    late = [go.Scatter(name="late", x=[0, step], y=[1, 0]), go.Bar(name="bar", y=[step])] if step > 0 else []
    words = [{"text": f"note {k}", "x": k, "y": step} for k in range(step)]
    layout = {"annotations": words, "title": {"text": f"t{step}"}, "height": height + 10 * step}
    return go.Figure([go.Scatter(name="always", x=[step], y=[0]), *early, *late], layout)


def test_traces_and_annotations_may_come_and_go():
    film = figures.animate(two_of_many, RUN, steps=[0, 1, 2])
    for route in ([0], [1], [2], [2, 0], [1, 2, 1], [0, 2, 1, 0]):
        traces, layout = shown_by(film, *route)
        expected = seen(plain(two_of_many(RUN, step=route[-1], backend="plotly")))
        assert [t["name"] for t in traces] == [t["name"] for t in expected[0]]
        assert_alike(traces, expected[0])
        assert_alike(layout["annotations"], expected[1]["annotations"])
    assert film.layout.height > 320  # that of the tallest frame
    first = seen(plain(go.Figure(film.data, film.layout)))
    assert [t["name"] for t in first[0]] == ["always", "early"]


def test_numbers_are_packed_without_losing_what_can_be_seen():
    from thalweg.figures.plotly.film import _packed

    near = (1e6 + 1e-3 * np.random.default_rng(0).normal(size=50)).tolist()
    np.testing.assert_array_equal(_packed(("y",), near), near)
    usual = np.random.default_rng(1).normal(size=50)
    assert _packed(("y",), usual.tolist()).dtype == np.float32
    gaps = [None if k % 7 == 0 else float(k) for k in range(50)]
    np.testing.assert_array_equal(np.isnan(_packed(("z",), gaps)), [g is None for g in gaps])
    for kept in (["a"] * 50, [[1.0, 2.0], [3.0]] * 30, [1.0, 2.0]):
        assert _packed(("x",), kept) is kept
    assert _packed(("i",), list(range(50))).dtype == np.uint16


def test_steps_are_thinned_evenly_with_the_first_and_the_last():
    film = figures.animate(figures.risk, RISKS, descent=sgd(epochs=10), backend="none")
    assert len(film) == MOST_FRAMES == 101
    assert (film.steps[0], film.steps[-1]) == (0, 1000)
    assert set(np.diff(film.steps)) == {10}


def test_the_longest_record_gives_the_steps_wherever_it_is():
    short = sgd(every=50)
    film = figures.animate(_nothing, {"a": [short]}, paths=(RUN,), backend="none")
    assert film.steps == tuple(range(101))
    bare = xr.Dataset({"loss": ("step", np.zeros(4))})
    assert figures.animate(_nothing, bare, backend="none").steps == (0, 1, 2, 3)


def _nothing(*datasets, step, backend, paths=None):
    return step


def test_a_film_of_data_gives_each_frame_by_its_number():
    film = figures.animate(figures.risk, RISKS, descent=RUN, steps=[0, 5, 9], backend="none")
    assert isinstance(film, Film)
    assert film.frame(1).title.startswith("Step 5, ")
    assert film.frame().title.startswith("Step 9, ")
    assert repr(film) == "Film(3 frames, steps 0 to 9, 10 in a second)"
    with pytest.raises(IndexError, match="There is no frame 3; the film has 3"):
        film.frame(3)


def test_what_cannot_be_filmed_is_refused_with_what_is_needed():
    cases = [
        (
            (figures.risk, RISKS),
            {},
            "needs a dataset with a dim `step`, and what came was kind 'surface' with dims alpha",
        ),
        ((figures.risk,), {}, "and no dataset came"),
        ((figures.path, RUN), {}, r"`path` takes no `step=`, so it cannot be filmed; of figures, these can: .*risk"),
        ((lambda ds, step: None, RUN), {}, "takes no `backend=`"),
        (
            (figures.risk, RISKS),
            {"steps": [0, 101, 3.5]},
            "Steps 101, 3.5 are not recorded; the dataset holds 101 steps",
        ),
        ((figures.risk, RISKS), {"steps": [5]}, "at least two steps, and 1 step, 5 came"),
        ((figures.risk, RISKS), {"steps": []}, "at least two steps, and none came"),
        ((figures.risk, RISKS), {"fps": 0}, "fps=0 cannot be; pass a positive number of frames in a second"),
        ((figures.risk, RISKS), {"backend": "bokeh"}, "Unknown backend 'bokeh'"),
    ]
    for k, (called, arguments, words) in enumerate(cases):
        more = {"descent": RUN} if k > 3 else {}
        with pytest.raises(ValueError, match=words):
            figures.animate(*called, **more, **arguments)


def test_the_controls_wear_the_theme():
    for theme in ("light", "dark"):
        film = figures.animate(figures.risk, RISKS, descent=RUN, steps=[0, 1], theme=theme)
        assert film.layout.updatemenus[0].font.color == themes.palette(theme).text


def test_drawing_a_film_leaves_its_datasets_alone():
    before = copy.deepcopy((RISKS, RUN))
    figures.animate(figures.risk, RISKS, descent=RUN, steps=[0, 3])
    xr.testing.assert_identical(before[0], RISKS)
    xr.testing.assert_identical(before[1], RUN)
