"""Interactive films: one figure, a slider, two buttons, and frames that hold only what differs between them.

Plotly applies a frame on top of what is shown. Whatever differs between any two frames is therefore in every frame, and
nothing else is: the reader can jump anywhere, and the file stays small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from thalweg.figures import steps as record
from thalweg.figures import theme as themes
from thalweg.figures.animate import Film
from thalweg.figures.plotly.common import without_controls

_CONTROLS = 74  # pixels below the figure
_BUTTONS = 132  # pixels left of the slider
_KEPT = ("template", "updatemenus", "sliders", "width", "height", "margin", "uirevision")  # never in a frame
_LISTED = ("annotations", "shapes", "images")  # lists in a layout whose items change one by one
_SHORT = 32  # lists shorter than this stay as they are
_NUMBERS = ("x", "y", "z", "i", "j", "k", "surfacecolor")
_EXACT = 1e-6  # of the values' range: what packing may round away
_ABSENT: Any = object()

Path = tuple[str | int, ...]
Flat = dict[Path, Any]
Key = tuple[str, str, int]


def assemble(film: Film, theme: themes.Theme) -> go.Figure:
    """Draw every frame once, keep the first whole and of the others what differs from it."""
    with without_controls():
        reel = _Reel(film.frame(0))
        for k in range(1, len(film)):
            reel.add(film.frame(k))
    figure = go.Figure(data=reel.traces(), layout=reel.whole_layout())
    figure.frames = [go.Frame(name=str(k), **reel.frame(k)) for k in range(len(film))]
    _controls(figure, film, theme)
    return figure


class _Reel:
    """The first figure, flat, and for each further one the entries that differ from it."""

    def __init__(self, first: go.Figure) -> None:
        self.kinds = [trace.type for trace in first.data]
        self.keys = _keys(first)
        self.order = list(self.keys)
        self.base: dict[Key, Flat] = {k: _trace(t) for k, t in zip(self.keys, first.data, strict=True)}
        self.layout = _plain(first)
        self.base_layout = _layout(self.layout)
        self.changes: list[dict[Key, Flat]] = [{}]
        self.layouts: list[Flat] = [{}]

    def add(self, figure: go.Figure) -> None:
        keys = self.keys if [t.type for t in figure.data] == self.kinds else _keys(figure)
        drawn = {key: _trace(trace) for key, trace in zip(keys, figure.data, strict=True)}
        for k, key in enumerate(keys):
            if key not in self.base:  # a trace that the first figure lacks comes right after the one below it
                self.order.insert(self.order.index(keys[k - 1]) + 1 if k else 0, key)
                self.base[key] = {**drawn[key], ("visible",): False}
        unseen: dict[Key, Flat] = {key: {("visible",): False} for key in self.order if key not in drawn}
        self.changes.append({k: c for k, flat in drawn.items() if (c := _differences(self.base[k], flat))} | unseen)
        layout = _plain(figure)
        flat = _layout(layout)
        for item in _items(flat) - _items(self.base_layout):
            self.base_layout |= {p: v for p, v in flat.items() if p[: len(item)] == item} | {(*item, "visible"): False}
        changed = _differences(self.base_layout, flat)
        self.layouts.append({p: v for p, v in changed.items() if "camera" not in p})  # that is the reader's own
        for side in ("height", "width"):
            self.layout[side] = max(self.layout.get(side) or 0, layout.get(side) or 0) or None

    def whole_layout(self) -> dict[str, Any]:
        """The first layout, with what only later ones have in it but invisible."""
        return self.layout | _unflat(self.base_layout)

    def traces(self) -> list[dict[str, Any]]:
        return [_unflat(self.base[key]) | {"type": key[0]} for key in self.order]

    def frame(self, number: int) -> dict[str, Any]:
        data, places = [], []
        for place, key in enumerate(self.order):
            paths = sorted({p for change in self.changes for p in change.get(key, ())}, key=str)
            if paths:
                mine = self.changes[number].get(key, {})
                data.append(_unflat({p: _value(p, mine, self.base[key]) for p in paths}) | {"type": key[0]})
                places.append(place)
        paths = sorted({p for change in self.layouts for p in change}, key=str)
        layout = {p: _value(p, self.layouts[number], self.base_layout) for p in paths}
        return {"data": data, "traces": places, "layout": _unflat(layout)}


def _keys(figure: go.Figure) -> list[Key]:
    """Type and name of each trace, and how many like it came before."""
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for trace in figure.data:
        pair = (str(trace.type), str(trace.name))
        keys.append((*pair, seen.get(pair, 0)))
        seen[pair] = seen.get(pair, 0) + 1
    return keys


def _trace(trace: Any) -> Flat:
    flat = _flat(trace.to_plotly_json(), ())
    flat.pop(("type",), None)
    return {path: _packed(path, value) for path, value in flat.items()}


def _plain(figure: go.Figure) -> dict[str, Any]:
    """The layout without the controls, which hold the data of everything they offer."""
    figure.layout.updatemenus = figure.layout.sliders = ()
    return dict(figure.layout.to_plotly_json())


def _layout(layout: dict[str, Any]) -> Flat:
    return _flat({k: v for k, v in layout.items() if k not in _KEPT}, ())


def _flat(tree: Any, path: Path) -> Flat:
    if isinstance(tree, dict):
        return {p: v for key, value in tree.items() for p, v in _flat(value, (*path, key)).items()}
    if len(path) == 1 and path[0] in _LISTED:  # plotly replaces the lists within a scene as wholes
        return {p: v for key, value in enumerate(tree) for p, v in _flat(value, (*path, key)).items()}
    return {path: tree}


def _unflat(flat: Flat) -> dict[str, Any]:
    tree: dict[Any, Any] = {}
    for path, value in flat.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        if value is not _ABSENT:
            branch[path[-1]] = value
    return _listed(tree)


def _listed(tree: Any) -> Any:
    """Items that were taken out of a list by number, in a list again; those that did not change are empty."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(isinstance(key, int) for key in tree):
        return [_listed(tree.get(k, {})) for k in range(max(tree) + 1)]
    return {key: _listed(value) for key, value in tree.items()}


