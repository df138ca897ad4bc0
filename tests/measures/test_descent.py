"""Descents against recurrences by hand, and against plain torch.optim on each start alone."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules

import thalweg as tw

from . import naive
from .naive import product, product_loss, product_slope, sgd

STARTS = [[1.0, 0.5], [-0.3, 1.2], [0.7, -0.9], [1.5, 1.1], [0.2, 0.1]]
near = st.floats(-1.5, 1.5, allow_subnormal=False)


@given(
    shape=st.lists(st.integers(1, 3), max_size=3),
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(1e-4, 0.15),
    steps=st.integers(1, 15),
)
def test_gradient_descent_is_its_recurrence(shape, seed, rate, steps):
    """θₖ₊₁ = θₖ - η ∇L(θₖ) from any leading shape of starts; `steps` updates give `steps + 1` iterates, each with its
    own loss and gradient."""
    starts = np.random.default_rng(seed).uniform(-1.5, 1.5, size=(*shape, 2))
    paths = tw.descend(product(), starts, sgd(rate), steps)
    theta = starts.reshape(-1, 2)
    assert paths.theta.shape == (len(theta), steps + 1, 2)
    assert paths.step.values.tolist() == list(range(steps + 1))
    for k in range(steps + 1):
        np.testing.assert_allclose(paths.theta[:, k], theta, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(paths.loss[:, k], product_loss(theta), rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(paths.gradient[:, k], product_slope(theta), rtol=1e-10, atol=1e-13)
        theta = theta - rate * product_slope(theta)
    assert paths.attrs["start_shape"] == (list(shape) or [1])
    np.testing.assert_array_equal(paths.learning_rate, np.full(steps + 1, rate))


@given(every=st.integers(1, 30), steps=st.integers(1, 20))
def test_every_nth_iterate_and_the_last_are_kept(every, steps):
    whole = tw.descend(product(), STARTS, sgd(0.1, momentum=0.5), steps)
    kept = tw.descend(product(), STARTS, sgd(0.1, momentum=0.5), steps, every=every)
    expected = sorted({*range(0, steps + 1, every), steps})
    assert kept.step.values.tolist() == expected
    for name in ("theta", "loss", "gradient", "learning_rate"):
        np.testing.assert_array_equal(kept[name], whole[name].isel(step=expected))


def test_starts_come_as_lists_arrays_and_tensors():
    as_list = tw.descend(product(), STARTS, sgd(), 5)
    for starts in (
        np.array(STARTS),
        torch.tensor(STARTS, dtype=torch.double, requires_grad=True),
        [torch.tensor(row, dtype=torch.double) for row in STARTS],
    ):
        np.testing.assert_allclose(tw.descend(product(), starts, sgd(), 5).theta, as_list.theta, rtol=1e-6)


def test_the_starts_given_are_left_as_they_were():
    starts = torch.tensor(STARTS, dtype=torch.double)
    kept = starts.clone()
    tw.descend(product(), starts, sgd(), 5)
    assert torch.equal(starts, kept)
    assert not starts.requires_grad


OPTIMIZERS = {
    "SGD": sgd(0.05),
    "momentum": sgd(0.02, momentum=0.9),
    "dampening": sgd(0.02, momentum=0.9, dampening=0.3),
    "Nesterov": sgd(0.02, momentum=0.9, nesterov=True),
    "weight decay": sgd(0.05, weight_decay=0.1),
    "ascent": sgd(0.001, maximize=True),
    "Adam": lambda w: optim.Adam(w, lr=0.05),
    "AMSGrad": lambda w: optim.Adam(w, lr=0.05, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda w: optim.AdamW(w, lr=0.05, weight_decay=0.2),
    "Adamax": lambda w: optim.Adamax(w, lr=0.05),
    "NAdam": lambda w: optim.NAdam(w, lr=0.05),
    "RAdam": lambda w: optim.RAdam(w, lr=0.05),
    "Adadelta": lambda w: optim.Adadelta(w, lr=0.5),
    "Adagrad": lambda w: optim.Adagrad(w, lr=0.1, lr_decay=0.01),
    "ASGD": lambda w: optim.ASGD(w, lr=0.05),
    "RMSprop": lambda w: optim.RMSprop(w, lr=0.02, centered=True, momentum=0.3),
    "Rprop": lambda w: optim.Rprop(w, lr=0.05),
    "a loop over tensors": lambda w: optim.Adam(w, lr=0.05, foreach=False),
    "all tensors at once": lambda w: optim.Adam(w, lr=0.05, foreach=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_elementwise_optimizer_moves_each_start_as_if_alone(name):
    paths = tw.descend(product(), STARTS, OPTIMIZERS[name], 25)
    assert paths.attrs["one_optimizer_per_start"] == 0
    for k, start in enumerate(STARTS):
        expected, rates = naive.alone(product_loss, start, OPTIMIZERS[name], 25)
        np.testing.assert_allclose(paths.theta[k], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(paths.learning_rate[:-1], rates)
    assert np.ptp(paths.theta.values, axis=1).max() > 1e-3, "nothing moved"


class Normalized(optim.SGD):
    """Steps of one length: the gradient over its norm."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = p.grad / p.grad.norm()
        return super().step(closure=None)


