"""Figures: a Dataset in, a picture out.

- `surface`, `contour`, `profile`: a loss surface in three, two and one dimensions (kind `surface` of `schema`).
- `path`: a training run as seen from a subspace (kind `path`).
- `save`: a figure to a file, by its suffix.
- `theme`: the colours, fonts and templates that all of them share.

Every figure is drawn by `backend="plotly"` (interactive) or `backend="matplotlib"` (for papers); `backend="none"`
returns the prepared numbers and words that both of them draw.
"""

from thalweg.figures import theme
from thalweg.figures.export import save
from thalweg.figures.surface import contour, profile, surface
from thalweg.figures.trajectory import path

__all__ = ["contour", "path", "profile", "save", "surface", "theme"]
