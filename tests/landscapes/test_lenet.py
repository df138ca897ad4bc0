"""The network of 44,426 weights: its layers, its seeds, and dropout that acts in training only."""

import torch
from torch import nn

from thalweg import landscapes as ls


def test_the_network_has_the_layers_of_the_notebook():
    shapes = [tuple(p.shape) for p in ls.lenet().parameters() if p.ndim > 1]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (84, 120), (10, 84)]
    assert sum(p.numel() for p in ls.LeNet().parameters()) == 44_426


def test_it_is_drawn_by_seed_and_the_global_generator_stays():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, again, other = ls.lenet(5), ls.lenet(5), ls.lenet(6)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one[0].weight, again[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    torch.manual_seed(5)
    assert torch.equal(nn.Conv2d(1, 6, 5).weight, one[0].weight)


def test_dropout_acts_in_training_only_and_adds_no_weights():
    plain, dropped = ls.lenet(0), ls.lenet(0, dropout=0.5)
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(plain(images), dropped.eval()(images))
    assert not torch.allclose(plain(images), dropped.train()(images))
