"""The 1,797 handwritten digits that come with scikit-learn, and a convolutional network of the right size for them."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from thalweg.landscapes.images import Split, shuffled_split


def digits(num_train: int = 1500, seed: int = 0) -> Split:
    """Real images without a download: 8x8 pixels, ten classes (Alpaydin & Kaynak 1998, UCI), shuffled by `seed`.

    Examples
    --------
    >>> train, test = digits()
    >>> train[0].shape, test[1].shape
    (torch.Size([1500, 1, 8, 8]), torch.Size([297]))
    """
    bunch = load_digits()
    images = torch.as_tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 16
    return shuffled_split(images, torch.as_tensor(bunch.target), num_train, seed)


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
