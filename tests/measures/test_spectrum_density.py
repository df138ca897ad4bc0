"""Densities, traces and diagonals against dense matrices."""

import numpy as np
import pytest
import torch.nn.functional as F

import thalweg as tw
from tests.linalg.matrices import outliers_and_bulk
from tests.measures.test_spectrum import ORACLES, made
from tests.measures.test_spectrum_traps import quadratic
from tests.problem import dense
from thalweg import schema


@pytest.mark.parametrize("options", [{}, {"width": 1e-3}, {"points": 2001, "width": 0.05}, {"num_matvecs": 12}])
def test_a_density_integrates_to_one(options):
    _, _, problem = made("convolution")
    found = tw.spectral_density(problem, num_probes=3, **options)
    assert float(found.density.integrate("eigenvalue")) == pytest.approx(1.0, abs=2e-3)
    np.testing.assert_allclose(found.node_weight.sum("rank"), 1.0)
    assert (found.density_low <= found.density).all()
    assert (found.density <= found.density_high).all()
    assert found.attrs["num_matvecs"] == 3 * min(options.get("num_matvecs", 80), problem.num_weights)


@pytest.mark.parametrize("matrix", ORACLES)
def test_first_moments_are_trace_and_frobenius_norm_within_their_errors(matrix):
    net, data, problem = made()
    exact = np.linalg.eigvalsh(ORACLES[matrix](net, data).numpy())
    found = [tw.spectral_density(problem, matrix=matrix, num_probes=20, seed=seed).attrs for seed in range(5)]
    for name, truth in (("trace", exact.sum()), ("frobenius", np.sqrt((exact**2).sum()))):
        z = [(one[name] - truth) / one[f"{name}_standard_error"] for one in found]
        assert np.abs(z).max() < 4.0
        assert abs(np.mean(z)) < 4.0 / np.sqrt(5)


def test_a_density_is_that_of_the_dense_eigenvalues():
    """With many probes and n steps, bump by bump."""
    problem, A = quadratic(outliers_and_bulk(60))
    exact = np.linalg.eigvalsh(A.numpy())
    found = tw.spectral_density(problem, num_probes=100, num_matvecs=60, width=0.3)
    x = found.eigenvalue.values
    smooth = np.exp(-(((x[:, None] - exact) / 0.3) ** 2) / 2).sum(1) / (60 * 0.3 * np.sqrt(2 * np.pi))
    z = (found.density - smooth) / found.density_standard_error.clip(min=1e-4)
    assert float(np.abs(z).max()) < 5.0
    assert float(np.abs(z).mean()) < 1.5


def test_the_grid_is_what_was_asked_for():
    _, _, problem = made()
    at = [-1.0, 0.0, 2.5]
    assert tw.spectral_density(problem, num_probes=1, points=at).eigenvalue.values.tolist() == at
    assert tw.spectral_density(problem, num_probes=1, points=57).sizes["eigenvalue"] == 57
    flat = tw.spectral_density(tw.FunctionProblem(lambda x, y: 0 * x * y), num_probes=1)
    assert float(flat.density.integrate("eigenvalue")) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("method", ["xtrace", "hutch++", "hutchinson"])
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_a_trace_lies_within_its_errors(matrix, method):
    net, data, problem = made("convolution")
    exact = float(ORACLES[matrix](net, data).trace())
    found = tw.trace(problem, matrix=matrix, method=method, num_matvecs=60)
    assert schema.check(found) is found
    assert abs(float(found.value) - exact) < 4 * float(found.standard_error)
    assert 0 < float(found.standard_error) < 0.3 * abs(exact)
    half = found.attrs["quantile"] * float(found.standard_error)
    assert found.attrs["high"] - found.attrs["low"] == pytest.approx(2 * half)
    assert found.attrs["num_matvecs"] == 60


def test_a_diagonal_lies_within_its_errors_and_is_exact_with_enough_products():
    net, data, problem = made("convolution")
    exact = dense.hessian(net, data, F.cross_entropy).diagonal().numpy()
    found = tw.diagonal(problem, num_matvecs=100)
    z = (found.value.values - exact) / found.standard_error.values.clip(1e-12)
    assert np.abs(z[np.abs(exact) > 1e-12]).max() < 5.5
    assert 0.5 < np.mean(z**2) < 1.5
    all_of_it = tw.diagonal(problem, num_matvecs=problem.num_weights)
    np.testing.assert_allclose(all_of_it.value, exact, rtol=1e-9, atol=1e-12)
    assert not all_of_it.standard_error.any()
    assert all_of_it.attrs["method"] == "exact"


def test_of_a_layer():
    net, data, problem = made("convolution")
    A = dense.hessian(net, data, F.cross_entropy).numpy()
    part = A[54:57, 54:57]  # the biases of the convolution: 54 weights come first
    found = tw.diagonal(problem, parameters="0.bias")
    np.testing.assert_allclose(found.value, part.diagonal(), rtol=1e-9, atol=1e-12)
    assert found.weight.values.tolist() == [54, 55, 56]
    assert float(tw.trace(problem, parameters="0.bias").value) == pytest.approx(part.trace(), rel=1e-9)
    density = tw.spectral_density(problem, parameters="0.bias", num_probes=300)
    assert density.attrs["num_selected"] == 3
    assert density.attrs["trace"] == pytest.approx(part.trace(), abs=4 * density.attrs["trace_standard_error"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["xtrace", "hutch++", "hutchinson", "density"])
def test_intervals_cover_the_truth_as_often_as_they_promise(method):
    """Nominal 95%: 93-97% of 300 runs, but for the error of 300 runs themselves (2 of its standard deviations)."""
    problem, A = quadratic(outliers_and_bulk(120))
    exact, inside = float(A.trace()), 0
    for seed in range(300):
        if method == "density":
            found = tw.spectral_density(problem, num_probes=6, num_matvecs=8, seed=seed, points=[0.0]).attrs
            half = found["quantile"] * found["trace_standard_error"]
            inside += abs(found["trace"] - exact) <= half
        else:
            attrs = tw.trace(problem, method=method, num_matvecs=60, seed=seed).attrs
            inside += attrs["low"] <= exact <= attrs["high"]
    spread = 2 * np.sqrt(0.95 * 0.05 / 300)
    assert 0.93 - spread <= inside / 300 <= 0.97 + spread
