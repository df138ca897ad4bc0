"""How far training leaves the tangent: zero for a linear model, of second order near the start, less where wide."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

import thalweg as tw
from tests.measures.tangents import D, classifier, sines_problem
from thalweg.problem import Diverged


def run(problem, steps=20, lr=0.05, every=5):
    return tw.descend(problem, problem.theta[None], lambda w: torch.optim.SGD(w, lr=lr), steps=steps, every=every)


def test_a_linear_model_never_leaves_its_tangent():
    torch.manual_seed(0)
    x, y = torch.randn(30, 3, dtype=D), torch.randn(30, 1, dtype=D)
    problem = tw.ModuleProblem(nn.Linear(3, 1).double(), (x, y), loss=F.mse_loss)
    found = tw.laziness(problem, run(problem))
    np.testing.assert_allclose(found.error, 0.0, atol=1e-14)
    np.testing.assert_allclose(found.linear_loss, found.loss)
    np.testing.assert_allclose(found.kernel_alignment, 1.0)
    assert (np.diff(found.distance) > 0).all()


def test_every_quantity_is_what_it_says():
    problem, _ = sines_problem([8], dtype=D, num=40)
    path = run(problem)
    found = tw.laziness(problem, path)
    thetas = torch.as_tensor(path.theta.values[0])
    x, y = next(problem._splits["train"].iterate())
    J = problem.jacobian(thetas[0])
    for t, theta in enumerate(thetas):
        real = problem.predict(theta, x).detach()[:, 0]
        tangent = problem.predict(thetas[0], x).detach()[:, 0] + J @ (theta - thetas[0])
        np.testing.assert_allclose(found.error[t], ((real - tangent) ** 2).mean().sqrt(), atol=1e-14)
        np.testing.assert_allclose(found.linear_loss[t], F.mse_loss(tangent[:, None], y))
        np.testing.assert_allclose(found.loss[t], problem.loss(theta))
        np.testing.assert_allclose(found.distance[t], (theta - thetas[0]).norm())
        kernel = tw.empirical_ntk(problem, theta=theta)
        first = tw.empirical_ntk(problem, theta=thetas[0])
        np.testing.assert_allclose(found.kernel_alignment[t], tw.kernel_alignment(kernel, first))
        np.testing.assert_allclose(found.target_alignment[t], tw.kernel_alignment(kernel))


def test_the_error_grows_with_the_square_of_the_distance():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = torch.linspace(-1, 1, 30, dtype=D)[:, None]
    problem = tw.ModuleProblem(model, (x, x**2), loss=F.mse_loss)
    v = torch.randn(problem.num_weights, dtype=D)
    line = torch.stack([problem.theta + t * v for t in (0.0, 1e-4, 1e-3, 1e-2)])
    data = {
        "theta": (("step", "weight"), line.numpy()),
        "loss": ("step", np.zeros(4)),
        "learning_rate": ("step", np.ones(4)),
    }
    found = tw.laziness(problem, xr.Dataset(data, {"step": np.arange(4)}, {"kind": "trajectory"}), kernel_examples=0)
    np.testing.assert_allclose(found.error[2] / found.error[1], 100, rtol=0.02)
    np.testing.assert_allclose(found.error[3] / found.error[2], 100, rtol=0.1)
    assert "kernel_alignment" not in found


def test_a_wide_network_is_lazier():
    """Lee et al. (2019): in the NTK's own scaling the error falls with the width."""
    errors = []
    for width in (10, 1000):
        problem, _ = sines_problem([width], 3, dtype=D, num=50)
        K = tw.empirical_ntk(problem)
        rate = 0.5 * 50 / np.linalg.eigvalsh(K.kernel)[-1]
        errors.append(float(tw.laziness(problem, run(problem, 20, rate, 20), kernel_examples=0).relative_error[-1]))
    assert errors[1] < errors[0] / 2


def test_beside_the_linearised_model_trained_by_itself():
    problem, _ = sines_problem([8], dtype=D, num=40)
    linear = tw.LinearizedProblem(problem)
    path, straight = run(problem), run(linear)
    found = tw.laziness(problem, path, straight)
    np.testing.assert_allclose(found.trained_loss, straight.loss[0])
    x, _ = next(problem._splits["train"].iterate())
    one = problem.predict(torch.as_tensor(path.theta.values[0, -1]), x)
    two = linear.predict(torch.as_tensor(straight.theta.values[0, -1]), x)
    np.testing.assert_allclose(found.apart[-1], ((one - two) ** 2).mean().sqrt().detach())
    assert found.apart[0] == pytest.approx(0, abs=1e-14)


def test_classes_and_other_inputs():
    problem, _, _ = classifier()
    path = run(problem, lr=0.5)
    found = tw.laziness(problem, path, kernel_examples=6)
    assert ((found.kernel_alignment > 0) & (found.kernel_alignment <= 1 + 1e-12)).all()
    assert found.target_alignment.shape == (5,)
    elsewhere = tw.laziness(problem, path, inputs=torch.randn(4, 1, 6, 6, dtype=D))
    assert "target_alignment" not in elsewhere
    np.testing.assert_array_equal(elsewhere.loss, found.loss)


def test_steps_that_diverged_are_shown_as_such():
    problem, _ = sines_problem([8], num=40)
    path = run(problem, 200, 50.0, 20)
    assert not np.isfinite(path.loss[0, -1])
    found = tw.laziness(problem, path)
    assert not np.isfinite(found.error[-1])
    assert not np.isfinite(found.loss[-1])
    assert np.isnan(found.kernel_alignment[-1])
    assert found.error[0] == 0
    with pytest.raises(Diverged):
        tw.laziness(problem, path.isel(step=slice(None, None, -1)))


def test_what_does_not_fit_is_refused():
    problem, _ = sines_problem([8], num=40)
    path = run(problem)
    with pytest.raises(ValueError, match="2 starts"):
        tw.laziness(problem, tw.descend(problem, problem.theta.expand(2, -1), lambda w: torch.optim.SGD(w, lr=0.1), 2))
    with pytest.raises(ValueError, match="other steps"):
        tw.laziness(problem, path, path.isel(step=slice(2)))
    with pytest.raises(ValueError, match="kind 'kernel'"):
        tw.laziness(problem, tw.empirical_ntk(problem))
    with pytest.raises(ValueError, match="25 weights, the problem 31"):
        tw.laziness(sines_problem([10])[0], path)
