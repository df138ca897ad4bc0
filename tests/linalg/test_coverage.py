"""Nominal 95% intervals cover the truth in 93-97% of repeated runs, on matrices whose trace and density are known."""

import numpy as np
import pytest
import torch

from tests.linalg.matrices import product, symmetric
from thalweg.linalg import diagonal, hutch_plus_plus, hutchinson, spectral_quadrature, xtrace

pytestmark = pytest.mark.slow
N, REPEATS = 60, 2000
SPECTRUM = np.sort(np.concatenate([[10.0, 7.0, 5.0, 4.0, 3.0], np.random.default_rng(0).normal(size=N - 5) * 0.3]))


@pytest.fixture(scope="module")
def matrix():
    return symmetric(SPECTRUM)


@pytest.mark.parametrize(("estimator", "budget"), [(hutchinson, 30), (hutch_plus_plus, 30), (xtrace, 20)])
def test_intervals_of_the_trace_cover_it(matrix, estimator, budget):
    covered = 0
    for seed in range(REPEATS):
        found = estimator(product(matrix), N, num_matvecs=budget, seed=seed, dtype=torch.float64, block=N)
        low, high = found.interval(0.95)
        covered += low <= SPECTRUM.sum() <= high
    assert 0.93 <= covered / REPEATS <= 0.97


def test_intervals_of_the_diagonal_cover_it(matrix):
    covered = 0
    for seed in range(REPEATS):
        low, high = diagonal(product(matrix), N, num_matvecs=20, seed=seed, dtype=torch.float64, block=20).interval()
        covered += float(((low <= matrix.diag()) & (matrix.diag() <= high)).double().mean())
    assert 0.93 <= covered / REPEATS <= 0.97


def test_intervals_of_the_density_cover_it_in_the_bulk_and_at_outliers(matrix):
    width, x = 0.25, np.array([-0.5, 0.0, 0.4, 3.0, 5.0, 7.1, 10.0])
    gaussians = np.exp(-0.5 * ((x[:, None] - SPECTRUM) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    truth = gaussians.mean(1)
    covered = np.zeros(len(x))
    for seed in range(400):
        found = spectral_quadrature(
            product(matrix), N, num_probes=10, num_matvecs=25, seed=seed, dtype=torch.float64, block=10
        )
        low, high = found.density(x, width).interval(0.95)
        covered += (low <= truth) & (truth <= high)
    assert (covered / 400 > 0.92).all()  # one point in 400 runs: 95% +- 1.1%
    assert 0.93 <= covered.mean() / 400 <= 0.97
