"""What cannot be answered is refused before anything is computed, in words that name it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw


class Counting(tw.FunctionProblem):
    """Counts calls of `measure`."""

    calls = 0

    def measure(self, *args, **kwargs):
        self.calls += 1
        return super().measure(*args, **kwargs)


@pytest.fixture
def bowl():
    return Counting(lambda x, y: x**2 + y**2)


def refused(problem, subspace, error, match, **asked):
    with pytest.raises(error, match=match):
        tw.loss_surface(problem, subspace, **asked)
    assert problem.calls == 0, "something was computed before the refusal"


def test_a_subspace_of_another_network(bowl):
    refused(bowl, tw.Plane(np.zeros(3), np.eye(3)[0], np.eye(3)[1]), ValueError, "3 weights, but the problem has 2")


@pytest.mark.parametrize("metrics", [["accurcay"], "loss", ("loss", "f1")])
def test_an_unknown_metric(bowl, metrics):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "Unknown metric .*the problem measures loss", metrics=metrics)


@pytest.mark.parametrize(
    ("extent", "match"),
    [
        ("autp", "autp"),
        (-1.0, "positive"),
        (0.0, "positive"),
        (np.nan, "positive"),
        (np.inf, "finite"),
        ((1.0, -1.0), "lower one first"),
        ((1.0, 1.0), "lower one first"),
        ((0.0, np.inf), "finite"),
        ((1.0, 2.0, 3.0), "radius or a pair"),
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": 1.0, "gamma": 2.0}, "gamma"),
        ([(-1, 1)] * 3, "one pair"),
        (None, "extent=None"),
        ([1.0, (-1.0, 2.0)], "extent="),
    ],
)
def test_a_bad_extent(bowl, extent, match):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, match, extent=extent)


@pytest.mark.parametrize("points", [1, 0, -3, 2.5, (3, 1), (3, 3, 3), {"alpha": 3}, "3", np.nan, None])
def test_a_bad_number_of_points(bowl, points):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "points", extent=1.0, points=points)


@pytest.mark.parametrize(
    "axis",
    [[1.0, 0.0], [0.0, 0.0], [0.0, np.nan], [0.0, np.inf], [[0.0, 1.0]]],
    ids=["falls", "stays", "nan", "inf", "2-D"],
)
def test_bad_coordinates(bowl, axis):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "`beta` must be", alpha=[0.0, 1.0], beta=axis)


def test_coordinates_without_any_entry(bowl):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "`beta`", alpha=[0.0, 1.0], beta=[])


@pytest.mark.parametrize(
    "asked", [{"gama": [0.0]}, {"alpha": [0.0]}, {"alpha": [0.0], "beta": [0.0], "t": [0.0]}, {"point": 5}]
)
def test_unknown_or_missing_keywords(bowl, asked):
    refused(bowl, tw.coordinate_plane(bowl), TypeError, "coordinates of this subspace are alpha, beta", **asked)


@pytest.mark.parametrize("asked", [{"extent": 2.0}, {"points": 7}])
def test_coordinates_together_with_what_they_replace(bowl, asked):
    """One of the two would be ignored in silence."""
    refused(bowl, tw.coordinate_plane(bowl), (TypeError, ValueError), "extent|points", alpha=[0.0], beta=[0.0], **asked)


def test_per_example_losses_of_an_adaptive_surface(bowl):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "cannot be interpolated", adaptive=0.01, per_example=True)


@pytest.mark.parametrize("adaptive", [0.0, -0.1, 1.0, 5, np.nan, True])
def test_a_tolerance_that_is_no_fraction(bowl, adaptive):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "fraction", adaptive=adaptive)


@pytest.mark.parametrize("factor", [1.0, 0.5, -2.0, np.nan])
def test_a_factor_that_leaves_no_picture(bowl, factor):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "factor", factor=factor)


def test_more_examples_than_there_are():
    problem = tw.ModuleProblem(nn.Linear(2, 1), (torch.ones(4, 2), torch.ones(4, 1)), loss=F.mse_loss)
    line = tw.random_line(problem)
    for n in (5, 0, -1):
        with pytest.raises(ValueError, match=rf"num_examples={n}"):
            tw.loss_surface(problem, line, extent=1.0, points=3, num_examples=n)


def test_per_example_losses_of_a_criterion_that_only_gives_means():
    problem = tw.ModuleProblem(
        nn.Linear(2, 1), (torch.ones(4, 2), torch.ones(4, 1)), loss=lambda o, t: ((o - t) ** 2).mean()
    )
    with pytest.raises(ValueError, match="mean over a batch"):
        tw.loss_surface(problem, tw.random_line(problem), extent=1.0, points=3, per_example=True)


@pytest.mark.parametrize("name", ["status", "gradient", "losses", "alpha", "interpolated"])
def test_a_metric_whose_name_the_dataset_needs_is_not_lost_in_silence(name):
    """Either refused, or told under its own name with its own values (7 everywhere)."""
    problem = tw.FunctionProblem(lambda x, y: x * y, metrics={name: lambda x, y: 7 + 0 * x})
    try:
        surface = tw.loss_surface(
            problem, tw.coordinate_plane(problem), extent=1.0, points=3, gradient=True, per_example=True
        )
    except ValueError as error:
        surface = {name: 7.0} if name in str(error) else {}
    np.testing.assert_array_equal(surface[name], 7.0)


def test_a_metric_called_loss_does_not_replace_the_loss():
    with pytest.raises(ValueError, match="loss"):
        tw.FunctionProblem(lambda x, y: x * y, metrics={"loss": lambda x, y: 7 + 0 * x})


def test_the_gradient_of_a_recalibrated_problem_is_refused_before_the_grid_is_measured():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
    data = torch.randn(8, 2), torch.randn(8, 1)
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss, batch_norm="recalibrate")
    points_seen = []
    measure = problem.measure
    problem.measure = lambda points, **options: points_seen.append(len(points)) or measure(points, **options)
    with pytest.raises(ValueError, match="recalibrate"):
        tw.loss_surface(problem, tw.random_line(problem), extent=1.0, points=51, gradient=True)
    assert sum(points_seen) <= 1


def test_a_subset_without_a_seed():
    """It would be another one in every process that shares the store."""
    problem = tw.ModuleProblem(nn.Linear(2, 1), (torch.ones(4, 2), torch.ones(4, 1)), loss=F.mse_loss)
    with pytest.raises((TypeError, ValueError), match="seed"):
        tw.loss_surface(problem, tw.random_line(problem), extent=1.0, points=3, num_examples=2, seed=None)


def test_a_metric_of_the_test_data_is_measured_or_refused_in_the_words_of_its_list():
    """The list of names offered must not name what is then refused."""
    data = torch.ones(4, 2), torch.ones(4, 1)
    problem = tw.ModuleProblem(nn.Linear(2, 1), data, loss=F.mse_loss, metrics={"off": F.l1_loss}, test_data=data)
    line = tw.random_line(problem)
    with pytest.raises(ValueError, match="Unknown metric") as refusal:
        tw.loss_surface(problem, line, extent=1.0, points=3, metrics=["typo"])
    for name in str(refusal.value).split("measures ")[1].rstrip(".").split(", "):
        assert name in tw.loss_surface(problem, line, extent=1.0, points=3, metrics=[name])


def test_a_bare_model_is_told_to_be_wrapped():
    for ask in (lambda m: tw.loss_surface(m, None), lambda m: tw.describe_cost(m, 10)):
        with pytest.raises(TypeError, match="ModuleProblem"):
            ask(nn.Linear(2, 1))


def test_no_subspace(bowl):
    refused(bowl, None, TypeError, "random_plane")


@pytest.mark.parametrize("dims", [("status", "beta"), ("loss", "beta")])
def test_a_coordinate_whose_name_the_dataset_needs(bowl, dims):
    box = tw.Box(np.zeros(2), np.eye(2), dims=dims)
    refused(bowl, box, ValueError, f"coordinate '{dims[0]}'", extent=1.0, points=3)


@pytest.mark.parametrize("num_examples", [5.0, True, "3"])
def test_a_number_of_examples_that_is_none(bowl, num_examples):
    refused(bowl, tw.coordinate_plane(bowl), ValueError, "num_examples=", num_examples=num_examples)
