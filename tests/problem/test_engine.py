"""However it is computed, it is the same number: every plan agrees with every other."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import parametrizations

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

PLANS = [
    Plan(),
    Plan(batch_size=1),
    Plan(batch_size=4),
    Plan(batch_size=23),
    Plan(batch_size=1000),
    Plan(points_at_once=2),
    Plan(points_at_once=3, batch_size=4),
    Plan(points_at_once=100),
    Plan(channels_last=True),
    Plan(channels_last=True, batch_size=4),
    Plan(channels_last=True, points_at_once=3),
]


@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
@pytest.mark.parametrize("kind", ["convolutions", "dense"])
def test_every_plan_agrees_with_the_naive_loop(kind, memory):
    """Five points, so that chunks of 2 and 3 leave a rest."""
    shape = (2, 6, 6) if kind == "convolutions" else (4,)
    model = naive.convnet() if kind == "convolutions" else naive.mlp()
    train, test = naive.examples(23, shape), naive.examples(8, shape, seed=2)
    problem = tw.ModuleProblem(
        model,
        naive.cut(train, [7, 1, 10, 5]),
        loss=F.cross_entropy,
        metrics={"accuracy": tw.accuracy},
        test_data=test,
        memory=memory,
    )
    points = naive.near(problem, 5)
    expected = naive.surface(model, points, [train], F.cross_entropy)
    expected_test = naive.surface(model, points, [test], F.cross_entropy)
    for plan in PLANS:
        found = problem.measure(points, plan=plan).values
        torch.testing.assert_close(
            found["loss"], expected, rtol=1e-12, atol=1e-13, msg=lambda m, p=plan: f"{p.label}: {m}"
        )
        torch.testing.assert_close(found["test_loss"], expected_test, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_compiled_plan_agrees():
    model, data = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, compile=True)
    points = naive.near(problem)
    expected = naive.surface(model, points, [data], F.cross_entropy)
    found = problem.measure(points, plan=Plan(compiled=True)).values["loss"]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_the_plan_found_by_measuring_agrees():
    model, data = naive.mlp(), naive.examples(600)
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    plan, seconds = problem.plan(3000)
    assert plan.measured
    assert seconds > 0
    assert plan in [Plan.from_json(plan.to_json())]
    points = naive.near(problem, 40)
    expected = problem.measure(points, plan=Plan()).values["loss"]
    torch.testing.assert_close(problem.measure(points, plan=plan).values["loss"], expected, rtol=1e-12, atol=1e-13)


def test_measuring_plans_warns_of_nothing(recwarn):
    """Layers without a batching rule are timed and dropped; that is no news for the user."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(parametrizations.weight_norm(torch.nn.Linear(4, 3))).double()
    problem = tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        plan, _ = problem.plan(5000)
    assert any("vmap" in label for label in plan.measured)
    assert not [str(w.message) for w in recwarn]


def test_progress_adds_up_to_the_points_however_the_loops_are_nested():
    for memory in (0, None):
        problem = tw.ModuleProblem(
            naive.mlp(),
            naive.cut(naive.examples(), [20, 3]),
            loss=F.cross_entropy,
            test_data=naive.examples(5),
            memory=memory,
        )
        told = []
        problem.measure(naive.near(problem, 5), plan=Plan(points_at_once=2), advance=told.append)
        assert sum(told) == pytest.approx(5)


def test_sums_are_kept_in_double():
    """Ten thousand float32 losses near 1e4, summed in float32, would be off in the fifth digit."""
    x = torch.full((10_000, 1), 101.0)
    problem = tw.ModuleProblem(
        torch.nn.Linear(1, 1, bias=False), (x, torch.zeros(10_000, 1)), loss=F.mse_loss, batch_size=64
    )
    found = problem.measure(torch.ones(1, 1), plan=Plan()).values["loss"]
    assert found.dtype == torch.float64
    assert float(found) == 101.0**2


# --- plans are kept to what the problem allows ---


def contrastive(outputs, targets):
    """Each example's loss depends on the others in its batch."""
    return F.cross_entropy(outputs @ outputs.T, torch.arange(len(outputs)), reduction="none")


def test_a_problem_whose_batches_must_stay_together_never_gets_a_plan_remembered_for_one_that_may_be_cut(monkeypatch):
    """The same network and shapes with another loss: where a remembered plan recuts batches, the loss would differ."""
    model, data = naive.mlp(), naive.examples(60)
    chosen = Plan(points_at_once=1, batch_size=60, measured={"by": 1.0})
    monkeypatch.setattr("thalweg.problem.module.choose", lambda *_, recut, **__: (chosen if recut else Plan(), 1.0))
    free = tw.ModuleProblem(model, data, loss=F.cross_entropy, batch_size=20)
    assert free.plan(3000)[0] == chosen
    coupled = tw.ModuleProblem(model, data, loss=contrastive, batch_size=20)
    found = coupled.measure(coupled.theta.expand(3000, -1)[:1000]).values["loss"][0]
    expected = torch.cat([contrastive(model(x), y) for x, y in naive.cut(data, [20] * 3)]).mean().detach()
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


def test_coupled_examples_keep_their_batches():
    model, data = naive.mlp(), naive.examples(60)
    problem = tw.ModuleProblem(model, data, loss=contrastive, batch_size=20)
    expected = torch.cat([contrastive(model(x), y) for x, y in naive.cut(data, [20] * 3)]).mean()
    found = problem.measure(problem.theta.expand(2000, -1)).values["loss"]
    torch.testing.assert_close(found, expected.detach().expand(2000), rtol=1e-12, atol=0)


@pytest.mark.parametrize("loss", [lambda o, t: ((o - t) ** 2).sum(), contrastive], ids=["a sum", "a coupling"])
def test_batches_of_one_do_not_hide_that_a_loss_must_not_be_recut(loss):
    """A sum over one example is its mean; over 23 joined ones it is 23 times that."""
    model, data = naive.mlp((4, 1)), naive.regression()
    batches = naive.cut(data, [1] * 23)
    try:
        problem = tw.ModuleProblem(model, batches, loss=loss)
    except ValueError:
        return
    expected = sum(float(loss(model(x), y).detach()) for x, y in batches) / 23
    found = problem.measure(problem.theta.expand(4000, -1)).values["loss"][0]
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_a_subset_of_coupled_examples_is_refused():
    """With other neighbours in its batch an example has another loss, so no standard error covers the truth."""
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(60), loss=contrastive, batch_size=20)
    with pytest.raises(ValueError, match="batch"):
        problem.measure(problem.theta[None], num_examples=10, plan=Plan())
