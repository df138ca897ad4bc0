r"""Worst-case sharpness: how much the loss can rise within a small ball around the weights.

$$ S_\rho = \max_{\lVert T^{-1} d \rVert_2 \le \rho} L(\theta + d) - L(\theta) , $$

$T = I$ (Foret et al. 2021, arXiv:2010.01412) or, which does not change when weights are rescaled without changing the
function, $T = \operatorname{diag} |\theta|$ (Kwon et al. 2021, arXiv:2102.11600). The maximum over a ball in many
dimensions cannot be known; what is found is a lower bound, and is told as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.measures.matrix import place, whole_number
from thalweg.measures.progress import bar
from thalweg.problem import Problem


@dataclass(frozen=True)
class WorstCase:
    r"""A rise of the loss that is possible within a ball: a lower bound of the largest.

    Attributes
    ----------
    lower_bound
        The largest rise that was found; the true maximum is at least this.
    from_starts
        What was found from each start, the step along the gradient first, random ones after it. If they differ much,
        the bound is not tight.
    perturbation
        $d$ with $L(\theta + d) - L(\theta)$ = `lower_bound`, `(num_weights,)`.
    loss
        $L(\theta)$.
    radius, adaptive
        As asked.
    num_gradients
        Gradients taken.
    """

    lower_bound: float
    from_starts: tuple[float, ...]
    perturbation: Tensor
    loss: float
    radius: float
    adaptive: bool
    num_gradients: int


def worst_case_sharpness(
    problem: Problem,
    radius: float,
    *,
    adaptive: bool = False,
    theta: Any = None,
    steps: int = 20,
    restarts: int = 3,
    seed: int = 0,
    progress: bool | None = None,
) -> WorstCase:
    r"""A lower bound of the largest rise of the loss within a ball, by projected gradient ascent.

    With $d = Te$, each start climbs $e \mapsto L(\theta + Te)$ by steps of $s\, g / \lVert g \rVert$, projected onto
    $\lVert e \rVert \le \rho$; $s$ begins at $\rho$ and is halved when a step does not rise.

    Parameters
    ----------
    problem
        A problem with gradients.
    radius
        $\rho$, in weights; of $e$, where `adaptive`.
    adaptive
        Whether $T = \operatorname{diag}|\theta|$ instead of the identity. A weight of zero then does not move.
    theta
        Where; `problem.theta` by default.
    steps, restarts, seed
        Steps from each start; random starts on the sphere besides that along the gradient; their seed.
    progress
        Show a bar; by default in a terminal when it is long.

    Returns
    -------
    WorstCase
        `.lower_bound`, what each start found, and the perturbation. `inf` where the loss overflows.

    Raises
    ------
    ValueError, TypeError
        A bare model, a radius that is not positive, weights that are not finite.

    Notes
    -----
    Cost: `(steps + 2) * (restarts + 1)` gradients.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y: 2 * x**2 + 0.5 * y**2)
    >>> round(worst_case_sharpness(bowl, 0.1).lower_bound, 6)  # rho^2 / 2 times the sharpness
    0.02
    """
    at = place(problem, "hessian", theta, None, None, seed)
    if not (isinstance(radius, (int, float)) and math.isfinite(radius) and radius > 0):
        raise ValueError(f"radius={radius!r}; expected a positive number.")
    whole_number("steps", steps, 1)
    whole_number("restarts", restarts, 0)
    climb = _Climb(problem, at.theta, at.theta.abs() if adaptive else torch.ones_like(at.theta), float(radius))
    total = steps + 1
    with bar("worst case", total, 0, show=progress, seconds=0.0, unit="steps") as advance:
        climb.start(restarts, at.seed)
        advance(1)
        for _ in range(steps):
            climb.step()
            advance(1)
    best = int(climb.value.argmax())
    rises = (climb.value - climb.loss).clamp_min(0.0)
    found = climb.e[best] if float(rises[best]) > 0 else torch.zeros_like(at.theta)
    return WorstCase(
        lower_bound=float(rises[best]),
        from_starts=tuple(float(r) for r in rises),
        perturbation=climb.scale * found,
        loss=climb.loss,
        radius=float(radius),
        adaptive=adaptive,
        num_gradients=climb.num_gradients,
    )


class _Climb:
    """Several starts that climb side by side within a ball."""

    def __init__(self, problem: Problem, theta: Tensor, scale: Tensor, radius: float) -> None:
        self.problem, self.theta, self.scale, self.radius = problem, theta, scale, radius
        self.num_gradients = 0

    def start(self, restarts: int, seed: int) -> None:
        """Along the gradient (the step of sharpness-aware minimisation), and along random vectors."""
        origin = torch.zeros_like(self.theta)[None]
        value, slope = self._at(origin)
        self.loss = float(value[0])
        if not math.isfinite(self.loss):
            raise ValueError(f"The loss at these weights is {self.loss}; there is nothing for it to rise from.")
        generator = torch.Generator().manual_seed(seed)
        draws = torch.randn(restarts + 1, len(self.theta), generator=generator, dtype=torch.float64).to(self.theta)
        draws = draws * (self.scale > 0)
        draws[0] = slope[0] if bool(slope.any()) else draws[0]
        self.e = self.radius * _unit(draws)
        self.value, self.slope = self._at(self.e)
        self.length = torch.full_like(self.value, self.radius)

    def step(self) -> None:
        """One step of each start; where it does not rise, none, and half as long the next time."""
        moved = self.e + self.length[:, None].to(self.e) * _unit(self.slope)
        norm = moved.norm(dim=1, keepdim=True).clamp_min(torch.finfo(moved.dtype).tiny)
        moved = moved * (self.radius / norm).clamp_max(1.0)
        value, slope = self._at(moved)
        better = value > self.value
        self.e = torch.where(better[:, None], moved, self.e)
        self.slope = torch.where(better[:, None], slope, self.slope)
        self.value = torch.where(better, value, self.value)
        self.length = torch.where(better, self.length, self.length / 2)

    def _at(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (nan counts as lowest) and its gradient in `e`."""
        value, slope = self.problem.value_and_gradient(self.theta + self.scale * e)
        self.num_gradients += len(e)
        low = torch.full_like(value, -math.inf)
        return torch.where(value.isnan(), low, value).double(), (slope * self.scale).nan_to_num(0.0, 0.0, 0.0)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
