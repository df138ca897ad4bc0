"""Curvature along training: eigenvalues under their threshold, overlaps of subspaces, densities as a map."""

import numpy as np
import pytest

from tests.figures import curvatures
from tests.figures.descents import drawn, numbers
from thalweg import figures
from thalweg.figures.chart import color
from thalweg.figures.heat import edges

FAILED = ((3, 2), (20, 0))
RUN = curvatures.path(failed=FAILED)


def top(ds, **how):
    return figures.spectrum_path(ds, backend="none", **how).panels[0]


def test_every_pair_is_a_curve_and_the_sharpness_is_the_thickest():
    curves = [s for s in top(RUN).series if s.label.startswith("pair ")]
    for k, curve in enumerate(curves):
        np.testing.assert_array_equal(curve.y, RUN["eigenvalue"].values[:, k])
        np.testing.assert_array_equal(curve.x, RUN["step"])
    assert all(curves[0].line > 2 * other.line for other in curves[1:])


def test_pairs_that_did_not_converge_are_hollow_with_their_residuals():
    (marks,) = [s for s in top(RUN).series if s.hollow]
    at, pair = np.transpose(FAILED)
    values, residuals = (RUN[n].values[at, pair] for n in ("eigenvalue", "residual"))
    np.testing.assert_array_equal(marks.y, values)
    np.testing.assert_array_equal(marks.x, RUN["step"].values[at])
    np.testing.assert_allclose(marks.bars, [values - residuals, values + residuals])
    assert "2 of 205 pairs have not converged (hollow)" in figures.spectrum_path(RUN, backend="none").subtitle
    assert not [s for s in top(curvatures.path()).series if s.hollow]


def test_the_legend_names_sharpness_pairs_and_threshold():
    entries = [s.entry for s in figures.spectrum_path(RUN, backend="none").keys]
    assert entries == ["sharpness (pair 1)", "pairs 2 to 5", "2 / learning rate", "not converged"]
    (line,) = [s for s in top(RUN).series if s.dashed]
    np.testing.assert_array_equal(line.y, 2 / RUN["learning_rate"])


def test_a_threshold_far_above_does_not_flatten_the_eigenvalues_and_is_told():
    far = RUN.assign(threshold=100 * RUN["threshold"])
    shown = figures.spectrum_path(far, backend="none")
    assert shown.panels[0].ruler.ends[1] < 1.5 * float(RUN["eigenvalue"].max())
    assert shown.notes == ("2 / learning rate is 4,000 or more, above the axis",)
    assert not [s for s in shown.panels[0].series if s.dashed]
    near = RUN.assign(threshold=2 * RUN["threshold"])
    assert top(near).ruler.ends[1] > 80
    unknown = RUN.assign(threshold=np.nan * RUN["threshold"])
    assert not [s for s in top(unknown).series if s.dashed]


def test_loss_and_gradient_share_have_panels_of_their_own_and_no_axis_is_on_the_right():
    _, loss, share = figures.spectrum_path(RUN, backend="none").panels
    np.testing.assert_array_equal(loss.series[0].y, RUN["loss"])
    np.testing.assert_array_equal(share.series[0].y, RUN["gradient_share"])
    assert share.ruler.ends == pytest.approx((0, 1), abs=0.1)
    layout = figures.spectrum_path(RUN).layout.to_plotly_json()
    assert not [a for name, a in layout.items() if name.startswith("yaxis") and a.get("side") == "right"]
    unknown = RUN.assign(gradient_share=np.nan * RUN["gradient_share"])
    assert len(figures.spectrum_path(unknown, backend="none").panels) == 2


