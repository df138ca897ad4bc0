r"""A linear map traced once, split into what depends on the vector and what does not, and applied many times.

For `apply(theta, batch, v)`, linear in `v`, the graph of operations is traced (`make_fx`). Everything that does not
depend on `v` is computed once for each batch and kept; what is left is the linear part alone. Batches of one shape
share a graph, so tracing is paid once however many batches there are.

Derivatives come with sums of zeros, and with a zero vector as long as all weights for each parameter;
`without_zeros` and `joined` undo that.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Apply = Callable[[Tensor, Any, Tensor], Tensor]
Map = Callable[[Tensor], Tensor]
aten = torch.ops.aten
_ZEROS = {aten.zeros_like.default, aten.zeros.default, aten.new_zeros.default, aten._efficientzerotensor.default}


class Linearizer:
    """Makes the linear maps `v -> apply(theta, batch, v)` of many batches.

    Examples
    --------
    >>> linearizer = Linearizer(lambda theta, batch, v: batch * torch.cos(theta) * v)
    >>> at, kept = linearizer(torch.zeros(3), torch.tensor(2.0))
    >>> at(torch.ones(3)), kept
    (tensor([2., 2., 2.]), 12)
    """

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._parts: dict[Any, tuple[GraphModule, GraphModule]] = {}

    def __call__(self, theta: Tensor, batch: Any) -> tuple[Map, int]:
        """The map of one batch, and the bytes that it keeps."""
        leaves, form = pytree.tree_flatten(batch)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        key = (form, *[(tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves])
        if key not in self._parts:
            self._parts[key] = self._traced(theta, leaves, form)
        before, linear = self._parts[key]
        with torch.no_grad():
            kept = before(theta, *tensors)

        def at(v: Tensor) -> Tensor:
            with torch.no_grad():
                return linear(*kept, v)

        return at, _bytes(kept, [theta, *tensors])

    def _traced(self, theta: Tensor, leaves: list[Any], form: Any) -> tuple[GraphModule, GraphModule]:
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]

        def function(theta: Tensor, *args: Tensor) -> Tensor:
            given = iter(args)
            batch = pytree.tree_unflatten([next(given) if isinstance(a, Tensor) else a for a in leaves], form)
            return self._apply(theta, batch, args[-1])

        with warnings.catch_warnings(action="ignore"):
            traced = make_fx(function)(theta, *tensors, torch.ones_like(theta))
            without_zeros(traced.graph)
            before, linear = split(traced)
        joined(linear.graph)
        linear.recompile()
        return before, linear


def split(traced: GraphModule) -> tuple[GraphModule, GraphModule]:
    """Of a graph whose last input is the vector: what does not depend on it, and the linear part."""
    nodes = list(traced.graph.nodes)
    (last,) = (node for node in nodes if node.op == "output")
    *given, vector = (node for node in nodes if node.op == "placeholder")
    needed = _needed(last)
    linear = {vector}
    for node in nodes:
        if node in needed and any(source in linear for source in node.all_input_nodes):
            linear.add(node)
    inner = [node for node in nodes if node in linear and node.op not in ("placeholder", "output")]
    crossing = list(dict.fromkeys(s for node in [*inner, last] for s in node.all_input_nodes if s not in linear))
    before = Graph()
    env: dict[Node, Node] = {}
    for node in nodes:
        if node in given or (node in needed and node not in linear and node.op != "output"):
            env[node] = before.node_copy(node, lambda n: env[n])
    before.output(tuple(env[node] for node in crossing))
    after = Graph()
    there: dict[Node, Node] = {}
    for k, node in enumerate(crossing):
        there[node] = after.placeholder(f"kept_{k}")
    there[vector] = after.placeholder("v")
    for node in inner:
        there[node] = after.node_copy(node, lambda n: there[n])
    after.output(there[last.args[0]])
    return GraphModule(traced, before), GraphModule(traced, after)


def without_zeros(graph: Graph) -> None:
    """Replace `x + zeros` by `x`, but where either may be written to.

    Examples
    --------
    >>> traced = make_fx(lambda v: torch.zeros_like(v) + 2 * v)(torch.ones(3))
    >>> without_zeros(traced.graph)
    >>> [node.name for node in traced.graph.nodes]
    ['v_1', 'mul', 'output']
    """
    written = _written(graph)
    for node in list(graph.nodes):
        if node.target is not aten.add.Tensor or node.kwargs or node in written:
            continue
        a, b = node.args
        for zeros, other in ((a, b), (b, a)):
            plain = isinstance(other, Node) and other not in written and _alike(other, node)
            if plain and isinstance(zeros, Node) and zeros.target in _ZEROS and zeros not in written:
                node.replace_all_uses_with(other)
                graph.erase_node(node)
                break
    graph.eliminate_dead_code()


def joined(graph: Graph) -> None:
    """Where the result is a sum of vectors that are zero but for one piece each, put the pieces together instead.

    Examples
    --------
    >>> pulled = lambda v: torch.func.vjp(lambda t: (2 * t[:2], t[2:]), v)[1]((v[:2], v[2:]))[0]
    >>> traced = make_fx(pulled)(torch.ones(5))
    >>> joined(traced.graph)
    >>> [node.name for node in traced.graph.nodes][-2:], traced(torch.ones(5))
    (['cat_default', 'output'], tensor([2., 2., 1., 1., 1.]))
    """
    (last,) = (node for node in graph.nodes if node.op == "output")
    root = last.args[0]
    summands = list(_summands(root)) if isinstance(root, Node) else []
    if len(summands) < 2 or any(node.target is not aten.slice_backward.default for node in summands):
        return
    pieces: list[Any] = sorted((node.args for node in summands), key=operator.itemgetter(3))
    end, size = 0, pieces[0][1][0]
    for _, shape, _, start, stop, step in pieces:
        if start != end or step != 1 or len(shape) != 1:
            return
        end = min(stop, size)
    if end != size:
        return
    with graph.inserting_before(last):
        whole = graph.call_function(aten.cat.default, ([piece for piece, *_ in pieces],))
    last.args = (whole,)
    graph.eliminate_dead_code()


def _alike(a: Node, b: Node) -> bool:
    """Whether both have the same shape, strides and dtype."""
    x, y = a.meta.get("val"), b.meta.get("val")
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        return False
    return x.shape == y.shape and x.stride() == y.stride() and x.dtype == y.dtype and x.device == y.device


def _summands(node: Node) -> Iterator[Node]:
    if node.target is aten.add.Tensor and not node.kwargs and all(isinstance(a, Node) for a in node.args):
        for summand in node.args:
            yield from _summands(summand)  # type: ignore[arg-type]
    else:
        yield node


def _written(graph: Graph) -> set[Node]:
    """What is written to, and all that it may be a view of."""
    found: set[Node] = set()
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable:
            at: Any = node
            while isinstance(at, Node) and at not in found:
                found.add(at)
                at = at.args[0] if at.args else None
    return found


def _needed(last: Node) -> set[Node]:
    found: set[Node] = set()
    waiting = [last]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found


def _bytes(kept: Any, known: list[Tensor]) -> int:
    """Of the storages that are kept, without those that are there anyway."""
    there = {tensor.untyped_storage().data_ptr() for tensor in known}
    storages = (leaf.untyped_storage() for leaf in pytree.tree_leaves(kept) if isinstance(leaf, Tensor))
    return sum({s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in there}.values())
