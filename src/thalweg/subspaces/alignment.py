r"""Alignment: of all networks that compute the same as `b`, one whose units lie in the order of those of `a`.

Units of a hidden layer may be renumbered without changing what a network computes, so that two networks trained apart
differ by an arbitrary permutation of each layer. *Weight matching* looks for the permutations $\pi$ that maximise

$$ \langle \theta_a, \pi(\theta_b) \rangle, $$

that is, minimise the distance $\lVert \theta_a - \pi(\theta_b) \rVert$. With all layers but one held, this is a linear
assignment problem with an exact solution; going over the layers in random order until none improves is algorithm 1 of
Ainsworth, Hayase & Srinivasa (2022), Git Re-Basin, arXiv:2209.04836. It finds a local maximum: the joint problem is
NP-hard.

Where a group lies along two axes of one weight (a square layer inside a residual stream), the problem of that group is
quadratic: it is linearised where it stands, and the step taken only if it brings the networks nearer.

The permutations that a network allows are found by `permutation_spec`, or declared (`PermutationSpec.declare`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from thalweg.problem import ModuleProblem
from thalweg.subspaces.permutations import Part, PermutationSpec, permutation_spec
from thalweg.subspaces.permutations.spec import Permutations, entries

_SLACK = 1e-12


@dataclass(frozen=True, eq=False)
class Alignment:
    """What `match_weights` found.

    Attributes
    ----------
    theta
        The weights `b` with their units in the order of those of `a`, `(num_weights,)`.
    permutations
        For each group: unit `i` of the result is unit `permutations[group][i]` of `b`.
    similarity_before, similarity_after
        Cosine between the weights of `a` and those of `b`, as given and aligned.
    sweeps
        How many times it went over the layers.
    spec
        The groups, and where they occur.
    """

    theta: Tensor
    permutations: Mapping[str, np.ndarray]
    similarity_before: float
    similarity_after: float
    sweeps: int
    spec: PermutationSpec

    def apply(self, weights: Any) -> Any:
        """Any weights of the kind of `b` in the same new order: flat `(..., num_weights)`, or a state dict.

        Of a state dict the buffers travel along (running statistics of batch normalisation belong to their units).
        """
        return self.spec.permute(weights, self.permutations)


def match_weights(
    network: ModuleProblem | PermutationSpec, a: Any, b: Any, *, seed: int = 0, tries: int = 1
) -> Alignment:
    r"""Permute the units of `b` so that its weights are as near as possible to those of `a`.

    What `b` computes stays the same. `problem.loss` at `alignment.theta` is that at `b` if the network has no buffers
    that belong to units. With batch normalisation they do: use `batch_norm="recalibrate"` (which the way between two
    networks needs anyway), or `problem.with_state(alignment.apply(state_b))`.

    Parameters
    ----------
    network
        A problem, or what `permutation_spec(model, example_inputs)` found of a model.
    a, b
        Two networks of this structure: flat weights, state dicts, or modules. What is not trained they must share.
    seed
        Of the orders in which layers are visited.
    tries
        Start so many times, and keep the nearest: first from the order in which the units of `b` are, then from random
        ones. Narrow and deep networks gain most.

    Returns
    -------
    Alignment
        `.theta`, `.permutations`, `.apply(state_dict)`.

    Raises
    ------
    ValueError
        Weights that are not of this network or not finite; states whose frozen parameters differ; a network whose
        permutations are not known.

    Notes
    -----
    A layer of $n$ units with $p$ weights in and out costs $O(n p)$ for the similarities of all pairs of units (in
    float64) and $O(n^3)$ for the assignment, in each of typically 3 to 10 sweeps. Memory: two matrices of the size of
    the largest layer, in float64.

    Examples
    --------
    >>> mlp = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> spec = permutation_spec(mlp, torch.zeros(2, 2))
    >>> a = torch.tensor([1.0, 0.0, 0.0, 1.0, -1.0, -1.0, 0.1, 0.2, 0.3, 1.0, 2.0, 3.0, 0.0])
    >>> alignment = match_weights(spec, a, spec.permute(a, {"0": [2, 0, 1]}))
    >>> alignment.permutations["0"], bool((alignment.theta == a).all())
    (array([1, 2, 0]), True)
    """
    if not isinstance(network, (ModuleProblem, PermutationSpec)):
        raise TypeError(
            f"`network` is a {type(network).__name__}. Pass a ModuleProblem, or a specification: "
            "`permutation_spec(model, example_inputs)`."
        )
    _whole("tries", tries, 1)
    _whole("seed", seed, 0)
    spec = network if isinstance(network, PermutationSpec) else permutation_spec(network)
    _one_frozen_part(spec, a, b)
    first, second = flat_weights(spec, a, "a"), flat_weights(spec, b, "b")
    second = second.to(first.device)
    matching = _Matching(spec, first, second)
    generators = [np.random.default_rng([seed, k]) for k in range(tries)]
    found = [matching.solve(matching.start(g) if k else matching.identity, g) for k, g in enumerate(generators)]
    best = max(found, key=lambda each: each.product)
    norms = float(first.double().norm() * second.double().norm()) or 1.0
    return Alignment(
        theta=spec.permute(second, best.permutations),
        permutations=best.permutations,
        similarity_before=matching.product(matching.identity) / norms,
        similarity_after=best.product / norms,
        sweeps=best.sweeps,
        spec=spec,
    )


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}; expected a whole number from {least}.")


def _one_frozen_part(spec: PermutationSpec, a: Any, b: Any) -> None:
    """Refuse two states whose frozen parameters differ: weights of one would meet the other's frozen part."""
    first, second = (x.state_dict() if isinstance(x, nn.Module) else x for x in (a, b))
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        return
    both = [name for name in sorted(spec.frozen) if name in first and name in second]
    differing = [name for name in both if not torch.equal(_plain(first[name]), _plain(second[name]))]
    if differing:
        raise ValueError(
            f"The frozen parameters {', '.join(differing[:5])} of `a` and `b` differ, and only what is trained moves "
            "between networks. Make a problem (or a specification) in which they are trained (`requires_grad`)."
        )


