"""The maps of risk: what lies where, and how colours are shared out."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import FancyArrowPatch

from tests.figures.stochastic import gradient, perceptron_data, pointwise, risks, sgd
from thalweg import figures
from thalweg.figures import bands


@pytest.fixture(scope="module")
def ds():
    return risks(points=31)


@pytest.fixture(scope="module")
def run():
    return sgd()


def panels(ds, **arguments):
    return {panel.name: panel for panel in figures.risk(ds, backend="none", **arguments).panels}


def some(seed, ties):
    rng = np.random.default_rng(seed)
    spread = rng.lognormal(0.0, 2.0, 400)
    return np.round(spread) if ties else spread


@given(seed=st.integers(0, 2**32 - 1))
def test_each_band_below_and_above_the_middle_holds_the_same_share(seed):
    values = some(seed, ties=False)
    middle = float(np.median(values)) * 1.2
    made = bands.quantile_bands([values], middle)
    counts = np.histogram(values, made.levels)[0]
    assert made.levels[made.middle] == middle
    for side in (counts[: made.middle], counts[made.middle :]):
        assert np.ptp(side) <= 3
    assert counts.sum() == values.size


@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans(), middle=st.floats(-10, 10))
def test_levels_rise_strictly_from_the_least_to_the_greatest_value(seed, ties, middle):
    values = some(seed, ties)
    made = bands.quantile_bands([values, values[:50] + 1], middle)
    assert (np.diff(made.levels) > 0).all()
    assert made.levels.size == bands.BELOW + bands.ABOVE
    assert made.levels[0] <= values.min()
    assert made.levels[-1] >= max(values.max(), values[:50].max() + 1)
    np.testing.assert_allclose(made(made.levels), np.arange(made.levels.size))


def test_samples_count_the_same_however_many_values_they_hold():
    few, many = np.linspace(0, 1, 100), np.linspace(10, 11, 30_000)
    made = bands.quantile_bands([few, many], 5.0)
    assert (made.levels[: made.middle] <= 1).all()
    assert (made.levels[made.middle + 1 :] >= 10).all()


def test_a_sample_too_long_for_quantiles_keeps_its_ends_and_every_example():
    each = np.tile(np.arange(100.0), 5000)  # 100 examples, the same at 5,000 points
    made = bands.quantile_bands([each], 50.0)
    assert made.levels[[0, -1]].tolist() == [0, 99]
    np.testing.assert_allclose(made.levels[5], 25, atol=1)


def test_the_median_parts_the_colours_where_nothing_lies_below_the_middle():
    values = np.linspace(1, 3, 101)
    assert bands.quantile_bands([values], 0.5).levels[10] == 2.0
    assert bands.quantile_bands([np.full(9, 4.0)], 4.0).levels[10] == 4.0
    with pytest.raises(ValueError, match="None of the risks is finite"):
        bands.quantile_bands([np.full(3, np.nan)], 0.0)


def test_infinite_values_are_at_the_top_and_undefined_ones_nowhere():
    made = bands.quantile_bands([np.linspace(0, 1, 50)], 0.5)
    assert made(np.inf) == 20
    assert np.isnan(made(np.nan))
    assert np.isnan(made(-np.inf))


def test_the_two_colours_differ_for_eyes_without_green_receptors_and_darken_outwards():
    from tests.figures.test_theme import DEUTERANOPIA, linear, rgb

    colors = np.array([rgb(bands.color(p)) for p in (np.arange(20) + 0.5) / 20])
    light = linear(colors) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light[:10]) > 0).all()
    assert (np.diff(light[10:]) < 0).all()
    seen = np.sqrt(np.clip(linear(colors) @ DEUTERANOPIA.T, 0, 1))
    for k in range(7):
        assert np.linalg.norm(seen[k] - seen[19 - k]) > 0.25


def test_colours_meet_at_the_empirical_risk_at_the_origin(ds):
    shown = figures.risk(ds, backend="none")
    _, y = perceptron_data()
    assert shown.bands.levels[10] == pytest.approx((y**2).mean())
    assert "the empirical risk at the origin" in shown.notes[0]


@pytest.mark.parametrize("step", [0, 7, 99])
def test_the_left_map_is_the_risk_of_the_example_of_the_step(ds, run, step):
    left = panels(ds, descent=run, step=step)["pointwise_risk"]
    x, y = perceptron_data()
    a, b = np.meshgrid(ds["alpha"], ds["beta"], indexing="ij")
    np.testing.assert_allclose(left.values, pointwise(a, b, x[step], y[step]))
    np.testing.assert_array_equal(left.here, run["theta"].values[0, step])


def test_the_left_map_of_a_batch_is_its_mean_risk(ds):
    run = sgd(batch=4)
    left = panels(ds, descent=run, step=3)["pointwise_risk"]
    np.testing.assert_allclose(left.values, ds["pointwise_risk"].values[..., 12:16].mean(-1))
    assert left.title == "Mean risk of 4 examples"
    assert "a batch of 4 examples" in figures.risk(ds, descent=run, step=3, backend="none").title


def test_the_arrow_is_minus_a_tenth_of_the_gradient_and_only_there_if_it_is_not_zero(ds, run):
    x, y = perceptron_data()
    drawn = 0
    for step in range(30):
        left = panels(ds, descent=run, step=step)["pointwise_risk"]
        expected = -0.1 * np.array(gradient(*run["theta"].values[0, step], x[step], y[step]))
        if expected.any():
            np.testing.assert_allclose(left.arrow, expected)
            drawn += 1
        else:
            assert left.arrow is None
    assert 0 < drawn < 30


def test_the_head_of_an_arrow_is_shorter_than_the_arrow(ds, run):
    for step in range(100):
        trace = next(t for t in figures.risk(ds, descent=run, step=step).data if t.name == "arrow")
        length = 33.0 * np.hypot(*np.diff([trace.x, trace.y], axis=1))[0]  # a map is 330 pixels and 10 units wide
        if np.isfinite(length):
            assert 0 <= trace.marker.size[1] <= min(14, 0.71 * length)


def test_no_arrow_where_the_coordinates_are_not_the_weights(ds, run):
    for other, why in (
        (run.assign(alpha=2 * run["alpha"]), "coordinates are not the weights"),
        (run.pad(weight=(0, 1), constant_values=1.0), "does not hold all weights"),
    ):
        shown = figures.risk(ds, descent=other, step=1, backend="none")
        assert shown.panels[0].arrow is None
        assert why in shown.notes[-1]
    moved = run.assign(alpha=run["alpha"] - 1.0)  # a plane whose origin is not zero
    assert panels(ds, descent=moved, step=1)["pointwise_risk"].arrow is not None


def test_the_path_so_far_lies_on_the_empirical_risk_only(ds, run):
    drawn = panels(ds, descent=run, step=40)
    np.testing.assert_array_equal(drawn["empirical_risk"].path, run["theta"].values[0, :41].T)
    assert drawn["pointwise_risk"].path is None
    assert drawn["expected_risk"].path is None
    np.testing.assert_array_equal(drawn["expected_risk"].here, run["theta"].values[0, 40])


def test_the_end_shows_the_last_example_without_an_arrow(ds, run):
    shown = figures.risk(ds, descent=run, backend="none")
    assert shown.title.startswith("Step 100, the end; the last update used example 99 (x = ")
    assert shown.panels[0].arrow is None
    assert shown.panels[1].path.shape == (2, 101)


def test_a_thinned_record_knows_its_own_steps(ds):
    run = sgd(every=10)
    shown = figures.risk(ds, descent=run, step=30, backend="none")
    assert shown.title.startswith("Step 30, example 30")
    assert shown.panels[1].path.shape == (2, 4)
    with pytest.raises(ValueError, match=r"Step 31 is not recorded; the nearest is 30 \(11 steps from 0 to 100\)"):
        figures.risk(ds, descent=run, step=31)


def test_the_title_says_the_step_and_the_example_wherever_it_goes(ds, run):
    x, _ = perceptron_data()
    assert f"x = {x[5]:.3g}".replace("-", "−") in figures.risk(ds, descent=run, step=5, backend="none").title
    named = figures.risk(ds, descent=run, step=5, title="Perceptron", backend="none")
    assert named.title == "Perceptron"
    assert named.subtitle.startswith("Step 5, example 5 (x = ")
    assert figures.risk(risks(9, labelled=False), example=3, backend="none").title == "Example 3"


def test_without_an_expected_risk_there_are_two_maps():
    ds = risks(points=9, with_expected=False)
    assert [p.title for p in figures.risk(ds, backend="none").panels] == [
        "Pointwise risk of example 0",
        "Empirical risk",
    ]
    assert len([t for t in figures.risk(ds).data if t.type == "heatmap"]) == 2


def test_an_example_can_be_chosen_instead_of_the_step_s_own(ds, run):
    shown = figures.risk(ds, descent=run, step=2, example=9, backend="none")
    np.testing.assert_array_equal(shown.panels[0].values, ds["pointwise_risk"].values[..., 9])
    assert shown.title.startswith("Step 2; on the left example 9")
    assert shown.panels[0].arrow is None


def test_full_batches_show_the_first_example_without_an_arrow(ds, run):
    shown = figures.risk(ds, descent=run.drop_vars(["example", "batch_loss"]), step=2, backend="none")
    assert shown.title.startswith("Step 2; on the left example 0")
    assert shown.panels[0].arrow is None


def test_examples_are_found_by_their_numbers(run):
    ds = risks(9).isel(example=slice(None, None, -1)).assign_coords(example=np.arange(100)[::-1])
    left = panels(ds, descent=run, step=7)["pointwise_risk"]
    np.testing.assert_array_equal(left.values, risks(9)["pointwise_risk"].values[..., 7])


def test_what_does_not_belong_is_refused_with_what_to_do(ds, run):
    cases = [
        ({"example": 100}, "There is no example 100; the dataset has 100, from 0 to 99"),
        ({"step": 3}, "step=3 needs a `descent=`"),
        ({"descent": ds}, "`descent` is a dataset of kind 'surface'"),
        ({"descent": run, "start": 1}, "There is no start 1; the descent has 1"),
        ({"descent": run.drop_vars(["alpha", "beta"])}, "no positions alpha, beta on these maps; add them with"),
    ]
    for arguments, words in cases:
        with pytest.raises(ValueError, match=words):
            figures.risk(ds, **arguments)
    with pytest.raises(ValueError, match="has no `pointwise_risk`, which the maps of risk show"):
        figures.risk(ds.drop_vars("pointwise_risk"))


def line(figure, label):
    return [x for axes in figure.axes for x in axes.lines if x.get_label() == label]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_maps_path_and_arrow(ds, run, theme):
    shown = figures.risk(ds, descent=run, step=2, backend="none")
    left = shown.panels[0]
    interactive = figures.risk(ds, descent=run, step=2, theme=theme)
    static = figures.risk(ds, descent=run, step=2, backend="matplotlib", theme=theme)
    static.savefig(io.BytesIO(), format="png", dpi=40)
    named = {t.name: t for t in interactive.data}
    for panel in shown.panels:
        np.testing.assert_allclose(named[panel.title].z, panel.values.T, rtol=1e-6)
        assert named[panel.title].hovertemplate.count("%{z") == 1
    np.testing.assert_array_equal([named["path so far"].x, named["path so far"].y], shown.panels[1].path)
    (path,) = line(static, "_path")
    np.testing.assert_array_equal(path.get_data(), shown.panels[1].path)
    ends = np.array([named["arrow"].x, named["arrow"].y]).T
    np.testing.assert_allclose(ends, [left.here, left.here + left.arrow])
    (arrow,) = [p for p in static.axes[0].patches if isinstance(p, FancyArrowPatch)]
    np.testing.assert_allclose(np.array(arrow._posA_posB), ends)
    iterates = line(static, "_iterate")
    assert len(iterates) == 3 == len([t for t in interactive.data if t.name == "iterate"])
    for drawn in iterates:
        np.testing.assert_array_equal(np.ravel(drawn.get_data()), left.here)


def test_one_colour_bar_says_the_risks_between_the_bands(ds):
    at, words = figures.risk(ds, backend="none").bands.ticks
    interactive = [t for t in figures.risk(ds).data if t.type == "scatter" and t.marker.showscale]
    assert len(interactive) == 1
    assert tuple(interactive[0].marker.colorbar.ticktext) == words
    static = figures.risk(ds, backend="matplotlib")
    static.canvas.draw()
    (bar,) = static.axes[2].child_axes
    assert [t.get_text() for t in bar.get_yticklabels()] == list(words)
    np.testing.assert_allclose(bar.get_yticks(), figures.risk(ds, backend="none").bands.levels[at])


def test_levels_lie_where_the_risk_has_their_value(ds):
    """Points of the drawn level lines, put into the formula of the expected risk."""
    from tests.figures.stochastic import expected

    fine = risks(points=101)
    figure = figures.risk(fine)
    lines = [t for t in figure.data if t.name == "levels"][2]
    x, y = np.array(lines.x, float), np.array(lines.y, float)
    ok = np.isfinite(x)
    levels = figures.risk(fine, backend="none").bands.levels
    told = expected(x[ok], y[ok])
    assert np.abs(told[:, None] - levels).min(axis=1).max() < 0.02 * np.ptp(told)


def test_infinite_risks_are_drawn_at_the_top_and_counted():
    ds = risks(points=9)
    ds["empirical_risk"][0, 0] = np.inf
    ds["expected_risk"][1, 1] = np.nan
    shown = figures.risk(ds, backend="none")
    assert any("Empirical risk: 1 of 81 points are not finite" in n for n in shown.notes)
    empirical = [t for t in figures.risk(ds).data if t.type == "heatmap"][1]
    assert empirical.z[0][0] == pytest.approx(shown.bands.levels[-1])
    figures.risk(ds, backend="matplotlib").savefig(io.BytesIO(), format="png", dpi=40)


def test_the_error_of_an_estimated_expectation_is_told(ds):
    known = ds.assign(
        expected_risk_standard_error=(
            ("alpha", "beta"),
            np.full((31, 31), 0.25),
            {"role": "standard_error", "of": "expected_risk"},
        )
    )
    assert any("standard error up to 0.25" in n for n in figures.risk(known, backend="none").notes)
