"""Figures: a Dataset in, a picture out.

- `surface`, `contour`, `profile`: a loss surface in three, two and one dimensions (kind `surface` of `schema`).
- `path`: a training run as seen from a subspace (kind `path`).
- `descent`: the losses of an optimiser's runs from many starts (kind `descent`).
- `critical_points`: minima, saddles and maxima in their plane (kind `critical_points`).
- `risk`: the risk of one example, of the data and in expectation side by side, with a descent among them.
- `linear_approximation`: a function, its tangent, and the error of the tangent.
- `fit`: a model among its data while it is fitted (kind `fit`).
- `spectrum`: eigenvalues by rank, with the bars of their residuals (kind `eigenpairs`).
- `density`: the density of all eigenvalues, with exact ones on it (kind `spectral_density`).
- `estimate`: a trace with its interval, or the entries of a diagonal (kind `estimate`).
- `spectrum_path`, `density_path`, `overlap`: top eigenvalues, densities and top subspaces along training, with the
  threshold of stability (kind `spectrum_path`).
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
from thalweg.figures.density import density
from thalweg.figures.density_path import density_path
from thalweg.figures.descent import descent
from thalweg.figures.estimate import estimate
from thalweg.figures.export import save
from thalweg.figures.fit import fit
from thalweg.figures.overlap import overlap
from thalweg.figures.risk import risk
from thalweg.figures.spectrum import spectrum
from thalweg.figures.spectrum_path import spectrum_path
from thalweg.figures.surface import contour, profile, surface
from thalweg.figures.trajectory import path

__all__ = [
    "animate",
    "contour",
    "critical_points",
    "density",
    "density_path",
    "descent",
    "estimate",
    "fit",
    "linear_approximation",
    "overlap",
    "path",
    "picture",
    "profile",
    "risk",
    "save",
    "spectrum",
    "spectrum_path",
    "surface",
    "theme",
]
