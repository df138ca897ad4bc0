"""Fisher matrices: exact, sampled and empirical, and when they are one another."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem import dense, naive
from tests.problem.naive import D
from tests.problem.test_curvature import LOSSES, UNEQUAL, close, made


def averaged(problem, v, count=300):
    """The mean of sampled products over seeds, and its standard error."""
    products = torch.stack(
        [problem.curvature("fisher_sampled", seed=s, method="forward over reverse").product(v) for s in range(count)]
    )
    return products.mean(0), products.std(0) / count**0.5


@pytest.mark.parametrize("model", ["tanh", "convolution", "attention module"])
def test_the_fisher_matrix_of_a_softmax_is_its_gauss_newton_matrix(model):
    net, data, problem = made(model, cut=UNEQUAL)
    found = dense.of(problem.curvature("fisher"))
    close(found, dense.fisher_of_classes(net, data))
    close(found, dense.of(problem.curvature("ggn")))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_sampled_fisher_matrix_averages_to_the_exact_one(loss):
    """With several outputs for each example too (three logits, three numbers)."""
    _, _, problem = made("tanh", loss, UNEQUAL)
    v = torch.randn(problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    exact = problem.curvature("fisher").product(v)
    mean, error = averaged(problem, v)
    assert float(((mean - exact) / error).abs().max()) < 4.5
    assert float((mean - exact).norm()) < 0.2 * float(exact.norm())


def test_the_sampled_fisher_matrix_of_many_tokens_averages_to_the_exact_one():
    """Outputs (n, classes, tokens), a third of the tokens ignored."""
    torch.manual_seed(0)
    net = nn.Conv1d(2, 3, 1).double()
    x, y = torch.randn(5, 2, 6, dtype=D), torch.randint(0, 3, (5, 6))
    y[:, ::3] = -100
    problem = tw.ModuleProblem(
        net, (x, y), loss=functools.partial(F.cross_entropy, ignore_index=-100, reduction="none")
    )
    v = torch.randn(problem.num_weights, dtype=D)
    exact = problem.curvature("ggn").product(v)
    mean, error = averaged(problem, v)
    assert float(((mean - exact) / error).abs().max()) < 4.5
    assert float((mean - exact).norm()) < 0.2 * float(exact.norm())


def test_a_seed_fixes_the_sampled_targets():
    _, _, problem = made("tanh", cut=UNEQUAL)
    v = torch.ones(problem.num_weights, dtype=D)
    curvature = problem.curvature("fisher_sampled", seed=4)
    first = curvature.product(v)
    assert torch.equal(first, curvature.product(v))
    assert torch.equal(first, problem.curvature("fisher_sampled", seed=4).product(v))
    assert not torch.equal(first, problem.curvature("fisher_sampled", seed=5).product(v))
    linear = problem.curvature("fisher_sampled", seed=4, method="linearized", batch_size=17).product(v)
    direct = problem.curvature("fisher_sampled", seed=4, method="forward over reverse", batch_size=17).product(v)
    close(linear, direct)


@pytest.mark.parametrize("kind", ["exact", "sampled", "empirical"])
def test_fisher_vp_says_which(kind):
    _, _, problem = made("tanh")
    v = torch.ones(problem.num_weights, dtype=D)
    matrix = {"exact": "fisher", "sampled": "fisher_sampled", "empirical": "empirical_fisher"}[kind]
    close(problem.fisher_vp(problem.theta, v, kind), problem.curvature(matrix).product(v))
    close(problem.ggn_vp(problem.theta, v), problem.curvature("ggn").product(v))


def test_trap_empirical_fisher_of_a_criterion_that_returns_the_mean_is_refused():
    """The outer product of a batch's mean gradient is no mean of outer products."""
    net, data = dense.case("tanh")
    problem = tw.ModuleProblem(net, data, loss=naive.scalar_cross_entropy)
    for matrix in ("empirical_fisher",):
        with pytest.raises(ValueError, match="one value per example"):
            problem.curvature(matrix)


@pytest.mark.parametrize("matrix", ["ggn", "fisher"])
def test_trap_log_probabilities_as_outputs_would_make_the_matrix_zero(matrix):
    net, data = dense.case("tanh")
    problem = tw.ModuleProblem(nn.Sequential(net, nn.LogSoftmax(1)), data, loss=F.nll_loss)
    with pytest.raises(ValueError, match="logits"):
        problem.curvature(matrix)


def test_the_fisher_matrix_of_another_loss_is_refused():
    net, data = dense.case("tanh", "mse_loss")
    absolute = tw.ModuleProblem(net, data, loss=F.l1_loss)
    with pytest.raises(ValueError, match="linear in the outputs"):
        absolute.curvature("fisher")
    with pytest.raises(ValueError, match="unknown"):
        absolute.curvature("fisher_sampled")
    huber = tw.ModuleProblem(net, data, loss=F.smooth_l1_loss)
    with pytest.raises(ValueError, match="depends on the targets"):
        huber.curvature("fisher")


@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"weight": torch.tensor([1.0, 2.0, 3.0], dtype=D)}])
def test_losses_that_are_no_likelihoods_are_not_sampled(options):
    net, data = dense.case("tanh")
    problem = tw.ModuleProblem(net, data, loss=functools.partial(F.cross_entropy, **options, reduction="none"))
    with pytest.raises(ValueError, match="likelihood"):
        problem.curvature("fisher_sampled")


def test_class_weights_are_noticed_where_all_examples_are_of_one_class():
    net, (x, y) = dense.case("tanh")
    loss = functools.partial(F.cross_entropy, weight=torch.tensor([1.0, 2.0, 3.0], dtype=D), reduction="none")
    problem = tw.ModuleProblem(net, [(x[:5], torch.zeros_like(y[:5])), (x[5:], y[5:])], loss=loss)
    with pytest.raises(ValueError, match="depends on the targets"):
        problem.curvature("fisher")


def test_a_sampled_fisher_matrix_is_not_moved():
    """Its targets were drawn from what the network predicts elsewhere."""
    _, _, problem = made("tanh")
    with pytest.raises(ValueError, match="drawn"):
        problem.curvature("fisher_sampled").moved(problem.theta + 1)


@pytest.mark.parametrize("loss", [nn.MSELoss(reduction="sum"), lambda o, t: 0.5 * ((o - t) ** 2).mean(1)])
def test_targets_are_not_sampled_where_the_scale_of_the_loss_is_not_known(loss):
    """A sum, or a factor, changes the variance that the loss stands for."""
    x, y = torch.randn(20, 4, dtype=D), torch.randn(20, 3, dtype=D)
    problem = tw.ModuleProblem(nn.Linear(4, 3).to(D), (x, y), loss=loss)
    with pytest.raises(ValueError, match="torch's own and no sum"):
        problem.curvature("fisher_sampled")


def test_an_exact_fisher_is_refused_though_the_first_batch_hides_the_dependence_on_targets():
    """Examples sorted by class."""
    x, y = torch.randn(64, 4, dtype=D), (torch.arange(64) >= 32).to(D)[:, None]
    batches = [(x[:32], y[:32]), (x[32:], y[32:])]
    for net, loss in (
        (nn.Linear(4, 1), nn.BCEWithLogitsLoss(pos_weight=torch.tensor([9.0], dtype=D))),
        (nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), nn.BCELoss()),
    ):
        with pytest.raises(ValueError, match="depends on the targets"):
            tw.ModuleProblem(net.to(D), batches, loss=loss).curvature("fisher")
