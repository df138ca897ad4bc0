"""Predictions along a descent against the model's formula written out."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw

from . import naive
from .naive import product, sgd


class Wave(nn.Module):
    """sin(theta x)."""

    def __init__(self, theta=1.0, dtype=torch.double):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([theta], dtype=dtype))

    def forward(self, x):
        return torch.sin(self.theta * x)


def examples(n=12, dtype=torch.double, column=False):
    draw = np.random.default_rng(0)
    x = draw.normal(size=n) * 2.5
    x, y = (torch.as_tensor(v).to(dtype) for v in (x, np.sin(2.1 * x) + 0.3 * draw.normal(size=n)))
    return (x[:, None], y[:, None]) if column else (x, y)


@pytest.mark.parametrize("column", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_prediction_is_the_model_at_that_iterate(dtype, column):
    data = examples(dtype=dtype, column=column)
    problem = tw.ModuleProblem(Wave(dtype=dtype), data, loss=F.mse_loss)
    paths = tw.descend(problem, [[1.0], [2.5], [-4.0]], sgd(0.05), 6)
    inputs = [-3.0, -0.5, 0.0, 1.25]
    fit = tw.model_fit(problem, paths, data, inputs=inputs)
    expected = np.sin(paths.theta.values[:, :, 0, None] * np.array(inputs))
    np.testing.assert_allclose(fit.prediction, expected, atol=1e-6 if dtype is torch.float32 else 1e-14)
    assert fit.prediction.dims == ("start", "step", "input")
    np.testing.assert_array_equal(fit.theta, paths.theta)
    np.testing.assert_array_equal(fit.loss, paths.loss)
    np.testing.assert_allclose(fit.x, data[0].ravel())
    np.testing.assert_allclose(fit.y, data[1].ravel())


def test_a_network_is_predicted_as_a_plain_one_with_its_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = examples(column=True)
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
    paths = tw.descend(problem, naive.around(problem, 2), sgd(0.05), 4, every=3)
    fit = tw.model_fit(problem, paths, data, inputs=np.linspace(-2, 2, 5))
    for start in range(2):
        for step in range(paths.sizes["step"]):
            nn.utils.vector_to_parameters(torch.as_tensor(paths.theta.values[start, step]), model.parameters())
            with torch.no_grad():
                expected = model(torch.linspace(-2, 2, 5, dtype=torch.double)[:, None])[:, 0]
            np.testing.assert_allclose(fit.prediction[start, step], expected, atol=1e-12)
    assert fit.step.values.tolist() == [0, 3, 4]


def test_inputs_reach_a_tenth_beyond_the_data_by_default():
    data = examples()
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    fit = tw.model_fit(problem, tw.descend(problem, [[1.0]], sgd(), 1), data)
    low, high = float(data[0].min()), float(data[0].max())
    np.testing.assert_allclose(fit.input[[0, -1]], [low - 0.1 * (high - low), high + 0.1 * (high - low)])
    assert fit.sizes["input"] == 200
    assert np.ptp(np.diff(fit.input)) < 1e-12


@pytest.mark.parametrize("truth", [lambda x: torch.sin(2.1 * x), np.sin, lambda x: 3.0])
def test_the_truth_is_drawn_if_it_is_known(truth):
    data = examples()
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    paths = tw.descend(problem, [[1.0]], sgd(), 1)
    fit = tw.model_fit(problem, paths, data, inputs=[0.0, 1.0, 2.0], truth=truth, formula="sin(θx)")
    expected = {np.sin: np.sin([0.0, 1.0, 2.0])}.get(truth)
    if expected is None:
        expected = [float(truth(torch.tensor(x))) for x in (0.0, 1.0, 2.0)]
    np.testing.assert_allclose(fit.truth, expected, rtol=1e-6, atol=1e-7)
    assert fit.truth.dims == ("input",)
    assert fit.attrs["formula"] == "sin(θx)"
    assert "truth" not in tw.model_fit(problem, paths, data)


def test_data_may_be_arrays():
    data = examples(column=True)
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    paths = tw.descend(problem, [[1.0]], sgd(), 2)
    expected = tw.model_fit(problem, paths, data, inputs=[0.0, 1.0])
    as_arrays = tw.model_fit(problem, paths, [column.numpy() for column in data], inputs=[0.0, 1.0])
    np.testing.assert_array_equal(as_arrays.prediction, expected.prediction)


def test_a_problem_raised_to_double_precision_predicts_in_it():
    data = examples(dtype=torch.float32)
    problem = tw.ModuleProblem(Wave(dtype=torch.float32), data, loss=F.mse_loss, precision="float64")
    paths = tw.descend(problem, [[1.7]], sgd(), 2)
    fit = tw.model_fit(problem, paths, data, inputs=[0.1, 1.0])
    np.testing.assert_allclose(fit.prediction[0], np.sin(paths.theta.values[0] * [0.1, 1.0]), rtol=1e-12)


def test_a_descent_that_diverged_has_predictions_up_to_there():
    x = torch.linspace(-1, 1, 9, dtype=torch.double)[:, None]
    line = tw.ModuleProblem(nn.Linear(1, 1).double(), (x, x), loss=F.mse_loss)
    paths = tw.descend(line, [[0.0, 0.0], [1e300, 0.0]], sgd(1e6), 3)
    fit = tw.model_fit(line, paths, (x, x), inputs=[1.0])
    np.testing.assert_array_equal(np.isfinite(fit.prediction[..., 0]), np.isfinite(paths.theta).all("weight"))


def test_the_loss_of_a_fit_is_the_mean_squared_error_of_its_predictions_at_the_data():
    data = examples()
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    paths = tw.descend(problem, [[1.0], [3.0]], sgd(0.05), 5)
    fit = tw.model_fit(problem, paths, data, inputs=data[0])
    errors = fit.prediction.values - data[1].numpy()
    np.testing.assert_allclose((errors**2).mean(axis=2), fit.loss, rtol=1e-12)


def test_a_fit_comes_back_identical_from_a_study(tmp_path):
    data = examples()
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    fit = tw.model_fit(problem, tw.descend(problem, [[1.0]], sgd(), 2), data, truth=torch.sin)
    assert tw.load(tw.save(fit, tmp_path / "study.zarr")).identical(fit)


def test_what_is_no_fit_is_refused():
    data = examples(column=True)
    problem = tw.ModuleProblem(Wave(), data, loss=F.mse_loss)
    paths = tw.descend(problem, [[1.0]], sgd(), 2)
    two = tw.ModuleProblem(nn.Linear(1, 1).double(), data, loss=F.mse_loss)
    with pytest.raises(ValueError, match="kind 'surface'; a fit is drawn along a descent"):
        tw.model_fit(problem, tw.loss_surface(two, tw.coordinate_plane(two), extent=1.0, points=3), data)
    with pytest.raises(ValueError, match="descent has 1 weights, the problem 2"):
        tw.model_fit(two, paths, data)
    with pytest.raises(ValueError, match="24 inputs and 12 targets"):
        tw.model_fit(problem, paths, (data[0].expand(12, 2), data[1]))
    with pytest.raises(ValueError, match="0 inputs and 0 targets"):
        tw.model_fit(problem, paths, ([], []))
    with pytest.raises(ValueError, match="too many predictions"):
        tw.model_fit(problem, paths, data, inputs=np.zeros(10**8))
    wide = tw.ModuleProblem(nn.Linear(1, 2, bias=False).double(), (data[0], data[1].expand(12, 2)), loss=F.mse_loss)
    with pytest.raises(ValueError, match="one number for one number"):
        tw.model_fit(wide, tw.descend(wide, [[1.0, 1.0]], sgd(), 1), data, inputs=[0.0, 1.0, 2.0])


def test_a_written_landscape_predicts_nothing():
    paths = tw.descend(product(), [[1.0, 0.5]], sgd(), 2)
    with pytest.raises(TypeError, match="ModuleProblem"):
        tw.model_fit(product(), paths, examples())


def test_bare_numbers_go_to_a_model_of_columns_as_a_column():
    """Trained on columns, drawn with the same data as plain vectors."""
    x, y = examples(column=True)
    problem = tw.ModuleProblem(nn.Linear(1, 1).double(), (x, y), loss=F.mse_loss)
    paths = tw.descend(problem, [[0.3, 0.1]], sgd(0.05), 5)
    column, plain = (tw.model_fit(problem, paths, d) for d in ((x, y), (x[:, 0], y[:, 0])))
    np.testing.assert_array_equal(column.prediction, plain.prediction)
