"""The smallest perceptron: its expected risk against quadrature and Monte Carlo, for all signs of w2 and zero."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from thalweg import landscapes as ls

WEIGHTS = [(3.0, -4.0), (3.0, 4.0), (-2.0, 1.5), (-2.0, -1.5), (2.0, 0.0), (0.0, 2.0), (0.0, 0.0)]
near = st.floats(-5, 5, allow_subnormal=False)


def output(w1, w2, x, linear):
    return w1 * w2 * x if linear else w1 * max(w2 * x, 0.0)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_expected_risk_is_the_integral_over_inputs_and_noise(weights, linear):
    """E over x ~ U(-a, a) and ε ~ N(0, σ²), by adaptive quadrature of the squared error in both."""
    slope, std, a = 1.7, 0.8, 1.3

    def integrand(noise, x):
        error = slope * x + noise - output(*weights, x, linear)
        return error**2 * stats.norm.pdf(noise, scale=std) / (2 * a)

    halves = [integrate.dblquad(integrand, lo, hi, -9 * std, 9 * std)[0] for lo, hi in ((-a, 0), (0, a))]
    found = ls.expected_risk(weights, slope=slope, std=std, half_width=a, linear=linear)
    assert float(found) == pytest.approx(sum(halves), rel=1e-7)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_expected_risk_is_the_mean_over_fresh_examples(weights, linear):
    x, y = ls.perceptron_sampler()(200_000, 11)
    problem = ls.perceptron_problem((x, y), weights, linear=linear)
    losses = problem.losses(problem.theta)
    error = float(losses.std()) / math.sqrt(len(x))
    expected = float(ls.expected_risk(problem.theta, linear=linear))
    assert abs(float(losses.mean()) - expected) < 4 * error
    assert error < 0.02 * expected


@given(w1=near, w2=near)
def test_with_the_constants_of_the_lesson_it_is_the_formula_on_paper(w1, w2):
    p = w1 * w2
    assert ls.expected_risk((w1, w2)) == pytest.approx(9 + 4 / 3 - 2 * p / 3 + p * p / 6)
    assert ls.expected_risk((w1, w2), linear=True) == pytest.approx(9 + (2 - p) ** 2 / 3)


def test_the_expected_risk_takes_grids_and_is_differentiable():
    theta = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double, requires_grad=True)
    risk = ls.expected_risk(theta)
    assert risk.shape == (4, 3)
    (gradient,) = torch.autograd.grad(risk.sum(), theta)
    p = theta.prod(-1).detach()
    torch.testing.assert_close(gradient[..., 0], (p - 2) / 3 * theta[..., 1].detach())
    np.testing.assert_allclose(ls.expected_risk(theta.detach().numpy()), risk.detach())


@pytest.mark.parametrize("linear", [False, True])
def test_the_model_is_the_formula_and_its_weights_stand_in_order(linear):
    problem = ls.perceptron_problem(weights=[3.0, -4.0], linear=linear)
    assert problem.theta.tolist() == [3.0, -4.0]
    assert problem.theta.dtype == torch.float64
    data = ls.perceptron_data(seed=0)
    expected = [(float(y) - output(-1.5, 2.0, float(x), linear)) ** 2 for x, y in zip(*data, strict=True)]
    np.testing.assert_allclose(problem.losses(torch.tensor([-1.5, 2.0])), expected, rtol=1e-12)


def test_weights_are_reset_by_seed_within_a_tenth():
    drawn = np.array([ls.reset_weights(seed) for seed in range(500)])
    assert abs(drawn).max() <= 0.1
    assert drawn.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.1)
    assert ls.perceptron_problem(seed=7).theta.tolist() == list(ls.reset_weights(7))


def test_the_data_are_those_of_the_lesson():
    x, y = ls.perceptron_data(50_000, seed=1)
    noise = y - 2 * x
    assert len(ls.perceptron_data().x) == 100
    assert float(x.abs().max()) <= 1
    assert float(x.std()) == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert float(noise.std()) == pytest.approx(3.0, rel=4 / math.sqrt(2 * 50_000))
    assert abs(float(noise.mean())) < 4 * 3 / math.sqrt(50_000)
    wide = ls.perceptron_data(1000, slope=-1.0, std=0.0, half_width=4.0)
    assert torch.equal(wide.y, -wide.x)
    assert 3.8 < float(wide.x.abs().max()) <= 4


def test_zero_input_weight_is_absorbing():
    problem = ls.perceptron_problem(weights=[2.0, 0.0])
    assert problem.gradient(problem.theta).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ls.expected_risk([1.0, 2.0, 3.0]), r"expected \(\.\.\., 2\)"),
        (lambda: ls.expected_risk(1.0), r"expected \(\.\.\., 2\)"),
        (lambda: ls.perceptron_problem(weights=[1.0]), "has two, w1 and w2"),
        (lambda: ls.perceptron_data(0), "one or more examples"),
        (lambda: ls.perceptron_data(std=-1.0), "0 or more"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
