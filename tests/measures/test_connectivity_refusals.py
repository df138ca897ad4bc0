"""What no curve can be learned from, refused before anything is computed, with a word on what to do."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw

from . import optima
from .optima import ends, problem

QUICK = {"steps": 2, "batch_size": 8}


def refused(message, *, error=ValueError, of=None, between=None, **settings):
    a, b = between or ends()
    with pytest.raises(error, match=message):
        tw.connect(of or problem(), a, b, **(QUICK | settings))


def test_ends_of_another_network():
    a, b = ends()
    refused(r"`b` has shape \(9,\), but the problem has 57 weights.*another network", between=(a, b[:9]))
    refused(r"`a` has shape \(1, 57\)", between=(a[None], b))
    state = optima.network().state_dict()
    refused("does not fit Sequential: missing `0.bias`", between=(a, {k: v for k, v in state.items() if k != "0.bias"}))
    refused(r"`2.weight` is \(3, 5\)", between=({**state, "2.weight": torch.zeros(3, 5)}, b))
    refused("not in the model `extra`", between=(a, {**state, "extra": torch.zeros(1)}))


def test_equal_ends_and_ends_that_are_not_finite():
    a, b = ends()
    refused("equal, so there is nothing to connect", between=(a, a.clone()))
    refused("1 of the 57 weights of `b` are not finite", between=(a, torch.cat([b[:-1], b.new_tensor([math.nan])])))


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, None])
def test_less_than_one_step(steps):
    refused(f"steps={steps!r}; expected a whole number from 1", steps=steps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"num_bends": 0}, "num_bends=0"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"weight_decay": math.nan}, "weight_decay=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"every": 0}, "every=0"),
        ({"curve": "straight"}, "'straight'; expected one of 'polygonal', 'bezier'"),
        ({"init": np.zeros((1, 3))}, r"\(1, 3\)"),
        ({"init": np.zeros(57)}, r"\(57,\)"),
        ({"init": np.full((1, 57), np.nan)}, "non-finite"),
        ({"optimizer": lambda w: torch.optim.SGD(w, lr=-1.0)}, "refuses its settings"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    refused(message, **settings)


def test_what_is_no_optimizer_scheduler_or_curve():
    refused("expected a function that makes one", error=TypeError, optimizer="SGD")
    refused("ReduceLROnPlateau", error=TypeError, scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)
    refused("expected a PolygonalChain or a BezierCurve", error=TypeError, curve=3)
    a, b = ends()
    refused("no bends to learn", curve=tw.Segment(a, b))
    refused("no bends to learn", curve=tw.BezierCurve.between(a, b, 0))
    refused("between other ends", curve=tw.BezierCurve.between(b, a))
    with pytest.raises(TypeError, match="expected a network with its loss and data"):
        tw.connect(optima.network(), a, b)
    with pytest.raises(TypeError, match="the problem has no model"):
        tw.connect(tw.FunctionProblem(lambda x: x), {"x": torch.zeros(1)}, [1.0])


def test_examples_that_cannot_be_put_into_other_batches():
    """Normalised by their batch, or in batches that cannot be joined; all of them at every step can be had."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 3)).double()
    coupled = tw.ModuleProblem(model.eval(), optima.data(), loss=F.cross_entropy)
    a = coupled.theta
    refused("other batches.*batch_size=None", of=coupled, between=(a, a + 1))
    assert tw.connect(coupled, a, a + 1, steps=2, batch_size=None).dataset.sizes["step"] == 2

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 3).double()

        def forward(self, x):
            return self.linear(x.mean(1, keepdim=True))

    _, y = optima.data()
    lists = [(torch.randn(4, n, dtype=torch.float64), y[:4]) for n in (3, 5)]
    ragged = tw.ModuleProblem(Mean().eval(), lists, loss=F.cross_entropy)
    a = ragged.theta
    refused("other batches", of=ragged, between=(a, a + 1))
    assert tw.connect(ragged, a, a + 1, steps=2, batch_size=None).dataset.sizes["step"] == 2


