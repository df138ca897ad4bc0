"""What a graph's picture says: its views (forward, backward), the words on each node and line, and their sizes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures.graph_layers import Inside, Link, layered
from thalweg.schema import graphs

SYMBOLS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "pow": "^", "rsub": "−"}
_FEW = 40
_LINE, _BIG = 19.0, 21.0
_WIDE = {**dict.fromkeys("iljtfr.,:;|'!()[]I /", 0.34), **dict.fromkeys("mwMW@%", 0.88)}


@dataclass
class View:
    """One picture of a graph: nodes and calls with words and sizes, lines, and the layout of every module."""

    name: str
    nodes: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    links: list[Link]
    inside: dict[int, Inside]
    upwards: bool


def views(ds: xr.Dataset) -> dict[str, View]:
    """The views of a graph by name; those with `+` show parameters as nodes of their own."""
    if int(ds.attrs["scalar"]):
        made = {"forward": _forward(ds, True, "value")}
        if np.isfinite(ds["local_derivative"].values).any():
            made["backward"] = _forward(ds, True, "gradient")
        return made
    made = {"forward": _forward(ds, False)}
    if _has_parameters(ds):
        made["forward+"] = _forward(ds, True)
    if ds.sizes["backward_node"]:
        made["backward"] = _backward(ds, False)
        if _has_parameters(ds):
            made["backward+"] = _backward(ds, True)
    return made


def small(ds: xr.Dataset) -> bool:
    """Whether everything can be seen at once: all modules are open, and parameters are nodes."""
    return int((ds["role"] == graphs.NODE_ROLES.index("operation")).sum()) <= _FEW


def default_open(ds: xr.Dataset) -> set[int]:
    """Calls that are open at first: all of a small graph; of a large one those that all else lies in."""
    parents = ds["parent"].values.tolist()
    if small(ds):
        return set(range(len(parents)))
    opened: set[int] = set()
    here = -1
    while True:
        inside = [c for c, parent in enumerate(parents) if parent == here]
        alone = len(inside) == 1 and not any(int(m) == here for m in _of_operations(ds))
        if not alone:
            return opened
        here = inside[0]
        opened.add(here)


def _of_operations(ds: xr.Dataset) -> list[int]:
    return ds["module"].values[ds["role"].values == graphs.NODE_ROLES.index("operation")].tolist()


def _has_parameters(ds: xr.Dataset) -> bool:
    return bool(np.isin(_roles(ds), ("parameter", "buffer")).any())


def _columns(ds: xr.Dataset) -> dict[str, Any]:
    """Every variable as a plain list: single entries of a dataset are slow to read."""
    return {str(name): var.values.tolist() for name, var in ds.variables.items()}


def _roles(ds: xr.Dataset) -> list[str]:
    return [graphs.NODE_ROLES[k] for k in ds["role"].values.tolist()]


def _forward(ds: xr.Dataset, parameters: bool, told: str = "shape") -> View:
    roles = _roles(ds)
    shown = [k for k, role in enumerate(roles) if parameters or role not in ("parameter", "buffer")]
    place = {k: new for new, k in enumerate(shown)}
    heads, tails = ds["head"].values.tolist(), ds["tail"].values.tolist()
    edges = [e for e, tail in enumerate(tails) if tail in place and heads[e] in place]
    links = _links(ds, edges, place, told)
    ends = graphs.outputs(ds)
    kept = _kept_of(ds)
    all_ = _columns(ds)
    nodes = [_node(all_, k, roles[k], k in ends, told, parameters, kept.get(k, [])) for k in shown]
    return _view("forward" if told != "gradient" else "backward", ds, nodes, links, told == "gradient")


def _links(ds: xr.Dataset, edges: Sequence[int], place: dict[int, int], told: str) -> list[Link]:
    columns = {name: ds[name].values.tolist() for name in ("tail", "head", "argument", "output", "local_derivative")}
    value, gradient = ds["value"].values, ds["gradient"].values
    by_head: dict[int, list[int]] = {}
    for e in edges:
        by_head.setdefault(columns["head"][e], []).append(e)
    links = []
    for e in edges:
        tail, head = columns["tail"][e], columns["head"][e]
        beside = sorted(by_head[head], key=lambda other: columns["argument"][other])
        words = ""
        if told == "gradient" and math.isfinite(columns["local_derivative"][e]) and math.isfinite(gradient[head]):
            local = columns["local_derivative"][e]
            words = f"{number(gradient[head])} × {_bracketed(local)} = {number(gradient[head] * local)}"
        elif told == "value" and math.isfinite(value[tail]):
            words = number(value[tail])
        label = (words, _width(words, 14.0) + 10.0) if words else None
        links.append(
            Link(place[tail], place[head], columns["output"][e], beside.index(e), len(beside), number=e, label=label)
        )
    return links


def _backward(ds: xr.Dataset, parameters: bool) -> View:
    roles, forward = _roles(ds), _nearest(ds)
    names = ds["backward_operation"].values.tolist()
    hidden = {k for k, name in enumerate(names) if name == "AccumulateGrad" and not parameters}
    shown = sorted((k for k in range(len(names)) if k not in hidden), key=lambda k: (forward[k], -k))
    place = {k: new for new, k in enumerate(shown)}
    pairs = zip(ds["backward_tail"].values.tolist(), ds["backward_head"].values.tolist(), strict=True)
    edges = [(e, a, b) for e, (a, b) in enumerate(pairs) if a in place and b in place]
    count: dict[int, int] = {}
    for _, a, _ in edges:
        count[a] = count.get(a, 0) + 1
    seen: dict[int, int] = {}
    links = []
    for e, a, b in edges:
        seen[a] = seen.get(a, -1) + 1
        links.append(Link(place[b], place[a], 0, seen[a], count[a], number=e))
    all_ = _columns(ds)
    nodes = [_backward_node(all_, k, forward[k], roles) for k in shown]
    return _view("backward", ds, nodes, links, True)


def _nearest(ds: xr.Dataset) -> list[int]:
    """The forward node of each of autograd's nodes; those without one count to who they get gradients from."""
    found = ds["forward"].values.tolist()
    for a, b in sorted(zip(ds["backward_tail"].values.tolist(), ds["backward_head"].values.tolist(), strict=True)):
        found[b] = found[a] if found[b] < 0 else found[b]
    return [max(k, 0) for k in found]


