"""The networks that the benchmarks look at, and a few seconds of training so that their surfaces are real ones."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mlp(*sizes: int) -> nn.Sequential:
    """A multi-layer perceptron with ReLU between its layers."""
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet() -> nn.Sequential:
    """The convolutional network of S4.01: 44,426 weights, for 28x28 grey images."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *mlp(256, 120, 84, 10),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm; the shortcut subsamples and pads with zeros (option A of He et al. 2016)."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.stride, self.padding = (1, 0) if fan_in == fan_out else (2, (fan_out - fan_in) // 2)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, self.stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.padding:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + x)


def resnet20() -> nn.Sequential:
    """ResNet-20 as for CIFAR (He et al. 2016, arXiv:1512.03385, section 4.2): 269,722 weights."""
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(ResidualBlock(fan_in, fan_out) for fan_in, fan_out in itertools.pairwise(widths)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def train(model: nn.Module, inputs: Tensor, targets: Tensor, steps: int, batch_size: int = 64) -> nn.Module:
    """Adam for `steps` batches, then BatchNorm's statistics averaged afresh; returns the model in eval mode."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = torch.randint(len(inputs), (batch_size,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    return recalibrate(model, inputs[:256]).eval().requires_grad_(True)


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Set BatchNorm's running statistics to those of `inputs`: after so few steps the running ones still lag behind."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = 1.0
    if norms:
        model.train()(inputs)
    return model
