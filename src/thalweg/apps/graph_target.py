"""The graph of what a target returns: a model with inputs, or a problem."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import xarray as xr
from torch import nn

from thalweg.apps.target import TargetError, find
from thalweg.measures import computational_graph
from thalweg.problem import ModuleProblem


def make_graph(target: str, *, engine: Any = "auto", device: str | None = None) -> xr.Dataset:
    """Call what `module:callable` names, and draw the model that comes back on the inputs that come with it.

    Raises
    ------
    TargetError
        If something else came back, or the function takes no device.
    """
    function = find(target)
    if isinstance(function, type) and issubclass(function, nn.Module):
        raise TargetError(f"{target} is a class; write a function that returns `{function.__name__}(...), inputs`.")
    if device is not None and "device" not in inspect.signature(function).parameters:
        raise TargetError(f"{target} takes no device; give it that parameter, or leave the option out.")
    made = function(**({} if device is None else {"device": device}))
    if isinstance(made, ModuleProblem):
        return computational_graph(made, engine="auto" if engine == "auto" else "run")
    if not (isinstance(made, (tuple, list)) and len(made) >= 2 and isinstance(made[0], nn.Module)):
        raise TargetError(
            f"{target} returned {_told(made)}; it must return a model and example inputs, `return model, x`, or a "
            "`thalweg.ModuleProblem`."
        )
    model, inputs = made[0], made[1] if len(made) == 2 else tuple(made[1:])
    if isinstance(inputs, dict):
        return computational_graph(model, engine=engine, **inputs)
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    return computational_graph(model, *inputs, engine=engine)


def _told(made: Any) -> str:
    if isinstance(made, nn.Module):
        return f"a {type(made).__name__} without inputs"
    return f"a {type(made).__name__}"
