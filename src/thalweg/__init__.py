"""thalweg: see and measure the loss landscapes of neural networks."""

from importlib.metadata import PackageNotFoundError as _NotInstalled
from importlib.metadata import version as _version

from thalweg import figures, landscapes
from thalweg.export import read_netcdf, to_netcdf, to_vtk
from thalweg.measures import (
    below,
    critical_points,
    descend,
    describe_cost,
    gradient_field,
    linear_approximation,
    loss_surface,
    model_fit,
    outcomes,
    principal_components,
    principal_plane,
    project_trajectory,
    risk,
)
from thalweg.problem import FunctionProblem, ModuleProblem, Problem, accuracy, load_weights
from thalweg.record import Recorder
from thalweg.store import load, open_study, save
from thalweg.subspaces import (
    Box,
    Line,
    Plane,
    Segment,
    coordinate_plane,
    filter_normalize,
    grid_starts,
    layer_normalize,
    plane_through,
    random_box,
    random_direction,
    random_directions,
    random_line,
    random_plane,
    random_starts,
)

__all__ = [
    "Box",
    "FunctionProblem",
    "Line",
    "ModuleProblem",
    "Plane",
    "Problem",
    "Recorder",
    "Segment",
    "accuracy",
    "below",
    "coordinate_plane",
    "critical_points",
    "descend",
    "describe_cost",
    "figures",
    "filter_normalize",
    "gradient_field",
    "grid_starts",
    "landscapes",
    "layer_normalize",
    "linear_approximation",
    "load",
    "load_weights",
    "loss_surface",
    "model_fit",
    "open_study",
    "outcomes",
    "plane_through",
    "principal_components",
    "principal_plane",
    "project_trajectory",
    "random_box",
    "random_direction",
    "random_directions",
    "random_line",
    "random_plane",
    "random_starts",
    "read_netcdf",
    "risk",
    "save",
    "to_netcdf",
    "to_vtk",
]

try:
    __version__ = _version("thalweg")
except _NotInstalled:
    __version__ = "unknown"
