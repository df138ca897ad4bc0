"""What the plotly figures share: titles, notes, colour bars, and the two controls that switch what is shown."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import theme as themes
from thalweg.figures.prepare import Layer, Map

_BARE: ContextVar[bool] = ContextVar("_BARE", default=False)
Traces = list[dict[str, Any]]
_TITLE = 2.0  # letters of a title on a pixel, times the pixels of its font
DATA_KEYS = (
    "x",
    "y",
    "z",
    "i",
    "j",
    "k",
    "text",
    "customdata",
    "hovertemplate",
    "surfacecolor",
    "facecolor",
    "cmin",
    "cmax",
    "zmin",
    "zmax",
)


def short(heights: np.ndarray) -> np.ndarray:
    """Heights in single precision, which a page holds in few bytes; nan where there is none."""
    with np.errstate(over="ignore"):
        single = heights.astype(np.float32)
    return np.where(np.isfinite(single), single, np.float32(np.nan))


def title(words: str, facts: str, theme: themes.Theme, width: float = 1100) -> dict[str, Any]:
    """Title and subtitle, left-aligned with the panels; `width` in pixels is what a line of the subtitle may take."""
    muted = themes.palette(theme).muted
    sub = {"text": wrap(facts, width), "font": {"size": 13, "color": muted}} if facts else {}
    size = {"font": {"size": max(15, int(_TITLE * width / len(words)))}} if len(words) * 21 > _TITLE * width else {}
    return {
        "text": f"<b>{words}</b>",
        "subtitle": sub,
        **size,
        "x": 0,
        "xref": "paper",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "pad": {"t": 22},
    }


def note(layer: Layer, theme: themes.Theme, shift: int = -8, width: float = 1100) -> dict[str, Any]:
    """The annotation at the foot that says what was changed to draw the layer."""
    return {
        "text": note_text(layer, width),
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "yshift": shift,
        "showarrow": False,
        "align": "left",
        "name": "note",
        "font": {"size": 12, "color": themes.palette(theme).muted},
    }


def bar_title(layer: Layer, y: float = 0.5) -> dict[str, Any]:
    """The title of the colour bar: an annotation, because plotly sets its own titles over long tick labels."""
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": y, "xanchor": "left", "yanchor": "middle", "xshift": 82}
    return {**place, "text": layer.title, "textangle": -90, "showarrow": False, "name": "bar", "font": {"size": 13}}


def note_text(layer: Layer, width: float = 1100) -> str:
    """The notes of a layer."""
    return wrap(sentences(layer.notes), width)


def sentences(notes: Iterable[str]) -> str:
    """Notes as one text."""
    return "".join(f"{n}. " for n in notes).strip()


def wrap(text: str, width: float) -> str:
    """Lines that fit into `width` pixels of small print."""
    return "<br>".join(textwrap.wrap(text, int(width / 6.2)))


def extra_lines(text: str, width: float) -> int:
    """Pixels that the subtitle takes beyond its first line."""
    return 17 * max(0, len(textwrap.wrap(text, int(width / 6.2))) - 1)


def colorbar(layer: Layer, **more: Any) -> dict[str, Any]:
    """A slim colour bar whose ticks are the labelled iso-lines."""
    return {
        "thickness": 14,
        "outlinewidth": 0,
        "tickvals": layer.levels.tolist(),
        "ticktext": list(layer.ticks),
        "tickfont": {"size": 12},
        "ticks": "outside",
        "ticklen": 3,
        **more,
    }


def legend(entries: Iterable[str], width: float) -> tuple[dict[str, Any], float]:
    """Layout of a legend at the foot of the figure, and its height in pixels if its lines are `width` pixels long.

    Without entries there is none.
    """
    wide = [46 + 7.0 * len(entry) for entry in entries]
    if not wide:
        return {"showlegend": False}, 0.0
    columns = max(1, int(width // max(wide)))
    rows = 1 if sum(wide) <= width else -(-len(wide) // columns)
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom"}
    look = {"orientation": "h", "traceorder": "normal", "itemsizing": "constant", "font": {"size": 13}}
    return {"showlegend": True, "legend": {**place, **look}}, 21.0 * rows + 8


def hover(shown: Map, layer: Layer) -> str:
    """Coordinates and the true value."""
    where = f"{shown.x.symbol} = %{{x:.4~g}}<br>{shown.y.symbol} = %{{y:.4~g}}"
    return f"{where}<br><b>{layer.title} = %{{customdata}}</b><extra></extra>"


@contextmanager
def without_controls() -> Iterator[None]:
    """Draw figures without dropdowns and buttons: for the frames of a film, which has controls of its own."""
    token = _BARE.set(True)
    try:
        yield
    finally:
        _BARE.reset(token)


def controls(
    shown: Map,
    traces: Callable[[Layer], Traces],
    layout: Callable[[Layer], dict[str, Any]],
    theme: themes.Theme,
    above: bool = False,
) -> list[dict[str, Any]]:
    """The dropdown over quantities and the linear/log buttons of the quantity that is shown.

    Plotly's buttons have no memory, so choosing a quantity also replaces the scale buttons by that quantity's own.
    """
    if _BARE.get():
        return []
    names = sorted(shown.layers, key=lambda n: n != shown.shown[0])
    drawn = {n: _scales(shown, n, traces, layout) for n in names}
    varying = _varying([flat for scales in drawn.values() for _, flat, _ in scales])
    made = {n: [_button(scale, varying) for scale in scales] for n, scales in drawn.items()}
    start = made[names[0]]
    menus = []
    if any(len(b) > 1 for b in made.values()):
        menus.append(_menu(start, _active(shown, names[0]), theme, above, type="buttons", direction="right"))
    if len(names) > 1:
        quantities = []
        for n in names:
            act = _active(shown, n)
            restyle, relayout, where = made[n][act]["args"]
            swap = {"updatemenus[0].buttons": made[n], "updatemenus[0].active": act} if menus else {}
            args = [restyle, {**relayout, **swap}, where]
            quantities.append({"label": shown.layers[n].label, "method": "update", "args": args})
        menus.append(_menu(quantities, 0, theme, above, type="dropdown", direction="down"))
    return menus


def _active(shown: Map, name: str) -> int:
    return int(shown.layers[name].scale.log and name in shown.others)


Scale = tuple[str, Traces, dict[str, Any]]


def _scales(shown: Map, name: str, traces: Callable[[Layer], Traces], layout: Callable[..., Any]) -> list[Scale]:
    """Linear and, where there is one, logarithmic: label, flat traces, layout."""
    both = [layer for layer in (shown.layers[name], shown.others.get(name)) if layer is not None]
    return [
        ("log" if layer.scale.log else "linear", [_flatten(t) for t in traces(layer)], layout(layer))
        for layer in sorted(both, key=lambda x: x.scale.log)
    ]


def _varying(states: list[Traces]) -> list[str]:
    """Keys of the traces' data that differ between states; the rest need not travel with every button."""
    keys = {
        k for traces in states for t in traces for k in t if k.split(".")[0] in (*DATA_KEYS, "contours", "colorbar")
    }
    return sorted(k for k in keys if not all(_alike(k, s, states[0]) for s in states[1:]))


