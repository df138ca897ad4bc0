"""What cannot be descended is refused before anything is computed, in words that say what to do."""

import numpy as np
import pytest
import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw

from . import naive
from .naive import sgd


class Counting(tw.FunctionProblem):
    """Counts evaluations."""

    calls = 0

    def value_and_gradient(self, *args, **kwargs):
        self.calls += 1
        return super().value_and_gradient(*args, **kwargs)


@pytest.fixture
def bowl():
    return Counting(lambda x, y: x**2 + y**2)


def refused(problem, error, match, starts=((1.0, 2.0),), optimizer=None, steps=3, **options):
    with pytest.raises(error, match=match):
        tw.descend(problem, starts, sgd() if optimizer is None else optimizer, steps, **options)
    assert getattr(problem, "calls", 0) == 0, "something was computed before the refusal"


@pytest.mark.parametrize(
    "starts", [3.0, [1.0], [1.0, 2.0, 3.0], np.zeros((4, 3)), torch.zeros(2, 5, 1), [], np.zeros((0, 2))]
)
def test_starts_of_another_number_of_weights(bowl, starts):
    refused(bowl, ValueError, r"starts have shape .*; expected \(\.\.\., 2\).*`grid_starts`", starts=starts)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_starts_that_are_not_finite(bowl, bad):
    refused(bowl, ValueError, "2 of the 3 starts have non-finite", starts=[[1.0, bad], [1.0, 2.0], [bad, bad]])


def test_starts_beyond_the_range_of_the_weights():
    single = Counting(lambda x, y: x**2 + y**2, dtype=torch.float32)
    refused(single, ValueError, "1 of the 2 starts have non-finite", starts=[[1e39, 0.0], [1.0, 1.0]])


@pytest.mark.parametrize("name", ["steps", "every"])
@pytest.mark.parametrize("value", [0, -3, 2.5, True, "10", None, np.nan])
def test_steps_that_are_no_number_of_steps(bowl, name, value):
    refused(bowl, ValueError, f"{name}=.*whole number from 1", **{name: value})


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_that_is_none(bowl, seed):
    refused(bowl, ValueError, "seed=.*whole number from 0", seed=seed)


@pytest.mark.parametrize("noise", [-0.1, np.nan, np.inf, "0.1", None])
def test_noise_without_a_spread(bowl, noise):
    refused(bowl, ValueError, "noise=.*standard deviation", noise=noise)


def test_noise_may_be_any_kind_of_number(bowl):
    for noise in (0, 1, np.float32(0.5), np.float64(0.5)):
        assert tw.descend(bowl, [1.0, 2.0], sgd(), 2, noise=noise).attrs["noise"] == float(noise)


@pytest.mark.parametrize(
    ("optimizer", "error", "match"),
    [
        (optim.SGD([torch.zeros(2)], lr=0.1), TypeError, "`optimizer` is a SGD; expected a function.*`lambda w:"),
        ("SGD", TypeError, "`optimizer` is a str"),
        (lambda w: w, TypeError, "`optimizer` returned a list; expected a torch.optim.Optimizer"),
        (lambda w: optim.SGD, TypeError, "`optimizer` returned a type"),
        (lambda w: optim.SGD(w, lr=-0.1), ValueError, "refuses its settings: Invalid learning rate: -0.1"),
        (lambda w: optim.Adam(w, betas=(1.5, 0.9)), ValueError, "refuses its settings: Invalid beta"),
        (lambda w: optim.SGD(w, lr=0.1, nesterov=True), ValueError, "refuses its settings: Nesterov"),
        (lambda w: optim.SGD([torch.zeros(1, 2)], lr=0.1), ValueError, "made over the weights it is given"),
        (lambda w: optim.SGD([*w, torch.zeros(1)], lr=0.1), ValueError, "made over the weights it is given"),
        (lambda w: optim.Muon(w, lr=0.1), ValueError, "2D"),
        (lambda w: optim.Adam(w, learning_rate=0.1), TypeError, "learning_rate"),
    ],
)
def test_what_makes_no_optimizer(bowl, optimizer, error, match):
    refused(bowl, error, match, optimizer=optimizer)


@pytest.mark.parametrize(
    ("scheduler", "error", "match"),
    [
        (
            schedules.ReduceLROnPlateau,
            ValueError,
            "ReduceLROnPlateau looks at the loss.*one start at a time",
        ),
        (lambda o: 0.1, TypeError, "`scheduler` gave a float; expected a function of the optimiser"),
        (0.1, TypeError, "`scheduler` gave a float"),
        (lambda o: o, TypeError, "`scheduler` gave a SGD"),
        (
            lambda o: schedules.LambdaLR(o, lambda k: 1.0 - k),
            ValueError,
            "learning rate to -0.1; it must not be negative",
        ),
    ],
)
def test_what_makes_no_scheduler(bowl, scheduler, error, match):
    with pytest.raises(error, match=match):
        tw.descend(bowl, [1.0, 2.0], sgd(), 5, scheduler=scheduler)


