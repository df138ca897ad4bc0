"""One number for one weight vector: measure, loss, losses, gradient and hvp against loops over the plain network."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

SIZES = [7, 1, 10, 5]
EXACT = {"rtol": 1e-12, "atol": 1e-13}


def hit(outputs, targets):
    return (outputs.argmax(1) == targets).double()


@pytest.mark.parametrize("memory", [0, None], ids=["data outer (streamed)", "data resident"])
def test_one_pass_equals_a_loop_over_points_batches_and_examples(memory):
    """Unequal batches, both splits, loss and two metrics."""
    model, train, test = naive.mlp(), naive.cut(naive.examples(), SIZES), naive.cut(naive.examples(11, seed=2), [3, 8])
    metrics = {"accuracy": tw.accuracy, "margin": lambda o, t: o[:, 0] - o[:, 1]}
    problem = tw.ModuleProblem(model, train, loss=F.cross_entropy, metrics=metrics, test_data=test, memory=memory)
    points = naive.near(problem, 4)
    found = problem.measure(points).values
    assert (
        set(found)
        == {"loss", "accuracy", "margin", "test_loss", "test_accuracy", "test_margin"}
        == set(problem.quantities)
    )
    for prefix, batches in (("", train), ("test_", test)):
        for name, criterion in (("loss", F.cross_entropy), ("accuracy", hit), ("margin", metrics["margin"])):
            expected = naive.surface(model, points, batches, criterion)
            torch.testing.assert_close(found[prefix + name], expected, **EXACT)


def test_unequal_batches_are_weighted_by_their_examples_also_for_scalar_criteria():
    """The trap: batch means averaged unweighted (4% off)."""
    model, batches = naive.mlp(), naive.cut(naive.examples(), SIZES)
    problem = tw.ModuleProblem(model, batches, loss=naive.scalar_cross_entropy)
    points = naive.near(problem)
    expected = naive.surface(model, points, batches, F.cross_entropy)
    torch.testing.assert_close(problem.measure(points).values["loss"], expected, **EXACT)
    torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)


def test_loss_losses_and_measure_tell_the_same():
    model, batches = naive.mlp(), naive.cut(naive.examples(), SIZES)
    problem = tw.ModuleProblem(model, batches, loss=F.cross_entropy)
    points = naive.near(problem)
    rows = torch.stack([naive.each_example(model, theta, batches, F.cross_entropy) for theta in points])
    torch.testing.assert_close(problem.losses(points).detach(), rows, **EXACT)
    torch.testing.assert_close(problem.measure(points, per_example=True).losses["train"], rows, **EXACT)
    torch.testing.assert_close(problem.loss(points).detach(), rows.mean(1), **EXACT)
    assert problem.loss(points.reshape(3, 1, -1)).shape == (3, 1)
    assert problem.losses(points[0]).shape == (23,)


def test_per_example_losses_come_for_both_splits_in_the_order_of_the_data():
    model, train, test = naive.mlp(), naive.examples(), naive.examples(9, seed=3)
    problem = tw.ModuleProblem(model, train, loss=F.cross_entropy, test_data=test, batch_size=5)
    points = naive.near(problem)
    for plan in (Plan(), Plan(points_at_once=2, batch_size=4)):
        found = problem.measure(points, per_example=True, plan=plan).losses
        for split, data in (("train", train), ("test", test)):
            rows = torch.stack([naive.each_example(model, theta, [data], F.cross_entropy) for theta in points])
            torch.testing.assert_close(found[split], rows, **EXACT)


@pytest.mark.parametrize("reduce", [torch.mean, lambda v: v], ids=["scalar", "per example"])
def test_a_step_gives_the_same_loss_gradient_and_hvp_as_a_criterion(reduce):
    """The trap: sums over batches divided by the number of examples, or means multiplied by it."""
    model, batches = naive.mlp(), naive.cut(naive.examples(), SIZES)

    def step(network, batch):
        return reduce(F.cross_entropy(network(batch[0]), batch[1], reduction="none"))

    problem = tw.ModuleProblem(model, batches, step=step)
    points = naive.near(problem)
    expected = naive.surface(model, points, batches, F.cross_entropy)
    torch.testing.assert_close(problem.measure(points).values["loss"], expected, **EXACT)
    torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)
    x, y = naive.examples()
    g = naive.gradient(model, points[1], lambda m: F.cross_entropy(m(x), y))
    torch.testing.assert_close(problem.gradient(points[1]), g, rtol=1e-10, atol=1e-12)
    h = naive.hessian(model, points[1], lambda m: F.cross_entropy(m(x), y))
    torch.testing.assert_close(problem.hvp(points[1], points[2]), h @ points[2], rtol=1e-10, atol=1e-12)


def test_a_step_that_returns_its_mean_as_a_vector_of_one_is_a_mean():
    """Some models return a loss of shape (1,): one value a batch is no value an example."""
    model, batches = naive.mlp(), naive.cut(naive.examples(), [20, 3])
    try:
        problem = tw.ModuleProblem(model, batches, step=lambda m, b: F.cross_entropy(m(b[0]), b[1]).reshape(1))
    except ValueError:
        return
    expected = naive.surface(model, problem.theta[None], batches, F.cross_entropy)
    torch.testing.assert_close(problem.measure(problem.theta[None]).values["loss"], expected, **EXACT)


def test_a_step_returns_metrics_beside_the_loss():
    model, data = naive.mlp(), naive.examples()

    def step(network, batch):
        outputs = network(batch[0])
        return {"loss": F.cross_entropy(outputs, batch[1], reduction="none"), "hits": outputs.argmax(1) == batch[1]}

    problem = tw.ModuleProblem(model, data, step=step, test_data=naive.examples(9, seed=3), batch_size=6)
    points = naive.near(problem)
    found = problem.measure(points).values
    torch.testing.assert_close(found["hits"], naive.surface(model, points, [data], hit), **EXACT)
    assert set(found) == {"loss", "hits", "test_loss", "test_hits"}
    assert set(problem.measure(points, metrics=[]).values) == {"loss", "test_loss"}


def test_dict_batches_come_with_a_step():
    model, (x, y) = naive.mlp(), naive.examples()

    def step(network, batch):
        return F.cross_entropy(network(batch["x"]), batch["y"], reduction="none")

    whole = tw.ModuleProblem(model, {"x": x, "y": y}, step=step, batch_size=7)
    batches = [{"x": a, "y": b, "name": "some text"} for a, b in naive.cut((x, y), SIZES)]
    pieces = tw.ModuleProblem(model, batches, step=step)
    streamed = tw.ModuleProblem(model, batches, step=step, memory=0)
    points = naive.near(whole)
    expected = naive.surface(model, points, [(x, y)], F.cross_entropy)
    for problem in (whole, pieces, streamed):
        torch.testing.assert_close(problem.measure(points).values["loss"], expected, **EXACT)
        torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)


# --- derivatives ---


def smooth_cases():
    x, y = naive.examples()
    u, v = naive.regression(outputs=3)
    return {
        "cross entropy": (F.cross_entropy, (x, y), lambda m: F.cross_entropy(m(x), y)),
        "mean square": (F.mse_loss, (u, v), lambda m: ((m(u) - v) ** 2).mean()),
        "written out": (lambda o, t: ((o - t) ** 2).mean(), (u, v), lambda m: ((m(u) - v) ** 2).mean()),
    }


@pytest.mark.parametrize("case", smooth_cases())
def test_gradient_and_hvp_are_those_of_plain_autograd(case):
    """Trap: the Hessian's eigenvalues times the number of batches (3.235 told as 51.76)."""
    criterion, data, plain = smooth_cases()[case]
    model = naive.mlp()
    problem = tw.ModuleProblem(model, naive.cut(data, SIZES), loss=criterion)
    theta, v = naive.near(problem)[1:]
    torch.testing.assert_close(problem.gradient(theta), naive.gradient(model, theta, plain), rtol=1e-10, atol=1e-12)
    dense = naive.hessian(model, theta, plain)
    torch.testing.assert_close(problem.hvp(theta, v), dense @ v, rtol=1e-10, atol=1e-12)


