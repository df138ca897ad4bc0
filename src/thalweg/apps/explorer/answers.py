"""The answers of the explorer: what is in the study, a result in words, its pictures, its numbers."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg import schema
from thalweg.apps.explorer import drawing, pictures, scenery, telling
from thalweg.apps.explorer.scenery import Log, Look
from thalweg.apps.explorer.shelf import Refusal, Shelf
from thalweg.apps.explorer.walking import walkers
from thalweg.figures.prepare import Map
from thalweg.figures.theme import Theme

Asked = dict[str, str]
_EMPTY = (
    "This study holds no results yet. What a measure writes with `store=`, or `thalweg.save(result, study)`, appears "
    "here after Reload."
)
_LOGS: dict[str, Log] = {"auto": "auto", "true": True, "false": False}
_THEMES: dict[str, Theme] = {"light": "light", "dark": "dark"}
_KEPT = 16  # prepared surfaces in memory


class Answers:
    """Each answer takes the parameters of a request."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._kept: OrderedDict[tuple[Any, ...], Map] = OrderedDict()
        self._lock = threading.Lock()
        self.by_name: dict[str, Callable[[Asked], Any]] = {
            "study": self.study,
            "result": self.result,
            "picture": self.picture,
            "grid": self.grid,
            "walk": self.walk,
        }

    def study(self, _: Asked) -> dict[str, Any]:
        """The list of results."""
        groups = telling.grouped(self.shelf.entries())
        return {
            "name": self.shelf.path.name,
            "path": str(self.shelf.path),
            "groups": groups,
            "message": "" if groups else _EMPTY,
        }

    def result(self, asked: Asked) -> dict[str, Any]:
        """A result in words, and what can be asked about it."""
        name = _need(asked, "name")
        entry, ds = self.shelf.entry(name), self.shelf.load(name)
        complete = bool(ds.attrs.get("complete", entry.complete))
        told = {
            "name": name,
            "kind": ds.attrs["kind"],
            "heading": telling.heading(name, ds),
            "sentences": telling.sentences(ds),
            "provenance": telling.provenance(ds),
            "complete": complete,
            "grounds": scenery.grounds(self.shelf, name),
            "pictures": list(pictures.offered(pictures.Asked(self.shelf, name, ds))),
        }
        if ds.attrs["kind"] != "surface":
            return told
        dims = [dim for dim in schema.coordinates(ds) if ds.sizes.get(dim, 1) > 1]
        if len(dims) > 1:
            told["surface"] = {
                "variables": telling.variables(ds),
                "offers": scenery.offers(self.shelf, name, ds),
                "depths": scenery.depths(ds),
            }
        return told

    def picture(self, asked: Asked) -> dict[str, Any]:
        """A picture: `view=space` or `view=map` of a surface, or one of the `pictures` of other results."""
        view, theme = asked.get("view", "picture"), _theme(asked)
        if view not in drawing.VIEWS:
            name = _need(asked, "name")
            picture = pictures.Asked(self.shelf, name, self.shelf.load(name), theme, _log(asked))
            return drawing.fitted(pictures.draw(picture, view))
        look = _look(asked)
        shown = self._prepared(look)
        layer = shown.layers[look.variable]
        return drawing.surface(shown, view, theme) | {
            "log": layer.scale.log,
            "switch": look.variable in shown.others,
            "range": [layer.scale.low, layer.scale.high],
        }

    def grid(self, asked: Asked) -> dict[str, Any]:
        """Coordinates and values of one quantity, exactly as stored, for what the page reads off by itself."""
        look = _look(asked)
        ds = scenery.plane(self.shelf.load(look.name), look.at)
        if look.variable not in schema.values(ds):
            raise Refusal(404, f"{look.name} has no quantity {look.variable!r}.")
        shown = self._prepared(look)
        layer = shown.layers[look.variable]
        return {
            "x": {"symbol": shown.x.symbol, "label": shown.x.label, "values": shown.x.values.tolist()},
            "y": {"symbol": shown.y.symbol, "label": shown.y.label, "values": shown.y.values.tolist()},
            "values": packed(layer.values),
            "title": layer.title,
            "commensurate": shown.commensurate,
        }

    def walk(self, asked: Asked) -> dict[str, Any]:
        """What can be walked on a surface."""
        return {"walkers": walkers(self.shelf, self._prepared, _look(asked))}

    def _prepared(self, look: Look) -> Map:
        """The surface as it is drawn; the same one serves both views, walkers and values."""
        names = {
            look.name,
            *(key.partition(":")[2] for key in look.on_it if key.partition(":")[0] in scenery.ARGUMENTS),
        }
        names |= {look.like[0]} if look.like else set()
        key = (look, *(self.shelf.stamp(name) for name in sorted(names)))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = scenery.prepared(self.shelf, look)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


def packed(numbers: np.ndarray) -> str:
    """Numbers in double precision, little-endian, base64: exact, and half as long as in digits.

    Examples
    --------
    >>> packed(np.zeros(1))
    'AAAAAAAAAAA='
    """
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()


def _look(asked: Asked) -> Look:
    """What a request wants to see.

    Raises
    ------
    Refusal
        If it says so in a way that cannot be read.
    """
    like = None
    if "like" in asked:
        like = (asked["like"], _need(asked, "like_variable"), _places(asked.get("like_at", "")))
    on_it = tuple(key for key in asked.get("on", "").split(",") if key)
    return Look(_need(asked, "name"), _need(asked, "variable"), _log(asked), _places(asked.get("at", "")), on_it, like)


def _places(text: str) -> tuple[tuple[str, int], ...]:
    """Where further coordinates are cut: `gamma:3,delta:0`."""
    try:
        pairs = [part.split(":") for part in text.split(",") if part]
        return tuple((name, int(place)) for name, place in pairs)
    except ValueError as error:
        raise Refusal(400, f"at={text!r} cannot be read; write `gamma:3`.") from error


def _log(asked: Asked) -> Log:
    if (word := asked.get("log", "auto")) not in _LOGS:
        raise Refusal(400, f"log={word!r} cannot be; write one of {', '.join(_LOGS)}.")
    return _LOGS[word]


def _theme(asked: Asked) -> Theme:
    if (word := asked.get("theme", "light")) not in _THEMES:
        raise Refusal(400, f"theme={word!r} cannot be; write light or dark.")
    return _THEMES[word]


def _need(asked: Asked, name: str) -> str:
    if not asked.get(name):
        raise Refusal(400, f"The request lacks `{name}`.")
    return asked[name]
