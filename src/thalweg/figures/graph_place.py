"""Coordinates of a folded graph with some of its modules open. `static/graph.js` does the same sums in the page.

In each layer items keep their order and as much room as they need; sweeps pull every item to the mean place of what it
is joined with. That is a least-squares problem with an order, which pooling of neighbours solves exactly (Ayer et al.
1955, doi:10.1214/aoms/1177728423). Bends pull hardest, so that long lines run straight.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from thalweg.figures.graph_views import View

HEADER, PAD, GAP, ROW, LABEL_ROW = 30.0, 18.0, 26.0, 34.0, 20.0
_SWEEPS = 11  # the last one is downwards: what has one predecessor stands straight below it
_STRAIGHT, _LOOSE, _ASIDE = 1000.0, 0.01, 0.05


@dataclass
class Geometry:
    """One module laid out: centres, tops and sizes of its items, tops and heights of its layers, its own size."""

    x: list[float]
    size: list[tuple[float, float]]
    row_of: list[int]
    tops: list[float]
    heights: list[float]
    width: float
    height: float


@dataclass
class Scene:
    """What is drawn where."""

    width: float = 0.0
    height: float = 0.0
    nodes: list[tuple[int, float, float]] = field(default_factory=list)
    calls: list[tuple[int, float, float, float, float, bool]] = field(default_factory=list)
    lines: list[tuple[str, list[int], bool, bool]] = field(default_factory=list)
    labels: list[tuple[str, float, float, int]] = field(default_factory=list)


def scene(view: View, opened: Collection[int]) -> Scene:
    """Everything in its place, with the calls in `opened` open."""
    known: dict[int, Geometry] = {}
    for call in sorted(view.inside, reverse=True):
        if call < 0 or call in opened:
            known[call] = geometry(view, call, known)
    drawn = Scene()
    if -1 in known:
        drawn.width, drawn.height = known[-1].width, known[-1].height
        _draw(view, -1, 0.0, 0.0, known, drawn)
    return drawn


def geometry(view: View, call: int, known: dict[int, Geometry]) -> Geometry:
    """One module's own layout; those inside it that are open are known."""
    inside = view.inside[call]
    size = [_size(view, item, known) for item in inside.items]
    row_of = [0] * len(size)
    for number, row in enumerate(inside.layers):
        for k in row:
            row_of[k] = number
    x = _across(view, call, size, known)
    low = min((x[k] - size[k][0] / 2 for k in range(len(x))), default=0.0)
    high = max((x[k] + size[k][0] / 2 for k in range(len(x))), default=0.0)
    header = HEADER if call >= 0 else 0.0
    width = high - low + 2 * PAD
    shift = PAD - low
    if call >= 0 and view.calls[call]["header"] + 2 * PAD > width:
        more = view.calls[call]["header"] + 2 * PAD - width
        width, shift = width + more, shift + more / 2
    tops, heights, y = [], [], header + (0.0 if inside.ins else PAD)
    for row in inside.layers:
        ports = all(inside.items[k][0] in ("in", "out") for k in row)
        tops.append(y)
        heights.append(max((size[k][1] for k in row), default=0.0))
        words = any(inside.items[k][0] == "label" for k in row)
        y += heights[-1] + (LABEL_ROW if words or _beside_words(inside, row_of, row) else ROW) * (0.6 if ports else 1.0)
    bottom = tops[-1] + heights[-1] if tops else y
    outs = bool(inside.outs)
    height = bottom + (0.0 if outs else PAD)
    return Geometry([v + shift for v in x], size, row_of, tops, heights, width, height)


def _beside_words(inside: Any, row_of: list[int], row: list[int]) -> bool:
    """Whether the layer below holds words."""
    below = row_of[row[0]] + 1 if row else 0
    return 0 < below < len(inside.layers) and any(inside.items[k][0] == "label" for k in inside.layers[below])


def _size(view: View, item: tuple[str, Any], known: dict[int, Geometry]) -> tuple[float, float]:
    kind, key = item
    if kind == "node":
        return view.nodes[key]["w"], view.nodes[key]["h"]
    if kind == "call":
        if key in known:
            return known[key].width, known[key].height
        return view.calls[key]["w"], view.calls[key]["h"]
    if kind == "label":
        return key[1], 20.0
    return 10.0, 0.0


def offset(
    view: View, item: tuple[str, Any], size: tuple[float, float], port: Any, leaving: bool, known: dict[int, Geometry]
) -> float:
    """How far from an item's middle a line meets it."""
    kind, key = item
    if kind == "call":
        inside = view.inside[key]
        ports = inside.outs if leaving else inside.ins
        if key in known:
            at = inside.items.index(("out" if leaving else "in", port))
            return known[key].x[at] - known[key].width / 2
        return ((ports.index(port) + 1) / (len(ports) + 1) - 0.5) * size[0]
    if kind == "node" and not leaving and isinstance(port, tuple):
        return ((port[0] + 1) / (port[1] + 1) - 0.5) * size[0]
    return 0.0


