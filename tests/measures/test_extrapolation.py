"""Errors within and beyond the training range, on functions whose errors are known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem.naive import D
from thalweg.landscapes import sines


def line(slope=1.0):
    layer = nn.Linear(1, 1, bias=False).double()
    layer.weight.data.fill_(slope)
    x = torch.linspace(-1, 0.4, 8, dtype=D)[:, None]
    return tw.ModuleProblem(layer, (x, x), loss=F.mse_loss), x


def test_errors_are_told_apart_by_the_range_and_sorted_by_input():
    problem, x = line()
    inputs = torch.tensor([0.4, -1.0, 1.0, 0.0, -2.0], dtype=D)
    found = tw.extrapolation(problem, inputs, inputs**2, (-1.0, 0.4))
    np.testing.assert_array_equal(found.x, [-2, -1, 0, 0.4, 1])
    np.testing.assert_array_equal(found.inside, [False, True, True, True, False])
    np.testing.assert_allclose(found.mean_square_error, [(4 + 0 + 0.24**2) / 3, 36 / 2])
    np.testing.assert_allclose(found.largest_error, [2, 6])
    assert found["count"].values.tolist() == [3, 2]
    same = tw.extrapolation(problem, inputs[:, None], inputs[:, None] ** 2, x)
    assert same.attrs["train_range"] == pytest.approx([-1, 0.4])
    np.testing.assert_array_equal(same.prediction, found.prediction)


def test_both_errors_together_are_the_test_loss():
    data = sines.sines_data(100, 60, train_range=(-1.0, 0.4))
    problem = tw.ModuleProblem(sines.mlp(), tuple(data.train), loss=F.mse_loss, test_data=tuple(data.test))
    found = tw.extrapolation(problem, data.test.x, data.test.y, data.train.x)
    whole = float((found.mean_square_error * found["count"]).sum() / found["count"].sum())
    assert whole == pytest.approx(float(problem.measure(problem.theta[None]).values["test_loss"]), rel=1e-5)
    outside = data.test.x[:, 0] > data.train.x.max()
    beyond = problem.with_data((data.test.x[outside], data.test.y[outside]))
    left = data.test.x[:, 0] < data.train.x.min()
    assert int(found["count"][1]) == int(outside.sum() + left.sum())
    if not left.any():
        assert float(found.mean_square_error[1]) == pytest.approx(float(beyond.loss(problem.theta)), rel=1e-5)


def test_the_ends_are_inside_in_single_precision_too():
    problem, _ = line()
    found = tw.extrapolation(problem, torch.tensor([-1.0, 0.4]), torch.zeros(2), (-1.0, 0.4))
    assert found["count"].values.tolist() == [2, 0]
    assert np.isnan(found.mean_square_error[1])


def test_a_network_that_diverged_predicts_nothing_and_is_no_error():
    problem, x = line()
    found = tw.extrapolation(problem, x, x, (-0.5, 0.0), theta=torch.tensor([torch.nan]))
    assert np.isnan(found.mean_square_error).all()


def test_what_cannot_be_extrapolated_is_refused():
    problem, x = line()
    with pytest.raises(ValueError, match=r"`inputs` has shape \(4, 2\)"):
        tw.extrapolation(problem, torch.zeros(4, 2), torch.zeros(4), (0, 1))
    with pytest.raises(ValueError, match="8 inputs and 3 targets"):
        tw.extrapolation(problem, x, torch.zeros(3), (0, 1))
    with pytest.raises(ValueError, match="lower and the upper end"):
        tw.extrapolation(problem, x, x, (1, 0))
    with pytest.raises(ValueError, match="not finite"):
        tw.extrapolation(problem, x, x, torch.tensor([0.0, torch.inf]))
    wide = tw.ModuleProblem(nn.Linear(1, 2).double(), (x, torch.zeros(8, 2, dtype=D)), loss=F.mse_loss)
    with pytest.raises(ValueError, match=r"outputs have shape \(8, 2\)"):
        tw.extrapolation(wide, x, x, (0, 1))
    with pytest.raises(TypeError, match="predicts nothing"):
        tw.extrapolation(tw.FunctionProblem(lambda x: x), x, x, (0, 1))
