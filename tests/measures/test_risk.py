"""Pointwise, empirical and expected risk against the plain model, example by example, and against quadrature."""

import copy
import itertools

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import nn
from torch.nn import functional as F

import thalweg as tw

from . import naive
from .naive import product

SLOPE, STD = 2.0, 0.7


class Rectified(nn.Module):
    """w1 relu(w2 x)."""

    def __init__(self, w1=0.3, w2=-0.4):
        super().__init__()
        self.w1 = nn.Parameter(torch.tensor(w1, dtype=torch.double))
        self.w2 = nn.Parameter(torch.tensor(w2, dtype=torch.double))

    def forward(self, x):
        return self.w1 * torch.relu(self.w2 * x)


def examples(n, seed):
    """y = 2x + noise with x uniform on [-1, 1]."""
    draw = np.random.default_rng(seed)
    x = draw.uniform(-1, 1, (n, 1))
    return torch.as_tensor(x), torch.as_tensor(SLOPE * x + STD * draw.normal(size=(n, 1)))


def problem(n=6, seed=0, **options):
    return tw.ModuleProblem(Rectified(), examples(n, seed), loss=F.mse_loss, **options)


def closed_form(theta):
    """E (2x + ε - w1 relu(w2 x))²: with p = w1 w2, ε² + 4/3 - 2p/3 + p²/6, whatever the sign of w2."""
    p = theta[..., 0] * theta[..., 1]
    return STD**2 + 4 / 3 - 2 * p / 3 + p**2 / 6


def plane(of):
    return tw.Plane(np.zeros(2), np.eye(2)[0], np.eye(2)[1])


