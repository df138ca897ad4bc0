"""Each silent mistake of the field's spectra (findings), as a test that it is not made here."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.linalg.matrices import outliers_and_bulk
from tests.measures.test_spectrum import made
from tests.problem import dense, naive
from tests.problem.naive import D


def quadratic(eigenvalues, seed=0):
    """L = θᵀQ diag(λ) Qᵀθ / 2 and its dense Hessian."""
    d = torch.as_tensor(np.asarray(eigenvalues, dtype=float))
    q = torch.linalg.qr(torch.randn(len(d), len(d), generator=torch.Generator().manual_seed(seed), dtype=D))[0]
    A = q @ torch.diag(d) @ q.T
    return tw.FunctionProblem(lambda t: ((t @ A) * t).sum(-1) / 2, num_weights=len(d)), A


def test_trap_ghosts():
    """Lanczos without re-orthogonalisation returns the top eigenvalue five times, all flagged converged."""
    problem, _ = quadratic(np.concatenate([[1e4], np.linspace(1, 10, 299)]))
    found = tw.top_eigenpairs(problem, 5, which="largest", tol=1e-7, max_matvecs=300)
    top = np.linspace(1, 10, 299)[::-1]
    np.testing.assert_allclose(found.eigenvalue, [1e4, *top[:4]], rtol=1e-5)


@pytest.mark.parametrize("budget", [6, 8, 10])
def test_trap_early_stop(budget):
    """A fixed 10 steps are 8-21% off without a warning: here what missed tol is flagged, and residuals are true."""
    problem, A = quadratic(outliers_and_bulk(300))
    found = tw.top_eigenpairs(problem, 6, max_matvecs=budget)
    assert found.attrs["num_matvecs"] <= budget
    v, values = found.eigenvector.values, found.eigenvalue.values
    true = np.linalg.norm(A.numpy() @ v.T - v.T * values, axis=0)
    np.testing.assert_allclose(found.residual, true, rtol=1e-6, atol=1e-9)
    assert (found.converged.values == (true <= 1e-3 * np.abs(values).max())).all()
    missed = int((~found.converged).sum())
    assert missed > 0
    assert found.attrs["not_converged"] == missed
    assert found.attrs["stop"] == "budget"
    assert f"{missed} of 6 not converged" in found.attrs["title"]


def test_trap_power_iteration_stopped_on_the_change_of_the_eigenvalue():
    """Close eigenvalues: the value settles long before the vector. Converged means a small true residual."""
    problem, A = quadratic(np.concatenate([[1.0, 0.999, 0.998, 0.997, 0.996], np.linspace(0, 0.9, 195)]))
    found = tw.top_eigenpairs(problem, 5, tol=1e-6)
    assert found.converged.all()
    v, values = found.eigenvector.values, found.eigenvalue.values
    assert (np.linalg.norm(A.numpy() @ v.T - v.T * values, axis=0) <= 1.1e-6).all()
    np.testing.assert_allclose(values, [1.0, 0.999, 0.998, 0.997, 0.996], atol=1e-6)


@pytest.mark.parametrize("sizes", [(16,), (8, 8), (1,) * 16])
def test_trap_sums_over_batches_instead_of_means(sizes):
    """3.235 told as 51.76."""
    net, data = dense.case("tanh", n=16)
    problem = tw.ModuleProblem(net, naive.cut(data, sizes), loss=F.cross_entropy)
    A = dense.hessian(net, data, F.cross_entropy)
    exact = torch.linalg.eigvalsh(A)
    assert float(tw.top_eigenpairs(problem, 1).eigenvalue[0]) == pytest.approx(float(exact.abs().max()), rel=1e-5)
    assert float(tw.trace(problem).value) == pytest.approx(float(exact.sum()), rel=1e-9)
    assert float(tw.diagonal(problem).value.sum()) == pytest.approx(float(exact.sum()), rel=1e-9)
    density = tw.spectral_density(problem, num_probes=10).attrs
    assert abs(density["trace"] - float(exact.sum())) < 4 * density["trace_standard_error"]


def test_trap_unequal_batches_averaged_unweighted():
    net, data = dense.case("tanh", n=17)
    problem = tw.ModuleProblem(net, naive.cut(data, (16, 1)), loss=F.cross_entropy)
    exact = torch.linalg.eigvalsh(dense.hessian(net, data, F.cross_entropy))
    found = tw.top_eigenpairs(problem, 2, tol=1e-8)
    np.testing.assert_allclose(np.abs(found.eigenvalue), np.sort(exact.abs().numpy())[::-1][:2], rtol=1e-7)


def test_trap_kinks_finite_differences_on_relu_networks_in_float32():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 3))
    x, y = naive.examples(30)
    exact = tw.ModuleProblem(copy.deepcopy(net).double(), (x, y), loss=F.cross_entropy)
    narrow = tw.ModuleProblem(net, (x.float(), y), loss=F.cross_entropy)
    a, b = (tw.top_eigenpairs(problem, 3, tol=1e-4) for problem in (exact, narrow))
    np.testing.assert_allclose(b.eigenvalue, a.eigenvalue, rtol=1e-3)
    assert "differences" not in b.attrs["product"]


@pytest.mark.parametrize("method", ["xtrace", "hutch++", "hutchinson"])
def test_trap_a_trace_stopped_when_its_running_mean_moves_little(method):
    """The budget is what was asked, and the truth lies in the intervals about as often as they promise."""
    problem, A = quadratic(outliers_and_bulk(120))
    exact = float(A.trace())
    found = [tw.trace(problem, method=method, num_matvecs=60, seed=seed) for seed in range(40)]
    assert all(one.attrs["num_matvecs"] == 60 for one in found)
    inside = [one.attrs["low"] <= exact <= one.attrs["high"] for one in found]
    assert np.mean(inside) >= 0.85
    mean, error = np.mean([float(one.value) for one in found]), np.mean([float(one.standard_error) for one in found])
    assert abs(mean - exact) < 4 * error / np.sqrt(40) + 1e-9


def test_trap_side_effects_on_the_users_model_and_random_numbers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).train()
    x, y = naive.examples(17, (1, 4, 4))
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002 (the generator that must not be touched)
    problem = tw.ModuleProblem(model, (x.float(), y), loss=F.cross_entropy)
    theta = problem.theta
    tw.top_eigenpairs(problem, 2)
    tw.spectral_density(problem, num_probes=2, num_matvecs=10)
    tw.trace(problem, num_matvecs=10)
    tw.diagonal(problem, num_matvecs=10)
    tw.sharpness(problem, preconditioner=torch.ones(problem.num_weights))
    tw.worst_case_sharpness(problem, 0.1, steps=2)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert (np.random.get_state()[1] == numbers).all()  # noqa: NPY002
    assert torch.equal(problem.theta, theta)


def test_trap_a_spectrum_measured_in_training_mode_moves_with_the_batch():
    """The same network in either mode has the same spectrum: that of its stored statistics."""
    a, b = (made(kind)[2] for kind in ("batch norm", "batch norm in training mode"))
    np.testing.assert_allclose(tw.top_eigenpairs(a, 3).eigenvalue, tw.top_eigenpairs(b, 3).eigenvalue, rtol=1e-9)


def test_the_mode_of_the_caller_changes_nothing():
    _, _, problem = made()
    expected = tw.top_eigenpairs(problem, 2)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            found = tw.top_eigenpairs(problem, 2, theta=problem.theta * 1.0, start=expected)
            tw.spectral_density(problem, num_probes=1)
            tw.worst_case_sharpness(problem, 0.1, steps=1)
        np.testing.assert_allclose(found.eigenvalue, expected.eigenvalue, rtol=1e-4)


def test_copies_of_repeated_eigenvalues_are_found_where_they_are_asked_for():
    """Each eigenvalue of a linear model of ten outputs with a squared loss comes ten times."""
    torch.manual_seed(0)
    x, y = torch.randn(100, 30).double(), torch.randn(100, 10).double()
    problem = tw.ModuleProblem(torch.nn.Linear(30, 10).double(), (x, y), loss=torch.nn.functional.mse_loss)
    largest = 2 * torch.linalg.matrix_norm(problem.jacobian(), 2) ** 2 / 1000
    for matrix in ("ggn", "hessian"):
        found = tw.top_eigenpairs(problem, 5, matrix=matrix, copies=True, tol=1e-6)
        np.testing.assert_allclose(found.eigenvalue, float(largest), rtol=1e-6)
