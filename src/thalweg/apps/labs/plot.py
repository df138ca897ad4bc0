"""Plotly figures in a lab: drawn by the plotly.js of Python's package, without MathJax or any other request."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import marimo as mo
import traitlets

from thalweg.apps.widgets.instrument import Ending

_STYLE = ".thalweg-plot { width: 100%; overflow-x: auto; }"

_SCRIPT = """
function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "thalweg-plot";
  el.append(box);
  const Plotly = globalThis.Plotly;
  const draw = () => {
    if (!model.get("figure")) return;
    const { data, layout, frames } = JSON.parse(model.get("figure"));
    const wide = layout.width ? layout : { ...layout, autosize: true };
    const share = box.clientWidth / 1000; // a scene in a narrow window is lower, not cut off
    const narrow = layout.scene && !layout.width && share < 1;
    if (narrow) wide.height = Math.round((layout.height ?? 450) * Math.max(share, 0.4));
    const config = { displaylogo: false, showSendToCloud: false, responsive: true, ...model.get("config") };
    const first = !box._fullLayout;
    Plotly.react(box, data, wide, config).then(() => {
      if (frames?.length) Plotly.addFrames(box, frames);
      if (first) Plotly.Plots.resize(box);
    });
  };
  const hush = (event) => event.stopPropagation();
  for (const kind of ["keydown", "keyup", "keypress"]) box.addEventListener(kind, hush);
  model.on("change:figure", draw);
  draw();
  return () => {
    model.off("change:figure", draw);
    Plotly.purge(box);
  };
}
export default { render };
"""


@cache
def _module() -> str:
    """plotly.js as Python's package brings it, and the few lines that show a figure with it."""
    from plotly.offline import get_plotlyjs

    return f"{get_plotlyjs()}\n{_SCRIPT}"


class Plot(Ending):
    """A plotly figure as a widget. `show` draws another one in its place, and a turned scene stays turned.

    A cell that shows an empty `Plot()`, and another that calls `show` whenever a control has changed, keep the camera.
    """

    _css = _STYLE
    figure = traitlets.Unicode().tag(sync=True)
    config = traitlets.Dict().tag(sync=True)

    def __init__(self, figure: Any = None, **config: Any) -> None:
        self._esm = _module()
        super().__init__(figure="" if figure is None else _written(figure), config=config)

    def show(self, figure: Any) -> None:
        """Draw another figure here."""
        self.figure = _written(figure)


def plot(figure: Any, **config: Any) -> Plot:
    """Show a plotly figure of `thalweg.figures` in a lab.

    Draw it for the reader's page: `plot(figures.surface(ds, theme=theme()))`, with `theme` of `labs.running`.

    Parameters
    ----------
    figure
        Of plotly; films keep their slider.
    config
        Plotly's configuration: `displayModeBar=False`.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> shown = plot(go.Figure(go.Scatter(y=[1.0, 2.0])))
    >>> "scatter" in shown.figure
    True
    """
    if not hasattr(figure, "to_plotly_json"):
        raise TypeError(
            f"A {type(figure).__name__} is no plotly figure; draw it with backend='plotly', or let marimo show it."
        )
    return Plot(figure, **config)


def page(figure: Any, height: int = 560) -> mo.Html:
    """Show a figure that is a page of its own, such as `thalweg.figures.graph`, `height` pixels high.

    Examples
    --------
    >>> import thalweg as tw
    >>> drawn = tw.figures.graph(tw.computational_graph(lambda a, b: a * b, a=2.0, b=3.0))
    >>> "<iframe" in page(drawn).text
    True
    """
    return mo.iframe(figure.to_html(), height=f"{height}px")


def _written(figure: Any) -> str:
    """JSON in which a scene keeps its camera, and legends their clicks, when another figure takes its place."""
    content = json.loads(figure.to_json())
    content["layout"].setdefault("uirevision", "kept")
    content["layout"].get("template", {}).pop("data", None)
    return json.dumps(content)
