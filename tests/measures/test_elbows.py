"""Elbows: those of one layer in closed form, of deep networks against a dense scan, and nothing between them bends."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.measures.tangents import D, sines_problem
from thalweg.landscapes.sines import mlp, sines_data
from thalweg.measures.breaks import taken
from thalweg.problem import Diverged


def spread(net, seed, scale=1.0):
    """Biases that put elbows everywhere."""
    draw = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        p.data = scale * torch.randn(p.shape, generator=draw, dtype=torch.float64).to(p)
    return net


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**20))
def test_of_one_layer_they_are_where_weight_times_x_is_minus_the_bias(seed):
    net = spread(mlp([15]), seed)
    found = tw.elbows(net, input_range=(-2, 2))
    w, b = (net[0].weight[:, 0].double().detach().numpy(), net[0].bias.double().detach().numpy())
    places = -b / w
    mine = np.flatnonzero(np.abs(places) < 2)
    np.testing.assert_array_equal(found.unit, mine)
    np.testing.assert_allclose(found.x, places[mine], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(found.turns, np.sign(w[mine]))
    np.testing.assert_allclose(
        found.bend[:, 0], (net[2].weight.double().detach().numpy()[0] * np.abs(w))[mine], rtol=1e-9
    )
    still = np.abs(places) >= 2
    assert int(found.always_on[0]) == int((still & (b > 0)).sum())
    assert int(found.never_on[0]) == int((still & (b < 0)).sum())


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**20), deep=st.integers(2, 4))
def test_of_deep_networks_they_are_where_a_dense_scan_sees_signs_change(seed, deep):
    net = spread(mlp([6] * deep), seed, 0.8).double()
    found = tw.elbows(net, input_range=(-2, 2))
    x = np.linspace(-2, 2, 20001)
    scan = taken(net, x, (1,))
    for depth, (_, z) in enumerate(scan, 1):
        at, unit = np.nonzero((z[1:] > 0) != (z[:-1] > 0))
        mine = found.where(found.depth == depth, drop=True)
        for one in range(6):
            places = np.sort(mine.x.values[mine.unit.values == one])
            seen = x[at[unit == one]]
            pairs = [p for p in places if not (np.abs(places - p) < 4e-4).sum() > 1]  # what the scan can tell apart
            for p in pairs:
                assert np.abs(seen + 1e-4 - p).min() < 2.1e-4
            for s in seen:
                assert np.abs(places - s - 1e-4).min() < 2.1e-4
        here = taken(net, mine.x.values, (1,))[depth - 1][1] if mine.sizes["elbow"] else np.zeros((0, 6))
        size = max(np.abs(z).max(), 1.0)
        assert np.abs(here[np.arange(len(here)), mine.unit.values.astype(int)]).max(initial=0) < 1e-12 * size


def test_straight_lines_between_nodes_are_the_network():
    problem, model = sines_problem([20] * 4)
    found = tw.elbows(problem, input_range=(-3, 3))
    x = np.linspace(-3, 3, 1001)
    with torch.no_grad():
        y = model.double()(torch.as_tensor(x)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(np.interp(x, found.node_x, found.prediction[:, 0]), y, atol=1e-12)
    assert found.units.values.tolist() == [20] * 4
    assert found.part.values.tolist() == ["0", "2", "4", "6"]
    assert found.attrs["train_low"] > -1


def test_units_are_on_where_the_elbows_say():
    problem, model = sines_problem([8, 8])
    found = tw.elbows(problem, input_range=(-2, 2))
    x = np.linspace(-2, 2, 777)
    for depth, (_, z) in enumerate(taken(model.double(), x, (1,)), 1):
        for unit in range(8):
            mine = found.x.values[(found.depth == depth) & (found.unit == unit)]
            row = (found.relu_depth.values == depth) & (found.relu_unit.values == unit)
            on = (found.on_at_low.values[row][0] + (x[:, None] > mine).sum(1)) % 2 == 1
            assert (on == (z[:, unit] > 0)).mean() > 0.995


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(1, 7), nn.Linear(7, 7), nn.Linear(7, 2)

    def forward(self, x):
        h = F.relu(self.a(x))
        return self.c(h + F.leaky_relu(self.b(h), 0.1))


def test_relus_as_functions_skips_and_several_outputs():
    net = spread(Functional(), 3)
    found = tw.elbows(net, input_range=(-2, 2))
    x = np.linspace(-2, 2, 301)
    with torch.no_grad():
        y = net.double()(torch.as_tensor(x)[:, None]).numpy()
    for k in range(2):
        np.testing.assert_allclose(np.interp(x, found.node_x, found.prediction[:, k]), y[:, k], atol=1e-12)
    assert found.part.values.tolist() == ["a", "b"]
    assert "train_x" not in found


def test_in_place_relus_and_normalisation_by_stored_statistics_are_linear_pieces_too():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(1, 9), nn.BatchNorm1d(9), nn.ReLU(inplace=True), nn.Linear(9, 5), nn.PReLU(), nn.Linear(5, 1)
    )
    net(torch.randn(50, 1))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = tw.elbows(net, input_range=(-2, 2))
    x = np.linspace(-2, 2, 301)
    assert all((value == before[name]).all() for name, value in net.state_dict().items())
    with torch.no_grad():
        y = net.eval().double()(torch.as_tensor(x)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(np.interp(x, found.node_x, found.prediction[:, 0]), y, atol=1e-12)


def test_with_zero_biases_there_is_one_elbow_a_unit_at_zero():
    problem, _ = sines_problem([10, 10], biases=False)
    found = tw.elbows(problem, input_range=(-0.7, 1.3))
    np.testing.assert_allclose(found.x, 0, atol=1e-14)
    assert found.sizes["node"] == 3
    assert (found.depth == 1).sum() == 10
    assert not any(len(set(found.unit.values[found.depth == d])) != (found.depth == d).sum() for d in (1, 2))


def test_at_other_weights_and_with_truth():
    data = sines_data(50)
    problem = tw.ModuleProblem(mlp([5]), tuple(data.train), loss=F.mse_loss)
    theta = torch.randn(problem.num_weights)
    found = tw.elbows(problem, theta, truth=data.truth)
    other = tw.elbows(problem.at(theta))
    np.testing.assert_array_equal(found.x, other.x)
    np.testing.assert_allclose(found.truth, data.truth(found.truth_x.values))
    np.testing.assert_allclose(found.train_x, data.train.x[:, 0])
    assert found.sizes["example"] == 50


def test_what_has_no_elbows_is_refused():
    x = torch.linspace(-1, 1, 9)[:, None]
    tanh = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    with pytest.raises(ValueError, match="no ReLUs"):
        tw.elbows(tanh, input_range=(-1, 1))
    with pytest.raises(ValueError, match="not linear"):
        tw.elbows(nn.Sequential(tanh, nn.ReLU()), input_range=(-1, 1))
    with pytest.raises(ValueError, match="not linear"):
        tw.elbows(nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 3), nn.Tanh()), input_range=(-1, 1))
    with pytest.raises(ValueError, match="input_range"):
        tw.elbows(mlp([3]))
    with pytest.raises(ValueError, match="lower and an upper"):
        tw.elbows(mlp([3]), input_range=(1, -1))
    with pytest.raises(ValueError, match="one input"):
        tw.elbows(mlp([3], inputs=2), input_range=(-1, 1))
    problem = tw.ModuleProblem(mlp([3]), (x, x), loss=F.mse_loss)
    with pytest.raises(ValueError, match="single numbers"):
        tw.elbows(tw.ModuleProblem(mlp([3], inputs=2), (torch.randn(9, 2), x), loss=F.mse_loss))
    with pytest.raises(Diverged):
        tw.elbows(problem, torch.full_like(problem.theta, torch.nan))
    with pytest.raises(TypeError, match="linearised"):
        tw.elbows(tw.LinearizedProblem(problem))


def test_features_are_the_columns_of_the_jacobian_by_layer():
    problem, model = sines_problem([4, 3], dtype=D, num=20)
    x = torch.linspace(-2, 2, 7, dtype=D)[:, None]
    found = tw.gradient_features(problem, x)
    for i in range(7):
        model.zero_grad()
        model(x[i]).sum().backward()
        for name, p in model.named_parameters():
            mine = found.feature[i].values[found.parameter.values == name]
            np.testing.assert_allclose(mine, p.grad.reshape(-1), atol=1e-14)
    assert list(dict.fromkeys(found.layer.values)) == ["0", "2", "4"]
    with pytest.raises(ValueError, match="GiB"):
        tw.gradient_features(problem, x, memory=10)


def test_a_network_whose_output_layer_alone_is_trained_is_linear_and_stays_on_its_tangent():
    """Random features: the frozen layers have no features, and training is that of the linearised model."""
    data = sines_data(80)
    model = mlp([30, 30]).double()
    model[:-1].requires_grad_(False)
    problem = tw.ModuleProblem(model, tuple(v.double() for v in data.train), loss=F.mse_loss)
    assert problem.num_weights == 31
    features = tw.gradient_features(problem)
    assert set(features.layer.values) == {"4"}
    hidden = model[:-1](data.train.x.double()).detach()
    np.testing.assert_allclose(features.feature[:, :30], hidden)
    run = tw.descend(problem, problem.theta[None], lambda w: torch.optim.SGD(w, lr=0.05), steps=30, every=10)
    assert tw.laziness(problem, run).error.max() < 1e-13
    path = tw.track_tangent(problem, run, k=4)
    np.testing.assert_allclose(path.singular_value, path.singular_value[:1].values.repeat(4, 0))
    np.testing.assert_allclose(path.kernel_alignment, 1)
    first, last = (tw.elbows(problem, torch.as_tensor(run.theta.values[0, t])) for t in (0, -1))
    np.testing.assert_array_equal(first.x, last.x)
    whole = tw.ModuleProblem(mlp([30, 30]).double(), tuple(v.double() for v in data.train), loss=F.mse_loss)
    same = tw.descend(whole, whole.theta[None], lambda w: torch.optim.SGD(w, lr=0.05), steps=30, every=10)
    assert float(same.loss[0, -1]) < float(run.loss[0, -1])
    assert tw.laziness(whole, same).error[-1] > 1e-4
