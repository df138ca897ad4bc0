"""Which axes of a network's tensors can be permuted together without changing what it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.subspaces.permutations.labels import Part, size_of
from thalweg.weights import Layout

Axis = tuple[Part[str], ...]
Permutations = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class PermutationSpec:
    r"""The groups of units of a network that may change places, and where in its tensors they occur.

    `permutation_spec(model, example_inputs)` finds it; `PermutationSpec.declare(model, ...)` takes your word for it. A
    permutation of a group moves its units along every axis on which it occurs: rows of one layer, bias, normalisation,
    columns of the next. Inputs and outputs of the network never move.

    Attributes
    ----------
    axes
        For each parameter and buffer, for each of its axes, the parts laid end to end along it: `(group, units,
        block)`, with `block` neighbouring entries for each unit; the group is None where entries stay.
    layout
        Where the trainable parameters lie in `theta`.
    frozen
        Parameters that are not trained: two networks that are to be aligned share them.
    tied
        Further names of tied trainable parameters, with the name that they have in `layout`.

    Examples
    --------
    >>> mlp = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> spec = PermutationSpec.declare(
    ...     mlp, {"0.weight": ("h", None), "0.bias": ("h",), "2.weight": (None, "h"), "2.bias": None}
    ... )
    >>> spec
    PermutationSpec(h: 3 units)
    >>> theta = torch.arange(13.0)  # rows (0, 1), (2, 3), (4, 5); biases 6, 7, 8; columns 9, 10, 11; 12
    >>> spec.permute(theta, {"h": [2, 0, 1]})
    tensor([ 4.,  5.,  0.,  1.,  2.,  3.,  8.,  6.,  7., 11.,  9., 10., 12.])
    """

    axes: Mapping[str, tuple[Axis, ...]]
    layout: Layout
    frozen: frozenset[str] = frozenset()
    tied: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def declare(
        cls,
        model: nn.Module,
        groups: Mapping[str, Any],
        example_inputs: Any = None,
        *,
        sizes: Mapping[str, int] | None = None,
    ) -> PermutationSpec:
        """A specification in your own words.

        Parameters
        ----------
        model
            Names and shapes are taken from its `state_dict()`.
        groups
            For each parameter and buffer that has axes, one entry for each axis: the name of a group, or None where
            entries stay; or None for a tensor that stays as a whole. Where an axis is longer than the group (features
            flattened after a convolution), each unit has as many neighbouring entries as fit. Where several groups lie
            end to end, a tuple of their names, with numbers for entries in between that stay.
        example_inputs
            A tensor, or a tuple of arguments. If given, the network is run with random weights, permuted at random,
            and the specification refused if that changes the outputs: on these examples and, if the network takes
            them, on normal numbers of their shape.
        sizes
            How many units a group has; by default as many as the shortest axis that it has to itself.

        Raises
        ------
        ValueError
            Names or numbers of axes that are not the model's, sizes that do not fit, outputs that change, or that do
            not depend on the weights.
        """
        from thalweg.subspaces.permutations.declared import axes_of
        from thalweg.subspaces.permutations.verify import forward_of, on_noise, verify

        layout = Layout.of(model)
        spec = cls(axes_of(model.state_dict(), groups, sizes or {}), layout, **still(model, layout))
        if example_inputs is not None:
            verify(spec, model, [forward_of(example_inputs), on_noise(example_inputs)], "The declared specification")
        return spec

    @property
    def sizes(self) -> dict[str, int]:
        """Units of each group."""
        return {
            part.group: part.units
            for axes in self.axes.values()
            for axis in axes
            for part in axis
            if part.group is not None
        }

    def __repr__(self) -> str:
        sizes = self.sizes
        words = ", ".join(f"{group}: {units} units" for group, units in sizes.items())
        if len(sizes) > 12:
            words = f"{len(sizes)} groups of {min(sizes.values())} to {max(sizes.values())} units"
        return f"PermutationSpec({words or 'nothing can be permuted'})"

    @property
    def declaration(self) -> dict[str, tuple[Any, ...]]:
        """What `declare` would be given, with `sizes`: the name of a group, None, or a tuple, for each axis."""
        return {name: tuple(_word(axis) for axis in axes) for name, axes in self.axes.items() if axes}

    def random(self, seed: int = 0) -> dict[str, np.ndarray]:
        """A permutation of every group, drawn at random."""
        generator = np.random.default_rng(seed)
        return {group: generator.permutation(units) for group, units in self.sizes.items()}

    def permute(self, weights: Any, permutations: Mapping[str, Any]) -> Any:
        """Weights with their units in another order: unit `i` of the result is unit `permutations[group][i]`.

        Parameters
        ----------
        weights
            Flat weights `(..., num_weights)`, differentiable; or a state dict, whose buffers travel along.
        permutations
            For some or all groups; the others stay.
        """
        indices = self.checked(permutations)
        if isinstance(weights, Mapping):
            missing = sorted(set(weights) - set(self.axes))
            if missing:
                raise ValueError(f"The state has tensors that the network has not: {', '.join(missing[:5])}.")
            return {name: self._permuted(name, torch.as_tensor(tensor), indices) for name, tensor in weights.items()}
        theta = self.flat(weights, "theta")
        moved = [
            self._permuted(block.name, theta[..., block.slice].unflatten(-1, block.shape), indices).flatten(
                theta.ndim - 1
            )
            if block.shape
            else theta[..., block.slice]
            for block in self.layout.blocks
        ]
        return torch.cat(moved, dim=-1) if moved else theta

    def flat(self, theta: Any, name: str) -> Tensor:
        """`theta` as a tensor that ends in `num_weights` entries."""
        theta = torch.as_tensor(theta)
        if theta.ndim == 0 or theta.shape[-1] != self.layout.num_weights:
            raise ValueError(
                f"`{name}` has shape {tuple(theta.shape)}, but the network of the specification has "
                f"{self.layout.num_weights} trainable weights. Weights of other networks cannot be permuted alike."
            )
        return theta

    def _permuted(self, name: str, tensor: Tensor, indices: Permutations) -> Tensor:
        """One tensor, with its own axes last, in the new order."""
        axes = self.axes[name]
        shape = tuple(size_of(axis) for axis in axes)
        if tuple(tensor.shape[tensor.ndim - len(shape) :]) != shape:
            raise ValueError(
                f"`{name}` has shape {tuple(tensor.shape)}; in the network of the specification it has {shape}."
            )
        for k, axis in enumerate(axes):
            index = entries(axis, indices)
            if index is not None:
                tensor = tensor.index_select(k - len(axes), torch.as_tensor(index, device=tensor.device))
        return tensor

    def checked(self, permutations: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The permutations as arrays, refused if they are none."""
        sizes, found = self.sizes, {}
        for group, index in permutations.items():
            if group not in sizes:
                raise ValueError(f"There is no group {group!r}; the groups are {', '.join(sizes) or 'none'}.")
            found[group] = np.asarray(index)
            if found[group].shape != (sizes[group],) or not np.array_equal(np.sort(index), np.arange(sizes[group])):
                raise ValueError(
                    f"The permutation of {group!r} has to hold each number from 0 to {sizes[group] - 1} once."
                )
        return found


def still(model: nn.Module, layout: Layout) -> dict[str, Any]:
    """Names of frozen parameters, and of tied ones."""
    first = dict(model.named_parameters())
    moved = {id(first[block.name]): block.name for block in layout.blocks}
    every = dict(model.named_parameters(remove_duplicate=False))
    return {
        "frozen": frozenset(name for name, parameter in every.items() if id(parameter) not in moved),
        "tied": {name: moved[id(p)] for name, p in every.items() if id(p) in moved and moved[id(p)] != name},
    }


def entries(axis: Sequence[Part[str]], permutations: Permutations) -> np.ndarray | None:
    """Which entry comes to each place along an axis; None if none moves."""
    if not any(part.group in permutations for part in axis):
        return None
    found, start = [], 0
    for part in axis:
        units = permutations.get(part.group, np.arange(part.units)) if part.group is not None else np.arange(part.units)
        found.append(start + (units[:, None] * part.block + np.arange(part.block)).reshape(-1))
        start += part.size
    return np.concatenate(found)


def _word(axis: Axis) -> Any:
    if len(axis) == 1:
        return axis[0].group
    return tuple(part.size if part.group is None else part.group for part in axis)