class Clipped(optim.SGD):
    """No gradient longer than 10, as usual in training."""

    def step(self, closure=None):
        nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], 10.0)
        return super().step(closure=None)


class SharpnessAware(optim.Optimizer):
    """SAM (Foret et al. 2021), as commonly written: up the gradient first, then the gradient from there."""

    def __init__(self, params, lr=0.1, rho=0.05):
        super().__init__(params, {"lr": lr, "rho": rho})

    @torch.no_grad()
    def step(self, closure):
        (group,) = self.param_groups
        (p,) = group["params"]
        before = p.clone()
        p.add_(p.grad / p.grad.norm(), alpha=group["rho"])
        self.zero_grad()
        with torch.enable_grad():
            closure()
        p.copy_(before)
        p.add_(p.grad, alpha=-group["lr"])


class Twice(optim.SGD):
    """Gradient descent that looks twice in a step, and follows the second look."""

    def step(self, closure):
        closure()
        closure()
        return super().step(closure=None)


COUPLED = {
    "LBFGS": lambda w: optim.LBFGS(w, lr=0.3, max_iter=4),
    "LBFGS with a line search": lambda w: optim.LBFGS(w, line_search_fn="strong_wolfe"),
    "Adafactor": lambda w: optim.Adafactor(w, lr=0.05),
    "normalized gradient": lambda w: Normalized(w, lr=0.05),
    "clipped gradient": lambda w: Clipped(w, lr=0.01),
    "tiny steps of one length": lambda w: Normalized(w, lr=1e-7),
    "sharpness-aware": lambda w: SharpnessAware(w, lr=0.05, rho=0.1),
    "two looks": lambda w: Twice(w, lr=0.05),
}


@pytest.mark.parametrize("name", COUPLED)
def test_an_optimizer_that_couples_weights_moves_each_start_as_if_alone(name):
    starts = [*STARTS, [2.5, -3.0]]  # far out: its gradient, of length 66, is one to clip
    paths = tw.descend(product(), starts, COUPLED[name], 12)
    assert paths.attrs["one_optimizer_per_start"] == 1
    for k, start in enumerate(starts):
        expected, _ = naive.alone(product_loss, start, COUPLED[name], 12)
        np.testing.assert_allclose(paths.theta[k], expected, rtol=1e-9, atol=1e-12)
    assert np.ptp(paths.theta.values, axis=1).max(axis=1).min() > 1e-7, "some start did not move"


