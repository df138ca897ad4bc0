"""Where a curve runs in a plane, and the plane that holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.along import BatchNorm, calibrated, need_curve, places_on
from thalweg.measures.request import need_problem, subspace_id
from thalweg.problem import Problem
from thalweg.store import provenance
from thalweg.subspaces import Box, Curve, GridPoints, Plane
from thalweg.subspaces.curve import finite_rows


def curve_plane(curve: Curve) -> Plane:
    r"""The plane through both ends of a curve and its bend (Garipov et al. 2018, arXiv:1802.10026, figure 1).

    Origin $a$, $u$ along $b - a$, $v$ orthogonal to it towards the bend, both of unit length: coordinates are Euclidean
    distances. A curve with one bend lies in it. Several bends do not lie in one plane: $v$ is then the direction in
    which they are farthest from the line through the ends (the first singular vector of their offsets from it), so
    that both optima stay in the plane, and `info["share"]` says how much of the squared offsets is within it.

    Returns
    -------
    Plane
        Its `anchors` are the control points, projected.

    Raises
    ------
    ValueError
        If the bends lie on the line through the ends (a segment, or a curve that has not been learned), or are not
        finite.

    Examples
    --------
    >>> from thalweg import BezierCurve
    >>> plane = curve_plane(BezierCurve([[0.0, 0.0, 0.0], [1.0, 3.0, 0.0], [2.0, 0.0, 0.0]]))
    >>> plane.anchors.round(6)
    array([[0., 0.],
           [1., 3.],
           [2., 0.]])
    """
    need_curve(curve)
    if not finite_rows(curve.nodes).all():
        raise ValueError("The curve has bends that are not finite: its training diverged, and no plane holds them.")
    offsets = (curve.nodes - curve.a).double()
    length = torch.linalg.vector_norm(offsets[-1])
    u = offsets[-1] / length
    along = offsets @ u
    across = offsets - along[:, None] * u
    across = across - (across @ u)[:, None] * u
    across[[0, -1]] = 0.0
    values, vectors = np.linalg.eigh((across @ across.T).cpu().numpy())
    if not values[-1] > (1e-6 * float(offsets.abs().max())) ** 2:
        raise ValueError(
            "The bends lie on the line through the ends, so that no plane is the curve's own. `connect` learns bends; "
            "`plane_through(a, b, c)` takes a third point of your choice."
        )
    v = torch.as_tensor(vectors[:, -1], device=across.device) @ across
    v = v / torch.linalg.vector_norm(v)
    heights = across @ v
    if float(heights.sum()) < 0:
        v, heights = -v, -heights
    anchors = torch.stack([along, heights], dim=1).cpu().numpy()
    anchors[0] = 0.0
    share = float(values[-1] / values[values > 0].sum())
    info = {
        "kind": "curve",
        "curve": curve.info["kind"],
        "normalize": "unit length",
        "share": round(min(share, 1.0), 6),
    }
    names = ["a", *(f"bend {k}" if len(anchors) > 3 else "bend" for k in range(1, len(anchors) - 1)), "b"]
    info["points"] = dict(zip(names, anchors.tolist(), strict=True))
    return Plane(curve.a, u.to(curve.a.dtype), v.to(curve.a.dtype), info=info, anchors=anchors)


def course(
    curve: Curve,
    plane: Box,
    t: Any = 201,
    problem: Problem | None = None,
    *,
    batch_norm: BatchNorm | None = None,
) -> xr.Dataset:
    r"""Where a curve runs in a plane, and how far from it.

    Parameters
    ----------
    curve
        A `Segment`, `PolygonalChain` or `BezierCurve`.
    plane
        Any line, plane or box: `curve_plane(curve)` holds a curve with one bend.
    t
        Places on the curve, increasing; or a number of them.
    problem
        If given, loss and metrics are measured at the curve itself, as `loss_along` does.
    batch_norm
        As in `loss_along`.

    Returns
    -------
    Dataset
        Kind `course`: over `t` the plane's coordinates and the `distance` from it, of the control points
        `node_distance(node)` and each coordinate with the prefix `node_`; perhaps `loss(t)` and metrics.

    Raises
    ------
    ValueError
        If curve and plane have different numbers of weights.

    Examples
    --------
    >>> from thalweg import BezierCurve
    >>> arch = BezierCurve([[0.0, 0.0, 0.0], [1.0, 3.0, 0.0], [2.0, 0.0, 0.0]])
    >>> found = course(arch, curve_plane(arch), t=3)
    >>> found.alpha.values.round(3), found.beta.values.round(3), found.node_beta.values.round(3)
    (array([0., 1., 2.]), array([0. , 1.5, 0. ]), array([0., 3., 0.]))
    """
    need_curve(curve)
    places = places_on(t)
    positions = _projected(plane, GridPoints(curve, places[:, None], plane.origin))
    nodes = _projected(plane, curve.nodes.to(plane.origin))
    position, distance = (
        {"role": "position"},
        {"role": "distance", "long_name": "distance from the plane", "units": "1"},
    )
    variables: dict[str, Any] = {dim: ("t", positions[:, k], position) for k, dim in enumerate(plane.dims)}
    variables["distance"] = ("t", positions[:, -1], distance)
    variables |= {f"node_{dim}": ("node", nodes[:, k], position) for k, dim in enumerate(plane.dims)}
    variables["node_distance"] = ("node", nodes[:, -1], distance)
    if problem is not None:
        variables |= _values(problem, curve, places, batch_norm, taken=variables)
    found = xr.Dataset(
        variables,
        {"t": places, "node": np.arange(len(nodes)), "arc_length": ("t", curve.arc_length(places))},
        {
            "kind": "course",
            "coordinates": list(plane.dims),
            "subspace_id": subspace_id(plane),
            "curve": curve.info["kind"],
            "length": curve.length(),
            **provenance(),
        },
    )
    return schema.check(found)


def _projected(plane: Box, points: Any) -> np.ndarray:
    """Coordinates and distance of each point, one at a time: `(len(points), dim + 1)`."""
    places = [plane.project(points[k : k + 1]) for k in range(len(points))]
    return np.array([[*place.coords[0].tolist(), float(place.distance)] for place in places])


def _values(
    problem: Problem, curve: Curve, places: np.ndarray, batch_norm: BatchNorm | None, taken: dict[str, Any]
) -> dict[str, Any]:
    need_problem(problem)
    clash = [name for name in problem.quantities if name in taken or name in ("t", "node", "arc_length")]
    if clash:
        raise ValueError(f"The metrics {', '.join(clash)} have names that a course uses itself; rename them.")
    points = GridPoints(curve, places[:, None], problem.theta)
    found = calibrated(problem, batch_norm).measure(points).values
    return {
        name: ("t", value.numpy(), {"role": "value", "long_name": f"{name} on the curve"})
        for name, value in found.items()
    }
