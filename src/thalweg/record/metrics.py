"""Numbers told of a model while it trains, without a trace in the training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.store.trajectory import OWN

Metric = Callable[[nn.Module], Any]
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check_names(names: Iterable[str], taken: Iterable[str] = ()) -> None:
    """Refuse names that a trajectory uses itself, that are taken, or that cannot be stored."""
    for name in names:
        if name in OWN:
            raise ValueError(f"A trajectory has its own `{name}`; call the metric something else (`train_{name}`).")
        if name in taken:
            raise ValueError(f"`{name}` is one of the metrics that the recorder computes; tell it under another name.")
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name) or name == "zarr.json":
            raise ValueError(f"{name!r} is no name for a metric; use letters, digits, . - and _ (not first).")


def evaluate(metrics: Mapping[str, Metric], model: nn.Module) -> dict[str, float]:
    """Each metric of the model as it is: in its mode, without gradients, and leaving nothing changed.

    Raises
    ------
    RuntimeError
        Naming a metric that changed the weights.
    """
    if not metrics:
        return {}
    values, before = {}, _sums(model)
    for name, metric in metrics.items():
        with _untouched(model), torch.no_grad():
            values[name] = number(metric(model), name)
        if _sums(model) != before:
            raise RuntimeError(
                f"The metric `{name}` changed the weights of {type(model).__name__}, and with them the training. Have "
                "it work on a copy (`copy.deepcopy(model)`), or put the weights back to the bit."
            )
    return values


def number(value: Any, name: str) -> float:
    """One number out of what a metric returned or a loop told."""
    try:
        return float(one(value, name) if isinstance(value, Tensor) else value)
    except TypeError as error:
        raise ValueError(f"`{name}` is {value!r}; expected one number.") from error


def one(value: Tensor, name: str) -> Tensor:
    """A tensor of one entry; it is not read."""
    if value.numel() != 1:
        raise ValueError(f"`{name}` is a tensor of shape {tuple(value.shape)}; expected one number. Take its mean?")
    return value


def _sums(model: nn.Module) -> list[tuple[str, int]]:
    """By which a change of any parameter is seen: the bits of each, summed as whole numbers. Nothing is copied."""
    named = list(model.named_parameters())
    real = [torch.view_as_real(p.detach()) if p.is_complex() else p.detach() for _, p in named]
    sums = [p.view(_WHOLE[p.element_size()]).sum(dtype=torch.int64) for p in real]
    return [(name, int(total)) for (name, _), total in zip(named, sums, strict=True)]


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Put back modes, gradients, buffers (running statistics), also those that were exchanged, and random numbers."""
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    places = [(module, dict(module._buffers)) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for parameter, gradient in gradients:
                parameter.grad = gradient
            for module, place in places:
                module._buffers.clear()
                module._buffers.update(place)
            with torch.no_grad():
                for buffer, kept in buffers:
                    if not torch.equal(buffer, kept):  # batch normalisation moves them without counting it
                        buffer.copy_(kept)
