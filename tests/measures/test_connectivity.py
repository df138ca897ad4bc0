"""Learned curves against finite differences, loops by hand, and what is known of linear models."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules

import thalweg as tw
from thalweg.landscapes import digits
from thalweg.problem import training
from thalweg.problem.training import Training

from . import optima
from .optima import ends, problem, sgd

KINDS = {"polygonal": tw.PolygonalChain, "bezier": tw.BezierCurve}
kinds = pytest.mark.parametrize("kind", KINDS)


def coefficients(kind, num_bends, t):
    """By hand: hats, or Bernstein polynomials."""
    n = num_bends + 1
    if kind == "polygonal":
        return np.array([max(0.0, 1 - abs(n * t - k)) for k in range(n + 1)])
    return np.array([float(np.polynomial.Polynomial([0, 1])(t)) ** k * (1 - t) ** (n - k) for k in range(n + 1)]) * [
        float(np.prod([(n - j) / (j + 1) for j in range(k)])) for k in range(n + 1)
    ]


@kinds
@given(seed=st.integers(0, 10**6), num_bends=st.integers(1, 3))
def test_the_gradient_of_the_bends_is_that_of_finite_differences(kind, seed, num_bends):
    """One step of SGD of rate 1 moves each bend by its negative gradient, at the t that was recorded."""
    p, (a, b) = problem(), ends()
    start = torch.randn(num_bends, len(a), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = tw.connect(p, a, b, kind, init=start, optimizer=sgd(1.0), steps=1, batch_size=None, seed=seed)
    gradient = (start - found.curve.bends).numpy()
    w = coefficients(kind, num_bends, float(found.dataset.t[0]))

    def loss(bends):
        theta = w[0] * a + w[-1] * b + sum(x * bend for x, bend in zip(w[1:-1], bends, strict=True))
        return float(p.loss(theta))

    assert float(found.dataset.loss[0]) == pytest.approx(loss(start), rel=1e-12)
    h = 1e-6
    for k in range(num_bends):
        for j in (0, 7, 29, len(a) - 1):
            step = torch.zeros_like(start)
            step[k, j] = h
            slope = (loss(start + step) - loss(start - step)) / (2 * h)
            assert gradient[k, j] == pytest.approx(slope, rel=1e-5, abs=1e-8)


def by_hand(model, kind, a, b, num_bends, draws, batch, x, y, rate, momentum, decay, norm):
    """The training of a curve as a loop over torch's own modules; loss and weights of each step."""
    bends = [a + (b - a) * k / (num_bends + 1) for k in range(1, num_bends + 1)]
    velocity, losses = [torch.zeros_like(a) for _ in bends], []
    for t, index in zip(draws, batch, strict=True):
        w = coefficients(kind, num_bends, t)
        theta = w[0] * a + w[-1] * b + sum(c * bend for c, bend in zip(w[1:-1], bends, strict=True))
        net = optima.put(model, theta).train(norm)
        loss = F.cross_entropy(net(x[index]), y[index])
        g = torch.cat([s.reshape(-1) for s in torch.autograd.grad(loss, list(net.parameters()))]) + decay * theta
        losses.append(float(loss.detach()))
        for k in range(num_bends):
            velocity[k] = momentum * velocity[k] + w[k + 1] * g
            bends[k] = bends[k] - rate * velocity[k]
    return losses, torch.stack(bends)


