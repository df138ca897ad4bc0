"""A landscape written down is a function of each point by itself, with the derivatives that calculus gives it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw

BOWLS = {
    "product": lambda x, y: (1 - x * y) ** 2,
    "Rosenbrock": lambda x, y: (1 - x) ** 2 + 5 * (y - x**2) ** 2,
    "waves": lambda x, y: torch.sin(2 * x) * torch.exp(-0.1 * y**2),
    "one weight unused": lambda x, y: x**3 + 0 * y,
    "one weight ignored": lambda x, y: x**3,
}
near = st.floats(-2, 2, allow_subnormal=False)


@pytest.mark.parametrize("name", BOWLS)
@given(x=near, y=near, v=st.tuples(near, near))
def test_gradient_and_hvp_are_the_differences_of_the_function(name, x, y, v):
    problem = tw.FunctionProblem(BOWLS[name])
    theta, v, h = torch.tensor([x, y], dtype=torch.double), torch.tensor(v, dtype=torch.double), 1e-5
    slope = (problem.loss(theta + h * v) - problem.loss(theta - h * v)) / (2 * h)
    assert float(problem.gradient(theta) @ v) == pytest.approx(float(slope), rel=1e-5, abs=1e-5)
    bend = (problem.gradient(theta + h * v) - problem.gradient(theta - h * v)) / (2 * h)
    torch.testing.assert_close(problem.hvp(theta, v), bend, rtol=1e-5, atol=1e-5)


def test_a_grid_is_the_function_at_every_point():
    problem = tw.FunctionProblem(BOWLS["Rosenbrock"], metrics={"radius": lambda x, y: (x * x + y * y) ** 0.5})
    points = torch.randn(7, 2, dtype=torch.double)
    found = problem.measure(points, per_example=True)
    for k, (x, y) in enumerate(points.tolist()):
        assert float(found.values["loss"][k]) == pytest.approx((1 - x) ** 2 + 5 * (y - x**2) ** 2)
        assert float(found.values["radius"][k]) == pytest.approx(math.hypot(x, y))
    assert torch.equal(found.losses["train"][:, 0], found.values["loss"])
    assert set(problem.measure(points, metrics=[]).values) == {"loss"}
    assert problem.loss(points.reshape(7, 1, 2)).shape == (7, 1)


def test_a_function_of_the_whole_vector():
    problem = tw.FunctionProblem(lambda theta: (theta**2).sum(-1), num_weights=5, theta=np.arange(5))
    assert float(problem.loss(problem.theta)) == 30.0
    assert problem.gradient(problem.theta).tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert problem.hvp(problem.theta, torch.ones(5)).tolist() == [2.0] * 5
    assert problem.names[3] == "theta_3"


def test_parameters_are_weights_and_defaults_are_constants():
    problem = tw.FunctionProblem(lambda width, depth, scale=3.0: scale * width * depth)
    assert problem.names == ["width", "depth"]
    assert float(problem.loss(torch.tensor([2.0, 5.0]))) == 30.0


def test_a_constant_function_is_flat():
    for constant in (lambda x, y: 3.0, lambda x, y: torch.tensor(3.0)):
        problem = tw.FunctionProblem(constant)
        theta = problem.theta
        assert problem.measure(theta.expand(4, -1)).values["loss"].tolist() == [3.0] * 4
        assert problem.gradient(theta).tolist() == [0.0, 0.0]
        assert problem.hvp(theta, torch.ones(2)).tolist() == [0.0, 0.0]


def test_a_linear_function_has_no_curvature():
    problem = tw.FunctionProblem(lambda x, y: 2 * x - y)
    assert problem.hvp(problem.theta, torch.ones(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (x**2 + y**2).sum(),
        lambda x, y: ((x - 1) ** 2 + y**2).mean(),
        lambda x, y: ((x - y) ** 2).sum(),
        lambda x, y: ((x - y) ** 2).mean() + x,
        lambda x, y: (x * y).prod(),
        lambda x, y: (x**2 + y**2).min(),
        lambda x, y: torch.linalg.norm(x - y),
        lambda x, y: x - x.mean() + y,
    ],
    ids=["sum", "mean", "sum of differences", "mean of differences", "product", "minimum", "norm", "centred"],
)
@pytest.mark.parametrize("theta", [None, [0.3, -0.7]], ids=["at zero", "elsewhere"])
def test_a_function_that_reduces_over_the_points_is_refused(function, theta):
    """Also where the first points probed happen to give the same value alone and among others."""
    with pytest.raises(ValueError, match="point"):
        tw.FunctionProblem(function, theta=theta)


@pytest.mark.parametrize("function", [lambda t: t.prod(), lambda t: (t**2).sum(), lambda t: (t**2).sum(0)])
@pytest.mark.parametrize("num_weights", [2, 3])
def test_a_vector_function_that_forgets_its_last_dim_is_refused(function, num_weights):
    with pytest.raises(ValueError, match="point"):
        tw.FunctionProblem(function, num_weights=num_weights)


def test_a_random_function_is_refused():
    for random in (lambda x, y: x + y + torch.randn(()), lambda x, y: x * y + torch.randn_like(x)):
        with pytest.raises(ValueError, match="seed"):
            tw.FunctionProblem(random)
    frozen = torch.randn((), generator=torch.Generator().manual_seed(0))
    tw.FunctionProblem(lambda x, y: x + y + frozen)


def test_a_metric_is_probed_as_the_loss_is():
    with pytest.raises(ValueError, match="spread"):
        tw.FunctionProblem(lambda x, y: x * y, metrics={"spread": lambda x, y: (x + 1).sum()})


def test_functions_without_a_number_of_weights_are_refused():
    for function in (lambda *weights: 0.0, lambda: 0.0):
        with pytest.raises(TypeError, match="num_weights"):
            tw.FunctionProblem(function)


@pytest.mark.parametrize("theta", [[1.0], [1.0, 2.0, 3.0], [math.nan, 1.0], [math.inf, 1.0], 1.0])
def test_a_start_that_does_not_fit_is_refused(theta):
    with pytest.raises(ValueError, match="x, y"):
        tw.FunctionProblem(lambda x, y: x * y, theta=theta)


def test_questions_that_make_no_sense_are_refused():
    problem = tw.FunctionProblem(lambda x, y: x * y, metrics={"sum": lambda x, y: x + y})
    with pytest.raises(ValueError, match="examples"):
        problem.measure(torch.zeros(1, 2), num_examples=3)
    with pytest.raises(ValueError, match="summ"):
        problem.measure(torch.zeros(1, 2), metrics=["summ"])
    for ask in (problem.loss, problem.gradient, lambda t: problem.measure(t[None])):
        with pytest.raises(ValueError, match="2 weights"):
            ask(torch.zeros(3))


def test_nan_and_inf_are_kept():
    problem = tw.FunctionProblem(lambda x, y: torch.log(x) + 1 / y, theta=[1.0, 1.0])
    values = problem.measure(torch.tensor([[-1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])).values["loss"]
    assert values.isnan().tolist() == [True, False, False, False]
    assert values[1:].tolist() == [math.inf, -math.inf, 1.0]


def test_theta_is_a_copy_and_at_stands_elsewhere():
    start = torch.tensor([1.0, 2.0], dtype=torch.double)
    problem = tw.FunctionProblem(lambda x, y: x * y, theta=start, metrics={"sum": lambda x, y: x + y})
    start += 5
    problem.theta.add_(7)
    assert problem.theta.tolist() == [1.0, 2.0]
    other = problem.at([3.0, 4.0])
    assert other.theta.tolist() == [3.0, 4.0]
    assert other.quantities == ["loss", "sum"]
    assert problem.theta.tolist() == [1.0, 2.0]


def test_the_identity_is_that_of_the_function_and_of_where_it_stands():
    one, same, other = (lambda x, y: x * y), (lambda x, y: y * x), (lambda x, y: x + y)
    assert tw.FunctionProblem(one).identity() == tw.FunctionProblem(same).identity()
    assert tw.FunctionProblem(one).identity() != tw.FunctionProblem(other).identity()
    assert tw.FunctionProblem(one).identity() != tw.FunctionProblem(one, theta=[1, 1]).identity()


def test_the_noise_generator_of_the_user_is_left_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    problem = tw.FunctionProblem(lambda x, y: x * y)
    problem.identity()
    problem.measure(torch.zeros(3, 2))
    assert torch.equal(torch.get_rng_state(), state)
