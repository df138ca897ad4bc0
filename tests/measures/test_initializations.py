"""Initialisations compared, against plain loops over plain copies."""

import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem.naive import D, cut, examples, gradient, mlp, regression
from thalweg.landscapes import sines
from thalweg.measures.activations import activations
from thalweg.measures.pupils import Draws


def relu_net(sizes=(1, 20, 20, 1), dtype=D):
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).to(dtype)


@pytest.fixture(scope="module")
def problem():
    x, y = regression(60, 1)
    return tw.ModuleProblem(relu_net(), (x, y), loss=F.mse_loss, test_data=(x[:20], y[:20]))


def test_each_scheme_is_what_a_plain_loop_finds(problem):
    """Gradient norms, losses of the mini-batches, and the loss at the end."""
    x, y = regression(60, 1)
    found = tw.compare_initializations(problem, {"small": "uniform(0.3)", "he": "he"}, steps=25, batch_size=7, seed=3)
    assert found.scheme.values.tolist() == ["small", "he"]
    assert found.layer.values.tolist() == ["0.weight", "2.weight", "4.weight"]
    for k, scheme in enumerate(("uniform(0.3)", "he")):
        model = tw.initialize(relu_net(), scheme, 3)
        theta = nn.utils.parameters_to_vector(model.parameters()).detach()
        slope = gradient(model, theta, lambda net: F.mse_loss(net(x), y))
        named = dict(zip(("w1", "b1", "w2", "b2", "w3", "b3"), slope.split([20, 20, 400, 20, 20, 1]), strict=True))
        np.testing.assert_allclose(found.gradient_norm[k], [named[f"w{i}"].norm() for i in (1, 2, 3)], rtol=1e-9)
        np.testing.assert_allclose(found.initial_loss[k], F.mse_loss(model(x), y).item(), rtol=1e-9)
        draws, losses = Draws(3, 60, 7), []
        mover = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for step in range(25):
            epoch, rows = draws.rows(step)
            batch = draws.order(epoch)[rows]
            loss = F.mse_loss(model(x[batch]), y[batch])
            mover.zero_grad()
            loss.backward()
            mover.step()
            losses.append(loss.item())
        np.testing.assert_allclose(found.loss[k], losses, rtol=1e-7)
        np.testing.assert_allclose(found.final_loss[k], F.mse_loss(model(x), y).item(), rtol=1e-7)
        np.testing.assert_allclose(found.final_test_loss[k], F.mse_loss(model(x[:20]), y[:20]).item(), rtol=1e-7)


def test_activations_are_those_behind_the_nonlinearity(problem):
    x, _ = regression(60, 1)
    found = tw.compare_initializations(problem, ["he"], steps=1, singular_values=None)
    model = tw.initialize(relu_net(), "he", 0)
    passed = [model[:2](x), model[:4](x), model(x)]
    np.testing.assert_allclose(found.activation_mean[0], [float(a.mean().detach()) for a in passed], rtol=1e-9)
    np.testing.assert_allclose(
        found.activation_std[0], [float(a.std(correction=0).detach()) for a in passed], rtol=1e-9
    )
    np.testing.assert_allclose(found.dead[0], [float((a == 0).all(0).double().mean()) for a in passed])
    assert found.activation.values.tolist() == ["relu", "relu", "none"]
    assert "singular_value" not in found