def test_the_gradient_is_the_slope_of_the_loss():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    theta, v = naive.near(problem)[1:]
    h = 1e-5
    slope = (problem.loss(theta + h * v) - problem.loss(theta - h * v)) / (2 * h)
    assert float(problem.gradient(theta) @ v) == pytest.approx(float(slope), rel=1e-7)


def test_the_loss_is_differentiable_in_theta_and_the_gradient_needs_no_graph_of_its_own():
    problem = tw.ModuleProblem(naive.mlp(), naive.cut(naive.examples(), SIZES), loss=F.cross_entropy)
    theta = naive.near(problem)[1].requires_grad_(True)
    (g,) = torch.autograd.grad(problem.loss(theta), theta)
    torch.testing.assert_close(problem.gradient(theta), g)
    with torch.no_grad():
        torch.testing.assert_close(problem.gradient(theta), g)
        torch.testing.assert_close(problem.gradient(torch.stack([theta, theta]))[1], g)


def test_the_hessian_is_symmetric_under_hvp():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    theta, u, v = naive.near(problem, 4)[1:]
    assert float(u @ problem.hvp(theta, v)) == pytest.approx(float(v @ problem.hvp(theta, u)), rel=1e-9)


def test_a_piecewise_linear_loss_has_no_curvature():
    problem = tw.ModuleProblem(nn.Linear(4, 1).double(), naive.regression(), loss=F.l1_loss)
    assert not problem.hvp(problem.theta, torch.ones(5, dtype=torch.double)).any()


