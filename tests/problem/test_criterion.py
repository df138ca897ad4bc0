"""What a criterion says of each example, and what of all."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.problem.criterion import unreduced

from . import naive

X, LABELS = naive.examples()
_, VALUES = naive.regression(outputs=3)
MODEL = naive.mlp()


def told(loss, targets, **options):
    problem = tw.ModuleProblem(MODEL, (X, targets), loss=loss, batch_size=6, **options)
    return float(problem.measure(problem.theta[None]).values["loss"])


PROBABILITIES = torch.softmax(VALUES, 1)
HOT = F.one_hot(LABELS, 3).double()
MEANS = {
    "F.cross_entropy": (F.cross_entropy, LABELS),
    "nn.CrossEntropyLoss": (nn.CrossEntropyLoss(), LABELS),
    "label smoothing": (nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
    "soft targets": (F.cross_entropy, PROBABILITIES),
    "partial": (functools.partial(F.cross_entropy, label_smoothing=0.1), LABELS),
    "lambda": (naive.scalar_cross_entropy, LABELS),
    "F.mse_loss": (F.mse_loss, VALUES),
    "nn.MSELoss": (nn.MSELoss(), VALUES),
    "nn.SmoothL1Loss": (nn.SmoothL1Loss(), VALUES),
    "nn.BCEWithLogitsLoss": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0]).double()), HOT),
    "multi-margin": (nn.MultiMarginLoss(), LABELS),
}


@pytest.mark.parametrize("name", MEANS)
def test_the_loss_told_is_what_the_criterion_says_of_all_examples_at_once(name):
    """In batches of 6, 6, 6 and 5. Trap: the loss told as 1/64 of the truth."""
    loss, targets = MEANS[name]
    expected = float(loss(MODEL(X), targets).detach())
    assert told(loss, targets) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("form", ["module", "partial"])
@pytest.mark.parametrize("reduction", ["mean", "batchmean"])
def test_a_divergence_keeps_the_mean_that_it_was_given(form, reduction):
    """By element, or by example: a factor of the number of classes apart."""
    loss = nn.KLDivLoss(reduction=reduction) if form == "module" else functools.partial(F.kl_div, reduction=reduction)
    model = nn.Sequential(MODEL, nn.LogSoftmax(1))
    terms = PROBABILITIES * (PROBABILITIES.log() - model(X).detach())
    expected = terms.mean() if reduction == "mean" else terms.sum(1).mean()
    problem = tw.ModuleProblem(model, (X, PROBABILITIES), loss=loss, batch_size=6)
    assert float(problem.loss(problem.theta)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("loss", [nn.MSELoss(reduction="sum"), functools.partial(F.mse_loss, reduction="sum")])
def test_a_sum_over_everything_becomes_the_mean_of_the_examples_sums_or_is_refused(loss):
    """Never the mean over elements, which is smaller by their number."""
    try:
        found = told(loss, VALUES)
    except ValueError:
        return
    assert found == pytest.approx(((MODEL(X) - VALUES) ** 2).sum(1).mean().item(), rel=1e-12)


def test_a_user_s_criterion_module_is_not_changed():
    criterion = nn.CrossEntropyLoss()
    told(criterion, LABELS)
    assert criterion.reduction == "mean"


def test_dense_predictions_are_averaged_over_their_pixels():
    model = nn.Conv2d(2, 3, 1).double()
    x, _ = naive.examples(7, (2, 4, 4))
    y = torch.arange(7 * 16).reshape(7, 4, 4) % 3
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, batch_size=3)
    found = problem.measure(problem.theta[None]).values
    assert float(found["loss"]) == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    assert float(found["accuracy"]) == pytest.approx((model(x).argmax(1) == y).double().mean().item(), rel=1e-6)


FEW = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2},
    "weighted": {"weight": torch.tensor([1.0, 5.0, 2.0], dtype=torch.double)},
    "ignoring": {"ignore_index": 1},
}


@pytest.mark.parametrize("options", FEW.values(), ids=FEW)
@pytest.mark.parametrize("targets", ["classes", "probabilities"])
@pytest.mark.parametrize("form", ["module", "partial"])
def test_a_cross_entropy_over_few_classes_is_a_cross_entropy(form, targets, options):
    """Computed with the examples last, which is faster: values and gradients, alone and under vmap."""
    if targets == "probabilities":  # which have no class to ignore
        options = {name: value for name, value in options.items() if name != "ignore_index"}
    criterion = nn.CrossEntropyLoss(**options) if form == "module" else functools.partial(F.cross_entropy, **options)
    fast, target = unreduced(criterion, torch.device("cpu")), LABELS if targets == "classes" else PROBABILITIES
    outputs = torch.randn(4, 23, 3, dtype=torch.double, requires_grad=True)
    expected = torch.stack([F.cross_entropy(o, target, reduction="none", **options) for o in outputs])
    found = torch.stack([fast(o, target) for o in outputs])
    together = torch.func.vmap(lambda o: fast(o, target))(outputs)
    slopes = [torch.autograd.grad(values.square().sum(), outputs)[0] for values in (expected, found, together)]
    for values, slope in zip((found, together), slopes[1:], strict=True):
        torch.testing.assert_close(values, expected, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(slope, slopes[0], rtol=1e-12, atol=1e-13)


# --- accuracy ---


def test_accuracy_is_the_share_of_examples_whose_largest_score_is_the_target():
    outputs = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert tw.accuracy(outputs, torch.tensor([1, 0, 1])).tolist() == [1.0, 1.0, 0.0]
    assert tw.accuracy(outputs, F.one_hot(torch.tensor([1, 0, 1]), 3).float()).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool])
def test_binary_scores_are_positive_for_class_one(shape, dtype):
    outputs, targets = torch.tensor([1.0, -1.0, 2.0, -2.0]), torch.tensor([1, 1, 0, 0])
    for target_shape in ((4,), (4, 1)):
        hits = tw.accuracy(outputs.reshape(shape), targets.reshape(target_shape).to(dtype))
        assert hits.tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("channel", [True, False], ids=["(n, 1, h, w)", "(n, h, w)"])
def test_binary_segmentation_has_an_accuracy_of_its_own(channel):
    """One channel of logits has no largest one: argmax would call everything class 0."""
    outputs = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]]]])
    targets = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    try:
        found = tw.accuracy(outputs, targets if channel else targets[:, 0])
    except ValueError:
        return
    assert found.tolist() == [0.5]


def test_accuracy_refuses_targets_of_another_shape():
    for targets in (torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"\(5, 3\)"):
            tw.accuracy(torch.zeros(5, 3), targets)