class Functional(nn.Module):
    """Convolution, batch norm and ReLU as functions and modules; the second layer is called twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.middle, self.last = nn.Linear(36, 36), nn.Linear(36, 2)

    def forward(self, x):
        h = F.relu(self.norm(self.conv(x)), inplace=True).flatten(1)
        return self.last(torch.tanh(self.middle(self.middle(h).sigmoid())))


def test_what_follows_a_layer_is_found_among_modules_and_functions():
    torch.manual_seed(0)
    model, x = Functional().double().eval(), torch.randn(6, 1, 5, 5, dtype=D)
    found = activations(model, lambda net: net(x), ["conv", "middle", "last"])
    assert {k: v.followed for k, v in found.items()} == {"conv": "batch_norm, relu", "middle": "tanh", "last": ""}
    with torch.no_grad():
        seen = model.norm(model.conv(x)).relu()
        np.testing.assert_allclose(found["conv"].mean, seen.mean().item())
        np.testing.assert_allclose(found["conv"].dead, (seen == 0).all(3).all(2).all(0).double().mean().item())
        last = torch.tanh(model.middle(model.middle(seen.flatten(1)).sigmoid()))
        np.testing.assert_allclose(found["middle"].std, last.std(correction=0).item())
    assert not model.conv._forward_hooks


def test_zeros_are_dead_and_large_weights_diverge_without_an_error():
    data = sines.sines_data(200, 50)
    problem = tw.ModuleProblem(sines.mlp([20] * 4), tuple(data.train), loss=F.mse_loss, test_data=tuple(data.test))
    found = tw.compare_initializations(problem, ["zeros", "uniform(3)", "he"], steps=40)
    np.testing.assert_array_equal(found.dead.sel(scheme="zeros"), 1.0)
    np.testing.assert_array_equal(found.gradient_norm.sel(scheme="zeros"), 0.0)
    lost = found.sel(scheme="uniform(3)")
    at = int(lost.diverged_at)
    assert 1 <= at <= 10
    assert np.isfinite(lost.loss[: at - 1]).all()
    assert not np.isfinite(lost.loss[at - 1])
    assert np.isnan(lost.loss[at:]).all()
    assert not np.isfinite(lost.final_loss)
    assert np.isfinite(lost.singular_value.sel(state="initial")).all()
    assert np.isnan(lost.singular_value.sel(state="trained")).all()
    np.testing.assert_array_equal(found.diverged_at.values[[0, 2]], -1)
    assert found.final_loss.sel(scheme="he") < found.initial_loss.sel(scheme="he")
    dead, tail = found.singular_value.sel(scheme="he", state="initial"), 1e-5
    assert int((dead > tail * dead.max()).sum()) == 4  # ReLU, a scalar input, zero biases: rank 4
    constant = found.singular_value.sel(scheme="zeros", state="initial")
    np.testing.assert_allclose(constant[0], np.sqrt(200), rtol=1e-6)  # only the last bias moves the output
    np.testing.assert_allclose(constant[1:], 0, atol=1e-6)


def test_a_last_update_that_leaves_nothing_finite_is_a_divergence():
    line = nn.Linear(1, 1, bias=False)
    problem = tw.ModuleProblem(line, (torch.ones(4, 1), torch.ones(4, 1)), loss=F.mse_loss)
    far = lambda w: torch.optim.SGD(w, lr=1e38)  # noqa: E731
    found = tw.compare_initializations(problem, ["constant(5)"], optimizer=far, steps=1, batch_size=None)
    assert np.isfinite(found.loss).all()
    assert found.diverged_at.values.tolist() == [1]


def test_batch_normalisation_uses_the_statistics_of_the_batches_and_the_problem_keeps_its_own():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()
    x, y = examples(24)
    problem = tw.ModuleProblem(copy.deepcopy(model).eval(), (x, y), loss=F.cross_entropy)
    before = problem.identity()
    found = tw.compare_initializations(problem, ["he"], steps=3, batch_size=8, singular_values=5)
    assert problem.identity() == before
    drawn = tw.initialize(model, "he", 0).train()
    with torch.no_grad():
        seen = drawn[:3](x)
        np.testing.assert_allclose(found.activation_std[0, 0], seen.std(correction=0).item(), rtol=1e-9)
    slope = torch.autograd.grad(F.cross_entropy(drawn(x), y), drawn[0].weight)[0]
    np.testing.assert_allclose(found.gradient_norm[0, 0], slope.norm().item(), rtol=1e-9)
    assert np.isfinite(found.singular_value).all()


def test_singular_values_are_those_of_a_jacobian_row_by_row(problem):
    x, _ = regression(60, 1)
    model = tw.initialize(relu_net(), "he", 5)
    rows = []
    for example in x:
        slopes = torch.autograd.grad(model(example[None]).sum(), list(model.parameters()))
        rows.append(torch.cat([s.flatten() for s in slopes]))
    expected = np.linalg.svd(torch.stack(rows).numpy(), compute_uv=False)[:6]
    found = tw.compare_initializations(problem, ["he"], seed=5, steps=1, singular_values=6)
    np.testing.assert_allclose(found.singular_value[0, 0], expected, rtol=1e-9, atol=1e-9)
    own = tw.compare_initializations(problem, ["he"], seed=5, steps=1, singular_values=lambda p: [float(p.num_weights)])
    np.testing.assert_array_equal(own.singular_value, [[[481.0], [481.0]]])


def test_a_jacobian_of_several_outputs_has_a_row_for_each():
    torch.manual_seed(0)
    model, x = mlp([4, 3, 2]), torch.randn(5, 4, dtype=D)
    problem = tw.ModuleProblem(model, (x, torch.zeros(5, 2, dtype=D)), loss=F.mse_loss)
    rows = problem.jacobian(inputs=x)
    assert rows.shape == (10, problem.num_weights)
    slopes = torch.autograd.grad(model(x[1:2])[0, 1], list(model.parameters()))
    torch.testing.assert_close(rows[3], torch.cat([s.flatten() for s in slopes]))


class Choosy(nn.Module):
    """Decides by the value of its input, which `vmap` cannot."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 2).double()

    def forward(self, x):
        return self.line(x) if float(x.detach().sum()) > -1e9 else 2 * self.line(x)


