"""A square grid of points in a plane, and its coarser grids that share the corners and the centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

POINTS = 51  # per axis


@dataclass(frozen=True)
class Grid:
    """`points` x `points` weight vectors: origin + alpha u + beta v for alpha and beta from -extent to extent."""

    origin: Tensor  # (num_weights,)
    directions: Tensor  # (2, num_weights)
    points: int = POINTS
    extent: float = 1.0

    @property
    def num_points(self) -> int:
        return self.points**2

    @property
    def axis(self) -> np.ndarray:
        return np.linspace(-self.extent, self.extent, self.points)

    @property
    def spacing(self) -> float:
        return 2 * self.extent / max(1, self.points - 1)

    @cached_property
    def check(self) -> Grid:
        """Corners, middles of the edges, and centre: nine points."""
        return Grid(self.origin, self.directions, 3, self.extent)

    @property
    def centre(self) -> Grid:
        """The origin alone."""
        return Grid(self.origin, self.directions, 1, 0.0)

    @property
    def subgrids(self) -> list[Grid]:
        """From fine to coarse: 51, 11 and 3 points per axis."""
        return [Grid(self.origin, self.directions, points, self.extent) for points in (POINTS, 11, 3)]

    def theta(self, alpha: float, beta: float) -> Tensor:
        return self.origin + alpha * self.directions[0] + beta * self.directions[1]
