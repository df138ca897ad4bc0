r"""Losses as negative log-likelihoods: what the Fisher matrix $F = E_{y \sim p(y|f)}[g g^\top]$ is taken over.

Cross-entropy is that of a categorical distribution, binary cross-entropy with logits of a Bernoulli one, the mean
squared error over $D$ outputs of a Gaussian with variance $D / 2$, for which $F$ is the Gauss-Newton matrix.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from thalweg.problem import products
from thalweg.problem.criterion import name_of
from thalweg.problem.network import Network


def need_outputs(network: Network, matrix: str) -> None:
    """Refuse a problem without outputs of its own."""
    if network.head.step is not None:
        raise TypeError(
            f"A problem with `step=` has losses and no outputs, so there is no {matrix}; the Hessian and the empirical "
            "Fisher matrix there are."
        )


def need_free_of_targets(network: Network, theta: Tensor, batch: Any) -> None:
    """The Gauss-Newton matrix is the Fisher matrix where the loss bends the same way whatever the target."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.predict(theta, inputs)
    v = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(outputs)
    here = products.in_outputs(network, outputs, targets, v)
    there = products.in_outputs(network, outputs, targets.roll(1, 0), v)
    if not torch.allclose(here, there, rtol=1e-3, atol=1e-6 * float(here.abs().max())):
        raise ValueError(
            "The curvature of this loss in the outputs depends on the targets, so that the Fisher matrix is not the "
            'Gauss-Newton matrix and has no closed form here. Take "ggn", "fisher_sampled" or "empirical_fisher".'
        )


def sampled(network: Network, theta: Tensor, batch: Any, generator: torch.Generator) -> Any:
    """The batch with targets drawn from what the network predicts."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.predict(theta, inputs).detach()
    name = name_of(getattr(network.head, "asked", None)).lower()
    if "binary_cross_entropy_with_logits" in name or "bcewithlogits" in name:
        draw = torch.rand(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        return inputs, (draw < outputs.sigmoid()).to(targets.dtype)
    if ("cross_entropy" in name or "crossentropy" in name) and not targets.is_floating_point():
        return inputs, _classes(outputs, generator).to(targets)
    if "mse" in name:
        noise = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        return inputs, (outputs + math.sqrt(outputs[0].numel() / 2) * noise).to(targets.dtype)
    raise ValueError(
        "Targets can be sampled for cross-entropy with class numbers, binary cross-entropy with logits, and the mean "
        'squared error; of this loss the distribution is unknown. Take "ggn" or "empirical_fisher".'
    )


def _classes(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Class numbers `(n, ...)` from logits `(n, classes, ...)`, by the inverse of the distribution function."""
    chances = outputs.double().softmax(1).cumsum(1)
    shape = (outputs.shape[0], 1, *outputs.shape[2:])
    draw = torch.rand(shape, generator=generator, dtype=torch.float64).to(outputs.device)
    return (draw > chances[:, :-1]).sum(1)