SCHEDULES = {
    "steps": (sgd(0.1), lambda o: schedules.StepLR(o, 4, gamma=0.5)),
    "cosine": (sgd(0.1), lambda o: schedules.CosineAnnealingLR(o, T_max=20)),
    "warm restarts": (sgd(0.1), lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=7)),
    "cyclic": (sgd(0.01), lambda o: schedules.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False)),
    "cyclic with its momentum": (sgd(0.01, momentum=0.8), lambda o: schedules.CyclicLR(o, 0.01, 0.05, step_size_up=3)),
    "one cycle": (sgd(0.1, momentum=0.5), lambda o: schedules.OneCycleLR(o, max_lr=0.05, total_steps=20)),
    "one cycle of straight lines": (
        sgd(0.1, momentum=0.5),
        lambda o: schedules.OneCycleLR(o, max_lr=0.05, total_steps=20, anneal_strategy="linear"),
    ),
    "a function": (lambda w: optim.Adam(w, lr=0.1), lambda o: schedules.LambdaLR(o, lambda k: 1 / (1 + k))),
    "warm-up, then decay": (
        sgd(0.1),
        lambda o: schedules.SequentialLR(o, [schedules.LinearLR(o, 0.1), schedules.ExponentialLR(o, 0.9)], [5]),
    ),
    "of coupled weights": (COUPLED["normalized gradient"], lambda o: schedules.StepLR(o, 4, gamma=0.5)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scheduled_descent_records_the_rate_of_every_update(name):
    optimizer, scheduler = SCHEDULES[name]
    paths = tw.descend(product(), STARTS, optimizer, 20, scheduler=scheduler)
    for k, start in enumerate(STARTS):
        expected, rates = naive.alone(product_loss, start, optimizer, 20, scheduler)
        np.testing.assert_allclose(paths.theta[k], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(paths.learning_rate[:-1], rates)
    assert len(set(rates)) > 2, "the rate never changed"
    assert paths.attrs["scheduler"] == type(scheduler(sgd(0.1, momentum=0.5)([torch.zeros(1)]))).__name__


def test_the_optimizer_is_named_with_its_settings():
    paths = tw.descend(product(), STARTS, sgd(0.1, momentum=0.9, nesterov=True), 2)
    assert paths.attrs["optimizer"] == "SGD(lr=0.1, momentum=0.9, nesterov=True)"
    assert paths.attrs["scheduler"] == "none"
    assert paths.attrs["weights"] == ["t1", "t2"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "LBFGS"])
def test_an_ensemble_trains_each_network_as_if_alone(name, dtype):
    optimizer = (OPTIMIZERS | COUPLED)[name]
    model, data = naive.network(dtype), naive.regression(dtype=dtype)
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
    starts = naive.around(problem, 4)
    if name == "LBFGS":  # over one vector, as a norm over all weights matters to it
        paths = tw.descend(problem, starts, optimizer, 3)
        expected = [naive.alone(problem.loss, s, optimizer, 3)[0] for s in starts.double()]
    else:
        paths = tw.descend(problem, starts, optimizer, 15)
        expected = [naive.trained(model, s, data, F.mse_loss, optimizer, 15).numpy() for s in starts]
    assert paths.theta.dtype == np.dtype(str(dtype).removeprefix("torch."))
    rtol = 1e-9 if dtype is torch.float64 else 1e-3
    np.testing.assert_allclose(paths.theta, np.stack(expected), rtol=rtol, atol=rtol)


def test_loss_and_gradient_of_an_ensemble_are_those_of_each_iterate():
    model, data = naive.network(), naive.regression()
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
    paths = tw.descend(problem, naive.around(problem, 3), sgd(), 4)
    for row, loss, gradient in zip(
        paths.theta.values.reshape(-1, problem.num_weights),
        paths.loss.values.ravel(),
        paths.gradient.values.reshape(-1, problem.num_weights),
        strict=True,
    ):
        losses, slopes = naive.example_gradients(model, row, data, F.mse_loss)
        assert loss == pytest.approx(losses.mean(), rel=1e-12)
        np.testing.assert_allclose(gradient, slopes.mean(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "LBFGS"])
def test_model_problem_and_generators_are_left_as_they_were(name):
    model, data = naive.network(), naive.regression()
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
    kept, theta = {key: value.clone() for key, value in model.state_dict().items()}, problem.theta
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    tw.descend(problem, naive.around(problem, 3), (OPTIMIZERS | COUPLED)[name], 3, batch_size=4, noise=0.1, seed=1)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(problem.theta, theta)


def test_a_saved_descent_comes_back_identical(tmp_path):
    problem = tw.ModuleProblem(naive.network(), naive.regression(), loss=F.mse_loss)
    plain = tw.descend(product(), [[1.0, 0.5]], sgd(), 3)
    rich = tw.descend(problem, naive.around(problem, 3), sgd(), np.int64(4), batch_size=np.int64(4), noise=0.1)
    rich = tw.project_trajectory(tw.outcomes(rich, problem, side=lambda w: np.sign(w[:, 0])), tw.random_plane(problem))
    for name, paths in {"plain": plain, "rich": rich}.items():
        xr_back = tw.load(tw.save(paths, tmp_path / "study.zarr", name), name)
        assert xr_back.identical(paths)