def test_a_scheduler_of_another_optimizer(bowl):
    """It would change the rate of an optimiser that moves nothing."""
    stranger = schedules.StepLR(sgd()([torch.zeros(2)]), 1)
    refused(bowl, ValueError, "optimiser", scheduler=lambda o: stranger)


@pytest.mark.parametrize("size", [1, 5])
def test_a_mini_batch_of_a_function(bowl, size):
    refused(bowl, ValueError, "no examples to make a mini-batch of; leave out `batch_size`", batch_size=size)


@pytest.mark.parametrize("size", [0, -1, 12, 2.5, True])
def test_a_mini_batch_of_more_examples_than_there_are(size):
    problem = tw.ModuleProblem(naive.network(), naive.regression(11), loss=F.mse_loss)
    refused(problem, ValueError, "whole number from 1 to 11", starts=problem.theta, batch_size=size)


def test_a_mini_batch_of_data_that_are_streamed():
    loader = DataLoader(TensorDataset(*naive.regression(11)), batch_size=4)
    problem = tw.ModuleProblem(naive.network(), loader, loss=F.mse_loss, memory=0)
    refused(problem, ValueError, "do not fit in memory.*Leave out `batch_size`", starts=problem.theta, batch_size=4)
    assert tw.descend(problem, problem.theta, sgd(), 2).sizes["step"] == 3


def test_a_mini_batch_of_examples_that_depend_on_each_other():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1)).double()
    problem = tw.ModuleProblem(model, naive.regression(11), loss=F.mse_loss)
    refused(problem, ValueError, "which others share its batch", starts=problem.theta, batch_size=4)


def test_recalibrated_batch_norm():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).double().eval()
    problem = tw.ModuleProblem(model, naive.regression(11), loss=F.mse_loss, batch_norm="recalibrate")
    refused(problem, ValueError, "recalibrate.*has no gradient", starts=problem.theta)


@pytest.mark.parametrize("every", [1, 100])
def test_more_iterates_than_fit_in_memory(bowl, every):
    """The advice, followed, is enough."""
    with pytest.raises(ValueError, match=r"need [\d.]+ GiB\. Keep fewer: `every=\d+`") as caught:
        tw.descend(bowl, np.ones((10_000, 2)), sgd(), 3_000_000 * every, every=every)
    assert bowl.calls == 0
    advised = int(str(caught.value).split("every=")[1].split("`")[0])
    assert advised > every
    kept = 3_000_000 * every // advised + 2
    assert kept * 10_000 * 2 * 16 <= 2**33


def test_a_bare_network():
    refused(naive.network(), TypeError, r"ModuleProblem\(model, data, loss=")


def test_outcomes_of_what_is_no_descent(bowl):
    surface = tw.loss_surface(bowl, tw.coordinate_plane(bowl), extent=1.0, points=3)
    with pytest.raises(ValueError, match="kind 'surface'; outcomes belong to a descent"):
        tw.outcomes(surface, bowl)


def test_outcomes_of_a_descent_of_another_problem(bowl):
    paths = tw.descend(bowl, [1.0, 2.0], sgd(), 2)
    other = tw.FunctionProblem(lambda x, y, z: x**2 + y**2 + z**2)
    with pytest.raises(ValueError, match="descent has 2 weights, the problem 3"):
        tw.outcomes(paths, other)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.0, np.nan])
def test_outcomes_with_a_tolerance_that_is_none(bowl, tolerance):
    paths = tw.descend(bowl, [1.0, 2.0], sgd(), 2)
    with pytest.raises(ValueError, match=r"tolerance=.*fraction of the spread"):
        tw.outcomes(paths, bowl, tolerance=tolerance)


@pytest.mark.parametrize(
    ("branches", "match"),
    [
        ({"low": ("minima", lambda t: t[:, 0] > 0)}, "minima"),
        ({"low": lambda t: t[:, 0] > 0}, "low"),
        ({"low": ("minimum", lambda t: np.ones((len(t), 2), dtype=bool))}, "low"),
    ],
)
def test_outcomes_with_branches_that_are_none(bowl, branches, match):
    """A kind that there is not, a predicate without a kind, and one that gives two answers for each point."""
    paths = tw.descend(bowl, [[1.0, 2.0], [2.0, 1.0]], sgd(), 50)
    with pytest.raises((ValueError, TypeError), match=match):
        tw.outcomes(paths, bowl, branches=branches)


@pytest.mark.parametrize("settle", [-1, 2.5, "10"])
def test_outcomes_that_settle_for_no_number_of_steps(bowl, settle):
    paths = tw.descend(bowl, [[1.0, 2.0], [2.0, 1.0]], sgd(), 2)
    with pytest.raises((ValueError, TypeError), match="settle="):
        tw.outcomes(paths, bowl, settle=settle)


def test_a_descent_projected_onto_a_subspace_of_another_problem(bowl):
    paths = tw.descend(bowl, [1.0, 2.0], sgd(), 2)
    with pytest.raises(ValueError, match="cannot be projected onto a subspace of 3 weights"):
        tw.project_trajectory(paths, tw.Plane(np.zeros(3), np.eye(3)[0], np.eye(3)[1]))
