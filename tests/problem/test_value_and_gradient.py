"""Loss and gradient at many points at once: those of each point alone, however many are taken together."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

BATCHES = [5, 1, 9, 8]  # unequal: a mean of batch means would be another number


@pytest.fixture(params=[1, 4, 64], ids=lambda n: f"{n} at once")
def at_once(request, monkeypatch):
    """However many points are evaluated together."""
    plan = Plan(points_at_once=request.param)
    monkeypatch.setattr(tw.ModuleProblem, "plan", lambda *args, **kwargs: (plan, 0.0))
    return request.param


def expected(model, thetas, data, criterion):
    """The mean over all examples at each point, by a backward pass through the plain model."""
    values = naive.surface(model, thetas, [data], criterion)
    slopes = [naive.gradient(model, theta, lambda m: criterion(m(data[0]), data[1])) for theta in thetas]
    return values, torch.stack(slopes)


NETWORKS = {
    "classifier": (naive.mlp, naive.examples, F.cross_entropy),
    "convolutions": (naive.convnet, lambda: naive.examples(shape=(2, 6, 6)), F.cross_entropy),
    "regression": (lambda: naive.mlp((4, 5, 1)), naive.regression, F.mse_loss),
    "absolute error": (lambda: naive.mlp((4, 5, 1)), naive.regression, F.l1_loss),
    "a criterion of means": (naive.mlp, naive.examples, naive.scalar_cross_entropy),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_many_points_at_once_have_the_losses_and_gradients_of_each_alone(name, at_once):
    make, examples, criterion = NETWORKS[name]
    model, data = make(), examples()
    problem = tw.ModuleProblem(model, naive.cut(data, BATCHES), loss=criterion)
    thetas = naive.near(problem, 7)
    value, slope = problem.value_and_gradient(thetas)
    values, slopes = expected(model, thetas, data, criterion)
    torch.testing.assert_close(value, values, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(slope, slopes, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("index", [[0], [22], [3, 17, 4], [8, 8, 8, 1], list(range(23))])
def test_over_some_examples_it_is_their_mean(index, at_once):
    """In any order, repeated ones counted as often as they come."""
    model, data = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, naive.cut(data, BATCHES), loss=F.cross_entropy)
    thetas = naive.near(problem, 5)
    some = data[0][index], data[1][index]
    values, slopes = expected(model, thetas, some, F.cross_entropy)
    for form in (index, np.array(index), torch.tensor(index)):
        value, slope = problem.value_and_gradient(thetas, form)
        torch.testing.assert_close(value, values, rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(slope, slopes, rtol=1e-9, atol=1e-11)


@given(shape=st.lists(st.integers(1, 3), max_size=3))
def test_any_leading_shape_is_kept(shape):
    problem = tw.ModuleProblem(naive.mlp((4, 1)), naive.regression(), loss=F.mse_loss)
    thetas = torch.randn(*shape, 5, generator=torch.Generator().manual_seed(0), dtype=naive.D)
    value, slope = problem.value_and_gradient(thetas)
    assert value.shape == tuple(shape)
    assert slope.shape == thetas.shape
    flat_value, flat_slope = problem.value_and_gradient(thetas.reshape(-1, 5))
    torch.testing.assert_close(value.flatten(), flat_value)
    torch.testing.assert_close(slope.reshape(-1, 5), flat_slope)
    function = tw.FunctionProblem(lambda t: (t**3).sum(-1), num_weights=5)
    value, slope = function.value_and_gradient(thetas)
    torch.testing.assert_close(value, (thetas**3).sum(-1))
    torch.testing.assert_close(slope, 3 * thetas**2)


def test_of_no_points_there_are_no_values(at_once):
    problem = tw.ModuleProblem(naive.mlp((4, 1)), naive.regression(), loss=F.mse_loss)
    for each in (problem, tw.FunctionProblem(lambda t: (t**3).sum(-1), num_weights=5)):
        value, slope = each.value_and_gradient(torch.zeros(0, 5, dtype=naive.D))
        assert value.shape == (0,)
        assert slope.shape == (0, 5)


@pytest.mark.parametrize("name", ["classifier", "regression"])
def test_gradient_and_loss_agree_with_the_methods_for_one_point(name, at_once):
    make, examples, criterion = NETWORKS[name]
    problem = tw.ModuleProblem(make(), examples(), loss=criterion)
    thetas = naive.near(problem, 4)
    value, slope = problem.value_and_gradient(thetas)
    torch.testing.assert_close(value, problem.loss(thetas), rtol=1e-12, atol=0)
    torch.testing.assert_close(slope, problem.gradient(thetas), rtol=1e-9, atol=1e-12)


def test_losses_are_double_and_gradients_of_the_weights_own_type(at_once):
    data = naive.examples()
    problem = tw.ModuleProblem(naive.mlp(dtype=torch.float32), (data[0].float(), data[1]), loss=F.cross_entropy)
    thetas = naive.near(problem, 5)
    value, slope = problem.value_and_gradient(thetas)
    assert (value.dtype, slope.dtype) == (torch.float64, torch.float32)
    values, slopes = expected(naive.mlp(), thetas.double(), data, F.cross_entropy)
    torch.testing.assert_close(value, values, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(slope, slopes.float(), rtol=1e-4, atol=1e-5)


def test_a_step_that_returns_several_losses_per_example_is_their_mean(at_once):
    """As of a language model, one loss for each token."""
    model, (x, y) = naive.mlp((4, 5, 3)), naive.regression(outputs=3)

    def step(net, batch):
        return ((net(batch[0]) - batch[1]) ** 2).flatten()

    problem = tw.ModuleProblem(model, naive.cut((x, y), BATCHES), step=step)
    thetas = naive.near(problem, 5)
    value, slope = problem.value_and_gradient(thetas)
    each = [naive.gradient(model, theta, lambda m: F.mse_loss(m(x), y)) for theta in thetas]
    torch.testing.assert_close(slope, torch.stack(each), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(value, problem.loss(thetas), rtol=1e-11, atol=0)


def test_frozen_weights_stay_out_of_it(at_once):
    model, data = naive.mlp(), naive.examples()
    model[0].weight.requires_grad_(False)
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    thetas = naive.near(problem, 5)
    _, slopes = expected(model, thetas, data, F.cross_entropy)
    assert slopes.shape == (5, 5 + 5 * 3 + 3)
    torch.testing.assert_close(problem.value_and_gradient(thetas)[1], slopes, rtol=1e-9, atol=1e-11)


class TwoLayersOfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        z = self.embed(x)
        return self.head(self.attend(z, z, z, need_weights=False)[0].mean(dim=1))


@pytest.mark.parametrize("kind", ["attention", "weight normalisation", "batch norm"])
def test_layers_that_resist_batching_give_right_gradients_and_no_warning(kind, at_once):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(0, 2, (9,), generator=generator)
    model = {
        "attention": TwoLayersOfAttention(),
        "weight normalisation": nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
        "batch norm": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
    }[kind]
    model = model.double().eval()
    words, numbers = torch.randint(0, 7, (9, 5), generator=generator), torch.randn(9, 3, generator=generator).double()
    data = (words if kind == "attention" else numbers), y
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    thetas = naive.near(problem, 6)
    _, slopes = expected(model, thetas, data, F.cross_entropy)
    torch.testing.assert_close(problem.value_and_gradient(thetas)[1], slopes, rtol=1e-8, atol=1e-10)


def test_one_point_that_overflows_leaves_the_others_alone(at_once):
    model, data = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    thetas = naive.near(problem, 6)
    with_bad = thetas.clone()
    with_bad[2] = 1e308
    value, slope = problem.value_and_gradient(with_bad)
    plain_value, plain_slope = problem.value_and_gradient(thetas)
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(value[others], plain_value[others], rtol=1e-12, atol=0)
    torch.testing.assert_close(slope[others], plain_slope[others], rtol=1e-10, atol=1e-12)
    assert not (value[2].isfinite() and slope[2].isfinite().all())


def test_nothing_of_the_users_or_of_the_callers_is_changed(at_once):
    model, data = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    thetas = naive.near(problem, 5).requires_grad_(True)
    kept, state = thetas.detach().clone(), {k: v.clone() for k, v in model.state_dict().items()}
    value, slope = problem.value_and_gradient(thetas, [1, 2])
    assert torch.equal(thetas, kept)
    assert thetas.grad is None
    assert not value.requires_grad
    assert not slope.requires_grad
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    slope += 1
    assert torch.equal(problem.theta, naive.near(problem, 1)[0])


def test_a_function_is_differentiated_at_every_point():
    problem = tw.FunctionProblem(lambda x, y: torch.sin(x) * y**2)
    thetas = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=naive.D)
    value, slope = problem.value_and_gradient(thetas)
    x, y = thetas.unbind(-1)
    torch.testing.assert_close(value, torch.sin(x) * y**2)
    torch.testing.assert_close(slope, torch.stack([torch.cos(x) * y**2, 2 * torch.sin(x) * y], dim=-1))
    assert not value.requires_grad
    constant = tw.FunctionProblem(lambda x, y: 3.0)
    value, slope = constant.value_and_gradient(thetas)
    assert value.tolist() == [3.0] * 6
    assert not slope.any()


@pytest.mark.parametrize("form", ["tensors", "batches", "loader", "dataset"])
def test_examples_are_numbered_in_the_order_in_which_they_come(form):
    x, y = naive.examples()
    data = {
        "tensors": (x, y),
        "batches": naive.cut((x, y), BATCHES),
        "loader": DataLoader(TensorDataset(x, y), batch_size=6),
        "dataset": TensorDataset(x, y),
    }[form]
    problem = tw.ModuleProblem(naive.mlp(), data, loss=F.cross_entropy)
    each = naive.each_example(naive.mlp(), problem.theta, [(x, y)], F.cross_entropy)
    for k in (0, 7, 22):
        assert float(problem.value_and_gradient(problem.theta, [k])[0]) == pytest.approx(float(each[k]))


@pytest.mark.parametrize("index", [[], [-1], [23], [0, 99]])
def test_examples_that_do_not_exist_are_refused(index):
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="numbered from 0 to 22, and at least one"):
        problem.value_and_gradient(problem.theta, index)


def test_examples_that_cannot_be_picked_out_are_refused():
    problem = tw.ModuleProblem(naive.mlp(), naive.cut(naive.examples(), BATCHES), loss=F.cross_entropy, memory=0)
    with pytest.raises(ValueError, match=r"do not fit in memory.*Leave out `batch_size`"):
        problem.value_and_gradient(problem.theta, [0])
    value, _ = problem.value_and_gradient(problem.theta)
    assert float(value) == pytest.approx(float(problem.loss(problem.theta)))


def test_examples_that_depend_on_each_other_are_refused_in_part():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3)).double()
    problem = tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match=r"which others share its batch.*Leave out `batch_size`"):
        problem.value_and_gradient(problem.theta, [0, 1])
    torch.testing.assert_close(
        problem.value_and_gradient(naive.near(problem))[1], problem.gradient(naive.near(problem))
    )


def test_recalibrated_statistics_have_no_gradient():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double().eval()
    problem = tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy, batch_norm="recalibrate")
    with pytest.raises(ValueError, match=r"recalibrate.*has no gradient"):
        problem.value_and_gradient(problem.theta)


@pytest.mark.parametrize("shape", [(), (4,), (3, 4)])
def test_weights_of_another_problem_are_refused(shape):
    problem = tw.ModuleProblem(naive.mlp((4, 1)), naive.regression(), loss=F.mse_loss)
    function = tw.FunctionProblem(lambda t: (t**3).sum(-1), num_weights=5)
    with pytest.raises(ValueError, match="5 weights"):
        problem.value_and_gradient(torch.zeros(shape))
    with pytest.raises(ValueError, match="5 weights"):
        function.value_and_gradient(torch.zeros(shape))


def test_a_function_has_no_examples():
    with pytest.raises(ValueError, match="no examples to make a mini-batch of"):
        tw.FunctionProblem(lambda x, y: x * y).value_and_gradient(torch.zeros(2), [0])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_in_whatever_mode_the_caller_is(mode):
    """With weights made in that mode, and outside of it."""
    written = tw.FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    data = (torch.linspace(-1, 1, 9)[:, None], torch.linspace(0, 1, 9)[:, None])
    network = tw.ModuleProblem(torch.nn.Linear(1, 1), data, loss=torch.nn.functional.mse_loss)
    for problem in (written, network):
        theta, v = torch.tensor([2.0, 1.0]), torch.tensor([1.0, -1.0])
        gradient, product = problem.gradient(theta), problem.hvp(theta, v)
        assert gradient.abs().min() > 0
        with mode():
            for at, along in ((theta, v), (theta.clone(), v.clone())):
                torch.testing.assert_close(problem.gradient(at), gradient)
                torch.testing.assert_close(problem.hvp(at, along), product)
                torch.testing.assert_close(problem.value_and_gradient(at[None])[1][0], gradient)
            surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=3, gradient=True)
            paths = tw.descend(problem, [[2.0, 1.0]], lambda w: torch.optim.SGD(w, lr=0.01), 3)
        assert np.abs(surface.gradient.values).max() > 0
        assert np.abs(np.diff(paths.theta.values, axis=1)).min() > 0


@pytest.mark.parametrize(
    "function", [lambda x, y: math.exp(x) + y, lambda x, y: np.exp(x) + y, lambda x, y: x if x > 0 else y]
)
def test_functions_of_numbers_are_told_to_use_torch(function):
    with pytest.raises(TypeError, match="torch's operations"):
        tw.FunctionProblem(function)
