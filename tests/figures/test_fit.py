"""A model among its data, drawn."""

import io

import numpy as np
import pytest

from tests.figures.stochastic import fit
from thalweg import figures

DS = fit(starts=(0.5, 6.0), weights=("θ",))
GRID = np.linspace(-6, 8, 200)
LOSSES = ((np.sin(GRID[:, None] * DS["x"].values) - DS["y"].values) ** 2).mean(-1)
LANDSCAPE = DS.assign(parameter_loss=("parameter", LOSSES)).assign_coords(parameter=GRID)


@pytest.mark.parametrize("step", [0, 6, 25])
def test_the_curve_is_the_prediction_at_the_step_and_earlier_ones_came_before(step):
    shown = figures.fit(DS, step=step, backend="none")
    for k, curve in enumerate(shown.curves):
        np.testing.assert_array_equal(curve.now, DS["prediction"].values[k, step])
        before = DS["prediction"].values[k, :step]
        assert all((curve_before == before).all(axis=1).any() for curve_before in curve.earlier)
        assert len(curve.earlier) <= 9
        assert (len(curve.earlier) > 0) == (step > 0)


def test_the_loss_is_told_up_to_the_step_and_what_follows_is_faint():
    shown = figures.fit(DS, step=6, start=1, backend="none")
    (curve,) = shown.curves
    np.testing.assert_array_equal(curve.way, [np.arange(7), DS["loss"].values[1, :7]])
    np.testing.assert_array_equal(curve.rest, [np.arange(6, 26), DS["loss"].values[1, 6:]])
    assert shown.place_label == "step"
    assert shown.subtitle == f"Step 6 of 25. θ = {float(DS.theta[1, 6, 0]):.4g}. Loss {float(DS.loss[1, 6]):.4g}"


def test_a_landscape_over_the_parameter_takes_the_place_of_the_steps_and_descents_lie_on_it():
    shown = figures.fit(LANDSCAPE, step=6, backend="none")
    np.testing.assert_array_equal(shown.landscape, [GRID, LOSSES])
    assert shown.place_label == "θ"
    for k, curve in enumerate(shown.curves):
        assert curve.way[0, -1] == float(DS["theta"][k, 6, 0])
        np.testing.assert_allclose(curve.way[1], np.interp(curve.way[0], GRID, LOSSES), atol=1e-3)
    two_weights = LANDSCAPE.pad(weight=(0, 1), constant_values=1.0)
    assert figures.fit(two_weights, backend="none").landscape is None


def test_axes_are_the_same_at_all_steps():
    for name in ("x_range", "y_range", "place_range", "loss_range"):
        assert len({getattr(figures.fit(DS, step=k, backend="none"), name) for k in (0, 10, 25)}) == 1


def test_the_truth_is_dashed_if_there_and_the_starts_have_names_of_their_own():
    shown = figures.fit(DS)
    named = {t.name: t for t in shown.data}
    assert named["truth"].line.dash == "dash"
    assert {"from θ = 0.5", "from θ = 6", "data"} <= named.keys()
    bare = {t.name for t in figures.fit(fit(truth=False)).data}
    assert "truth" not in bare
    assert "model" in bare


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ds", [DS, LANDSCAPE, fit(truth=False)], ids=["steps", "landscape", "bare"])
def test_both_backends_draw_the_same(ds, theme):
    static = figures.fit(ds, step=5, backend="matplotlib", theme=theme)
    static.savefig(io.BytesIO(), format="png", dpi=40)
    interactive = figures.fit(ds, step=5, theme=theme)
    drawn = {x.get_label(): x for x in static.axes[0].lines if not x.get_label().startswith("_")}
    told = {t.name: t for t in interactive.data if t.showlegend is None}
    assert drawn.keys() == told.keys()
    for name, trace in told.items():
        np.testing.assert_allclose(drawn[name].get_data(), [trace.x, trace.y])
    now = [np.ravel(x.get_data()) for x in static.axes[1].lines if x.get_label() == "_now"]
    same = [np.ravel([t.x, t.y]) for t in interactive.data if t.name.endswith(", now")]
    np.testing.assert_allclose(now, same)


def test_losses_over_decades_are_logarithmic_in_both_backends():
    ds = DS.assign(loss=(("start", "step"), np.logspace(3, -4, 52).reshape(2, 26)))
    assert figures.fit(ds).layout.yaxis2.type == "log"
    assert figures.fit(ds, backend="matplotlib").axes[1].get_yscale() == "log"


def test_a_run_that_diverges_is_a_gap_and_is_told():
    ds = DS.copy(deep=True)
    ds["loss"][1, 10:] = np.inf
    ds["prediction"][1, 10:] = np.nan
    shown = figures.fit(ds, step=20, backend="none")
    assert np.isnan(shown.curves[1].way[:, 10:]).all()
    assert shown.notes == ("1 of 2 starts diverges",)
    assert np.isfinite(shown.loss_range).all()
    figures.fit(ds, step=20, backend="matplotlib").savefig(io.BytesIO(), format="png", dpi=40)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="kind 'surface', and a fit is needed"):
        figures.fit(DS.assign_attrs(kind="surface"))
    with pytest.raises(ValueError, match="There is no start 2; the fit has 2"):
        figures.fit(DS, start=2)
    with pytest.raises(ValueError, match="The fit has 5 starts, and 4 can be drawn at once; choose one: start=0"):
        figures.fit(fit(starts=(0.0, 1.0, 2.0, 3.0, 4.0)))
    with pytest.raises(ValueError, match="Step 26 is not recorded; the nearest is 25"):
        figures.fit(DS, step=26)


@pytest.mark.parametrize("weights", [1, 4, 40])
def test_many_starts_and_weights_have_a_legend_that_fits_the_page(weights):
    ds = fit(starts=(0.5, 6.0, -3.25, 4.125), weights=("θ",))
    theta = np.repeat(ds["theta"].values, weights, axis=2)
    ds = ds.drop_vars("theta").assign(theta=(("start", "step", "weight"), theta))
    ds.attrs["weights"] = [f"weight {k}" for k in range(weights)]
    labels = [curve.label for curve in figures.fit(ds, backend="none").curves]
    if weights == 40:
        assert labels == [f"start {k}" for k in range(4)]
    figure = figures.fit(ds, backend="matplotlib")
    figure.savefig(io.BytesIO(), format="png", dpi=60)  # warnings are errors
    (key,) = figure.legends
    assert [t.get_text() for t in key.get_texts()] == ["data", "truth", *labels]
    box, page = key.get_window_extent(), figure.bbox
    assert 0 <= box.x0 < box.x1 <= page.width
    assert box.y0 >= 0
    assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
    assert figures.fit(ds).layout.margin.t >= 124
