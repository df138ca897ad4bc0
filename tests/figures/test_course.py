"""Curves between optima on maps and surfaces, by themselves, and walked along in films."""

import numpy as np
import pytest

from tests.figures import valleys
from tests.figures.descents import drawn, numbers
from thalweg import figures
from thalweg.figures import theme as themes
from thalweg.figures.chart import color

GROUND, CURVE, CHAIN = valleys.valley_surface(), valleys.course(), valleys.course("polygonal", lift=3.0, bends=2)


def shown(course=CURVE, ground=GROUND, **how):
    return figures.contour(ground, course=course, backend="none", **how)


def layer(*args, **how):
    return shown(*args, **how).layers["loss"]


def test_the_curve_lies_on_the_surface_where_the_course_says():
    (way,) = layer().extras.ways
    assert way.name == "Bezier curve"
    x, y = CURVE["alpha"].values, CURVE["beta"].values
    np.testing.assert_allclose(way.line[1], np.interp(way.line[0], x, y), atol=1e-9)
    np.testing.assert_allclose(way.line[:2, [0, -1]].T, [[0, 0], [40, 0]])
    np.testing.assert_allclose(way.line[2], layer().sheet.height(*way.line[:2]))
    np.testing.assert_allclose(way.straight[1], 0)
    np.testing.assert_allclose(way.straight[0, [0, -1]], [0, 40])


def test_ends_and_bends_are_named_and_stand_where_they_are():
    found = {m.label: m for m in layer(CHAIN).markers}
    assert list(found) == ["a", "bend 1", "bend 2", "b"]
    assert [m.kind for m in found.values()] == ["optimum", "bend", "bend", "optimum"]
    for name, x, y in zip(found, CHAIN["node_alpha"].values, CHAIN["node_beta"].values, strict=True):
        assert (found[name].x, found[name].y) == (x, y)
    assert [m.label for m in layer().markers] == ["a", "bend", "b"]  # one bend has no number
    assert "distance from the plane: 3.9" in found["bend 1"].text
    assert found["a"].side == (-1, -1)
    assert found["bend 2"].side == (1, 1)


def test_a_model_at_the_end_of_the_curve_is_the_end_and_elsewhere_stays():
    assert "model" in {m.kind for m in figures.contour(GROUND, backend="none").layers["loss"].markers}
    assert "model" not in {m.kind for m in layer().markers}
    moved = CURVE.assign(alpha=CURVE["alpha"] + 2, node_alpha=CURVE["node_alpha"] + 2)
    assert "model" in {m.kind for m in layer(moved).markers}


def test_the_subtitle_tells_the_distance_from_the_plane_only_if_there_is_one():
    assert shown().subtitle == "The curve lies in the plane. 1 of its 3 control points lies outside the map"
    assert shown(CHAIN).subtitle.startswith("The curve lies up to 3 from the plane, ")
    assert "its control points up to 3.9" in shown(CHAIN).subtitle
    assert shown({"found": CHAIN}).subtitle.startswith("found lies up to")
    left = GROUND.sel(alpha=slice(None, 20))
    out = int((CURVE["alpha"] > float(left["alpha"][-1])).sum())
    assert f"{out} of its 61 places and 2 of its 3 control points lie outside the map" in shown(ground=left).subtitle
    assert np.nanmax(layer(ground=left).extras.ways[0].line[0]) <= float(left["alpha"][-1])


def test_several_curves_share_the_ends_and_the_segment():
    both = layer({"chain": CHAIN, "Bezier curve": CURVE})
    assert [way.straight.size > 0 for way in both.extras.ways] == [True, False]
    assert [m.label for m in both.markers] == ["a", "bend 1", "bend 2", "b", "bend"]
    assert both.extras.legend == ("chain", "Bezier curve", "straight segment")
    assert [way.number for way in both.extras.ways] == [0, 1]


