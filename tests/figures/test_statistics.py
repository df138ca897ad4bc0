"""Figures of initialisations, of gradients, and of predictions beyond the training data: what is drawn, and where."""

import numpy as np
import pytest

from tests.figures import statistics as made
from tests.figures.descents import drawn, numbers
from thalweg import figures
from thalweg.figures import rulers
from thalweg.figures.chart import color

FOUND = made.initializations()


def cells(ds, draw=figures.initializations):
    return {cell.title: cell for cell in draw(ds, backend="none").cells}


def test_every_scheme_has_a_bar_in_each_layer_and_they_do_not_overlap():
    bars = cells(FOUND)["Gradient before training, by layer"]
    assert [s.entry for s in bars.series] == FOUND.scheme.values.tolist()
    assert bars.y.kind == "log"
    assert all("10" in word for word in bars.y.words)
    for s, row in zip(bars.series, FOUND.gradient_norm.values, strict=True):
        np.testing.assert_array_equal(s.y, row)
    places = np.sort(np.concatenate([s.x for s in bars.series]))
    assert (np.diff(places) >= bars.series[0].filled).all()
    assert bars.x.words == tuple(made.LAYERS)
    assert bars.series[0].hover[0] == "uniform(0.03), 0.weight: 1.000×10⁻⁶"
    assert [w.text for w in bars.words][:2] == ["1.0×10⁻⁶", "2.0×10⁻⁶"]


def test_norms_without_a_logarithm_are_words():
    norms = FOUND.gradient_norm.copy()
    norms[0], norms[2, 1] = 0.0, np.inf
    words = cells(FOUND.assign(gradient_norm=norms))["Gradient before training, by layer"].words
    assert [w.text for w in words] == [
        "0",
        "0",
        "0",
        *("5.0×10⁻¹", "1.0×10⁰", "1.5×10⁰"),
        *("3.0×10⁵", "inf", "9.0×10⁵"),
    ]
    nothing = FOUND.assign(gradient_norm=0 * FOUND.gradient_norm)
    assert cells(nothing)["Gradient before training, by layer"].y.kind == "linear"
    for backend in ("plotly", "matplotlib"):
        figures.initializations(nothing, backend=backend)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_stand_the_bars_on_the_axis_in_the_same_colours(theme):
    page = figures.initializations(FOUND, theme=theme)
    bars = [t for t in page.data if t.type == "bar"]
    static = drawn(figures.initializations(FOUND, theme=theme, backend="matplotlib"))
    (low, _) = static.axes[0].get_ylim()
    for bar, container, row, word in zip(
        bars, static.axes[0].containers, FOUND.gradient_norm.values, ("main", "warm", "violet"), strict=True
    ):
        np.testing.assert_allclose(np.asarray(bar.base) + numbers(bar.y), row)
        assert bar.marker.color == color(word, theme)
        np.testing.assert_allclose([p.get_y() + p.get_height() for p in container], row)
        np.testing.assert_allclose([p.get_y() for p in container], low)
        left = numbers(bar.x) + bar.offset
        np.testing.assert_allclose([p.get_x() for p in container], left)
        np.testing.assert_allclose([p.get_width() for p in container], bar.width)
    entries = [t.get_text() for t in static.legends[0].get_texts()]
    assert entries == [*FOUND.scheme.values, "singular values before training", "singular values after training"]
    assert [t.name for t in page.data if t.showlegend] == entries


def test_a_divergence_is_said_and_does_not_take_the_axis():
    shown = figures.initializations(FOUND, backend="none")
    said = "diverged at update 3 (inf)"
    assert f"uniform(3) {said}" in shown.subtitle
    assert shown.subtitle.startswith("Test loss in the end: uniform(0.03) 0.6, he 0.022, ")
    assert shown.subtitle.endswith("200 updates of SGD(lr=0.1), mini-batches of 32, seed 7")
    training = cells(FOUND)["Training"]
    assert [w.text for w in training.words] == [f"uniform(3): {said}"]
    end = next(s for s in training.series if s.label == "uniform(3), end")
    curve = next(s for s in training.series if s.label == "uniform(3)")
    assert end.symbol == "triangle"
    assert end.x[0] == 2
    assert curve.hover[1] == "uniform(3), update 2: 1×10⁷"
    assert training.y.ends[1] < 100
    assert [w.text for w in cells(FOUND)["uniform(3)"].words] == [said]


def test_losses_are_means_over_as_many_updates_as_the_axis_says():
    training = cells(FOUND)["Training"]
    assert training.y.label == "Mini-batch loss [nat]\n(means of 3 updates)"
    curve = next(s for s in training.series if s.label == "he")
    np.testing.assert_allclose(curve.y[:2], FOUND.loss.values[1, :6].reshape(2, 3).mean(1))
    np.testing.assert_allclose(curve.x[:2], [2, 5])
    few = cells(made.initializations(steps=5))["Training"]
    assert "means" not in few.y.label


def test_singular_values_that_are_rounding_are_left_out_and_this_is_said():
    shown = figures.initializations(FOUND, backend="none")
    before, after = next(c for c in shown.cells if c.title == "he").series
    assert int(np.isfinite(before.y).sum()) == 4
    assert int(np.isfinite(after.y).sum()) == 12
    assert shown.notes == ("Singular values below 10⁻⁷ of the largest of their state are not drawn",)
    without = figures.initializations(made.initializations(spectra=False, test=False), backend="none")
    assert len(without.cells) == 4
    assert without.notes == ()
    assert without.subtitle.startswith("Training loss in the end: uniform(0.03) 0.3, he 0.011")


