"""A network while it is trained: gradients against the problem's own, and against modules in training mode."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.problem import training


def data():
    x = torch.randn(24, 2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x, (x[:, 0, 0] > 0).long()


def network(*norms):
    torch.manual_seed(0)
    layers = [nn.Conv1d(2, 4, 3), *norms, nn.Tanh(), nn.Flatten(), nn.Linear(16, 2)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("limit", [0, 2**28])
def test_the_gradient_of_dealt_rows_is_that_of_these_examples(limit, monkeypatch):
    """Whether the examples were laid out at once, or are picked batch by batch."""
    monkeypatch.setattr(training, "_DEALT", limit)
    problem = tw.ModuleProblem(network().eval(), data(), loss=F.cross_entropy)
    taught, order, gradient = problem.training(), torch.randperm(24), torch.empty(problem.num_weights).double()
    taught.theta.copy_(problem.theta + 0.1)
    with taught.session():
        taught.deal(order)
        for rows in (slice(0, 7), slice(7, 14), None):
            value = taught.loss(gradient, 0.3, rows)
            examples = order[rows] if rows is not None else None
            expected, slope = problem.value_and_gradient(problem.theta + 0.1, examples)
            torch.testing.assert_close(value, expected)
            torch.testing.assert_close(gradient, 0.3 * slope)


@pytest.mark.parametrize(
    "norm",
    [nn.BatchNorm1d(4), nn.BatchNorm1d(4, momentum=None), nn.InstanceNorm1d(4, affine=True, track_running_stats=True)],
)
def test_batches_are_normalised_by_their_own_statistics_and_leave_no_trace(norm):
    model = network(copy.deepcopy(norm).double())
    model[1].running_mean.fill_(3.0)
    problem = tw.ModuleProblem(model.eval(), data(), loss=F.cross_entropy)
    kept = copy.deepcopy(problem._network.head.state_dict())
    taught, gradient = problem.training(), torch.empty(problem.num_weights).double()
    with taught.session():
        taught.deal(torch.arange(24))
        value = taught.loss(gradient, 1.0, slice(4, 12))
    x, y = data()
    loss = F.cross_entropy(model.train()(x[4:12]), y[4:12])
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(gradient, torch.cat([slope.reshape(-1) for slope in slopes]))
    assert all(torch.equal(kept[name], now) for name, now in problem._network.head.state_dict().items())


def test_weights_that_the_loss_does_not_feel_have_no_gradient():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(12, 2).double(), nn.Linear(3, 3).double()

        def forward(self, x):
            return self.used(x.flatten(1))

    problem = tw.ModuleProblem(Half().eval(), data(), loss=F.cross_entropy)
    taught, gradient = problem.training(), torch.full((problem.num_weights,), torch.nan).double()
    with taught.session():
        taught.deal(torch.arange(24))
        for _ in range(2):
            taught.loss(gradient, 1.0, slice(0, 5))
    assert bool((gradient[-12:] == 0).all())
    assert bool((gradient[:-12] != 0).all())


def test_a_loss_in_steps_of_a_count_has_no_gradient():
    problem = tw.ModuleProblem(
        network().eval(), data(), step=lambda model, batch: (model(batch[0]).argmax(1) != batch[1]).double()
    )
    taught, gradient = problem.training(), torch.full((problem.num_weights,), torch.nan).double()
    with taught.session():
        taught.deal(torch.arange(24))
        taught.loss(gradient, 1.0, slice(0, 5))
        assert bool((gradient == 0).all())
        taught.loss(gradient)
        assert bool((gradient == 0).all())


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), F.cross_entropy])
def test_any_spelling_of_the_loss_is_a_mean_over_the_batch(criterion):
    x, y = data()
    problem = tw.ModuleProblem(network().eval(), (x, y), loss=criterion)
    taught, gradient = problem.training(), torch.empty(problem.num_weights).double()
    with taught.session():
        taught.deal(torch.arange(24))
        value = taught.loss(gradient, 1.0, slice(0, 5))
    torch.testing.assert_close(value, F.cross_entropy(network()(x[:5]), y[:5]).detach())
