"""Jacobians of outputs against one backward pass for each row, products against the Jacobian, and what is refused."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.problem.naive import standing, trainable
from thalweg.problem import Diverged
from thalweg.problem.layers import Factor

D = torch.double


def rows(model, theta, x):
    """One backward pass through the plain model for each example and output."""
    model = standing(model, theta).eval()
    found = []
    for i in range(len(x)):
        for value in model(x[i : i + 1])[0].reshape(-1):
            grads = torch.autograd.grad(value, trainable(model), retain_graph=True, allow_unused=True)
            flat = [
                (torch.zeros_like(p) if g is None else g).reshape(-1)
                for g, p in zip(grads, trainable(model), strict=True)
            ]
            found.append(torch.cat(flat))
    return torch.stack(found)


class Residual(nn.Module):
    """A layer used twice, a norm, a sum of branches, a weight of the model itself."""

    def __init__(self):
        super().__init__()
        self.first, self.inner, self.norm = nn.Linear(4, 6), nn.Linear(6, 6), nn.LayerNorm(6)
        self.scale, self.last = nn.Parameter(torch.tensor(0.7)), nn.Linear(6, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        h = h + torch.tanh(self.inner(self.norm(h)))
        return self.scale * self.last(h + torch.tanh(self.inner(h)))


class Shared(nn.Module):
    """A weight used outside of the layer that owns it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)

    def forward(self, x):
        return F.linear(torch.tanh(self.first(x)), self.first.weight)


class Idle(nn.Module):
    """The same, where it does nothing yet."""

    def __init__(self):
        super().__init__()
        self.first, self.scale = nn.Linear(4, 4), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        h = self.first(x)
        return h + self.scale * F.linear(h, self.first.weight)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.mix, self.out = nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.mix(self.embedding(x))).mean(1))


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))


def image_nets():
    yield "plain", nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(75, 2))
    yield "strided", nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, dilation=2, padding=2, groups=2), nn.Flatten())
    yield "same", nn.Sequential(nn.Conv2d(2, 2, (3, 5), padding="same", bias=False), nn.Tanh(), nn.Flatten())
    yield "circular", nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.Tanh(), nn.Flatten())
    norm = nn.BatchNorm2d(3)
    norm.running_mean += torch.arange(3.0)
    yield "norm", nn.Sequential(nn.Conv2d(2, 3, 2), norm, nn.PReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    yield "transposed", nn.Sequential(nn.ConvTranspose2d(2, 2, 2), nn.Tanh(), nn.Flatten())


def problem_of(model, x, outputs=None):
    model = model.double().eval()
    with torch.no_grad():
        y = torch.zeros_like(model(x))
    return tw.ModuleProblem(model, (x, y), loss=F.mse_loss)


CASES = {
    "mlp": (mlp, (7, 4), "by layers"),
    "residual": (Residual, (5, 4), "by layers"),
    "words of text": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), (5, 6, 4), "by layers"),
    "shared": (Shared, (5, 4), "by examples"),
    "idle": (Idle, (5, 4), "by examples"),
    "tied": (Tied, (5, 4), "by examples"),
    **{name: (lambda model=model: copy.deepcopy(model), (4, 2, 5, 5), "by layers") for name, model in image_nets()},
    "one dim": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3, dilation=2), nn.Flatten()), (4, 2, 9), "by layers"),
    "three dims": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2, stride=2), nn.Flatten()), (3, 1, 4, 4, 4), "by layers"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_jacobian_is_one_backward_pass_for_each_row(name):
    make, shape, way = CASES[name]
    torch.manual_seed(0)
    model, x = make(), torch.randn(shape, dtype=D)
    problem = problem_of(model, x)
    found = problem.outputs()
    torch.testing.assert_close(found.jacobian(problem.theta), rows(model, problem.theta, x), rtol=1e-9, atol=1e-11)
    assert found.way.startswith(way)


def test_another_place_of_the_same_problem_is_another_place():
    torch.manual_seed(0)
    problem = problem_of(mlp(), torch.randn(5, 4, dtype=D))
    before = problem.jacobian()
    theta = problem.theta + 1
    torch.testing.assert_close(problem.at(theta).jacobian(), problem.jacobian(theta))
    assert torch.equal(problem.jacobian(), before)


def test_of_words_as_whole_numbers():
    torch.manual_seed(0)
    model, x = Words().double(), torch.randint(0, 5, (6, 4))
    problem = tw.ModuleProblem(model, (x, torch.zeros(6, dtype=torch.long)), loss=F.cross_entropy)
    torch.testing.assert_close(problem.jacobian(), rows(model, problem.theta, x), rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 2**31), n=st.integers(1, 9), which=st.sampled_from(["all", "sum", 1, -1]))
