r"""What a backward pass leaves at each layer, from which all rows of a Jacobian follow without a pass for each.

A layer $z_p = W h_p + b$ that acts at places $p$ (the pixels of a convolution, the words of a text, one place in a
plain layer) adds to the gradient of output $a$ of example $i$

$$ \frac{\partial f_{ia}}{\partial W} = \sum_p \delta_{iap} h_{ip}^\top, \qquad
   \frac{\partial f_{ia}}{\partial b} = \sum_p \delta_{iap}, \qquad
   \delta_{iap} = \frac{\partial f_{ia}}{\partial z_{ip}} . $$

One forward pass over the examples gives all $h$, one backward pass for each output all $\delta$. Kept as factors they
are much smaller than the gradients. Layers of other kinds (normalisation, embeddings, a user's own) are differentiated
one by one, each with its own input.

This knows nothing of weights that a network uses outside of the layer that owns them. So whoever uses factors checks
them against a plain backward pass first (`faithful`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from thalweg.problem.calling import places as places_of
from thalweg.problem.network import Network

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Unstructured(Exception):
    """The network has weights whose part in the outputs cannot be told layer by layer."""


@dataclass(frozen=True)
class Factor:
    """A layer's gradients as products: of `n` examples, `c` outputs, `g` groups, `P` places.

    Attributes
    ----------
    name
        Of the layer.
    weight, bias
        Where they lie in the flat vector; None where there is none, or it is frozen.
    left
        Derivatives of the outputs in what the layer returns, `(n, c, g, P, o)`.
    right
        What the layer takes in at each place, `(n, g, P, k)`.
    """

    name: str
    weight: slice | None
    bias: slice | None
    left: Tensor
    right: Tensor

    def write(self, out: Tensor, add: bool) -> None:
        """Put the gradients where they belong in `(n, c, all weights)`, or add them to what is there."""
        if self.bias is not None:
            _put(out[:, :, self.bias], self.left.sum(3).flatten(2), add)
        if self.weight is None:
            return
        g, places, o = self.left.shape[2:]
        into = out[:, :, self.weight].unflatten(2, (g, o, -1))
        if places == 1 and not add:
            torch.mul(self.left.transpose(3, 4), self.right.unsqueeze(1), out=into)
        else:
            _put(into, self.of_weight().unflatten(2, (g, o, -1)), add)

    def of_weight(self) -> Tensor:
        """Gradients of the weight, `(n, c, g * o * k)`."""
        n, c, g, places, o = self.left.shape
        if places == 1:
            return (self.left.transpose(3, 4) * self.right.unsqueeze(1)).flatten(2)
        left = self.left.permute(0, 2, 1, 4, 3).reshape(n, g, c * o, places)
        product = (left @ self.right).reshape(n, g, c, o, -1)
        return product.transpose(1, 2).flatten(2)

    def flat(self) -> Tensor:
        """Gradients of weight and bias side by side, `(n, c, size)`."""
        parts = [] if self.weight is None else [self.of_weight()]
        return torch.cat(parts if self.bias is None else [*parts, self.left.sum(3).flatten(2)], 2)


@dataclass(frozen=True)
class Whole:
    """Gradients of a layer that has no such products: `(n, c, size)` for each of its parameters."""

    name: str
    blocks: list[tuple[slice, Tensor]]

    def write(self, out: Tensor, add: bool) -> None:
        """As for a `Factor`."""
        for where, block in self.blocks:
            _put(out[:, :, where], block, add)

    def flat(self) -> Tensor:
        """As for a `Factor`."""
        return torch.cat([block for _, block in self.blocks], 2)


Piece = Factor | Whole


@dataclass
class _Call:
    """A layer, and one use of it."""

    name: str
    module: nn.Module
    taken: tuple[Any, ...]
    returned: Tensor


def factors(network: Network, batch: Any, rows: Callable[[Any], Tensor]) -> tuple[Tensor, list[Piece]]:
    """Outputs `(n, c)` of a batch where the network stands, and each layer's part in their gradients.

    Parameters
    ----------
    network
        One that nobody else uses: it is watched while it runs.
    rows
        The chosen outputs `(n, c)` of a batch, computed by the network's modules.

    Raises
    ------
    Unstructured
        A weight belongs to a layer that is not called, or called in a way that examples cannot be told apart.
    """
    owners = _owners(network)
    values, calls = _watched(network.head.model, owners, batch, rows)
    missed = set(owners) - {call.name for call in calls}
    if missed:
        raise Unstructured(f"`{min(missed)}` has weights and is not called")
    seen = [call.returned for call in calls]
    lefts = _pulled_back(values, seen)
    pieces = [
        _piece(call, left.to(network.layout.dtype), owners[call.name]) for call, left in zip(calls, lefts, strict=True)
    ]
    return values.detach(), pieces


def written(pieces: list[Piece], values: Tensor, num_weights: int) -> Tensor:
    """The Jacobian `(n, c, num_weights)` that the pieces make up."""
    found = values.new_empty((*values.shape, num_weights), dtype=_dtype(pieces, values))
    seen: set[str] = set()
    for piece in pieces:
        piece.write(found, add=piece.name in seen)
        seen.add(piece.name)
    return found


def _dtype(pieces: list[Piece], values: Tensor) -> torch.dtype:
    return next((p.left.dtype if isinstance(p, Factor) else p.blocks[0][1].dtype for p in pieces), values.dtype)


def _put(place: Tensor, block: Tensor, add: bool) -> None:
    place.add_(block) if add else place.copy_(block)


def _owners(network: Network) -> dict[str, dict[str, slice]]:
    """Layers that hold weights, each with its parameters' places in the flat vector."""
    owners: dict[str, dict[str, slice]] = {}
    named = dict(places_of(network.head.model))
    places = {id(named[block.name]): block.slice for block in network.layout.blocks}
    if len(places) < sum(id(parameter) in places for parameter in named.values()):
        raise Unstructured("two layers share a weight")
    for name, parameter in named.items():
        if id(parameter) in places:
            owner, _, local = name.rpartition(".")
            owners.setdefault(owner, {})[local] = places[id(parameter)]
    return owners