def test_a_straight_course_needs_no_segment_beside_it():
    flat = CURVE.assign(beta=0 * CURVE["beta"], node_beta=0 * CURVE["node_beta"]).assign_attrs(curve="segment")
    (way,) = layer(flat).extras.ways
    assert (way.name, way.straight.size) == ("segment", 0)


def test_who_walks_stands_at_its_place_between_those_of_the_course():
    def at(t):
        return next(m for m in layer(step=t).markers if m.kind == "here")

    assert (at(0.25).x, at(0.25).label) == (pytest.approx(10), "t = 0.25")
    assert at(0.0).x == 0
    assert 10 < at(0.2512).x < float(CURVE["alpha"][16])
    assert shown(step=0.25).title == "Training loss, t = 0.25"
    lifted = next(m for m in layer(valleys.course(lift=2.0), step=0.5).markers if m.kind == "here")
    assert "distance from the plane: 2" in lifted.text
    with pytest.raises(ValueError, match="no place of the course, whose t runs from 0 to 1"):
        shown(step=1.5)


def test_a_step_is_that_of_a_path_where_there_is_one(plane, run_path):
    on = CURVE.assign({k: CURVE[k] / 40 for k in ("alpha", "beta", "node_alpha", "node_beta")})
    both = figures.contour(plane, path=run_path, course=on.assign_attrs(subspace_id=None), step=50, backend="none")
    assert both.title.endswith("step 50")
    assert not [m for m in both.layers["loss"].markers if m.kind == "here"]
    assert both.layers["loss"].extras.ways[0].number == 1  # its colour comes after that of the path


def test_courses_of_other_planes_or_kinds_are_refused():
    with pytest.raises(ValueError, match="`course` has another origin or directions of the subspace"):
        shown(CURVE.assign_attrs(subspace_id="another"))
    with pytest.raises(ValueError, match=r"'course' is needed; `thalweg\.course` makes one"):
        shown(valleys.barrier())
    with pytest.raises(TypeError, match="`course` is a list"):
        shown([CURVE])
    box = CURVE.rename(alpha="gamma", node_alpha="node_gamma").assign_attrs(coordinates=["gamma", "beta"])
    with pytest.raises(ValueError, match=r"lacks the coordinates \['alpha'\] of the surface"):
        shown(box)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_curves_segments_and_places(theme):
    static = drawn(figures.contour(GROUND, course=CHAIN, theme=theme, backend="matplotlib"))
    interactive = figures.contour(GROUND, course=CHAIN, theme=theme)
    way, places = layer(CHAIN).extras.ways[0], layer(CHAIN).markers
    lines = {x.get_label(): x for x in static.axes[0].lines}
    traces = {t.name: t for t in interactive.data}
    np.testing.assert_allclose(lines["polygonal chain"].get_xdata(), way.line[0])
    drawn_curve = next(t for t in interactive.data if t.name == "polygonal chain" and t.x[0] is not None)
    np.testing.assert_allclose(numbers(drawn_curve.x), way.line[0])
    np.testing.assert_allclose(numbers(traces["straight segment, drawn"].x), way.straight[0])
    np.testing.assert_allclose(numbers(traces["places"].x), [m.x for m in places])
    assert lines["polygonal chain"].get_color() == drawn_curve.line.color == themes.path_color(0)
    words = {a.text for a in interactive.layout.annotations}
    assert {"a", "b", "bend 1", "bend 2"} <= words
    assert {"a", "b", "bend 1", "bend 2"} <= {t.get_text() for t in static.axes[0].texts}
    entries = [t.get_text() for legend in static.legends for t in legend.get_texts()]
    assert entries == [t.name for t in interactive.data if t.showlegend] == ["polygonal chain", "straight segment"]
    dashes = [t for t in interactive.data if t.showlegend and t.name == "straight segment"]
    assert dashes[0].line.color == themes.palette(theme).text  # white dashes are not seen on white paper


