"""Profiles and paths over their steps."""

import io

import numpy as np
import pytest

from thalweg import figures


def test_losses_are_on_the_left_accuracies_on_the_right_and_test_data_dashed(line):
    (panel,) = figures.profile(line, backend="none").panels
    told = {x.label: (x.right, x.dashed) for x in panel.lines}
    assert told == {
        "Training loss": (False, False),
        "Training accuracy": (True, False),
        "Test loss": (False, True),
        "Test accuracy": (True, True),
    }
    for drawn, name in zip(panel.lines, ("loss", "accuracy", "test_loss", "test_accuracy"), strict=True):
        np.testing.assert_array_equal(drawn.y, line[name].values)
    assert (panel.left, panel.right, panel.mark) == ("Loss [nats]", "Accuracy", 0.0)


def test_a_band_is_one_standard_error_to_either_side(line):
    figure = figures.profile(line)
    (band,) = [t for t in figure.data if t.fill == "toself"]
    n = line.sizes["alpha"]
    half = (np.array(band.y[n:])[::-1] - np.array(band.y[:n])) / 2
    np.testing.assert_allclose(half, line["test_loss_standard_error"])
    assert "one standard error" in figure.layout.title.subtitle.text


def test_a_curve_s_coordinate_is_named_t_and_its_model_is_at_the_start(line):
    curve = line.rename(alpha="t").assign_attrs(coordinates=["t"])
    curve["t"].attrs["long_name"] = "position on the curve"
    curve["t"].attrs["units"] = "1"
    shown = figures.profile(curve, backend="none")
    assert shown.x == "position on the curve"
    assert shown.panels[0].mark == 0.0


def test_gaps_stay_gaps_and_are_counted(line):
    line["loss"][5] = np.inf
    line["loss"][6] = np.nan
    figure = figures.profile(line)
    (curve,) = [t for t in figure.data if t.name == "Training loss"]
    assert curve.y[5] is None
    assert curve.y[6] is None
    assert curve.connectgaps is False
    assert "Training loss: 2 of 61 points are not finite" in figure.layout.annotations[0].text


def test_a_plane_s_slice_is_a_profile(plane):
    shown = figures.profile(plane.isel(beta=4), backend="none")
    np.testing.assert_array_equal(shown.panels[0].lines[0].y, plane["loss"].values[:, 4])
    assert shown.subtitle.startswith("Slice at β = ")
    assert shown.panels[0].mark is None  # the model does not lie on this line


def test_decades_make_the_axis_logarithmic(line):
    wide = line[["loss"]].copy()
    wide["loss"] = wide["loss"].copy(data=np.logspace(-4, 5, 61))
    assert figures.profile(wide).layout.yaxis.type == "log"
    assert figures.profile(wide, backend="matplotlib").axes[0].get_yscale() == "log"
    wide["loss"] = wide["loss"].copy(data=-np.ones(61))
    with pytest.raises(ValueError, match="draw it with log=False"):
        figures.profile(wide, log=True)


def test_a_path_shows_both_losses_the_distance_and_the_learning_rate(run_path):
    shown = figures.path(run_path, backend="none")
    both, distance, rate = shown.panels
    assert [x.label for x in both.lines] == ["training loss, true point", "training loss at the projection"]
    np.testing.assert_array_equal(both.lines[1].y, run_path["projected_loss"])
    np.testing.assert_array_equal(distance.lines[0].y, run_path["distance"])
    np.testing.assert_array_equal(rate.lines[0].y, run_path["learning_rate"])
    assert shown.title == "The plane explains 88% of the path's variance (61 + 27)"


def test_a_path_without_a_learning_rate_or_a_loss_still_shows_its_distance(run_path):
    bare = run_path[["alpha", "beta", "distance"]]
    bare.attrs.pop("explained_variance_ratio")
    shown = figures.path(bare, backend="none")
    assert [p.left for p in shown.panels] == ["Distance from\nthe plane"]
    assert shown.title == "The path and its projection onto the plane"
    assert len(figures.path(bare).data) == 1


def test_path_refuses_a_surface(plane):
    with pytest.raises(ValueError, match="kind 'surface', and one of kind 'path' is needed"):
        figures.path(plane)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_curves(line, run_path, theme):
    for draw, ds in ((figures.profile, line), (figures.path, run_path)):
        static = draw(ds, backend="matplotlib", theme=theme)
        static.savefig(io.BytesIO(), format="png", dpi=40)
        lines = {x.get_label(): x for axes in static.axes for x in axes.lines if not x.get_label().startswith("_")}
        curves = {t.name: t for t in draw(ds, theme=theme).data if t.fill is None}
        assert lines.keys() == curves.keys()
        for name, curve in curves.items():
            np.testing.assert_allclose(lines[name].get_ydata(), np.array(curve.y, float))
            assert curve.line.color == lines[name].get_color()


def test_the_model_s_line_is_marked(line):
    figure = figures.profile(line)
    assert [(s.x0, s.name) for s in figure.layout.shapes] == [(0.0, "model")]
