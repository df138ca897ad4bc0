"""The four cases of the benchmark: a trained network with its examples, and how much of it one run looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from images import Images, coloured, digits, fashion_mnist, subset
from networks import lenet, mlp, resnet20, train
from torch import Tensor, nn


@dataclass(frozen=True)
class Size:
    """How long one run takes: `--quick`, the default, `--full`, each with what it leaves out."""

    name: str
    seconds: float  # per contestant and case, all rounds together; nine points are timed in any case
    rounds: int
    adaptive_images: int  # case b: the full grid of 51x51 points is the oracle of `adaptive`, and it is expensive
    resnet_images: int
    whole: bool = False  # thalweg's surface on all 51x51 points, however long that takes


QUICK = Size("quick", seconds=2.0, rounds=2, adaptive_images=500, resnet_images=512)
NORMAL = Size("normal", seconds=10.0, rounds=3, adaptive_images=2_000, resnet_images=1_000)
FULL = Size("full", seconds=60.0, rounds=1, adaptive_images=10_000, resnet_images=1_000, whole=True)


@dataclass(frozen=True)
class Case:
    """A trained network in eval mode and the examples of its loss (the mean cross-entropy)."""

    key: str
    title: str
    model: nn.Module
    images: Images
    adaptive: Images | None = None  # the examples on which `adaptive` is tried; None where it is not

    @property
    def inputs(self) -> Tensor:
        return self.images.inputs

    @property
    def targets(self) -> Tensor:
        return self.images.targets

    def __str__(self) -> str:
        weights = sum(p.numel() for p in self.model.parameters())
        return f"({self.key}) {self.title}: {weights:,} weights, {len(self.inputs):,} examples ({self.images.name})"


def digits_mlp(size: Size, device: str) -> Case:  # noqa: ARG001  (every case is built with the same arguments)
    images = digits()
    model = train(mlp(64, 128, 128, 10), images.inputs, images.targets, steps=300)
    return Case("a", "MLP", model, images, adaptive=images)


def fashion_cnn(size: Size, device: str) -> Case:
    training, test = fashion_mnist()
    model = train(lenet(), training.inputs, training.targets, steps=400)
    return Case(
        "b", "CNN of S4.01", model, test, adaptive=subset(test, size.adaptive_images if device == "cpu" else 10_000)
    )


def batch_norm_resnet(size: Size, device: str) -> Case:
    training, test = (coloured(images) for images in fashion_mnist())
    model = train(resnet20(), training.inputs, training.targets, steps=25)
    return Case("c", "ResNet-20", model, subset(test, size.resnet_images if device == "cpu" else 10_000))


def tiny_mlp(size: Size, device: str) -> Case:  # noqa: ARG001
    images = subset(digits(), 32)
    return Case("d", "tiny MLP", train(mlp(64, 16, 10), images.inputs, images.targets, steps=100), images)


BUILDERS: dict[str, Callable[[Size, str], Case]] = {
    "a": digits_mlp,
    "b": fashion_cnn,
    "c": batch_norm_resnet,
    "d": tiny_mlp,
}


def build(key: str, size: Size, device: str) -> Case:
    """Train the network of case `key` on the CPU from a fixed seed, and move it and its examples to `device`.

    The examples stay on the CPU: that is where a DataLoader has them.
    """
    torch.manual_seed(0)
    case = BUILDERS[key](size, device)
    case.model.to(device)
    return case
