"""Paths and places in a 3-D plotly scene: tubes, beads at the steps, a shadow on the floor, labelled markers.

A tube is round in the scene's proportions, not in the data's, so a `Box` converts between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.figures import theme as themes
from thalweg.figures.overlay import Marker, Track
from thalweg.figures.theme import Palette

_RADIUS = 0.008  # of a tube, in scene units
_SIDES = 7  # corners of its cross-section
SHAPES = {"model": "diamond", "point": "circle", "optimum": "circle", "bend": "square", "here": "circle"}
SIZES = {"model": 12.0, "point": 10.0, "optimum": 13.0, "bend": 10.0, "here": 15.0}
_IN_SPACE = {"model": 6.0, "point": 5.0, "optimum": 9.0, "bend": 7.0, "here": 11.0}
_FEW = 80  # steps up to which each is a bead


@dataclass(frozen=True)
class Box:
    """Sides of the scene, and the data's extent along each."""

    sides: np.ndarray
    spans: np.ndarray

    @property
    def unit(self) -> np.ndarray:
        """Data units per scene unit, per axis."""
        return self.spans / self.sides


def tube(line: np.ndarray, unit: np.ndarray, radius: float = _RADIUS) -> tuple[np.ndarray, np.ndarray]:
    """A tube around a line: corners (n, 3) and triangles (m, 3); the line is interrupted where it is nan.

    Examples
    --------
    >>> corners, triangles = tube(np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]), np.ones(3), radius=0.1)
    >>> bool(np.allclose(np.hypot(corners[:, 1], corners[:, 2]), 0.1)), int(triangles.max()) < len(corners)
    (True, True)
    """
    corners, triangles, count = [np.zeros((0, 3))], [np.zeros((0, 3), int)], 0
    for run in _runs(line):
        made, joined = _pipe(run / unit, radius)
        corners.append(made * unit)
        triangles.append(joined + count)
        count += len(made)
    return np.concatenate(corners), np.concatenate(triangles)


def path_traces(track: Track, box: Box, ground: float, color: str, p: Palette) -> list[dict[str, Any]]:
    """The tube, the steps (which hover), the shadow on the floor at height `ground`, and both ends."""
    corners, triangles = tube(track.line, box.unit)
    shadow = np.where(np.isfinite(track.line[2]), ground + 0.012 * box.spans[2], np.nan)
    lift = 0.5 * _RADIUS * box.unit[2]
    bead = {"size": 2.6, "color": p.casing, "opacity": 1.0} if track.x.size <= _FEW else {"size": 1.5, "color": color}
    return [
        {
            "type": "mesh3d",
            "name": track.label,
            **places(*corners.T),
            **{k: v.tolist() for k, v in zip("ijk", triangles.T, strict=True)},
            "color": color,
            "flatshading": False,
            "lighting": {"ambient": 0.8, "diffuse": 0.45, "specular": 0.2, "roughness": 0.4, "fresnel": 0.0},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter3d",
            "name": f"{track.label}, steps",
            "mode": "markers",
            **places(track.x, track.y, track.z + lift),
            "text": list(track.text),
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {**bead, "line": {"width": 0}},
        },
        {
            "type": "scatter3d",
            "name": f"{track.label}, seen from above",
            "mode": "lines",
            **places(track.line[0], track.line[1], shadow),
            "line": {"color": color, "width": 4},
            "hoverinfo": "skip",
        },
        _ends(track, lift, color, p),
    ]


def _ends(track: Track, lift: float, color: str, p: Palette) -> dict[str, Any]:
    at = [0, -1]
    return {
        "type": "scatter3d",
        "name": f"{track.label}, ends",
        "mode": "markers",
        **places(track.x[at], track.y[at], track.z[at] + 2 * lift),
        "text": [track.text[0], track.text[-1]],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": [6, 8], "color": [p.casing, color], "symbol": ["circle", "diamond"], "opacity": 1.0}
        | {"line": {"color": color, "width": 2}},
    }


