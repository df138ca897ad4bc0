"""Initialisation by name, against `torch.nn.init` called by hand, and the moments that the formulas say."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.problem.naive import mlp

FEW = settings(max_examples=20, deadline=None)
SEVERAL = {
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform(2)": lambda w: nn.init.xavier_uniform_(w, 2.0),
    "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "he_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "he_normal(0.2)": lambda w: nn.init.kaiming_normal_(w, 0.2),
    "lecun_normal": lambda w: nn.init.normal_(w, std=1 / math.sqrt(w[0].numel())),
    "orthogonal": nn.init.orthogonal_,
    "uniform(0.03)": lambda w: nn.init.uniform_(w, -0.03, 0.03),
    "normal(0.5)": lambda w: nn.init.normal_(w, std=0.5),
    "zeros": nn.init.zeros_,
}


@pytest.mark.parametrize("name", SEVERAL)
@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_weights_are_those_of_torch_layer_after_layer(name, seed):
    model = mlp([3, 7, 5, 2])
    torch.manual_seed(seed)
    expected = copy.deepcopy(model)
    for layer in expected:
        if isinstance(layer, nn.Linear):
            SEVERAL[name](layer.weight.data)
            layer.bias.data.zero_()
    before = torch.random.get_rng_state()
    drawn = tw.initialize(model, name, seed)
    assert torch.equal(torch.random.get_rng_state(), before)
    for p, q in zip(drawn.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=0)


def test_the_model_stays_as_it_is_and_the_seed_decides():
    model = mlp([3, 50, 2])
    state = copy.deepcopy(model.state_dict())
    one, same, other = (tw.initialize(model, "he", seed) for seed in (1, 1, 2))
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert not hasattr(model, "initialization")
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("he_normal", math.sqrt(2 / (16 * 9))),
        ("he_uniform", math.sqrt(2 / (16 * 9))),
        ("lecun_uniform", math.sqrt(1 / (16 * 9))),
        ("xavier_normal", math.sqrt(2 / (16 * 9 + 64 * 9))),
    ],
)
@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions_have_the_spread_of_their_fans(name, std, groups):
    """Transposed ones have the fans of the convolution with the same connections; kernels are (in, out / groups)."""
    plain = nn.Conv2d(16 * groups, 64, 3, groups=groups)
    transposed = nn.ConvTranspose2d(16 * groups, 64, 3, groups=groups)
    for layer in (plain, transposed):
        drawn = tw.initialize(layer, name, 0).weight.detach()
        assert drawn.shape == layer.weight.shape
        assert float(drawn.std()) == pytest.approx(std, rel=0.03)


def test_orthogonal_kernels_of_transposed_convolutions_are_orthogonal_as_convolutions():
    kernel = tw.initialize(nn.ConvTranspose2d(6, 4, 2), "orthogonal(3)", 0).weight.transpose(0, 1).flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, 9 * torch.eye(4))


def test_stacked_matrices_are_drawn_one_by_one():
    lstm = tw.initialize(nn.LSTM(6, 5), "orthogonal", 0)
    for gate in lstm.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))
    attention = tw.initialize(nn.MultiheadAttention(8, 2), "orthogonal", 0)
    for projection in attention.in_proj_weight.chunk(3):
        torch.testing.assert_close(projection @ projection.T, torch.eye(8))


@pytest.mark.parametrize(
    ("biases", "expected"),
    [(0.0, {0.0}), (0.25, {0.25}), ("constant(-1)", {-1.0}), (lambda b: b.fill_(2.0), {2.0})],
)
def test_biases_are_as_asked(biases, expected):
    drawn = tw.initialize(mlp([3, 4, 2]), "he", 0, biases=biases)
    assert {float(v) for layer in (drawn[0], drawn[2]) for v in layer.bias.detach()} == expected


def test_biases_stay_or_are_drawn():
    model = mlp([3, 400, 2])
    kept = tw.initialize(model, "he", 0, biases=None)
    assert torch.equal(kept[0].bias, model[0].bias)
    assert kept.initialization.left == ("0.bias", "2.bias")
    drawn = tw.initialize(model, "he", 0, biases="uniform(0.1)")[0].bias
    assert 0.09 < float(drawn.detach().abs().max()) <= 0.1


def test_what_was_touched_is_told():
    model = nn.Sequential(
        nn.Embedding(5, 4),
        nn.Linear(4, 4),
        nn.BatchNorm1d(4),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        nn.Linear(4, 3),
        nn.Linear(3, 2),
    )
    model[4].requires_grad_(False)
    drawn = tw.initialize(model, "zeros", 7, biases=None)
    told = drawn.initialization
    assert (told.touched, told.scheme, told.biases, told.seed) == (("1.weight", "5.weight"), "zeros", "as given", 7)
    changed = [k for k, v in drawn.state_dict().items() if not torch.equal(v, model.state_dict()[k])]
    assert tuple(changed) == told.touched
    assert {"0.weight", "2.weight", "4.weight"} < set(told.left)
    assert str(told).startswith("zeros, biases as given, seed 7: 1.weight, 5.weight; left as they were: 0.weight")


def test_half_precision_and_a_function_of_ones_own():
    drawn = tw.initialize(nn.Linear(30, 20).half(), "he", 0)
    wide = tw.initialize(nn.Linear(30, 20), "he", 0)
    assert torch.equal(drawn.weight, wide.weight.half())
    sparse = tw.initialize(nn.Linear(30, 20), lambda w: nn.init.sparse_(w, 0.5), seed=3)
    again = tw.initialize(nn.Linear(30, 20), lambda w: nn.init.sparse_(w, 0.5), seed=3)
    assert torch.equal(sparse.weight, again.weight)
    assert int((sparse.weight == 0).sum()) == 300


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("magic", "Unknown scheme 'magic'; expected one of uniform, normal"),
        ("uniform", "needs a number.*'uniform\\(0.03\\)'"),
        ("normal(wide)", "'wide' in brackets; expected a number"),
        ("zeros(3)", "expected nothing there"),
        ("uniform(inf)", "'inf' in brackets"),
    ],
)
def test_unknown_schemes_are_refused(scheme, message):
    with pytest.raises(ValueError, match=message):
        tw.initialize(nn.Linear(1, 1), scheme)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match="a list; expected a name"):
        tw.initialize(nn.Linear(1, 1), ["he"])
    with pytest.raises(ValueError, match="a bias has no fans"):
        tw.initialize(nn.Linear(1, 1), "he", biases="xavier")
    with pytest.raises(ValueError, match="seed=-1"):
        tw.initialize(nn.Linear(1, 1), "he", -1)
    with pytest.raises(ValueError, match="no matrix or kernel to draw"):
        tw.initialize(nn.LayerNorm(3), "he")
    with pytest.raises(ValueError, match="lazy layers"):
        tw.initialize(nn.LazyLinear(3), "he")
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module"):
        tw.initialize(torch.zeros(3), "he")


@pytest.mark.parametrize("scheme", ["uniform(-1)", "normal(-0.5)", "xavier_normal(-1)", "xavier_uniform(-1)"])
def test_a_negative_width_is_refused(scheme):
    with pytest.raises(ValueError, match="expected a number from 0"):
        tw.initialize(nn.Linear(3, 2), scheme)
