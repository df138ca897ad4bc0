"""The page of a graph: its data, its style and its script in one file that asks nobody for anything."""

from __future__ import annotations

import html
import json
import math
import re
from functools import cache
from importlib.resources import files
from typing import Any

import xarray as xr

from thalweg.figures.graph_look import STYLE, variables
from thalweg.figures.graph_place import GAP, HEADER, LABEL_ROW, PAD, ROW
from thalweg.figures.graph_views import View, number, symbol
from thalweg.figures.theme import Theme
from thalweg.schema import graphs

_MOST_PATHS = 60
_ENGINES = {"export": "torch.export", "run": "a run of the code", "autograd": "what autograd remembers"}


def page(ds: xr.Dataset, views: dict[str, View], first: str, opened: list[int], theme: Theme | None, title: str) -> str:
    """The whole page."""
    data = {
        "views": {name: _view(ds, view) for name, view in views.items()},
        "first": first,
        "open": opened,
        "paths": _paths(ds),
        "theme": theme,
        "sizes": {"header": HEADER, "pad": PAD, "gap": GAP, "row": ROW, "labelRow": LABEL_ROW},
    }
    parts = {
        "TITLE": html.escape(title),
        "SUMMARY": html.escape(summary(ds)),
        "LIGHT": variables("light"),
        "DARK": variables("dark"),
        "STYLE": STYLE + _static("graph.css"),
        "DATA": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "SCRIPT": _static("graph.js"),
    }
    return re.sub(r"%([A-Z]+)%", lambda found: parts[found[1]], _static("graph.html"))


def summary(ds: xr.Dataset) -> str:
    """A graph's size in a line."""
    operations = int((ds["role"] == graphs.NODE_ROLES.index("operation")).sum())
    told = [f"{operations:,} operations" if operations != 1 else "1 operation", f"{ds.sizes['edge']:,} edges"]
    if calls := ds.sizes["module_call"]:
        told.append(f"{calls:,} calls of modules" if calls != 1 else "1 call of a module")
    if count := int(ds.attrs.get("num_parameters", 0)):
        told.append(f"{count:,} parameters")
    return " · ".join([*told, f"from {_ENGINES.get(str(ds.attrs['engine']), ds.attrs['engine'])}"])


@cache
def _static(name: str) -> str:
    return files("thalweg.figures").joinpath("static", name).read_text(encoding="utf-8")


def _view(ds: xr.Dataset, view: View) -> dict[str, Any]:
    inside = {}
    for call, own in view.inside.items():
        inside[str(call)] = {
            "items": [[kind, _key(key) if kind in ("in", "out") else key] for kind, key in own.items],
            "layers": own.layers,
            "lines": [
                {
                    "chain": [[k, _port(own.items[k][0], port)] for k, port in line["chain"]],
                    "links": line["links"],
                    "flip": line["flip"],
                }
                for line in own.lines
            ],
            "ins": [_key(key) for key in own.ins],
            "outs": [_key(key) for key in own.outs],
        }
    shapes = ds["edge_shape"].values.tolist() if view.name == "forward" else []
    told = {
        link.number: f"{view.nodes[link.tail]['name']} → {view.nodes[link.head]['name']}"
        + (f": {'×'.join(map(str, json.loads(shapes[link.number]))) or 'one number'}" if shapes else "")
        for link in view.links
    }
    return {"nodes": view.nodes, "calls": view.calls, "inside": inside, "upwards": view.upwards, "links": told}


def _key(key: tuple[int, int]) -> str:
    return f"{key[0]}:{key[1]}"


def _port(kind: str, port: Any) -> Any:
    """Ports of modules are named by what comes through them; a node's are numbers, or (argument, of how many)."""
    if kind == "call":
        return _key(port)
    return {"of": list(port)} if isinstance(port, tuple) else 0


def _paths(ds: xr.Dataset) -> list[dict[str, Any]]:
    """For each leaf that has a gradient, the paths from it to the result."""
    ends = graphs.outputs(ds)
    if not int(ds.attrs["scalar"]) or len(ends) != 1:
        return []
    local, heads = ds["local_derivative"].values.tolist(), ds["head"].values.tolist()
    names = ds["node"].values.tolist()
    pairs = zip(ds["operation"].values.tolist(), ds["arguments"].values.tolist(), strict=True)
    signs = [symbol(operation, arguments) for operation, arguments in pairs]
    found = []
    for leaf, (role, gradient) in enumerate(zip(ds["role"].values, ds["gradient"].values, strict=True)):
        count = graphs.count_paths(ds, leaf, ends[0])
        if graphs.NODE_ROLES[int(role)] == "operation" or not math.isfinite(gradient) or not count:
            continue
        ways = sorted(graphs.paths(ds, leaf, ends[0])) if count <= _MOST_PATHS else []
        told = []
        for way in ways:
            steps = [local[e] for e in way]
            route = " → ".join([names[leaf], *(signs[heads[e]] for e in way)])
            product = " × ".join(f"({number(v)})" if v < 0 else number(v) for v in steps)
            told.append({"route": route, "product": f"{product} = {number(math.prod(steps))}", "edges": way})
        found.append({"leaf": names[leaf], "gradient": number(gradient), "count": f"{count:,}", "paths": told})
    return found