def test_products_are_those_of_the_jacobian(seed, n, which):
    torch.manual_seed(seed)
    x = torch.randn(n, 4, dtype=D)
    problem = problem_of(mlp(), torch.randn(5, 4, dtype=D))
    theta = torch.randn(problem.num_weights, dtype=D)
    jacobian = problem.jacobian(theta, x, which)
    v, u = torch.randn(2, problem.num_weights, dtype=D), torch.randn(len(jacobian), dtype=D)
    torch.testing.assert_close(problem.jvp(theta, v, x, which), v @ jacobian.T, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(problem.vjp(theta, u, x, which), jacobian.T @ u, rtol=1e-9, atol=1e-11)
    full = problem.jacobian(theta, x).reshape(n, 3, -1)
    chosen = {"all": full.flatten(0, 1), "sum": full.sum(1)}.get(which)
    torch.testing.assert_close(jacobian, full[:, which] if chosen is None else chosen)


@given(seed=st.integers(0, 2**31))
def test_the_error_of_the_linearised_outputs_is_of_second_order(seed):
    """f(θ + hv) - f(θ) - h J v is O(h²) where f is smooth: a tenth of the step, a hundredth of the error."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    problem = problem_of(model, torch.randn(6, 4, dtype=D))
    theta, v = problem.theta, torch.randn(problem.num_weights, dtype=D)
    outputs = problem.outputs()

    def error(h):
        return float((outputs.values(theta + h * v) - outputs.values(theta) - h * outputs.jvp(theta, v)).norm())

    assert error(1e-3) / error(1e-4) == pytest.approx(100, rel=0.05)


def test_rows_of_the_loss_are_gradients_of_each_example():
    torch.manual_seed(0)
    x, y = torch.randn(6, 4, dtype=D), torch.randint(0, 3, (6,))
    problem = tw.ModuleProblem(mlp().double(), (x, y), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy})
    per_example = torch.autograd.functional.jacobian(problem.losses, problem.theta)
    torch.testing.assert_close(problem.jacobian(outputs="loss"), per_example)
    torch.testing.assert_close(problem.jacobian(None, x, "loss", targets=y), per_example)
    torch.testing.assert_close(problem.jacobian(outputs="loss").mean(0), problem.gradient(problem.theta))


def test_test_data_and_given_inputs_are_the_same_inputs():
    torch.manual_seed(0)
    x, z = torch.randn(6, 4, dtype=D), torch.randn(3, 4, dtype=D)
    y = torch.zeros(6, 3, dtype=D)
    problem = tw.ModuleProblem(mlp().double(), (x, y), loss=F.mse_loss, test_data=(z, y[:3]))
    for given_ in (z, z.numpy(), z.tolist()):
        torch.testing.assert_close(problem.jacobian(inputs="test"), problem.jacobian(inputs=given_))


def test_pieces_make_up_the_whole():
    torch.manual_seed(0)
    problem = problem_of(mlp(), torch.randn(11, 4, dtype=D))
    outputs = problem.outputs()
    pieces = [rows for _, rows in outputs.blocks(problem.theta, num_bytes=4 * 3 * problem.num_weights * 8)]
    assert [len(piece) for piece in pieces] == [12, 12, 9]
    torch.testing.assert_close(torch.cat(pieces), problem.jacobian())


def test_data_that_come_in_batches_keep_their_order():
    torch.manual_seed(0)
    x, y = torch.randn(11, 4, dtype=D), torch.zeros(11, 3, dtype=D)
    whole = tw.ModuleProblem(mlp().double(), (x, y), loss=F.mse_loss)
    streamed = tw.ModuleProblem(mlp().double(), [(x[:6], y[:6]), (x[6:], y[6:])], loss=F.mse_loss, memory=1)
    torch.testing.assert_close(whole.jacobian(), streamed.jacobian(whole.theta))
    u = torch.randn(33, dtype=D)
    torch.testing.assert_close(whole.vjp(whole.theta, u), streamed.vjp(whole.theta, u))


def test_frozen_layers_have_no_columns():
    torch.manual_seed(0)
    model, x = mlp(), torch.randn(5, 4, dtype=D)
    model[2].weight.requires_grad_(False)
    problem = problem_of(model, x)
    assert problem.jacobian().shape == (15, 25 + 3)
    torch.testing.assert_close(problem.jacobian(), rows(model, problem.theta, x))


def test_factors_of_a_convolution_are_smaller_than_its_rows():
    torch.manual_seed(0)
    problem = problem_of(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), torch.randn(4, 2, 5, 5, dtype=D))
    ((_, (factor,)),) = problem.outputs().factors(problem.theta, 10)
    assert isinstance(factor, Factor)
    assert (factor.left.shape, factor.right.shape) == ((4, 27, 1, 9, 3), (4, 1, 9, 18))


def test_the_users_model_and_the_problem_stay_as_they_are():
    model = mlp().double()
    before = copy.deepcopy(model.state_dict())
    problem = problem_of(model, torch.randn(5, 4, dtype=D))
    theta = problem.theta
    with torch.inference_mode():
        jacobian = problem.jacobian(torch.ones(problem.num_weights, dtype=D))
        assert problem.jvp(None, theta).shape == (len(jacobian),)
        assert problem.vjp(None, jacobian[:, 0]).shape == (problem.num_weights,)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(theta, problem.theta)
    assert not any(module._forward_hooks for module in model.modules())


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.inner(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.inner(x).mean(1)


@pytest.mark.parametrize("make", [Recurrent, Attention])
def test_what_has_no_layers_to_look_at_goes_by_examples(make):
    torch.manual_seed(0)
    model = make()
    x = torch.randn(4, 3, 3 if make is Recurrent else 4, dtype=D)
    problem = problem_of(model, x)
    outputs = problem.outputs()
    jacobian = outputs.jacobian(problem.theta)
    assert "is no map of one tensor to one tensor" in outputs.way
    torch.testing.assert_close(jacobian, rows(model, problem.theta, x), rtol=1e-8, atol=1e-10)
    v, u = torch.randn(problem.num_weights, dtype=D), torch.randn(len(jacobian), dtype=D)
    torch.testing.assert_close(problem.jvp(None, v), jacobian @ v)
    torch.testing.assert_close(problem.vjp(None, u), jacobian.T @ u)
    linear = tw.LinearizedProblem(problem, memory=0)
    torch.testing.assert_close(linear.gradient(problem.theta), problem.gradient(problem.theta))


def test_of_weights_in_half_precision():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).bfloat16()
    x = torch.randn(8, 4).bfloat16()
    problem = tw.ModuleProblem(model, (x, torch.zeros(8, 2)), loss=F.mse_loss)
    wide = rows(model.double(), problem.theta, x.double())
    found = problem.outputs()
    assert float((found.jacobian(problem.theta) - wide).abs().max()) < 0.05
    assert found.way == "by layers"


class Classes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x).argmax(1)


def regression():
    return tw.ModuleProblem(nn.Linear(1, 1), (torch.ones(4, 1), torch.ones(4, 1)), loss=F.mse_loss)


REFUSED = {
    "shape": (lambda p: p.jacobian(inputs=torch.ones(4)), ValueError, "a batch of training inputs has"),
    "columns": (lambda p: p.jacobian(inputs=torch.ones(4, 3)), ValueError, "cannot be applied to inputs of shape"),
    "none": (lambda p: p.jacobian(inputs=torch.ones(0, 1)), ValueError, "no inputs"),
    "split": (lambda p: p.jacobian(inputs="test"), ValueError, "the problem has 'train' data"),
    "output": (lambda p: p.jacobian(outputs=1), ValueError, "numbered from 0"),
    "word": (lambda p: p.jacobian(outputs="every"), ValueError, "expected 'all', 'sum', 'loss'"),
    "targets": (lambda p: p.jacobian(None, torch.ones(4, 1), "loss"), ValueError, "needs `targets`"),
    "too many": (lambda p: p.jacobian(targets=torch.ones(4, 1)), ValueError, "`targets` go with inputs"),
    "fewer": (lambda p: p.jacobian(None, torch.ones(4, 1), targets=torch.ones(3, 1)), ValueError, "expected one for"),
    "theta": (lambda p: p.jacobian(torch.ones(3)), ValueError, "has shape"),
    "v": (lambda p: p.jvp(p.theta, torch.ones(3)), ValueError, "v has shape"),
    "u": (lambda p: p.vjp(p.theta, torch.ones(3)), ValueError, "u has shape"),
    "nan": (
        lambda p: p.jacobian(torch.tensor([np.nan, 1.0])),
        Diverged,
        "The network has diverged: 1 of its 2 weights",
    ),
    "inf": (
        lambda p: p.jacobian(inputs=torch.tensor([[np.inf]])),
        ValueError,
        "1 of the 1 entries of the inputs are not",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call(regression())


def test_outputs_without_gradient_are_refused():
    x = torch.randn(5, 4)
    problem = tw.ModuleProblem(Classes(), (x, torch.zeros(5)), loss=lambda out, y: (out - y) ** 2 + 0.0 * out)
    with pytest.raises(ValueError, match="have no gradient"):
        problem.jacobian()


def test_examples_that_depend_on_each_other_have_no_rows():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))
    problem = tw.ModuleProblem(model, (torch.randn(6, 4), torch.randn(6, 1)), loss=F.mse_loss)
    with pytest.raises(ValueError, match="depends on which others share its batch"):
        problem.jacobian()


def test_a_problem_with_a_step_has_no_outputs():
    problem = tw.ModuleProblem(nn.Linear(1, 1), torch.ones(3, 1), step=lambda model, x: model(x)[:, 0] ** 2)
    with pytest.raises(TypeError, match="no outputs"):
        problem.jacobian()


def test_outputs_are_counted_from_the_end_too():
    model = nn.Linear(4, 3).double()
    x = torch.randn(5, 4, dtype=torch.double)
    problem = tw.ModuleProblem(model, (x, torch.randn(5, 3, dtype=torch.double)), loss=F.mse_loss)
    torch.testing.assert_close(problem.jacobian(outputs=-1), problem.jacobian(outputs=2))
    found = tw.linearize(problem, outputs=-1)
    assert found.output.values.tolist() == [2] * 5
    np.testing.assert_array_equal(found.target, tw.linearize(problem, outputs=2).target)
