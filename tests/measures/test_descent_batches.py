"""Stochastic descents: which examples each update saw, what it followed, and the noise that was added."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw

from . import naive
from .naive import product, sgd

N = 11


@pytest.fixture
def data():
    return naive.regression(N)


@pytest.fixture
def problem(data):
    return tw.ModuleProblem(naive.network(), data, loss=F.mse_loss)


def batches(paths):
    """The examples of each update, without what fills up the smaller ones."""
    rows = paths.example.values
    assert (rows[-1] == -1).all(), "after the last update comes no batch"
    filled = [row[row >= 0] for row in rows[:-1]]
    assert all((row[: len(f)] == f).all() and (row[len(f) :] == -1).all() for row, f in zip(rows, filled, strict=False))
    return filled


@settings(max_examples=12)
@given(size=st.integers(1, N), seed=st.integers(0, 99), epochs=st.integers(1, 3), extra=st.integers(0, 3))
def test_every_epoch_is_a_permutation_in_batches(size, seed, epochs, extra):
    """Batches of the size asked for and a smaller last one, without replacement, in a new order each epoch."""
    problem = tw.ModuleProblem(naive.network(), naive.regression(N), loss=F.mse_loss)
    each = -(-N // size)
    paths = tw.descend(problem, naive.around(problem, 1), sgd(), epochs * each + extra, batch_size=size, seed=seed)
    seen = batches(paths)
    sizes = [size] * (N // size) + [N % size] * (N % size > 0)
    for epoch in range(epochs):
        rows = seen[epoch * each : (epoch + 1) * each]
        assert [len(row) for row in rows] == sizes
        assert sorted(np.concatenate(rows)) == list(range(N))
    assert paths.attrs["batch_size"] == size


def test_epochs_differ_in_their_order(problem):
    seen = batches(tw.descend(problem, naive.around(problem, 1), sgd(), 3 * N, batch_size=1))
    first, second, third = np.concatenate(seen).reshape(3, N)
    assert (first != second).any()
    assert (second != third).any()
    assert (first != np.arange(N)).any()


def test_without_shuffling_the_data_come_in_their_own_order(problem):
    paths = tw.descend(problem, naive.around(problem, 1), sgd(), 8, batch_size=4, shuffle=False, seed=3)
    expected = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]] * 3
    assert [row.tolist() for row in batches(paths)] == expected[:8]
    assert paths.example.values[2].tolist() == [8, 9, 10, -1]


def test_the_seed_says_the_order_of_the_examples(problem):
    def order(seed):
        return tw.descend(problem, naive.around(problem, 2), sgd(), 6, batch_size=4, seed=seed)

    assert order(1).drop_attrs().identical(order(1).drop_attrs())
    assert (order(1).example != order(2).example).any()


@pytest.mark.parametrize("size", [1, 4, N])
def test_each_update_follows_the_mean_gradient_of_its_batch(problem, data, size):
    """θₖ₊₁ = θₖ - η/|Bₖ| Σ ∇ℓᵢ(θₖ) with the same Bₖ at all starts; `loss` is over all data, `batch_loss` over Bₖ."""
    paths = tw.descend(problem, naive.around(problem, 3), sgd(0.05), 7, batch_size=size)
    theta = paths.theta.values
    for start, (step, chosen) in itertools.product(range(3), enumerate(batches(paths))):
        losses, slopes = naive.example_gradients(naive.network(), theta[start, step], data, F.mse_loss)
        np.testing.assert_allclose(paths.gradient[start, step], slopes[chosen].mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            theta[start, step + 1], theta[start, step] - 0.05 * slopes[chosen].mean(axis=0), rtol=1e-9, atol=1e-12
        )
        assert float(paths.loss[start, step]) == pytest.approx(losses.mean(), rel=1e-12)
        assert float(paths.batch_loss[start, step]) == pytest.approx(losses[chosen].mean(), rel=1e-12)
    assert np.isfinite(paths.loss[:, -1]).all()
    assert np.isnan(paths.batch_loss[:, -1]).all()
    assert np.isnan(paths.gradient[:, -1]).all()


def test_a_batch_of_all_examples_is_full_batch_descent(problem):
    starts = naive.around(problem, 3)
    whole, batch = (tw.descend(problem, starts, sgd(momentum=0.9), 10, batch_size=size) for size in (None, N))
    np.testing.assert_allclose(batch.theta, whole.theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(batch.loss, whole.loss, rtol=1e-10)
    assert "example" not in whole
    assert whole.attrs["batch_size"] == 0


def test_examples_have_the_same_numbers_however_the_data_come(problem, data):
    """As tensors, in unequal batches, or from a loader: number 7 is the eighth example."""
    starts = naive.around(problem, 2)
    expected = tw.descend(problem, starts, sgd(), 8, batch_size=3, seed=4)
    unequal = list(zip(data[0].split([5, 1, 5]), data[1].split([5, 1, 5]), strict=True))
    for form in (unequal, DataLoader(TensorDataset(*data), batch_size=4), [data]):
        other = tw.ModuleProblem(naive.network(), form, loss=F.mse_loss)
        paths = tw.descend(other, starts, sgd(), 8, batch_size=3, seed=4)
        np.testing.assert_array_equal(paths.example, expected.example)
        np.testing.assert_allclose(paths.theta, expected.theta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("every", [2, 3, 5, 50])
def test_kept_steps_of_a_stochastic_descent_are_those_of_the_whole(problem, every):
    starts = naive.around(problem, 2)
    whole, kept = (tw.descend(problem, starts, sgd(), 10, batch_size=4, noise=0.1, every=n) for n in (1, every))
    chosen = whole.sel(step=kept.step)
    for name in ("theta", "loss", "batch_loss", "gradient"):
        np.testing.assert_allclose(kept[name], chosen[name], rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(kept.example.values, chosen.example.values, strict=True):
        assert ours[ours >= 0].tolist() == theirs[theirs >= 0].tolist()


def test_batches_of_a_coupled_optimizer_are_recorded_too(problem, data):
    """LBFGS looks several times in a step, each time at the same batch."""
    starts = naive.around(problem, 2)
    paths = tw.descend(problem, starts, lambda w: torch.optim.LBFGS(w, lr=0.5, max_iter=3), 3, batch_size=4)
    for k, start in enumerate(starts):
        weights = start.clone().requires_grad_(True)
        mover = torch.optim.LBFGS([weights], lr=0.5, max_iter=3)
        for step, chosen in enumerate(batches(paths)):
            mover.step(partial(backward, mover, weights, data[0][chosen], data[1][chosen]))
            np.testing.assert_allclose(paths.theta[k, step + 1], weights.detach(), rtol=1e-8, atol=1e-10)


def backward(mover, weights, x, y):
    """The mean squared error of the network written out, and its gradient."""
    mover.zero_grad()
    hidden = torch.tanh(x @ weights[:6].reshape(3, 2).T + weights[6:9])
    loss = ((hidden @ weights[9:12, None] + weights[12] - y) ** 2).mean()
    loss.backward()
    return loss


def drawn(paths, rate, noise):
    """The noise, in units of its standard deviation, from what plain descent would have done."""
    theta = paths.theta.values
    return -((theta[:, 1:] - theta[:, :-1]) / rate + paths.gradient.values[:, :-1]) / noise


def test_noise_is_normal_with_the_spread_asked_for_and_independent_everywhere():
    """Over 40,000 draws: mean 0, variance 1, kurtosis 3, and no correlation between starts, steps or weights."""
    starts = np.random.default_rng(0).uniform(-1, 1, size=(100, 2))
    z = drawn(tw.descend(product(), starts, sgd(0.01), 200, noise=0.3, seed=5), 0.01, 0.3)
    count = z.size
    assert abs(z.mean()) < 4 / count**0.5
    assert abs(z.var() - 1) < 4 * (2 / count) ** 0.5
    assert abs((z**4).mean() - 3) < 4 * (96 / count) ** 0.5
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[..., 0], z[..., 1])):
        assert abs((a * b).mean()) < 4 / a.size**0.5
    assert np.ptp(z, axis=0).min() > 1, "starts share their noise"


def test_noise_is_reproduced_by_its_seed_and_changed_by_another():
    def noisy(seed, noise=0.3):
        return tw.descend(product(), [[1.0, 0.5], [0.2, 0.3]], sgd(0.01), 20, noise=noise, seed=seed).theta.values

    np.testing.assert_array_equal(noisy(1), noisy(1))
    assert (noisy(1)[:, 1:] != noisy(2)[:, 1:]).all()
    np.testing.assert_array_equal(noisy(1, 0.0), noisy(2, 0.0))


def test_the_gradient_recorded_is_the_one_without_noise():
    paths = tw.descend(product(), [[1.0, 0.5], [0.2, 0.3]], sgd(0.01), 20, noise=0.5)
    np.testing.assert_allclose(paths.gradient, naive.product_slope(paths.theta.values), rtol=1e-12)
    assert np.ptp(drawn(paths, 0.01, 0.5)) > 1


def test_noise_is_added_to_every_look_of_an_optimizer_that_looks_twice():
    looks = []

    class Twice(torch.optim.SGD):
        def step(self, closure):
            p = self.param_groups[0]["params"][0]
            for _ in range(2):
                closure()
                looks.append(p.grad.clone() - torch.as_tensor(naive.product_slope(p.detach().numpy())))
            return super().step(closure=None)

    tw.descend(product(), [[1.0, 0.5]], lambda w: Twice(w, lr=0.01), 10, noise=0.5)
    assert len(looks) == 20
    assert all((look != 0).all() for look in looks)


@pytest.mark.parametrize("name", ["SGD", "Adam", "LBFGS"])
def test_a_start_that_diverges_leaves_the_others_alone(name):
    """To the bit, without a warning, its own inf and nan kept."""
    optimizer = {
        "SGD": sgd(0.1, momentum=0.5),
        "Adam": lambda w: torch.optim.Adam(w, lr=0.1),
        "LBFGS": lambda w: torch.optim.LBFGS(w, lr=1.0, max_iter=2),
    }[name]
    problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2 + 0 * x**40)
    good, bad = [[1.0, 0.5], [-0.3, 1.2], [0.7, -0.9]], [1e10, 1e10]
    paths = tw.descend(problem, [*good[:2], bad, good[2]], optimizer, 30)
    without = tw.descend(problem, good, optimizer, 30)
    for variable in ("theta", "loss", "gradient"):
        np.testing.assert_array_equal(paths[variable].isel(start=[0, 1, 3]), without[variable])
    assert not np.isfinite(paths.loss[2]).all()
    assert np.isfinite(without.loss).all()


@pytest.mark.parametrize("size", [None, 3])
def test_a_network_that_diverges_leaves_the_others_alone(problem, size):
    good = naive.around(problem, 3)
    bad = torch.full_like(good[:1], 1e200)
    paths = tw.descend(problem, torch.cat([good[:1], bad, good[1:]]), sgd(0.05), 8, batch_size=size)
    without = tw.descend(problem, good, sgd(0.05), 8, batch_size=size)
    for variable in ("theta", "loss"):
        np.testing.assert_allclose(paths[variable].isel(start=[0, 2, 3]), without[variable], rtol=1e-12)
    assert not np.isfinite(paths.loss[1, -1])