def _plain(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().double().cpu()


def flat_weights(spec: PermutationSpec, weights: Any, name: str) -> Tensor:
    """One network's weights as a flat vector, refused if they are not of the specification's network."""
    if isinstance(weights, nn.Module):
        weights = weights.state_dict()
    if isinstance(weights, Mapping):
        weights = {spec.tied[key]: weights[key] for key in spec.tied if key in weights} | dict(weights)
        wrong = [
            f"{block.name} {tuple(weights[block.name].shape) if block.name in weights else 'is missing'}"
            for block in spec.layout.blocks
            if block.name not in weights or tuple(weights[block.name].shape) != block.shape
        ]
        wrong += [f"{key} is not in the network" for key in weights if key not in spec.axes]
        if wrong:
            raise ValueError(
                f"The state `{name}` is of another network than the specification: {'; '.join(wrong[:4])}. Only "
                "networks of one structure can be aligned."
            )
        weights = spec.layout.flatten({key: torch.as_tensor(value) for key, value in weights.items()})
    theta = spec.flat(weights, name).detach()
    if theta.ndim != 1:
        raise ValueError(f"`{name}` has shape {tuple(theta.shape)}; expected one weight vector.")
    if not torch.isfinite(theta).all():
        raise ValueError(f"{int((~theta.isfinite()).sum())} of the {len(theta)} weights of `{name}` are not finite.")
    return theta


class _Place(NamedTuple):
    """Where a group occurs: a part of an axis of a parameter."""

    name: str
    axis: int
    start: int
    part: Part[str]


class _Found(NamedTuple):
    permutations: dict[str, np.ndarray]
    product: float
    sweeps: int


class _Matching:
    """Two networks whose units are to be matched."""

    def __init__(self, spec: PermutationSpec, a: Tensor, b: Tensor) -> None:
        self._spec = spec
        views = {block.name: (block.slice, block.shape) for block in spec.layout.blocks}
        self._a = {name: a[where].view(shape) for name, (where, shape) in views.items()}
        self._b = {name: b[where].view(shape) for name, (where, shape) in views.items()}
        self._places: dict[str, list[_Place]] = {group: [] for group in spec.sizes}
        for name in self._a:
            for k, axis in enumerate(spec.axes[name]):
                start = 0
                for part in axis:
                    if part.group is not None:
                        self._places[part.group].append(_Place(name, k, start, part))
                    start += part.size

    @property
    def identity(self) -> dict[str, np.ndarray]:
        """Every unit where it is."""
        return {group: np.arange(units) for group, units in self._spec.sizes.items()}

    def start(self, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Units in random order."""
        return {group: generator.permutation(units) for group, units in self._spec.sizes.items()}

    def solve(self, permutations: dict[str, np.ndarray], generator: np.random.Generator) -> _Found:
        """Coordinate ascent (algorithm 1): one group at a time, in random order, until no group improves."""
        groups, sweeps, improved = list(self._places), 0, True
        while improved:
            improved = False
            sweeps += 1
            for k in generator.permutation(len(groups)):
                better = self._improved(groups[k], permutations)
                if better is not None:
                    permutations[groups[k]] = better
                    improved = True
        return _Found(permutations, self.product(permutations), sweeps)

    def _improved(self, group: str, permutations: Permutations) -> np.ndarray | None:
        """The best permutation of one group while the others stay (line 5), if it is better than the present one."""
        similarity = sum(self._similarity(place, permutations) for place in self._places[group])
        if isinstance(similarity, int):
            return None
        _, index = linear_sum_assignment(similarity, maximize=True)
        rows = np.arange(len(index))
        slack = _SLACK * float(np.abs(similarity).max()) * len(index)
        gain = float((similarity[rows, index] - similarity[rows, permutations[group]]).sum())
        if gain <= slack:
            return None
        names = {place.name for place in self._places[group]}
        if len(names) < len({(place.name, place.axis) for place in self._places[group]}):
            # the group lies along two axes of a tensor, and the assignment took one of them as it was
            gain = self.product({**permutations, group: index}, names) - self.product(permutations, names)
        return index if gain > slack else None

    def _similarity(self, place: _Place, permutations: Permutations) -> np.ndarray:
        """Inner products of each unit of `a` with each of `b`, whose other axes are permuted as they are now."""
        a, b = (
            tensor[place.name].narrow(place.axis, place.start, place.part.size).double()
            for tensor in (self._a, self._b)
        )
        b = self._moved(place.name, b, permutations, but=place.axis)
        a, b = (x.movedim(place.axis, 0).reshape(place.part.units, -1) for x in (a, b))
        return (a @ b.T).cpu().numpy()

    def _moved(self, name: str, tensor: Tensor, permutations: Permutations, but: int | None = None) -> Tensor:
        for k, axis in enumerate(self._spec.axes[name]):
            index = None if k == but else entries(axis, permutations)
            if index is not None:
                tensor = tensor.index_select(k, torch.as_tensor(index, device=tensor.device))
        return tensor

    def product(self, permutations: Permutations, names: set[str] | None = None) -> float:
        """The inner product of the weights of `a` with those of `b`, permuted (of some parameters, or of all)."""
        return sum(
            float((a.double() * self._moved(name, self._b[name].double(), permutations)).sum())
            for name, a in self._a.items()
            if names is None or name in names
        )