def test_predict_is_the_plain_network():
    model, (x, y) = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    theta = naive.near(problem)[1]
    torch.testing.assert_close(problem.predict(theta, x).detach(), naive.standing(model, theta)(x).detach(), **EXACT)
    with pytest.raises(TypeError, match="step"):
        tw.ModuleProblem(model, (x, y), step=lambda m, b: m(b[0])[:, 0]).predict(theta, x)


# --- standing elsewhere ---


def test_at_stands_elsewhere_and_leaves_the_first_problem_where_it_was():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    here, there = naive.near(problem)[:2]
    other = problem.at(there)
    assert torch.equal(other.theta, there)
    assert torch.equal(problem.theta, here)
    assert torch.equal(other.measure(there[None]).values["loss"], problem.measure(there[None]).values["loss"])
    there += 1.0
    assert not torch.equal(other.theta, there)


def test_with_state_loads_weights_and_buffers():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    trained = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    x, y = naive.examples()
    trained(3 * x + 1)  # moves the statistics
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    before = problem.measure(problem.theta[None]).values["loss"]
    other = problem.with_state(trained.state_dict())
    expected = F.cross_entropy(trained.eval()(x), y).item()
    assert float(other.measure(other.theta[None]).values["loss"]) == pytest.approx(expected, rel=1e-12)
    assert torch.equal(problem.measure(problem.theta[None]).values["loss"], before)


def test_non_finite_weights_are_refused_wherever_the_problem_stands():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    theta = problem.theta
    theta[21] = torch.nan
    with pytest.raises(ValueError, match="0\\.bias"):
        problem.at(theta)


def test_nan_and_inf_are_kept():
    """The trap: NaN replaced by the mean."""
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    points = naive.near(problem)
    points[1, -1] = torch.nan
    for plan in (Plan(), Plan(points_at_once=3)):
        loss = problem.measure(points, plan=plan).values["loss"]
        assert loss.isnan().tolist() == [False, True, False]


