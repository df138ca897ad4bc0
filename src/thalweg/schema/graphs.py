"""Computational graphs: what is computed from what, and the paths from one node to another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from thalweg.schema.needs import SchemaError, need, need_names, need_variables

NODE_ROLES = ("input", "parameter", "buffer", "constant", "operation")

_NODES = ("operation", "role", "module", "shape", "dtype", "parameters", "value", "gradient", "arguments", "source")
_EDGES = ("tail", "head", "argument", "output", "edge_shape", "local_derivative")
_MODULES = ("path", "call", "type", "parent", "module_parameters")
_BACKWARD = ("backward_operation", "forward", "saved", "saved_bytes")
_BACKWARD_EDGES = ("backward_tail", "backward_head")


def _graph(ds: xr.Dataset) -> None:
    groups = {
        "node": _NODES,
        "edge": _EDGES,
        "module_call": _MODULES,
        "backward_node": _BACKWARD,
        "backward_edge": _BACKWARD_EDGES,
    }
    for dim, names in groups.items():
        need_variables(ds, dict.fromkeys(names, (dim,)))
    need(ds, ds.coords, "node", "coordinate")
    for name in ("engine", "scalar", "outputs"):
        need(ds, ds.attrs, name, "attr")
    need_names(ds["role"], "names")
    count = {dim: ds.sizes[dim] for dim in ("node", "module_call", "backward_node")}
    _within(ds, "tail", 0, count["node"])
    _within(ds, "head", 0, count["node"])
    _within(ds, "module", -1, count["module_call"])
    _within(ds, "parent", -1, count["module_call"])
    _within(ds, "forward", -1, count["node"])
    _within(ds, "backward_tail", 0, count["backward_node"])
    _within(ds, "backward_head", 0, count["backward_node"])
    if (ds["tail"].values >= ds["head"].values).any():
        raise SchemaError("Nodes of a graph stand in the order they are computed in: each edge has `tail` < `head`.")
    if (ds["parent"].values >= np.arange(count["module_call"])).any():
        raise SchemaError("Module calls stand after the calls that they are part of: `parent` is below their number.")
    if not all(0 <= k < count["node"] for k in outputs(ds)):
        raise SchemaError(f"attrs['outputs'] is {ds.attrs['outputs']!r}; expected numbers of nodes.")


def _within(ds: xr.Dataset, name: str, low: int, high: int) -> None:
    values = ds[name].values
    if values.dtype.kind not in "iu" or (values.size and not low <= values.min() <= values.max() < high):
        raise SchemaError(f"`{name}` holds whole numbers from {low} to {high - 1}.")


def outputs(ds: xr.Dataset) -> list[int]:
    """Numbers of the nodes whose values a graph returns."""
    return [int(k) for k in np.atleast_1d(ds.attrs["outputs"])]


def count_paths(ds: xr.Dataset, start: int, end: int) -> int:
    """How many paths lead from one node to another: exact, by one pass over the edges.

    Examples
    --------
    >>> ds = xr.Dataset({"tail": ("edge", [0, 0, 1]), "head": ("edge", [1, 1, 2])}, {"node": ["a", "b", "c"]})
    >>> count_paths(ds, 0, 2)
    2
    """
    ways = [0] * ds.sizes["node"]
    ways[start] = 1
    for _, tail, head in _edges_in_order(ds):
        ways[head] += ways[tail]
    return ways[end]


def paths(ds: xr.Dataset, start: int, end: int) -> Iterator[list[int]]:
    """Each path from one node to another, as the numbers of its edges.

    Examples
    --------
    >>> ds = xr.Dataset({"tail": ("edge", [0, 0, 1]), "head": ("edge", [1, 1, 2])}, {"node": ["a", "b", "c"]})
    >>> list(paths(ds, 0, 2))
    [[0, 2], [1, 2]]
    """
    leads = [False] * ds.sizes["node"]
    leads[end] = True
    ahead: dict[int, list[tuple[int, int]]] = {}
    for edge, tail, head in reversed(_edges_in_order(ds)):
        leads[tail] |= leads[head]
        ahead.setdefault(tail, []).append((edge, head))
    waiting: list[tuple[int, list[int]]] = [(start, [])]
    while waiting:
        here, way = waiting.pop()
        if here == end:
            yield way
            continue
        waiting.extend((head, [*way, edge]) for edge, head in ahead.get(here, []) if leads[head])


def _edges_in_order(ds: xr.Dataset) -> list[tuple[int, int, int]]:
    """(number, tail, head) with every edge after all edges that lead to its tail."""
    triples = zip(range(ds.sizes["edge"]), ds["tail"].values.tolist(), ds["head"].values.tolist(), strict=True)
    return sorted(triples, key=lambda e: (e[1], e[0]))


CHECKS = {"graph": _graph}
