"""The tape of a run: each operation as it happens, what it read, what it wrote, and autograd's nodes for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map

_LONG = 120


@dataclass
class Node:
    """One value of a graph: a leaf, or the result of an operation."""

    operation: str
    role: str
    name: str
    module: int = -1
    tensors: list[Tensor] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    dtype: str = ""
    value: float = float("nan")
    arguments: str = ""
    source: str = ""
    autograd: tuple[Any, int] | None = None  # the node of its first output, and which of that node's outputs
    derive: Callable[[], list[float] | None] = lambda: None  # derivatives of a number in its arguments, all numbers


@dataclass(frozen=True)
class Edge:
    """One use of a value: output number `output` of node `tail` is tensor argument `argument` of node `head`."""

    tail: int
    head: int
    argument: int
    output: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One call of a module."""

    path: str
    call: int
    type: str
    parent: int
    parameters: int


class Done:
    """An operation with its arguments as they are before it, so that single numbers can be derived afterwards."""

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        random = torch.Tag.nondeterministic_seeded in getattr(function, "tags", ())
        single = all(t.numel() == 1 and t.device.type != "meta" for t in _tensors((args, kwargs)))
        copy = not random and single
        self._copies = tree_map(_copied, (args, kwargs)) if copy else None

    def derivatives(self) -> list[float] | None:
        """Derivatives of the result in each tensor argument: in `b * b` both have the derivative `b`.

        The operation is done again, with each argument a variable by itself. None if there is no single number.
        """
        if self._copies is None:
            return None
        variables: list[Tensor] = []

        def variable(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            variables.append(value.detach().requires_grad_(value.is_floating_point()))
            return variables[-1].clone()

        with torch.enable_grad():
            args, kwargs = tree_map(variable, self._copies)
            result = _tensors(self.function(*args, **kwargs))[:1]
        return _derived(result[0], variables) if result and result[0].numel() == 1 else None


class Tape:
    """Nodes and edges in the order of computing; tensors are told apart by identity and followed through their memory.

    A tensor that is changed in place, itself or through a view, counts as made by the operation that changed it last.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.calls: list[Call] = []
        self.partner: dict[Any, int] = {}
        self.memory: dict[int, int] = {}
        self._call_numbers: dict[tuple[int, str, int], int] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._made: dict[int, tuple[int, int]] = {}
        self._written: dict[int, int] = {}
        self._used: dict[str, int] = {}
        self._unsettled: list[int] = []
        self._kept: list[Tensor] = []  # so that no identity is given twice

    def name(self, tensor: Tensor, name: str, role: str) -> None:
        """What to call a tensor if an operation reads it."""
        if id(tensor) not in self._names:
            self._names[id(tensor)] = (name, role)
            self._kept.append(tensor)

    def inputs(self, names: Sequence[tuple[Any, str]]) -> None:
        """Leaves of the user's own, in order."""
        for value, name in names:
            if isinstance(value, Tensor):
                self.leaf(value, name, "input")

    def leaf(self, tensor: Tensor, name: str, role: str) -> int:
        """A node that nothing computes."""
        return self._node(Node(role, role, self.unique(name)), [tensor])

    def call(self, parent: int, path: str, number: int, kind: str, parameters: int) -> int:
        """The place of a module's call among all calls."""
        key = (parent, path, number)
        if key not in self._call_numbers:
            self._call_numbers[key] = len(self.calls)
            self.calls.append(Call(path, number, kind, parent, parameters))
        return self._call_numbers[key]

    def operation(self, did: Done, result: Any, *, module: int, source: str = "") -> None:
        """An operation with its results; autograd's nodes are looked up when `settle` is called, or the next one."""
        function, args, kwargs = did.function, did.args, did.kwargs
        self.settle()
        written = _written(function, args, kwargs)
        made = _tensors(result)
        if not made and not written:
            return
        operation = operation_name(function)
        node = Node(operation, "operation", self.unique(operation), module, source=source)
        node.arguments = _arguments(function, args, kwargs)
        node.derive = did.derivatives
        read = [(*self._where(t), tuple(t.shape)) for t in _tensors((args, kwargs))]
        number = self._node(node, made or written)
        for place, (tail, output, shape) in enumerate(read):
            self.edges.append(Edge(tail, number, place, output, shape))
        for tensor in written:
            self._written[_memory(tensor)] = number
        self._unsettled.append(number)

    def settle(self) -> None:
        """Pair the last operation with the nodes that autograd made for it."""
        for number in self._unsettled:
            node = self.nodes[number]
            if node.tensors and node.tensors[0].grad_fn is not None:
                node.autograd = (node.tensors[0].grad_fn, node.tensors[0].output_nr)
            for tensor in node.tensors:
                for found in new_nodes(tensor.grad_fn, self.partner):
                    self.partner[found] = number
        self._unsettled.clear()

    def where(self, tensor: Tensor) -> int:
        """The node whose value a tensor is."""
        self.settle()
        return self._where(tensor)[0]

    def number_of(self, tensor: Tensor) -> int:
        """The node of a tensor, -1 if the tape has never seen it."""
        return self._made.get(id(tensor), (-1, 0))[0]

    def _where(self, tensor: Tensor) -> tuple[int, int]:
        if id(tensor) not in self._made:
            name, role = self._names.get(id(tensor), ("constant", "constant"))
            if role == "constant" and tensor.is_leaf and tensor.requires_grad:
                name, role = "parameter", "parameter"
            self.leaf(tensor, name, role)
        number, output = self._made[id(tensor)]
        written = self._written.get(_memory(tensor), -1)
        return (written, 0) if written > number else (number, output)

    def result(self, tensor: Tensor, number: int) -> None:
        """Whose value a tensor is, if that is known from elsewhere."""
        self._made[id(tensor)] = (number, 0)
        self.nodes[number].value = single(tensor)

    def add(self, node: Node) -> int:
        """A node as it is."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _node(self, node: Node, tensors: Sequence[Tensor]) -> int:
        number = self.add(node)
        node.tensors = list(tensors)
        for output, tensor in enumerate(tensors):
            self._made[id(tensor)] = (number, output)
            self.memory.setdefault(_memory(tensor), number)
        if tensors:
            first = tensors[0]
            node.shape, node.dtype = [int(n) for n in first.shape], str(first.dtype).removeprefix("torch.")
            node.value = single(first)
        return number

    def unique(self, name: str) -> str:
        """The name, with a number if it is taken."""
        seen = self._used.get(name, 0)
        self._used[name] = seen + 1
        return name if not seen else self.unique(f"{name}_{seen}")


def new_nodes(start: Any, known: Any) -> Iterator[Any]:
    """Autograd's nodes from `start` backwards, up to those that are known and to leaves."""
    waiting, seen = [start], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in known or node in seen or hasattr(node, "variable"):
            continue
        seen.add(node)
        yield node
        waiting.extend(before for before, _ in node.next_functions)


def single(tensor: Tensor) -> float:
    """The value of a tensor of one real number; nan of any other."""
    real = tensor.numel() == 1 and tensor.device.type != "meta" and not tensor.is_complex()
    return float(tensor.detach().item()) if real else float("nan")


def operation_name(function: Any) -> str:
    """An operation's plain name.

    Examples
    --------
    >>> operation_name(torch.ops.aten.add.Tensor)
    'add'
    """
    if isinstance(function, torch._ops.OpOverload):
        return function._schema.name.rpartition("::")[2]
    owner = getattr(function, "__self__", None)
    return owner.__name__ if isinstance(owner, type) else re.sub(r"^_+|_+$", "", getattr(function, "__name__", "op"))


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _derived(result: Tensor, variables: Sequence[Tensor]) -> list[float]:
    asked = [v for v in variables if v.requires_grad]
    if not result.requires_grad or not asked:
        return [0.0] * len(variables)
    got = torch.autograd.grad(result.sum(), asked, allow_unused=True)
    found = {id(v): 0.0 if g is None else single(g) for v, g in zip(asked, got, strict=True)}
    return [found.get(id(v), 0.0) for v in variables]


def _memory(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return -id(tensor)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_iter(values) if isinstance(leaf, Tensor)]


def _written(function: Any, args: Sequence[Any], kwargs: Any) -> list[Tensor]:
    """Arguments that an operation changes in place."""
    if not isinstance(function, torch._ops.OpOverload) or not function._schema.is_mutable:
        return []
    given = {a.name: value for a, value in zip(function._schema.arguments, args, strict=False)} | dict(kwargs)
    changed = [a.name for a in function._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    return _tensors([given[name] for name in changed if name in given])


def _arguments(function: Any, args: Sequence[Any], kwargs: Any) -> str:
    """What is no tensor among the arguments and differs from the default: `stride=[2, 2]`."""
    if isinstance(function, torch._ops.OpOverload):
        names = [a.name for a in function._schema.arguments if not a.kwarg_only]
        usual = {a.name: a.default_value for a in function._schema.arguments if a.has_default_value()}
    else:
        names, usual = [], {}
    given = {names[k] if k < len(names) else str(k): value for k, value in enumerate(args)} | dict(kwargs)
    plain = {k: v for k, v in given.items() if not _tensors([v]) and not (k in usual and usual[k] == v)}
    told = ", ".join(f"{key}={value}" for key, value in plain.items() if value is not None)
    return told if len(told) <= _LONG else told[: _LONG - 1] + "…"
