"""What an optimiser will be told, step by step: found by running its scheduler ahead."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from thalweg.measures.unfinished import read_again

_ASIDE = ("params", "foreach", "fused", "capturable", "differentiable")


def told_ahead(optimizer: Optimizer, scheduler: LRScheduler | None, steps: int) -> str:
    """Hash of all rates, momenta and other settings of every group over so many steps; both stay as they were.

    The scheduler runs ahead twice: one that does not begin again from its own state could not be resumed.

    Examples
    --------
    >>> import torch
    >>> def told(gamma):
    ...     optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    ...     return told_ahead(optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma), steps=5)
    >>> told(0.9) == told(0.9), told(0.9) == told(0.8)
    (True, False)
    """
    first, again = _run_ahead(optimizer, scheduler, steps), _run_ahead(optimizer, scheduler, steps)
    if first != again:
        raise ValueError(
            "The scheduler does not go on from its own state as it did before, so that an interrupted training could "
            "not be resumed. Leave out `store=`, or choose another scheduler."
        )
    return first


def _run_ahead(optimizer: Optimizer, scheduler: LRScheduler | None, steps: int) -> str:
    digest, groups = hashlib.sha256(), optimizer.param_groups
    before = [{k: v.clone() if isinstance(v, Tensor) else v for k, v in _settings(g).items()} for g in groups]
    if scheduler is None:
        return _told(digest, groups)
    state = read_again({"scheduler": scheduler.state_dict()})["scheduler"]
    with warnings.catch_warnings(action="ignore"):  # that no step of the optimiser comes before
        for _ in range(steps):
            found = _told(digest, groups)
            scheduler.step()
    scheduler.load_state_dict(state)
    for group, settings in zip(groups, before, strict=True):
        for name, value in settings.items():
            if isinstance(value, Tensor):
                group[name].copy_(value)
            else:
                group[name] = value
    return found


def _told(digest: Any, groups: list[dict[str, Any]]) -> str:
    """The hash so far, with the present settings."""
    for group in groups:
        digest.update(repr({k: _plain(v) for k, v in _settings(group).items() if v not in (None, False)}).encode())
    return digest.hexdigest()[:16]


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """All that an optimiser was told of a group, but how to do its arithmetic."""
    return {name: value for name, value in sorted(group.items()) if name not in _ASIDE}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return f"{float(value):.12g}" if isinstance(value, (float, int, Tensor)) else str(value)
