"""A tape as a dataset: nodes, edges, calls of modules and autograd's nodes as arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.graph_autograd import (
    backward_graph,
    gradients,
    names_of_memory,
    node_name,
    saved,
)
from thalweg.measures.graph_tape import Call, Edge, Node, Tape, single
from thalweg.schema.graphs import NODE_ROLES
from thalweg.store import provenance


def arrays(tape: Tape, outputs: Sequence[Tensor], inputs: Sequence[int], attrs: dict[str, Any]) -> xr.Dataset:
    """The dataset of what leads to `outputs`; nodes `inputs` stay whether they lead there or not."""
    ends = [tape.where(t) for t in outputs]
    kept = _leading_to(ends, tape.edges) | set(inputs)
    order = _in_order(tape, kept)
    place = {old: new for new, old in enumerate(order)}
    nodes = _renamed([tape.nodes[k] for k in order])
    edges = [Edge(place[e.tail], place[e.head], e.argument, e.output, e.shape) for e in tape.edges if e.head in kept]
    modules = _modules_of_leaves(nodes, edges, tape.calls)
    scalar = _is_scalar(nodes, edges)
    derivative = _derivatives(nodes, edges) if scalar else np.full(len(edges), np.nan)
    gradient, norm = _gradients(nodes, outputs)
    data = {
        **_node_arrays(nodes, edges, modules, gradient, norm),
        **_edge_arrays(edges, derivative),
        **_call_arrays(tape.calls),
        **_backward_arrays(tape, outputs, place),
    }
    facts = {
        "kind": "graph",
        "scalar": int(scalar),
        "outputs": [place[k] for k in ends],
        "num_parameters": sum(math.prod(n.shape) for n in nodes if n.role == "parameter"),
        "num_unused": sum(n.role == "operation" for n in tape.nodes) - sum(n.role == "operation" for n in nodes),
    }
    return schema.check(xr.Dataset(data, {"node": [n.name for n in nodes]}, facts | provenance(**attrs)))


def _renamed(nodes: list[Node]) -> list[Node]:
    """Operations are numbered as if those that are left out had never been."""
    used = {n.name for n in nodes if n.role != "operation"}
    times: dict[str, int] = {}
    for node in nodes:
        if node.role != "operation":
            continue
        while True:
            k = times[node.operation] = times.get(node.operation, -1) + 1
            node.name = f"{node.operation}_{k}" if k else node.operation
            if node.name not in used:
                break
        used.add(node.name)
    return nodes


def _leading_to(ends: Sequence[int], edges: Sequence[Edge]) -> set[int]:
    before: dict[int, list[int]] = {}
    for edge in edges:
        before.setdefault(edge.head, []).append(edge.tail)
    kept, waiting = set(ends), list(ends)
    while waiting:
        new = [k for k in before.get(waiting.pop(), ()) if k not in kept]
        kept.update(new)
        waiting.extend(new)
    return kept


def _in_order(tape: Tape, kept: set[int]) -> list[int]:
    """Leaves were written down when they were first read, which is after the number of their reader was taken."""
    inputs = [k for k in sorted(kept) if tape.nodes[k].role == "input"]
    return inputs + [k for k in sorted(kept) if tape.nodes[k].role != "input"]


def _modules_of_leaves(nodes: Sequence[Node], edges: Sequence[Edge], calls: Sequence[Call]) -> list[int]:
    """A parameter lies in the innermost call that all of its uses lie in."""
    chains: dict[int, list[int]] = {}
    for edge in edges:
        if nodes[edge.tail].role in ("parameter", "buffer", "constant"):
            chain = ancestors(nodes[edge.head].module, calls)
            shared = chains.setdefault(edge.tail, chain)
            chains[edge.tail] = [k for k, other in zip(shared, chain, strict=False) if k == other]
    return [(chains[k] or [-1])[-1] if k in chains else node.module for k, node in enumerate(nodes)]


def ancestors(call: int, calls: Sequence[Call]) -> list[int]:
    """The calls around a call, outermost first, itself last."""
    chain: list[int] = []
    while call >= 0:
        chain.append(call)
        call = calls[call].parent
    return chain[::-1]


def _is_scalar(nodes: Sequence[Node], edges: Sequence[Edge]) -> bool:
    return bool(nodes) and all(math.prod(n.shape) == 1 for n in nodes) and all(math.prod(e.shape) == 1 for e in edges)


def _derivatives(nodes: Sequence[Node], edges: Sequence[Edge]) -> np.ndarray:
    found = [node.derive() for node in nodes]
    local = [(found[e.head] or ())[e.argument : e.argument + 1] for e in edges]
    return np.array([v[0] if v else np.nan for v in local], dtype=float)


def _gradients(nodes: Sequence[Node], outputs: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The gradient of the result in each node where both are single numbers, and its norm for any node."""
    gradient, norm = np.full(len(nodes), np.nan), np.full(len(nodes), np.nan)
    one = len(outputs) == 1 and not math.isnan(single(outputs[0])) and outputs[0].requires_grad
    if not one:
        return gradient, norm
    leaves = [n.tensors[0] if n.role != "operation" else outputs[0] for n in nodes]
    through, at_leaves = gradients(outputs[0], [n.autograd for n in nodes], leaves)
    for k, node in enumerate(nodes):
        found = through[k] if node.role == "operation" else at_leaves[k]
        if found is not None:
            gradient[k], norm[k] = single(found), float(found.norm())
    return gradient, norm


