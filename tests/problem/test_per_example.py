"""Every example's own gradient, against one backward pass through the plain network for each."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.problem.naive import D, convnet, cut, examples, gradient, mlp, near, regression
from thalweg.problem import per_example

FEW = settings(max_examples=15, deadline=None)


def naive(model, theta, x, y, criterion):
    return torch.stack(
        [gradient(model, theta, lambda net, k=k: criterion(net(x[k : k + 1]), y[k : k + 1])) for k in range(len(y))]
    )


def rows_of(found):
    return torch.cat(list(found))


@FEW
@given(seed=st.integers(0, 1000), sizes=st.sampled_from([[23], [5, 18], [1, 21, 1], [7, 7, 9]]))
def test_rows_are_one_backward_pass_each_whatever_the_batches(seed, sizes):
    model, (x, y) = mlp(seed=seed), examples(seed=seed + 1)
    problem = tw.ModuleProblem(model, cut((x, y), sizes), loss=F.cross_entropy)
    theta = near(problem, 2, seed=seed)[1]
    found = problem.example_gradients(theta)
    torch.testing.assert_close(rows_of(found), naive(model, theta, x, y, F.cross_entropy), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.mean(), problem.gradient(theta), rtol=1e-12, atol=1e-14)
    assert (len(found), found.method) == (23, "vmap")


def test_convolutions_and_chunks(monkeypatch):
    model, (x, y) = convnet(), examples(11, (2, 6, 6))
    monkeypatch.setattr(per_example, "_MOST", 4)
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    assert [len(block) for block in problem.example_gradients()] == [4, 4, 3]
    expected = naive(model, problem.theta, x, y, F.cross_entropy)
    torch.testing.assert_close(rows_of(problem.example_gradients()), expected, rtol=1e-9, atol=1e-12)


class Unbatchable(nn.Module):
    """Decides by the value of its input, which `vmap` cannot."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 1).double()

    def forward(self, x):
        return self.line(x) if float(x.detach().sum()) > -1e9 else 2 * self.line(x)


def test_what_cannot_be_batched_goes_through_one_by_one():
    x, y = regression()
    problem = tw.ModuleProblem(Unbatchable(), (x, y), loss=F.mse_loss)
    found = problem.example_gradients()
    expected = naive(Unbatchable(), problem.theta, x, y, F.mse_loss)
    torch.testing.assert_close(rows_of(found), expected, rtol=1e-9, atol=1e-12)
    assert found.method == "loop"


def test_a_table_that_every_example_shares_stays_whole():
    table = torch.arange(3.0, dtype=D)
    batches = [({"x": torch.ones(5, 2, dtype=D), "table": table}, torch.arange(5.0, dtype=D)[:, None])]

    class Tabled(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(2, 1).double()

        def forward(self, inputs):
            return self.line(inputs["x"]) * inputs["table"].sum()

    problem = tw.ModuleProblem(Tabled(), batches, loss=F.mse_loss)
    torch.testing.assert_close(rows_of(problem.example_gradients()).mean(0), problem.gradient(problem.theta))


def test_a_step_with_several_losses_for_an_example():
    x, y = regression(6, outputs=3)
    model = mlp([4, 5, 3])
    problem = tw.ModuleProblem(model, (x, y), step=lambda net, batch: (net(batch[0]) - batch[1]).square().flatten())
    found = problem.example_gradients()
    torch.testing.assert_close(rows_of(found), naive(model, problem.theta, x, y, F.mse_loss), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.mean(), problem.gradient(problem.theta))
    assert tw.gradient_statistics(problem).noise_scale > 0


def test_a_subset_knows_its_numbers_and_targets():
    model, (x, y) = mlp(), examples()
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    found = problem.example_gradients(num_examples=9, seed=4)
    assert (np.diff(found.numbers) > 0).all()
    torch.testing.assert_close(
        rows_of(found), naive(model, problem.theta, x[found.numbers], y[found.numbers], F.cross_entropy)
    )
    np.testing.assert_array_equal(found.targets(), y[found.numbers])
    wide = tw.ModuleProblem(mlp([4, 3, 2]), regression(outputs=2), loss=F.mse_loss)
    assert wide.example_gradients().targets() is None


def test_examples_that_depend_on_each_other_have_no_gradient_of_their_own():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False)).double()
    problem = tw.ModuleProblem(model, examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="depends on which others share its batch"):
        problem.example_gradients()
    normed = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double().eval()
    running = tw.ModuleProblem(normed, examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="running"):
        running.with_batch_norm("recalibrate").example_gradients()
    torch.testing.assert_close(rows_of(running.example_gradients()).mean(0), running.gradient(running.theta))


def test_the_same_network_on_other_data():
    model, data = mlp(), examples()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy})
    moved = problem.at(problem.theta + 0.1)
    other = examples(9, seed=7)
    found = moved.with_data(other, test_data=data)
    fresh = tw.ModuleProblem(model, other, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=data)
    assert found.quantities == ["loss", "accuracy", "test_loss", "test_accuracy"]
    torch.testing.assert_close(found.theta, moved.theta)
    for name, value in fresh.measure(moved.theta[None]).values.items():
        torch.testing.assert_close(found.measure(moved.theta[None]).values[name], value)
    assert moved.num_examples == 23
