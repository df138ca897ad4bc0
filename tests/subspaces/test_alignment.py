"""Weight matching: planted permutations are recovered, what is found cannot be improved, barriers fall."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.subspaces.permutations.networks import IMAGES, images, network, randomized


def mlp(*widths, seed=0):
    layers = [layer for n, m in itertools.pairwise(widths) for layer in (nn.Linear(n, m), nn.ReLU())]
    return randomized(nn.Sequential(nn.Flatten(), *layers[:-1]), seed)


def weights(spec, seed):
    return torch.randn(spec.layout.num_weights, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def barrier(problem, a, b, quantity="loss", points=25):
    """Greatest height of the loss above the straight line between its ends."""
    t = np.linspace(0.0, 1.0, points)
    along = tw.loss_surface(problem, tw.Segment(a, b), t=t, progress=False)[quantity].values
    return float((along - (1 - t) * along[0] - t * along[-1]).max())


# --- planted permutations ---


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_a_planted_permutation_is_recovered(name):
    """A copy whose units were renumbered comes back to the bit, buffers too."""
    model = network(name)
    spec = tw.permutation_spec(model, images())
    state = model.state_dict()
    planted = {group: np.arange(units)[::-1] for group, units in spec.sizes.items()}
    alignment = tw.match_weights(spec, state, spec.permute(state, planted), tries=20)
    assert torch.equal(alignment.theta, spec.layout.flatten(state))
    assert alignment.similarity_after == pytest.approx(1.0, abs=1e-12)
    assert alignment.similarity_before < 0.9
    back = alignment.apply(spec.permute(state, planted))
    assert all(torch.equal(back[key], tensor) for key, tensor in state.items())
    for group, index in planted.items():
        assert np.array_equal(index[alignment.permutations[group]], np.arange(len(index)))


@given(seed=st.integers(0, 10_000), width=st.integers(2, 30), noise=st.floats(0, 0.05))
def test_a_planted_permutation_of_one_layer_is_recovered_through_noise(seed, width, noise):
    """With one hidden layer the assignment is solved exactly, so that no start or order matters."""
    spec = tw.permutation_spec(mlp(64, width, 3), images())
    a = weights(spec, seed)
    b = spec.permute(a + noise * weights(spec, seed + 1), spec.random(seed))
    alignment = tw.match_weights(spec, a, b, seed=seed)
    torch.testing.assert_close(alignment.theta, a, rtol=0, atol=6 * noise + 1e-15)


def test_two_permuted_copies_align_to_no_barrier():
    """The network is right by construction: its classes are its own answers."""
    model = network("lenet")
    model[8].weight.data *= 10
    x = images(40)
    problem = tw.ModuleProblem(model, (x, model(x).argmax(1)), loss=F.cross_entropy)
    spec = tw.permutation_spec(problem)
    a = problem.theta
    b = spec.permute(a, spec.random(seed=1))
    assert float(problem.loss(a)) == pytest.approx(float(problem.loss(b)), rel=1e-12)
    assert barrier(problem, a, b) > 0.1
    assert torch.equal(tw.match_weights(problem, a, b).theta, a)
    near = b + 1e-8 * weights(spec, seed=2)  # a segment needs two ends
    assert abs(barrier(problem, a, tw.match_weights(problem, a, near).theta)) < 1e-7


def test_the_function_is_preserved_with_the_state():
    """Running statistics travel: the aligned state computes what the network computed."""
    first, second = network("resnet", seed=0), network("resnet", seed=1)
    problem = tw.ModuleProblem(first, (images(6), torch.arange(6) % 3), loss=F.cross_entropy)
    alignment = tw.match_weights(problem, first.state_dict(), second.state_dict())
    aligned = problem.with_state(alignment.apply(second.state_dict()))
    x = images(4, seed=9)
    torch.testing.assert_close(aligned.predict(aligned.theta, x), second(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(aligned.theta, alignment.theta, rtol=0, atol=0)
    assert not torch.equal(aligned.theta, problem.with_state(second.state_dict()).theta)


def test_weights_alone_preserve_the_loss_where_statistics_are_recomputed():
    first, second = network("resnet", seed=0), network("resnet", seed=1)
    data = (images(12), torch.arange(12) % 3)
    problem = tw.ModuleProblem(first, data, loss=F.cross_entropy, batch_norm="recalibrate")
    b = problem.with_state(second.state_dict()).theta
    alignment = tw.match_weights(problem, problem.theta, b)
    assert alignment.similarity_after > alignment.similarity_before
    measured = problem.measure(torch.stack([b, alignment.theta])).values["loss"]
    assert float(measured[0]) == pytest.approx(float(measured[1]), rel=1e-10)


# --- optimality, by trying everything ---


@given(seed=st.integers(0, 10_000))
def test_one_layer_is_matched_as_well_as_any_of_all_permutations_would(seed):
    spec = tw.permutation_spec(mlp(64, 4, 2), images())
    a, b = weights(spec, seed), weights(spec, seed + 1)
    best = max(float(a @ spec.permute(b, {"1": index})) for index in itertools.permutations(range(4)))
    alignment = tw.match_weights(spec, a, b)
    assert float(a @ alignment.theta) == pytest.approx(best, rel=1e-12)
    assert alignment.similarity_after == pytest.approx(best / float(a.norm() * b.norm()), rel=1e-12)


@given(seed=st.integers(0, 10_000))
def test_no_other_permutation_of_a_single_layer_improves_what_was_found(seed):
    spec = tw.permutation_spec(mlp(64, 4, 4, 3, 2), images())
    a, b = weights(spec, seed), weights(spec, seed + 1)
    alignment = tw.match_weights(spec, a, b, seed=seed)
    for group, units in spec.sizes.items():
        for index in itertools.permutations(range(units)):
            other = {**alignment.permutations, group: np.array(index)}
            assert float(a @ spec.permute(b, other)) <= float(a @ alignment.theta) + 1e-9


@pytest.mark.parametrize("name", ["lenet", "resnet", "channels last", "generator", "groups"])
def test_no_swap_of_two_units_improves_what_was_found(name):
    spec = tw.permutation_spec(network(name), images())
    a, b = weights(spec, 0), weights(spec, 1)
    alignment = tw.match_weights(spec, a, b)
    for group, units in spec.sizes.items():
        for i, j in itertools.combinations(range(units), 2):
            index = alignment.permutations[group].copy()
            index[[i, j]] = index[[j, i]]
            other = spec.permute(b, {**alignment.permutations, group: index})
            assert float(a @ other) <= float(a @ alignment.theta) + 1e-9


@given(seed=st.integers(0, 10_000))
def test_alignment_never_makes_it_worse_even_where_a_group_lies_on_both_axes(seed):
    spec = tw.permutation_spec(network("twice"), images())
    a, b = weights(spec, seed), weights(spec, seed + 1)
    alignment = tw.match_weights(spec, a, b, seed=seed)
    assert float(a @ alignment.theta) == pytest.approx(alignment.similarity_after * float(a.norm() * b.norm()))
    assert alignment.similarity_after >= alignment.similarity_before


def test_more_tries_are_never_worse_and_the_seed_decides():
    spec = tw.permutation_spec(mlp(64, 6, 6, 6, 2), images())
    a, b = weights(spec, 0), weights(spec, 1)
    found = [tw.match_weights(spec, a, b, seed=3, tries=n) for n in (1, 4, 12)]
    assert found[0].similarity_after <= found[1].similarity_after <= found[2].similarity_after
    again = tw.match_weights(spec, a, b, seed=3, tries=12)
    assert torch.equal(again.theta, found[2].theta)


def test_a_network_without_hidden_units_stays():
    spec = tw.permutation_spec(randomized(nn.Sequential(nn.Flatten(), nn.Linear(64, 3))), images())
    a, b = weights(spec, 0), weights(spec, 1)
    alignment = tw.match_weights(spec, a, b)
    assert alignment.permutations == {}
    assert torch.equal(alignment.theta, b)


# --- refusals ---


def test_other_networks_are_refused():
    spec = tw.permutation_spec(mlp(64, 5, 3), images())
    a, other = mlp(64, 5, 3), mlp(64, 6, 3)
    with pytest.raises(ValueError, match=r"state `b` is of another network.*1.weight \(6, 64\)"):
        tw.match_weights(spec, a.state_dict(), other.state_dict())
    with pytest.raises(ValueError, match=r"extra is not in the network"):
        tw.match_weights(spec, a, {**a.state_dict(), "extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"`b` has shape \(7,\), but the network of the specification has 343"):
        tw.match_weights(spec, a, torch.zeros(7))
    with pytest.raises(ValueError, match="expected one weight vector"):
        tw.match_weights(spec, a, torch.zeros(2, 343))
    with pytest.raises(ValueError, match="1 of the 343 weights of `a` are not finite"):
        tw.match_weights(spec, torch.tensor([float("nan")] + [0.0] * 342), torch.zeros(343))
    with pytest.raises(ValueError, match=r"tries=0; expected a whole number from 1"):
        tw.match_weights(spec, a, a, tries=0)
    with pytest.raises(TypeError, match=r"is a Sequential\. Pass a ModuleProblem"):
        tw.match_weights(a, a, a)


# --- trained networks ---


def trained(width, seed, data, epochs=20):
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    )
    inputs, targets = data
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for _ in range(epochs):
        for index in torch.randperm(len(targets)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[index]), targets[index]).backward()
            optimizer.step()
    return model.eval()


@pytest.mark.slow
def test_aligned_barriers_fall_towards_zero_as_networks_get_wider_and_others_stay():
    """Ainsworth et al. (2022), section 5, figure 3; Entezari et al. (2021), arXiv:2110.06296."""
    train, test = tw.landscapes.digits()
    before, after = [], []
    for width in (16, 64, 256, 512):
        first, second = (trained(width, seed, train) for seed in (1, 2))
        problem = tw.ModuleProblem(first, train, loss=F.cross_entropy, test_data=test)
        b = problem.with_state(second.state_dict()).theta
        aligned = tw.match_weights(problem, problem.theta, b).theta
        assert float(problem.loss(aligned)) == pytest.approx(float(problem.loss(b)), rel=1e-4)
        before.append(barrier(problem, problem.theta, b))
        after.append(barrier(problem, problem.theta, aligned))
    assert min(before) > 0.3
    assert after[0] > after[1] > after[-1]
    assert max(after[2:]) < 0.03
    assert max(after) < 0.25


# --- what cannot be aligned ---


def test_frozen_parameters_are_shared():
    """Weights alone would carry over into a network with another frozen part."""
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        model[2].requires_grad_(False)
        states.append(model.state_dict())
    model = model.eval()
    spec = tw.permutation_spec(model, torch.randn(2, 3))
    with pytest.raises(ValueError, match=r"frozen parameters 2.bias, 2.weight of `a` and `b` differ"):
        tw.match_weights(spec, *states)
    tw.match_weights(spec, states[0], {**states[1], **{k: v for k, v in states[0].items() if k.startswith("2")}})


def test_a_tied_parameter_may_come_under_any_of_its_names():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.out = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
            self.out.weight = self.into.weight

        def forward(self, x):
            return self.out(self.into(x).relu())

    model = Tied()
    spec = tw.permutation_spec(model, torch.randn(3, 4))
    state = model.state_dict()
    for dropped in ("into.weight", "out.weight"):
        part = {name: value for name, value in state.items() if name != dropped}
        assert torch.equal(tw.match_weights(spec, part, model).theta, spec.layout.flatten(state))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 0.5}, {"tries": 0}, {"tries": 1.5}, {"tries": True}])
def test_numbers_that_do_not_count(wrong):
    spec = tw.permutation_spec(mlp(64, 4, 2), images())
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value}; expected a whole number"):
        tw.match_weights(spec, weights(spec, 0), weights(spec, 1), **wrong)
