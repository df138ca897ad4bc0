"""Refused before anything is computed: whatever is not one function of the weights, or not a mean over examples."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

X, Y = naive.regression()
LABELS = naive.examples()[1]
COLUMN = naive.mlp((4, 1))
SCORES = naive.mlp((4, 3))


def refused_or_right(make, expected, key="loss"):
    """Either an error that names the shapes or the quantity, or the number that a loop over examples finds."""
    try:
        problem = make()
        found = problem.measure(problem.theta.expand(2000, -1)).values[key][0]
    except ValueError:
        return
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


# --- silent broadcasts: (n, 1) against (n,) is an (n, n) table ---


@pytest.mark.parametrize(
    "loss",
    [F.mse_loss, nn.MSELoss(), F.l1_loss, lambda o, t: ((o - t) ** 2).mean(), lambda o, t: (o - t) ** 2],
    ids=["F.mse_loss", "nn.MSELoss", "F.l1_loss", "scalar lambda", "per-element lambda"],
)
@pytest.mark.parametrize("outputs", ["(n, 1)", "(n,)"])
def test_a_silent_broadcast_is_refused(loss, outputs):
    model, targets = (COLUMN, Y[:, 0]) if outputs == "(n, 1)" else (nn.Sequential(COLUMN, nn.Flatten(0)), Y)
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        tw.ModuleProblem(model, (X, targets), loss=loss)


def test_a_silent_broadcast_in_a_metric_is_refused_by_its_name():
    with pytest.raises(ValueError, match="distance"):
        tw.ModuleProblem(
            COLUMN, (X, Y[:, 0]), loss=lambda o, t: (o[:, 0] - t) ** 2, metrics={"distance": lambda o, t: (o - t).abs()}
        )


def test_a_broadcast_is_refused_for_every_network_and_not_by_luck():
    """Fitted, or with a last layer of zeros: where outputs hardly vary, the (n, n) mean looks like the (n,) mean."""
    generator = torch.Generator().manual_seed(0)
    missed = []
    for trial in range(30):
        x = torch.randn(400, 3, generator=generator, dtype=torch.double)
        y = x @ torch.tensor([1.0, -1.0, 0.5], dtype=torch.double) + 0.3 * torch.randn(400, generator=generator)
        model = nn.Linear(3, 1).double()
        model.weight.data = torch.tensor([[0.9, -1.0, 0.4]]).double() * (trial > 0)
        try:
            tw.ModuleProblem(model, (x, y), loss=lambda o, t: ((o - t) ** 2).mean())
            missed.append(trial)
        except ValueError:
            pass
    assert not missed


@pytest.mark.parametrize("where", ["loss", "metric"])
def test_a_broadcast_after_a_squeeze_is_refused(where):
    """Outputs and targets are both (n, 1); the user's function squeezes one of them."""

    def squeezed(outputs, targets):
        return (outputs.squeeze(1) - targets) ** 2

    criteria = {"loss": squeezed} if where == "loss" else {"loss": F.mse_loss, "metrics": {"error": squeezed}}
    key = "loss" if where == "loss" else "error"
    refused_or_right(lambda: tw.ModuleProblem(COLUMN, (X, Y), **criteria), F.mse_loss(COLUMN(X), Y).detach(), key)


def test_a_hit_table_is_no_accuracy():
    """Column targets and (n,) predictions: every prediction compared with every target."""
    targets = LABELS[:, None]
    refused_or_right(
        lambda: tw.ModuleProblem(
            SCORES,
            (X, targets),
            loss=lambda o, t: F.cross_entropy(o, t[:, 0], reduction="none"),
            metrics={"hits": lambda o, t: (o.argmax(1) == t).double()},
        ),
        (SCORES(X).argmax(1) == LABELS).double().mean(),
        "hits",
    )


def test_a_broadcast_in_the_test_data_is_refused_too():
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        tw.ModuleProblem(COLUMN, (X, Y), loss=F.mse_loss, test_data=(X, Y[:, 0])).measure(torch.zeros(1, 5))


def test_a_broadcast_in_batches_of_one_is_refused():
    batches = naive.cut((X, Y[:, 0]), [1] * 23)
    refused_or_right(
        lambda: tw.ModuleProblem(COLUMN, batches, loss=lambda o, t: ((o - t) ** 2).mean()),
        F.mse_loss(COLUMN(X), Y).detach(),
    )


