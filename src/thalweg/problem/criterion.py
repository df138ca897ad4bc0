"""Losses and metrics as per-example values: one place that knows how criteria reduce.

A criterion that can return one value per example (`reduction="none"`) is asked to. One that only returns a scalar is taken
for the mean over the batch's examples, which `problem.checks` verifies on parts of a batch.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Criterion = Callable[[Any, Any], Tensor]


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    r"""1 where the largest output is at the target class, else 0: one value per example.

    Parameters
    ----------
    outputs
        Scores `(n, classes, ...)`. A single column (or none) is a binary logit, positive for class 1.
    targets
        Class numbers `(n, ...)`, or probabilities of the outputs' shape.

    Returns
    -------
    Tensor
        `(n,)`; with further dims (tokens, pixels) the mean over these.

    Examples
    --------
    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    tensor([1., 0.])
    """
    n = targets.shape[0]
    if outputs.ndim == 1 or (outputs.ndim == 2 and outputs.shape[1] == 1):
        hit = (outputs.reshape(n) > 0) == (targets.reshape(n) > 0.5)
    elif targets.is_floating_point() and targets.shape == outputs.shape:
        hit = outputs.argmax(1) == targets.argmax(1)
    elif targets.shape == outputs[:, 0].shape:
        hit = outputs.argmax(1) == targets
    else:
        raise ValueError(
            f"accuracy got outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)}. "
            "It needs targets of the outputs' shape without the class dim (dim 1)."
        )
    return hit.reshape(n, -1).to(torch.float32).mean(1)


def unreduced(criterion: Criterion, device: torch.device) -> Criterion:
    """The criterion without its reduction, where it has one that can be switched off; else the criterion itself."""
    if isinstance(criterion, nn.Module):
        criterion = copy.deepcopy(criterion).to(device)
        if getattr(criterion, "reduction", None) in ("mean", "sum"):
            criterion.reduction = "none"  # type: ignore[assignment]
        return criterion
    if "reduction" in _parameters(criterion):
        return functools.partial(criterion, reduction="none")
    return criterion


def averages(criterion: Criterion) -> bool:
    """Whether the criterion, as the user wrote it, announces a mean over the batch."""
    if isinstance(criterion, nn.Module):
        return getattr(criterion, "reduction", None) == "mean"
    parameter = _parameters(criterion).get("reduction")
    return parameter is not None and parameter.default == "mean"


def per_example(values: Tensor, num_examples: int, name: str) -> Tensor:
    """Values `(n, ...)` averaged over the trailing dims to `(n,)`; a scalar is passed on."""
    if values.ndim == 0:
        return values
    if values.shape[0] != num_examples:
        raise ValueError(
            f"`{name}` returned values of shape {tuple(values.shape)} for a batch of {num_examples} examples. "
            "It must return one value per example (first dim) or the mean over them (a scalar)."
        )
    return values.reshape(num_examples, -1).mean(1) if values.ndim > 1 else values


def name_of(criterion: Any) -> str:
    """Name for provenance: the function's, or the class's with its settings."""
    if criterion is None:
        return "step"
    if isinstance(criterion, nn.Module):
        return repr(criterion)
    if isinstance(criterion, functools.partial):
        return f"{name_of(criterion.func)}({criterion.keywords})"
    return getattr(criterion, "__qualname__", type(criterion).__name__)


def _parameters(criterion: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(criterion).parameters)
    except (TypeError, ValueError):
        return {}