def test_the_threshold_of_preconditioned_eigenvalues_is_in_their_panel():
    adam = RUN.assign(preconditioned=20 * RUN["eigenvalue"], threshold=19 * RUN["threshold"])
    first, second, *_ = figures.spectrum_path(
        adam.assign_attrs(threshold_words="38 / learning rate"), backend="none"
    ).panels
    assert not [s for s in first.series if s.dashed]
    (line,) = [s for s in second.series if s.dashed]
    assert line.entry == "38 / learning rate"
    np.testing.assert_array_equal(second.series[0].y, 20 * RUN["eigenvalue"][:, 0])


def test_decades_take_a_logarithmic_axis_and_negative_eigenvalues_a_zero_line():
    wide = RUN.copy()
    wide["eigenvalue"] = wide["eigenvalue"] ** 4
    assert top(wide).ruler.kind == "log"
    assert top(wide, log=False).ruler.kind == "linear"
    negative = RUN.assign(eigenvalue=RUN["eigenvalue"] - 20)
    assert [m.at for m in top(negative).marks] == [0.0]
    with pytest.raises(ValueError, match="draw them with log=False"):
        figures.spectrum_path(negative, log=True)


def test_one_checkpoint_is_drawn_as_marks_and_lost_eigenvalues_are_gaps():
    for ds in (RUN.isel(step=[5], other=[5]), curvatures.path(1, k=1)):
        assert all(s.symbol for s in top(ds).series if s.label.startswith("pair "))
        drawn(figures.spectrum_path(ds, backend="matplotlib"))
        figures.spectrum_path(ds).to_json()
    lost = RUN.copy(deep=True)
    lost["eigenvalue"][4], lost["converged"][4] = np.nan, False
    shown = figures.spectrum_path(lost, backend="none")
    assert np.isnan(shown.panels[0].series[0].y[4])
    assert shown.notes == ("5 of 205 eigenvalues are not finite",)
    assert "2 of 205 pairs have not converged" in shown.subtitle


def test_paths_of_another_kind_or_without_steps_are_refused():
    for draw in (figures.spectrum_path, figures.overlap, figures.density_path):
        with pytest.raises(ValueError, match=r"'spectrum_path' is needed; `thalweg.track_spectrum` makes one"):
            draw(curvatures.pairs())
    with pytest.raises(ValueError, match="no step or no pair"):
        figures.spectrum_path(RUN.isel(step=[]))
    with pytest.raises(ValueError, match="`eigenvalue` has no finite value"):
        figures.spectrum_path(RUN.assign(eigenvalue=np.nan * RUN["eigenvalue"]))
    with pytest.raises(ValueError, match="has no overlaps"):
        figures.overlap(RUN.drop_vars("overlap"))
    with pytest.raises(ValueError, match=r"run from .* to 5; are the vectors orthonormal"):
        figures.overlap(RUN.assign(overlap=5 * RUN["overlap"]))
    with pytest.raises(ValueError, match=r"no `density\(step, grid\)`"):
        figures.density_path(RUN)
    dense = curvatures.with_densities(RUN)
    with pytest.raises(ValueError, match="nowhere positive"):
        figures.density_path(dense.assign(density=0 * dense["density"]))


@pytest.mark.parametrize("steps", [1, 2, 8, 41])
def test_overlaps_are_cells_between_zero_and_one_labelled_by_their_steps(steps):
    ds = curvatures.path(steps)
    shown = figures.overlap(ds, backend="none")
    np.testing.assert_array_equal(shown.values, ds["overlap"])
    assert (shown.low, shown.high) == (0, 1)
    for ruler in (shown.x, shown.y):
        assert [str(int(ds["step"].values[int(t)])) for t in ruler.ticks] == list(ruler.words)
        assert len(ruler.ticks) <= 12
    assert (shown.told is not None) == (steps <= 10)


def test_the_title_of_a_run_is_that_of_its_eigenvalues_and_not_of_its_overlaps():
    named = RUN.assign_attrs(title="LeNet on digits")
    assert figures.spectrum_path(named, backend="none").title == "LeNet on digits"
    assert figures.overlap(named, backend="none").title == "Overlap of the top subspaces of the Hessian"
    assert figures.overlap(named, title="Mine", backend="none").title == "Mine"