@pytest.mark.parametrize("schemes", [("he",), ("uniform(0.03)", "he")])
def test_one_scheme_or_two_have_a_picture_too(schemes):
    found = made.initializations(schemes=schemes)
    for backend in ("plotly", "matplotlib"):
        figures.initializations(found, backend=backend)
    drawn(figures.initializations(found, backend="matplotlib"))


def test_scientific_ticks_within_few_decades_keep_their_digits():
    assert rulers.scientific("norm", 0.9, 6.0).words == ("1×10⁰", "2×10⁰", "5×10⁰")
    assert rulers.scientific("norm", 1e-9, 1e-2).words[0] == "10⁻⁹"


def test_gradients_are_bars_and_histograms_that_count_everything():
    found = made.gradients()
    shown = cells(found, figures.gradients)
    norms = shown["Gradients of single examples"]
    assert norms.series[0].y.sum() == 200
    assert (norms.marks[0].at, norms.marks[0].word) == (0.2, "mean gradient")
    assert shown["Agreement between two examples"].series[0].y.sum() == 12 * 11 / 2
    assert [w.text for w in shown["Gradient by parameter"].words] == ["1.0×10⁻³", "2.0×10⁻¹"]
    subtitle = figures.gradients(found, backend="none").subtitle
    assert subtitle == "Noise scale 41.2 ± 3 examples. 200 examples. Norm of the whole gradient 2.000×10⁻¹"
    lost = figures.gradients(made.gradients(scale=np.inf, cosines=0), backend="none")
    assert lost.subtitle.startswith("Noise scale: the mean gradient cannot be told from zero")
    assert len(lost.cells) == 2
    drawn(figures.gradients(found, backend="matplotlib"))
    assert [t.type for t in figures.gradients(found).data] == ["bar"] * 3


def test_cosines_are_in_the_order_of_the_targets():
    found = made.gradients()
    shown = figures.gradient_cosines(found, backend="none")
    targets = found.target.sel(example=found.one.values).values
    order = np.argsort(targets, kind="stable")
    np.testing.assert_array_equal(shown.values, found.cosine.values[np.ix_(order, order)])
    assert shown.x.label == "Target of the example"
    plain = figures.gradient_cosines(made.gradients(target=False), backend="none")
    np.testing.assert_array_equal(plain.values, found.cosine.values)
    assert plain.x.words[1] == "6"
    drawn(figures.gradient_cosines(found, backend="matplotlib"))
    np.testing.assert_allclose(figures.gradient_cosines(found).data[0].z, shown.values.T, rtol=1e-6)


def test_the_training_range_is_shaded_on_both_backends():
    found = made.extrapolation()
    shown = figures.extrapolation(found, backend="none")
    assert [c.title for c in shown.cells] == ["Prediction", "Error"]
    shade = shown.cells[0].series[0]
    np.testing.assert_array_equal(shade.x, [-1.0, 0.4])
    np.testing.assert_array_equal(shade.band[:, 0], shown.cells[0].y.ends)
    assert [s.entry for s in shown.keys] == ["truth", "prediction"]
    static = drawn(figures.extrapolation(found, backend="matplotlib"))
    filled = [t for t in figures.extrapolation(found).data if t.fill == "toself"]
    assert (len(static.axes[0].collections), len(filled)) == (1, 2)
    np.testing.assert_allclose(static.axes[0].lines[1].get_ydata(), found.target)


def test_several_networks_stand_side_by_side_on_the_same_axes():
    both = {"shallow": made.extrapolation(), "deep": made.extrapolation(slope=3.0)}
    shown = figures.extrapolation(both, backend="none")
    assert (shown.columns, [c.title for c in shown.cells]) == (2, ["shallow", "deep", "Error", "Error"])
    assert shown.cells[0].y.ends == shown.cells[1].y.ends
    assert shown.subtitle.startswith("Mean squared error inside and outside of the training range: shallow: 1×10⁻⁴, ")
    lost = made.extrapolation()
    lost["prediction"] = lost["prediction"] * np.nan
    notes = figures.extrapolation(both | {"lost": lost}, backend="none").notes
    assert notes == ("lost: 101 of 101 values are not finite",)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match=r"`thalweg.compare_initializations` makes one"):
        figures.initializations(made.gradients())
    with pytest.raises(ValueError, match="no scheme or no layer"):
        figures.initializations(FOUND.isel(scheme=[]))
    with pytest.raises(ValueError, match=r"`thalweg.gradient_statistics` makes one"):
        figures.gradients(FOUND)
    with pytest.raises(ValueError, match="no layer or no example"):
        figures.gradients(made.gradients().isel(example=[]))
    with pytest.raises(ValueError, match="has no cosines"):
        figures.gradient_cosines(made.gradients(cosines=0))
    nothing = made.extrapolation()
    with pytest.raises(ValueError, match="Nothing that was predicted is finite"):
        figures.extrapolation(nothing.assign(prediction=nothing.prediction * np.nan, target=nothing.target * np.nan))
    with pytest.raises(ValueError, match=r"`thalweg.extrapolation` makes one"):
        figures.extrapolation({"a": FOUND})