def _view(name: str, ds: xr.Dataset, nodes: list[dict[str, Any]], links: list[Link], upwards: bool) -> View:
    parents = ds["parent"].values.tolist()
    inside = layered([n["module"] for n in nodes], parents, links)
    shapes = _leaving(nodes, parents)
    all_ = _columns(ds)
    calls = [_call(all_, c, shapes.get(c, "") if not upwards else "") for c in range(len(parents))]
    return View(name, nodes, calls, links, inside, upwards)


def _leaving(nodes: Sequence[dict[str, Any]], parents: Sequence[int]) -> dict[int, str]:
    """The shape of what last leaves each call."""
    found: dict[int, str] = {}
    for node in nodes:
        if node["role"] == "operation":
            call = node["module"]
            while call >= 0:
                found[call] = node["shape"]
                call = parents[call]
    return found


def _node(
    ds: dict[str, Any], k: int, role: str, end: bool, told: str, parameters: bool, kept: list[str]
) -> dict[str, Any]:
    def one(name: str) -> Any:
        return ds[name][k]

    name, operation, shape = str(ds["node"][k]), str(one("operation")), _shape(one("shape"))
    inside = ds["path"][one("module")] + "." if one("module") >= 0 else ""
    lines = [symbol(operation, str(one("arguments"))) if role == "operation" else name.removeprefix(inside)]
    if told == "shape" or not math.isfinite(one("value")):
        lines.append(shape if told == "shape" else "")
    if told == "value" and math.isfinite(one("value")):
        lines.append(f"= {number(one('value'))}")
    if told == "gradient":
        lines = [lines[0], f"gradient {number(one('gradient'))}" if math.isfinite(one("gradient")) else "no gradient"]
    if role == "operation" and int(one("parameters")) and not parameters:
        lines.append(_counted(int(one("parameters")), "parameter"))
    detail = [
        ("operation", operation if role == "operation" else role),
        ("shape", f"{shape} {one('dtype')}"),
        ("arguments", str(one("arguments"))),
        ("value", number(one("value")) if math.isfinite(one("value")) else ""),
        ("gradient", number(one("gradient")) if math.isfinite(one("gradient")) else ""),
        ("norm of the gradient", number(one("gradient_norm")) if math.isfinite(one("gradient_norm")) else ""),
        ("parameters", f"{int(one('parameters')):,}" if int(one("parameters")) else ""),
        ("in", _where(ds, int(one("module")))),
        ("line", str(one("source"))),
        *(("kept for backward", words) for words in kept),
    ]
    return _sized(lines, name, role, int(one("module")), detail, shape=shape, end=end)


