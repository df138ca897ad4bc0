"""Sums of sines: the truth is its formula, training data are noisy, test data clean, networks of the size asked for."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from thalweg import landscapes as ls


def test_the_truth_is_its_sum():
    truth = ls.sum_of_sines(num_waves=4, seed=3)
    x = np.linspace(-2, 2, 31)
    waves = zip(truth.amplitudes, truth.frequencies, truth.phases, strict=True)
    expected = sum(a * np.sin(w * x + p) for a, w, p in waves)
    np.testing.assert_allclose(truth(x), expected, atol=1e-12)
    np.testing.assert_allclose(truth(torch.tensor(x)), expected, atol=1e-12)
    assert truth(0.5) == pytest.approx(float(truth(np.array([0.5]))[0]))
    assert truth.formula.count("sin") == 4


def test_the_truth_is_drawn_by_seed_within_its_ranges():
    assert ls.sum_of_sines() == ls.sum_of_sines(seed=0) != ls.sum_of_sines(seed=1)
    many = ls.sum_of_sines(num_waves=500, seed=2)
    for values, (lo, hi) in (
        (many.amplitudes, (0.2, 1.0)),
        (many.frequencies, (1.0, 8.0)),
        (many.phases, (0, 2 * math.pi)),
    ):
        assert lo <= min(values) < lo + 0.05 * (hi - lo)
        assert hi - 0.05 * (hi - lo) < max(values) <= hi


def test_training_examples_are_noisy_and_test_examples_clean():
    train, test, truth = ls.sines_data()
    assert train.x.shape == train.y.shape == (1500, 1)
    assert test.x.shape == test.y.shape == (500, 1)
    assert train.x.dtype == torch.float32
    noise = train.y - truth(train.x)
    assert float(noise.std()) == pytest.approx(0.1, rel=4 / math.sqrt(2 * 1500))
    assert float(train.x.std()) == pytest.approx(1 / math.sqrt(3), rel=0.1)
    torch.testing.assert_close(test.y, truth(test.x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(test.x[:, 0], torch.linspace(-1, 1, 500))


def test_a_narrower_training_range_leaves_the_test_range():
    train, test, _ = ls.sines_data(train_range=(-1.0, 0.4), seed=50)
    assert -1.0 <= float(train.x.min()) < -0.99
    assert 0.39 < float(train.x.max()) <= 0.4
    assert float(test.x.max()) == 1.0
    assert not torch.equal(train.y, ls.sines_data(train_range=(-1.0, 0.4), seed=51).train.y)


def test_a_network_has_the_layers_asked_for():
    net = ls.mlp([20, 5], inputs=3, outputs=2, activation=nn.Tanh)
    assert [type(layer) for layer in net] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [tuple(p.shape) for p in net.parameters()] == [(20, 3), (20,), (5, 20), (5,), (2, 5), (2,)]
    assert len(ls.mlp([])) == 1


def test_a_network_is_drawn_by_seed_and_the_global_generator_stays():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (ls.mlp([4], seed=seed) for seed in (100, 100, 101))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)
    torch.manual_seed(100)
    assert torch.equal(nn.Linear(1, 4).weight, first[0].weight)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ls.sum_of_sines(num_waves=0), "at least one wave"),
        (lambda: ls.sines_data(num_train=0), "both parts need examples"),
        (lambda: ls.mlp([3, 0]), r"\[1, 3, 0, 1\]"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
