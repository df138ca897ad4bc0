import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.linalg.matrices import Counted, outliers_and_bulk, product, symmetric
from thalweg.linalg import diagonal, hutch_plus_plus, hutchinson, xtrace

seeds = st.integers(0, 2**31 - 1)
ESTIMATORS = [hutchinson, hutch_plus_plus, xtrace]


@given(seed=seeds, n=st.integers(13, 60), rank=st.integers(0, 4))
def test_xtrace_and_hutch_plus_plus_are_exact_for_low_rank(seed, n, rank):
    """XTrace while the rank is below the number of probes less one; Hutch++ up to a third of the budget."""
    d = np.zeros(n)
    d[:rank] = np.random.default_rng(seed).normal(size=rank)
    a = symmetric(d, seed)
    for estimator in (xtrace, hutch_plus_plus):
        found = estimator(product(a), n, num_matvecs=12, seed=seed, dtype=torch.float64)
        assert found.estimate == pytest.approx(d.sum(), abs=1e-9)
        assert found.standard_error < 1e-8


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimates_are_unbiased_and_their_standard_errors_are_those_of_repeated_runs(estimator):
    d = np.geomspace(10, 0.01, 60)
    a = symmetric(d)
    runs = [estimator(product(a), 60, num_matvecs=24, seed=s, dtype=torch.float64, block=24) for s in range(400)]
    values = np.array([run.estimate for run in runs])
    spread = values.std(ddof=1)
    assert abs(values.mean() - d.sum()) < 4 * spread / 20
    stated = np.sqrt(np.mean([run.standard_error**2 for run in runs]))
    assert stated == pytest.approx(spread, rel=0.2)


def test_the_variance_of_hutchinson_is_twice_the_squares_off_the_diagonal():
    a = symmetric(np.linspace(-1, 4, 30))
    values = [
        hutchinson(product(a), 30, num_matvecs=10, seed=s, dtype=torch.float64, block=10).estimate for s in range(800)
    ]
    off = a - torch.diag(a.diag())
    assert np.var(values) == pytest.approx(2 * float((off**2).sum()) / 10, rel=0.2)


def test_for_the_same_budget_xtrace_beats_hutch_plus_plus_beats_hutchinson_under_outliers():
    d = outliers_and_bulk(200)
    a = symmetric(d)
    rms = [
        np.sqrt(
            np.mean(
                [
                    (
                        estimator(product(a), 200, num_matvecs=42, seed=s, dtype=torch.float64, block=42).estimate
                        - d.sum()
                    )
                    ** 2
                    for s in range(60)
                ]
            )
        )
        for estimator in ESTIMATORS
    ]
    assert rms[2] < rms[1] < 0.3 * rms[0]


def test_trap_a_trace_stopped_on_a_running_mean_is_off_without_a_word():
    """Where the mean moves by less than 1e-3 it can be off by many times that; the stated error knows."""
    d = np.linspace(0, 1, 200)
    a = symmetric(d)
    far = 0
    for seed in range(40):
        previous, count, settled = hutchinson(product(a), 200, num_matvecs=2, seed=seed, dtype=torch.float64), 2, False
        while not settled:
            count += 1
            now = hutchinson(product(a), 200, num_matvecs=count, seed=seed, dtype=torch.float64)
            settled = abs(now.estimate - previous.estimate) < 1e-3 * abs(now.estimate)
            previous = now
        assert abs(now.estimate - d.sum()) < 13 * now.standard_error
        far += abs(now.estimate - d.sum()) > 1e-2 * d.sum()
    assert far > 20


@pytest.mark.parametrize("estimator", [hutch_plus_plus, xtrace])
def test_with_n_products_the_trace_is_exact(estimator):
    matvec = Counted(symmetric([3.0, -1.0, 0.5, 2.0, 4.0, 1.0]))
    found = estimator(matvec, 6, num_matvecs=50, dtype=torch.float64)
    assert found.estimate == pytest.approx(9.5)
    assert (found.standard_error, found.num_matvecs, matvec.count) == (0.0, 6, 6)
    assert found.interval() == (found.estimate, found.estimate)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, diagonal])
def test_blocks_are_vectors_one_at_a_time_and_products_are_counted(estimator):
    a = symmetric(outliers_and_bulk(50))
    matvec = Counted(a)
    single = estimator(matvec, 50, num_matvecs=15, dtype=torch.float64)
    blocks = estimator(product(a), 50, num_matvecs=15, dtype=torch.float64, block=4)
    np.testing.assert_allclose(blocks.estimate, single.estimate, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(blocks.standard_error, single.standard_error, rtol=1e-6, atol=1e-10)
    assert single.num_matvecs == matvec.count <= 15


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_float32_and_float64_see_the_same_probes(estimator):
    a = symmetric(outliers_and_bulk(80))
    wide = estimator(product(a), 80, num_matvecs=18, dtype=torch.float64)
    narrow = estimator(product(a.float()), 80, num_matvecs=18, dtype=torch.float32)
    assert narrow.estimate == pytest.approx(wide.estimate, rel=1e-4)
    assert narrow.standard_error == pytest.approx(wide.standard_error, rel=1e-2)


@given(seed=seeds)
def test_the_diagonal_is_within_its_errors_and_exact_for_diagonal_matrices(seed):
    a = symmetric(np.linspace(-1, 4, 20), seed)
    found = diagonal(product(a), 20, num_matvecs=200, seed=seed, dtype=torch.float64, block=50)
    assert bool(((found.estimate - a.diag()).abs() < 6 * found.standard_error).all())
    off = (a**2).sum(1) - a.diag() ** 2
    torch.testing.assert_close(found.standard_error, (off / 200).sqrt(), rtol=0.35, atol=0)
    exact = diagonal(lambda v: v * a.diag(), 20, num_matvecs=2, seed=seed, dtype=torch.float64)
    torch.testing.assert_close(exact.estimate, a.diag())


@pytest.mark.parametrize("estimator", [*ESTIMATORS, diagonal])
def test_questions_that_make_no_sense_are_refused(estimator):
    with pytest.raises(ValueError, match="num_matvecs=1 "):
        estimator(lambda v: v, 100, num_matvecs=1)
    with pytest.raises(ValueError, match="level"):
        estimator(lambda v: v, 100, num_matvecs=6).interval(95)
    with pytest.raises(FloatingPointError, match="Product 1 "):
        estimator(lambda v: v / 0, 100, num_matvecs=6)
