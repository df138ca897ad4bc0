"""What theory says of descent on (1 - t1 t2)², the network that multiplies by one, from start to end."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw

from .naive import product, sgd

BRANCHES = {
    "both positive": ("minimum", lambda t: (np.abs(t[:, 0] * t[:, 1] - 1) < 0.1) & (t[:, 0] > 0)),
    "both negative": ("minimum", lambda t: (np.abs(t[:, 0] * t[:, 1] - 1) < 0.1) & (t[:, 0] < 0)),
}


def words(paths):
    return np.array([paths.outcome.attrs["names"][k] for k in paths.outcome.values])


def kinds(paths):
    return np.array([paths.outcome.attrs["kinds"][k] for k in paths.outcome.values])


@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(1e-3, 0.1))
def test_the_difference_of_squares_shrinks_by_a_known_factor_in_every_step(seed, rate):
    """t1² - t2² is conserved by the flow; a step of descent multiplies it by 1 - 4η²(1 - t1 t2)²."""
    paths = tw.descend(product(), np.random.default_rng(seed).uniform(-1.5, 1.5, (4, 2)), sgd(rate), 20)
    conserved = paths.theta[..., 0].values ** 2 - paths.theta[..., 1].values ** 2
    expected = conserved[:, :-1] * (1 - 4 * rate**2 * paths.loss.values[:, :-1])
    np.testing.assert_allclose(conserved[:, 1:], expected, rtol=1e-9, atol=1e-12)


def test_the_drift_of_what_the_flow_conserves_is_linear_in_the_rate():
    """At a fixed time ηk = 1, half the rate drifts half as far."""

    def drift(steps):
        theta = tw.descend(product(), [[1.5, 0.2], [-0.4, -1.2], [0.9, -0.3]], sgd(1 / steps), steps).theta.values
        conserved = theta[..., 0] ** 2 - theta[..., 1] ** 2
        return np.abs(conserved[:, -1] - conserved[:, 0])

    coarse, fine, finest = drift(250), drift(500), drift(1000)
    assert (coarse > 1e-6).all()
    np.testing.assert_allclose(coarse / fine, 2.0, rtol=0.03)
    np.testing.assert_allclose(fine / finest, 2.0, rtol=0.015)


def test_starts_on_the_unit_circle_end_on_the_branch_of_their_sign():
    """The sign of t1 + t2 never changes on the way, so that it tells the branch beforehand."""
    starts = tw.random_starts(50, seed=117)
    paths = tw.descend(product(), starts, sgd(0.1), 300)
    ends = tw.outcomes(paths, product(), branches=BRANCHES, side=lambda t: np.sign(t.sum(1)))
    expected = np.where(starts.sum(1).numpy() > 0, "both positive", "both negative")
    np.testing.assert_array_equal(words(ends), expected)
    assert {"both positive", "both negative"} == set(words(ends))
    assert (ends.crossings == 0).all()
    found = words(tw.outcomes(paths, product()))  # without being told, the same two
    assert len(set(found)) == 2
    assert len(set(zip(found, expected, strict=True))) == 2


@pytest.fixture(scope="module")
def grid():
    return tw.descend(product(), tw.grid_starts(2.0, 51), sgd(0.05), 400, every=200)


def test_of_a_grid_of_starts_the_antidiagonal_ends_on_the_saddle(grid):
    """All 51 of it, the corner (2, -2) among them; the other 2,550 on the branch of their sign."""
    ends = tw.outcomes(grid, product(), branches=BRANCHES)
    total = grid.theta[:, 0].sum("weight").values
    expected = np.select([total > 0, total < 0], ["both positive", "both negative"], "saddle at (0, 0)")
    assert (expected == "saddle at (0, 0)").sum() == 51
    np.testing.assert_array_equal(words(ends), expected)
    np.testing.assert_array_equal(kinds(ends) == "saddle", total == 0)
    corner = np.flatnonzero((grid.theta[:, 0].values == [2, -2]).all(1))
    assert words(ends)[corner].tolist() == ["saddle at (0, 0)"]


def test_each_branch_of_minima_is_found_as_one_without_being_told(grid):
    found = tw.outcomes(grid, product())
    total = grid.theta[:, 0].sum("weight").values
    assert len(set(words(found))) == 3
    assert len(set(zip(words(found), np.sign(total), strict=True))) == 3
    np.testing.assert_array_equal(kinds(found), np.where(total == 0, "saddle", "minimum"))


def test_the_antidiagonal_stays_on_itself_to_the_bit(grid):
    on = grid.theta[:, 0].sum("weight").values == 0
    assert on.sum() == 51
    assert (grid.theta.values[on].sum(-1) == 0).all()


@pytest.mark.parametrize("begin", [0.05, 0.5])
def test_a_start_nearer_the_antidiagonal_waits_longer_at_the_saddle(begin):
    """The saddle pushes out with eigenvalue -2, so that a tenth of the distance costs ln 10 / ln(1 + 2η) more steps;
    also after a first fall towards the saddle that is faster than the last one."""
    distance = 10.0 ** -np.arange(3, 8)
    starts = np.stack([begin + distance, np.full(5, -begin)], axis=1)
    paths = tw.descend(product(), starts, sgd(0.1), 150)
    nearest = np.linalg.norm(paths.theta.values, axis=2).min(axis=1)
    assert (np.diff(nearest) < 0).all()
    assert nearest[-1] < 2e-3
    plateau = tw.outcomes(paths, product()).plateau.values
    np.testing.assert_allclose(np.diff(plateau), np.log(10) / np.log(1.2), atol=1.01)


def test_a_start_that_only_passes_the_saddle_is_still_moving():
    """Near enough to be taken for at rest, but on its way out."""
    start = [[0.5 + 1e-6, -0.5], [0.5, -0.5], [-1.0, -1.0]]
    paths = tw.outcomes(tw.descend(product(), start, sgd(0.1), 40), product())
    assert np.linalg.norm(paths.theta[0, -1]) < 0.01
    assert kinds(paths).tolist() == ["moving", "saddle", "minimum"]
    assert words(paths)[0] == "still moving"


@given(position=st.floats(0.4, 2.5), sign=st.sampled_from([-1, 1]), share=st.floats(0.05, 1.6))
def test_a_solution_is_stable_if_and_only_if_the_rate_is_small_enough(position, sign, share):
    """Near (a, 1/a) every step multiplies 1 - t1 t2 by 1 - 2η(t1² + t2²): stable iff η(t1² + t2²) < 1."""
    solution = sign * np.array([position, 1 / position])
    steepness = float(solution @ solution)
    start = solution + 1e-7 * solution[::-1]
    paths = tw.descend(product(), start, sgd(share / steepness), 6)
    rest = 1 - paths.theta[0, :, 0].values * paths.theta[0, :, 1].values
    np.testing.assert_allclose(rest[1:], rest[:-1] * (1 - 2 * share), rtol=1e-3, atol=1e-11)  # squares
    if abs(share - 1) > 0.05:
        assert (abs(rest[-1]) < abs(rest[0])) == (share < 1)


def test_with_a_small_rate_most_starts_are_still_moving():
    """51 x 51 starts, 100 steps at 1e-3: what is far from the solutions is not called a minimum."""
    paths = tw.outcomes(tw.descend(product(), tw.grid_starts(2.0, 51), sgd(1e-3), 100, every=100), product())
    end = paths.theta[:, -1].values
    off = np.abs(1 - end.prod(axis=1))
    settled = kinds(paths) == "minimum"
    assert (kinds(paths) == "moving").sum() > 1300
    assert off[settled].max() < off[kinds(paths) == "moving"].max() / 10
    assert settled[off < 1e-3].all()


def test_noise_makes_a_descent_cross_between_the_branches():
    """Crossings of the barrier are counted as a plain loop counts them; without noise there is none."""

    def side(t):
        return np.sign(t[:, 0] + t[:, 1])

    starts = tw.random_starts(20, seed=3)
    noisy = tw.descend(product(), starts, sgd(0.1), 300, noise=3.0, seed=1)
    counted = tw.outcomes(noisy, product(), side=side).crossings.values
    expected = []
    for path in noisy.theta.values:
        changes, last = 0, 0.0
        for t1, t2 in path:
            now = float(np.sign(t1 + t2)) if np.isfinite(t1 + t2) else 0.0
            changes += bool(now and last and now != last)
            last = now or last
        expected.append(changes)
    assert sum(expected) > 50
    np.testing.assert_array_equal(counted, expected)


def test_a_projected_descent_is_every_path_projected():
    paths = tw.descend(product(), tw.random_starts(4, seed=0), sgd(0.1), 10)
    plane = tw.Plane(np.array([0.3, -0.2]), np.array([1.0, 2.0]), np.array([0.5, -0.25]))
    found = tw.project_trajectory(paths, plane)
    back = plane(torch.as_tensor(np.stack([found.alpha, found.beta], axis=-1)))
    np.testing.assert_allclose(back, paths.theta, atol=1e-12)
    np.testing.assert_allclose(found.distance, 0.0, atol=1e-12)
    line = tw.project_trajectory(paths, tw.Line(np.array([1.0, 0.0]), np.array([0.0, 2.0])))
    np.testing.assert_allclose(line.alpha, paths.theta[..., 1] / 2)
    np.testing.assert_allclose(line.distance, np.abs(paths.theta[..., 0] - 1))
    assert found.attrs["coordinates"] == ["alpha", "beta"]


def test_a_projected_descent_is_nan_only_where_it_diverged():
    paths = tw.descend(product(), [[1.0, 0.5], [20.0, 20.0]], sgd(0.1), 20)
    found = tw.project_trajectory(paths, tw.coordinate_plane(product()))
    gone = ~np.isfinite(paths.theta.values).all(-1)
    assert gone[1].any()
    np.testing.assert_array_equal(np.isnan(found.alpha) | np.isnan(found.beta), gone)
    np.testing.assert_allclose(found.alpha[0], paths.theta[0, :, 0])
