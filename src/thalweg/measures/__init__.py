"""One file for each scientific question: problem + subspace -> Dataset."""

from thalweg.measures.approximation import linear_approximation
from thalweg.measures.critical_points import below, critical_points, gradient_field
from thalweg.measures.descent import descend
from thalweg.measures.fit import model_fit
from thalweg.measures.outcomes import outcomes
from thalweg.measures.risk import risk
from thalweg.measures.surface import default_name, describe_cost, loss_surface
from thalweg.measures.trajectory import principal_components, principal_plane, project_trajectory

__all__ = [
    "below",
    "critical_points",
    "default_name",
    "descend",
    "describe_cost",
    "gradient_field",
    "linear_approximation",
    "loss_surface",
    "model_fit",
    "outcomes",
    "principal_components",
    "principal_plane",
    "project_trajectory",
    "risk",
]
