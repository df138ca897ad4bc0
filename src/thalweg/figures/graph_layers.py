"""Layers of a folded graph: what lies in which layer of which module, in which order, and the lines between.

Every module is laid out by itself, as a small graph whose nodes are operations and the modules inside it, with ports
where values come in and go out. Neither layers nor orders depend on what is open, so that opening a module only moves
what is around it; `graph_place` gives coordinates. Layers are longest paths (Sugiyama, Tagawa & Toda 1981,
doi:10.1109/TSMC.1981.4308636), orders come from sweeps of barycentres that keep the order with fewest crossings.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

_SWEEPS = 12
_STILL = 3


@dataclass(frozen=True)
class Link:
    """One use of a value: which port of which node it leaves and enters, of how many; `label` is written beside it."""

    tail: int
    head: int
    output: int = 0
    argument: int = 0
    arguments: int = 1
    number: int = 0
    label: tuple[str, float] | None = None


@dataclass
class Inside:
    """One module's own layout; items are (what, which): nodes, calls, ports (`in`, `out`), bends and labels."""

    items: list[tuple[str, Any]] = field(default_factory=list)
    layers: list[list[int]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    ins: list[Any] = field(default_factory=list)
    outs: list[Any] = field(default_factory=list)


@dataclass
class _Arc:
    tail: int
    head: int
    tail_port: Any
    head_port: Any
    links: list[Link]
    flip: bool = False


def layered(modules: Sequence[int], parents: Sequence[int], links: Sequence[Link]) -> dict[int, Inside]:
    """The layout of each module call that holds something, and of the whole, under -1.

    `modules` names each node's innermost call, `parents` each call's own; -1 is the whole. Nodes stand in an order in
    which they can be computed.
    """
    chains = [_chain(module, parents) for module in modules]
    arcs: dict[int, dict[Any, tuple[Any, Any, list[Link]]]] = {}
    members: dict[int, dict[tuple[str, Any], int]] = {}
    for node, chain in enumerate(chains):
        for place, call in enumerate(chain):
            item = ("call", chain[place + 1]) if place + 1 < len(chain) else ("node", node)
            members.setdefault(call, {}).setdefault(item, node)
    for link in links:
        for call, start, end in _parts(link, chains):
            arcs.setdefault(call, {}).setdefault((start, end), (start, end, []))[2].append(link)
    found: dict[int, Inside] = {}
    for call in sorted(members, reverse=True):  # calls inside stand after those around them
        found[call] = _inside(members[call], list(arcs.get(call, {}).values()), found)
    return found


def _chain(module: int, parents: Sequence[int]) -> list[int]:
    chain = []
    while module >= 0:
        chain.append(module)
        module = parents[module]
    return [-1, *chain[::-1]]


def _parts(link: Link, chains: Sequence[Sequence[int]]) -> list[tuple[int, Any, Any]]:
    """A link as lines inside each call that it runs through: out of those around its tail, then into its head's."""
    a, b = chains[link.tail], chains[link.head]
    same = sum(1 for x, y in zip(a, b, strict=False) if x == y)
    key = (link.tail, link.output)
    start: Any = ("node", link.tail, link.output)
    parts = []
    for call in reversed(a[same:]):
        parts.append((call, start, ("out", key)))
        start = ("call", call, key)
    ends: list[Any] = [("call", call, key) for call in b[same:]]
    ends.append(("node", link.head, (link.argument, link.arguments)))
    parts.append((a[same - 1], start, ends[0]))
    parts.extend((call, ("in", key), end) for call, end in zip(b[same:], ends[1:], strict=True))
    return parts


def _inside(members: dict[tuple[str, Any], int], arcs: list[tuple[Any, Any, list[Link]]], below: Any) -> Inside:
    first = sorted(members, key=lambda item: members[item])
    items: list[tuple[str, Any]] = []
    number: dict[tuple[str, Any], int] = {}

    def item(key: tuple[str, Any]) -> int:
        if key not in number:
            number[key] = len(items)
            items.append(key)
        return number[key]

    ins = dict.fromkeys(("in", end[1]) for start, _, _ in arcs for end in [start] if end[0] == "in")
    for key in (*ins, *first):
        item(key)
    outs = dict.fromkeys(("out", end[1]) for _, end, _ in arcs if end[0] == "out")
    for key in outs:
        item(key)
    made = [
        _Arc(item(start[:2]), item(end[:2]), start[2] if len(start) > 2 else 0, end[2] if len(end) > 2 else 0, links)
        for start, end, links in arcs
    ]
    for arc in made:
        if arc.tail > arc.head:
            arc.tail, arc.head, arc.tail_port, arc.head_port, arc.flip = (
                *(arc.head, arc.tail, arc.head_port, arc.tail_port),
                True,
            )
    made = [arc for arc in made if arc.tail != arc.head]
    layer = _layers(items, made)
    return _ordered(items, layer, made, below)


def _layers(items: Sequence[tuple[str, Any]], arcs: Sequence[_Arc]) -> list[int]:
    """Longest paths; what nothing leads to stands right above its first use, results at the end."""
    after: dict[int, list[int]] = {}
    before: dict[int, list[int]] = {}
    for arc in arcs:
        after.setdefault(arc.tail, []).append(arc.head)
        before.setdefault(arc.head, []).append(arc.tail)
    ports = any(kind == "in" for kind, _ in items)
    layer = [0] * len(items)
    for k, (kind, _) in enumerate(items):
        layer[k] = max((layer[b] + 1 for b in before.get(k, ())), default=int(ports and kind != "in"))
    for k in range(len(items) - 1, -1, -1):
        if items[k][0] != "in" and k not in before and k in after:
            layer[k] = max(layer[k], min(layer[a] for a in after[k]) - 1)
    last = max(layer, default=0)
    last += any(kind != "out" and layer[k] == last for k, (kind, _) in enumerate(items))
    return [last if kind == "out" else layer[k] for k, (kind, _) in enumerate(items)]


def _ordered(items: list[tuple[str, Any]], layer: list[int], arcs: Sequence[_Arc], below: Any) -> Inside:
    """The layout with bends where lines pass layers, and labels in layers of their own."""
    ends = [items[arc.head if not arc.flip else arc.tail][0] == "node" for arc in arcs]
    labelled = any(end and link.label for end, arc in zip(ends, arcs, strict=True) for link in arc.links)
    step = 2 if labelled else 1
    layer = [step * number for number in layer]
    made = Inside(items=list(items))
    bends: dict[Any, int] = {}
    for end, arc in zip(ends, arcs, strict=True):
        for link in arc.links if labelled else arc.links[:1]:
            chain: list[tuple[int, Any]] = [(arc.tail, arc.tail_port)]
            for between in range(layer[arc.tail] + 1, layer[arc.head]):
                label = labelled and end and link.label and between == layer[arc.head] - 1
                key = (arc.tail, arc.tail_port, between, link.number if labelled else arc.flip)
                if key not in bends:
                    bends[key] = len(made.items)
                    made.items.append(("label", link.label) if label else ("bend", len(bends)))
                    layer.append(between)
                chain.append((bends[key], 0))
            chain.append((arc.head, arc.head_port))
            numbers = [link.number] if labelled else [each.number for each in arc.links]
            made.lines.append({"chain": chain, "links": numbers, "flip": arc.flip})
    made.layers = [[] for _ in range(max(layer, default=-1) + 1)]
    for k, number in enumerate(layer):
        made.layers[number].append(k)
    _untangle(made, below)
    place = {k: at for row in made.layers for at, k in enumerate(row)}
    ports = {kind: sorted((place[k], key) for k, (what, key) in enumerate(items) if what == kind) for kind in _PORTS}
    made.ins, made.outs = ([key for _, key in ports[kind]] for kind in _PORTS)
    return made


_PORTS = ("in", "out")


def port_share(item: tuple[str, Any], port: Any, *, leaving: bool, below: Any) -> float:
    """How far from left to right a line meets an item that is closed."""
    kind, key = item
    if kind == "call":
        ports = below[key].outs if leaving else below[key].ins
        return (ports.index(port) + 1) / (len(ports) + 1)
    if kind == "node" and not leaving and isinstance(port, tuple):
        return (port[0] + 1) / (port[1] + 1)
    return 0.5


def _untangle(made: Inside, below: Any) -> None:
    """Sweep down and up, each layer in the order of the means of what its items are joined with."""
    joints = _joints(made, below)
    up: dict[int, list[tuple[int, float]]] = {}
    down: dict[int, list[tuple[int, float]]] = {}
    for a, b, leaves, meets in joints:
        up.setdefault(b, []).append((a, leaves))
        down.setdefault(a, []).append((b, meets))
    best, fewest, still = [list(row) for row in made.layers], _crossings(made.layers, joints), 0
    for sweep in range(_SWEEPS):
        if fewest == 0 and sweep:
            break
        towards = up if sweep % 2 == 0 else down
        rows = made.layers if towards is up else made.layers[::-1]
        for other, row in pairwise(rows):
            place = {k: at for at, k in enumerate(other)}
            mean = {k: _mean(towards.get(k, ()), place) for k in row}
            kept = {k: at for at, k in enumerate(row)}
            row.sort(key=lambda k: (mean[k] if mean[k] is not None else kept[k], kept[k]))
        crossings = _crossings(made.layers, joints)
        still = 0 if crossings < fewest else still + 1
        if crossings < fewest:
            best, fewest = [list(row) for row in made.layers], crossings
        if still > _STILL:
            break
    made.layers = best


def _joints(made: Inside, below: Any) -> list[tuple[int, int, float, float]]:
    found = set()
    for line in made.lines:
        for (a, a_port), (b, b_port) in pairwise(line["chain"]):
            leaves = port_share(made.items[a], a_port, leaving=not line["flip"], below=below)
            meets = port_share(made.items[b], b_port, leaving=line["flip"], below=below)
            found.add((a, b, leaves - 0.5, meets - 0.5))
    return sorted(found)


def _mean(joined: Sequence[tuple[int, float]], place: dict[int, int]) -> Any:
    found = [place[k] + share for k, share in joined if k in place]
    return sum(found) / len(found) if found else None


def _crossings(layers: Sequence[Sequence[int]], joints: Sequence[tuple[int, int, float, float]]) -> int:
    """Pairs of lines between neighbouring layers that cross."""
    place = {k: (number, at) for number, row in enumerate(layers) for at, k in enumerate(row)}
    between: dict[int, list[tuple[float, float]]] = {}
    for a, b, leaves, meets in joints:
        between.setdefault(place[a][0], []).append((place[a][1] + leaves, place[b][1] + meets))
    total = 0
    for pairs in between.values():
        seen: list[float] = []
        for start in _groups(sorted(pairs)):
            total += sum(len(seen) - bisect_left(seen, end + 1e-9) for end in start)
            for end in start:
                insort(seen, end)
    return total


def _groups(pairs: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Ends of lines, grouped by where they start: lines from one place do not cross each other."""
    found: list[list[float]] = []
    before = None
    for start, end in pairs:
        if start != before:
            found.append([])
        found[-1].append(end)
        before = start
    return found
