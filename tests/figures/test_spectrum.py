"""Eigenvalues by rank and densities: what stands where, which interval, and what is refused."""

import numpy as np
import pytest

from tests.figures import curvatures
from tests.figures.conftest import make, value
from tests.figures.descents import drawn, numbers
from thalweg import figures
from thalweg.figures import rulers

MIXED = [5.0, 3.0, -2.2, 1.5, -1.2, 0.3]


def parts(ds, **how):
    (panel,) = figures.spectrum(ds, backend="none", **how).panels
    return panel, {s.label: s for s in panel.series}


def test_every_pair_is_drawn_once_by_its_sign_and_by_whether_it_converged():
    _, found = parts(curvatures.pairs(MIXED, failed=(1, 4)))
    told = {label: s.x.tolist() for label, s in found.items()}
    assert told == {
        "positive": [1, 4, 6],
        "negative": [3],
        "positive, not converged": [2],
        "negative, not converged": [5],
    }
    for s in found.values():
        np.testing.assert_array_equal(s.y, np.array(MIXED)[s.x.astype(int) - 1])
        assert s.hollow == ("not" in s.label)
    assert found["positive"].color != found["negative"].color
    assert found["positive"].symbol != found["negative"].symbol


@pytest.mark.parametrize("log", [False, True])
def test_bars_reach_one_residual_to_either_side_and_hold_the_exact_eigenvalue(log):
    """For a rotated vector of diag(a, b), λ = a cos² + b sin² and the residual is |a − b| cos sin ≥ |λ − a|."""
    a, b, angle = 4.0, -1.0, 0.3
    quotient = a * np.cos(angle) ** 2 + b * np.sin(angle) ** 2
    residual = abs(a - b) * np.cos(angle) * np.sin(angle)
    ds = curvatures.pairs([quotient])
    ds["residual"][:] = residual
    _, found = parts(ds, log=log)
    low, high = found["positive"].bars[:, 0]
    assert (low, high) == (pytest.approx(quotient - residual), pytest.approx(quotient + residual))
    assert low <= a <= high


def test_more_than_two_decades_are_magnitudes_on_a_logarithmic_axis_with_the_sign_in_the_mark():
    values = [300.0, -20.0, 5.0, -0.1]
    panel, found = parts(curvatures.pairs(values))
    assert (panel.ruler.kind, panel.ruler.label) == ("log", "Magnitude |λ| [nats]")
    np.testing.assert_array_equal(found["negative"].y, [20.0, 0.1])
    assert (found["negative"].bars > 0).all()
    panel, found = parts(curvatures.pairs([300.0, -20.0]))
    assert panel.ruler.kind == "linear"
    np.testing.assert_array_equal(found["negative"].y, [-20.0])


def test_a_bar_that_reaches_zero_ends_where_the_logarithmic_axis_does():
    ds = curvatures.pairs([100.0, 0.5])
    ds["residual"][1] = 2.0
    panel, found = parts(ds)
    assert found["positive"].bars[:, 1].tolist() == [panel.ruler.ends[0], 2.5]


def test_magnitudes_that_vanish_beside_the_largest_are_drawn_at_the_floor_and_counted():
    shown = figures.spectrum(curvatures.pairs([10.0, 0.01, 0.0, -1e-16]), backend="none")
    assert shown.notes == ("2 of 4 eigenvalues smaller than 1×10⁻⁷ are drawn there",)
    assert shown.panels[0].ruler.ends[0] == pytest.approx(0.5e-7)
    assert min(y for s in shown.panels[0].series for y in s.y) == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("classes", "which", "at"),
    [(4, "magnitude", 3.5), (7, "largest", 6.5), (8, "magnitude", None), (0, "magnitude", None), (4, "smallest", None)],
)
def test_the_class_count_is_marked_behind_the_first_classes_less_one_pairs(classes, which, at):
    panel, _ = parts(curvatures.pairs(MIXED, num_classes=classes, which=which))
    marks = [(m.at, m.word) for m in panel.marks if m.upright]
    assert marks == ([] if at is None else [(at, f"classes − 1 = {classes - 1}")])


def test_the_subtitle_tells_matrix_products_tolerance_and_block():
    ds = curvatures.pairs(MIXED, failed=(4,), matrix="ggn", num_selected=120, parameters=["fc.weight", "fc.bias"])
    said = figures.spectrum(ds, backend="none").subtitle
    assert said == (
        "Gauss-Newton matrix of 120 of 2,000 weights (fc.weight, fc.bias). 6 pairs from 48 products. Tolerance 0.001, "
        "largest residual 0.48. 1 of 6 pairs has not converged (hollow). 83% of the squared gradient lies in their span"
    )