def test_the_overlap_matrix_s_first_step_is_at_the_top_left_in_both_backends():
    ds = curvatures.path(8)
    (cells,) = figures.overlap(ds).data
    np.testing.assert_allclose(numbers(cells.z).reshape(8, 8), ds["overlap"].values.T, rtol=1e-6)
    low, high = figures.overlap(ds).layout.yaxis.range
    assert low > high
    figure = drawn(figures.overlap(ds, backend="matplotlib"))
    axes = figure.axes[0]
    assert axes.yaxis_inverted()
    np.testing.assert_allclose(axes.collections[0].get_array(), ds["overlap"].values.T)
    assert (axes.collections[0].norm.vmin, axes.collections[0].norm.vmax) == (0, 1)
    assert {t.get_text() for t in axes.texts} >= {"1.00", "0.07"}


def test_densities_along_training_are_logarithms_above_the_height_of_a_single_eigenvalue():
    dense = curvatures.with_densities(RUN)
    shown = figures.density_path(dense, backend="none")
    seen = np.isfinite(shown.values)
    np.testing.assert_allclose(10 ** shown.values[seen], dense["density"].values[seen])
    single = 1 / (curvatures.N * dense.attrs["sigma"] * np.sqrt(2 * np.pi))
    assert dense["density"].values[~seen].max() < 0.1 * single < dense["density"].values[seen].min() * 2
    assert shown.low < np.nanmin(shown.values) < np.nanmax(shown.values) == shown.high
    assert shown.y.kind == "asinh"
    threshold, sharpness = shown.lines
    np.testing.assert_array_equal(threshold.y, 2 / RUN["learning_rate"])
    np.testing.assert_array_equal(sharpness.y, RUN["eigenvalue"][:, 0])
    assert shown.lines[0].label == "2 / learning rate"


def test_cells_of_an_arsinh_axis_end_half_way_on_that_axis():
    dense = curvatures.with_densities(RUN)
    shown = figures.density_path(dense, backend="none")
    at, grid = shown.y(shown.y_edges), shown.y(dense["grid"].values)
    np.testing.assert_allclose(at[1:-1], (grid[1:] + grid[:-1]) / 2)
    assert edges(np.array([3.0])).tolist() == [2.5, 3.5]


def test_a_threshold_outside_the_map_is_not_drawn():
    dense = curvatures.with_densities(RUN)
    far = figures.density_path(dense.assign(threshold=1e4 * dense["threshold"]), backend="none")
    assert [s.label for s in far.lines] == ["sharpness"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_curves_and_cells(theme):
    dense = curvatures.with_densities(RUN)
    for draw, ds in ((figures.spectrum_path, RUN), (figures.density_path, dense)):
        shown = draw(ds, backend="none")
        static, interactive = drawn(draw(ds, backend="matplotlib", theme=theme)), draw(ds, theme=theme)
        lines = {x.get_label(): x for axes in static.axes for x in axes.lines}
        traces = {t.name: t for t in interactive.data}
        panels = getattr(shown, "panels", ())
        for s in [s for p in panels for s in p.series if s.entry] or shown.lines:
            np.testing.assert_allclose(lines[s.entry].get_ydata(), s.y)
            y = numbers(traces[s.entry].y)
            np.testing.assert_allclose(y if panels else shown.y.width * np.sinh(y), s.y)
            assert lines[s.entry].get_color() == color(s.color, theme)
        entries = [t.get_text() for legend in static.legends for t in legend.get_texts()]
        assert entries == [t.name for t in interactive.data if t.showlegend]
    (cells,) = [t for t in figures.density_path(dense, theme=theme).data if t.type == "heatmap"]
    heights = numbers(cells.z).reshape(dense.sizes["grid"], dense.sizes["step"])
    np.testing.assert_allclose(heights, figures.density_path(dense, backend="none").values.T, rtol=1e-5)
