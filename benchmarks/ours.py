"""thalweg in the race: its surface, its adaptive surface, and what four quantities cost instead of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from grid import POINTS, Grid
from images import Images
from timing import Clock
from torch import nn

import thalweg as tw

TOLERANCE = 0.01


class WholeGrid(tw.ModuleProblem):
    """A problem that is evaluated at a few points as it would be at all points of the grid, so that few are enough."""

    def plan(self, _: int, *arguments: Any) -> tuple[Any, float]:
        return super().plan(POINTS**2, *arguments)


def problem_of(model: nn.Module, images: Images, precision: str = "model") -> WholeGrid:
    """The mean cross-entropy of `model` on all of `images`."""
    return WholeGrid(model, (images.inputs, images.targets), loss=F.cross_entropy, precision=precision)


def plane_of(problem: tw.ModuleProblem) -> tw.Plane:
    """A filter-normalised random plane through the network's weights, the same for the same network."""
    return tw.random_plane(problem, seed=0, normalize="filter")


def grid_of(model: nn.Module, images: Images) -> Grid:
    """The grid in that plane, for everybody."""
    plane = plane_of(problem_of(model, images))
    return Grid(plane.origin.detach(), plane.directions.detach())


def surface_of(problem: tw.ModuleProblem) -> Callable[[Grid], np.ndarray]:
    """`loss_surface` in the plane of the problem, to be called with the grid."""
    plane = plane_of(problem)
    return lambda grid: tw.loss_surface(problem, plane, alpha=grid.axis, beta=grid.axis, progress=False).loss.values


@dataclass(frozen=True)
class Adaptive:
    """An adaptive surface against the full grid, both by thalweg."""

    evaluated: int
    error: float  # the largest, in units of the surface's range
    points_per_second: float  # all the grid's points over the time of the adaptive call
    speedup: float  # over the full grid

    @property
    def fraction(self) -> float:
        return self.evaluated / POINTS**2


def adaptive(model: nn.Module, images: Images, clock: Clock) -> Adaptive:
    """Time `adaptive=0.01` and the full grid, and compare them at every point."""
    problem = problem_of(model, images)
    plane, grid, full = plane_of(problem), grid_of(model, images), surface_of(problem)
    full(grid.check)  # to warm up
    settings = {"points": POINTS, "extent": grid.extent, "adaptive": TOLERANCE, "progress": False}
    seconds, found = clock(lambda: tw.loss_surface(problem, plane, **settings))
    full_seconds, truth = clock(lambda: full(grid))
    finite = np.isfinite(truth)
    error = np.abs(found.loss.values - truth)[finite].max() / np.ptp(truth[finite])
    return Adaptive(int(found.attrs["num_evaluated"]), float(error), POINTS**2 / seconds, full_seconds / seconds)


def cost_of_four(model: nn.Module, images: Images, clock: Clock) -> float:
    """Time of loss and accuracy on training and test data over the time of the loss alone on the same examples.

    One pass for all costs little more than 1; a pass for each quantity would cost 2.
    """
    half = len(images.inputs) // 2
    train, test = ((images.inputs[part], images.targets[part]) for part in (slice(half), slice(half, None)))
    four = WholeGrid(model, train, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test)
    grid = grid_of(model, images).subgrids[1]
    runs = [surface_of(problem) for problem in (four, problem_of(model, images))]
    for run in runs:
        run(grid)
    seconds = [[clock(lambda r=run: r(grid))[0] for run in runs] for _ in range(5)]
    return min(s[0] for s in seconds) / min(s[1] for s in seconds)
