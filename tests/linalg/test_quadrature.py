import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.linalg.matrices import outliers_and_bulk, product, symmetric
from thalweg.linalg import spectral_quadrature

seeds = st.integers(0, 2**31 - 1)


@given(seed=seeds, n=st.integers(2, 30), steps=st.integers(1, 6), probes=st.sampled_from(["sphere", "signs"]))
def test_polynomials_up_to_degree_2m_minus_1_are_integrated_exactly(seed, n, steps, probes):
    """Σ w θᵈ = gᵀ Aᵈ g for the unit probe g, which its law lets us draw again."""
    a = symmetric(np.random.default_rng(seed).uniform(-1, 1, size=n), seed)
    found = spectral_quadrature(
        product(a), n, num_probes=1, num_matvecs=steps, probes=probes, seed=seed, dtype=torch.float64
    )
    generator = torch.Generator().manual_seed(seed)
    if probes == "sphere":
        g = torch.randn(n, generator=generator, dtype=torch.float64)
    else:
        g = 2.0 * torch.randint(0, 2, (n,), generator=generator, dtype=torch.int8).double() - 1
    g /= g.norm()
    for degree in range(2 * min(steps, n)):
        exact = float(g @ torch.linalg.matrix_power(a, degree) @ g)
        np.testing.assert_allclose((found.weights * found.nodes**degree).sum(), exact, atol=1e-10)


def test_the_density_integrates_to_one_and_the_cumulative_share_ends_there():
    a = symmetric(outliers_and_bulk(200))
    found = spectral_quadrature(product(a), 200, num_probes=3, num_matvecs=20, dtype=torch.float64)
    x = np.linspace(-10, 20, 20001)
    density, share = found.density(x), found.cumulative(x)
    assert np.trapezoid(density.estimate, x) == pytest.approx(1.0, abs=1e-8)
    assert share.estimate[0] == pytest.approx(0.0, abs=1e-8)
    assert share.estimate[-1] == pytest.approx(1.0, abs=1e-8)
    np.testing.assert_allclose(np.gradient(share.estimate, x)[1:-1], density.estimate[1:-1], atol=1e-3)


@pytest.mark.parametrize("probes", ["sphere", "signs"])
def test_first_moments_are_trace_and_frobenius_norm_within_their_errors(probes):
    d = outliers_and_bulk(300)
    a = symmetric(d)
    options = {"num_probes": 20, "num_matvecs": 20, "probes": probes, "dtype": torch.float64, "block": 10}
    found = spectral_quadrature(product(a), 300, **options)
    for power in (1, 2):
        moment = found.moment(power)
        assert abs(moment.estimate - (d**power).mean()) < 3 * moment.standard_error
        trace = found.trace(lambda values, power=power: values**power)
        assert trace.estimate == pytest.approx(300 * moment.estimate)
    assert found.moment(0).estimate == pytest.approx(1.0)
    assert found.moment(0).standard_error < 1e-8


def test_standard_errors_are_those_of_repeated_runs():
    d = outliers_and_bulk(100)
    a = symmetric(d)
    runs = [
        spectral_quadrature(product(a), 100, num_probes=10, num_matvecs=15, seed=s, dtype=torch.float64, block=10)
        for s in range(300)
    ]
    x = np.array([0.0, 1.0, 10.0])
    curves = [run.density(x, width=0.3) for run in runs]
    spread = np.std([c.estimate for c in curves], axis=0)
    stated = np.sqrt(np.mean([c.standard_error**2 for c in curves], axis=0))
    np.testing.assert_allclose(stated, spread, rtol=0.15)


def test_blocks_of_probes_are_the_probes_one_at_a_time():
    a = symmetric(outliers_and_bulk(60))
    options = {"num_probes": 5, "num_matvecs": 8, "dtype": torch.float64}
    single = spectral_quadrature(product(a), 60, **options)
    blocks = spectral_quadrature(product(a), 60, block=3, **options)
    np.testing.assert_allclose(blocks.nodes, single.nodes, atol=1e-12)
    np.testing.assert_allclose(blocks.weights, single.weights, atol=1e-12)
    assert blocks.num_matvecs == single.num_matvecs == 40


def test_no_node_comes_twice():
    """Sixty steps where the top eigenvalue converged after ten: without re-orthogonalisation its node would repeat."""
    d = outliers_and_bulk(300)
    d[0] = 1000.0
    a = symmetric(d).float()
    found = spectral_quadrature(product(a), 300, num_probes=1, num_matvecs=60)
    assert (found.nodes[0] > 100).sum() == 1


def test_a_closed_subspace_ends_a_probe_and_keeps_its_weights():
    a = symmetric([3.0] * 4 + [0.0] * 6)
    found = spectral_quadrature(product(a), 10, num_probes=4, num_matvecs=10, dtype=torch.float64, block=4)
    assert found.num_matvecs == 8
    np.testing.assert_allclose(found.weights.sum(1), 1.0)
    np.testing.assert_allclose(np.sort(found.nodes[0])[[0, -1]], [0.0, 3.0], atol=1e-12)


def test_intervals_hold_their_estimate_and_are_never_negative():
    a = symmetric(outliers_and_bulk(100))
    curve = spectral_quadrature(product(a), 100, num_probes=2, num_matvecs=10, dtype=torch.float64).density(
        np.linspace(-50, 50, 400), width=0.05
    )
    low, high = curve.interval()
    assert (low >= 0).all()
    assert (low <= curve.estimate).all()
    assert (high >= curve.estimate).all()


@pytest.mark.parametrize("wrong", [{"num_probes": 0}, {"num_matvecs": 0}, {"probes": "gauss"}, {"n": 0}, {"block": 0}])
def test_questions_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        spectral_quadrature(lambda v: v, **{"n": 3, **wrong})


def test_widths_powers_and_levels_that_make_no_sense_are_refused():
    found = spectral_quadrature(lambda v: v, 3)
    for refuse in (
        lambda: found.density(np.zeros(1), width=0.0),
        lambda: found.moment(-1),
        lambda: found.density(np.zeros(1)).interval(1.0),
    ):
        with pytest.raises(ValueError):
            refuse()