# --- what measure is given ---


@pytest.mark.parametrize(
    "wrong", [lambda theta: theta, lambda theta: theta[:1].expand(3, 1), lambda theta: theta[None, :-1]]
)
def test_points_of_another_shape_are_refused_not_broadcast(wrong):
    """`measure(problem.theta)` would set all weights to each entry in turn."""
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match=str(problem.num_weights)):
        problem.measure(wrong(problem.theta), plan=Plan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_of_either_float_dtype_are_taken(dtype):
    x, y = naive.examples()
    problem = tw.ModuleProblem(naive.mlp(dtype=torch.float32), (x.float(), y), loss=F.cross_entropy)
    expected = problem.measure(problem.theta[None], plan=Plan()).values["loss"]
    points = problem.theta.to(dtype)[None]
    for plan in (Plan(), Plan(points_at_once=2)):
        torch.testing.assert_close(problem.measure(points, plan=plan).values["loss"], expected, rtol=1e-6, atol=0)
    assert float(problem.loss(points)) == pytest.approx(float(expected), rel=1e-6)
    assert problem.gradient(points).dtype == torch.float32


def test_vectors_of_the_wrong_length_are_refused_by_every_question():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    short = problem.theta[:-1]
    for ask in (problem.loss, problem.losses, problem.gradient, problem.at):
        with pytest.raises(ValueError, match=str(problem.num_weights)):
            ask(short)
    with pytest.raises(ValueError, match=str(problem.num_weights)):
        problem.hvp(problem.theta, short)


def test_an_unknown_metric_is_refused_by_name():
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy})
    with pytest.raises(ValueError, match="acuracy"):
        problem.measure(problem.theta[None], metrics=["acuracy"])


def test_theta_is_a_copy():
    """The trap: a `state_dict()` taken as centre aliases the live weights, so the centre drifts."""
    problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
    first = problem.theta
    kept = first.clone()
    problem.measure(naive.near(problem)[1:])
    assert torch.equal(first, kept)
    first += 1.0
    assert torch.equal(problem.theta, kept)


def test_the_centre_is_the_model_to_the_bit():
    model, (x, y) = naive.mlp(dtype=torch.float32), naive.examples()
    problem = tw.ModuleProblem(model, (x.float(), y), loss=F.cross_entropy)
    assert torch.equal(problem.theta, torch.cat([p.detach().flatten() for p in model.parameters()]))


def test_double_precision_of_a_float_model_is_the_double_model():
    model, (x, y) = naive.mlp(dtype=torch.float32), naive.examples()
    problem = tw.ModuleProblem(
        model, (x.float(), y), loss=F.cross_entropy, precision="float64", test_data=(x.float(), y)
    )
    assert problem.theta.dtype == torch.float64
    points = naive.near(problem)
    expected = naive.surface(model.double(), points, [(x.float().double(), y)], F.cross_entropy)
    found = problem.measure(points).values
    torch.testing.assert_close(found["loss"], expected, **EXACT)
    torch.testing.assert_close(found["test_loss"], expected, **EXACT)


# --- by what a store knows the problem ---


def test_the_identity_is_the_same_again_and_differs_with_weights_data_and_loss():
    data, other = naive.examples(), naive.examples(seed=5)
    make = tw.ModuleProblem
    problem = make(naive.mlp(), data, loss=F.cross_entropy)
    same = problem.identity()
    problem.measure(naive.near(problem))
    assert problem.identity() == same == make(naive.mlp(), data, loss=F.cross_entropy).identity()
    assert problem.at(problem.theta + 1).identity() != same
    assert make(naive.mlp(), other, loss=F.cross_entropy).identity() != same
    assert make(naive.mlp(), data, loss=F.multi_margin_loss).identity() != same
    assert make(naive.mlp(), data, loss=F.cross_entropy, test_data=other).identity() != same
