"""Interactive figures: their traces, controls and layout."""

import base64
import itertools

import numpy as np
import pytest

from thalweg import figures
from thalweg.figures.plotly.paths import tube


def named(figure, name):
    (trace,) = [t for t in figure.data if t.name == name]
    return trace


def numbers(values):
    """Heights as plotly holds them: an array, or in a button a typed array in base64."""
    if isinstance(values, dict):
        shape = [int(n) for n in values.get("shape", "-1").split(",")]
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]).reshape(shape).astype(float)
    return np.array(values, dtype=float)


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_row_i_column_j_of_z_is_the_loss_at_x_j_and_y_i(plane, draw):
    trace = named(draw(plane), "Training loss")
    z = numbers(trace.z)
    assert z.shape == (31, 41)
    for j, i in itertools.product((0, 7, 40), (0, 5, 30)):
        expected = float(plane["loss"].sel(alpha=trace.x[j], beta=trace.y[i], method="nearest"))
        assert z[i, j] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_hover_says_the_true_value_of_what_is_flattened(spiked, draw):
    trace = named(draw(spiked), "Training loss")
    assert numbers(trace.z).max() < 10
    assert trace.customdata[0][0].startswith("1×10⁶ (drawn at")
    assert "%{customdata}" in trace.hovertemplate


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_what_is_not_finite_is_told_and_holes_are_gaps(broken, draw):
    figure = draw(broken)
    assert np.isnan(numbers(named(figure, "Training loss").z)).sum() == np.isnan(broken["loss"].values).sum()
    assert "points are not finite" in figure.layout.annotations[0].text


def buttons(figure, kind):
    (menu,) = [m for m in figure.layout.updatemenus if m.type == kind]
    return {b.label: b for b in menu.buttons}


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_the_dropdown_carries_each_quantity_s_own_data(plane, run_path, draw):
    figure = draw(plane, path=run_path)
    offered = buttons(figure, "dropdown")
    assert list(offered) == ["Training loss", "Training accuracy", "Test loss", "Test accuracy"]
    for label, name in (("Test loss", "test_loss"), ("Training accuracy", "accuracy")):
        restyle, relayout, indices = offered[label].args
        assert list(indices) == list(range(len(figure.data)))
        span = float(plane[name].max() - plane[name].min())
        np.testing.assert_allclose(numbers(restyle["z"][0]), plane[name].values.T, atol=1e-4 * span)
        assert relayout["annotations[1].text"].startswith(label)


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_the_scale_buttons_belong_to_the_quantity_that_is_shown(plane, draw):
    figure = draw(plane)
    log = buttons(figure, "buttons")["log"].args[0]
    np.testing.assert_allclose(numbers(log["z"][0]), np.log10(plane["loss"].values.T), atol=1e-3)
    other = buttons(figure, "dropdown")["Test loss"].args[1]["updatemenus[0].buttons"]
    linear, logarithmic = (numbers(b["args"][0]["z"][0]) for b in other)
    np.testing.assert_allclose(logarithmic, np.log10(linear), atol=1e-3)
    assert [b["label"] for b in buttons(figure, "dropdown")["Test accuracy"].args[1]["updatemenus[0].buttons"]] == [
        "linear"
    ]


def test_pressing_the_first_button_changes_nothing(plane, run_path):
    figure = figures.surface(plane, path=run_path)
    restyle, relayout, _ = buttons(figure, "dropdown")["Training loss"].args
    for k, trace in enumerate(figure.data):
        for key in ("z", "x"):
            if key in restyle and restyle[key][k] is not None and trace[key] is not None:
                np.testing.assert_array_equal(numbers(trace[key]), numbers(restyle[key][k]))
        if "text" in restyle and trace.text is not None:
            assert list(trace.text) == list(restyle["text"][k])
    assert tuple(relayout["scene.zaxis.ticktext"]) == figure.layout.scene.zaxis.ticktext


def test_a_log_surface_is_ticked_with_values(wide):
    figure = figures.surface(wide)
    axis = figure.layout.scene.zaxis
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True))[-3.0] == "0.001"
    assert dict(zip(axis.tickvals, axis.ticktext, strict=True))[4.0] == "10⁴"


