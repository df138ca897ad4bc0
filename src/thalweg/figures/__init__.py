"""Figures: a Dataset in, a picture out.

- `surface`, `contour`, `profile`: a loss surface in three, two and one dimensions (kind `surface` of `schema`).
- `path`: a training run as seen from a subspace (kind `path`).
- `descent`: the losses of an optimiser's runs from many starts (kind `descent`).
- `critical_points`: minima, saddles and maxima in their plane (kind `critical_points`).
- `risk`: the risk of one example, of the data and in expectation side by side, with a descent among them.
- `linear_approximation`: a function, its tangent, and the error of the tangent.
- `fit`: a model among its data while it is fitted (kind `fit`).
- `picture`: a result of any kind, by the figure of its kind.
- `animate`: a film of any of them that is drawn at a `step`.
- `save`: a figure or film to a file, by its suffix.
- `theme`: the colours, fonts and templates that all of them share.

Every figure is drawn by `backend="plotly"` (interactive) or `backend="matplotlib"` (for papers); `backend="none"`
returns the prepared numbers and words that both of them draw.
"""

from thalweg.figures import theme
from thalweg.figures.animate import animate
from thalweg.figures.approximation import linear_approximation
from thalweg.figures.critical import critical_points
from thalweg.figures.default import picture
from thalweg.figures.descent import descent
from thalweg.figures.export import save
from thalweg.figures.fit import fit
from thalweg.figures.risk import risk
from thalweg.figures.surface import contour, profile, surface
from thalweg.figures.trajectory import path

__all__ = [
    "animate",
    "contour",
    "critical_points",
    "descent",
    "fit",
    "linear_approximation",
    "path",
    "picture",
    "profile",
    "risk",
    "save",
    "surface",
    "theme",
]
