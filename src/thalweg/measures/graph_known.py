"""The graph behind a tensor, from autograd's nodes alone."""

from __future__ import annotations

from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from thalweg.measures.graph_arrays import arrays
from thalweg.measures.graph_autograd import backward_graph, forward_name
from thalweg.measures.graph_tape import Edge, Node, Tape, single

_FREED = "The graph of this tensor was freed by a backward pass. Draw it before, or call `backward(retain_graph=True)`."


def known(result: Tensor, named: dict[str, Tensor], attrs: dict[str, Any]) -> xr.Dataset:
    """The dataset of `graph_of`."""
    _check(result, named)
    with torch.inference_mode(False), torch.enable_grad():
        tape = Tape()
        leaves = [tape.leaf(leaf, name, "input") for name, leaf in named.items()]
        places: dict[Any, int] = {}
        for node in reversed(backward_graph([result]).nodes):
            places[node] = _leaf(tape, node.variable) if hasattr(node, "variable") else _operation(tape, node, places)
        _lost(named, places.values(), leaves)
        tape.result(result, places[result.grad_fn])
        tape.partner = {node: number for node, number in places.items() if not hasattr(node, "variable")}
        try:
            return arrays(tape, [result], leaves, attrs)
        except RuntimeError as error:
            raise ValueError(_FREED if "freed" in str(error) else str(error)) from error


def _check(result: Tensor, named: dict[str, Tensor]) -> None:
    for name, value in {"result": result, **named}.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"`{name}` is a {type(value).__name__}; `graph_of` needs tensors that were computed with.")
    if result.grad_fn is None:
        raise ValueError(
            "There is no graph behind this tensor: nothing that it was computed from requires a gradient, or it was "
            "computed under `no_grad`. `computational_graph(function, ...)` draws the function itself."
        )


def _lost(named: dict[str, Tensor], found: Any, leaves: list[int]) -> None:
    for (name, value), number in zip(named.items(), leaves, strict=True):
        if number not in found:
            why = "it does not require a gradient" if not value.requires_grad else "the result was not computed from it"
            raise ValueError(f"`{name}` is no leaf of this graph: {why}.")


def _leaf(tape: Tape, variable: Tensor) -> int:
    number = tape.number_of(variable)
    if number >= 0:
        return number
    role = "parameter" if isinstance(variable, nn.Parameter) else "input"
    return tape.leaf(variable, "parameter" if role == "parameter" else "leaf", role)


def _operation(tape: Tape, node: Any, places: dict[Any, int]) -> int:
    made = node._input_metadata
    first = made[0]
    entry = Node(forward_name(node), "operation", tape.unique(forward_name(node)), shape=[int(n) for n in first.shape])
    entry.dtype = str(first.dtype).removeprefix("torch.")
    entry.autograd = (node, 0)
    entry.derive = lambda: _local(node)
    number = tape.add(entry)
    for argument, (before, output) in enumerate(node.next_functions):
        if before is not None:
            shape = _shape(before, output)
            tape.edges.append(Edge(places[before], number, argument, output, shape))
    return number


def _shape(node: Any, output: int) -> tuple[int, ...]:
    if hasattr(node, "variable"):
        return tuple(node.variable.shape)
    return tuple(int(n) for n in node._input_metadata[output].shape)


def _local(node: Any) -> list[float]:
    """What the node's backward makes of a gradient of one: the local derivative in each argument."""
    ones = [torch.ones([int(n) for n in m.shape], dtype=m.dtype, device=m.device) for m in node._input_metadata]
    found = node.apply(*ones) if hasattr(node, "_forward_cls") else node(*ones)
    found = found if isinstance(found, tuple) else (found,)
    return [0.0 if g is None else single(g) for g in found]