def test_streamed_examples_cannot_be_picked():
    x, y = optima.data()
    streamed = tw.ModuleProblem(optima.network(), (x, y), loss=F.cross_entropy, batch_size=10, memory=0)
    refused("do not fit in memory", of=streamed)
    found = tw.connect(streamed, *ends(), steps=2, batch_size=None)
    same = tw.connect(problem(), *ends(), steps=2, batch_size=None)
    torch.testing.assert_close(found.curve.nodes, same.curve.nodes)


def test_one_example_is_no_batch_to_normalise():
    refused("no statistics of a single example", of=problem(norm=True), between=ends(True), batch_size=1)
    assert tw.connect(problem(), *ends(), steps=2, batch_size=1).dataset.attrs["batch_size"] == 1


def test_more_examples_than_there_are_is_all_of_them():
    found = tw.connect(problem(), *ends(), steps=2, batch_size=1000)
    assert found.dataset.attrs["batch_size"] == 40


def test_only_a_connection_holds_a_curve():
    p = problem()
    with pytest.raises(ValueError, match="'surface' holds no curve"):
        tw.read_curve(tw.loss_along(p, tw.Segment(*ends()), t=3))


def test_states_that_differ_in_what_does_not_move():
    """At t = 0 there would be another network than `a`."""

    def state(seed, make):
        torch.manual_seed(seed)
        return make().double().eval()

    def frozen():
        model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
        model[0].requires_grad_(False)
        return model

    class Shifted(nn.Linear):
        def __init__(self):
            super().__init__(5, 3)
            self.register_buffer("shift", torch.randn(5))

        def forward(self, x):
            return super().forward(x + self.shift)

    for make, name in ((frozen, "0.weight"), (Shifted, "shift")):
        a, b = (state(seed, make) for seed in (1, 2))
        p = tw.ModuleProblem(a, optima.data(), loss=F.cross_entropy)
        ends = a.state_dict(), b.state_dict()
        refused(rf"`b` differs from the problem in what is not trained: `{name}`", of=p, between=ends)
        refused(r"`a` differs from the problem", of=p, between=ends[::-1])
        shared = {key: ends[0][key] if key in p.shared_state() else value for key, value in ends[1].items()}
        tw.connect(p, ends[0], shared, **QUICK)
    tw.connect(problem(norm=True), *(optima.network(s, norm=True).state_dict() for s in (1, 2)), **QUICK)


def test_as_many_bends_as_are_given():
    a, b = ends()
    three = torch.zeros(3, 57)
    assert len(tw.connect(problem(), a, b, init=three, **QUICK).curve.bends) == 3
    refused("num_bends=2, but `init` has 3", init=three, num_bends=2)
    refused("num_bends=1, but the curve has 2", curve=tw.BezierCurve.between(a, b, 2), num_bends=1)


def test_a_last_single_example_is_no_batch_to_normalise():
    x, y = optima.data(17)
    p = problem(norm=True, data=(x, y), batch_size=8)
    found = tw.connect(p, *ends(True), steps=2, batch_size=None)
    assert np.isfinite(found.dataset.loss).all()
    assert np.isfinite(tw.loss_along(p, found.curve, t=3).loss).all()


def test_sparse_gradients_and_inference_mode():
    embedding = nn.Sequential(nn.Embedding(5, 4, sparse=True), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.randint(5, (20, 2))
    words = tw.ModuleProblem(embedding, (x, x.sum(1) % 3), loss=F.cross_entropy)
    tw.connect(words, words.theta, words.theta + 1, **QUICK)
    a, b = ends()
    with torch.inference_mode():
        found = tw.connect(problem(), a.clone(), b.clone(), **QUICK)
    assert torch.equal(found.curve.nodes, tw.connect(problem(), a, b, **QUICK).curve.nodes)