def test_the_floor_lies_flat_below_the_surface_and_shows_the_same_heights(plane):
    figure = figures.surface(plane)
    top, floor = named(figure, "Training loss"), named(figure, "floor")
    z = numbers(floor.z)
    assert z.max() == z.min() < numbers(top.z).min()
    np.testing.assert_array_equal(numbers(floor.surfacecolor), numbers(top.z))
    assert (floor.cmin, floor.cmax) == (top.cmin, top.cmax)


def test_the_path_is_a_tube_around_the_surface_with_its_steps_on_it(plane, run_path):
    figure = figures.surface(plane, trajectory=run_path)
    steps = named(figure, "path, steps")
    lift = 0.02 * float(plane["loss"].max() - plane["loss"].min())
    np.testing.assert_allclose(np.array(steps.z, float), run_path["projected_loss"], atol=lift)
    assert len(steps.text) == 40
    mesh = named(figure, "path")
    assert mesh.type == "mesh3d"
    assert max(mesh.i) < len(mesh.x)
    assert [a.text for a in figure.layout.scene.annotations] == ["start", "end", "model"]


def test_a_tube_is_broken_where_its_line_is():
    line = np.array([[0.0, 1, np.nan, 3, 4], [0.0, 0, 0, 0, 0], [0.0, 0, 0, 0, 0]])
    corners, triangles = tube(line, np.ones(3))
    assert np.isfinite(corners).all()
    edges = corners[triangles][..., 0]
    assert (np.ptp(edges, axis=1) <= 1.0).all()
    assert tube(np.full((3, 4), np.nan), np.ones(3))[0].shape == (0, 3)


def test_several_paths_have_several_colours(plane, run_path):
    figure = figures.contour(plane, path=[run_path, run_path.assign_attrs(title="Adam")])
    assert named(figure, "path 1").line.color != named(figure, "Adam").line.color
    assert {"path 1, start", "Adam, end"} <= {a.text for a in figure.layout.annotations}


def test_a_list_of_variables_is_a_grid_of_panels(plane, run_path):
    names = ["loss", "test_loss", "accuracy", "test_accuracy"]
    figure = figures.contour(plane, names, path=run_path)
    filled = [t for t in figure.data if t.type == "contour" and t.name != "iso-lines"]
    assert [t.xaxis for t in filled] == ["x", "x2", "x3", "x4"]
    for trace, name in zip(filled, names, strict=True):
        np.testing.assert_allclose(numbers(trace.z), plane[name].values.T, atol=1e-3)
    assert not figure.layout.updatemenus


def test_maps_have_equal_axes_only_if_the_units_agree(plane):
    assert figures.contour(plane).layout.yaxis.scaleanchor == "x"
    plane["beta"].attrs["units"] = "radians"
    assert figures.contour(plane).layout.yaxis.scaleanchor is None


def test_iso_lines_are_labelled_with_values_and_levels_are_many(wide):
    figure = figures.contour(wide)
    lines, fill = named(figure, "iso-lines"), named(figure, "Training loss")
    assert lines.contours.showlabels
    assert dict(zip(lines.colorbar.tickvals, lines.colorbar.ticktext, strict=True))[-2.0] == "0.01"
    assert 14 <= (fill.contours.end - fill.contours.start) / fill.contours.size <= 30


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_slices_and_gaps_and_both_themes_draw(box, broken, draw, theme):
    assert draw(box.isel(gamma=0), theme=theme).data
    assert draw(box.isel(beta=3), theme=theme).data
    assert draw(broken, theme=theme, points={"far away": (9.0, 9.0)}).data


def test_unknown_backends_and_themes_are_refused(plane):
    with pytest.raises(ValueError, match="Unknown backend 'bokeh'; expected one of plotly, matplotlib, none"):
        figures.surface(plane, backend="bokeh")
    with pytest.raises(ValueError, match="Unknown theme 'pink'"):
        figures.surface(plane, theme="pink")
