"""A film with a slider that keys and typed numbers move: any figure drawn at a step, frame by frame, at once."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import traitlets

from thalweg.apps.widgets.instrument import Instrument, module

_CONTROLS = 74  # pixels that plotly's own slider and buttons take below a film


class Film(Instrument, script="film.js"):
    """Frames of a plotly film; `place` is the number of the one that is shown.

    Parameters
    ----------
    figure
        What `thalweg.figures.animate` returns for plotly. Its own slider and buttons give way to ones that the keyboard
        reaches.
    place
        Which frame to begin with; negative counts from the end.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> frames = [go.Frame(name=str(k), data=[go.Scatter(y=[k, 1])]) for k in range(3)]
    >>> steps = [{"label": str(10 * k)} for k in range(3)]
    >>> drawn = go.Figure([go.Scatter(y=[0, 1])], {"sliders": [{"steps": steps}]}, frames)
    >>> shown = Film(drawn)
    >>> shown.steps, shown.place
    ([0.0, 10.0, 20.0], 2)
    """

    title = "Film"
    film = traitlets.Unicode().tag(sync=True)
    steps = traitlets.List(traitlets.Float()).tag(sync=True)
    unit = traitlets.Unicode("step").tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    fps = traitlets.Float(10.0).tag(sync=True)

    def __init__(self, figure: Any, place: int = -1, **traits: Any) -> None:
        frames = getattr(figure, "frames", ())
        if not frames or not figure.layout.sliders:
            raise TypeError(
                f"A {type(figure).__name__} without frames is no film; `thalweg.figures.animate(figure, dataset)` "
                f"makes one."
            )
        steps = [_number(step.label) for step in figure.layout.sliders[0].steps]
        prefix = (figure.layout.sliders[0].currentvalue.prefix or "step").strip(" =")
        self._esm = _module()
        super().__init__(film=_written(figure), steps=steps, place=place % len(steps), unit=prefix, **traits)


@cache
def _module() -> str:
    """plotly.js, where the page has none yet, before the instrument's own module."""
    from plotly.offline import get_plotlyjs

    return f"if (!globalThis.Plotly) {{\n{get_plotlyjs()}\n}}\n{module('film.js')}"


def _number(label: str) -> float:
    """The step that a label says."""
    return float(label.replace(",", "").replace("−", "-").replace("\u202f", "").replace(" ", ""))


def _written(figure: Any) -> str:
    """JSON of the film without plotly's own controls and the strip that they stand in."""
    content = copy.deepcopy(json.loads(figure.to_json()))
    layout = content["layout"]
    for name in ("sliders", "updatemenus"):
        layout.pop(name, None)
    for place, name in ((layout.get("margin", {}), "b"), (layout, "height")):
        if name in place:
            place[name] = max(0, place[name] - _CONTROLS)
    layout.setdefault("uirevision", "kept")
    return json.dumps(content)
