"""One file for each scientific question: problem + subspace -> Dataset."""

from thalweg.measures.along import loss_along, loss_barrier
from thalweg.measures.approximation import linear_approximation
from thalweg.measures.averages import Soup, average_weights, greedy_soup, moving_average, soup
from thalweg.measures.by_length import components_by_length
from thalweg.measures.checkpoints import read_trajectory
from thalweg.measures.connectivity import Connection, connect, read_curve
from thalweg.measures.course import course, curve_plane
from thalweg.measures.critical_points import below, critical_points, gradient_field
from thalweg.measures.curvature_map import curvature_map
from thalweg.measures.density import spectral_density
from thalweg.measures.descent import descend
from thalweg.measures.eigen import eigen_line, eigen_plane
from thalweg.measures.elbows import elbows
from thalweg.measures.extrapolation import extrapolation
from thalweg.measures.features import principal_features_at
from thalweg.measures.fit import model_fit
from thalweg.measures.gradient_check import Deviation, GradientCheck, GradientError, check_gradient
from thalweg.measures.gradient_features import gradient_features
from thalweg.measures.gradients import gradient_statistics
from thalweg.measures.graph import GraphPath, computational_graph, graph_of, path_gradients
from thalweg.measures.initialization import Initialization, initialize
from thalweg.measures.initializations import compare_initializations
from thalweg.measures.kernel import empirical_ntk, kernel_alignment
from thalweg.measures.lazy import laziness
from thalweg.measures.motion import motion
from thalweg.measures.outcomes import outcomes
from thalweg.measures.outliers import num_outliers, overlap
from thalweg.measures.random_walk import random_walk
from thalweg.measures.risk import risk
from thalweg.measures.sharpness import adam_preconditioner, sharpness
from thalweg.measures.spectrum import top_eigenpairs
from thalweg.measures.surface import default_name, describe_cost, loss_surface
from thalweg.measures.tangent import linearize
from thalweg.measures.tangent_path import track_tangent
from thalweg.measures.traces import diagonal, trace
from thalweg.measures.tracking import stability_threshold, track_spectrum
from thalweg.measures.trajectory import principal_components, principal_plane, project_trajectory
from thalweg.measures.worst_case import WorstCase, worst_case_sharpness

__all__ = [
    "Connection",
    "Deviation",
    "GradientCheck",
    "GradientError",
    "GraphPath",
    "Initialization",
    "Soup",
    "WorstCase",
    "adam_preconditioner",
    "average_weights",
    "below",
    "check_gradient",
    "compare_initializations",
    "components_by_length",
    "computational_graph",
    "connect",
    "course",
    "critical_points",
    "curvature_map",
    "curve_plane",
    "default_name",
    "descend",
    "describe_cost",
    "diagonal",
    "eigen_line",
    "eigen_plane",
    "elbows",
    "empirical_ntk",
    "extrapolation",
    "gradient_features",
    "gradient_field",
    "gradient_statistics",
    "graph_of",
    "greedy_soup",
    "initialize",
    "kernel_alignment",
    "laziness",
    "linear_approximation",
    "linearize",
    "loss_along",
    "loss_barrier",
    "loss_surface",
    "model_fit",
    "motion",
    "moving_average",
    "num_outliers",
    "outcomes",
    "overlap",
    "path_gradients",
    "principal_components",
    "principal_features_at",
    "principal_plane",
    "project_trajectory",
    "random_walk",
    "read_curve",
    "read_trajectory",
    "risk",
    "sharpness",
    "soup",
    "spectral_density",
    "stability_threshold",
    "top_eigenpairs",
    "trace",
    "track_spectrum",
    "track_tangent",
    "worst_case_sharpness",
]
