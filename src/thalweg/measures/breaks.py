r"""Where the ReLUs of a network of one input turn on and off.

Between neighbouring elbows of all layers before it, what a ReLU takes in is a linear function of the input. So its
zeros are found exactly, layer by layer: its values at the elbows known so far say in which pieces it changes its sign,
and a straight line where. With $L$ layers of ReLUs that takes $L$ forward passes over the elbows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_KINKED = {"relu", "leaky_relu", "rrelu", "prelu"}
_SAME = 64 * np.finfo(np.float64).eps  # of the range: places nearer than this are one
_STRAIGHT = 1e-9  # of the outputs' size
_MOST = 200_000


@dataclass(frozen=True)
class Breaks:
    """Elbows in the order of their layers.

    Attributes
    ----------
    x, layer, unit, turns
        Of each: its place, its layer (from 0) and unit, and whether the unit is on to the right (1) or to the left
        (-1) of it.
    names, before, after
        Of each layer its name, and by unit whether it is on at the lower and at the upper end, `(layers)(units,)`.
    nodes
        The ends and all places of elbows, rising, `(n,)`.
    """

    x: np.ndarray
    layer: np.ndarray
    unit: np.ndarray
    turns: np.ndarray
    names: list[str]
    before: list[np.ndarray]
    after: list[np.ndarray]
    nodes: np.ndarray


class Bent(ValueError):
    """A network that is not linear between the elbows of its ReLUs."""


def breaks(model: nn.Module, shape: tuple[int, ...], low: float, high: float) -> Breaks:
    """All elbows of a model in float64 that takes inputs `(n, *shape)` of one number each.

    Raises
    ------
    Bent
        No ReLUs, or something else that is not linear.
    """
    same = _SAME * max(abs(low), abs(high))
    nodes = np.array([low, high])
    names = [name for name, _ in taken(model, nodes, shape)]
    if not names:
        raise Bent("The network has no ReLUs, and so no elbows.")
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    before, after = [], []
    for k in range(len(names)):
        z = taken(model, nodes, shape)[k][1]
        x, unit, turns = _crossings(nodes, z, same)
        _checked(model, shape, nodes, k)
        found.append((x, unit, turns))
        before.append(z[0] > 0)
        after.append(z[-1] > 0)
        nodes = _merged(np.concatenate([nodes, x]), same)
        if len(nodes) > _MOST:
            raise Bent(f"The network has more than {_MOST:,} elbows in this range; take a narrower one.")
    layer = np.concatenate([np.full(len(x), k) for k, (x, _, _) in enumerate(found)])
    x, unit, turns = (np.concatenate([one[k] for one in found]) for k in range(3))
    return Breaks(x, layer, unit, turns, names, before, after, nodes)


def outputs(model: nn.Module, x: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `(n, c)` and their slopes in the input `(n, c)`."""
    inputs = torch.as_tensor(x).reshape(-1, *shape).requires_grad_(True)
    with torch.enable_grad():
        values = model(inputs).reshape(len(x), -1)
        columns = [
            torch.autograd.grad(column.sum(), inputs, retain_graph=True, materialize_grads=True)[0].reshape(len(x))
            for column in values.T
        ]
    return values.detach().numpy(), torch.stack(columns, 1).numpy()


def taken(model: nn.Module, x: np.ndarray, shape: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
    """What each ReLU takes in, `(n, units)`, as they are called, with the name of the layer before it."""
    watch = _Watch(len(x))
    hooks = [m.register_forward_hook(watch.named(name)) for name, m in model.named_modules() if name]
    try:
        with torch.no_grad(), watch:
            model(torch.as_tensor(x).reshape(-1, *shape))
    finally:
        for hook in hooks:
            hook.remove()
    return watch.found


@dataclass
class _Watch(TorchFunctionMode):
    num: int
    found: list[tuple[str, np.ndarray]] = field(default_factory=list)
    _names: dict[int, tuple[Tensor, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def named(self, name: str) -> Any:
        """A hook for the module of this name."""

        def hook(module: nn.Module, _: Any, returned: Any) -> None:
            if isinstance(returned, Tensor) and next(module.parameters(), None) is not None:
                self._names.setdefault(id(returned), (returned, name))

        return hook

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "").rstrip("_")
        z = args[0] if args else (kwargs or {}).get("input")
        if name in _KINKED and isinstance(z, Tensor):
            if z.ndim == 0 or len(z) != self.num:
                raise Bent(f"A ReLU takes in shape {tuple(z.shape)} for {self.num} inputs; expected one row for each.")
            called = self._names.get(id(z), (z, f"{len(self.found) + 1}"))[1]
            self.found.append((called, z.detach().reshape(self.num, -1).clone().numpy()))
        return func(*args, **(kwargs or {}))


def _crossings(nodes: np.ndarray, z: np.ndarray, same: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places where units turn on or off, their units, and which."""
    on = z > 0
    piece, unit = np.nonzero(on[1:] != on[:-1])
    a, b = z[piece, unit], z[piece + 1, unit]
    left, right = nodes[piece], nodes[piece + 1]
    x = np.clip(left + (right - left) * (a / (a - b)), left, right)
    turns = np.where(on[piece + 1, unit], 1, -1)
    order = np.lexsort((x, unit))
    x, unit, turns = x[order], unit[order], turns[order]
    new = np.ones(len(x), dtype=bool)
    new[1:] = (unit[1:] != unit[:-1]) | (np.diff(x) > same)
    group = np.cumsum(new) - 1
    odd = np.bincount(group, minlength=0) % 2 == 1  # on and off again at one place is a touch, or rounding
    first = np.flatnonzero(new)
    kept = first[odd[: len(first)]] if len(first) else first
    inside = (x[kept] > nodes[0]) & (x[kept] < nodes[-1])
    return x[kept][inside], unit[kept][inside], turns[kept][inside]


def _merged(x: np.ndarray, same: float) -> np.ndarray:
    x = np.sort(x)
    far = np.ones(len(x), dtype=bool)
    far[1:] = np.diff(x) > same
    return x[far]


def _checked(model: nn.Module, shape: tuple[int, ...], nodes: np.ndarray, k: int) -> None:
    """Refuse a layer whose ReLUs take in what is not linear between the elbows before it."""
    need_straight(nodes, lambda x: taken(model, x, shape)[k][1])


def need_straight(nodes: np.ndarray, function: Any) -> None:
    """Refuse a function `(n,) -> (n, c)` that is not linear between neighbouring nodes.

    Raises
    ------
    Bent
        Saying so.
    """
    at = function(nodes)
    size = np.abs(at).max(initial=0.0) + np.finfo(float).tiny
    for share in (0.5, 0.8):
        between = function(nodes[:-1] + share * np.diff(nodes))
        apart = np.abs(between - ((1 - share) * at[:-1] + share * at[1:])).max(initial=0.0)
        if not apart <= _STRAIGHT * size:
            raise Bent(
                "Between the elbows of its ReLUs the network is not linear: it has other functions that bend or jump "
                "(tanh, GELU, normalisation by the example, clamp, ...). Elbows are those of networks of linear layers "
                "and ReLU, leaky ReLU or PReLU."
            )