def test_equal_shapes_are_no_broadcast():
    for model, targets in ((COLUMN, Y), (nn.Sequential(COLUMN, nn.Flatten(0)), Y[:, 0])):
        problem = tw.ModuleProblem(model, (X, targets), loss=F.mse_loss)
        assert float(problem.loss(problem.theta)) == pytest.approx(F.mse_loss(COLUMN(X), Y).item(), rel=1e-12)


# --- means over examples ---


def test_a_sum_is_refused_as_no_mean_over_examples():
    """The trap: sums over batches instead of means."""
    with pytest.raises(ValueError, match="not a mean over examples"):
        tw.ModuleProblem(COLUMN, (X, Y), loss=lambda o, t: ((o - t) ** 2).sum())


def test_a_sum_is_refused_also_where_the_model_fits_perfectly():
    """At loss zero a sum and a mean are alike; a step away they are not."""
    x = X
    with pytest.raises(ValueError, match="not a mean over examples"):
        tw.ModuleProblem(COLUMN, (x, COLUMN(x).detach()), loss=lambda o, t: ((o - t) ** 2).sum())


WEIGHTS = torch.tensor([1.0, 5.0, 2.0], dtype=torch.double)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=WEIGHTS),
        lambda o, t: F.cross_entropy(o, t, weight=WEIGHTS),
        nn.CrossEntropyLoss(ignore_index=1),
        nn.NLLLoss(weight=WEIGHTS),
    ],
    ids=["class weights", "class weights in a lambda", "ignored targets", "NLL with class weights"],
)
def test_a_mean_that_is_not_over_examples_is_refused(loss):
    with pytest.raises(ValueError, match=r"weights|not a mean over examples"):
        tw.ModuleProblem(SCORES, (X, LABELS), loss=loss)


def test_ignored_targets_are_found_wherever_they_lie_in_the_data():
    """The first 300 of 400 examples have none."""
    x, y = naive.examples(400)
    y[300:] = -100
    refused_or_right(
        lambda: tw.ModuleProblem(SCORES, (x, y), loss=F.cross_entropy), F.cross_entropy(SCORES(x), y).detach()
    )


def test_the_recipe_that_the_error_gives_for_class_weights_is_right():
    def weighted(outputs, targets):
        return F.cross_entropy(outputs, targets, weight=WEIGHTS, reduction="none") / WEIGHTS[LABELS].mean()

    problem = tw.ModuleProblem(SCORES, (X, LABELS), loss=weighted)
    expected = F.cross_entropy(SCORES(X), LABELS, weight=WEIGHTS).item()
    assert float(problem.loss(problem.theta)) == pytest.approx(expected, rel=1e-12)


# --- one function of the weights ---


def with_dropout():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1)).double()


def test_dropout_left_on_is_found_and_the_layer_named():
    with pytest.raises(ValueError, match=r"`1` \(Dropout\).*model\.eval\(\)"):
        tw.ModuleProblem(with_dropout().train(), (X, Y), loss=F.mse_loss)
    tw.ModuleProblem(with_dropout().eval(), (X, Y), loss=F.mse_loss)


def test_dropout_inside_an_lstm_or_an_attention_is_found_and_the_layer_named():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.LSTM(4, 4, num_layers=2, dropout=0.5, batch_first=True), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(self.cell(x.unsqueeze(1))[0][:, -1])

    with pytest.raises(ValueError, match=r"`cell` \(LSTM\)"):
        tw.ModuleProblem(Recurrent().double().train(), (X, Y), loss=F.mse_loss)


class Drawing(nn.Linear):
    """Draws in the forward pass, by one of the ways there are."""

    def __init__(self, draw):
        super().__init__(4, 1, dtype=torch.double)
        self.draw = draw

    def forward(self, x):
        return super().forward(x) * self.draw()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: 1 + 0.1 * torch.randn(()),
        lambda: 1 + 0.1 * np.random.default_rng().normal(),
        lambda: float(torch.rand(()) > 0.3),
        lambda: float(torch.rand(()) > 0.1),
    ],
    ids=["torch noise", "numpy noise", "layer drop", "rare layer drop"],
)
def test_a_forward_pass_that_draws_random_numbers_is_refused(draw):
    """A layer dropped now and then may survive a few trials; that numbers were drawn tells to try many."""
    with pytest.raises(ValueError, match=r"random|different values"):
        tw.ModuleProblem(Drawing(draw), (X, Y), loss=F.mse_loss)


def test_noise_too_small_to_see_at_a_tiny_loss_is_still_noise():
    model = nn.Sequential(COLUMN, nn.Dropout(0.5)).train()
    with pytest.raises(ValueError, match="Dropout"):
        tw.ModuleProblem(model, (X, COLUMN(X).detach()), loss=lambda o, t: 1e-9 * (o - t) ** 2)