def _backward_node(ds: dict[str, Any], k: int, forward: int, roles: Sequence[str]) -> dict[str, Any]:
    name, size = str(ds["backward_operation"][k]), int(ds["saved_bytes"][k])
    leaf = name == "AccumulateGrad"
    kept = _kept(str(ds["saved"][k]))
    of = str(ds["node"][forward]) if int(ds["forward"][k]) >= 0 else ""
    call = ds["module"][forward]
    short = of.removeprefix(ds["path"][call] + "." if call >= 0 else "")
    lines = [short, "gradient"] if leaf else [name, f"keeps {_bytes(size)}" if size else "keeps nothing"]
    detail = [
        ("autograd", name),
        ("of", of),
        ("in", _where(ds, int(ds["module"][forward]))),
        ("line", str(ds["source"][forward])),
        ("keeps", _bytes(size) if size else ""),
        *(("kept for backward", words) for words in kept),
    ]
    role = roles[forward] if leaf and of else "operation"
    return _sized(lines, name, role, int(ds["module"][forward]), detail, shape="", end=False)


def _call(ds: dict[str, Any], c: int, shape: str) -> dict[str, Any]:
    path, parent, times = str(ds["path"][c]), int(ds["parent"][c]), int(ds["call"][c])
    above = str(ds["path"][parent]) + "." if parent >= 0 else ""
    label = path.removeprefix(above)
    again = list(zip(ds["path"], ds["parent"], strict=True)).count((path, parent)) > 1
    label += f" · call {times}" if again else ""
    kind, parameters = str(ds["type"][c]), int(ds["module_parameters"][c])
    lines = [label, " → ".join(filter(None, (kind if label != kind else "", shape)))]
    lines += [_counted(parameters, "parameter")] if parameters else []
    detail = [
        ("module", path),
        ("type", kind),
        ("call", str(times)),
        ("parameters", f"{parameters:,}" if parameters else "none"),
        ("gives", shape),
    ]
    made = _sized(lines, label, "call", parent, detail, shape=shape, end=False)
    made["title"] = f"{label}: {kind}" if label != kind else label
    made["header"] = _width(made["title"], 15.0) + 52.0
    made["w"] += 16.0
    return made


def _sized(
    lines: Iterable[str], name: str, role: str, module: int, detail: list[tuple[str, str]], *, shape: str, end: bool
) -> dict[str, Any]:
    lines = [line for line in lines if line]
    width = max(_width(lines[0], 17.0, 1.06), *(_width(line, 14.0) for line in lines), 30.0) + 26.0
    height = _BIG + _LINE * (len(lines) - 1) + 17.0
    known = [[key, words] for key, words in detail if words]
    return {
        "lines": lines,
        "name": name,
        "role": role,
        "module": module,
        "detail": known,
        "shape": shape,
        "end": end,
        "w": round(width, 1),
        "h": round(height, 1),
    }


def _kept_of(ds: xr.Dataset) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for forward, saved in zip(ds["forward"].values.tolist(), ds["saved"].values.tolist(), strict=True):
        if forward >= 0:
            found.setdefault(forward, []).extend(_kept(saved))
    return found


def _kept(saved: str) -> list[str]:
    def words(name: str, shape: list[int], dtype: str, owner: str) -> str:
        return f"{name}: {_shape(shape)} {dtype}" + (f", {owner}" if owner else "") if dtype else f"{name}: {owner}"

    return [words(*entry) for entry in json.loads(saved)]


def symbol(operation: str, arguments: str) -> str:
    """`+ 1` for an addition of one; the name where there is no sign for it.

    Examples
    --------
    >>> symbol("add", "other=1"), symbol("mul", ""), symbol("tanh", "")
    ('+ 1', '×', 'tanh')
    """
    sign = SYMBOLS.get(operation.removesuffix("_"))
    found = re.fullmatch(r"(?:other|exponent)=(-?[\d.e+-]+)", arguments)
    if sign is None or (arguments and not found):
        return operation
    return f"{sign} {found[1]}" if found else sign


def _shape(shape: Any) -> str:
    sizes = json.loads(shape) if isinstance(shape, str) else shape
    return "×".join(map(str, sizes)) or "one number"


def _where(ds: dict[str, Any], call: int) -> str:
    if call < 0:
        return ""
    again = int(ds["call"][call])
    return str(ds["path"][call]) + (f", call {again}" if again > 1 else "")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"


def number(value: float) -> str:
    """A number as it is written in the picture.

    Examples
    --------
    >>> number(20.0), number(-0.12345678), number(1e-9)
    ('20', '−0.1235', '1e−09')
    """
    return f"{float(value):.4g}".replace("-", "−")


def _bracketed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _width(text: str, size: float, stretch: float = 1.0) -> float:
    """Room for a text, by the widths of a usual sans serif."""
    return size * stretch * sum(_WIDE.get(c, 0.70 if c.isupper() else 0.57) for c in text)
