"""A graph as SVG, without a browser."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import Any

from thalweg.figures.graph_look import colors, resolved
from thalweg.figures.graph_place import HEADER, Scene, scene
from thalweg.figures.graph_views import View
from thalweg.figures.theme import Theme

_MARGIN, _TITLE = 12.0, 34.0
_ARROW = 8.0


def svg(view: View, opened: Collection[int], theme: Theme, title: str) -> str:
    """The picture of a view with some of its modules open."""
    drawn = scene(view, opened)
    top = _MARGIN + _TITLE
    width, height = size(drawn, title)
    left = (width - drawn.width) / 2
    boxes = [_open(view.calls[c], x, y, w, h) for c, x, y, w, h, is_open in drawn.calls if is_open]
    lines = [line(words, arrow, up) for words, _, arrow, up in drawn.lines]
    closed = [
        _box(view.calls[c], x, y, "call", -5 if view.upwards else 5)
        for c, x, y, _, _, is_open in drawn.calls
        if not is_open
    ]
    nodes = [_box(view.nodes[n], x, y, view.nodes[n]["role"]) for n, x, y in drawn.nodes]
    labels = [
        f'<text class="label" x="{x:.1f}" y="{y + 5:.1f}">{escape(words)}</text>' for words, x, y, _ in drawn.labels
    ]
    body = "\n".join([*boxes, *lines, *closed, *nodes, *labels])
    ink = colors(theme)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-label="{escape(title)}">'
        f"<style>{resolved(theme)}</style>"
        f'<rect width="100%" height="100%" fill="{ink["paper"]}"/>'
        f'<g class="graph{" upwards" if view.upwards else ""}">'
        f'<text class="name" x="{width / 2:.1f}" y="{_MARGIN + 20:.1f}" style="font-size:19px">{escape(title)}</text>'
        f'<g transform="translate({left:.1f} {top:.1f})">{body}</g></g></svg>\n'
    )


def size(drawn: Scene, title: str) -> tuple[float, float]:
    """Width and height of the picture, in pixels."""
    return max(drawn.width, 10.5 * len(title)) + 2 * _MARGIN, drawn.height + _TITLE + 2 * _MARGIN


def _box(item: dict[str, Any], x: float, y: float, role: str, behind: int = 5) -> str:
    w, h = item["w"], item["h"]
    round_ = min(h / 2, 22.0) if role in ("input", "parameter", "buffer", "constant") else 7.0
    end = " end" if item["end"] else ""
    parts = [f'<g class="{role}{end}" transform="translate({x:.1f} {y:.1f})">']
    if role == "call":
        parts.append(f'<rect class="behind" x="5" y="{behind}" width="{w:.1f}" height="{h:.1f}" rx="7"/>')
    parts.append(f'<rect width="{w:.1f}" height="{h:.1f}" rx="{round_:.1f}"/>')
    for k, words in enumerate(item["lines"]):
        kind, at = ("name", 25.0) if k == 0 else ("more", 25.0 + 19.0 * k)
        parts.append(f'<text class="{kind}" x="{w / 2:.1f}" y="{at:.1f}">{escape(words)}</text>')
    tip = "; ".join(f"{key}: {words}" for key, words in item["detail"])
    return "".join([*parts, f"<title>{escape(tip)}</title></g>"])


def _open(call: dict[str, Any], x: float, y: float, w: float, h: float) -> str:
    return (
        f'<g class="open" transform="translate({x:.1f} {y:.1f})"><rect width="{w:.1f}" height="{h:.1f}" rx="9"/>'
        f'<rect class="head" width="{w:.1f}" height="{HEADER:.1f}" rx="9"/>'
        f'<text class="title" x="14" y="20">{escape(call["title"])}</text></g>'
    )


def line(words: str, arrow: bool, up: bool) -> str:
    """A line with its head, at the end or, upwards, at the start."""
    drawn = f'<path class="line" d="{words}"/>'
    if not arrow:
        return drawn
    if up:
        x, y = words[1:].split("L", maxsplit=1)[0].split(" ")
        tip = f"M{x} {y}l-5 {_ARROW}h10z"
    else:
        x, y = words.rpartition("L")[2].split(" ")
        tip = f"M{x} {y}l-5 -{_ARROW}h10z"
    return f'{drawn}<path class="arrow" d="{tip}"/>'
