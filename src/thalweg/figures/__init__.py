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
- `connection`, `barrier`: ways between two optima with the barriers of their losses, and barriers beside each other
  (surfaces over `t`, kind `barrier`); `course`: a curve in its plane (kind `course`).
- `training`, `motion`: a training run by itself, and how it moved (kinds `trajectory`, `connection`, `motion`).
- `random_walk`, `components_by_length`: components of a run beside those of random walks (kinds of these names).
- `initializations`: one network drawn anew by several schemes (kind `initializations`).
- `gradients`, `gradient_cosines`: norms by parameter and by example, and how far examples agree (kind `gradients`).
- `extrapolation`: predictions and errors within and beyond the training data (kind `extrapolation`).
- `tangent`, `kernel`, `lazy`, `singular_values`: the tangent of a network, its kernel, how far training leaves it, and
  its singular values along training (kinds `tangent`, `kernel`, `lazy`, `tangent_path`).
- `elbows`: a ReLU network of one input, its elbows, and where each unit is on (kind `elbows`).
- `gradient_features`: the gradient in every weight over the input, by layer (kind `gradient_features`).
- `graph`: a computational graph, folded by modules, as a page or SVG (kind `graph`).
- `picture`: a result of any kind, by the figure of its kind.
- `animate`: a film of any of them that is drawn at a `step`, or of a walk along a course.
- `save`: a figure or film to a file, by its suffix.
- `theme`: the colours, fonts and templates that all of them share.

Every figure is drawn by `backend="plotly"` (interactive) or `backend="matplotlib"` (for papers); `backend="none"`
returns the prepared numbers and words that both of them draw.
"""

from thalweg.figures import theme
from thalweg.figures.animate import animate
from thalweg.figures.approximation import linear_approximation
from thalweg.figures.barrier import barrier
from thalweg.figures.by_length import components_by_length
from thalweg.figures.connection import connection
from thalweg.figures.course import course
from thalweg.figures.critical import critical_points
from thalweg.figures.default import picture
from thalweg.figures.density import density
from thalweg.figures.density_path import density_path
from thalweg.figures.descent import descent
from thalweg.figures.elbows import elbows
from thalweg.figures.estimate import estimate
from thalweg.figures.export import save
from thalweg.figures.extrapolation import extrapolation
from thalweg.figures.fit import fit
from thalweg.figures.gradient_features import gradient_features
from thalweg.figures.gradients import gradient_cosines, gradients
from thalweg.figures.graph import graph
from thalweg.figures.initializations import initializations
from thalweg.figures.kernel import kernel
from thalweg.figures.lazy import lazy
from thalweg.figures.motion import motion
from thalweg.figures.overlap import overlap
from thalweg.figures.random_walk import random_walk
from thalweg.figures.risk import risk
from thalweg.figures.singular_values import singular_values
from thalweg.figures.spectrum import spectrum
from thalweg.figures.spectrum_path import spectrum_path
from thalweg.figures.surface import contour, profile, surface
from thalweg.figures.tangent import tangent
from thalweg.figures.training import training
from thalweg.figures.trajectory import path

__all__ = [
    "animate",
    "barrier",
    "components_by_length",
    "connection",
    "contour",
    "course",
    "critical_points",
    "density",
    "density_path",
    "descent",
    "elbows",
    "estimate",
    "extrapolation",
    "fit",
    "gradient_cosines",
    "gradient_features",
    "gradients",
    "graph",
    "initializations",
    "kernel",
    "lazy",
    "linear_approximation",
    "motion",
    "overlap",
    "path",
    "picture",
    "profile",
    "random_walk",
    "risk",
    "save",
    "singular_values",
    "spectrum",
    "spectrum_path",
    "surface",
    "tangent",
    "theme",
    "training",
]
