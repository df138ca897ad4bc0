r"""Losses as negative log-likelihoods: what the Fisher matrix $F = E_{y \sim p(y|f)}[g g^\top]$ is taken over.

Cross-entropy is that of a categorical distribution, binary cross-entropy with logits of a Bernoulli one, the squared
error of a Gaussian with variance 1/2; for these $F$ is the Gauss-Newton matrix. Where an example has several targets
(tokens, pixels, labels), its loss is their mean, and $F$ the mean of their matrices.
"""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

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
    if name_of(network.head.asked).lower().startswith(("nll_loss", "nllloss")):
        raise ValueError(
            f"The loss is linear in log-probabilities, so that with them for outputs the {matrix} would be zero. "
            "Let the model return logits and use the cross-entropy."
        )


def need_free_of_targets(network: Network, theta: Tensor, batch: Any) -> None:
    """The Gauss-Newton matrix is the Fisher matrix where the loss bends the same way whatever the target."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.predict(theta, inputs)
    v = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(outputs)
    here = products.in_outputs(network, outputs, targets, v)
    there = products.in_outputs(network, outputs, _other(network, outputs, targets), v)
    if not here.any():
        raise ValueError(
            "The loss is linear in the outputs, so that the Gauss-Newton matrix is zero and the Fisher matrix is not. "
            'Take "fisher_sampled" or "empirical_fisher".'
        )
    if not torch.allclose(here, there, rtol=1e-3, atol=1e-6 * float(here.abs().max())):
        raise ValueError(
            "The curvature of this loss in the outputs depends on the targets, so that the Fisher matrix is not the "
            'Gauss-Newton matrix and has no closed form here. Take "ggn", "fisher_sampled" or "empirical_fisher".'
        )


def _other(network: Network, outputs: Tensor, targets: Any) -> Any:
    """Other targets: for class numbers the next class, also where all examples of a batch are of one."""
    classes = outputs.shape[1] if outputs.ndim > 1 else 1
    ignored = _ignored(network)
    if targets.is_floating_point() or targets.shape == outputs.shape or (ignored is not None and ignored >= 0):
        rolled = targets.roll(1, 0)
        return 1 - targets if targets.is_floating_point() and torch.equal(rolled, targets) else rolled
    return torch.where(targets < 0, targets, (targets + 1) % classes)


def _ignored(network: Network) -> int | None:
    """The class number that marks what the loss leaves out."""
    found = _setting(network.head.asked, "ignore_index")
    return found if isinstance(found, int) else None


def sampled(network: Network, theta: Tensor, batch: Any, generator: torch.Generator) -> Any:
    """The batch with targets drawn from what the network predicts."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.predict(theta, inputs).detach()
    asked = network.head.asked
    name = name_of(asked).lower()
    plain = asked.func if isinstance(asked, functools.partial) else asked
    own = type(plain) if isinstance(plain, nn.Module) else plain
    if asked is None or not getattr(own, "__module__", "").startswith("torch") or _setting(asked, "reduction") == "sum":
        raise ValueError(
            "Targets can be sampled where the loss is one of torch's own and no sum; of another "
            'the distribution is unknown. Take "ggn" or "empirical_fisher".'
        )
    for setting in ("label_smoothing", "weight", "pos_weight"):
        if (value := _setting(asked, setting)) is not None and not (isinstance(value, float) and value == 0):
            raise ValueError(f"With `{setting}` the loss is no negative log-likelihood to draw targets from.")
    if "binary_cross_entropy_with_logits" in name or "bcewithlogits" in name:
        draw = torch.rand(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        return products.Drawn(inputs, (draw < outputs.sigmoid()).to(targets.dtype))
    if ("cross_entropy" in name or "crossentropy" in name) and not targets.is_floating_point():
        drawn, ignored = _classes(outputs, generator).to(targets), _ignored(network)
        return products.Drawn(inputs, drawn if ignored is None else torch.where(targets == ignored, targets, drawn))
    if "mse" in name:
        noise = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs)
        return products.Drawn(inputs, (outputs + math.sqrt(0.5) * noise).to(targets.dtype))
    raise ValueError(
        "Targets can be sampled for cross-entropy with class numbers, binary cross-entropy with logits, and the mean "
        'squared error; of this loss the distribution is unknown. Take "ggn" or "empirical_fisher".'
    )


def _setting(criterion: Any, name: str) -> Any:
    """An option of a criterion: an attribute of a module, or the keyword of a function.

    Examples
    --------
    >>> _setting(nn.CrossEntropyLoss(label_smoothing=0.1), "label_smoothing")
    0.1
    >>> import functools
    >>> _setting(functools.partial(nn.functional.cross_entropy, label_smoothing=0.2), "label_smoothing")
    0.2
    """
    if isinstance(criterion, nn.Module):
        return getattr(criterion, name, None)
    try:
        parameter = inspect.signature(criterion).parameters.get(name)
    except (TypeError, ValueError):
        return None
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def _classes(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Class numbers `(n, ...)` from logits `(n, classes, ...)`, by the inverse of the distribution function."""
    chances = outputs.double().softmax(1).cumsum(1)
    shape = (outputs.shape[0], 1, *outputs.shape[2:])
    draw = torch.rand(shape, generator=generator, dtype=torch.float64).to(outputs.device)
    return (draw > chances[:, :-1]).sum(1)


def num_classes(network: Network, batch: Any) -> int:
    """Columns of the outputs where the targets are class numbers; 2 for one logit with targets 0 and 1; else 0."""
    if network.head.step is not None or not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        return 0
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.predict(network.theta.clone(), inputs)
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor) and outputs.ndim):
        return 0
    if outputs.ndim > 1 and not targets.is_floating_point() and targets.shape == outputs[:, 0].shape:
        return outputs.shape[1]
    name = name_of(network.head.asked).lower()
    binary = "binary_cross_entropy" in name or name.startswith("bce")
    return 2 if binary and outputs.numel() == len(outputs) else 0
