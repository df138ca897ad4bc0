"""Pointwise risks on a grid, against a double loop that rebuilds the model; a random field, until it can be turned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timing import Clock
from torch import nn

import thalweg as tw

POINTS, EXTENT, FIELD = 100, 5.0, 250


@dataclass(frozen=True)
class Loop:
    """A double loop over the grid, measured on `points` of it and scaled to the whole."""

    name: str
    points: int
    seconds: float  # scaled
    error: float


@dataclass(frozen=True)
class Risks:
    """`thalweg.risk` and the loops."""

    first: float
    seconds: float
    loops: list[Loop]


class Model(nn.Module):
    """w1 max(w2 x, 0), as a notebook writes it."""

    def __init__(self, w1: float, w2: float) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.tensor(w1, dtype=torch.float64))
        self.w2 = nn.Parameter(torch.tensor(w2, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w1 * torch.relu(self.w2 * x)


def risks(rounds: int, side: int, clock: Clock) -> Risks:
    """100 x 100 points, 100 examples; loops on `side` x `side` points, that over examples on a sixteenth of them."""
    x, y = tw.landscapes.perceptron_data(100, seed=0)
    problem = tw.landscapes.perceptron_problem((x, y), seed=0)
    axis = np.linspace(-EXTENT, EXTENT, POINTS)
    plane = tw.coordinate_plane(problem)

    def ours() -> np.ndarray:
        return tw.risk(problem, plane, extent=EXTENT, points=POINTS).pointwise_risk.values

    first, ours_found = clock(ours)
    seconds = [clock(ours)[0] for _ in range(rounds)]
    loops = []
    for name, losses, size in (("all examples at once", _together, side), ("example by example", _each, side // 4)):
        chosen = np.linspace(0, POINTS - 1, size).astype(int)
        times, found = [], np.empty(0)
        for _ in range(max(1, rounds // 3)):
            took, found = clock(lambda s=losses, at=axis[chosen]: _double_loop(s, at, x, y))
            times.append(took * (POINTS / size) ** 2)
        error = float(np.abs(found - ours_found[np.ix_(chosen, chosen)]).max())
        loops.append(Loop(f"double loop, model rebuilt, {name}", size**2, float(np.median(times)), error))
    return Risks(first, float(np.median(seconds)), loops)


def _double_loop(losses: Any, axis: np.ndarray, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    found = np.empty((len(axis), len(axis), len(x)))
    for i, w1 in enumerate(axis):
        for j, w2 in enumerate(axis):
            found[i, j] = losses(Model(w1, w2), x, y)
    return found


def _together(model: Model, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return ((y - model(x)) ** 2).numpy()


def _each(model: Model, x: torch.Tensor, y: torch.Tensor) -> list[float]:
    with torch.no_grad():
        return [((target - model(one)) ** 2).item() for one, target in zip(x, y, strict=True)]


def field(rounds: int, clock: Clock) -> list[dict[str, float]]:
    """Seconds of each part, for each round: draw, evaluate, build the figure, write the page."""
    return [_field(seed, clock) for seed in range(rounds + 1)]


def _field(seed: int, clock: Clock) -> dict[str, float]:
    draw, noise = clock(lambda: tw.landscapes.gaussian_field(seed=seed))
    axis = np.linspace(-10, 10, FIELD)

    def evaluate() -> Any:
        problem = tw.FunctionProblem(noise, theta=[0.0, 0.0])
        return tw.loss_surface(problem, tw.coordinate_plane(problem), alpha=axis, beta=axis)

    evaluated, surface = clock(evaluate)
    built, figure = clock(lambda: tw.figures.surface(surface, "loss"))
    written, _ = clock(lambda: figure.to_html(include_plotlyjs="cdn"))
    return {"draw": draw, "evaluate": evaluated, "figure": built, "page": written}
