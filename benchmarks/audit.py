"""Where in the plane the peers really evaluate, and what else their documented calls do: measured, not read."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from cases import Case
from grid import Grid
from images import Images, subset
from loops import reference
from peers import coordinates, loss_landscape_3d, loss_landscapes, visited, with_weights
from torch import nn
from torch.nn.utils import parameters_to_vector
from torch.utils.data import DataLoader, TensorDataset

EXAMPLES = 64  # positions do not depend on the data


@dataclass(frozen=True)
class Positions:
    """Coordinates asked for and visited, `(9, 2)` in the order of the results, and the losses there."""

    asked: np.ndarray
    visited: np.ndarray
    told: np.ndarray
    truth_visited: np.ndarray  # the reference's losses where the peer really was

    @property
    def num_wrong(self) -> int:
        return int((np.abs(self.asked - self.visited).max(axis=1) > 1e-3).sum())

    @property
    def error_visited(self) -> float:
        """Largest difference from the reference at the points really visited, relative where losses exceed 1."""
        return relative_error(self.told, self.truth_visited)

    def __str__(self) -> str:
        pairs = [
            f"({a:+.0f},{b:+.0f}) at ({c:+.1f},{d:+.1f})"
            for (a, b), (c, d) in zip(self.asked, self.visited, strict=True)
        ]
        return ", ".join(pairs)


def relative_error(losses: np.ndarray, truth: np.ndarray) -> float:
    return float(np.max(np.abs(losses - truth) / np.maximum(1.0, np.abs(truth))))


def where_3d(case: Case, grid: Grid) -> Positions:
    """loss-landscape-3d with `center_state=model.state_dict()`, as its README has it."""
    run = lambda model, images: loss_landscape_3d(model, images, grid.check, batch_size=EXAMPLES)  # noqa: E731
    return _positions(case, grid.check, run, order=np.arange(9))


def where_landscapes(case: Case, grid: Grid) -> Positions:
    """loss-landscapes' planar_interpolation: the rows go to and fro, so the order of calls is not that of results."""
    order = np.arange(9).reshape(3, 3)
    order[1::2] = order[1::2, ::-1]
    return _positions(case, grid.check, lambda m, images: loss_landscapes(m, images, grid.check), order.ravel())


def _positions(case: Case, grid: Grid, run: Callable, order: np.ndarray) -> Positions:
    images = on(grid, subset(case.images, EXAMPLES))
    model = with_weights(case.model, grid.origin)
    with visited(model) as points:
        told = run(model, images)
    points = [points[k] for k in order]
    asked = np.stack(np.meshgrid(grid.axis, grid.axis, indexing="ij"), axis=-1).reshape(-1, 2)
    zero = torch.zeros_like(grid.directions)
    truth = [reference(case.model, images, Grid(theta, zero, 1)).item() for theta in points]
    return Positions(asked, coordinates(grid, points), told.ravel(), np.array(truth))


def on(grid: Grid, images: Images) -> Images:
    device = grid.origin.device
    return Images(images.inputs.to(device), images.targets.to(device), images.name)


def random_directions_3d(case: Case, grid: Grid) -> str:
    """loss-landscape-3d's own directions on a network with BatchNorm: they move the running variances."""
    from loss_landscape_3d import LossLandscapeCalculator, generate_random_directions

    torch.manual_seed(0)
    model = with_weights(case.model, grid.origin).cpu()
    images = subset(case.images, EXAMPLES)
    centre = copy.deepcopy(model.state_dict())
    directions = generate_random_directions(model, normalize=True)
    loader = DataLoader(TensorDataset(images.inputs, images.targets), batch_size=EXAMPLES)
    axis = np.linspace(-1, 1, 5)
    losses = LossLandscapeCalculator(model, loader, F.cross_entropy).calculate(axis, axis, *directions, centre)
    variances = [name for name in centre if name.endswith("running_var")]
    negative = sum(bool((centre[n] + a * d[n] < 0).any()) for n in variances for d in directions for a in (-1, 1))
    return (
        "loss-landscape-3d, generate_random_directions: BatchNorm's running variances are perturbed as if they were "
        f"weights, and turn negative at {negative} of {4 * len(variances)} (layer, end of axis) pairs: "
        f"{np.isnan(losses).sum()} of 25 losses are NaN."
    )


def random_plane_landscapes(case: Case, grid: Grid) -> list[str]:
    """loss-landscapes' own plane: how its directions lie, where the model lies in it, and what is left of the model."""
    name, steps = "loss-landscapes, random_plane:", 5
    path, origin, model = _walk(case, grid, steps, distance=1)
    further = _walk(case, grid, steps, distance=10)[0]
    along_v, along_u = path[1] - path[0], path[2 * steps - 1] - path[0] + (path[1] - path[0])
    step = along_v.norm()
    cosine = torch.dot(along_u, along_v) / (along_u.norm() * step)
    positive = (along_u[along_u.abs() > 1e-9] > 0).double().mean()
    nearest = (path - origin).norm(dim=1).min() / step
    moved = (parameters_to_vector(model.parameters()).double() - origin).norm() / origin.norm()
    frozen = sum(not p.requires_grad for p in model.parameters())
    return [
        f"{name} {positive:.0%} of the first direction's entries are positive (drawn from [0, 1), not Gaussian).",
        f"{name} the two 'orthogonal' directions have cosine {cosine:+.3f} (normalised after orthogonalising).",
        f"{name} of {steps} x {steps} points the nearest to the model is {nearest:.2f} steps away from it.",
        f"{name} distance=10 reaches {(further[1] - further[0]).norm() / step:.2f} times as far as distance=1.",
        f"{name} the user's model is left {moved:.0%} of its norm away from its weights, "
        f"with requires_grad=False on {frozen} of {len(list(model.parameters()))} parameters.",
    ]


def _walk(case: Case, grid: Grid, steps: int, distance: float) -> tuple[torch.Tensor, torch.Tensor, nn.Module]:
    """The weights that `random_plane` visits, in its order, those it was given, and the model afterwards."""
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    torch.manual_seed(0)
    model = with_weights(case.model, grid.origin).cpu()
    images = subset(case.images, EXAMPLES)
    with visited(model) as points:
        random_plane(model, Loss(F.cross_entropy, images.inputs, images.targets), distance=distance, steps=steps)
    return torch.stack(points).double(), grid.origin.cpu().double(), model
