"""Tangents, kernels and lazy training in a report."""

import numpy as np
import pytest

from tests.figures import pieces, statistics
from tests.figures import tangents as made
from thalweg import store
from thalweg.apps import words_tangent
from thalweg.apps.report import report
from thalweg.apps.sections import sections
from thalweg.apps.sections_tangent import together


def test_every_kind_of_the_tangent_has_a_section_with_a_picture():
    study = {
        "tangent": made.tangent(),
        "kernel": made.kernel(),
        "lazy": made.lazy(),
        "path": made.tangent_path(),
        "gradients": statistics.gradients(),
        "elbows": pieces.elbows(),
    }
    found = {anchor: (heading, body.count("<figure")) for anchor, heading, body in sections(study)}
    assert found == {
        "tangent": ("The tangent of the network", 1),
        "kernel": ("The tangent kernel", 1),
        "lazy": ("Lazy training, or not", 1),
        "path": ("The tangent along training", 1),
        "gradients": ("Gradients of single examples", 1),
        "elbows": ("The elbows of a ReLU network", 1),
    }


def test_states_of_the_same_rows_share_a_figure_before_above_after():
    names = ["tangent/deep-after", "tangent/deep-before", "tangent/shallow-after", "tangent/shallow-before"]
    study = {name: made.tangent(rank=3 + k) for k, name in enumerate(names)}
    study |= {"tangent/test": made.tangent(inputs="test"), "tangent/short": made.tangent(n=20), "mine": made.tangent()}
    assert together("tangent/deep-after", study) == [names[1], names[0], names[3], names[2]]
    found = {anchor: body for anchor, _, body in sections(study)}
    assert set(found) == {"tangent-deep-before", "tangent-test", "tangent-short", "mine"}
    words = found["tangent-deep-before"]
    assert (
        words.index("deep, before training: ") < words.index("deep, after training: ") < words.index("shallow, before")
    )
    assert "shallow, after training" not in found["mine"]


def test_states_over_other_inputs_are_drawn_apart():
    other = made.tangent(seed=3)
    study = {"tangent/a": made.tangent(), "tangent/b": other}
    assert together("tangent/a", study) == ["tangent/a"]
    assert len(list(sections(study))) == 2


def test_the_words_say_rank_shares_and_how_exact_they_are():
    ds = made.tangent()
    shares = np.cumsum(ds.singular_value.values**2) / (ds.singular_value.values**2).sum()
    told = words_tangent.tangent(ds)
    assert told.startswith(
        "The Jacobian has 60 rows and 7 weights; the numerical rank is 7, the largest that is possible."
    )
    assert f"holds {shares[0]:.0%} of its squared length, the first 2 hold {shares[1]:.0%}" in told
    assert "exact up to rounding" in told
    random = ds.assign_attrs(method="randomized", rank=5).assign(bound=("value", np.full(7, 0.25)))
    assert "of 7 that are possible" in words_tangent.tangent(random)
    assert "none is larger by more than 0.25" in words_tangent.tangent(random)
    slow = ds.drop_vars("bound").assign_attrs(method="lanczos", rank_known=0)
    assert "the numerical rank is at least 7" in words_tangent.tangent(slow)
    assert "residuals are at most 0.0e+00 of the first" in words_tangent.tangent(slow)
    assert "has diverged" in words_tangent.tangent(made.lost(), "after")


@pytest.mark.parametrize(
    ("error", "aligned", "words"),
    [
        (0.01, 0.99, "training is close to lazy; the kernel hardly turned"),
        (0.2, 0.99, "training is lazy in part; the kernel hardly turned"),
        (0.5, 0.2, "training left the tangent; the kernel turned"),
    ],
)
def test_the_verdict_on_laziness_follows_the_numbers(error, aligned, words):
    ds = made.lazy()
    ds["relative_error"][-1], ds["kernel_alignment"][-1] = error, aligned
    assert words in " ".join(words_tangent.lazy(ds))
    assert "diverged at step 70" in words_tangent.lazy(made.lazy(diverged_at=7))[0]


def test_layers_and_paths_are_told():
    assert "layer block2 has the largest trace" in " ".join(words_tangent.kernel(made.kernel(layers=3)))
    told = " ".join(words_tangent.path(made.tangent_path(diverged_at=6)))
    assert "from 1 to 1.62" in told
    assert "(lower bounds)" in told
    assert "diverged at step 6" in told


def test_a_study_of_tangents_alone_becomes_a_page(tmp_path):
    study = tmp_path / "study.zarr"
    store.save(made.tangent(), study, "tangent/net-before")
    store.save(made.lost(), study, "tangent/net-after")
    page = report(study).read_text()
    assert "net, after training: the network has diverged" in page
    assert "diverged: not finite" in page
