"""thalweg: see and measure the loss landscapes of neural networks."""

from importlib.metadata import PackageNotFoundError as _NotInstalled
from importlib.metadata import version as _version

from thalweg import figures
from thalweg.export import read_netcdf, to_netcdf, to_vtk
from thalweg.measures import describe_cost, loss_surface, principal_components, principal_plane, project_trajectory
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
    layer_normalize,
    plane_through,
    random_box,
    random_direction,
    random_directions,
    random_line,
    random_plane,
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
    "coordinate_plane",
    "describe_cost",
    "figures",
    "filter_normalize",
    "layer_normalize",
    "load",
    "load_weights",
    "loss_surface",
    "open_study",
    "plane_through",
    "principal_components",
    "principal_plane",
    "project_trajectory",
    "random_box",
    "random_direction",
    "random_directions",
    "random_line",
    "random_plane",
    "read_netcdf",
    "save",
    "to_netcdf",
    "to_vtk",
]

try:
    __version__ = _version("thalweg")
except _NotInstalled:
    __version__ = "unknown"
