"""Ways between two optima: four panels, the barriers in them, and barriers beside each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures import valleys
from tests.figures.descents import drawn, numbers
from tests.figures.test_theme import DEUTERANOPIA, linear, rgb
from thalweg import figures
from thalweg.figures.chart import color
from thalweg.figures.rises import COLORS, barrier_of
from thalweg.figures.theme import palette

SEGMENT, CURVE = valleys.along(), valleys.along(0.03, "bezier", at=0.7)


def prepared(*ways, **how):
    return figures.connection(*ways, backend="none", **how)


def named(cell, label):
    return next(s for s in cell.series if s.label == label)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_a_barrier_is_the_largest_height_above_the_line_between_the_ends(seed, count):
    rng = np.random.default_rng(seed)
    t, values = np.append(np.sort(rng.uniform(0, 0.9, count - 1)), 1.0), rng.normal(size=count)
    t[0] = 0.0
    heights = [v - ((1 - s) * values[0] + s * values[-1]) for s, v in zip(t, values, strict=True)]
    rise = barrier_of(t, values)
    assert rise.height == pytest.approx(max(heights), abs=1e-12)
    assert rise.t == t[int(np.argmax(heights))]
    assert rise.top - rise.base == pytest.approx(rise.height)


def test_what_is_not_finite_makes_a_barrier_infinite_and_an_unknown_end_makes_none():
    t = np.linspace(0, 1, 4)
    assert barrier_of(t, np.array([0.0, np.inf, 1.0, 0.0])).height == np.inf
    assert barrier_of(t, np.array([0.0, np.nan, 1.0, 0.0])).height == np.inf
    assert barrier_of(t, np.array([np.nan, 1.0, 1.0, 0.0])) is None
    wall = SEGMENT.copy(deep=True)
    wall["loss"][20] = np.inf
    shown = prepared(wall, CURVE)
    assert "training loss: segment inf at t = 0.33" in shown.subtitle
    assert shown.notes == ("segment: 1 of 61 values of training loss is not finite",)


def test_there_are_four_panels_and_those_of_a_row_have_one_axis():
    cells = prepared(SEGMENT, CURVE).cells
    assert [c.title for c in cells] == ["Training loss", "Test loss", "Training accuracy", "Test accuracy"]
    assert cells[0].y.ends == cells[1].y.ends
    assert cells[2].y.ends == cells[3].y.ends
    for cell, name in zip(cells, ("loss", "test_loss", "accuracy", "test_accuracy"), strict=True):
        for label, ds in (("segment", SEGMENT), ("Bezier curve", CURVE)):
            np.testing.assert_array_equal(named(cell, label).y, ds[name])
            np.testing.assert_array_equal(named(cell, label).x, ds["t"])
    assert [c.x.label for c in cells] == ["", "", "position on the curve t", "position on the curve t"]
    assert len(prepared(SEGMENT[["loss", "test_loss"]], CURVE).cells) == 4
    assert len(prepared(SEGMENT[["loss"]]).cells) == 1


def test_bars_run_from_the_line_to_the_peak_and_what_is_too_low_is_told():
    shown = prepared(SEGMENT, CURVE)
    for cell, name in zip(shown.cells[:2], ("loss", "test_loss"), strict=True):
        bar = named(cell, "barrier, segment")
        k = int(np.argmin(np.abs(valleys.T - 0.45)))
        (start, end), t = valleys.ENDS[name], valleys.T[k]
        assert bar.x[0] == t
        np.testing.assert_allclose(bar.bars[:, 0], [(1 - t) * start + t * end, SEGMENT[name][k]])
        assert [w.text for w in cell.words] == ["barrier 2.2"]
        assert not [s for s in cell.series if s.label == "barrier, Bezier curve"]
        straight = named(cell, "line between the ends")
        np.testing.assert_allclose(straight.y, (1 - valleys.T) * start + valleys.T * end)
    assert "training loss: segment 2.2 at t = 0.45, Bezier curve 0.03 at t = 0.7" in shown.subtitle
    assert "Length: segment 41, Bezier curve 52" in shown.subtitle
    assert not shown.cells[2].words


def test_segments_are_dashed_and_every_way_has_a_colour():
    ways = {"as trained": SEGMENT, "aligned": valleys.along(0.3), "chain": valleys.along(0.2, "polygonal")}
    shown = prepared(ways, CURVE)
    curves = [named(shown.cells[0], n) for n in (*ways, "Bezier curve")]
    assert [c.dashed for c in curves] == [True, True, False, False]
    assert len({c.color for c in curves}) == 4
    assert [s.entry for s in shown.keys] == ["as trained", "aligned", "chain", "Bezier curve", "line between the ends"]
    assert len({color(c.color, t) for c in curves for t in ("light", "dark")}) >= 6


def test_words_of_barriers_do_not_stand_on_each_other():
    ways = {str(k): valleys.along(2.2 + 0.01 * k, at=0.4 + 0.01 * k) for k in range(4)}
    assert len(prepared(ways).cells[0].words) == 1
    assert len(prepared({"high": SEGMENT, "low": valleys.along(1.0)}).cells[0].words) == 2


def test_the_abscissa_can_be_the_distance_along_the_way():
    shown = prepared(SEGMENT, CURVE, over="arc_length")
    np.testing.assert_array_equal(named(shown.cells[0], "Bezier curve").x, CURVE["arc_length"])
    assert shown.cells[0].x.ends[1] > 52
    with pytest.raises(ValueError, match="'segment' knows no `arc_length`"):
        prepared(SEGMENT.drop_vars("arc_length"), over="arc_length")
    with pytest.raises(ValueError, match="over='u' is unknown"):
        prepared(SEGMENT, over="u")


def test_decades_take_a_logarithmic_axis_on_which_the_line_is_drawn_too():
    shown = prepared(valleys.along(5000.0), CURVE)
    assert shown.cells[0].y.kind == "log"
    drawn(figures.connection(valleys.along(5000.0), CURVE, backend="matplotlib"))
    assert prepared(valleys.along(5000.0), log=False).cells[0].y.kind == "linear"
    falling = SEGMENT.assign(loss=SEGMENT["loss"] * 0 - 1)
    falling["loss"].attrs = SEGMENT["loss"].attrs
    with pytest.raises(ValueError, match="has no logarithm"):
        prepared(falling[["loss"]], log=True)


def test_ways_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="Two ways have the name 'segment'"):
        prepared({"segment": SEGMENT}, {"segment": CURVE})
    with pytest.raises(ValueError, match="There is no way to draw"):
        prepared({})
    with pytest.raises(ValueError, match=r"has 2 coordinates .* slice it first"):
        prepared(valleys.valley_surface())
    with pytest.raises(ValueError, match="has no finite value"):
        prepared((SEGMENT * np.nan).assign_attrs(SEGMENT.attrs)[["loss"]])
    assert [s.label for s in prepared(SEGMENT, SEGMENT).cells[0].series[:2]] == ["segment", "segment 2"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_ways(theme):
    shown = prepared(SEGMENT, CURVE)
    static = drawn(figures.connection(SEGMENT, CURVE, theme=theme, backend="matplotlib"))
    interactive = figures.connection(SEGMENT, CURVE, theme=theme)
    for k, cell in enumerate(shown.cells):
        lines = {x.get_label(): x for x in static.axes[k].lines}
        traces = {t.name: t for t in interactive.data if t.xaxis == f"x{k + 1 if k else ''}"}
        for s in cell.series:
            if s.line:
                np.testing.assert_allclose(lines[s.label].get_ydata(), s.y)
                np.testing.assert_allclose(numbers(traces[s.label].y), s.y)
                assert lines[s.label].get_color() == color(s.color, theme)
        assert static.axes[k].get_ylim() == pytest.approx(cell.y.ends)
    entries = [t.get_text() for legend in static.legends for t in legend.get_texts()]
    assert entries == [t.name for t in interactive.data if t.showlegend]
    assert "barrier 2.2" in {a.text for a in interactive.layout.annotations}
    assert "barrier 2.2" in {t.get_text() for t in static.axes[0].texts}


# Barriers beside each other


def test_barriers_stand_beside_each_other_by_name_and_split():
    before, after = valleys.barrier(), valleys.barrier(0.4, 0.5)
    shown = figures.barrier({"as trained": before, "aligned": after}, backend="none")
    (cell,) = shown.cells
    train, test = cell.series
    np.testing.assert_array_equal(train.x, [2.2, 0.4])
    np.testing.assert_array_equal(test.x, [2.4, 0.5])
    assert cell.y.words == ("as trained", "aligned")
    assert (np.diff(train.y) < 0).all()
    scores = valleys.barrier(2.2, 2.4, 0.6, 0.5, names=("loss", "test_loss", "accuracy", "test_accuracy"))
    assert [c.x.label for c in figures.barrier(scores, backend="none").cells] == [
        "Barrier of the loss",
        "Barrier of the accuracy",
    ]


def test_barriers_over_widths_are_curves():
    widths = {16: valleys.barrier(1.4, 1.5), 512: valleys.barrier(0.1, 0.2), 64: valleys.barrier(0.8, 0.9)}
    shown = figures.barrier({"aligned": widths}, backend="none")
    assert [c.title for c in shown.cells] == ["Training loss", "Test loss"]
    np.testing.assert_array_equal(shown.cells[0].series[0].x, [16, 64, 512])
    np.testing.assert_array_equal(shown.cells[0].series[0].y, [1.4, 0.8, 0.1])
    assert shown.cells[0].x.kind == "log"
    with pytest.raises(ValueError, match="There is no barrier to draw"):
        figures.barrier({})
    with pytest.raises(ValueError, match="`aligned` is of kind 'surface', and one of kind 'barrier' is needed"):
        figures.barrier({"aligned": SEGMENT})


@pytest.mark.parametrize("given_", [valleys.barrier(), {"a": {16: valleys.barrier(), 32: valleys.barrier(1.0, 1.1)}}])
def test_both_backends_draw_barriers(given_):
    shown = figures.barrier(given_, backend="none")
    static, interactive = drawn(figures.barrier(given_, backend="matplotlib")), figures.barrier(given_, theme="dark")
    heights = [s.x if s.across is not None else s.y for s in shown.cells[0].series]
    found = [
        t.x if s.across is not None else t.y for s, t in zip(shown.cells[0].series, interactive.data, strict=False)
    ]
    np.testing.assert_allclose([numbers(f) for f in found], heights)
    assert len(static.axes) == len(shown.cells)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_ways_are_told_apart_with_any_vision_and_seen_on_paper(theme):
    def lightness(shade):
        return float(linear(np.array(rgb(shade))) @ [0.2126, 0.7152, 0.0722])

    def seen(shade):
        """Cube roots of cone responses as someone without green cones has them."""
        return np.cbrt(np.clip(DEUTERANOPIA @ linear(np.array(rgb(shade))), 0, 1))

    shades, paper = [color(word, theme) for word in COLORS[:5]], lightness(palette(theme).paper)
    for k, shade in enumerate(shades):
        low, high = sorted([lightness(shade), paper])
        assert (high + 0.05) / (low + 0.05) > 3
        assert all(np.linalg.norm(seen(shade) - seen(other)) > 0.1 for other in shades[:k])