def test_a_jacobian_that_cannot_be_batched_is_found_example_by_example():
    x = torch.randn(5, 4, dtype=D, generator=torch.Generator().manual_seed(0))
    problem = tw.ModuleProblem(Choosy(), (x, torch.zeros(5, 2, dtype=D)), loss=F.mse_loss)
    plain = tw.ModuleProblem(nn.Sequential(nn.Linear(4, 2)).double(), (x, torch.zeros(5, 2, dtype=D)), loss=F.mse_loss)
    torch.testing.assert_close(problem.jacobian(inputs=x), plain.jacobian(inputs=x))


def test_attention_and_recurrent_layers_have_statistics_too():
    torch.manual_seed(0)

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.rnn = nn.Embedding(7, 4), nn.LSTM(4, 4, batch_first=True)
            self.block, self.out = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.block(self.rnn(self.words(x))[0])[:, -1])

    data = torch.randint(0, 7, (20, 5)), torch.randint(0, 3, (20,))
    problem = tw.ModuleProblem(Tagger().eval(), data, loss=F.cross_entropy)
    found = tw.compare_initializations(problem, ["orthogonal"], steps=3, batch_size=5)[["activation_std"]].isel(
        scheme=0
    )
    unseen = found.layer[np.isnan(found.activation_std.values)].values.tolist()
    assert unseen == ["block.self_attn.out_proj.weight"]  # whose weights attention uses by itself
    assert found.activation.sel(layer="block.linear1.weight") == "relu"
    assert found.activation.sel(layer="rnn.weight_hh_l0") == "none"


def test_the_same_call_gives_the_same_bits_and_goes_through_a_store(problem, tmp_path):
    once, again = (tw.compare_initializations(problem, ["he", "uniform(9)"], steps=30) for _ in range(2))
    for name in once.data_vars:
        np.testing.assert_array_equal(once[name], again[name])
    tw.save(once, tmp_path / "study.zarr", "initializations")
    assert tw.load(tmp_path / "study.zarr", "initializations").identical(once)


def test_any_optimiser_trains_and_all_examples_may_be_one_batch(problem):
    lbfgs = lambda w: torch.optim.LBFGS(w, lr=0.1)  # noqa: E731
    found = tw.compare_initializations(problem, ["he"], optimizer=lbfgs, steps=5, batch_size=None)
    assert found.final_loss[0] < found.initial_loss[0]
    np.testing.assert_allclose(found.loss[0, 0], found.initial_loss[0], rtol=1e-12)
    assert found.attrs["optimizer"].startswith("LBFGS")


def test_what_cannot_be_compared_is_refused(problem):
    with pytest.raises(ValueError, match="Two schemes are named 'he'"):
        tw.compare_initializations(problem, ["he", "he"])
    with pytest.raises(ValueError, match="No schemes"):
        tw.compare_initializations(problem, [])
    with pytest.raises(ValueError, match="Unknown scheme"):
        tw.compare_initializations(problem, ["he", "magic"])
    with pytest.raises(ValueError, match="steps=0"):
        tw.compare_initializations(problem, ["he"], steps=0)
    with pytest.raises(TypeError, match="FunctionProblem has no layers"):
        tw.compare_initializations(tw.FunctionProblem(lambda x: x**2), ["he"])
    with pytest.raises(TypeError, match="expected a network with its loss and data"):
        tw.compare_initializations(relu_net(), ["he"])


def test_batches_that_cannot_be_put_together_anew_are_used_as_they_come():
    x, y = regression(12, 1)
    layered = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1)).double()
    problem = tw.ModuleProblem(layered, cut((x, y), [5, 7]), loss=F.mse_loss)
    with pytest.raises(ValueError, match="batch_size=None"):
        tw.compare_initializations(problem, ["he"], steps=2)
    found = tw.compare_initializations(problem, ["he"], steps=2, batch_size=None, singular_values=None)
    assert np.isfinite(found.loss).all()
