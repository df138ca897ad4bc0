"""Layers that are registered twice, and weights that two layers share, against plain automatic differentiation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacrev

import thalweg as tw
from thalweg.problem.calling import call

D = torch.double


def registered_twice():
    one = nn.Linear(6, 6)
    return nn.Sequential(one, nn.Tanh(), one, nn.ReLU(), nn.Linear(6, 2)).to(D)


def sharing_a_weight():
    one, two = nn.Linear(6, 6), nn.Linear(6, 6)
    two.weight = one.weight
    return nn.Sequential(one, nn.Tanh(), two, nn.Linear(6, 2)).to(D)


def problem_of(make):
    torch.manual_seed(0)
    model, x, y = make(), torch.randn(20, 6, dtype=D), torch.randn(20, 2, dtype=D)
    return tw.ModuleProblem(model, (x, y), loss=F.mse_loss), model, x, y


def weights_of(problem, theta):
    return problem.layout.unflatten(theta)


@pytest.mark.parametrize("make", [registered_twice, sharing_a_weight])
def test_calling_leaves_the_module_as_it_was(make):
    _, model, x, _ = problem_of(make)
    own = dict(model.named_parameters(remove_duplicate=False))
    other = {name: 2 * p for name, p in model.named_parameters()}
    expected = functional_call(make(), other, (x,))
    torch.testing.assert_close(call(model, other, x), expected)
    after = dict(model.named_parameters(remove_duplicate=False))
    assert all(after[name] is parameter for name, parameter in own.items())


@pytest.mark.parametrize("make", [registered_twice, sharing_a_weight])
def test_jacobians_are_those_of_automatic_differentiation(make):
    problem, _, x, _ = problem_of(make)
    for theta in (problem.theta, 1.3 * problem.theta):
        plain = make()  # a new one, as functional_call leaves other weights in it
        expected = jacrev(lambda t: functional_call(plain, weights_of(problem, t), (x,)).reshape(-1))(theta)  # noqa: B023
        found = problem.jacobian(theta)
        torch.testing.assert_close(found, expected)
        v = torch.randn_like(theta)
        torch.testing.assert_close(problem.jvp(theta, v), expected @ v)
        s = tw.linearize(problem, theta=theta, k=5).singular_value
        np.testing.assert_allclose(s, np.linalg.svd(expected.numpy())[1][:5])
        torch.testing.assert_close(
            torch.as_tensor(tw.empirical_ntk(problem, theta=theta).kernel.values), expected @ expected.T
        )


@pytest.mark.parametrize("make", [registered_twice, sharing_a_weight])
def test_losses_after_a_prediction_are_those_of_their_own_weights(make):
    problem, _, x, y = problem_of(make)
    problem.predict(problem.theta, x)
    theta = 1.5 * problem.theta
    expected = F.mse_loss(functional_call(make(), weights_of(problem, theta), (x,)), y)
    assert float(problem.loss(theta)) == pytest.approx(float(expected))


@pytest.mark.parametrize("make", [registered_twice, sharing_a_weight])
def test_linearised_problems_are_linear(make):
    problem, _, x, y = problem_of(make)
    linear = tw.LinearizedProblem(problem)
    theta = problem.theta + 0.1
    expected = problem.predict(problem.theta, x).reshape(-1) + problem.jacobian() @ (theta - problem.theta)
    assert float(linear.loss(theta)) == pytest.approx(float(((expected - y.reshape(-1)) ** 2).mean()))
    assert float(linear.loss(linear.minimum())) < float(problem.loss(problem.theta))
    found = tw.compare_initializations(problem, ["he_normal"], steps=3, singular_values=3)
    assert np.isfinite(found.gradient_norm).all()
