"""Does the network compute the same with its units in another order? Asked of the network itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.problem.network import suited
from thalweg.problem.tree import tree_map
from thalweg.subspaces.permutations.spec import PermutationSpec
from thalweg.subspaces.permutations.trace import outputs_of

Forward = Callable[[nn.Module], Any]
_MOST_IN_DOUBLE = 2**24
_SMALL, _TIMES = 4, 8


def forward_of(example_inputs: Any) -> Forward:
    """Run a model on a tensor, or on a tuple of arguments, in the precision of its weights."""
    arguments = example_inputs if isinstance(example_inputs, tuple) else (example_inputs,)
    return lambda model: model(*tree_map(lambda x: suited(x, model), arguments))


def on_noise(example_inputs: Any) -> Forward:
    """As `forward_of`, with normal numbers in the place of the inputs' own: zeros would hide most weights."""
    generator = torch.Generator().manual_seed(1)

    def noise(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x) if x.is_floating_point() else x

    return forward_of(tree_map(noise, example_inputs))


def verify(spec: PermutationSpec, model: nn.Module, forwards: Sequence[Forward], what: str) -> None:
    """Refuse a specification by which random permutations of random weights change the outputs.

    The network is run by each of `forwards`; the first must succeed, and one must tell something of the weights.
    """
    if not spec.sizes:
        return
    telling = False
    for k, forward in enumerate(forwards):
        try:
            telling |= _unchanged(spec, model, forward, what)
        except _Wrong:
            raise
        except Exception:
            if k == 0:
                raise
            # made-up inputs may be none that the network takes
    if not telling:
        raise ValueError(
            f"{what} cannot be checked: the outputs of {type(model).__name__} on these examples are not numbers that "
            "depend on its weights (all alike, not finite, or classes only). Pass other `example_inputs`, or a model "
            "that returns its scores."
        )


class _Wrong(ValueError):
    """A specification that changes outputs."""


def _unchanged(spec: PermutationSpec, model: nn.Module, forward: Forward, what: str) -> bool:
    """Whether outputs that depend on the weights were found, and stayed; refuses those that changed."""
    wide = spec.layout.num_weights <= _MOST_IN_DOUBLE
    try:
        deviation = _deviation(spec, _copied(model, wide), forward)
    except (RuntimeError, TypeError):  # some part of the network, or its device, insists on another precision
        wide = False
        deviation = _deviation(spec, _copied(model, wide), forward)
    if deviation is None:
        return False
    if not deviation <= (1e-7 if wide else 1e-2):
        raise _Wrong(
            f"{what} is wrong: permuting units by it changes the outputs of {type(model).__name__} "
            f"by {deviation:.1e} of their size. Some axis is missing from a group, or belongs to another."
        )
    return True


def _copied(model: nn.Module, wide: bool) -> nn.Module:
    model = copy.deepcopy(model).eval()
    return model.double() if wide else model


@torch.no_grad()
def _deviation(spec: PermutationSpec, model: nn.Module, forward: Forward) -> float | None:
    """Largest change of an output, relative to the largest output; None if the weights change none of them."""
    plain = model.state_dict()
    state, other = _randomized(plain, 0), _randomized(plain, 1)
    before, elsewhere = _outputs(model, state, forward), _outputs(model, other, forward)
    if not any(_change(x, y) > 0 for x, y in zip(before, elsewhere, strict=True)):
        return None
    small = any(units <= _SMALL for units in spec.sizes.values())  # a random permutation may leave these in order
    changes = [0.0]
    for seed in range(_TIMES if small else 1):
        after = _outputs(model, spec.permute(state, spec.random(seed)), forward)
        changes += [_change(x, y) for x, y in zip(before, after, strict=True)]
    return max(changes)


def _outputs(model: nn.Module, state: dict[str, Tensor], forward: Forward) -> list[Tensor]:
    model.load_state_dict(state)
    found = (torch.view_as_real(x) if x.is_complex() else x for x in outputs_of(forward(model)))
    return [x.double().clone() for x in found if x.is_floating_point() and x.numel()]


def _change(before: Tensor, after: Tensor) -> float:
    """Of the finite entries; infinite where others are finite now."""
    finite = before.isfinite()
    if before.shape != after.shape or not torch.equal(finite, after.isfinite()):
        return math.inf if bool(finite.any() or after.isfinite().any()) else 0.0
    if not bool(finite.any()):
        return 0.0
    size = before[finite].abs().max().clamp_min(1e-30)
    return float((before[finite] - after[finite]).abs().max() / size)


def _randomized(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights and statistics of which no two units are alike: new networks have biases of 0 and scales of 1."""
    generator = torch.Generator().manual_seed(seed)
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