def _items(flat: Flat) -> set[Path]:
    """Where the items of lists lie: `("annotations", 3)`."""
    return {path[: k + 1] for path in flat for k, key in enumerate(path) if isinstance(key, int)}


def _differences(base: Flat, other: Flat) -> Flat:
    """Entries of `other` that `base` has not; items of lists that `other` lacks are invisible."""
    changed = {p: v for p, v in other.items() if p not in base or not _same(base[p], v)}
    lost = _items(base) - _items(other)
    gone = [p for p in base if p not in other and not any(p[: len(item)] == item for item in lost)]
    hidden: Flat = {(*item, "visible"): False for item in lost}
    return changed | hidden | {p: True if p[-1] == "visible" else _blank(base[p]) for p in gone}


def _value(path: Path, change: Flat, base: Flat) -> Any:
    """An entry in one frame: as changed, else as in the first figure; what is there by default is visible."""
    return change.get(path, base.get(path, True if path[-1] == "visible" else _ABSENT))


def _blank(value: Any) -> Any:
    """What takes the place of a value that a frame lacks: an empty array, else nothing."""
    return [] if isinstance(value, (list, tuple, np.ndarray)) else _ABSENT


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")
    return bool(a == b)


def _packed(path: Path, value: Any) -> Any:
    """Long lists of numbers as arrays of the shortest type that holds them, which travel in a third of the space."""
    if path[-1] not in _NUMBERS or not isinstance(value, (list, tuple, np.ndarray)) or len(value) == 0:
        return value
    try:
        whole = np.array(value, dtype=object)
        numbers = np.where(whole == None, np.nan, whole).astype(float)  # noqa: E711
    except (TypeError, ValueError):  # dates, words, rows of unequal length
        return value
    if numbers.size <= _SHORT:
        return value
    if path[-1] in "ijk":
        return numbers.astype(np.uint16 if numbers.max() < 2**16 else np.uint32)
    small = numbers.astype(np.float32)
    finite = np.isfinite(numbers)
    close = np.abs(small[finite] - numbers[finite]) <= _EXACT * (np.ptp(numbers[finite]) if finite.any() else 0.0)
    return small if close.all() else numbers


def _controls(figure: go.Figure, film: Film, theme: themes.Theme) -> None:
    """A slider and two buttons in a strip of their own below everything else."""
    p = themes.palette(theme)
    foot = figure.layout.margin.b if figure.layout.margin.b is not None else 80
    if figure.layout.height is not None:
        figure.layout.height += _CONTROLS
        _lift(figure.layout.legend, _CONTROLS / figure.layout.height)
    figure.layout.margin.b = foot + _CONTROLS
    now = {"mode": "immediate", "transition": {"duration": 0}, "frame": {"duration": 0, "redraw": True}}
    play = {**now, "fromcurrent": True, "frame": {"duration": 1000 / film.fps, "redraw": True}}
    buttons = [
        {"label": "Play", "method": "animate", "args": [None, play]},
        {"label": "Pause", "method": "animate", "args": [[None], now]},
    ]
    place = {"x": 0, "xanchor": "left", "y": 0, "yanchor": "top"}
    look = {"bgcolor": p.paper, "bordercolor": p.muted, "font": {"color": p.text, "size": 13}}
    menu = {"type": "buttons", "direction": "right", "showactive": False, "pad": {"t": foot + 14, "l": 0, "r": 0}}
    figure.layout.updatemenus = [{**menu, **place, **look, "buttons": buttons}]
    steps = [
        {"label": record.word(step), "method": "animate", "args": [[str(k)], now]} for k, step in enumerate(film.steps)
    ]
    prefix = "step " if film.unit == "step" else f"{film.unit} = "
    handle = {"bgcolor": p.muted, "activebgcolor": p.button, "bordercolor": p.muted, "tickcolor": p.muted}
    slider = {
        **place,
        **handle,
        "len": 1.0,
        "active": 0,
        "pad": {"t": foot, "l": _BUTTONS, "r": 8, "b": 0},
        "currentvalue": {
            "prefix": prefix,
            "xanchor": "left",
            "font": {"size": 13, "color": p.text},
            "offset": 4,
        },
        "font": {"size": 11, "color": p.muted},
        "transition": {"duration": 0},
        "ticklen": 4,
        "minorticklen": 0,
        "steps": steps,
    }
    figure.layout.sliders = [slider]


def _lift(legend: Any, share: float) -> None:
    """A legend at the very bottom stays above the strip."""
    if legend.yref == "container" and (legend.y or 0) < 0.5:
        legend.y = (legend.y or 0) * (1 - share) + share
