"""What the instruments share: one ES module joined of two files, the colours, arrays in JSON, a page by itself.

An instrument is a class with traits and a file of JavaScript of its own:

    class Tangent(Instrument, script="tangent.js"):
        x = traitlets.Float(0.5).tag(sync=True)

`static/draw.js` (charts, sliders with a typed number, keys, colours) comes before `static/tangent.js`, in one module;
the latter ends with `export default { render }`. Traits hold only what JSON can hold; arrays go through `packed`.
"""

from __future__ import annotations

import base64
import html
import json
import os
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import anywidget
import numpy as np
import traitlets
from ipywidgets.widgets.widget import _instances

from thalweg.figures import theme as themes
from thalweg.figures.approximation import colors

_EXPORT = "export default { render };"


def look() -> dict[str, Any]:
    """Colours by theme, as the CSS variables `--thalweg-...` of every instrument; and the colour map `map`.

    Examples
    --------
    >>> sorted(look())
    ['dark', 'font', 'light', 'map']
    >>> look()["light"]["tangent"]
    '#dc9a00'
    """
    shown: dict[str, Any] = {"font": themes.FONT, "map": list(themes.COLORS)}
    for name in ("light", "dark"):
        p = themes.palette(name)
        parts = {k: getattr(p, k) for k in ("paper", "text", "muted", "grid", "card", "model")}
        lines = {"loss": p.lines["loss", "train"], "loss-test": p.lines["loss", "test"]}
        lines |= {"other": p.lines["other", "train"], "other-test": p.lines["other", "test"]}
        paths = {f"path-{k}": color for k, color in enumerate(themes.PATHS)}
        outcomes = {f"outcome-{k}": themes.outcome_color(k, name) for k in range(5)}
        shown[name] = {**parts, **lines, **paths, **outcomes, **colors(name)}
    return shown


class Ending(anywidget.AnyWidget):
    """A widget that ends with the cell that showed it: with its loggers, and without its data staying in memory.

    A notebook that runs a cell again closes the channel to the page, and ipywidgets and marimo keep the widget itself
    in lists of theirs for good.
    """

    _closing = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _instances.pop(self.model_id, None)
        comm, end = self.comm, self.comm.close

        def close(*args: Any, **kwargs: Any) -> None:
            end(*args, **kwargs)
            if not self._closing:
                self.close()
                self._forget()

        comm.close = close

    def close(self) -> None:
        """Close the widget."""
        self._closing = True
        super().close()

    def _forget(self) -> None:
        self.unobserve_all()
        for name in own_traits(self):
            setattr(self, name, self.traits()[name].default(self))


class Instrument(Ending):
    """A widget whose module is `static/draw.js` and the class's own script.

    Parameters
    ----------
    script
        (Of the class.) Its file in `static/`, which defines `render({ model, el })`, perhaps returning a function that
        cleans up, and ends with `export default { render };`.
    theme
        `light`, `dark`, or `auto`: that of the page around it, else of the system.
    """

    theme = traitlets.Enum(["auto", "light", "dark"], "auto").tag(sync=True)
    look = traitlets.Dict(look()).tag(sync=True)
    title = "Instrument"

    def __init_subclass__(cls, script: str | None = None, **kwargs: Any) -> None:
        if script is not None:
            cls._esm = module(script)
            cls._css = _static("draw.css")
        super().__init_subclass__(**kwargs)

    def page_state(self) -> dict[str, Any]:
        """Traits that are different in a page without Python."""
        return {}

    def standalone(self, file: str | os.PathLike[str], title: str | None = None) -> Path:
        """Write this instrument, as it stands, as a page that needs neither Python nor a network."""
        return standalone(self, file, title)


def module(script: str) -> str:
    """The source of one ES module: the shared helpers, then the instrument's own script.

    Raises
    ------
    ValueError
        If the script does not end with its export.
    """
    own = _static(script)
    if not own.rstrip().endswith(_EXPORT):
        raise ValueError(f"{script} must end with `{_EXPORT}`.")
    return f"{_static('draw.js')}\n{own}"


def packed(values: Any) -> dict[str, Any]:
    """An array as JSON holds it, without loss: `unpack` of draw.js makes a `Float64Array` (or `Float32Array`) of it.

    Parameters
    ----------
    values
        float32 stays float32; everything else becomes float64.

    Examples
    --------
    >>> packed([1.0, 2.0])
    {'dtype': 'float64', 'shape': [2], 'data': 'AAAAAAAA8D8AAAAAAAAAQA=='}
    """
    array = np.asarray(values)
    array = np.ascontiguousarray(array, dtype="<f4" if array.dtype == np.float32 else "<f8")
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def unpacked(value: dict[str, Any]) -> np.ndarray:
    """The array again.

    Examples
    --------
    >>> unpacked(packed(np.eye(2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return np.frombuffer(base64.b64decode(value["data"]), dtype=value["dtype"]).reshape(value["shape"])


def standalone(widget: Instrument, file: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write an instrument, as it stands, as one HTML page that needs neither Python nor a network.

    Parameters
    ----------
    widget
        Its synchronised traits are written into the page; there the reader's changes stay in the page.
    file
        Where to.
    title
        Of the page; the instrument's own by default.

    Returns
    -------
    Path
        The file.
    """
    target = Path(file)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(target.parent)!r} to write {target.name!r} in; create it.")
    own = {name: getattr(widget, name) for name in own_traits(widget)} | widget.page_state()
    page = Template(_static("page.html")).substitute(
        title=html.escape(title or widget.title),
        light=widget.look["light"]["paper"],
        dark=widget.look["dark"]["paper"],
        style=_static("draw.css"),
        state=json.dumps(own, allow_nan=False).replace("</", "<\\/"),
        script=widget._esm.replace(_EXPORT, ""),
    )
    target.write_text(page, encoding="utf-8")
    return target


def own_traits(widget: Instrument) -> list[str]:
    """Synchronised traits, without those that are machinery of the front end."""
    machinery = anywidget.AnyWidget.class_trait_names(sync=True)
    return [name for name in widget.trait_names(sync=True) if name not in machinery and not name.startswith("_")]


def _static(name: str) -> str:
    return files("thalweg.apps.widgets").joinpath("static", name).read_text(encoding="utf-8")
