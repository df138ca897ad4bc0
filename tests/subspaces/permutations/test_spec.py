"""Specifications in one's own words, and how they move weights."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.subspaces.permutations.networks import IMAGES, images, network
from thalweg.weights import Layout

LENET = {
    **{"0.weight": ("a", None, None, None), "0.bias": ("a",), "3.weight": ("b", "a", None, None), "3.bias": ("b",)},
    **{"6.weight": ("c", "b"), "6.bias": ("c",), "8.weight": (None, "c"), "8.bias": None},
}


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_what_was_found_can_be_declared(name):
    model = network(name)
    found = tw.permutation_spec(model, images())
    declared = tw.PermutationSpec.declare(model, found.declaration, images(), sizes=found.sizes)
    assert declared.axes == found.axes


def test_a_permutation_moves_what_a_loop_moves():
    """Channel by channel, with 4 pixels each after flattening."""
    model = network("lenet")
    spec = tw.PermutationSpec.declare(model, LENET, images())
    pi = spec.random(seed=3)
    state = model.state_dict()
    moved = spec.permute(state, pi)
    for i in range(10):
        for j in range(6):
            for pixel in range(4):
                source = state["6.weight"][pi["c"][i], pi["b"][j] * 4 + pixel]
                assert moved["6.weight"][i, j * 4 + pixel] == source
    assert torch.equal(moved["8.bias"], state["8.bias"])
    theta = Layout.of(model).flatten(state)
    assert torch.equal(spec.permute(theta, pi), spec.layout.flatten(moved))


@given(seed=st.integers(0, 10_000), name=st.sampled_from(["lenet", "dense", "groups", "twice"]))
def test_permutations_are_a_group(seed, name):
    """One after the other is their product, the inverse undoes, lengths and angles stay; stacks and slopes follow."""
    spec = tw.permutation_spec(network(name), images())
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(2, spec.layout.num_weights, generator=generator, dtype=torch.double, requires_grad=True)
    first, second = spec.random(seed), spec.random(seed + 1)
    both = {group: first[group][second[group]] for group in first}
    moved = spec.permute(spec.permute(theta, first), second)
    assert torch.equal(moved, spec.permute(theta, both))
    assert torch.equal(spec.permute(moved, {group: np.argsort(index) for group, index in both.items()}), theta)
    torch.testing.assert_close(moved[0] @ moved[1], theta[0] @ theta[1], rtol=1e-12, atol=1e-12)
    weights = torch.randn(theta.shape, generator=generator, dtype=torch.double)
    (slope,) = torch.autograd.grad((spec.permute(theta, first) * spec.permute(weights, first)).sum(), theta)
    assert torch.equal(slope, weights)


def test_narrow_dtypes_are_kept():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(torch.bfloat16)
    words = {"0.weight": ("h", None), "0.bias": "h", "2.weight": (None, "h"), "2.bias": None}
    spec = tw.PermutationSpec.declare(model, words)
    theta = torch.randn(spec.layout.num_weights)  # wider than the parameters: nothing may be rounded
    moved = spec.permute(theta, {"h": [3, 2, 1, 0]})
    assert torch.equal(moved.sort().values, theta.sort().values)
    assert spec.permute(model.state_dict(), {})["0.weight"].dtype == torch.bfloat16


# --- refusals ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"6.weight": ("c", None)}, "declared specification is wrong: permuting units by it changes the outputs"),
        ({"8.bias": ("c",)}, "Axis 0 of `6.weight` has 10 entries, which 3 of 'c' units do not divide"),
        ({"6.weight": ("c",)}, r"`6.weight` has 2 axes, shape \(10, 24\), but 1 are declared"),
        ({"7.weight": ("c",)}, "no parameters or buffers `7.weight`; it has `0"),
        ({"6.weight": ("c", ("b", "d"))}, "size of the group 'd' is not known"),
        ({"6.weight": ("c", 2.5)}, "declared with 2.5"),
    ],
)
def test_a_wrong_declaration_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        tw.PermutationSpec.declare(network("lenet"), {**LENET, **change}, images())


def test_a_wrong_declaration_of_a_new_network_is_refused_although_its_biases_are_zero():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.zeros_(model[1].bias)
    words = {"1.weight": ("h", None), "1.bias": None, "3.weight": (None, "h"), "3.bias": None}
    with pytest.raises(ValueError, match="is wrong"):
        tw.PermutationSpec.declare(model, words, images().float())


def test_every_tensor_has_to_be_declared():
    with pytest.raises(ValueError, match=r"`8.bias` with shape \(3,\) is not declared"):
        tw.PermutationSpec.declare(network("lenet"), {k: v for k, v in LENET.items() if k != "8.bias"})


def test_what_is_no_permutation_is_refused():
    spec = tw.PermutationSpec.declare(network("lenet"), LENET)
    theta = torch.zeros(spec.layout.num_weights)
    for index in ([0, 1, 2, 2], [0, 1, 2], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match="each number from 0 to 3 once"):
            spec.permute(theta, {"a": index})
    with pytest.raises(ValueError, match="no group 'z'; the groups are a, b, c"):
        spec.permute(theta, {"z": [0]})
    with pytest.raises(ValueError, match=r"`theta` has shape \(\d+,\)"):
        spec.permute(theta[:-1], {})
    with pytest.raises(ValueError, match="tensors that the network has not: other"):
        spec.permute({"other": theta}, {})
    with pytest.raises(ValueError, match=r"`0.bias` has shape \(5,\)"):
        spec.permute({"0.bias": theta[:5]}, {})
