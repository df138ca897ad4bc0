"""A figure in the light and in the dark look, from the expression that draws it."""

from __future__ import annotations

import ast
import copy
import json
from pathlib import Path
from typing import Any

from plotly.graph_objects import Figure


class _Dark(ast.NodeTransformer):
    """Adds `theme="dark"` to calls of functions of `thalweg.figures`."""

    def __init__(self) -> None:
        self.found = False

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        function = node.func
        drawn = isinstance(function, ast.Attribute) and (
            (isinstance(function.value, ast.Attribute) and function.value.attr == "figures")
            or (isinstance(function.value, ast.Name) and function.value.id == "figures")
        )
        if drawn and not any(word.arg == "theme" for word in node.keywords):
            node.keywords.append(ast.keyword("theme", ast.Constant("dark")))
            self.found = True
        return node


def in_the_dark(expression: ast.expr, namespace: dict[str, Any]) -> Any | None:
    """What `expression` draws with the dark theme; None if nothing in it takes one."""
    change = _Dark()
    changed = ast.fix_missing_locations(change.visit(copy.deepcopy(expression)))
    return eval(compile(ast.Expression(changed), "<dark>", "eval"), namespace) if change.found else None


def is_still(value: Any) -> bool:
    """Whether it is a figure of matplotlib, or a graph."""
    return hasattr(value, "savefig") or hasattr(value, "write_svg")


def is_interactive(value: Any) -> bool:
    """Whether it is a figure of plotly."""
    return isinstance(value, Figure)


def suffix(figure: Any) -> str:
    """Graphs are drawn in lines, figures of matplotlib in pixels."""
    return ".svg" if hasattr(figure, "write_svg") else ".png"


def save_still(figure: Any, file: Path) -> None:
    """A picture sharp enough for screens of two pixels to a point."""
    if hasattr(figure, "write_svg"):
        figure.write_svg(str(file))
        return
    figure.savefig(file, dpi=170, bbox_inches="tight", facecolor=figure.get_facecolor(), pil_kwargs={"optimize": True})


def interactive_html(light: Figure, dark: Figure | None, label: str) -> str:
    """A place that `figures.js` draws into when it is scrolled to, in the colours of the page."""
    height = light.layout.height or 620
    specs = "".join(
        f'<script type="application/json" data-look="{look}">{_embedded(figure)}</script>'
        for look, figure in (("light", light), ("dark", dark))
        if figure is not None
    )
    return (
        f'<div class="interactive-figure" role="figure" aria-label="{_escaped(label)}" style="height:{height}px">'
        f'<div class="place"></div>{specs}</div>'
    )


def _embedded(figure: Figure) -> str:
    spec = json.loads(figure.to_json())
    spec["layout"].pop("width", None)
    return json.dumps(spec, separators=(",", ":")).replace("</", "<\\/")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
