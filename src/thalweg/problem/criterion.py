"""Losses and metrics as per-example values: one place that knows how criteria reduce.

A criterion that can return one value per example (`reduction="none"`) is asked to. One that only returns a scalar is
taken for the mean over the batch's examples, which `problem.checks` verifies on parts of a batch.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

Criterion = Callable[[Any, Any], Tensor]


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    r"""1 where the largest output is at the target class, else 0: one value per example.

    Parameters
    ----------
    outputs
        Scores `(n, classes, ...)`. A single class (or none) is a binary logit, positive for class 1.
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
    if (outputs.ndim == 1 or outputs.shape[1] == 1) and outputs.numel() == targets.numel():
        hit = (outputs.reshape(n, -1) > 0) == (targets.reshape(n, -1) > 0.5)
    elif targets.is_floating_point() and targets.shape == outputs.shape:
        hit = outputs.argmax(1) == targets.argmax(1)
    elif targets.shape == outputs[:, 0].shape:
        hit = outputs.argmax(1) == targets
    else:
        raise ValueError(
            f"accuracy got outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)}. "
            "It needs targets of the outputs' shape without the class dim (dim 1)."
        )
    return hit.to(torch.float32) if hit.ndim == 1 else hit.reshape(n, -1).to(torch.float32).mean(1)


def unreduced(criterion: Criterion, device: torch.device) -> Criterion:
    """The criterion without its mean or sum over the batch, where that can be switched off; else the criterion itself.

    Any other reduction (`batchmean`) is left alone: it returns a scalar, taken for the mean over the examples.
    """
    reduction = _reduction(criterion)
    if isinstance(criterion, nn.Module):
        criterion = copy.deepcopy(criterion).to(device)
        if reduction in ("mean", "sum"):
            criterion.reduction = "none"  # type: ignore[assignment]
    elif reduction in ("mean", "sum"):
        criterion = functools.partial(cast("Callable[..., Tensor]", criterion), reduction="none")
    if reduction == "sum":
        return functools.partial(_sums, criterion)
    return functools.partial(_few_classes, criterion) if _is_cross_entropy(criterion) else criterion


def averages(criterion: Criterion) -> bool:
    """Whether the criterion, as the user wrote it, announces a mean over the batch."""
    return _reduction(criterion) == "mean"


def class_weights(criterion: Criterion) -> tuple[Tensor | None, int | None]:
    """Weights of the classes and the class to be ignored, of a criterion that averages with them."""
    if not averages(criterion):
        return None, None
    if isinstance(criterion, nn.Module):
        ignored, weight = getattr(criterion, "ignore_index", None), getattr(criterion, "weight", None)
    else:
        parameters = _parameters(criterion)
        ignored, weight = (parameters[k].default if k in parameters else None for k in ("ignore_index", "weight"))
    if not isinstance(ignored, int):
        return None, None  # the `weight` of other criteria is no weight of classes
    return weight if isinstance(weight, Tensor) else None, ignored


def per_example(values: Tensor, num_examples: int, name: str) -> Tensor:
    """Values `(n, ...)` averaged over the trailing dims to `(n,)`; a scalar, or one value for many, is a mean `()`."""
    if values.ndim == 0:
        return values
    if values.shape == (1,) and num_examples != 1:
        return values[0]
    if values.shape[0] != num_examples:
        raise ValueError(
            f"`{name}` returned values of shape {tuple(values.shape)} for a batch of {num_examples} examples. "
            "It must return one value per example (first dim) or the mean over them (a scalar)."
        )
    return values.reshape(num_examples, -1).mean(1) if values.ndim > 1 else values


def check_metrics(metrics: Mapping[str, Any] | None) -> None:
    """Refuse metrics whose names could not stand beside `loss` and `test_...` in a result."""
    names = set(metrics or {})
    if "loss" in names or any(name.startswith("test_") or not name.isidentifier() for name in names):
        raise ValueError(
            f"Metrics are named {sorted(names)}; names must be identifiers other than `loss` and `test_*`. "
            "Rename them, for example `mean error` to `mean_error`."
        )


def one_of(what: str, value: Any, allowed: Sequence[str]) -> None:
    """Refuse a value that is none of those allowed, naming these."""
    if value not in allowed:
        raise ValueError(f"{what}={value!r}; expected one of {', '.join(map(repr, allowed))}.")


def name_of(criterion: Any) -> str:
    """Name for provenance: the function's, or the class's with its settings."""
    if criterion is None:
        return "step"
    if isinstance(criterion, nn.Module):
        return repr(criterion)
    if isinstance(criterion, functools.partial):
        return f"{name_of(criterion.func)}({criterion.keywords})"
    return getattr(criterion, "__qualname__", type(criterion).__name__)


def _sums(criterion: Criterion, outputs: Any, targets: Any) -> Tensor:
    """One sum per example: what a sum over everything is made of."""
    values = criterion(outputs, targets)
    return values.reshape(values.shape[0], -1).sum(1) if values.ndim > 1 else values


def _few_classes(criterion: Criterion, outputs: Any, targets: Any) -> Tensor:
    """A cross-entropy over few classes, with the examples last: torch's CPU kernel is then 8 times as fast."""
    if outputs.ndim != 2 or outputs.shape[1] >= 16 or outputs.device.type != "cpu" or len(targets) != len(outputs):
        return criterion(outputs, targets)
    return criterion(outputs.T.unsqueeze(0), targets.T.unsqueeze(0) if targets.ndim == 2 else targets.unsqueeze(0))[0]


def _is_cross_entropy(criterion: Any) -> bool:
    while isinstance(criterion, functools.partial):
        criterion = criterion.func
    return criterion is nn.functional.cross_entropy or type(criterion) is nn.CrossEntropyLoss


def _reduction(criterion: Any) -> Any:
    if isinstance(criterion, nn.Module):
        return getattr(criterion, "reduction", None)
    parameter = _parameters(criterion).get("reduction")
    return None if parameter is None else parameter.default


def _parameters(criterion: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(criterion).parameters)
    except (TypeError, ValueError):
        return {}