def test_spectra_of_another_kind_or_without_pairs_are_refused(plane):
    with pytest.raises(ValueError, match=r"of kind 'surface'.*'eigenpairs' is needed; `thalweg.top_eigenpairs`"):
        figures.spectrum(plane)
    with pytest.raises(ValueError, match="holds no pair"):
        figures.spectrum(curvatures.pairs([]))
    with pytest.raises(ValueError, match="has no finite eigenvalue"):
        figures.spectrum(curvatures.pairs([np.nan]))
    with pytest.raises(ValueError, match="draw them with log=False"):
        figures.spectrum(curvatures.pairs([0.0]), log=True)
    assert figures.spectrum(curvatures.pairs([2.0, np.nan]), backend="none").notes == (
        "1 of 2 eigenvalues is not finite",
    )


def test_the_density_is_split_at_zero_and_keeps_its_values_and_its_band():
    ds = curvatures.density()
    x, y, error = (ds[n].values for n in ("eigenvalue", "density", "density_standard_error"))
    (panel,) = figures.density(ds, backend="none").panels
    found = {s.label: s for s in panel.series}
    assert (found["below zero"].x <= 0).all()
    assert (found["density"].x >= 0).all()
    seen = (x > 0) & (y > panel.ruler.ends[0])
    at = np.searchsorted(found["density"].x, x[seen])
    np.testing.assert_allclose(found["density"].y[at], y[seen])
    np.testing.assert_allclose(found["density"].band[1, at], (y + 1.96 * error)[seen])
    assert found["density"].y[0] == pytest.approx(found["below zero"].y[-1])


def test_ends_of_the_interval_that_were_measured_are_the_band():
    ds = curvatures.density()
    ds = ds.assign(density_low=0.5 * ds["density"], density_high=3 * ds["density"])
    (panel,) = figures.density(ds, backend="none").panels
    curve = panel.series[0]
    np.testing.assert_allclose(curve.band[1, 1:], 3 * curve.y[1:], rtol=1e-6, atol=panel.ruler.ends[0])


def test_the_axis_ends_below_the_height_of_a_single_eigenvalue():
    ds = curvatures.density()
    (panel,) = figures.density(ds, backend="none").panels
    single = 1 / (curvatures.N * ds.attrs["sigma"] * np.sqrt(2 * np.pi))
    assert panel.ruler.kind == "log"
    assert 0.01 * single < panel.ruler.ends[0] < 0.2 * single
    assert panel.ruler.ends[1] > float(ds["density"].max())


def test_outliers_far_from_the_bulk_bend_the_axis_and_a_bell_does_not():
    assert figures.density(curvatures.density(), backend="none").x.kind == "asinh"
    bell = np.random.default_rng(0).normal(size=400)
    assert figures.density(curvatures.density(bell, sigma=0.2), backend="none").x.kind == "linear"
    assert figures.density(curvatures.density(bell), spread="asinh", backend="none").x.kind == "asinh"
    with pytest.raises(ValueError, match="spread='log' is unknown"):
        figures.density(curvatures.density(), spread="log")


def test_exact_pairs_stand_on_the_density_as_wide_as_their_residuals():
    ds, pairs = curvatures.density(), curvatures.pairs(failed=(10,))
    (panel,) = figures.density(ds, pairs, backend="none").panels
    stems = {s.label: s for s in panel.series if s.bars is not None}
    assert stems["exact eigenvalues"].x.size + stems["not converged"].x.size == pairs.sizes["pair"]
    assert stems["not converged"].hollow
    exact = stems["exact eigenvalues"]
    assert (exact.bars[0] == panel.ruler.ends[0]).all()
    np.testing.assert_allclose(exact.y, np.interp(exact.x, ds["eigenvalue"], ds["density"]))
    np.testing.assert_allclose(np.diff(exact.across, axis=0)[0] / 2, pairs["residual"].values[0])
    ends = figures.density(ds, curvatures.pairs([200.0]), backend="none").x.ends
    assert ends[1] > 200


def test_the_subtitle_tells_the_trace_with_its_error_and_the_negative_share():
    values = np.concatenate([np.full(30, -2.0), np.full(70, 1.0)])
    ds = curvatures.density(values, sigma=0.1, trace=10.0, trace_standard_error=2.0)
    said = figures.density(ds, backend="none").subtitle
    assert "10 probes × 100 products, smoothed by σ = 0.1. Trace 10 ± 3.9 (95%). Band: 95% interval" in said
    assert "30% of the eigenvalues lie below −σ" in said


