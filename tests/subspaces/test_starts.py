"""Starts on grids, symmetric to the bit, and at random on spheres, with no direction preferred."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw


@given(
    low=st.floats(-50, 49),
    width=st.floats(0.01, 100),
    points=st.integers(2, 9),
    num_weights=st.integers(1, 3),
)
def test_a_grid_has_every_combination_of_evenly_spaced_weights(low, width, points, num_weights):
    starts = tw.grid_starts((low, low + width), points, num_weights)
    assert starts.shape == (points,) * num_weights + (num_weights,)
    assert starts.dtype == torch.float64
    axis = [low + k * width / (points - 1) for k in range(points)]
    for index in itertools.product(range(points), repeat=num_weights):
        np.testing.assert_allclose(starts[index], [axis[k] for k in index], rtol=1e-12, atol=1e-12)


@given(points=st.integers(2, 5), low=st.floats(-9, 9), width=st.floats(0.1, 9))
def test_every_weight_may_have_a_range_of_its_own(points, low, width):
    starts = tw.grid_starts([(0.0, 1.0), (low, low + width)], points)
    assert starts.shape == (points, points, 2)
    np.testing.assert_allclose(starts[:, 0, 0], np.linspace(0, 1, points), atol=1e-12)
    np.testing.assert_allclose(starts[-1, :, 1], np.linspace(low, low + width, points), atol=1e-12)


@given(radius=st.floats(1e-3, 1e3), points=st.integers(2, 60))
def test_a_symmetric_grid_is_symmetric_to_the_bit(radius, points):
    """With w it holds -w; so a start on the antidiagonal has a sum of exactly zero, one in the middle is zero."""
    starts = tw.grid_starts(radius, points)
    assert torch.equal(starts, -starts.flip(0, 1))
    assert torch.equal(starts, starts.transpose(0, 1).flip(-1))
    on_the_antidiagonal = torch.stack([starts[k, points - 1 - k] for k in range(points)])
    assert (on_the_antidiagonal.sum(-1) == 0).all()
    if points % 2:
        assert (starts[points // 2, points // 2] == 0).all()
    assert float(starts.max()) == pytest.approx(radius, rel=1e-15)


def test_the_grid_of_51_holds_the_corners():
    starts = tw.grid_starts(2.0, 51)
    assert starts.shape == (51, 51, 2)
    assert starts[-1, 0].tolist() == [2.0, -2.0]
    assert starts[0, 0].tolist() == [-2.0, -2.0]
    assert torch.equal(tw.grid_starts(), starts)
    assert torch.equal(tw.grid_starts(2), starts)


@given(num=st.integers(1, 40), num_weights=st.integers(1, 9), seed=st.integers(0, 2**32), radius=st.floats(0.1, 10))
def test_random_starts_have_the_length_asked_for(num, num_weights, seed, radius):
    starts = tw.random_starts(num, num_weights, seed=seed, radius=radius)
    assert starts.shape == (num, num_weights)
    assert starts.dtype == torch.float64
    np.testing.assert_allclose(starts.norm(dim=1), radius, rtol=1e-12)


def test_random_starts_prefer_no_direction():
    """Every sixteenth of a circle has its share, and in 5 dimensions mean and covariance are a sphere's."""
    circle = tw.random_starts(4000, seed=1).numpy()
    part = np.floor(np.arctan2(circle[:, 1], circle[:, 0]) / (np.pi / 8)).astype(int)
    counts = np.unique(part, return_counts=True)[1]
    assert len(counts) == 16
    assert ((counts - 250) ** 2 / 250).sum() < 39  # chi squared with 15 degrees of freedom: 1 in 2,000
    sphere = tw.random_starts(4000, 5, seed=2).numpy()
    np.testing.assert_allclose(sphere.mean(axis=0), 0.0, atol=4 * (0.2 / 4000) ** 0.5)
    np.testing.assert_allclose(sphere.T @ sphere / 4000, np.eye(5) / 5, atol=0.02)


def test_random_starts_are_reproduced_by_their_seed_and_touch_no_other_generator():
    state = torch.get_rng_state()
    first = tw.random_starts(5, 3, seed=7)
    assert torch.equal(first, tw.random_starts(5, 3, seed=7))
    assert not torch.equal(first, tw.random_starts(5, 3, seed=8))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: tw.grid_starts(-1.0), "extent=-1.0; expected a positive radius"),
        (lambda: tw.grid_starts(0), "extent=0"),
        (lambda: tw.grid_starts((1.0, -1.0)), "positive radius, a pair"),
        (lambda: tw.grid_starts((0.0, float("inf"))), "positive radius, a pair"),
        (lambda: tw.grid_starts(float("nan")), "extent=nan"),
        (lambda: tw.grid_starts([(0, 1)] * 3), "a pair for each weight"),
        (lambda: tw.grid_starts([(0, 1), (1, 0)]), "a pair for each weight"),
        (lambda: tw.grid_starts(1.0, 0), "points=0"),
        (lambda: tw.grid_starts(1.0, 3, 0), "num_weights=0"),
        (lambda: tw.random_starts(0), "num=0"),
        (lambda: tw.random_starts(3, 0), "num_weights=0"),
        (lambda: tw.random_starts(3, radius=0.0), "radius=0.0"),
        (lambda: tw.random_starts(3, radius=float("nan")), "radius=nan"),
    ],
)
def test_what_makes_no_starts_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
