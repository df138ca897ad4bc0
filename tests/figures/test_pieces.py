"""Figures of elbows and of gradients in single weights: what is drawn, and where."""

import numpy as np
import pytest

from tests.figures.descents import drawn, numbers
from tests.figures.pieces import elbows, gradient_features
from thalweg import figures


def test_lines_are_where_units_are_on():
    board = figures.elbows(elbows(), backend="none")
    assert [cell.title for cell in board.cells] == [
        "",
        "Layer 0: 3 units, 2 elbows, 1 always on",
        "Layer 2: 2 units, 2 elbows, 1 never on",
    ]
    lines = board.cells[1].series[0]
    np.testing.assert_array_equal(lines.x.reshape(-1, 3)[:, :2], [[-0.5, 1], [-1, 0.5], [-1, 1]])
    np.testing.assert_array_equal(lines.y.reshape(-1, 3)[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(board.cells[2].series[0].x[:2], [-0.25, 0.25])
    assert len(board.cells[2].series[0].x) == 3
    assert board.subtitle == "4 elbows of 5 units. 5 straight pieces"


def test_the_output_lies_among_data_and_truth_with_its_bends_marked():
    found = elbows()
    series = {s.label: s for s in figures.elbows(found, backend="none").cells[0].series}
    assert list(series) == ["training data", "truth", "network", "elbows"]
    np.testing.assert_array_equal(series["network"].x, found.node_x)
    assert series["network"].symbol == "circle"
    assert len(series["training data"].x) == 400
    assert series["elbows"].hover[2] == "layer 2, unit 0<br>input −0.25<br>slope 4 more"
    assert [m.at for m in figures.elbows(found, backend="none").cells[0].marks] == [-0.8, 0.8]
    bare = found.drop_vars(["train_x", "train_y", "truth_x", "truth"])
    bare.attrs = {"kind": "elbows", "low": -1.0, "high": 1.0}
    cell = figures.elbows(bare, backend="none").cells[0]
    assert [s.label for s in cell.series] == ["network", "elbows"]
    assert not cell.marks


def test_a_network_without_elbows_is_one_straight_piece():
    found = elbows().isel(elbow=slice(0), node=[0, 5])
    board = figures.elbows(found, backend="none")
    assert board.subtitle == "0 elbows of 5 units. 1 straight piece"
    for backend in ("plotly", "matplotlib"):
        figures.elbows(found, backend=backend)


def test_every_weight_is_a_line_of_its_layer_but_those_that_are_zero():
    board = figures.gradient_features(gradient_features(), backend="none")
    assert [cell.title for cell in board.cells] == ["Layer a: 61 weights, 1 zero everywhere", "Layer b: 1 weight"]
    weight, bias = board.cells[0].series
    assert (weight.entry, bias.entry) == ("weight", "bias")
    lines = weight.y.reshape(-1, 12)
    assert lines.shape == (50, 12)
    np.testing.assert_allclose(lines[:, 10], np.arange(10, 60))
    assert (np.diff(weight.x[:11]) > 0).all()
    assert board.notes == ("Of a.weight the 50 largest are drawn",)
    twice = figures.gradient_features(gradient_features(), output=1, backend="none")
    np.testing.assert_allclose(twice.cells[0].series[0].y, 2 * weight.y)


def test_states_stand_side_by_side_on_the_same_axes():
    both = {"before": gradient_features(0.1), "after": gradient_features()}
    board = figures.gradient_features(both, backend="none")
    assert board.columns == 2
    assert [c.title.partition(",")[0] for c in board.cells] == ["before", "after"] * 2
    assert board.cells[0].y.ends == board.cells[1].y.ends
    assert [m.word for m in board.cells[0].marks] == ["training range", "beyond"]
    assert not any(m.word for m in board.cells[2].marks)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", [(figures.elbows, elbows), (figures.gradient_features, gradient_features)])
def test_both_backends_draw_the_same_numbers(draw, theme):
    function, make = draw
    board = function(make(), backend="none")
    traces = function(make(), theme=theme).data
    static = drawn(function(make(), theme=theme, backend="matplotlib"))
    for cell, axes in zip(board.cells, [a for a in static.axes if a.get_subplotspec()], strict=True):
        lines = {line.get_label(): line for line in axes.lines}
        for s in cell.series:
            line = lines[s.entry or f"_{s.label}"]
            np.testing.assert_array_equal(line.get_ydata(), s.y)
            assert any(len(t.y) == len(s.y) and np.array_equal(numbers(t.y), s.y, equal_nan=True) for t in traces)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"`thalweg.elbows` makes one"):
        figures.elbows(gradient_features())
    with pytest.raises(ValueError, match="not single numbers"):
        figures.gradient_features(gradient_features().drop_vars("x"))
    with pytest.raises(ValueError, match="output=2; the features are of 0, 1"):
        figures.gradient_features(gradient_features(), output=2)
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.gradient_features({})
