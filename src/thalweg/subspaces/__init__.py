"""Where to look: maps from a few coordinates to weights."""

from thalweg.subspaces.affine import Box, GridPoints, Line, Plane, Projection, Subspace
from thalweg.subspaces.alignment import Alignment, match_weights
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
from thalweg.subspaces.permutations import PermutationSpec, permutation_spec
from thalweg.subspaces.starts import grid_starts, random_starts

__all__ = [
    "Alignment",
    "BezierCurve",
    "Box",
    "Curve",
    "GridPoints",
    "Line",
    "PermutationSpec",
    "Plane",
    "PolygonalChain",
    "Projection",
    "Segment",
    "Subspace",
    "coordinate_plane",
    "filter_normalize",
    "grid_starts",
    "layer_normalize",
    "match_weights",
    "permutation_spec",
    "plane_through",
    "random_box",
    "random_direction",
    "random_directions",
    "random_line",
    "random_plane",
    "random_starts",
]