def marker_trace(markers: Sequence[Marker], box: Box, p: Palette) -> dict[str, Any]:
    """The model and the user's points; `labels` names them."""
    lift = 1.2 * _RADIUS * box.unit[2]
    x, y, z = (np.array([getattr(m, k) for m in markers], dtype=float) for k in "xyz")
    return {
        "type": "scatter3d",
        "name": "places",
        "mode": "markers",
        **places(x, y, z + lift),
        "text": [m.text for m in markers],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "size": [_IN_SPACE[m.kind] for m in markers],
            "symbol": [SHAPES[m.kind] for m in markers],
            "color": [themes.place_color(m.kind, m.number) for m in markers],
            "opacity": 1.0,
            "line": {"color": p.ink, "width": 2},
        },
    }


def cards(tracks: Sequence[Track], markers: Sequence[Marker], p: Palette) -> list[dict[str, Any]]:
    """Words beside the ends of each path, the model and the points, on small cards that are legible anywhere."""
    said = []
    for track in tracks:
        name = "" if len(tracks) == 1 else f"{track.label}, "
        said.append((track.x[0], track.y[0], track.z[0], f"{name}start", (-34, -26)))
        said.append((track.x[-1], track.y[-1], track.z[-1], f"{name}{track.end}", (34, -26)))
    for m in markers:
        away = 38 if m.kind == "model" else 30
        said.append((m.x, m.y, m.z, m.label, (away * m.side[0], -26 * m.side[1])))
    look = {
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": p.muted,
        "font": {"size": 12, "color": p.text},
        "bgcolor": p.card,
        "borderpad": 2,
    }
    return [
        {"x": float(x), "y": float(y), "z": float(z), "text": text, "ax": ax, "ay": ay, **look}
        for x, y, z, text, (ax, ay) in said
    ]


def labels(tracks: Sequence[Track], markers: Sequence[Marker], p: Palette) -> list[dict[str, Any]]:
    """The cards of a 3-D scene; one whose place is not on the surface is invisible, so that their number is fixed."""
    made = cards(tracks, markers, p)
    return [c if np.isfinite([c["x"], c["y"], c["z"]]).all() else c | {"z": 0.0, "visible": False} for c in made]


def places(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    """Positions in single precision; a place that is not finite in every coordinate is a gap."""
    with np.errstate(over="ignore"):
        all_of = np.column_stack([x, y, z]).astype(np.float32)
    all_of[~np.isfinite(all_of).all(axis=1)] = np.nan
    return dict(zip("xyz", all_of.T.copy(), strict=True))


def _runs(line: np.ndarray) -> list[np.ndarray]:
    """The stretches of a line (3, n) without nan, each (m, 3) with m > 1 and no point twice in a row."""
    there = np.isfinite(line).all(axis=0)
    cuts = np.flatnonzero(np.diff(there.astype(int))) + 1
    runs = [part for part in np.split(np.arange(line.shape[1]), cuts) if part.size and there[part[0]]]
    found = []
    for run in runs:
        points = line[:, run].T
        moved = np.concatenate([[True], np.any(np.diff(points, axis=0) != 0, axis=1)])
        if moved.sum() > 1:
            found.append(points[moved])
    return found


def _pipe(points: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Rings around each point, joined by triangles; the frame follows the vertical, which no path over a map loses."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    side = np.cross(along, [0.0, 0.0, 1.0])
    steep = np.linalg.norm(side, axis=1) < 1e-6
    side[steep] = [1.0, 0.0, 0.0]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)[None, :, None]
    rings = points[:, None] + radius * (np.cos(angle) * side[:, None] + np.sin(angle) * up[:, None])
    ring, corner = np.meshgrid(np.arange(len(points) - 1), np.arange(_SIDES), indexing="ij")
    a, b = ring * _SIDES + corner, ring * _SIDES + (corner + 1) % _SIDES
    c, d = a + _SIDES, b + _SIDES
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
    return rings.reshape(-1, 3), triangles
