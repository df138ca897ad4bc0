"""Where to look: maps from a few coordinates to weights."""

from thalweg.subspaces.affine import Box, GridPoints, Line, Plane, Projection, Subspace
from thalweg.subspaces.curve import Curve
from thalweg.subspaces.curves import BezierCurve, PolygonalChain, Segment
from thalweg.subspaces.directions import (
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
from thalweg.subspaces.starts import grid_starts, random_starts

__all__ = [
    "BezierCurve",
    "Box",
    "Curve",
    "GridPoints",
    "Line",
    "Plane",
    "PolygonalChain",
    "Projection",
    "Segment",
    "Subspace",
    "coordinate_plane",
    "filter_normalize",
    "grid_starts",
    "layer_normalize",
    "plane_through",
    "random_box",
    "random_direction",
    "random_directions",
    "random_line",
    "random_plane",
    "random_starts",
]