def test_densities_and_pairs_of_different_matrices_or_points_are_refused(plane):
    with pytest.raises(ValueError, match=r"another matrix \(ggn\) than the density \(hessian\)"):
        figures.density(curvatures.density(), curvatures.pairs(matrix="ggn"))
    with pytest.raises(ValueError, match=r"another point \(b\)"):
        figures.density(curvatures.density(), curvatures.pairs(theta_id="b"))
    with pytest.raises(ValueError, match="`pairs` is of kind 'surface'"):
        figures.density(curvatures.density(), plane)
    with pytest.raises(ValueError, match="'spectral_density' is needed"):
        figures.density(curvatures.pairs())
    with pytest.raises(ValueError, match="nowhere positive"):
        figures.density(curvatures.density() * np.nan)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "draw",
    [
        lambda **how: figures.spectrum(curvatures.pairs(MIXED, failed=(4,), num_classes=4), **how),
        lambda **how: figures.spectrum(curvatures.pairs([300.0, -20.0, 5.0, -0.1]), **how),
        lambda **how: figures.density(curvatures.density(), curvatures.pairs(failed=(10,)), **how),
        lambda **how: figures.estimate(curvatures.trace(), **how),
        lambda **how: figures.estimate(curvatures.diagonal(500), **how),
    ],
    ids=["spectrum", "log spectrum", "density", "trace", "diagonal"],
)
def test_both_backends_draw_the_same_points_in_the_same_colours(draw, theme):
    shown = draw(backend="none")
    static, interactive = drawn(draw(backend="matplotlib", theme=theme)), draw(theme=theme)
    lines = {x.get_label().removeprefix("_"): x for axes in static.axes for x in axes.lines}
    traces = {t.name: t for t in interactive.data}
    for panel in shown.panels:
        for s in panel.series:
            line, trace = lines[s.entry or s.label], traces[s.entry or s.label]
            np.testing.assert_allclose(line.get_ydata(), s.y)
            np.testing.assert_allclose(line.get_xdata(), s.x)
            back = panel.ruler.width * np.sinh(numbers(trace.y)) if panel.ruler.kind == "asinh" else numbers(trace.y)
            np.testing.assert_allclose(back, s.y, atol=1e-12)
            color = trace.line.color if s.line else trace.marker.line.color or trace.marker.color
            assert color == line.get_color() or s.hollow
    assert [t.get_text() for legend in static.legends for t in legend.get_texts()] == [s.entry for s in shown.keys]
    assert [t.name for t in interactive.data if t.showlegend] == [s.entry for s in shown.keys]
    assert interactive.layout.title.subtitle.text.replace("<br>", " ") == shown.subtitle


def test_error_bars_of_plotly_end_where_those_of_matplotlib_do():
    ds = curvatures.pairs([300.0, -20.0, 5.0], failed=(2,))
    for trace in figures.spectrum(ds, log=True).data:
        (s,) = [s for s in figures.spectrum(ds, log=True, backend="none").panels[0].series if s.y[0] == trace.y[0]]
        np.testing.assert_allclose(numbers(trace.y) + numbers(trace.error_y.array), s.bars[1])
        np.testing.assert_allclose(numbers(trace.y) - numbers(trace.error_y.arrayminus), s.bars[0])


def test_an_arsinh_axis_is_linear_near_zero_and_steps_by_decades_far_from_it():
    ruler = rulers.asinh("λ", -10.0, 1000.0, 0.1)
    near, far = ruler([0.001, 0.002]), ruler([100.0, 1000.0])
    assert near[1] == pytest.approx(2 * near[0], rel=1e-4)
    assert far[1] - far[0] == pytest.approx(np.log(10), rel=1e-4)
    assert set(ruler.ticks) >= {-10.0, 0.0, 10.0, 1000.0}
    assert (np.diff(ruler(ruler.ticks)) > rulers.APART * np.ptp(ruler(ruler.ends))).all()


def test_an_estimate_of_another_kind_or_of_nothing_finite_is_refused():
    with pytest.raises(ValueError, match=r"'estimate' is needed; `thalweg.trace` makes one"):
        figures.estimate(curvatures.pairs())
    with pytest.raises(ValueError, match="The trace holds nothing finite"):
        figures.estimate(curvatures.trace().assign(value=np.nan))


def test_a_trace_is_told_with_its_interval_and_a_diagonal_is_sorted():
    ds = curvatures.trace()
    trace, samples = figures.estimate(ds, backend="none").panels[0].series
    half = ds.attrs["quantile"] * float(ds["standard_error"])
    np.testing.assert_allclose(trace.band[:, 0], [float(ds["value"]) - half, float(ds["value"]) + half])
    np.testing.assert_array_equal(samples.y, ds["sample"])
    (alone,) = figures.estimate(ds.drop_vars("sample"), backend="none").panels[0].series
    np.testing.assert_allclose(alone.bars[:, 0], trace.band[:, 0])
    drawn(figures.estimate(ds.drop_vars("sample"), backend="matplotlib"))
    entries = curvatures.diagonal()
    (line,) = figures.estimate(entries, backend="none").panels[0].series
    assert line.x.size == 2000
    order = np.sort(entries["value"].values)[::-1]
    np.testing.assert_array_equal(line.y, order[line.x.astype(int) - 1])
    assert (line.x[0], line.x[-1]) == (1, 5000)


