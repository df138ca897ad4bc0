"""From where to look: where most of the surface and of what is marked can be seen, and the hills stand at the back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.figures.overlay import Sheet
from thalweg.figures.prepare import Layer

_AZIMUTHS = np.deg2rad([-47.0, -133.0, 137.0, 43.0])  # one beside each corner, so that no edge points at the viewer
_MARKED, _SURFACE, _DEPTH = 2.0, 2.0, 1.0  # weights of seeing what is marked, the surface, and hills at the back
_COARSE = 24  # places along each side of the surface that are asked whether they can be seen


def best(layers: Sequence[Layer], slope: float) -> float:
    """The best of four directions to look from, as the angle around the vertical in radians from the x-axis.

    Parameters
    ----------
    layers
        What is looked at: one quantity, or several panels seen from the same side. Their `sights` should be seen.
    slope
        How steeply the view falls: height over distance, with the sides and the height of the surface as units.
    """
    worth = np.mean([[_worth(layer, angle, slope) for angle in _AZIMUTHS] for layer in layers], axis=0)
    return float(_AZIMUTHS[int(np.argmax(np.round(worth, 3)))])


def sides(x: np.ndarray, y: np.ndarray, commensurate: bool, height: float) -> np.ndarray:
    """Proportions of the scene: true to the coordinates if they can be compared and do not make it too thin.

    Examples
    --------
    >>> sides(np.array([0.0, 2.0]), np.array([0.0, 1.0]), True, 0.6)
    array([1. , 0.5, 0.6])
    """
    spans = np.array([np.ptp(x), np.ptp(y)])
    flat = np.maximum(spans / spans.max(), 0.4) if commensurate else np.ones(2)
    return np.array([*flat, height])


def visible(sheet: Sheet, places: np.ndarray, angle: float, slope: float) -> np.ndarray:
    """Whether no hill hides each of `places` (3, n), found by walking from it towards the viewer.

    Examples
    --------
    >>> from thalweg.figures.scale import Scale
    >>> g, ridge = np.linspace(0, 1, 3), np.array([[0.0, 0, 0], [1, 1, 1], [0, 0, 0]])
    >>> wall = Sheet(("a", "b"), g, g, ("a", "b"), "loss", "Loss", ridge, Scale(False, None, None, 0.0, 1.0))
    >>> visible(wall, np.array([[0.1, 0.9], [0.5, 0.5], [0.2, 0.2]]), angle=0.0, slope=0.5)
    array([False,  True])
    """
    x, y, z = places
    spans = np.ptp(sheet.x), np.ptp(sheet.y), sheet.scale.high - sheet.scale.low
    walk = np.linspace(0.03, 1.5, 80)[:, None]
    at_x = x + walk * np.cos(angle) * spans[0]
    at_y = y + walk * np.sin(angle) * spans[1]
    sight = z + (walk * slope + 0.004) * spans[2]
    ground = sheet.height(at_x.ravel(), at_y.ravel()).reshape(at_x.shape)
    return np.isfinite(z) & ~np.any(np.nan_to_num(ground, nan=-np.inf) > sight, axis=0)


def _worth(layer: Layer, angle: float, slope: float) -> float:
    """How much of a surface and of what is marked on it can be seen, and whether its hills stand at the back."""
    sheet = layer.sheet
    x, y = (np.linspace(g[0], g[-1], _COARSE) for g in (sheet.x, sheet.y))
    ground = sheet.lift(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).T)
    marked, surface = (_share(sheet, places, angle, slope) for places in (layer.sights, ground))
    return _MARKED * marked + _SURFACE * surface + _DEPTH * _depth(sheet, angle)


def _depth(sheet: Sheet, angle: float) -> float:
    """Correlation of height with distance from the viewer."""
    u, v = (np.linspace(-1, 1, n) for n in sheet.heights.shape)
    away = -(np.cos(angle) * u[:, None] + np.sin(angle) * v)
    finite = np.isfinite(sheet.heights)
    h = sheet.heights[finite]
    return float(np.corrcoef(h, away[finite])[0, 1]) if h.size > 2 and np.ptp(h) > 0 else 0.0


def _share(sheet: Sheet, places: np.ndarray, angle: float, slope: float) -> float:
    """Share of the places on the surface that can be seen."""
    there = places[:, np.isfinite(places).all(axis=0)]
    return float(visible(sheet, there, angle, slope).mean()) if there.size else 1.0
