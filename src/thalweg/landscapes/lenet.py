"""A small convolutional network for 28x28 images, after LeNet-5 (LeCun et al. 1998)."""

from __future__ import annotations

import torch
from torch import nn


class LeNet(nn.Sequential):
    """Two convolutions and three linear layers for 28x28 images, 44,426 weights.

    Parameters
    ----------
    dropout
        Share of the units of both hidden linear layers that are left out while training.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        convolutions = (nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2))
        hidden = (nn.Linear(256, 120), nn.ReLU(), nn.Dropout(dropout), nn.Linear(120, 84), nn.ReLU())
        super().__init__(*convolutions, nn.Flatten(), *hidden, nn.Dropout(dropout), nn.Linear(84, 10))


def lenet(seed: int = 0, dropout: float = 0.0) -> LeNet:
    """A `LeNet` initialised by `seed`; torch's global generator stays as it is.

    Examples
    --------
    >>> net = lenet()
    >>> sum(p.numel() for p in net.parameters()), net(torch.zeros(2, 1, 28, 28)).shape
    (44426, torch.Size([2, 10]))
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return LeNet(dropout)