def test_a_layer_that_moves_its_own_state_in_training_mode_is_refused():
    """Spectral normalisation goes on iterating: the loss would depend on the points visited before."""
    torch.manual_seed(0)
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 1)).double().train()
    for _ in range(50):
        model(X)
    try:
        problem = tw.ModuleProblem(model, (X, Y), loss=F.mse_loss)
    except ValueError:
        return
    here, there = problem.theta, problem.theta + 1
    values = [problem.measure(torch.stack([here, there]), plan=Plan()).values["loss"] for _ in range(2)]
    assert torch.equal(*values)


def batch_statistics():
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(5, track_running_stats=False)
    return nn.Sequential(nn.Linear(4, 5), layer, nn.Linear(5, 1)).double().eval()


def test_a_shuffling_loader_with_batch_statistics_is_refused():
    loader = DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
    with pytest.raises(ValueError, match="shuffle=False"):
        tw.ModuleProblem(batch_statistics(), loader, loss=F.mse_loss)


def test_batch_statistics_with_fixed_batches_are_a_function():
    model, batches = batch_statistics(), naive.cut((X, Y), [8, 8, 7])
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    expected = torch.cat([(model(x) - y) ** 2 for x, y in batches]).mean().item()
    for data in (batches, loader):
        problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
        assert float(problem.measure(problem.theta.expand(2000, -1)).values["loss"][0]) == pytest.approx(
            expected, rel=1e-12
        )


def test_batch_statistics_of_single_images_are_not_joined():
    torch.manual_seed(0)
    layers = nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten(), nn.Linear(32, 3)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), *layers).double().eval()
    images, labels = naive.examples(23, (1, 6, 6))
    batches = naive.cut((images, labels), [1] * 23)
    expected = sum(F.cross_entropy(model(x), y) for x, y in batches).detach() / 23
    refused_or_right(lambda: tw.ModuleProblem(model, batches, loss=F.cross_entropy), expected)


# --- a loss that does not listen to the weights ---


def test_a_step_that_uses_the_users_own_model_is_refused():
    """`step(model, batch)` must use the model it is given; the outer one never moves, and the surface would be flat."""
    outer = naive.mlp((4, 1))
    with pytest.raises(ValueError, match="weights"):
        tw.ModuleProblem(outer, (X, Y), step=lambda model, batch: (outer(batch[0]) - batch[1]) ** 2)


def test_a_forward_that_was_patched_to_call_the_users_own_layers_is_refused():
    model = nn.Linear(4, 1).double()
    forward = model.forward
    model.forward = lambda x: 2 * forward(x)
    with pytest.raises(ValueError, match="weights"):
        tw.ModuleProblem(model, (X, Y), loss=F.mse_loss)


# --- weights ---


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_weights_are_refused_by_name(bad):
    model = naive.mlp()
    with torch.no_grad():
        model[2].weight[1, 2] = bad
    with pytest.raises(ValueError, match=r"`2\.weight` has 1 non-finite"):
        tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy)


@pytest.mark.parametrize("model", [nn.Flatten(), naive.mlp().requires_grad_(False)], ids=["none", "all frozen"])
def test_a_model_without_trainable_weights_is_refused(model):
    with pytest.raises(ValueError, match="no trainable"):
        tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy)


# --- what is asked ---


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": F.mse_loss, "step": lambda m, b: 0}, TypeError, "either"),
        ({"metrics": {"a": F.mse_loss}, "step": lambda m, b: 0}, TypeError, "either"),
        ({}, TypeError, "loss"),
        ({"loss": "mse"}, TypeError, "str"),
        ({"loss": F.mse_loss, "metrics": {"loss": F.l1_loss}}, ValueError, "names"),
        ({"loss": F.mse_loss, "metrics": {"test_error": F.l1_loss}}, ValueError, "test_"),
        ({"loss": F.mse_loss, "metrics": {"mean error": F.l1_loss}}, ValueError, "identifiers"),
        ({"loss": F.mse_loss, "batch_norm": "train"}, ValueError, "recalibrate"),
        ({"loss": F.mse_loss, "precision": "half"}, ValueError, "bf16"),
        ({"step": lambda m, b: {"error": (m(b[0]) - b[1]) ** 2}}, ValueError, "'loss'"),
    ],
)
def test_questions_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        tw.ModuleProblem(COLUMN, (X, Y), **options)


def test_a_criterion_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="one value per example"):
        tw.ModuleProblem(COLUMN, (X, Y), loss=lambda o, t: (o - t)[:5, 0])