def _alike(key: str, some: Traces, others: Traces) -> bool:
    """Whether all traces of two states hold the same under a key."""
    pairs = zip(some, others, strict=True)
    return all(_equal(a.get(key), b.get(key)) for a, b in pairs)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")
    return bool(np.all(a == b)) if not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) else False


def _button(scale: Scale, keys: list[str]) -> dict[str, Any]:
    label, traces, layout = scale
    args = [{k: [packed(t.get(k)) for t in traces] for k in keys}, layout, list(range(len(traces)))]
    return {"label": label, "method": "update", "args": args}


def packed(value: Any) -> Any:
    """An array of numbers as plotly's typed array, base64: within a button's arguments plotly.py does not do it."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    told = {"dtype": f"f{value.dtype.itemsize}", "bdata": base64.b64encode(value.tobytes()).decode()}
    return told if value.ndim == 1 else told | {"shape": ", ".join(map(str, value.shape))}


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _menu(buttons: Traces, active: int, theme: themes.Theme, above: bool, **kind: Any) -> dict[str, Any]:
    p = themes.palette(theme)
    right = kind["type"] == "dropdown"
    return {
        "buttons": buttons,
        "active": active,
        "x": 1.0 if right else 0.0,
        "xanchor": "right" if right else "left",
        "y": 1.0,
        "yanchor": "bottom" if above else "top",
        "bgcolor": p.paper,
        "bordercolor": p.grid,
        "font": {"color": p.button, "size": 13},
        "showactive": True,
        "pad": {"b": 10 if above else 0},
        **kind,
    }


def figure(traces: Traces, layout: dict[str, Any], theme: themes.Theme) -> go.Figure:
    """A figure in our template."""
    return go.Figure(data=traces, layout={"template": themes.template(theme), **layout})
