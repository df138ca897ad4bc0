"""Figures of tangents: what is drawn, where, in which order, and what is said of what cannot be drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.figures import statistics as others
from tests.figures import tangents as made
from tests.figures.descents import drawn, numbers
from tests.figures.test_theme import DEUTERANOPIA, linear, luminance, rgb
from thalweg import figures
from thalweg.figures import shades
from thalweg.figures.chart import color
from thalweg.figures.rows import thinned

NET = made.tangent()
HOLE = "diverged: not finite"


def cells(ds, **kwargs):
    return figures.tangent(ds, backend="none", **kwargs).cells


def features(cell):
    return {s.label: s for s in cell.series if s.label.startswith("feature")}


def test_bars_are_the_largest_singular_values_and_the_rank_is_marked_behind_the_last():
    spectrum = cells(NET)[0]
    (bars,) = spectrum.series
    np.testing.assert_allclose(bars.y, np.linalg.svd(made.jacobian()[1], compute_uv=False))
    assert (spectrum.marks[0].at, spectrum.words[0].text) == (7.5, "rank 7")
    first = bars.y[0] ** 2 / (bars.y**2).sum()
    assert bars.hover[0].endswith(f"{first:.1%} of the squared length")
    few = cells(NET, values=3)[0]
    assert (few.series[0].y.size, few.marks, few.words[0].text) == (3, (), "rank 7")
    unknown = cells(NET.assign_attrs(rank_known=0))[0]
    assert unknown.words[0].text == "rank at least 7"


def test_a_logarithmic_axis_is_drawn_on_request():
    assert cells(NET)[0].y.kind == "linear"
    shown = cells(NET, log=True)[0]
    assert shown.y.kind == "log"
    assert shown.y.ends[0] < NET.singular_value.min()
    page = figures.tangent(NET, log=True)
    bar = next(t for t in page.data if t.type == "bar")
    np.testing.assert_allclose(np.asarray(bar.base) + numbers(bar.y), NET.singular_value)


def test_features_are_functions_of_the_input_in_rising_order():
    panel = cells(NET)[1]
    found = features(panel)
    assert len(found) == 7
    order = np.argsort(made.jacobian()[0])
    for k in range(7):
        np.testing.assert_array_equal(found[f"feature {k + 1}"].x, NET.x.values[order])
        np.testing.assert_array_equal(found[f"feature {k + 1}"].y, NET.principal_feature.values[order, k])
    assert [s.color for s in list(found.values())[-2:]] == ["main", "warm"]
    assert [s.entry for s in figures.tangent(NET, backend="none").keys] == ["feature 1", "feature 2"]


def test_only_ten_features_are_drawn():
    assert len(features(cells(made.tangent(weights=15))[1])) == 10


def test_the_dots_are_the_first_two_features_coloured_by_the_input():
    panel = cells(NET)[2]
    (dots,) = panel.series
    order = np.argsort(NET.x.values)
    np.testing.assert_array_equal(np.stack([dots.x, dots.y], axis=1), NET.principal_feature.values[order, :2])
    np.testing.assert_array_equal(dots.shades, NET.x.values[order])
    assert (panel.shades.label, panel.shades.words) == ("input x", ("−1", "−0.5", "0", "0.5", "1"))


def test_the_training_range_is_shaded_where_inputs_lie_beyond_it():
    shade = cells(NET)[1].series[0]
    assert shade.label == "training range"
    np.testing.assert_array_equal(shade.x, [-1.0, 0.4])
    within = cells(NET.assign_attrs(train_low=-1.0, train_high=1.0))[1]
    assert all(s.label != "training range" for s in within.series)


def test_outputs_of_one_input_are_curves_with_a_gap_between_them():
    both = made.tangent(outputs=2)
    curve = features(cells(both)[1])["feature 1"]
    assert int(np.isnan(curve.y).sum()) == 1
    first, second = np.split(curve.x, [60])
    assert (np.diff(first) > 0).all()
    assert (np.diff(second[1:]) > 0).all()
    assert curve.hover[0].endswith("output 0: feature 1 = " + curve.hover[0].rpartition(" ")[2])


def test_without_inputs_rows_are_sorted_by_output_by_class_or_stand_over_their_target():
    label = np.arange(60)[::-1] % 4
    by_output = cells(made.tangent(scalar=False, outputs=3, label=label))
    assert (by_output[1].x.label, by_output[1].x.words, len(by_output[1].marks)) == ("Output", ("0", "1", "2"), 2)
    assert by_output[2].shades.steps == 3
    by_class = cells(made.tangent(scalar=False, label=label))
    assert (by_class[1].x.words, [m.at for m in by_class[1].marks]) == (("0", "1", "2", "3"), [14.5, 29.5, 44.5])
    np.testing.assert_array_equal(by_class[2].series[0].shades, np.sort(label))
    over = cells(made.tangent(scalar=False, target=True))
    assert over[1].x.label == "Target"
    np.testing.assert_array_equal(features(over[1])["feature 1"].x, np.sort(np.sin(3 * made.jacobian()[0])))
    plain = cells(made.tangent(scalar=False))
    assert (plain[1].x.label, plain[2].shades.label) == ("Example", "example")


def test_several_states_have_a_row_each_over_the_same_inputs():
    other = made.tangent(seed=5).assign(x=2 * made.tangent(seed=5).x)
    shown = figures.tangent({"before": NET, "after": other}, backend="none")
    assert (len(shown.rows), len(shown.cells)) == (2, 6)
    assert [c.title for c in shown.cells[::3]] == ["before\nSingular values", "after\nSingular values"]
    assert shown.cells[1].x.ends == shown.cells[4].x.ends
    assert shown.cells[2].shades == shown.cells[5].shades
    assert [bool(c.x.label) for c in shown.cells] == [False] * 3 + [True] * 3
    assert shown.subtitle.startswith("Rank, and share of the first value in the squared length: before 7 and ")


@pytest.mark.parametrize("state", [None, made.lost()], ids=["none", "nan"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_state_that_diverged_is_shown_as_such(state, theme):
    states = {"before": NET, "after": state}
    shown = figures.tangent(states, backend="none")
    assert [w.text for c in shown.cells[3:] for w in c.words] == [HOLE] * 3
    assert shown.subtitle.endswith("after diverged")
    page = figures.tangent(states, theme=theme)
    assert sum(a.text == HOLE for a in page.layout.annotations) == 3
    static = drawn(figures.tangent(states, theme=theme, backend="matplotlib"))
    assert sum(t.get_text() == HOLE for axes in static.axes for t in axes.texts) == 3


def test_a_constant_feature_is_drawn_as_a_constant():
    noise = np.random.default_rng(0).normal(size=(60, 1)) * 1e-6
    constant = NET.isel(value=[0]).assign(principal_feature=(("row", "value"), 1 + noise)).assign_attrs(rank=1)
    spectrum, panel, pair = cells(constant)
    assert panel.y.ends[1] - panel.y.ends[0] > 0.1
    assert pair.words[0].text == "there is no second feature"
    assert (spectrum.words[0].text, len(features(panel))) == ("rank 1", 1)
    drawn(figures.tangent(constant, backend="matplotlib"))


def test_of_many_rows_some_are_drawn_and_this_is_said():
    shown = figures.tangent(made.tangent(n=3000), backend="none")
    assert shown.cells[1].series[-1].x.size == 600
    assert shown.notes == ("600 of 3,000 rows are drawn, evenly spaced",)
    loose = made.tangent().assign(residual=("value", np.full(7, 5.0)))
    assert "residuals up to 5" in figures.tangent(loose, backend="none").notes[0]


@given(total=st.integers(1, 5000), most=st.integers(2, 900))
def test_thinned_places_are_few_distinct_and_hold_both_ends(total, most):
    found = thinned(total, most)
    assert found.size == min(total, most)
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1]) == (0, total - 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_dots_curves_and_bars(theme):
    page = figures.tangent(NET, theme=theme)
    static = drawn(figures.tangent(NET, theme=theme, backend="matplotlib"))
    curve = next(t for t in page.data if t.name == "feature 1")
    (line,) = [x for x in static.axes[1].lines if x.get_label() == "feature 1"]
    np.testing.assert_allclose(numbers(curve.y), line.get_ydata())
    assert curve.line.color == line.get_color() == color("main", theme)
    dots = next(t for t in page.data if t.name == "rows")
    (found,) = [c for c in static.axes[2].collections if c.get_offsets().size == 120]
    np.testing.assert_allclose(np.stack([numbers(dots.x), numbers(dots.y)], axis=1), found.get_offsets())
    np.testing.assert_allclose(numbers(dots.marker.color), found.get_array())
    bar = page.layout[dots.marker.coloraxis]
    assert (bar.cmin, bar.cmax) == found.get_clim()
    assert [c for _, c in bar.colorscale] == shades.numbers("x", np.zeros(1)).palette(theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_dots_rise_in_lightness_also_without_green_receptors(theme):
    colors = np.array([rgb(c) for c in shades.numbers("x", np.zeros(1)).palette(theme)])
    assert (np.diff(luminance(colors)) > 0).all()
    seen = np.clip(linear(colors) @ DEUTERANOPIA.T, 0, 1)
    assert (np.diff(seen @ [0.2126, 0.7152, 0.0722]) > 0).all()
    paper = {"light": 1.0, "dark": float(luminance(rgb("#0b1220")))}[theme]
    contrast = (np.maximum(luminance(colors), paper) + 0.05) / (np.minimum(luminance(colors), paper) + 0.05)
    assert contrast.min() > 1.7


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"`thalweg.linearize` makes one"):
        figures.tangent(others.gradients())
    with pytest.raises(ValueError, match="network has diverged"):
        figures.tangent({"only": None})
    with pytest.raises(ValueError, match="no tangent to draw"):
        figures.tangent({})
    with pytest.raises(ValueError, match="draw at least one"):
        figures.tangent(NET, values=0)


@pytest.mark.parametrize("backend", ["plotly", "matplotlib"])
def test_a_dead_network_of_rank_zero_is_drawn(backend):
    import thalweg as tw

    model = torch.nn.Sequential(torch.nn.Linear(1, 3, bias=False), torch.nn.ReLU(), torch.nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    x = torch.linspace(-1, 1, 9)[:, None]
    problem = tw.ModuleProblem(model, (x, x), loss=torch.nn.functional.mse_loss)
    dead = tw.linearize(problem)
    assert dead.attrs["rank"] == 0
    tw.figures.tangent(dead, backend=backend)
