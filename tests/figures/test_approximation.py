"""The tangent as the best linear approximation, drawn."""

import io

import numpy as np
import pytest

from tests.figures.stochastic import tangents
from thalweg import figures
from thalweg.figures.approximation import colors

DS = tangents(points=(0.5, -1.0, 0.25), epsilons=(0.4, 0.3, 0.0))


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_error_bar_joins_the_tangent_and_the_function_at_the_moved_point(step):
    shown = figures.linear_approximation(DS, step=step, backend="none")
    (x, on_tangent), (same, on_function) = shown.error_bar
    assert x == same == float(DS["point"][step] + DS["epsilon"][step])
    assert on_function == pytest.approx(np.cos(np.pi * x))
    assert on_tangent == pytest.approx(np.interp(x, DS["x"], DS["tangent"][step]), abs=1e-9)
    assert shown.error == pytest.approx(on_tangent - on_function, abs=1e-12)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_epsilon_bar_leads_from_the_point_as_far_as_epsilon(step):
    shown = figures.linear_approximation(DS, step=step, backend="none")
    (x, y), (moved, level) = shown.epsilon_bar
    assert (x, y) == (shown.point[0], pytest.approx(np.cos(np.pi * shown.point[0])))
    assert moved - x == pytest.approx(float(DS["epsilon"][step]))
    assert level == y


def test_the_last_pair_is_drawn_if_none_is_named():
    assert figures.linear_approximation(DS, backend="none").point[0] == 0.25


def test_axes_are_the_same_at_all_steps_and_a_runaway_prediction_does_not_widen_them_without_end():
    ranges = {figures.linear_approximation(DS, step=k, backend="none").y_range for k in (0, 1, 2)}
    assert len(ranges) == 1
    far = tangents((0.5,), (100.0,))
    assert figures.linear_approximation(far, backend="none").y_range[0] > -4


def test_the_numbers_are_in_the_subtitle():
    said = figures.linear_approximation(DS, step=0, backend="none").subtitle
    assert said == "Slope −3.14 at x = 0.5. With ε = 0.4: tangent −1.26, function −0.951, error −0.306"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_parts_in_the_same_colours(theme):
    static = figures.linear_approximation(DS, step=1, backend="matplotlib", theme=theme)
    static.savefig(io.BytesIO(), format="png", dpi=40)
    drawn = {x.get_label(): x for x in static.axes[0].lines if not x.get_label().startswith("_")}
    interactive = {t.name: t for t in figures.linear_approximation(DS, step=1, theme=theme).data}
    assert drawn.keys() == interactive.keys() == {"cos(πx)", "tangent at x", "ε", "error", "x", "x + ε"}
    parts = dict(
        zip(
            ("cos(πx)", "tangent at x", "ε", "error", "x", "x + ε"),
            ("function", "tangent", "epsilon", "error", "point", "moved"),
            strict=True,
        )
    )
    for name, trace in interactive.items():
        np.testing.assert_allclose(drawn[name].get_data(), [trace.x, trace.y], atol=1e-6)
        line = trace.line.color or trace.marker.color
        assert drawn[name].get_color() == line == colors(theme)[parts[name]]


def test_bars_without_length_have_no_name_beside_them():
    figure = figures.linear_approximation(DS, step=2)
    assert [a.visible for a in figure.layout.annotations] == [False, False]
    static = figures.linear_approximation(DS, step=2, backend="matplotlib")
    assert [t.get_text() for t in static.axes[0].texts] == []
    assert [t.get_text() for t in figures.linear_approximation(DS, step=0, backend="matplotlib").axes[0].texts] == [
        "ε",
        "error",
    ]


def test_other_kinds_and_unknown_steps_are_refused():
    with pytest.raises(ValueError, match="kind 'fit', and one of kind 'linear_approximation' is needed"):
        figures.linear_approximation(DS.assign_attrs(kind="fit"))
    with pytest.raises(ValueError, match=r"Step 7 is not recorded; the nearest is 2 \(3 steps from 0 to 2\)"):
        figures.linear_approximation(DS, step=7)
