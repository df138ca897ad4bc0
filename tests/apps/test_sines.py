"""The demo of what initialisation does: what it writes, and that a divergence is told."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.apps import sines


@pytest.mark.slow
def test_the_lesson_is_measured_and_a_divergence_is_told(tmp_path):
    said: list[str] = []
    made = sines.sines_demo(tmp_path, say=said.append)
    results = set(tw.store.results(made.study))
    for name in ("shallow", "deep/small", "deep/he"):
        assert {f"tangent/{name}-before", f"tangent/{name}-after"} <= results
    assert "tangent/deep/large-after" not in results  # it diverged
    assert any("uniform(3)" in line and "diverged" in line for line in said)
    compared = tw.load(made.study, "initializations/deep")
    assert (compared.diverged_at.values > 0).tolist() == [False, True, False]
    before = tw.load(made.study, "tangent/deep/he-before")
    assert before.attrs["rank"] == 4  # a ReLU network of a scalar input with zero biases
    beyond = tw.load(made.study, "extrapolation/deep").mean_square_error
    assert float(beyond.sel(region="outside")) > 3 * float(beyond.sel(region="inside"))
    lazy = tw.load(made.study, "lazy/shallow")
    assert np.isclose(float(lazy.trained_loss[0]), float(lazy.loss[0]), rtol=1e-5)
    page = made.page.read_text()
    assert "could not be drawn" not in page
    with pytest.raises(FileExistsError):
        sines.sines_demo(tmp_path)
