"""Loss curves of many descents, and descents on the profile of a single coordinate."""

import io

import numpy as np
import pytest
import xarray as xr

from tests.figures import descents
from tests.figures.conftest import value
from thalweg import figures
from thalweg.figures import strands, theme
from thalweg.figures.descent import descent


def prepared(runs, **kwargs):
    shown = descent(runs, backend="none", **kwargs)
    return shown, shown.panels[0].strands


def curves(strand):
    """The curves of a strand one by one, each (2, n)."""
    both = np.array([strand.x, strand.y])
    return [part[:, np.isfinite(part[0])] for part in np.split(both, np.flatnonzero(np.isnan(strand.x)), axis=1)]


def drawn(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def line_problem(lr=0.2, starts=(-1.5, 0.5, 2.6), steps=8):
    """Descent on cos(2x) + x²/4 and its profile over [-2, 2]."""
    x = np.linspace(-2, 2, 101)
    theta = [np.array(starts)]
    for _ in range(steps):
        theta.append(theta[-1] - lr * (theta[-1] / 2 - 2 * np.sin(2 * theta[-1])))
    theta = np.stack(theta, axis=1)
    both = ("start", "step")
    runs = xr.Dataset(
        {
            "theta": ((*both, "weight"), theta[..., None]),
            "loss": (both, np.cos(2 * theta) + theta**2 / 4, {"long_name": "loss", "units": ""}),
            "gradient": ((*both, "weight"), theta[..., None]),
            "learning_rate": ("step", np.full(steps + 1, lr)),
            "t": (both, theta, {"role": "position"}),
            "distance": (both, 0 * theta),
        },
        {"start": np.arange(len(starts)), "step": np.arange(steps + 1)},
        {"kind": "descent", "coordinates": ["t"], "optimizer": "SGD(lr=0.2)", "start_shape": [len(starts)]},
    )
    profile = xr.Dataset(
        {"loss": value("loss", ("t",), np.cos(2 * x) + x**2 / 4)}, {"t": x}, {"kind": "surface", "coordinates": ["t"]}
    )
    return profile, runs


def test_the_curves_of_an_outcome_are_the_losses_of_its_starts():
    runs = descents.circle()
    _, found = prepared(runs, log=False)
    assert [s.label.split(":")[0] for s in found] == descents.NAMES[:2]
    for k, strand in enumerate(found):
        members = np.flatnonzero(runs["outcome"].values == k)
        assert strand.label == f"{descents.NAMES[k]}: {members.size} of 24"
        for start, (x, y) in zip(members, curves(strand), strict=True):
            np.testing.assert_array_equal(x, runs["step"].values)
            np.testing.assert_array_equal(y, runs["loss"].values[start])


@pytest.mark.parametrize("name", ["light", "dark"])
def test_both_backends_draw_the_same_curves_in_the_colours_of_the_surface(name):
    runs = descents.circle()
    shown, found = prepared(runs)
    figure = descent(runs, theme=name)
    static = drawn(descent(runs, theme=name, backend="matplotlib"))
    on_surface = figures.contour(descents.surface(), descent=runs, theme=name)
    for strand in found:
        (trace,) = [t for t in figure.data if t.name == strand.label]
        (line,) = [x for x in static.axes[0].lines if x.get_label() == strand.label]
        (other,) = [t for t in on_surface.data if t.name == strand.label]
        np.testing.assert_allclose(np.array(trace.y, float), strand.y, rtol=1e-4)
        np.testing.assert_array_equal(line.get_ydata(), strand.y)
        assert trace.line.color == line.get_color() == other.line.color == theme.outcome_color(strand.rank, name)
    labels = [strand.label for strand in found]
    assert [t.name for t in figure.data if t.showlegend] == labels
    assert [t.get_text() for t in static.legends[0].get_texts()] == labels
    assert shown.title == "Training loss over the updates"


def test_more_than_three_decades_make_the_axis_logarithmic_also_with_zeros():
    short, long = descents.circle(steps=3), descents.circle(steps=60)
    assert not prepared(short)[0].panels[0].log
    assert prepared(long)[0].panels[0].log
    exact = descents.descend([[1.0, 1.0], [1.0, 0.9], [2.0, 0.5]], steps=40, told=False)
    assert (exact["loss"].values[0] == 0).all()
    shown, (strand,) = prepared(exact)
    assert shown.panels[0].log
    low = min(y.min() for _, y in curves(strand))
    below = int((exact["loss"].values < low).sum())
    assert low > 0
    assert below > 40
    assert shown.notes[0].startswith(f"{below} of 123 losses lie below")
    assert descent(exact).layout.yaxis.type == "log"
    assert drawn(descent(exact, backend="matplotlib")).axes[0].get_yscale() == "log"
    assert not prepared(exact, log=False)[0].notes
    with pytest.raises(ValueError, match="No loss is positive, so there is no logarithm; draw it with log=False"):
        prepared(exact.isel(start=[0]), log=True)


def test_constant_losses_have_a_range():
    for log in (False, "auto"):
        low, high = prepared(descents.descend([[1.0, 1.0]], steps=4, told=False), log=log)[0].panels[0].ylim
        assert low < 0 < high


def test_a_diverged_curve_ends_in_a_cross_at_the_top_and_is_counted():
    runs = descents.wild()
    for log in (True, False):
        shown, found = prepared(runs, log=log)
        assert "2 of 4 starts diverged" in shown.subtitle
        (lost,) = [s for s in found if s.kind == "diverged"]
        kept = runs["loss"].values[:2]
        top = max(kept.max(), runs["loss"].values[:, 0].max())
        np.testing.assert_allclose(lost.lost[1], top)
        assert np.nanmax(lost.y) <= top * (1 + 1e-12)
        before = int(np.floor(lost.lost[0, 0]))
        assert runs["loss"].values[2, before] <= top < runs["loss"].values[2, before + 1]
    crosses = [t for t in descent(runs).data if t.name == "diverged: 2 of 4, ends"]
    assert list(crosses[0].marker.symbol) == ["x", "x"]
    nothing = runs.copy(deep=True)
    nothing["loss"][:] = np.nan
    with pytest.raises(ValueError, match="No start of this descent has a finite loss"):
        descent(nothing)


def test_more_than_200_starts_are_thinned_and_the_subtitle_says_so():
    runs = descents.grid(26, steps=5)
    shown, found = prepared(runs)
    assert "169 of 676 starts are drawn" in shown.subtitle
    assert sum(len(curves(s)) for s in found) == 169
    loose = descents.descend(np.random.default_rng(0).normal(size=(450, 2)), steps=2, told=False)
    _, (strand,) = prepared(loose)
    for k in (0, -1):
        _, y = curves(strand)[k]
        np.testing.assert_allclose(y, np.maximum(loose["loss"].values[k], y.min()))
    assert len(curves(strand)) == strands.MOST_CURVES


def test_at_a_step_curves_end_there_in_dots_and_the_axes_stay():
    runs = descents.circle()
    whole, _ = prepared(runs)
    shown, found = prepared(runs, step=7)
    for k, strand in enumerate(found):
        assert np.nanmax(strand.x) == 7
        expected = runs["loss"].values[runs["outcome"].values == k, 7]
        np.testing.assert_allclose(strand.heads, [np.full(expected.size, 7), expected])
    assert (shown.panels[0].xlim, shown.panels[0].ylim) == (whole.panels[0].xlim, whole.panels[0].ylim)
    assert shown.title.endswith(", step 7")
    pictures = [descent(runs, step=k) for k in (0, 7, 30)]
    assert len({str(p.layout.yaxis.range) for p in pictures}) == 1
    assert len({tuple(t.name for t in p.data) for p in pictures}) == 1


def test_the_learning_rate_has_a_panel_if_it_varies():
    rates = 0.1 / (1 + np.arange(31))
    plain, varying = descents.circle(), descents.circle(lr=rates)
    assert len(prepared(plain)[0].panels) == 1
    _, panel = prepared(varying)[0].panels
    np.testing.assert_array_equal(panel.lines[0].y, rates)
    assert prepared(varying, step=4)[0].panels[1].lines[0].y.size == 5
    static = drawn(descent(varying, backend="matplotlib"))
    assert [axes.get_ylabel() for axes in static.axes] == ["Training loss", "Learning rate"]
    tall, low = (axes.get_position().height for axes in static.axes)
    assert tall > 1.5 * low > 0.1


def test_a_stochastic_descent_says_that_the_loss_is_that_of_all_examples():
    runs = descents.circle(batch_size=8, noise=0.5)
    runs = runs.assign(batch_loss=runs["loss"] + 1.0)
    shown, found = prepared(runs)
    assert "SGD(lr=0.1), batches of 8, noise 0.5" in shown.subtitle
    assert "the loss is that of all examples" in shown.subtitle
    assert curves(found[0])[0][1][0] in runs["loss"].values[:, 0]


def test_a_long_descent_is_drawn_by_evenly_spaced_steps():
    steps = 50_000
    runs = xr.Dataset(
        {
            "theta": (("start", "step", "weight"), np.ones((3, steps + 1, 1))),
            "gradient": (("start", "step", "weight"), np.ones((3, steps + 1, 1))),
            "loss": (("start", "step"), np.tile(np.linspace(2, 1, steps + 1), (3, 1))),
            "learning_rate": ("step", np.full(steps + 1, 0.1)),
        },
        {"start": np.arange(3), "step": np.arange(steps + 1)},
        {"kind": "descent"},
    )
    _, (strand,) = prepared(runs)
    for x, y in curves(strand):
        assert x.size <= 20_000
        assert (x[0], x[-1]) == (0, steps)
        np.testing.assert_allclose(y, 2 - x / steps)


def test_only_descents_have_loss_curves(plane):
    with pytest.raises(ValueError, match="of kind 'surface', and one of kind 'descent' is needed"):
        descent(plane)


def test_on_a_profile_each_update_is_a_point_at_its_loss():
    profile, runs = line_problem()
    shown = figures.profile(profile, descent=runs, backend="none")
    (strand,) = shown.panels[0].strands
    first, second, third = curves(strand)
    for (x, y), k in ((first, 0), (second, 1)):
        np.testing.assert_array_equal(x, runs["t"].values[k])
        np.testing.assert_array_equal(y, runs["loss"].values[k])
    assert runs["t"].values[2, 0] > 2
    assert third[0].max() == 2.0  # what lies outside is cut at the border
    np.testing.assert_array_equal(strand.starts, [runs["t"].values[:2, 0], runs["loss"].values[:2, 0]])
    np.testing.assert_array_equal(strand.heads, [runs["t"].values[:, -1], runs["loss"].values[:, -1]])
    assert "3 starts, SGD(lr=0.2), 8 updates" in shown.subtitle


def test_a_profile_at_a_step_shows_the_descents_up_to_there():
    profile, runs = line_problem()
    for backend in ("plotly", "matplotlib"):
        assert figures.profile(profile, descent=runs, step=3, backend=backend)
    shown = figures.profile(profile, descent=runs, step=3, backend="none")
    (strand,) = shown.panels[0].strands
    np.testing.assert_array_equal(strand.heads[0], runs["t"].values[:, 3])
    assert shown.title.endswith(", step 3")
    static = drawn(figures.profile(profile, descent=runs, backend="matplotlib"))
    assert {t.get_text() for t in static.legends[0].get_texts()} == {"SGD(lr=0.2): 3 starts", "Training loss"}
    assert static.axes[0].get_legend() is None


def test_a_logarithmic_profile_keeps_losses_without_a_logarithm_on_it():
    profile, runs = line_problem()
    wide = profile.copy(deep=True)
    wide["loss"][:] = np.logspace(-4, 3, 101)
    zero = runs.assign(loss=runs["loss"] * 0)
    (strand,) = figures.profile(wide, descent=zero, backend="none").panels[0].strands
    np.testing.assert_allclose(strand.y[np.isfinite(strand.y)], 1e-4)


def test_a_profile_needs_descents_over_its_own_coordinate(line):
    _, runs = line_problem()
    with pytest.raises(ValueError, match=r"lacks the coordinates \['alpha'\] of the surface; it has \['t'\]"):
        figures.profile(line, descent=runs)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("told", [True, False])
def test_descents_that_all_diverge_show_how_they_rise(count, told):
    runs = descents.descend([[1.9, 1.8], [-2.0, -1.9], [1.5, 1.7]][:count], lr=1.0, steps=100, told=told)
    shown, found = prepared(runs)
    said = "The only start diverged" if count == 1 else "All 3 starts diverged"
    assert shown.subtitle.endswith(said)
    panel = shown.panels[0]
    first = runs["loss"].values[:, 0]
    assert panel.log == (count == 3)  # two decades or four
    assert panel.ylim[0] < first.min() <= first.max() < panel.ylim[1] < 1e7 * first.max()
    seen = np.isfinite(runs["loss"].values).sum(axis=1).max()
    assert 0 < panel.xlim[1] <= seen
    assert sum(s.lost.shape[1] for s in found) == count
    assert all(np.ptp(y) > 0 for s in found for _, y in curves(s))
    drawn(descent(runs, backend="matplotlib"))
    assert descent(runs, step=50).layout.yaxis.range == descent(runs).layout.yaxis.range


def test_a_long_tail_does_not_hide_the_decades_at_the_start():
    """Rosenbrock: from thousands to one in a few updates, then slowly along the valley."""
    runs = descents.circle(3, steps=400, told=False)
    fall = 1 + 4000 * np.exp(-np.arange(401.0)) + 3 * np.exp(-np.arange(401) / 300)
    runs["loss"][:] = np.tile(fall, (3, 1))
    assert prepared(runs)[0].panels[0].log
    assert not prepared(runs.assign(loss=runs["loss"] - 2.5))[0].panels[0].log  # some are negative