def test_along_an_eigenvector_the_quadratic_of_its_eigenvalue_is_drawn_beside_the_loss():
    """L(0) + g a + λ a² / 2; it meets the loss at zero in value, slope and curvature."""
    line = curvatures.eigen_line(curvature=12.0, slope=-0.5)
    (panel,) = figures.profile(line, backend="none").panels
    (predicted,) = [x for x in panel.lines if x.metric == "quadratic"]
    a = line["alpha"].values
    np.testing.assert_allclose(predicted.y, 0.4 - 0.5 * a + 6 * a**2)
    assert (predicted.label, predicted.dashed, predicted.right) == ("quadratic: λ = 12", True, False)
    gap = predicted.y - panel.lines[0].y
    assert np.abs(gap[19:22]).max() < 1e-4
    assert "not finite" not in "".join(figures.profile(line, backend="none").notes)


def test_without_a_slope_or_a_loss_at_the_origin_zero_and_the_subspace_s_own_are_taken():
    line = curvatures.eigen_line(slope=0.0, loss=0.4)
    del line["loss"].attrs["at_origin"]
    (panel,) = figures.profile(line, backend="none").panels
    np.testing.assert_allclose(panel.lines[-1].y, 0.4 + 6 * line["alpha"].values ** 2)


def test_a_prediction_far_above_the_losses_does_not_flatten_them():
    calm = curvatures.eigen_line(curvature=1.0, eigenvalues=[400.0])
    (panel,) = figures.profile(calm, backend="none").panels
    losses = calm["loss"].values
    assert panel.ylim[1] == pytest.approx(losses.max() + np.ptp(losses))
    assert figures.profile(curvatures.eigen_line(curvature=1.0), backend="none").panels[0].ylim is None


def test_slices_of_eigen_planes_add_what_the_other_coordinate_contributes():
    a, b = np.linspace(-1, 1, 9), np.linspace(-1, 1, 5)
    told = '{"kind": "eigen", "eigenvalues": [4.0, 2.0], "slope": [1.0, 3.0], "loss": 0.5}'
    dims = ("alpha", "beta")
    z = 0.5 + a[:, None] + 3 * b + 2 * a[:, None] ** 2 + b**2
    plane = make({"loss": value("loss", dims, z, 0.5)}, {"alpha": a, "beta": b}, dims, subspace=told)
    for cut, name in ((plane.isel(beta=3), "quadratic: λ = 4"), (plane.isel(alpha=1), "quadratic: λ = 2")):
        (panel,) = figures.profile(cut, backend="none").panels
        assert panel.lines[-1].label == name
        np.testing.assert_allclose(panel.lines[-1].y, cut["loss"])


@pytest.mark.parametrize("told", ["{", '{"kind": "random"}', '{"kind": "eigen"}', "[1]", 3])
def test_other_lines_have_no_quadratic(told):
    line = curvatures.eigen_line().assign_attrs(subspace=told)
    assert len(figures.profile(line, backend="none").panels[0].lines) == 2


@pytest.mark.parametrize(
    ("draw", "ds"),
    [
        (figures.spectrum, curvatures.pairs()),
        (figures.density, curvatures.density()),
        (figures.estimate, curvatures.trace()),
        (figures.estimate, curvatures.diagonal()),
        (figures.spectrum_path, curvatures.path()),
        (figures.overlap, curvatures.path()),
        (figures.density_path, curvatures.with_densities(curvatures.path())),
    ],
)
def test_some_of_the_examples_are_told_and_all_of_them_are_not(draw, ds):
    some = draw(ds.assign_attrs(num_examples=500, num_training_examples=60000), backend="none").subtitle
    assert "000 weights, on 500 of 60,000 examples" in some
    for attrs in ({"num_examples": 60000, "num_training_examples": 60000}, {"num_training_examples": 60000}):
        assert "examples" not in draw(ds.assign_attrs(attrs), backend="none").subtitle


def test_surfaces_and_profiles_tell_how_many_examples_they_were_measured_on(line, plane):
    told = {"num_examples": 500, "num_training_examples": 60000}
    assert "Estimated from 500 of 60,000 examples" in figures.profile(line.assign_attrs(told), backend="none").subtitle
    error = plane["loss"].copy(data=0.01 * plane["loss"].values)
    error.attrs = {"role": "standard_error", "of": "loss"}
    shown = figures.contour(plane.assign(loss_standard_error=error).assign_attrs(told), backend="none")
    assert "Estimated from 500 of 60,000 examples: standard error up to" in shown.subtitle
