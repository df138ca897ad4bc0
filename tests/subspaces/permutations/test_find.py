"""Permutation symmetries found in networks: they leave the function alone, and they are all that one expects."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.subspaces.permutations.networks import IMAGES, Lambda, ResNet, images, network, randomized, table


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_a_random_permutation_leaves_the_outputs_alone_and_moves_the_weights(name):
    model, x = network(name), images(seed=5)
    spec = tw.permutation_spec(model, images())
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    before = model(x)
    backwards = {group: np.arange(units)[::-1] for group, units in spec.sizes.items()}
    for permutations in (backwards, spec.random(1), spec.random(2)):
        moved = spec.permute(state, permutations)
        model.load_state_dict(moved)
        torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)
    moved = spec.permute(state, backwards)
    assert any(not torch.equal(moved[key], state[key]) for key in state)


@given(
    kinds=st.lists(
        st.sampled_from(["conv", "norm", "relu", "residual", "depthwise", "join", "pool", "squeeze"]), max_size=6
    ),
    seed=st.integers(0, 1000),
)
def test_networks_put_together_at_random_keep_their_function(kinds, seed):
    """Channels grow by joining; every block keeps the size of the image."""
    layers, channels = [nn.Conv2d(1, 4, 3, padding=1)], 4
    for kind in kinds:
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        layers.append(
            {
                "conv": conv,
                "norm": nn.BatchNorm2d(channels),
                "relu": nn.ReLU(),
                "residual": Lambda(lambda self, x: x + self.a(x).tanh(), a=conv),
                "depthwise": nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
                "join": Lambda(lambda self, x: torch.cat([x, self.a(x)], 1), a=conv),
                "pool": nn.MaxPool2d(3, 1, 1),
                "squeeze": Lambda(lambda self, x: x * self.a(x.mean((2, 3), keepdim=True)).sigmoid(), a=conv),
            }[kind]
        )
        channels *= 2 if kind == "join" else 1
    model = randomized(nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * channels, 2)), seed)
    spec = tw.permutation_spec(model, images())
    assert spec.sizes["0"] == 4
    x = images(seed=seed)
    before = model(x)
    model.load_state_dict(spec.permute(model.state_dict(), spec.random(seed)))
    torch.testing.assert_close(model(x), before, rtol=1e-11, atol=1e-11)


# --- what is expected, written by hand ---


def test_units_of_an_mlp_are_free_but_for_inputs_and_outputs():
    assert tw.permutation_spec(network("mlp"), images()).declaration == {
        **{"1.weight": ("1", None), "1.bias": ("1",), "3.weight": ("3", "1"), "3.bias": ("3",)},
        **{"5.weight": (None, "3"), "5.bias": (None,)},
    }


def test_pixels_travel_with_their_channel_when_a_convolution_is_flattened():
    spec = tw.permutation_spec(network("lenet"), images())
    assert spec.sizes == {"0": 4, "3": 6, "6": 10}
    (rows,), (columns,) = spec.axes["6.weight"]
    assert rows == ("6", 10, 1)
    assert columns == ("3", 6, 4)


def test_a_residual_stream_is_one_group_until_it_is_projected():
    spec = tw.permutation_spec(network("resnet"), images())
    assert spec.sizes == {
        "stem": 6,
        "blocks.0.conv1": 6,
        "blocks.1.conv1": 12,
        "blocks.1.conv2": 12,
        "blocks.2.conv1": 12,
    }
    words = spec.declaration
    assert words["blocks.0.conv2.weight"] == ("stem", "blocks.0.conv1", None, None)
    assert words["blocks.1.shortcut.0.weight"] == ("blocks.1.conv2", "stem", None, None)
    assert words["blocks.2.norm2.running_var"] == words["blocks.2.norm2.bias"] == ("blocks.1.conv2",)
    assert words["fc.weight"] == (None, "blocks.1.conv2")


def test_depthwise_and_grouped_layers_keep_what_belongs_together():
    spec = tw.permutation_spec(network("groups"), images())
    words = spec.declaration
    assert words["0.weight"][0] == words["1.weight"][0] == ("0", "0#2")  # two normalisation groups of three channels
    assert spec.axes["3.weight"][0] == (("0", 3, 2), ("0#2", 3, 2))  # each channel has two successors
    assert words["5.weight"] == (None, ("0", "0#2"), None, None)  # a grouped convolution holds its inputs
    assert words["6.weight"] == (("6", "6#2"), None, None, None)


def test_other_structures_have_the_groups_that_one_expects():
    sizes = {name: tw.permutation_spec(network(name), images()).sizes for name in IMAGES}
    assert sizes["dense"] == {"a": 3, "b": 4}
    assert sizes["generator"] == {"a": 6, "b": 4}
    assert sizes["channels last"] == {"conv": 4}
    assert sizes["padded shortcut"] == {"a": 4}  # with two channels of zeros on both sides, which are tied to zeros
    assert sizes["twice"] == {"a": 6}
    assert sizes["attention"] == {"place": 8, "qkv": 2}  # the stream, and whole heads
    assert sizes["normalised"] == {"1": 8, "4": 8, "6": 6}
    assert tw.permutation_spec(randomized(table()), torch.arange(6).view(2, 3)).sizes == {"words": 6}


def test_parameters_that_are_not_trained_or_not_used_stay():
    model = network("mlp")
    model[1].weight.requires_grad_(False)
    assert tw.permutation_spec(model, images()).sizes == {"3": 5}
    model = randomized(Lambda(lambda self, x: self.a(x.flatten(1)), a=nn.Linear(64, 3), unused=nn.Linear(4, 4)))
    assert tw.permutation_spec(model, images()).sizes == {}


def test_a_problem_brings_its_own_inputs_and_stays_as_it_was():
    model = network("resnet")
    problem = tw.ModuleProblem(model, (images(4), torch.arange(4) % 3), loss=F.cross_entropy)
    before = problem.theta, problem.loss(problem.theta)
    assert tw.permutation_spec(problem).declaration == tw.permutation_spec(model, images()).declaration
    assert torch.equal(problem.theta, before[0])
    assert problem.loss(problem.theta) == before[1]


def test_a_problem_with_a_step_of_its_own_is_watched_in_it():
    model = network("mlp").float()
    batches = [{"image": images(4).float(), "class": torch.arange(4) % 3}]

    def step(model, batch):
        return F.cross_entropy(model(batch["image"]), batch["class"], reduction="none")

    assert tw.permutation_spec(tw.ModuleProblem(model, batches, step=step)).sizes == {"1": 7, "3": 5}


def test_the_model_is_left_as_it_was():
    model = network("resnet").train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    tw.permutation_spec(model, images())
    assert model.training
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_python_between_the_layers_may_depend_on_shapes():
    def forward(self, x):
        for layer in self.layers[: x.shape[0]]:
            x = layer(x.reshape(x.size(0), -1))
        return x if len(x) > 1 else x * 2

    model = Lambda(forward, layers=nn.ModuleList([nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)]))
    assert tw.permutation_spec(randomized(model), images()).sizes == {"layers.0": 5}


# --- refusals ---


@pytest.mark.parametrize(
    ("layer", "name", "operation"),
    [
        (nn.MultiheadAttention(8, 2, batch_first=True), "MultiheadAttention", "multi_head_attention_forward"),
        (nn.LSTM(8, 8, batch_first=True), "LSTM", "lstm"),
        (nn.LocalResponseNorm(2), "LocalResponseNorm", "local_response_norm"),
    ],
)
def test_an_unknown_module_is_named_or_held(layer, name, operation):
    def forward(self, x):
        y = self.a(x.squeeze(1))
        y = self.odd(y, y, y)[0] if operation.startswith("multi") else self.odd(y)
        y = y[0] if isinstance(y, tuple) else y
        return self.c(self.b(y).relu())

    model = randomized(Lambda(forward, a=nn.Linear(8, 8), odd=layer, b=nn.Linear(8, 6), c=nn.Linear(6, 3)))
    with pytest.raises(ValueError, match=rf"module `odd` \({name}\) calls `{operation}`.*PermutationSpec.declare"):
        tw.permutation_spec(model, images())
    assert tw.permutation_spec(model, images(), unknown="freeze").sizes == {"b": 6}


def test_values_that_leave_torch_are_refused():
    class Through(nn.Module):
        def forward(self, x):
            return torch.as_tensor(x.detach().numpy() ** 2)

    with pytest.raises(ValueError, match=r"module `2` \(Through\) calls `numpy`"):
        tw.permutation_spec(
            randomized(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), Through(), nn.Linear(4, 2))), images()
        )


def test_a_wrong_trace_would_be_found_by_the_check(monkeypatch):
    from thalweg.subspaces.permutations import find, rules

    wrong = {**rules.RULES, "batch_norm": lambda trace, result, input, *_, **__: trace.labels(input)}
    monkeypatch.setattr(find, "RULES", wrong)
    with pytest.raises(ValueError, match="What was found by tracing is wrong"):
        tw.permutation_spec(ResNet().double(), images())  # new: all scales 1, all shifts 0


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="example_inputs"):
        tw.permutation_spec(network("mlp"))
    with pytest.raises(TypeError, match="is a FunctionProblem"):
        tw.permutation_spec(tw.FunctionProblem(lambda x, y: x * y))
    with pytest.raises(ValueError, match="'refuse' or 'freeze'"):
        tw.permutation_spec(network("mlp"), images(), unknown="guess")
