"""Images of figures with several 3-D scenes.

Plotly draws the scenes of an image one after the other on one canvas without forgetting what hides what
(plotly.py issue 5178), so that later ones have holes. So each scene is drawn alone, and the images are put together.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import plotly.graph_objects as go


def scenes(figure: go.Figure) -> list[str]:
    """Names of the scenes that a figure draws into.

    Examples
    --------
    >>> scenes(go.Figure([go.Scatter3d(), go.Surface(scene="scene2"), go.Scatter()]))
    ['scene', 'scene2']
    """
    three = ("scatter3d", "surface", "mesh3d")
    return list(dict.fromkeys(trace.scene or "scene" for trace in figure.data if trace.type in three))


def write(figure: go.Figure, file: str, **options: Any) -> None:
    """Write a PNG, the scenes one by one: what each changes on the empty page is taken from its own image."""
    from PIL import Image

    every = scenes(figure)
    empty = _drawn(figure, every, options)
    page = empty.copy()
    for name in every:
        alone = _drawn(figure, [other for other in every if other != name], options)
        changed = (alone != empty).any(axis=-1)
        page[changed] = alone[changed]
    Image.fromarray(page).save(file)


def _drawn(figure: go.Figure, hidden: list[str], options: dict[str, Any]) -> np.ndarray:
    """The figure as an image, with nothing in some of its scenes; their colour bars stay, which hold the page."""
    from PIL import Image

    drawn = go.Figure(figure)
    for trace in drawn.data:
        if trace.type in ("scatter3d", "surface", "mesh3d") and (trace.scene or "scene") in hidden:
            trace.update(x=[], y=[], z=[])
    for name in hidden:
        axes = {f"{k}axis": {"visible": False} for k in "xyz"}
        drawn.layout[name].update(annotations=[], **axes)
    return np.array(Image.open(io.BytesIO(drawn.to_image(format="png", **options))).convert("RGB"))
