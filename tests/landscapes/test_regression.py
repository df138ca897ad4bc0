"""Models of one input are their formulas; data have the moments stated; problems are mean squared errors."""

import math

import numpy as np
import pytest
import torch

from thalweg import landscapes as ls

X = torch.linspace(0.1, 3.0, 13, dtype=torch.double)
MODELS = {
    "linear": (ls.LinearModel(0.6, 0.5), lambda x: 0.6 * x + 0.5, "w·x + b"),
    "linearized": (
        ls.LinearizedModel([torch.ones_like, torch.exp, lambda x: x**2], [1.0, -2.0, 0.5]),
        lambda x: 1 - 2 * np.exp(x) + 0.5 * x * x,
        "w0·ones_like(x) + w1·exp(x) + w2·f(x)",
    ),
    "polynomial": (
        ls.PolynomialModel(3, [1.0, -2.0, 0.0, 0.25]),
        lambda x: np.polyval([0.25, 0.0, -2.0, 1.0], x),
        "w0 + w1·x + w2·x² + w3·x³",
    ),
    "constant": (ls.PolynomialModel(0, [4.0]), lambda x: 4.0 + 0 * x, "w0"),
    "threshold": (ls.ThresholdModel(1.3), lambda x: np.where(x > 1.3, x - 1.3, 0.0), "max(x − θ, 0)"),
    "sine": (ls.SineModel(2.1), lambda x: np.sin(2.1 * x), "sin(θ·x)"),
    "power": (ls.PowerModel(1.5), lambda x: x * np.sqrt(x), "x^θ"),
    "linear-nonlinear": (ls.LinearNonlinearModel(torch.tanh, 0.7), lambda x: np.tanh(0.7 * x), "tanh(θ·x)"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_its_formula_elementwise(name):
    model, expected, formula = MODELS[name]
    np.testing.assert_allclose(model(X).detach(), expected(X.numpy()), rtol=1e-12)
    assert model(X.reshape(13, 1)).shape == (13, 1)
    assert model.formula == formula
    assert formula in repr(model)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_float64_numbers_and_the_problem_knows_them(name):
    model, expected, _ = MODELS[name]
    assert all(p.shape == () and p.dtype == torch.float64 for p in model.parameters())
    y = torch.randn(13, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    problem = ls.regression_problem(model, ls.Examples(X, y), test_data=(X[:5], y[:5]))
    assert problem.num_weights == len(list(model.parameters()))
    assert problem.theta.dtype == torch.float64
    errors = (expected(X.numpy()) - y.numpy()) ** 2
    assert float(problem.loss(problem.theta).detach()) == pytest.approx(errors.mean(), rel=1e-12)
    np.testing.assert_allclose(problem.losses(problem.theta), errors, rtol=1e-10, atol=1e-15)
    found = problem.measure(problem.theta[None])
    assert float(found.values["test_loss"][0]) == pytest.approx(errors[:5].mean(), rel=1e-12)


def test_the_gradient_of_the_line_is_that_of_least_squares():
    data = ls.linear_data(seed=3)
    problem = ls.regression_problem(ls.LinearModel(), data)
    theta = torch.tensor([1.5, -0.5], dtype=torch.double)
    residual = 1.5 * data.x - 0.5 - data.y
    expected = torch.stack([2 * (residual * data.x).mean(), 2 * residual.mean()])
    torch.testing.assert_close(problem.gradient(theta), expected)
    best = np.polyfit(data.x, data.y, 1)
    assert float(problem.gradient(torch.tensor(best.copy())).norm()) < 1e-10


@pytest.mark.parametrize("degree", [1, 4, 9, 15])
def test_the_default_polynomial_misses_the_sine_by_less_than_the_next_term(degree):
    x = torch.linspace(-2, 2, 41, dtype=torch.double)
    missed = (ls.PolynomialModel(degree)(x) - torch.sin(x)).abs()
    following = degree + 1 if degree % 2 == 0 else degree + 2
    assert (missed <= x.abs() ** following / math.factorial(following) + 1e-15).all()
    assert len(ls.taylor_sine(degree)) == degree + 1


def test_a_threshold_above_all_inputs_has_no_gradient():
    data = ls.nonlinear_data("threshold", inputs="uniform", spread=5.0)
    problem = ls.regression_problem(ls.ThresholdModel(), data)
    assert float(problem.gradient(torch.tensor([5.5]))) == 0.0
    assert float(problem.gradient(torch.tensor([0.0]))) != 0.0


def test_the_linear_data_are_those_of_the_lesson():
    """Over many seeds: y - (0.6 x + 0.5) ~ N(0, 3²) independent of x ~ N(0, 2.5²)."""
    x, y = (torch.cat(part) for part in zip(*(ls.linear_data(seed=seed) for seed in range(400)), strict=True))
    assert len(ls.linear_data().x) == 30
    n, noise = len(x), y - (0.6 * x + 0.5)
    for sample, std in ((x, 2.5), (noise, 3.0)):
        assert abs(float(sample.mean())) < 4 * std / math.sqrt(n)
        assert float(sample.std()) == pytest.approx(std, rel=4 / math.sqrt(2 * n))
    assert abs(np.corrcoef(x, noise)[0, 1]) < 4 / math.sqrt(n)


@pytest.mark.parametrize(
    ("model", "truth"), [("threshold", lambda x: np.maximum(x - 2.1, 0)), ("sine", lambda x: np.sin(2.1 * x))]
)
def test_the_nonlinear_data_are_those_of_the_lesson(model, truth):
    x, y = (
        torch.cat(part).numpy() for part in zip(*(ls.nonlinear_data(model, seed=s) for s in range(50)), strict=True)
    )
    assert len(ls.nonlinear_data(model).x) == 300
    noise = y - truth(x)
    assert abs(noise.mean()) < 4 * 0.75 / math.sqrt(len(x))
    assert noise.std() == pytest.approx(0.75, rel=4 / math.sqrt(2 * len(x)))


def test_any_model_makes_data():
    data = ls.nonlinear_data(ls.PowerModel(0.5), 50, inputs="uniform", center=2.0, spread=1.0, noise=0.0)
    torch.testing.assert_close(data.y, data.x.sqrt())
    assert data.x.min() >= 1


def test_inputs_are_distributed_as_asked():
    n = 20_000
    gauss, uniform = ls.draw_inputs(n, "gauss", spread=2.0, center=1.0), ls.draw_inputs(n, "uniform", spread=3.0)
    assert float(gauss.mean()) == pytest.approx(1.0, abs=4 * 2 / math.sqrt(n))
    assert float(gauss.std()) == pytest.approx(2.0, rel=4 / math.sqrt(2 * n))
    assert float(uniform.abs().max()) <= 3
    assert float(uniform.std()) == pytest.approx(math.sqrt(3), rel=4 / math.sqrt(2 * n))
    np.testing.assert_allclose(ls.draw_inputs(5, "linspace", spread=2.0, center=1.0), [-1, 0, 1, 2, 3])


def test_seeds_decide():
    first, again, other = (ls.nonlinear_data("sine", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ls.draw_inputs(3, "cauchy"), "'uniform', 'gauss', 'linspace'"),
        (lambda: ls.draw_inputs(0), "at least one"),
        (lambda: ls.regression_data(torch.sin, noise=-1.0), "0 or more"),
        (lambda: ls.regression_data(torch.mean), r"shape \(\) for inputs of shape \(100,\)"),
        (lambda: ls.nonlinear_data(ls.PowerModel(0.5)), "no finite value at x = -"),
        (lambda: ls.nonlinear_data("cosine"), "'threshold', 'sine', or give a model"),
        (lambda: ls.LinearizedModel([torch.sin], [1.0, 2.0]), "1 transforms and 2 weights"),
        (lambda: ls.LinearizedModel([]), "at least one"),
        (lambda: ls.PolynomialModel(2, [1.0]), "degree 2 has 3 weights; 1 were given"),
        (lambda: ls.PolynomialModel(-1), "degree of 0 or more"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