def _node_arrays(
    nodes: Sequence[Node], edges: Sequence[Edge], modules: Sequence[int], gradient: np.ndarray, norm: np.ndarray
) -> dict[str, Any]:
    own: dict[int, set[int]] = {}
    for edge in edges:
        if nodes[edge.tail].role == "parameter":
            own.setdefault(edge.head, set()).add(edge.tail)
    sizes = [math.prod(n.shape) for n in nodes]
    parameters = [
        sizes[k] if n.role == "parameter" else sum(sizes[p] for p in own.get(k, ())) for k, n in enumerate(nodes)
    ]
    return {
        "operation": ("node", _words(n.operation for n in nodes)),
        "role": ("node", np.array([NODE_ROLES.index(n.role) for n in nodes], dtype=int), {"names": list(NODE_ROLES)}),
        "module": ("node", np.array(modules, dtype=int), {"long_name": "call of a module, -1 for none"}),
        "shape": ("node", _words(json.dumps(n.shape) for n in nodes)),
        "dtype": ("node", _words(n.dtype for n in nodes)),
        "parameters": ("node", np.array(parameters, dtype=int)),
        "value": ("node", np.array([n.value for n in nodes], dtype=float)),
        "gradient": ("node", gradient, {"long_name": "derivative of the result in this value"}),
        "gradient_norm": ("node", norm),
        "arguments": ("node", _words(n.arguments for n in nodes)),
        "source": ("node", _words(n.source for n in nodes)),
    }


def _edge_arrays(edges: Sequence[Edge], derivative: np.ndarray) -> dict[str, Any]:
    whole = {"tail": [e.tail for e in edges], "head": [e.head for e in edges]}
    whole |= {"argument": [e.argument for e in edges], "output": [e.output for e in edges]}
    return {
        **{name: ("edge", np.array(values, dtype=int)) for name, values in whole.items()},
        "edge_shape": ("edge", _words(json.dumps(list(e.shape)) for e in edges)),
        "local_derivative": ("edge", derivative, {"long_name": "derivative of the head in this argument"}),
    }


def _call_arrays(calls: Sequence[Call]) -> dict[str, Any]:
    return {
        "path": ("module_call", _words(c.path for c in calls)),
        "call": ("module_call", np.array([c.call for c in calls], dtype=int), {"long_name": "counted from 1"}),
        "type": ("module_call", _words(c.type for c in calls)),
        "parent": ("module_call", np.array([c.parent for c in calls], dtype=int)),
        "module_parameters": ("module_call", np.array([c.parameters for c in calls], dtype=int)),
    }


def _backward_arrays(tape: Tape, outputs: Sequence[Tensor], place: dict[int, int]) -> dict[str, Any]:
    found = backward_graph(outputs)
    memory = names_of_memory(tape)
    forward = [
        tape.number_of(node.variable) if hasattr(node, "variable") else tape.partner.get(node, -1)
        for node in found.nodes
    ]
    kept = [saved(node, memory) for node in found.nodes]
    return {
        "backward_operation": ("backward_node", _words(node_name(node) for node in found.nodes)),
        "forward": (
            "backward_node",
            np.array([place.get(k, -1) for k in forward], dtype=int),
            {"long_name": "node of the forward pass, -1 for none"},
        ),
        "saved": ("backward_node", _words(words for words, _ in kept)),
        "saved_bytes": ("backward_node", np.array([size for _, size in kept], dtype=int)),
        "backward_tail": ("backward_edge", np.array([a for a, _ in found.edges], dtype=int)),
        "backward_head": ("backward_edge", np.array([b for _, b in found.edges], dtype=int)),
    }


def _words(values: Any) -> np.ndarray:
    return np.array(list(values), dtype=object)
