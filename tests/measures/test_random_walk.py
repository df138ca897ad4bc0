"""The random-walk control, against dense matrices, the closed form, and walks that were simulated step by step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.measures.paths import trajectory, walk
from thalweg.measures.walks import LIMIT, simulated_walk, walk_components

FEW = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def brownian(times, center):
    """Inner products of a walk's points about their centre: min(s_i, s_j), centred from both sides."""
    n = len(times)
    matrix = np.minimum.outer(times - times[0], times - times[0])
    hat = np.eye(n) - (1 / n if center == "mean" else np.eye(n)[-1])
    values, vectors = np.linalg.eigh(hat @ matrix @ hat.T)
    return values[::-1] / values.sum(), vectors[:, ::-1]


@FEW
@given(seed=seeds, n=st.integers(2, 60), even=st.booleans(), center=st.sampled_from(["mean", "last"]))
def test_the_theory_is_the_spectrum_of_the_centred_covariance_of_a_walk(seed, n, even, center):
    times = np.arange(n) * 7.0 if even else np.cumsum(np.random.default_rng(seed).integers(1, 50, n)).astype(float)
    shares, scores = walk_components(times, n - 1, center)
    expected, vectors = brownian(times, center)
    np.testing.assert_allclose(shares, expected[: n - 1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.abs(np.einsum("ka,ka->a", scores, vectors[:, : n - 1])), 1.0, atol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_equal_steps_have_the_closed_form(n):
    """3 csc²(πk / 2n) / 2(n² - 1), which sums to 1, and cosines."""
    k = np.arange(1, n)
    shares, scores = walk_components(np.arange(n) * 1.0, n - 1)
    np.testing.assert_allclose(shares, 1.5 / (n**2 - 1) / np.sin(np.pi * k / (2 * n)) ** 2, rtol=1e-12)
    np.testing.assert_allclose(shares.sum(), 1.0, rtol=1e-12)
    waves = np.cos(np.pi * np.outer(np.arange(n) + 0.5, k) / n)
    np.testing.assert_allclose(scores, waves / np.linalg.norm(waves, axis=0), atol=1e-9)


def test_the_first_component_of_a_long_walk_explains_6_over_pi_squared():
    shares, _ = walk_components(np.arange(1e5), 3)
    np.testing.assert_allclose(shares, LIMIT / np.array([1, 4, 9]), rtol=1e-8)
    assert pytest.approx(6 / np.pi**2) == LIMIT


@pytest.mark.parametrize(("dim", "num_steps"), [(2, 9), (8, 9), (9, 9), (500, 9)])
def test_simulated_walks_have_the_distances_of_walks_made_step_by_step(dim, num_steps):
    """Mean and spread of squared distances between their points, in fewer and in more dimensions than steps."""
    random = np.random.default_rng(0)
    times = np.array([0.0, 1, 2, 3, 5, 8, 13, 21, 30])[:num_steps]
    ours = np.stack([simulated_walk(times, dim, random) for _ in range(500)])
    moves = random.normal(size=(500, num_steps - 1, dim)) * np.sqrt(np.diff(times))[:, None]
    naive = np.concatenate([np.zeros((500, 1, dim)), moves.cumsum(1)], axis=1)
    found, expected = (np.square(x[:, 1:, None] - x[:, None, :-1]).sum(-1) for x in (ours, naive))
    error = np.sqrt((found.var(0) + expected.var(0)) / 500) + 1e-12
    assert (np.abs(found.mean(0) - expected.mean(0)) < 5 * error).all()
    np.testing.assert_allclose(found.std(0), expected.std(0), rtol=0.3)


@pytest.mark.parametrize("center", ["mean", "last"])
def test_simulated_walks_in_many_dimensions_agree_with_the_theory_within_their_standard_error(center):
    components = tw.principal_components(trajectory(walk(0, 40, 50)), 4, center)
    found = tw.random_walk(components, num_walks=60, dim=10**8, seed=1)
    error = found.walk.std("sample", ddof=1) / np.sqrt(60)
    assert (error < 1e-4).all()
    assert (np.abs(found.walk.mean("sample") - found.theory) < 4 * error).all()
    assert found.walk.shape == (60, 4)


def test_walks_in_few_dimensions_stray_from_the_theory_and_have_larger_shares():
    recorded = trajectory(walk(0, 40, 50))
    few = tw.random_walk(recorded, 2, num_walks=40, dim=2)
    np.testing.assert_allclose(few.walk.sum("axis"), 1.0, rtol=1e-9)
    many = tw.random_walk(recorded, 2, num_walks=40, dim=10**6)
    assert float(few.walk.std("sample")[0]) > 20 * float(many.walk.std("sample")[0])


def test_a_walk_looks_like_the_theory_and_a_straight_line_does_not():
    found = tw.random_walk(trajectory(walk(1, 100, 50_000)), 3, num_walks=50)
    spread = found.walk.std("sample", ddof=1)
    assert (np.abs(found.explained_variance_ratio - found.theory) < 4 * spread + 1e-3).all()
    np.testing.assert_allclose(found.score, found.theory_score, atol=0.05 * float(np.abs(found.score).max()))
    np.testing.assert_allclose(found.walk_score, found.theory_score, atol=0.05 * float(np.abs(found.score).max()))
    line = np.outer(np.arange(50.0), np.ones(30)) + 1e-3 * walk(2, 50, 30)
    straight = tw.random_walk(trajectory(line), 2)
    assert float(straight.explained_variance_ratio[0]) > float(straight.walk[:, 0].max())


@FEW
@given(seed=seeds, num_steps=st.integers(4, 12), num_weights=st.integers(3, 30))
def test_of_a_trajectory_it_is_that_of_its_components(seed, num_steps, num_weights):
    """More steps than weights, and the other way round; scores are in the units of the path."""
    recorded = trajectory(walk(seed, num_steps, num_weights), np.arange(num_steps) * 5)
    components = tw.principal_components(recorded, 3)
    a, b = tw.random_walk(recorded, 3, num_walks=3), tw.random_walk(components, num_walks=3)
    for name in a.data_vars:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-6, atol=1e-6)
    total = np.square(recorded.theta - recorded.theta.mean("step")).sum()
    np.testing.assert_allclose(np.square(a.theory_score).sum("step"), a.theory * total, rtol=1e-9)
    assert (np.einsum("ka,ka->a", a.score, a.theory_score) >= 0).all()


def test_rows_at_unequal_steps_are_held_against_a_walk_seen_at_those_steps():
    """Rows at 1, 2, 4, ..., 1024: the closed form for equal steps would be the wrong control."""
    steps = np.concatenate([[0], 2 ** np.arange(11)])
    theta = walk(0, 1025, 4000)[steps]
    found = tw.random_walk(trajectory(theta, steps), 2, num_walks=30)
    assert abs(float(found.explained_variance_ratio[0] - found.theory[0])) < 0.02
    assert abs(float(found.theory[0]) - walk_components(np.arange(12.0), 1)[0][0]) > 0.05


def test_the_same_seed_draws_the_same_walks():
    recorded = trajectory(walk(0))
    a, b, c = (tw.random_walk(recorded, 2, num_walks=5, seed=seed).walk.values for seed in (3, 3, 4))
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()


def test_what_has_no_walk_to_be_held_against_is_refused():
    recorded = trajectory(walk(0, 6, 4))
    with pytest.raises(ValueError, match="between 1 and 4"):
        tw.random_walk(recorded, 5)
    with pytest.raises(ValueError, match="between 1 and 2"):
        tw.random_walk(tw.principal_components(recorded, 2), 3)
    with pytest.raises(ValueError, match="stands still"):
        tw.random_walk(trajectory(np.ones((5, 3))))
    with pytest.raises(ValueError, match="num_walks=0"):
        tw.random_walk(recorded, num_walks=0)
    with pytest.raises(ValueError, match="dim=1"):
        tw.random_walk(recorded, 2, dim=1)
    with pytest.raises(ValueError, match="do not rise"):
        tw.random_walk(trajectory(walk(0, 3, 4), [2, 1, 0]))
    problem = tw.FunctionProblem(lambda x, y: x**2 + 3 * y**2)
    starts = tw.random_starts(4, 2, seed=0)
    paths = tw.descend(problem, starts, lambda w: torch.optim.SGD(w, lr=0.1), 5)
    with pytest.raises(ValueError, match="as many paths as starts"):
        tw.random_walk(tw.principal_components(paths))