@kinds
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(("decay", "indexed"), [(0.0, False), (0.03, True)])
def test_learning_is_its_loop_by_hand_with_the_statistics_of_the_mini_batch(kind, norm, decay, indexed, monkeypatch):
    """The networks stand in training mode in the oracle; there is no dropout, so that only batch norm notices."""
    p, (a, b) = problem(norm=norm), ends(norm)
    seen, orders = [], []
    deal, loss = Training.deal, Training.loss
    monkeypatch.setattr(Training, "deal", lambda self, order: (orders.append(order), deal(self, order))[1])
    monkeypatch.setattr(Training, "loss", lambda self, *a: (seen.append(orders[-1][a[2]]), loss(self, *a))[1])
    if indexed:
        monkeypatch.setattr(training, "_DEALT", 0)  # as with data that are too large for a second copy
    settings = {"num_bends": 2, "steps": 12, "batch_size": 15, "seed": 3, "weight_decay": decay}
    found = tw.connect(p, a, b, kind, optimizer=sgd(0.3, momentum=0.9), **settings)
    batch = seen[1:]  # the first evaluation of all is a trial
    assert [len(index) for index in batch] == [15] * 12
    assert all(len(set(torch.cat(batch[k : k + 2]).tolist())) == 30 for k in (0, 2, 4))  # 2 batches in an epoch
    x, y = optima.data()
    draws = found.dataset.t.values
    model = optima.network(norm=norm)
    losses, bends = by_hand(model, kind, a, b, 2, draws, batch, x, y, 0.3, 0.9, decay, norm)
    np.testing.assert_allclose(found.dataset.loss, losses, rtol=1e-10)
    torch.testing.assert_close(found.curve.bends, bends, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("norm", [False, True])
def test_nothing_of_the_problem_changes(norm):
    """Neither the user's model, nor the problem's weights, buffers and losses, nor the ends that were given."""
    model = optima.network(norm=norm)
    p = tw.ModuleProblem(model, optima.data(), loss=F.cross_entropy)
    a, b = ends(norm)

    def all_there_is():
        buffers = list(p._network.head.model.buffers())
        return copy.deepcopy([*model.state_dict().values(), *buffers, p.theta, a, b, p.loss(a)])

    before, known = all_there_is(), p.identity()
    found = tw.connect(p, a, b, steps=5, batch_size=10)
    tw.loss_along(p, found.curve, t=3)
    assert p.identity() == known
    assert all(torch.equal(one, other) for one, other in zip(before, all_there_is(), strict=True))


@kinds
def test_the_ends_stay_to_the_bit_and_t_zero_is_a_everywhere(kind, tmp_path):
    p, (a, b) = problem(), ends()
    found = tw.connect(p, a, b, kind, num_bends=2, steps=20, batch_size=10)
    assert torch.equal(found.curve(0.0), a)
    assert torch.equal(found.curve(1.0), b)
    np.testing.assert_array_equal(found.dataset.theta[0], a)
    np.testing.assert_array_equal(found.dataset.theta[-1], b)
    along = tw.loss_along(p, found.curve, t=5)
    assert float(along.loss[0]) == pytest.approx(float(p.loss(a)), rel=1e-12)
    assert float(along.loss[-1]) == pytest.approx(float(p.loss(b)), rel=1e-12)
    path = tw.course(found.curve, tw.curve_plane(found.curve), t=5)
    assert float(path.alpha[0]) == float(path.beta[0]) == float(path.distance[0]) == 0
    tw.save(found.dataset, tmp_path / "study.zarr")
    again = tw.read_curve(tw.load(tmp_path / "study.zarr"))
    assert type(again) is KINDS[kind]
    assert torch.equal(again.nodes, found.curve.nodes)


@kinds
@pytest.mark.parametrize("num_bends", [1, 3])
def test_a_linear_regression_has_no_barrier(kind, num_bends):
    """Its loss is convex: on the segment nowhere above the line between the ends, and lower on a learned curve."""
    x = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    line = nn.Linear(4, 1).double()
    p = tw.ModuleProblem(line, (x, x @ torch.ones(4, 1, dtype=torch.float64)), loss=F.mse_loss)
    a, b = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    straight = tw.loss_barrier(tw.loss_along(p, tw.Segment(a, b)))
    assert float(straight.barrier.sel(quantity="loss")) == 0
    found = tw.connect(p, a, b, kind, num_bends=num_bends, steps=300, batch_size=10)
    along = tw.loss_along(p, found.curve)
    assert float(tw.loss_barrier(along).barrier.sel(quantity="loss")) == 0
    assert float(along.loss.mean()) < float(tw.loss_along(p, tw.Segment(a, b)).loss.mean())


@kinds
def test_a_curve_through_a_ring_of_minima_follows_the_ring(kind):
    """A problem without examples: between opposite points of the ring x^2 + y^2 = 1 the segment crosses a hill."""
    ring = tw.FunctionProblem(lambda x, y: (x**2 + y**2 - 1) ** 2)
    found = tw.connect(ring, [-1.0, 0.0], [1.0, 0.0], kind, num_bends=3, init=[[-0.5, 0.1], [0, 0.1], [0.5, 0.1]])
    hill = tw.loss_barrier(tw.loss_along(ring, tw.Segment([-1.0, 0.0], [1.0, 0.0])))
    assert hill.barrier.values == pytest.approx([1])
    assert hill.t.values == [0.5]
    assert float(tw.loss_along(ring, found.curve).loss.max()) < 0.05
    assert found.curve.length() == pytest.approx(np.pi, rel=0.1)


def test_state_dicts_are_ends_too():
    p, (a, b) = problem(norm=True), ends(norm=True)
    states = [optima.put(optima.network(norm=True), theta).state_dict() for theta in (a, b)]
    found = tw.connect(p, *states, steps=3, batch_size=10)
    same = tw.connect(p, a, b, steps=3, batch_size=10)
    assert torch.equal(found.curve.nodes, same.curve.nodes)


def test_learning_goes_on_from_a_curve_or_from_bends():
    p, (a, b) = problem(), ends()
    start = torch.randn(2, len(a), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    curve = tw.PolygonalChain(torch.stack([a, *start, b]))
    settings = {"steps": 4, "batch_size": 10, "optimizer": sgd()}
    one = tw.connect(p, a, b, curve, **settings)
    other = tw.connect(p, a, b, "polygonal", init=start, **settings)
    assert torch.equal(one.curve.nodes, other.curve.nodes)
    assert not torch.equal(one.curve.bends, start)


def test_dicts_of_tensors_with_a_step_are_learned_as_pairs_are():
    x, y = optima.data()
    a, b = ends()
    pairs = problem()
    dicts = tw.ModuleProblem(
        optima.network(),
        {"x": x, "y": y},
        step=lambda model, batch: F.cross_entropy(model(batch["x"]), batch["y"], reduction="none"),
    )
    settings = {"steps": 6, "batch_size": 16, "optimizer": sgd()}
    one, other = (tw.connect(p, a, b, **settings) for p in (pairs, dicts))
    np.testing.assert_allclose(one.dataset.loss, other.dataset.loss, rtol=1e-12)
    torch.testing.assert_close(one.curve.nodes, other.curve.nodes)


def test_all_examples_in_batches_as_they_come_are_one_batch():
    """Uneven batches, each weighted by its examples."""
    x, y = optima.data()
    a, b = ends()
    chunks = [(x[i : i + 17], y[i : i + 17]) for i in range(0, 40, 17)]
    ragged = tw.ModuleProblem(optima.network(), chunks, loss=F.cross_entropy)
    settings = {"steps": 5, "batch_size": None, "optimizer": sgd()}
    one, other = tw.connect(problem(), a, b, **settings), tw.connect(ragged, a, b, **settings)
    torch.testing.assert_close(one.curve.nodes, other.curve.nodes, rtol=1e-10, atol=1e-10)
    assert one.dataset.attrs["batch_size"] == 0


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda w: torch.optim.Adam(w, lr=0.01),
        lambda w: torch.optim.LBFGS(w, lr=0.1, max_iter=3),
        lambda w: torch.optim.SGD(w, lr=0.1, nesterov=True, momentum=0.9),
    ],
)
def test_any_optimizer_lowers_the_mean_loss(optimizer):
    p, (a, b) = problem(), ends()
    found = tw.connect(p, a, b, optimizer=optimizer, steps=60, batch_size=None)
    before, after = (tw.loss_along(p, curve, t=21).loss.mean() for curve in (tw.Segment(a, b), found.curve))
    assert float(after) < float(before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(mode):
    settings = {"steps": 5, "batch_size": 10}
    expected = tw.connect(problem(), *ends(), **settings)
    with mode():
        found = tw.connect(problem(), *ends(), **settings)
        assert torch.equal(found.curve.nodes, expected.curve.nodes)
        assert torch.equal(found.curve([0.3]), expected.curve([0.3]))
        along = tw.loss_along(problem(), found.curve, t=3)
    np.testing.assert_array_equal(along.loss, tw.loss_along(problem(), expected.curve, t=3).loss)


def test_half_precision_weights_are_learned_in_single_precision():
    """Curve and optimiser are float32; the network sees rounded weights."""
    half = tw.ModuleProblem(
        optima.network().to(torch.bfloat16), (optima.data()[0].bfloat16(), optima.data()[1]), loss=F.cross_entropy
    )
    a = half.theta
    found = tw.connect(half, a, a.flip(0), optimizer=sgd(0.05), steps=60, batch_size=20)
    assert found.curve.nodes.dtype == torch.float32
    before, after = (tw.loss_along(half, c, t=11).loss.mean() for c in (tw.Segment(a, a.flip(0)), found.curve))
    assert float(after) < float(before)


def test_an_optimizer_that_replaces_its_tensor_is_followed():
    class Replacing(torch.optim.SGD):
        def step(self, closure=None):
            (bends,) = self.param_groups[0]["params"]
            bends.data = bends.data - self.param_groups[0]["lr"] * bends.grad

    settings = {"steps": 6, "batch_size": 10, "num_bends": 2}
    found = tw.connect(problem(), *ends(), optimizer=lambda w: Replacing(w, lr=0.1), **settings)
    expected = tw.connect(problem(), *ends(), optimizer=sgd(0.1), **settings)
    torch.testing.assert_close(found.curve.nodes, expected.curve.nodes)


def test_the_scheduler_sets_the_rates():
    p, (a, b) = problem(), ends()
    found = tw.connect(p, a, b, optimizer=sgd(0.1), scheduler=lambda o: schedules.StepLR(o, 2), steps=5, batch_size=10)
    np.testing.assert_allclose(found.dataset.learning_rate, [0.1, 0.1, 0.01, 0.01, 0.001])
    assert found.dataset.attrs["scheduler"] == "StepLR(step_size=2, gamma=0.1)"


def test_the_usual_rate_is_constant_and_then_anneals():
    found = tw.connect(problem(), *ends(), "polygonal", steps=100, batch_size=10)
    rates = found.dataset.learning_rate.values
    np.testing.assert_allclose(rates[:51], 0.03)
    assert rates[70] == pytest.approx(0.03 * (1 - 0.99 / 2))
    np.testing.assert_allclose(rates[90:], 3e-4)
    bezier = tw.connect(problem(), *ends(), steps=1)
    rate = float(bezier.dataset.learning_rate[0])
    assert rate == pytest.approx(4 * 0.03)  # the bend has at most half a say in where the curve runs


def test_a_training_that_diverges_is_kept_and_told():
    p, (a, b) = problem(loss=F.mse_loss, data=(optima.data()[0], torch.zeros(40, 3).double())), ends()
    steep = torch.full_like(a, 1e3)
    found = tw.connect(p, a, b, init=steep[None], optimizer=sgd(1e200), steps=300, batch_size=10)
    assert found.dataset.attrs["diverged_at"] <= 5
    assert np.isnan(found.dataset.loss[-1])
    assert "diverged at step" in repr(found)
    along = tw.loss_along(p, found.curve, t=3)
    assert float(along.loss[0]) == pytest.approx(float(p.loss(a)))
    assert not np.isfinite(along.loss[1])
    barrier = tw.loss_barrier(along)
    assert not np.isfinite(barrier.barrier).all()
    with pytest.raises(ValueError, match="diverged"):
        tw.curve_plane(found.curve)


def test_the_seed_decides():
    settings = {"steps": 5, "batch_size": 10}
    one, again, other = (tw.connect(problem(), *ends(), seed=s, **settings) for s in (0, 0, 1))
    assert torch.equal(one.curve.nodes, again.curve.nodes)
    assert not torch.equal(one.curve.nodes, other.curve.nodes)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    tw.connect(problem(), *ends(), **settings)
    torch.manual_seed(5)
    assert torch.rand(1) == expected


def test_t_is_uniform_over_more_than_one_block_of_draws():
    flat = tw.FunctionProblem(lambda x, y: 0 * x + 0 * y)
    t = tw.connect(flat, [0.0, 0.0], [1.0, 1.0], steps=2500).dataset.t.values
    assert len(set(t)) == 2500
    assert (t >= 0).all()
    assert (t < 1).all()
    share = np.histogram(t, bins=10, range=(0, 1))[0] / 2500
    np.testing.assert_allclose(share, 0.1, atol=4 * np.sqrt(0.09 / 2500))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_on_the_digits_the_highest_loss_of_a_learned_curve_is_that_of_its_worse_end(kind):
    (x, y), _ = digits()
    models = [
        optima.trained(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), x, y, seed)
        for seed in (0, 1)
    ]
    p = tw.ModuleProblem(models[0], (x, y), loss=F.cross_entropy)
    a, b = (model.state_dict() for model in models)
    found = tw.connect(p, a, b, kind)
    straight = tw.loss_barrier(tw.loss_along(p, tw.Segment(found.curve.a, found.curve.b)))
    along = tw.loss_along(p, found.curve)
    assert float(straight.barrier.sel(quantity="loss")) > 0.3
    assert float(along.loss.max()) == max(float(along.loss[0]), float(along.loss[-1]))


def test_ends_may_be_networks_states_or_files(tmp_path):
    """All the same ends, so all the same curve."""
    torch.manual_seed(0)
    nets = [torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)) for _ in range(2)]
    problem = tw.ModuleProblem(nets[0], (torch.randn(20, 2), torch.randn(20, 1)), loss=torch.nn.functional.mse_loss)
    for k, net in enumerate(nets):
        torch.save(net.state_dict(), tmp_path / f"{k}.pt")
    flat = [torch.nn.utils.parameters_to_vector(net.parameters()).detach() for net in nets]
    kinds = [flat, nets, [net.state_dict() for net in nets], [tmp_path / "0.pt", str(tmp_path / "1.pt")]]
    curves = [tw.connect(problem, *ends, steps=3, progress=False).curve.nodes for ends in kinds]
    assert all(torch.equal(curve, curves[0]) for curve in curves)
