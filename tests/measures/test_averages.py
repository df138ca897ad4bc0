"""Averaged weights, against plain means, torch's own averaging, and a loop that tries every network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import thalweg as tw
from tests.measures.paths import trajectory, walk

FEW = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@FEW
@given(seed=seeds, start=st.integers(0, 90), every=st.integers(1, 5))
def test_the_average_is_the_mean_of_every_so_many_rows_counted_from_the_end(seed, start, every):
    theta = walk(seed, 10, 7)
    chosen = [k for k in range(9, -1, -every) if 10 * k >= start]
    found = tw.average_weights(trajectory(theta, np.arange(10) * 10), start, every)
    np.testing.assert_allclose(found, theta[chosen].mean(0), atol=1e-12)


def test_by_default_the_last_quarter_of_the_run_is_averaged():
    theta = walk(0, 9, 5)
    found = tw.average_weights(trajectory(theta, np.arange(9) * 100))
    np.testing.assert_allclose(found, theta[6:].mean(0), atol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("start", [None, 2])
def test_the_moving_average_is_that_of_torch(decay, start):
    theta = walk(1, 8, 3).astype(np.float32)
    model = nn.Linear(3, 1, bias=False)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for row in theta[start or 0 :]:
        with torch.no_grad():
            model.weight.copy_(torch.as_tensor(row)[None])
        averaged.update_parameters(model)
    found = tw.moving_average(trajectory(theta), decay, start)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, flat(averaged.module), rtol=1e-5, atol=1e-6)


def test_averages_of_large_numbers_are_taken_in_float64():
    theta = np.full((1001, 1), 16777216.0, np.float32)
    theta[0] = 0.0
    assert float(tw.average_weights(trajectory(theta), start=1)) == 16777216.0


def test_a_soup_is_the_mean_of_vectors_state_dicts_and_files(tmp_path):
    models = [network(k) for k in range(3)]
    torch.save(models[1].state_dict(), tmp_path / "one.pt")
    save_file(models[2].state_dict(), tmp_path / "two.safetensors")
    given = [flat(models[0]), models[1].state_dict(), tmp_path / "two.safetensors"]
    expected = torch.stack([flat(model) for model in models])
    np.testing.assert_allclose(tw.soup(given, models[0]), expected.mean(0), atol=1e-7)
    np.testing.assert_allclose(tw.soup([tmp_path / "one.pt"], models[0]), expected[1], atol=0)
    weighted = tw.soup(given, models[0], weights=[1, 0, 3])
    np.testing.assert_allclose(weighted, (expected[0] + 3 * expected[2]) / 4, atol=1e-7)


def test_the_greedy_soup_is_that_of_a_loop(tmp_path):
    """Wortsman et al. (2022), algorithm 1, by hand; on held-out accuracy, and on held-out loss."""
    torch.manual_seed(0)
    x = torch.randn(60, 3)
    data, held_out = (x[:30], (x[:30, 0] > 0).long()), (x[30:], (x[30:, 0] > 0).long())
    model = nn.Linear(3, 2)
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=held_out)
    thetas = [problem.theta + torch.randn(8, generator=torch.Generator().manual_seed(k)) for k in range(7)]

    def value(theta, metric):
        nn.utils.vector_to_parameters(theta, model.parameters())
        with torch.no_grad():
            out = model(held_out[0])
        loss, hits = F.cross_entropy(out, held_out[1]), (out.argmax(1) == held_out[1]).float().mean()
        return float(-loss if metric == "test_loss" else hits)

    for metric in ("test_loss", "test_accuracy"):
        alone = [value(theta, metric) for theta in thetas]
        order = sorted(range(7), key=lambda k: -alone[k])
        chosen = [order[0]]
        for k in order[1:]:
            before, after = (torch.stack([thetas[j] for j in some]).mean(0) for some in (chosen, [*chosen, k]))
            if value(after, metric) >= value(before, metric):
                chosen.append(k)
        found = tw.greedy_soup(problem, thetas, metric)
        assert list(found.chosen) == chosen
        np.testing.assert_allclose(found.theta, torch.stack([thetas[j] for j in chosen]).mean(0), atol=1e-6)
        np.testing.assert_allclose(np.abs(found.value), abs(value(found.theta, metric)), atol=1e-6)
        np.testing.assert_allclose(np.abs(found.values), np.abs(alone), atol=1e-6)


def test_networks_that_diverged_are_left_out_of_a_greedy_soup():
    bowl = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    found = tw.greedy_soup(bowl, [torch.tensor([np.nan, 1.0]), torch.tensor([1.0, 0.0])], "loss")
    assert found.chosen == (1,)
    with pytest.raises(ValueError, match="finite"):
        tw.greedy_soup(bowl, [torch.tensor([np.nan, 1.0])], "loss")


def test_the_average_of_checkpoints_has_a_place_on_their_plane():
    thetas = torch.as_tensor(walk(0, 3, 20))
    place = tw.plane_through(*thetas).project(tw.soup(list(thetas)))
    np.testing.assert_allclose(place.distance, 0.0, atol=1e-12)


def test_statistics_of_batch_normalisation_are_recomputed_for_an_average():
    """The mean of two networks has the running statistics of neither."""
    torch.manual_seed(0)
    x, y = torch.randn(50, 3), torch.randint(2, (50,))
    problem = tw.ModuleProblem(network(0).eval(), (x, y), loss=F.cross_entropy)
    mean = tw.soup([flat(network(0)), flat(network(1))])
    model = network(0)
    nn.utils.vector_to_parameters(mean, model.parameters())
    with torch.no_grad():
        expected = F.cross_entropy(model.train()(x), y)
    found = problem.with_batch_norm("recalibrate").loss(mean)
    assert float(found) == pytest.approx(float(expected), rel=1e-2)
    assert float(problem.loss(mean)) != pytest.approx(float(expected), rel=1e-2)


def test_what_cannot_be_averaged_is_refused(tmp_path):
    recorded, model = trajectory(walk(0, 5, 3)), network()
    with pytest.raises(ValueError, match="No row was recorded from step 9"):
        tw.average_weights(recorded, 9)
    with pytest.raises(ValueError, match="every=0"):
        tw.average_weights(recorded, 0, 0)
    for decay in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="decay"):
            tw.moving_average(recorded, decay)
    with pytest.raises(ValueError, match="0 networks"):
        tw.soup([])
    with pytest.raises(ValueError, match="Network 1 has 4 weights, the first 3"):
        tw.soup([torch.ones(3), torch.ones(4)])
    with pytest.raises(ValueError, match=r"Network 0 came as a tensor of shape \(2,\).* of 34 weights"):
        tw.soup([torch.ones(2)], model)
    with pytest.raises(ValueError, match="say what network"):
        tw.soup([model.state_dict()])
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt does not fit"):
        tw.soup([tmp_path / "other.pt"], model)
    with pytest.raises(ValueError, match="number 0 does not fit"):
        tw.soup([nn.Linear(2, 2).state_dict()], model)
    with pytest.raises(TypeError, match="is a Sequential; expected a vector"):
        tw.soup([model], model)
    bowl = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    with pytest.raises(ValueError, match="no `test_loss`; it has loss"):
        tw.greedy_soup(bowl, [torch.ones(2)])
    with pytest.raises(ValueError, match="No networks"):
        tw.greedy_soup(bowl, [], "loss")
    with pytest.raises(TypeError, match="no named parameters"):
        tw.soup([{"x": torch.ones(1)}], bowl)


def test_a_mean_is_as_wide_as_the_widest_network_and_of_finite_ones():
    found = tw.soup([torch.ones(2).half(), 1e6 * torch.ones(2).double()])
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, 500000.5)
    with pytest.raises(ValueError, match="Network 1 has weights that are not finite"):
        tw.soup([torch.ones(2), torch.tensor([np.nan, 1.0])])
    with pytest.raises(ValueError, match="a mean needs"):
        tw.soup([torch.ones(2), torch.ones(2)], weights=[np.inf, 1.0])


def test_which_way_a_metric_is_better_is_known_of_losses_and_accuracies_alone():
    def error(outputs, targets):
        return (outputs[:, 0] - targets).square()

    x = torch.ones(4, 1)
    problem = tw.ModuleProblem(
        nn.Linear(1, 1), (x, x[:, 0]), loss=lambda o, y: F.mse_loss(o[:, 0], y), metrics={"error": error}
    )
    good, bad = torch.tensor([1.0, 0.0]), torch.tensor([5.0, 0.0])
    with pytest.raises(ValueError, match="`error` is better is not known"):
        tw.greedy_soup(problem, [bad, good], "error")
    assert tw.greedy_soup(problem, [bad, good], "error", maximize=False).chosen == (1,)
    assert tw.greedy_soup(problem, [bad, good], "error", maximize=True).chosen == (0,)