def test_both_backends_draw_courses_in_space():
    static = drawn(figures.surface(GROUND, course=CURVE, step=0.5, backend="matplotlib"))
    interactive = figures.surface(GROUND, course=CURVE, step=0.5)
    assert {"Bezier curve", "_straight segment"} <= {x.get_label() for x in static.axes[0].lines}
    (tube,) = [t for t in interactive.data if t.type == "mesh3d"]
    assert tube.color == themes.path_color(0)
    texts = [a.text for a in interactive.layout.scene.annotations if a.visible is not False]
    assert texts == ["a", "b", "t = 0.5"]  # the bend is outside the map


def test_a_film_walks_along_the_curve(tmp_path):
    film = figures.animate(figures.contour, GROUND[["loss"]], course=CURVE, steps=[0, 0.25, 1])
    places = [k for k, t in enumerate(film.data) if t.name == "places"]
    x = [numbers(frame.data[list(frame.traces).index(places[0])].x)[-1] for frame in film.frames]
    np.testing.assert_allclose(x, [0, 10, 40])
    assert film.layout.sliders[0].currentvalue.prefix == "t = "
    assert [s.label for s in film.layout.sliders[0].steps] == ["0", "0.25", "1"]
    whole = figures.animate(figures.contour, GROUND[["loss"]], course=CURVE, backend="matplotlib")
    assert len(whole) == 61
    assert repr(whole) == "Film(61 frames, t 0 to 1, 10 in a second)"
    with pytest.raises(ValueError, match="runs from t = 0 to t = 1; it is nowhere at 2"):
        figures.animate(figures.contour, GROUND, course=CURVE, steps=[0, 2])
    with pytest.raises(ValueError, match="at least two places"):
        figures.animate(figures.contour, GROUND, course=CURVE, steps=[0.5])


def test_in_a_film_of_a_scene_every_frame_holds_all_of_its_words():
    """Plotly replaces the lists within a scene by those of a frame."""
    film = figures.animate(figures.surface, GROUND[["loss"]], course=CURVE, steps=[0, 0.5])
    for frame, t in zip(film.frames, ("t = 0", "t = 0.5"), strict=True):
        words = frame.layout.scene.annotations
        assert [a.text for a in words] == ["a", "bend", "b", t]
        assert all(a.bgcolor and a.font.size for a in words)


def test_the_camera_stands_still_while_the_curve_is_walked():
    eyes = [figures.surface(GROUND, course=CURVE, step=t).layout.scene.camera.eye for t in (0.0, 0.4, 1.0)]
    assert len({(e.x, e.y, e.z) for e in eyes}) == 1


# By itself


def test_a_course_by_itself_is_its_plan_and_its_distance():
    shown = figures.course(CHAIN, backend="none")
    plan, distance = shown.cells
    straight, curve, nodes = plan.series
    np.testing.assert_array_equal(curve.x, CHAIN["alpha"])
    np.testing.assert_array_equal(straight.x, [0, 40])
    np.testing.assert_array_equal(nodes.y, CHAIN["node_beta"])
    np.testing.assert_array_equal(distance.series[0].y, CHAIN["distance"])
    assert [w.text for w in plan.words] == ["a", "bend 1", "bend 2", "b"]
    assert plan.equal
    low = CHAIN.assign(beta=0.01 * CHAIN["beta"], node_beta=0.01 * CHAIN["node_beta"])
    flat = figures.course(low, backend="none").cells[0]
    assert (flat.equal, flat.title) == (False, "In the plane (not to one scale)")
    with pytest.raises(ValueError, match="two are needed to draw it"):
        figures.course(CHAIN.assign_attrs(coordinates=["alpha"]))


@pytest.mark.parametrize("kind", ["optimum", "bend", "here", "model", "point"])
def test_every_sort_of_place_has_a_look(kind):
    assert themes.place_color(kind).startswith("#")
    assert color("violet") != color("amber") != color("plum")
