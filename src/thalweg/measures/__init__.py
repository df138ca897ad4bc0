"""One file for each scientific question: problem + subspace -> Dataset."""

from thalweg.measures.surface import default_name, describe_cost, loss_surface
from thalweg.measures.trajectory import principal_components, principal_plane, project_trajectory

__all__ = [
    "default_name",
    "describe_cost",
    "loss_surface",
    "principal_components",
    "principal_plane",
    "project_trajectory",
]
