"""Components of the first so many steps, against scikit-learn's of those rows alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

import thalweg as tw
from tests.measures.paths import trajectory, walk
from thalweg.measures.walks import walk_components

FEW = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seed=seeds, num_weights=st.integers(3, 40), num_components=st.integers(1, 3))
def test_each_length_has_the_components_of_its_rows_alone(seed, num_weights, num_components):
    theta, steps = walk(seed, 20, num_weights), np.arange(20) * 3
    found = tw.components_by_length(trajectory(theta, steps), [12, 30, 31, 57], num_components)
    np.testing.assert_array_equal(found.num_rows, [5, 11, 11, 20])
    whole = PCA(num_components).fit(theta).components_
    for k, rows in enumerate(found.num_rows.values):
        part = PCA(num_components).fit(theta[:rows])
        np.testing.assert_allclose(found.explained_variance_ratio[k], part.explained_variance_ratio_, atol=1e-9)
        overlap = np.square(part.components_ @ whole.T).sum() / num_components
        np.testing.assert_allclose(found.overlap[k], overlap, atol=1e-6)
        expected, _ = walk_components(np.arange(rows) * 1.0, num_components)
        np.testing.assert_allclose(found.theory[k], expected, rtol=1e-9)


def test_the_components_of_a_random_walk_turn_while_their_shares_stay():
    """S4.16: repeated for other numbers of epochs, the components differ much."""
    found = tw.components_by_length(trajectory(walk(0, 101, 20_000)), [25, 50, 100])
    np.testing.assert_allclose(found.explained_variance_ratio, found.theory, atol=0.02)
    assert found.overlap[0] < found.overlap[1] < 0.7
    np.testing.assert_allclose(found.overlap[-1], 1.0)


def test_a_run_in_one_plane_keeps_its_components_whatever_its_length():
    angle = np.linspace(0, 5, 50)
    plane = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 2)))[0]
    found = tw.components_by_length(trajectory(np.stack([np.cos(angle), np.sin(angle)], 1) @ plane.T))
    np.testing.assert_allclose(found.overlap, 1.0, atol=1e-6)
    assert found.sizes["length"] == 10
    assert found.length[-1] == 49


def test_lengths_that_are_too_short_are_refused():
    recorded = trajectory(walk(0, 20, 30), np.arange(20) * 10)
    with pytest.raises(ValueError, match="up to step 10 there are 2"):
        tw.components_by_length(recorded, [10, 100])
    with pytest.raises(ValueError, match="no lengths"):
        tw.components_by_length(recorded, [])
    with pytest.raises(ValueError, match="0 components"):
        tw.components_by_length(recorded, [100], 0)
    with pytest.raises(ValueError, match="fewer than 2 directions"):
        tw.components_by_length(trajectory(np.outer(np.arange(9.0), np.ones(4))))
    with pytest.raises(ValueError, match="fewer than 2 directions"):
        tw.components_by_length(trajectory(walk(0, 9, 1)))