def _watched(
    model: nn.Module, owners: dict[str, dict[str, slice]], batch: Any, rows: Callable[[Any], Tensor]
) -> tuple[Tensor, list[_Call]]:
    calls: list[_Call] = []
    altering = any(getattr(module, "inplace", False) for module in model.modules())

    def watch(name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, taken: tuple[Any, ...], returned: Any) -> Any:
            if not isinstance(returned, Tensor) or len(taken) != 1 or not isinstance(taken[0], Tensor):
                raise Unstructured(f"`{name}` ({type(module).__name__}) is no map of one tensor to one tensor")
            kept = taken[0].detach()
            calls.append(_Call(name, module, (kept.clone() if altering else kept,), returned))
            return returned.clone() if altering else None  # what follows may write into it

        return hook

    handles = [model.get_submodule(name).register_forward_hook(watch(name)) for name in owners]
    try:
        return rows(batch), calls
    finally:
        for handle in handles:
            handle.remove()


def _pulled_back(values: Tensor, seen: list[Tensor]) -> list[Tensor]:
    """Derivatives of each output, summed over examples (which do not meet), in what the layers returned."""
    n, c = values.shape
    if any(tensor.ndim < 1 or tensor.shape[0] != n for tensor in seen):
        raise Unstructured("a layer does not keep the examples apart in the first dim")
    lefts = [tensor.new_empty((n, c, *tensor.shape[1:])) for tensor in seen]
    for a, total in enumerate(values.sum(0).unbind()):
        found = torch.autograd.grad(total, seen, retain_graph=a < c - 1, materialize_grads=True)
        for left, part in zip(lefts, found, strict=True):
            left[:, a] = part
    return lefts


def _piece(call: _Call, left: Tensor, places: dict[str, slice]) -> Piece:
    module, x = call.module, call.taken[0]
    known = set(places) <= {"weight", "bias"}
    if known and type(module) is nn.Linear:
        right = x.to(left).reshape(len(x), 1, -1, x.shape[-1])
        left = left.reshape(*left.shape[:2], 1, -1, left.shape[-1])
    elif known and type(module) in _CONVOLUTIONS:
        right = _patches(module, x.to(left))  # type: ignore[arg-type]
        groups: int = module.groups  # type: ignore[assignment]
        left = left.flatten(3).unflatten(2, (groups, -1)).transpose(3, 4)
    else:
        return _whole(call, left, places)
    return Factor(call.name, places.get("weight"), places.get("bias"), left, right)


def _patches(module: nn.Conv2d, x: Tensor) -> Tensor:
    """What each place of a convolution takes in, `(n, groups, places, k)`."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = nn.functional.pad(x, module._reversed_padding_repeated_twice, mode=mode).contiguous()
    dims = len(module.kernel_size)
    n, channels, steps = len(x), x.shape[1], x.stride()[2:]
    reach = [d * (k - 1) + 1 for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    out = [(size - r) // s + 1 for size, r, s in zip(x.shape[2:], reach, module.stride, strict=True)]
    places = [step * s for step, s in zip(steps, module.stride, strict=True)]
    within = [step * d for step, d in zip(steps, module.dilation, strict=True)]
    view = x.as_strided((n, channels, *out, *module.kernel_size), (*x.stride()[:2], *places, *within))
    order = (0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims))
    rows = view.permute(order).reshape(n, -1, module.groups, channels // module.groups * _product(module.kernel_size))
    return rows.transpose(1, 2)


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


def _whole(call: _Call, left: Tensor, places: dict[str, slice]) -> Whole:
    """One layer by automatic differentiation, each example by itself."""
    module, x = call.module, call.taken[0]
    own = {name: getattr(module, name).detach() for name in places}

    def pulled(one: Tensor, delta: Tensor) -> dict[str, Tensor]:
        def alone(parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(module, parameters, (one.unsqueeze(0),))[0]

        return vjp(alone, own)[1](delta)[0]

    narrow = left.to(call.returned.dtype)
    found = [vmap(pulled)(x, delta) for delta in narrow.unbind(1)]  # nested vmap errs, as for PReLU
    blocks = []
    for name, where in places.items():
        each = torch.stack([rows[name].flatten(1) if own[name].ndim else rows[name][:, None] for rows in found], 1)
        blocks.append((where, each.detach().to(left)))
    return Whole(call.name, blocks)
