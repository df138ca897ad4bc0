"""Figures of training against the tangent, and of the tangent along training."""

import numpy as np
import pytest

from tests.figures import statistics as others
from tests.figures import tangents as made
from tests.figures.descents import drawn
from thalweg import figures

LAZY, PATH = made.lazy(), made.tangent_path()


def cells(ds):
    return {c.title.split(" (")[0]: c for c in figures.picture(ds, backend="none").cells}


def curves(cell):
    return {s.label: s for s in cell.series}


def test_losses_distances_errors_and_alignments_are_over_the_steps():
    shown = cells(LAZY)
    assert list(shown) == [
        "Training",
        "Distance from the first weights",
        "Error of the linearised outputs",
        "Error over distance",
        "Tangent kernel",
    ]
    for title, label, name in (
        ("Training", "the network", "loss"),
        ("Training", "its linearisation at the same weights", "linear_loss"),
        ("Training", "its linearisation, trained by itself", "trained_loss"),
        ("Error of the linearised outputs", "outputs of the two trained models, apart", "apart"),
        ("Tangent kernel", "and with the targets", "target_alignment"),
    ):
        found = curves(shown[title])[label]
        np.testing.assert_array_equal(found.x, LAZY.step)
        np.testing.assert_array_equal(found.y, LAZY[name])


def test_an_error_of_second_order_lies_on_the_line_of_the_square():
    found = curves(cells(LAZY)["Error over distance"])
    error, line = found["error"], found["square of the distance"]
    slope = np.log(line.y[1] / line.y[0]) / np.log(line.x[1] / line.x[0])
    np.testing.assert_allclose(slope, 2.0)
    np.testing.assert_allclose(error.y, line.y[0] * (error.x / line.x[0]) ** 2)
    assert error.x.size == LAZY.sizes["step"] - 1  # the first step has no logarithm


def test_the_subtitle_says_how_far_training_went():
    told = figures.lazy(LAZY, backend="none").subtitle
    assert (
        told
        == "At step 200 the linearised outputs are off by 20% of their change, the weights moved by 20% of their length"
    )
    plain = figures.lazy(LAZY.drop_vars(["relative_error", "relative_distance"]), backend="none").subtitle
    assert plain == "At step 200 the linearised outputs are off by 0.4, the weights moved by 2"


def test_a_run_that_diverged_ends_with_a_triangle_and_its_step():
    ds = made.lazy(diverged_at=7)
    training = cells(ds)["Training"]
    assert [w.text for w in training.words] == ["diverged at step 70"]
    end = curves(training)["end"]
    assert (end.symbol, end.x[0]) == ("triangle", 60)
    assert "The network diverged at step 70" in figures.lazy(ds, backend="none").subtitle
    for backend in ("plotly", "matplotlib"):
        figures.lazy(ds, backend=backend)
    at_once = cells(made.lazy(diverged_at=1))["Error over distance"]
    assert [w.text for w in at_once.words] == ["diverged"]


def test_what_was_not_measured_is_not_drawn():
    shown = figures.lazy(made.lazy(trained=False, aligned=False), backend="none")
    assert [c.span for c in shown.cells] == [2, 1, 1, 2]
    assert [s.entry for s in shown.keys] == [
        "the network",
        "its linearisation at the same weights",
        "square of the distance",
    ]
    linear = LAZY.assign(error=0 * LAZY.error)
    assert cells(linear)["Error over distance"].words[0].text == "no error is seen"


def test_singular_values_are_curves_that_begin_where_the_rank_reaches_them():
    shown = cells(PATH)
    first = shown["The first 5 singular values"]
    assert first.y.kind == "log"
    for k in range(5):
        found = curves(first)[f"singular value {k + 1}"]
        sizes = PATH.singular_value.values[:, k]
        np.testing.assert_array_equal(found.y, np.where(sizes > 0, sizes, np.nan))
    ranks = curves(shown["Rank"])
    np.testing.assert_array_equal(ranks["rank"].y, PATH["rank"])
    np.testing.assert_array_equal(ranks["effective rank"].y, PATH.effective_rank)
    assert list(shown) == ["The first 5 singular values", "Rank", "Training", "Tangent kernel"]
    assert figures.singular_values(PATH, backend="none").notes == ("At 1 of 9 steps the rank is a lower bound",)


def test_a_diverged_path_says_at_which_step():
    ds = made.tangent_path(diverged_at=4)
    shown = figures.singular_values(ds, backend="none")
    assert shown.subtitle.startswith("From step 0 to step 3 ")
    assert shown.subtitle.endswith("The network diverged at step 4")
    assert [w.text for w in shown.cells[0].words] == ["diverged at step 4"]
    with pytest.raises(ValueError, match="every step has diverged"):
        figures.singular_values(made.tangent_path(diverged_at=0))


@pytest.mark.parametrize("ds", [LAZY, PATH, made.tangent_path(aligned=False)], ids=["lazy", "path", "short"])
def test_both_backends_draw_every_curve(ds):
    shown = figures.picture(ds, backend="none")
    page = figures.picture(ds)
    static = drawn(figures.picture(ds, backend="matplotlib"))
    for cell, axes in zip(shown.cells, static.axes, strict=True):
        lines = {line.get_label().lstrip("_"): line for line in axes.lines}
        for s in cell.series:
            trace = next(t for t in page.data if t.name in (s.label, s.entry) and len(t.x) == s.x.size)
            np.testing.assert_allclose(np.asarray(trace.x, dtype=float), s.x)
            np.testing.assert_allclose(lines[s.entry or s.label].get_ydata(), s.y)


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match=r"`thalweg.laziness` makes one"):
        figures.lazy(others.gradients())
    with pytest.raises(ValueError, match=r"`thalweg.track_tangent` makes one"):
        figures.singular_values(LAZY)
    with pytest.raises(ValueError, match="no step"):
        figures.lazy(LAZY.isel(step=[]))
