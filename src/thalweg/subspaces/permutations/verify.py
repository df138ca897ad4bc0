"""Does the network compute the same with its units in another order? Asked of the network itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.problem.network import suited
from thalweg.problem.tree import leaves, tree_map
from thalweg.subspaces.permutations.spec import PermutationSpec

Forward = Callable[[nn.Module], Any]
_MOST_IN_DOUBLE = 2**24
_SMALL, _TIMES = 4, 8


def forward_of(example_inputs: Any) -> Callable[[nn.Module], Any]:
    """Run a model on a tensor, or on a tuple of arguments, in the precision of its weights."""
    arguments = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    return lambda model: model(*tree_map(lambda x: suited(x, model), arguments))


def verify(spec: PermutationSpec, model: nn.Module, forward: Forward, what: str) -> None:
    """Refuse a specification by which random permutations of random weights change the outputs."""
    wide = spec.layout.num_weights <= _MOST_IN_DOUBLE
    try:
        deviation = _deviation(spec, _copied(model, wide), forward)
    except (RuntimeError, TypeError):  # some part of the network, or its device, insists on another precision
        wide = False
        deviation = _deviation(spec, _copied(model, wide), forward)
    tolerance = 1e-7 if wide else 1e-2
    if not deviation <= tolerance:
        raise ValueError(
            f"{what} is wrong: permuting units by it changes the outputs of {type(model).__name__} "
            f"by {deviation:.1e} of their size. Some axis is missing from a group, or belongs to another."
        )


def _copied(model: nn.Module, wide: bool) -> nn.Module:
    model = copy.deepcopy(model).eval()
    return model.double() if wide else model


@torch.no_grad()
def _deviation(spec: PermutationSpec, model: nn.Module, forward: Forward) -> float:
    """Largest change of an output, relative to the largest output."""
    state = _randomized(model.state_dict())
    before = _outputs(model, state, forward)
    small = any(units <= _SMALL for units in spec.sizes.values())  # a random permutation may leave these in order
    changes = [0.0]
    for seed in range(_TIMES if small else 1):
        after = _outputs(model, spec.permute(state, spec.random(seed)), forward)
        changes += [_change(x, y) for x, y in zip(before, after, strict=True) if x.numel()]
    return max(changes)


def _outputs(model: nn.Module, state: dict[str, Tensor], forward: Forward) -> list[Tensor]:
    model.load_state_dict(state)
    return [x.double().clone() for x in leaves(forward(model)) if x.is_floating_point()]


def _change(before: Tensor, after: Tensor) -> float:
    return float((before - after).abs().max() / before.abs().max().clamp_min(1e-30))


def _randomized(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights and statistics of which no two units are alike: new networks have biases of 0 and scales of 1."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):  # counters, masks
            found[name] = tensor.clone()
            continue
        noise = torch.randn(tensor.shape, generator=generator).to(tensor)
        if bool((tensor >= 0).all()):  # variances stay what they are
            found[name] = tensor * (0.3 * noise).exp() + 0.02 * noise.abs()
        else:
            found[name] = tensor + (0.3 * tensor.square().mean().sqrt() + 0.02) * noise
    return found