def test_pointwise_risk_is_the_loss_of_every_example_at_every_point():
    found = tw.risk(problem(), plane(problem()), extent=((-3, 2), (-2, 4)), points=(4, 3))
    x, y = (column.numpy().ravel() for column in examples(6, 0))
    assert found.pointwise_risk.dims == ("alpha", "beta", "example")
    for (i, w1), (j, w2), k in itertools.product(
        enumerate(np.linspace(-3, 2, 4)), enumerate(np.linspace(-2, 4, 3)), range(6)
    ):
        expected = (y[k] - w1 * max(w2 * x[k], 0.0)) ** 2
        assert float(found.pointwise_risk[i, j, k]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_empirical_risk_is_the_mean_of_pointwise_risk():
    found = tw.risk(problem(), plane(problem()), extent=3.0, points=7)
    np.testing.assert_allclose(found.empirical_risk, found.pointwise_risk.mean("example"), rtol=1e-12)
    attrs = found.empirical_risk.attrs
    assert (attrs["role"], attrs["metric"], attrs["split"]) == ("value", "risk", "train")
    _, y = examples(6, 0)
    assert attrs["at_origin"] == pytest.approx(float((y**2).mean()))
    assert "expected_risk" not in found


@pytest.mark.parametrize("model", ["network", "classifier"])
def test_the_risk_of_a_network_is_that_of_a_model_built_anew_at_every_point(model):
    torch.manual_seed(0)
    if model == "network":
        data, criterion, net = naive.regression(7), F.mse_loss, naive.network()
    else:
        data = torch.randn(7, 4, dtype=torch.double), torch.arange(7) % 3
        net, criterion = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double(), F.cross_entropy
    batches = list(zip(data[0].split([3, 1, 3]), data[1].split([3, 1, 3]), strict=True))
    known = tw.ModuleProblem(net, batches, loss=criterion)
    directions = tw.random_plane(known, seed=2)
    found = tw.risk(known, directions, extent=1.0, points=3)
    for i, j in itertools.product(range(3), range(3)):
        built = copy.deepcopy(net)
        at = directions.origin + (i - 1) * directions.u + (j - 1) * directions.v
        nn.utils.vector_to_parameters(at, built.parameters())
        with torch.no_grad():
            each = [criterion(built(data[0][k : k + 1]), data[1][k : k + 1]).item() for k in range(7)]
        np.testing.assert_allclose(found.pointwise_risk[i, j], each, rtol=1e-10)
        assert float(found.empirical_risk[i, j]) == pytest.approx(np.mean(each))
    assert found.pointwise_risk.attrs["units"] == ("nat" if model == "classifier" else "")


def test_the_closed_form_is_the_integral_over_inputs_and_noise_at_all_signs():
    found = tw.risk(problem(), plane(problem()), expected=closed_form, extent=((-1.5, 1.5), (-2, 2)), points=(3, 5))
    for (i, w1), (j, w2) in itertools.product(enumerate([-1.5, 0.0, 1.5]), enumerate([-2.0, -1.0, 0.0, 1.0, 2.0])):

        def density(x, w1=w1, w2=w2):
            return (STD**2 + (SLOPE * x - w1 * max(w2 * x, 0.0)) ** 2) / 2

        expected = sum(integrate.quad(density, *piece)[0] for piece in ((-1, 0), (0, 1)))
        assert float(found.expected_risk[i, j]) == pytest.approx(expected)


def test_the_closed_form_is_evaluated_at_every_point_of_any_subspace():
    D = np.array([[1.0, -2.0], [0.5, 0.25]])
    tilted = tw.Plane(np.array([0.3, -0.4]), D[0], D[1])
    found = tw.risk(problem(), tilted, expected=closed_form, extent=2.0, points=(5, 4))
    for i, j in itertools.product(range(5), range(4)):
        w = np.array([0.3, -0.4]) + (i - 2) * D[0] + (-2 + j * 4 / 3) * D[1]
        assert float(found.expected_risk[i, j]) == pytest.approx(float(closed_form(w)))
    about = found.expected_risk.attrs
    assert (about["role"], about["metric"], about["split"]) == ("value", "risk", "population")
    assert about["at_origin"] == pytest.approx(float(closed_form(np.array([0.3, -0.4]))))
    line = tw.risk(problem(), tw.Line(np.zeros(2), D[0]), expected=closed_form, extent=1.0, points=3)
    assert line.expected_risk.dims == ("alpha",)
    assert "expected_risk_standard_error" not in line


def test_fresh_examples_estimate_the_closed_form_within_their_standard_error():
    fresh = problem(4000, seed=11)
    found = tw.risk(problem(), plane(problem()), fresh=fresh, extent=2.0, points=9)
    exact = tw.risk(problem(), plane(problem()), expected=closed_form, extent=2.0, points=9)
    off = (found.expected_risk - exact.expected_risk) / found.expected_risk_standard_error
    assert float(np.abs(off).max()) < 5
    assert float(np.abs(off).max()) > 0.1, "an error bar far too wide"
    assert found.expected_risk_standard_error.attrs["of"] == "expected_risk"
    np.testing.assert_array_equal(found.empirical_risk, exact.empirical_risk)


def test_the_standard_error_is_that_of_a_mean_of_independent_examples():
    """s / √n with s² = Σ (ℓᵢ - mean)² / (n - 1), by hand at every point."""
    found = tw.risk(problem(), plane(problem()), fresh=problem(5, seed=3), extent=2.0, points=3)
    x, y = (column.numpy().ravel() for column in examples(5, 3))
    for (i, w1), (j, w2) in itertools.product(enumerate([-2.0, 0.0, 2.0]), repeat=2):
        losses = [(y[k] - w1 * max(w2 * x[k], 0.0)) ** 2 for k in range(5)]
        mean = sum(losses) / 5
        error = (sum((loss - mean) ** 2 for loss in losses) / 4 / 5) ** 0.5
        assert float(found.expected_risk[i, j]) == pytest.approx(mean)
        assert float(found.expected_risk_standard_error[i, j]) == pytest.approx(error, rel=1e-9)
    assert found.expected_risk.attrs["at_origin"] == pytest.approx(float((y**2).mean()))


@pytest.mark.parametrize("points", [4, (4, 3), [4, 3], {"alpha": 4, "beta": 3}, np.array([4, 3])])
def test_the_grid_is_asked_for_as_of_any_surface(points):
    asked = tw.loss_surface(problem(), plane(problem()), extent=2.0, points=points)
    found = tw.risk(problem(), plane(problem()), extent=2.0, points=points)
    np.testing.assert_array_equal(found.alpha, asked.alpha)
    np.testing.assert_array_equal(found.beta, asked.beta)
    np.testing.assert_allclose(found.empirical_risk, asked.loss, rtol=1e-12)


def test_coordinates_may_be_given_instead():
    found = tw.risk(problem(), plane(problem()), alpha=[-1.0, 0.5], beta=[0.0, 1.0, 3.0])
    assert found.alpha.values.tolist() == [-1.0, 0.5]
    assert dict(found.pointwise_risk.sizes) == {"alpha": 2, "beta": 3, "example": 6}
    x, y = (column.numpy().ravel() for column in examples(6, 0))
    for (i, w1), (j, w2) in itertools.product(enumerate([-1.0, 0.5]), enumerate([0.0, 1.0, 3.0])):
        assert float(found.empirical_risk[i, j]) == pytest.approx(np.mean((y - w1 * np.maximum(w2 * x, 0)) ** 2))
    row = tw.risk(problem(), plane(problem()), alpha=0.5, beta=[0.0, 1.0, 3.0])
    np.testing.assert_array_equal(row.empirical_risk, found.empirical_risk[1:])


def test_coordinates_and_an_extent_together_are_refused():
    with pytest.raises(TypeError, match=r"extent=2\.0.*Pass one or the other"):
        tw.risk(problem(), plane(problem()), alpha=[0.5], beta=[1.0], extent=2.0)


def test_model_and_examples_stay_as_they_were():
    model, data = Rectified(), examples(6, 0)
    known, kept = tw.ModuleProblem(model, data, loss=F.mse_loss), [t.clone() for t in data]
    tw.risk(known, plane(known), fresh=problem(5, seed=3), extent=2.0, points=5)
    assert (model.w1.item(), model.w2.item()) == (0.3, -0.4)
    assert all(torch.equal(a, b) for a, b in zip(data, kept, strict=True))
    assert known.theta.tolist() == [0.3, -0.4]


def test_a_risk_surface_comes_back_identical_from_a_study(tmp_path):
    exact = tw.risk(problem(), plane(problem()), expected=closed_form, extent=2.0, points=4)
    estimated = tw.risk(problem(), plane(problem()), fresh=problem(5, seed=3), extent=2.0, points=4)
    for name, found in {"exact": exact, "estimated": estimated}.items():
        assert tw.load(tw.save(found, tmp_path / "study.zarr", name), name).identical(found)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"expected": closed_form, "fresh": "itself"}, ValueError, "not both"),
        ({"expected": 3.0}, TypeError, "`expected` is a float"),
        ({"expected": lambda w: w.sum()}, ValueError, r"`expected` returned shape \(\).*one number for each"),
        ({"expected": lambda w: w}, ValueError, r"one number for each weight vector"),
        ({"fresh": naive.network()}, TypeError, "ModuleProblem"),
        ({"fresh": tw.FunctionProblem(lambda x, y, z: x + y + z)}, ValueError, "3 weights, the problem 2"),
        ({"fresh": product()}, ValueError, "single example"),
        ({"store": "study.zarr"}, ValueError, "leave out store"),
        ({"adaptive": 0.01}, ValueError, "leave out adaptive"),
        ({"num_examples": 3}, ValueError, "leave out num_examples"),
        ({"points": 100_000}, ValueError, "GiB.*fewer"),
        ({"points": {"alpha": 100_000, "beta": 100_000}}, ValueError, "GiB.*fewer"),
        ({"extent": -1.0}, ValueError, "positive"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, error, match):
    if options.get("fresh") == "itself":
        options = options | {"fresh": problem()}
    with pytest.raises(error, match=match):
        tw.risk(problem(), plane(problem()), **({"extent": 1.0, "points": 3} | options))


def test_a_bare_model_has_no_risk():
    with pytest.raises(TypeError, match="ModuleProblem"):
        tw.risk(Rectified(), plane(problem()))
