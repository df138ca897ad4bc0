"""The linearised model: the network's value and Jacobian at θ₀, linear, trained by descent as in closed form."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.measures.tangents import D, classifier, sines_problem
from thalweg.problem import Diverged

KINDS = {
    "sines, stored": lambda: tw.LinearizedProblem(sines_problem([8, 8], dtype=D, num=40)[0]),
    "sines, products": lambda: tw.LinearizedProblem(sines_problem([8, 8], dtype=D, num=40)[0], memory=0),
    "classes, stored": lambda: tw.LinearizedProblem(classifier()[0]),
    "classes, products": lambda: tw.LinearizedProblem(classifier()[0], memory=0),
}


def real(name):
    return (sines_problem([8, 8], dtype=D, num=40) if "sines" in name else classifier())[0]


@pytest.mark.parametrize("name", KINDS)
def test_at_the_origin_it_has_the_networks_values_and_derivatives(name):
    problem, linear = real(name), KINDS[name]()
    at = problem.theta
    assert linear.stored == ("stored" in name)
    assert torch.equal(linear.origin, at)
    torch.testing.assert_close(linear.losses(at), problem.losses(at))
    torch.testing.assert_close(linear.gradient(at), problem.gradient(at))
    torch.testing.assert_close(linear.jacobian(), problem.jacobian())
    torch.testing.assert_close(
        linear.curvature("ggn").product(at), problem.curvature("ggn").product(at), rtol=1e-5, atol=1e-8
    )
    assert [b.name for b in linear.layout.blocks] == [b.name for b in problem.layout.blocks]


@pytest.mark.parametrize("name", KINDS)
def test_elsewhere_it_is_linear_and_its_losses_are_those_of_the_linear_outputs(name):
    problem, linear = real(name), KINDS[name]()
    torch.manual_seed(1)
    step = torch.randn(problem.num_weights, dtype=D)
    J = problem.jacobian()
    theta = problem.theta + step
    x, y = next(problem._splits["train"].iterate())
    outputs = problem.predict(problem.theta, x)
    wanted = outputs + (J @ step).reshape(outputs.shape)
    torch.testing.assert_close(linear.predict(theta, x), wanted)
    criterion = F.mse_loss if "sines" in name else F.cross_entropy
    torch.testing.assert_close(linear.loss(theta), criterion(wanted, y))
    torch.testing.assert_close(linear.jacobian(theta), J)


@pytest.mark.parametrize("name", KINDS)
def test_many_weights_at_once_are_each_alone(name):
    linear = KINDS[name]()
    torch.manual_seed(1)
    thetas = linear.origin + 0.1 * torch.randn(3, linear.num_weights, dtype=D)
    loss, slope = linear.value_and_gradient(thetas)
    torch.testing.assert_close(loss, linear.loss(thetas))
    torch.testing.assert_close(slope, linear.gradient(thetas))
    torch.testing.assert_close(linear.measure(thetas).values["loss"], loss)


def test_stored_or_not_is_the_same():
    problem, _ = sines_problem([8, 8], dtype=D)
    one, two = tw.LinearizedProblem(problem), tw.LinearizedProblem(problem, memory=0)
    theta = problem.theta + 0.3
    assert set(one.quantities) == {"loss", "test_loss"}
    for name, value in one.measure(theta[None]).values.items():
        torch.testing.assert_close(value, two.measure(theta[None]).values[name])
    torch.testing.assert_close(one.hvp(theta, theta), two.hvp(theta, theta))


@given(seed=st.integers(0, 2**31), num=st.sampled_from([10, 100]), steps=st.integers(1, 60))
def test_descent_in_closed_form_is_descent(seed, num, steps):
    """With more weights than outputs (the kernel) and with fewer (the weights' own matrix)."""
    problem, _ = sines_problem([8], seed, dtype=D, num=num)
    linear = tw.LinearizedProblem(problem)
    rate = 0.5 / float(np.linalg.norm(problem.jacobian(), 2) ** 2 / num)
    paths = tw.descend(linear, problem.theta[None], lambda w: torch.optim.SGD(w, lr=rate), steps=steps)
    np.testing.assert_allclose(linear.after(steps, rate), paths.theta[0, -1], rtol=1e-8, atol=1e-10)


def test_descent_ends_at_the_minimum_nearest_to_the_origin():
    """Outputs that the weights can all meet: of the many solutions, the shortest step (numpy's least squares)."""
    problem, _ = sines_problem([8], 1, dtype=D, num=6)
    linear = tw.LinearizedProblem(problem)
    x, y = next(problem._splits["train"].iterate())
    rest = (y - problem.predict(problem.theta, x)).detach().reshape(-1)
    step = np.linalg.lstsq(problem.jacobian().numpy(), rest.numpy(), rcond=1e-10)[0]
    np.testing.assert_allclose(linear.minimum() - problem.theta, step, atol=1e-8)
    far = linear.after(10**7, 0.4 / float(np.linalg.norm(problem.jacobian(), 2) ** 2 / 6))
    assert float(linear.loss(far) - linear.loss(linear.minimum())) < 1e-5


@pytest.mark.parametrize("num", [10, 100])
def test_with_a_penalty_it_is_ridge_regression(num):
    problem, _ = sines_problem([8], dtype=D, num=num)
    linear = tw.LinearizedProblem(problem)
    x, y = next(problem._splits["train"].iterate())
    J, rest = problem.jacobian(), (y - problem.predict(problem.theta, x)).detach().reshape(-1)
    step = torch.linalg.solve(J.T @ J + 0.01 * num * torch.eye(J.shape[1], dtype=D), J.T @ rest)
    torch.testing.assert_close(linear.minimum(ridge=0.01), problem.theta + step)
    penalised = linear.minimum(ridge=0.01).requires_grad_(True)
    total = linear.loss(penalised) + 0.01 * ((penalised - problem.theta) ** 2).sum()
    assert float(torch.autograd.grad(total, penalised)[0].abs().max()) < 1e-10


def test_several_outputs_and_a_half_are_a_squared_error_too():
    torch.manual_seed(0)
    x, y = torch.randn(20, 3, dtype=D), torch.randn(20, 2, dtype=D)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for loss in (F.mse_loss, lambda out, t: 0.5 * ((out - t) ** 2).sum(1)):
        problem = tw.ModuleProblem(copy.deepcopy(model), (x, y), loss=loss)
        linear = tw.LinearizedProblem(problem)
        paths = tw.descend(linear, problem.theta[None], lambda w: torch.optim.SGD(w, lr=0.05), steps=30)
        np.testing.assert_allclose(linear.after(30, 0.05), paths.theta[0, -1], rtol=1e-9, atol=1e-12)


def test_in_float32_training_lowers_the_loss_as_far_as_its_minimum():
    problem, _ = sines_problem([20], num=300)
    linear = tw.LinearizedProblem(problem)
    paths = tw.descend(linear, problem.theta[None], lambda w: torch.optim.SGD(w, lr=0.1), steps=50)
    assert float(paths.loss[0, -1]) < float(paths.loss[0, 0])
    assert float(linear.loss(linear.minimum())) <= float(paths.loss[0, -1])
    assert linear.provenance()["model"] == "LinearizedSequential"


def test_surfaces_and_eigenpairs_take_it():
    problem, _ = sines_problem([8], dtype=D, num=50)
    linear = tw.LinearizedProblem(problem)
    line = tw.random_line(problem, seed=0)
    surface = tw.loss_surface(linear, line, extent=1.0, points=5)
    J = problem.jacobian().numpy()
    np.testing.assert_allclose(np.diff(surface.loss, 2)[1:], np.diff(surface.loss, 2)[0], rtol=1e-7)  # a parabola
    pairs = tw.top_eigenpairs(linear, k=2, tol=1e-6)
    np.testing.assert_allclose(pairs.eigenvalue, 2 / 50 * np.linalg.svd(J, compute_uv=False)[:2] ** 2, rtol=1e-6)


def test_the_problem_it_came_from_stays_as_it_is():
    problem, model = sines_problem()
    before, at = copy.deepcopy(model.state_dict()), problem.theta
    linear = tw.LinearizedProblem(problem)
    linear.at(linear.minimum())
    assert torch.equal(problem.theta, at)
    assert torch.equal(linear.origin, at)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert type(model) is nn.Sequential


def test_what_cannot_be_linearised_is_refused():
    problem, _ = sines_problem()
    with pytest.raises(Diverged):
        tw.LinearizedProblem(problem, torch.full((problem.num_weights,), torch.nan))
    with pytest.raises(ValueError, match="no numbers"):
        tw.LinearizedProblem(classifier()[0]).minimum()
    x = torch.rand(9, 1)
    with pytest.raises(ValueError, match="no squared error"):
        tw.LinearizedProblem(tw.ModuleProblem(nn.Linear(1, 1), (x, x), loss=F.l1_loss)).minimum()
    with pytest.raises(ValueError, match="0 or more"):
        tw.LinearizedProblem(problem).minimum(ridge=-1.0)
    stepped = tw.ModuleProblem(nn.Linear(1, 1), x, step=lambda model, x: model(x)[:, 0] ** 2)
    with pytest.raises(TypeError, match="no outputs"):
        tw.LinearizedProblem(stepped)


def test_a_squared_error_that_tells_means_only_has_the_closed_form_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x, y = torch.randn(9, 4, dtype=torch.double), torch.randn(9, 3, dtype=torch.double)
    told = tw.ModuleProblem(model, (x, y), loss=lambda out, target: ((out - target) ** 2).sum(1).mean())
    linear = tw.LinearizedProblem(told)
    theta, J = told.theta, told.jacobian()
    rest = (model(x) - y).detach().reshape(-1)
    for _ in range(5):
        theta = theta - 0.02 * 2 / 9 * J.T @ (J @ (theta - told.theta) + rest)
    torch.testing.assert_close(linear.after(5, 0.02), theta)


def test_a_dead_network_has_no_linearised_model_and_is_said_to_be_dead():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    model[0].bias.data.fill_(-100)
    problem = tw.ModuleProblem(model, (torch.randn(9, 4), torch.zeros(9, 3)), loss=nn.functional.mse_loss)
    with pytest.raises(ValueError, match="dead"):
        tw.LinearizedProblem(problem)
    assert tw.linearize(problem).attrs["rank"] == 0
    assert tw.principal_features_at(tw.linearize(problem), problem, torch.randn(2, 4)).sizes["value"] == 0


def test_it_stands_at_the_problems_weights_wherever_the_problem_measured_last():
    problem, _ = sines_problem([8, 8], dtype=D, num=40)
    problem.measure(problem.theta.unsqueeze(0) + 1)
    linear = tw.LinearizedProblem(problem)
    assert torch.equal(linear.theta, problem.theta)
    assert torch.allclose(linear.loss(problem.theta), problem.loss(problem.theta))


@pytest.mark.parametrize("memory", [None, 0])
def test_weights_whose_outputs_or_losses_are_not_finite_are_told(memory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    data = torch.randn(30, 3), torch.randn(30, 2)
    problem = tw.ModuleProblem(model, data, loss=nn.functional.mse_loss)
    with pytest.raises(Diverged, match="The network has diverged: its outputs are not finite"):
        tw.LinearizedProblem(problem, problem.theta * 1e22, memory=memory)
    with pytest.raises(Diverged, match=r'No loss is finite.*float32.*precision="float64"'):
        tw.LinearizedProblem(problem, problem.theta * 1e12, memory=memory)
    wide = tw.ModuleProblem(model, data, loss=nn.functional.mse_loss, precision="float64")
    assert torch.isfinite(tw.LinearizedProblem(wide, wide.theta * 1e12, memory=memory).minimum()).all()


@pytest.mark.parametrize("wrong", [(-1, 0.1), (2.5, 0.1), (True, 0.1), (3, float("nan")), (3, -0.1), (3, "fast")])
def test_steps_and_rates_that_make_no_sense_are_refused(wrong):
    problem = tw.ModuleProblem(nn.Linear(1, 1), (torch.ones(3, 1), torch.ones(3, 1)), loss=nn.functional.mse_loss)
    with pytest.raises(ValueError, match=r"expected a (whole|finite) number from 0"):
        tw.LinearizedProblem(problem).after(*wrong)
