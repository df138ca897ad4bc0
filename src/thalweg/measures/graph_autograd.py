"""Autograd's own graph: which of its nodes lead to which, what each keeps for the backward pass, and gradients."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from thalweg.measures.graph_tape import Tape


@dataclass(frozen=True)
class Backward:
    """Nodes of autograd in the order of the backward pass, and which node passes a gradient to which."""

    nodes: list[Any]
    edges: list[tuple[int, int]]


def backward_graph(outputs: Sequence[Tensor]) -> Backward:
    """All of autograd's nodes behind some tensors; each stands after those that it gets gradients from."""
    starts = [t.grad_fn if t.grad_fn is not None else _accumulator(t) for t in outputs if t.requires_grad]
    done: list[Any] = []
    state: dict[Any, bool] = {}
    waiting = [(node, False) for node in starts]
    while waiting:
        node, finished = waiting.pop()
        if finished:
            state[node] = True
            done.append(node)
        elif node not in state:
            state[node] = False
            waiting.append((node, True))
            waiting.extend((n, False) for n, _ in node.next_functions if n is not None and n not in state)
    nodes = done[::-1]
    place = {node: k for k, node in enumerate(nodes)}
    edges = [(place[n], place[m]) for n in nodes for m, _ in n.next_functions if m is not None]
    return Backward(nodes, edges)


def node_name(node: Any) -> str:
    """Name of one of autograd's nodes, without the namespace.

    Examples
    --------
    >>> node_name((torch.ones(1, requires_grad=True) + 1).grad_fn)
    'AddBackward0'
    """
    return node.name().rpartition("::")[2]


def forward_name(node: Any) -> str:
    """The operation that a node of autograd is the backward of, in the words of the forward pass.

    Examples
    --------
    >>> forward_name(torch.nn.functional.mse_loss(torch.ones(1, requires_grad=True), torch.zeros(1)).grad_fn)
    'mse_loss'
    """
    custom = getattr(node, "_forward_cls", None)
    if custom is not None:
        return custom.__name__
    name = re.sub(r"Backward\d*$", "", node_name(node))
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def saved(node: Any, memory: dict[int, str]) -> tuple[str, int]:
    """What a node keeps for the backward pass: JSON of [name, shape, dtype, whose], and its bytes."""
    found: list[list[Any]] = []
    size = 0
    seen: set[int] = set()
    for name, tensor in _kept(node):
        if tensor is None:
            found.append([name, [], "", "changed in place since, or freed"])
            continue
        owner = memory.get(storage_of(tensor), "")
        found.append([name, list(tensor.shape), str(tensor.dtype).removeprefix("torch."), owner])
        if storage_of(tensor) not in seen:
            size += tensor.numel() * tensor.element_size()
        seen.add(storage_of(tensor))
    return json.dumps(found), size


def _kept(node: Any) -> list[tuple[str, Tensor | None]]:
    try:
        own = [(f"{k}", t) for k, t in enumerate(node.saved_tensors)] if hasattr(node, "saved_tensors") else []
    except RuntimeError:
        own = [("all", None)]
    for key in dir(node):
        if not key.startswith("_saved_"):
            continue
        name = key.removeprefix("_saved_")
        try:
            value = getattr(node, key)
        except RuntimeError:
            own.append((name, None))
            continue
        several = isinstance(value, (tuple, list)) and len(value) > 1
        tensors = [t for t in tree_iter(value) if isinstance(t, Tensor)]
        own.extend((f"{name} {k}" if several else name, t) for k, t in enumerate(tensors))
    return own


def storage_of(tensor: Tensor) -> int:
    """Which memory a tensor lies in."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return -id(tensor)


def gradients(output: Tensor, places: Sequence[tuple[Any, int] | None], leaves: Sequence[Tensor]) -> tuple[list, list]:
    """Gradients of a number in results of operations, given by autograd's node and output, and in leaves.

    One backward pass; `grad` of the leaves is left as it is. None where no gradient arrives.
    """
    found: dict[tuple[Any, int], Tensor] = {}
    wanted: dict[Any, set[int]] = {}
    for place in places:
        if place is not None:
            wanted.setdefault(place[0], set()).add(place[1])

    def listen(node: Any) -> Any:
        def hook(arriving: tuple[Tensor | None, ...]) -> None:
            for k in wanted[node]:
                if k < len(arriving) and arriving[k] is not None:
                    found[node, k] = arriving[k].detach()  # type: ignore[union-attr]

        return node.register_prehook(hook)

    hooks = [listen(node) for node in wanted]
    try:
        asked = [t for t in leaves if t.requires_grad]
        got = torch.autograd.grad(output, asked, retain_graph=True, allow_unused=True) if asked else ()
    finally:
        for hook in hooks:
            hook.remove()
    by_leaf = {id(t): g for t, g in zip(asked, got, strict=True)}
    return [None if p is None else found.get(p) for p in places], [by_leaf.get(id(t)) for t in leaves]


def names_of_memory(tape: Tape) -> dict[int, str]:
    """Whose memory it is: the name of the first node that a piece of memory belonged to."""
    return {memory: tape.nodes[number].name for memory, number in tape.memory.items()}


def _accumulator(leaf: Tensor) -> Any:
    with torch.enable_grad():
        node = leaf.view_as(leaf).grad_fn
        assert node is not None
        return node.next_functions[0][0]