def _across(view: View, call: int, size: list[tuple[float, float]], known: dict[int, Geometry]) -> list[float]:
    """Centres of all items, from left to right."""
    inside = view.inside[call]
    x = [0.0] * len(size)
    for row in inside.layers:
        total = sum(size[k][0] for k in row) + GAP * (len(row) - 1)
        left = -total / 2
        for k in row:
            x[k] = left + size[k][0] / 2
            left += size[k][0] + GAP
    up: list[list[tuple[int, float, float]]] = [[] for _ in size]
    down: list[list[tuple[int, float, float]]] = [[] for _ in size]
    for a, b, shift, weight in _pulls(view, call, size, known):
        up[b].append((a, shift, weight))
        down[a].append((b, -shift, weight))
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for row in inside.layers if downwards else inside.layers[::-1]:
            _pull(row, x, size, up if downwards else down)
    return x


def _pulls(view: View, call: int, size: list[tuple[float, float]], known: dict[int, Geometry]) -> list[Any]:
    """(above, below, how far right of the one above the one below would stand, weight)."""
    inside = view.inside[call]
    found: dict[tuple[int, int, float], float] = {}
    for line in inside.lines:
        chain, flip = line["chain"], line["flip"]
        for (a, a_port), (b, b_port) in pairwise(chain):
            shift = offset(view, inside.items[a], size[a], a_port, not flip, known) - offset(
                view, inside.items[b], size[b], b_port, flip, known
            )
            thin = (inside.items[a][0] in ("bend", "label")) + (inside.items[b][0] in ("bend", "label"))
            found[a, b, shift] = _ASIDE if _is_leaf(view, inside.items[a]) else (1.0, 2.0, _STRAIGHT)[thin]
    return [(a, b, shift, weight) for (a, b, shift), weight in found.items()]


def _is_leaf(view: View, item: tuple[str, Any]) -> bool:
    """Parameters hang beside what reads them, which stands below the data."""
    return item[0] == "node" and view.nodes[item[1]]["role"] in ("parameter", "buffer", "constant")


def _pull(row: list[int], x: list[float], size: list[tuple[float, float]], joined: list[Any]) -> None:
    """Move the items of a layer to where they are pulled, in order and without overlap."""
    wanted, weights, room, at = [], [], [], 0.0
    for place, k in enumerate(row):
        pulls = joined[k]
        total = _LOOSE + sum(w for _, _, w in pulls)
        aim = (_LOOSE * x[k] + sum(w * (x[other] + shift) for other, shift, w in pulls)) / total
        if place:
            at += (size[row[place - 1]][0] + size[k][0]) / 2 + GAP
        room.append(at)
        wanted.append(aim - at)
        weights.append(total)
    for k, value, before in zip(row, pooled(wanted, weights), room, strict=True):
        x[k] = value + before


def pooled(wanted: list[float], weights: list[float]) -> list[float]:
    """The rising sequence next to `wanted` in weighted squares.

    Examples
    --------
    >>> pooled([1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    [1.0, 2.5, 2.5]
    """
    blocks: list[list[float]] = []  # value, weight, length
    for value, weight in zip(wanted, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            v, w, n = blocks.pop()
            b = blocks[-1]
            b[0] = (b[0] * b[1] + v * w) / (b[1] + w)
            b[1] += w
            b[2] += n
    return [v for v, _, n in blocks for _ in range(int(n))]


def _draw(view: View, call: int, left: float, top: float, known: dict[int, Geometry], drawn: Scene) -> None:
    inside, own = view.inside[call], known[call]
    for k, (kind, key) in enumerate(inside.items):
        w, h = own.size[k]
        x, y = left + own.x[k] - w / 2, top + _top(own, k)
        if kind == "node":
            drawn.nodes.append((key, x, y))
        elif kind == "call":
            drawn.calls.append((key, x, y, w, h, key in known))
            if key in known:
                _draw(view, key, x, y, known, drawn)
    for line in inside.lines:
        _draw_line(view, call, line, (left, top), known, drawn)


def _top(own: Geometry, k: int) -> float:
    """Items stand in the middle of their layer."""
    row = own.row_of[k]
    return own.tops[row] + (own.heights[row] - own.size[k][1]) / 2


def _draw_line(
    view: View, call: int, line: dict[str, Any], corner: tuple[float, float], known: dict[int, Geometry], drawn: Scene
) -> None:
    inside, own = view.inside[call], known[call]
    (left, top), flip, words = corner, line["flip"], ""
    for step, ((a, a_port), (b, b_port)) in enumerate(pairwise(line["chain"])):
        x0 = left + own.x[a] + offset(view, inside.items[a], own.size[a], a_port, not flip, known)
        x1 = left + own.x[b] + offset(view, inside.items[b], own.size[b], b_port, flip, known)
        start, y0 = top + _top(own, a) + own.size[a][1], top + own.tops[own.row_of[a]] + own.heights[own.row_of[a]]
        y1, end = top + own.tops[own.row_of[b]], top + _top(own, b)
        if inside.items[a][0] == "in" and call >= 0:
            start = top + HEADER
        if step == 0:
            words = f"M{x0:.1f} {start:.1f}"
        middle = (y0 + y1) / 2
        words += f"L{x0:.1f} {y0:.1f}C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}L{x1:.1f} {end:.1f}"
        if inside.items[b][0] == "label":
            y = top + _top(own, b) + own.size[b][1] / 2
            drawn.labels.append((inside.items[b][1][0], x1, y, line["links"][0]))
    ends = inside.items[line["chain"][0][0]][0], inside.items[line["chain"][-1][0]][0]
    arrow = ends[0 if view.upwards != flip else 1] in ("node", "call")
    drawn.lines.append((words, line["links"], arrow, view.upwards != flip))
