r"""One step of descent, traced by torch, written out as C: a loop over steps around a loop over starts.

The graph is that of a single start, so that every tensor in it is small; each of its entries becomes a variable. What
does not depend on the start (bias corrections, learning rates) is computed before the inner loop, the rest within it,
where the compiler makes vector instructions of it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node
from torch.utils import _pytree as pytree

_MOST_LINES = 4000


class NotCompiled(Exception):
    """Why a descent runs step by step."""


# --- operations: entries are C expressions, tensors are arrays of them ---

_PLACING = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")  # checked by the result's dtype
_RESHAPED = ("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze")
_SAME = ("alias", "clone", "detach", "lift_fresh_copy", "lift_fresh", "contiguous")
_UNARY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "sqrt",
    "erf",
    "erfc",
    "floor",
    "ceil",
]
_COMPARED = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}
_C = {
    **dict.fromkeys(_SAME, "{0}"),
    **{name: name + "({0})" for name in _UNARY},
    **{name: "({0} " + sign + " {1})" for name, sign in _COMPARED.items()},
    "abs": "fabs({0})",
    "add": "{0} + {alpha} * {1}",
    "addcdiv": "{0} + {value} * {1} / {2}",
    "addcmul": "{0} + {value} * {1} * {2}",
    "atan2": "atan2({0}, {1})",
    "bitwise_and": "({0} && {1})",
    "bitwise_not": "!{0}",
    "bitwise_or": "({0} || {1})",
    "clamp_max": "({0} > {1} ? {1} : {0})",
    "clamp_min": "({0} < {1} ? {1} : {0})",
    "copy": "{1}",
    "div": "{0} / {1}",
    "hypot": "hypot({0}, {1})",
    "lerp": "({2} < 0.5 ? {0} + {2} * ({1} - {0}) : {1} - ({1} - {0}) * (1 - {2}))",
    "logical_and": "({0} && {1})",
    "logical_not": "!{0}",
    "logical_or": "({0} || {1})",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "mul": "{0} * {1}",
    "neg": "-{0}",
    "reciprocal": "1 / {0}",
    "relu": "({0} < 0 ? 0 : {0})",
    "round": "nearbyint({0})",
    "rsqrt": "1 / sqrt({0})",
    "rsub": "{1} - {alpha} * {0}",
    "sgn": "(({0} > 0) - ({0} < 0))",
    "sigmoid": "1 / (1 + exp(-{0}))",
    "sigmoid_backward": "{0} * (1 - {1}) * {1}",
    "sign": "(({0} > 0) - ({0} < 0))",
    "square": "{0} * {0}",
    "sub": "{0} - {alpha} * {1}",
    "tanh_backward": "{0} * (1 - {1} * {1})",
    "threshold_backward": "({1} <= {2} ? 0 : {0})",
    "where": "({0} ? {1} : {2})",
}
_POWERS = {0.0: "1.0", 0.5: "sqrt({0})", 1.0: "{0}", 2.0: "{0} * {0}", 3.0: "{0} * {0} * {0}", -1.0: "1 / {0}"}
_POWERS |= {-2.0: "1 / ({0} * {0})", -0.5: "1 / sqrt({0})"}


def _zeros_but(values: np.ndarray, shape: Sequence[int], where: Any) -> np.ndarray:
    result = np.full(shape, "(0.0)", dtype=object)
    result[where] = values
    return result


def _at(dim: int, index: Any) -> tuple[Any, ...]:
    """Indices that pick `index` in a dim counted from the front."""
    return (*[slice(None)] * dim, index)


def _filled(shape: Sequence[int], value: Any) -> np.ndarray:
    return np.full(shape, _literal(value), dtype=object)


# each is called with the result's shape and the operation's arguments
_ARRANGED: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_SAME, lambda _, a, *_rest: a),
    **dict.fromkeys(_RESHAPED, lambda shape, a, *_rest: a.reshape(shape)),
    "cat": lambda _, parts, dim=0: np.concatenate(parts, dim),
    "expand": lambda shape, a, *_rest: np.broadcast_to(a, shape),
    "full_like": lambda shape, _, value: _filled(shape, value),
    "ones_like": lambda shape, _: _filled(shape, 1.0),
    "permute": lambda _, a, dims: a.transpose(dims),
    "scalar_tensor": _filled,
    "select": lambda _, a, dim, index: np.asarray(a[_at(dim % a.ndim, index)], dtype=object),
    "select_backward": lambda shape, a, _, dim, index: _zeros_but(a, shape, _at(dim % len(shape), index)),
    "stack": lambda _, parts, dim=0: np.stack(parts, dim),
    "t": lambda _, a: a.T,
    "transpose": lambda _, a, one, other: a.swapaxes(one, other),
    "unbind": lambda _, a, dim=0: [np.asarray(part, dtype=object) for part in np.moveaxis(a, dim, 0)],
    "zeros_like": lambda shape, _: _filled(shape, 0.0),
}

# --- the loop ---

_HEAD = """#include <math.h>
#include <stdint.h>
void descend(int64_t starts, int64_t steps, const double *restrict rates, const int64_t *restrict rows,
             double *restrict columns, double *restrict kept, double *restrict scalars, double *restrict theta,
             double *restrict value, double *restrict gradient, double *restrict spare) {
  for (int64_t k = 0; k < steps; k++) {
    double *restrict t = rows[k] < 0 ? spare : theta + rows[k] * starts * WEIGHTS;
    double *restrict g = rows[k] < 0 ? spare + starts * WEIGHTS : gradient + rows[k] * starts * WEIGHTS;
    double *restrict v = rows[k] < 0 ? spare + 2 * starts * WEIGHTS : value + rows[k] * starts;
"""
_LOOP = """%s
    for (int64_t s = 0; s < starts; s++) {
%s
    }
%s
  }
}
"""


def source(graph: GraphModule, num_weights: int, sized: Sequence[bool]) -> str:
    """C code of the loop around a traced step.

    Parameters
    ----------
    graph
        Weights, the optimiser's state of each and the learning rate in; weights and states after the step, loss and
        slopes out.
    num_weights
        How many weights.
    sized
        For each number of the optimiser's state, whether there is one for each start.
    """
    lines = _Lines(graph)
    places = [np.array([f"columns[starts * {j} + s]" for j in range(num_weights)], dtype=object)]
    for per_start in sized:  # W numbers for each start, or one for all starts
        first = sum(p.size for p in places[1:] if p.ndim == per_start)
        names = [f"kept[starts * {first + j} + s]" for j in range(num_weights)] if per_start else f"scalars[{first}]"
        places.append(np.array(names, dtype=object))
    *moved, loss, slope = lines.written([*places, np.array("rates[k]", dtype=object)])
    inner = [f"t[WEIGHTS * s + {j}] = {weight};" for j, weight in enumerate(lines.weights)]
    inner += [f"g[WEIGHTS * s + {j}] = {entry};" for j, entry in enumerate(slope)] + [f"v[s] = {loss.item()};"]
    after: list[str] = []
    for place, values in zip(places, moved, strict=True):
        if not place.ndim and values.item() in lines.varying:
            raise NotCompiled("the optimiser counts differently at each start")
        pairs = zip(place.flat, values.flat, strict=True)
        (inner if place.ndim else after).extend(f"{there} = {name};" for there, name in pairs)
    parts = [(4, lines.before), (6, [*lines.inner, *inner]), (4, after)]
    loop = _LOOP % tuple("\n".join(" " * indent + line for line in part) for indent, part in parts)
    return (_HEAD + loop).replace("WEIGHTS", str(num_weights))


class _Lines:
    """The graph's nodes as assignments, before the loop over starts and within it."""

    def __init__(self, graph: GraphModule) -> None:
        self.graph = graph
        self.before: list[str] = []
        self.inner: list[str] = []
        self.weights: list[str] = []
        self.varying: set[str] = set()  # variables that differ between starts
        self.env: dict[Node, Any] = {}

    def written(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the graph returns, by name; its inputs are the C expressions `inputs`, the weights first."""
        waiting = iter(inputs)
        for node in self.graph.graph.nodes:
            if node.op == "placeholder":
                self.env[node] = self._input(node, next(waiting))
            elif node.op == "get_attr":
                self.env[node] = _constant(getattr(self.graph, node.target))
            elif node.op == "call_function":
                self.env[node] = self._called(node)
        (last,) = (node for node in self.graph.graph.nodes if node.op == "output")
        return [self.env[node] for node in pytree.tree_leaves(last.args[0])]

    def _input(self, node: Node, places: np.ndarray) -> np.ndarray:
        names = [self._assigned(f"n_{node.name}_{j}", place, bool(places.ndim)) for j, place in enumerate(places.flat)]
        self.weights = self.weights or names
        return np.array(names, dtype=object).reshape(places.shape)

    def _assigned(self, name: str, expression: str, varies: bool) -> str:
        (self.inner if varies else self.before).append(f"const double {name} = {expression};")
        if varies:
            self.varying.add(name)
        if len(self.inner) > _MOST_LINES:
            raise NotCompiled(f"a step takes more than {_MOST_LINES} operations")
        return name

    def _called(self, node: Node) -> Any:
        args = pytree.tree_map(lambda a: self.env[a] if isinstance(a, Node) else a, list(node.args))
        if node.target is operator.getitem:
            return args[0][args[1]]
        name = getattr(node.target, "__name__", str(node.target)).split(".")[0]
        value = node.meta.get("val")
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
        if name in _ARRANGED:
            return _ARRANGED[name](shape, *args)
        if not isinstance(value, torch.Tensor) or value.dtype not in (torch.float64, torch.bool):
            raise NotCompiled(f"the operation {node.target} has no counterpart in C")
        if name in ("sum", "mean"):
            return self._reduced(node, name, args, shape)
        inplace = name.endswith("_")
        result = self._elementwise(node, name.rstrip("_"), args, shape)
        into = node.args[0] if inplace else node.kwargs.get("out")
        if isinstance(into, Node):
            self.env[into] = result
        return result

    def _elementwise(self, node: Node, name: str, args: list[Any], shape: tuple[int, ...]) -> np.ndarray:
        template, extra = _template(node, name), {"alpha": "1.0", "value": "1.0"}
        told = (*extra, *_PLACING, "out")
        unknown = [k for k, v in node.kwargs.items() if k not in told and v is not None]
        if unknown:
            raise NotCompiled(f"the operation {node.target} with {unknown[0]}= has no counterpart in C")
        extra |= {k: _literal(v) for k, v in node.kwargs.items() if k in extra}
        given = [a if isinstance(a, np.ndarray) else np.array(_literal(a), dtype=object) for a in args]
        given = [np.broadcast_to(a, shape) for a in given]
        result = np.empty(shape, dtype=object)
        for k, index in enumerate(np.ndindex(*shape)):
            entries = [str(a[index]) for a in given]
            varies = not self.varying.isdisjoint(entries)
            result[index] = self._assigned(f"n_{node.name}_{k}", template.format(*entries, **extra), varies)
        return result

    def _reduced(self, node: Node, name: str, args: list[Any], shape: tuple[int, ...]) -> np.ndarray:
        array = args[0]
        dims = [d % array.ndim for d in (args[1] if len(args) > 1 and args[1] else range(array.ndim))]
        rest = [d for d in range(array.ndim) if d not in dims]
        rows = array.transpose([*rest, *dims]).reshape([math.prod(shape), -1])
        result = np.empty(len(rows), dtype=object)
        for k, row in enumerate(rows):
            total = f"({' + '.join(row)})" + (f" / {len(row)}" if name == "mean" else "")
            result[k] = self._assigned(f"n_{node.name}_{k}", total, not self.varying.isdisjoint(row))
        return result.reshape(shape)


def _template(node: Node, name: str) -> str:
    if name == "pow":
        power = node.args[1]
        return _POWERS.get(float(power), "pow({0}, {1})") if isinstance(power, (int, float)) else "pow({0}, {1})"
    if name not in _C or node.kwargs.get("rounding_mode"):
        raise NotCompiled(f"the operation {node.target} has no counterpart in C")
    return _C[name]


def _constant(value: torch.Tensor) -> np.ndarray:
    if not value.is_floating_point():
        raise NotCompiled("the function uses a tensor of whole numbers")
    return np.array([_literal(v) for v in value.double().flatten().tolist()], dtype=object).reshape(tuple(value.shape))


def _literal(value: Any) -> str:
    """A number as C writes it, in brackets."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise NotCompiled(f"{value!r} has no counterpart in C") from error
    if math.isnan(number):
        return "NAN"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    return f"({number!r})"
