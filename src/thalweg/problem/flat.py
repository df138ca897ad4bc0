"""Weights in whatever form they come (vector, state dict, file) as one flat vector of a known network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.problem.checkpoint import complete, fits, read_state
from thalweg.problem.module import ModuleProblem
from thalweg.problem.protocol import Problem
from thalweg.weights import Layout

Network = nn.Module | Problem


def module_of(network: Network) -> nn.Module:
    """The module whose names and shapes a state dict must have.

    Raises
    ------
    TypeError
        For a problem that is no network's.
    """
    if isinstance(network, nn.Module):
        return network
    if isinstance(network, ModuleProblem):
        return network._network.head.model
    raise TypeError(f"A {type(network).__name__} has no named parameters; pass the model or its `ModuleProblem`.")


def layout_of(network: Network) -> Layout:
    """Where its weights lie in the flat vector."""
    return Layout.of(network) if isinstance(network, nn.Module) else network.layout


def flat_state(state: Mapping[str, Tensor], network: Network, source: str) -> Tensor:
    """The trainable part of a state dict as one vector, on the CPU; buffers are checked and left out.

    Raises
    ------
    ValueError
        Naming `source` and the keys that do not fit.
    """
    model = module_of(network)
    fits(state, model, source)
    odd = [name for name, value in state.items() if value.is_complex()]
    if odd and not any(p.is_complex() for p in model.parameters()):
        raise ValueError(f"The checkpoint {source} has complex weights, `{odd[0]}` among them; expected real ones.")
    return layout_of(network).flatten(complete(state, model)).cpu()


def flat_weights(given: Any, network: Network | None = None, number: int = 0) -> Tensor:
    """A flat vector, a state dict or a checkpoint file as a flat vector.

    Raises
    ------
    ValueError
        Naming the file, or the number of what was given.
    """
    if isinstance(given, (Tensor, np.ndarray)):
        theta = torch.as_tensor(given).detach()
        expected = None if network is None else layout_of(network).num_weights
        if theta.ndim != 1 or (expected is not None and len(theta) != expected):
            raise ValueError(
                f"Network {number} came as a tensor of shape {tuple(theta.shape)}; expected one vector"
                + (f" of {expected} weights." if expected is not None else " of all its weights.")
            )
        if theta.is_complex():
            raise ValueError(f"Network {number} is complex; weights are real numbers.")
        return theta if theta.is_floating_point() else theta.double()
    named = isinstance(given, Mapping)
    if not named and not isinstance(given, (str, Path)):
        raise TypeError(f"Network {number} is a {type(given).__name__}; expected a vector, a state dict or a file.")
    if network is None:
        raise ValueError(
            f"Network {number} is a {'state dict' if named else 'file'}; say what network it belongs to: "
            "pass the model or its problem too."
        )
    if named:
        return flat_state(given, network, f"number {number}")
    return flat_state(read_state(given), network, Path(given).name)
