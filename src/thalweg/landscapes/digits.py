"""The 1,797 handwritten digits that come with scikit-learn, and a convolutional network of the right size for them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


class Split(NamedTuple):
    """Training and test examples: images `(n, 1, 8, 8)` in [0, 1], and classes `(n,)`."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def digits(num_train: int = 1500, seed: int = 0) -> Split:
    """Real images without a download: 8x8 pixels, ten classes (Alpaydin & Kaynak 1998, UCI), shuffled by `seed`.

    Examples
    --------
    >>> train, test = digits()
    >>> train[0].shape, test[1].shape
    (torch.Size([1500, 1, 8, 8]), torch.Size([297]))
    """
    bunch = load_digits()
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(seed))
    images = torch.as_tensor(bunch.images, dtype=torch.float32)[order].unsqueeze(1) / 16
    classes = torch.as_tensor(bunch.target)[order]
    if not 0 < num_train < len(classes):
        raise ValueError(f"num_train={num_train}; there are {len(classes)} images, and both parts need some.")
    return Split((images[:num_train], classes[:num_train]), (images[num_train:], classes[num_train:]))


class SmallCNN(nn.Sequential):
    """Two convolutions and two linear layers for 8x8 images, 38,282 weights."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(512, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )


def small_cnn(seed: int = 0) -> SmallCNN:
    """A `SmallCNN` initialised by `seed`; torch's global generator stays as it is.

    Examples
    --------
    >>> sum(p.numel() for p in small_cnn().parameters())
    38282
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return SmallCNN()
