"""Which descents a landscape's demo shows, at which rates, and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, optim

from thalweg.landscapes import Landscape
from thalweg.problem import FunctionProblem
from thalweg.subspaces import grid_starts, random_starts

_TRIES = 41
_STEADY = 0.4  # of 1 / curvature: a fifth of the rate at which steps begin to overshoot for ever
_STARTS, _STEPS = 21, 400


@dataclass(frozen=True)
class Run:
    """A descent of the demo: its name and title, where it starts, what moves it, and what it shows."""

    name: str
    title: str
    about: str
    starts: Tensor
    optimizer: Callable[..., optim.Optimizer]
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    settle: int = 0
    main: bool = False  # the plain gradient descent whose rate and number of steps can be chosen


class _Pace(NamedTuple):
    """Rates and steps that show what a landscape is about; None where the curvature can tell."""

    rate: float | None = None
    steps: int = _STEPS
    about: str = ""
    momentum: tuple[float, int] | None = None
    adam: tuple[float, int] | None = None


_PACES = {
    "l0": _Pace(0.1, 100),
    "l1": _Pace(0.1),
    "l2": _Pace(0.3, 200, "The steps are nearly too long across the valley, and far too short along it."),
    "l6": _Pace(
        0.02,
        300,
        "The slope of each side leads over the edge, to a bottom that lies on the other side. So every start comes to "
        "the edge and hops over it for ever, around (0, −1/4), where the two gradients cancel: the loss jumps up and "
        "down, and the lowest point of the edge is never found.",
        adam=(0.02, 300),
    ),
    "rosenbrock": _Pace(
        5e-4,
        20_000,
        "A few steps lead into the valley. Along it, where the curvature is 2,500 times smaller, twenty thousand are "
        "barely enough.",
        momentum=(3e-4, 5000),
        adam=(0.1, 2000),
    ),
    "beale": _Pace(3e-5, 5000, momentum=(3e-5, 5000), adam=(0.05, 2000)),
    "matyas": _Pace(0.5),
    "easom": _Pace(0.5, 500, "Only starts near the needle feel it; the plain around it gives no direction."),
    "three-hump-camel": _Pace(6e-4, 10_000, adam=(0.05, 1000)),
    "goldstein-price": _Pace(9e-7, 10_000, momentum=(9e-7, 2000), adam=(0.04, 1000)),
}


def runs(
    shown: Landscape, problem: FunctionProblem, *, seed: int = 0, lr: float | None = None, steps: int | None = None
) -> list[Run]:
    """The descents of the demo of `shown`; `lr` and `steps` are for the main one, plain gradient descent.

    Raises
    ------
    ValueError
        If `lr` or `steps` is not positive.
    """
    check_pace(lr, steps)
    made = _multiply_by_one(seed) if shown.name == "multiply-by-one" else _general(shown, problem)
    return [_asked(run, lr, steps) if run.main else run for run in made]


def check_pace(lr: float | None, steps: int | None) -> None:
    """Refuse a learning rate or a number of steps that is not positive."""
    if lr is not None and not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"The learning rate is {lr:g}, and a positive number is needed, such as 0.1.")
    if steps is not None and steps < 1:
        raise ValueError(f"The number of steps is {steps}, and a whole number from 1 is needed, such as 200.")


def _asked(run: Run, lr: float | None, steps: int | None) -> Run:
    """The main run at the pace asked for; what was said of it may then no longer hold."""
    if lr is None and steps is None:
        return run
    which = " and ".join(["the learning rate"] * (lr is not None) + ["the number of steps"] * (steps is not None))
    about = f"{which.capitalize()} {'are' if ' and ' in which else 'is'} as asked for."
    moved = run.optimizer if lr is None else _sgd(lr)
    return replace(run, about=about, optimizer=moved, steps=steps or run.steps)


def _sgd(rate: float, **options: Any) -> Callable[..., optim.Optimizer]:
    return lambda weights: optim.SGD(weights, lr=rate, **options)


def _adam(rate: float) -> Callable[..., optim.Optimizer]:
    return lambda weights: optim.Adam(weights, lr=rate)


def _cyclic(optimizer: optim.Optimizer) -> optim.lr_scheduler.LRScheduler:
    return optim.lr_scheduler.CyclicLR(optimizer, 0.02, 0.3, step_size_up=10, cycle_momentum=False)


def _multiply_by_one(seed: int) -> list[Run]:
    """The runs of the lesson: slow and fast, from a grid and from the unit circle, with momentum, Adam, and noise."""
    grid, circle = grid_starts(2.0, 51), random_starts(50, seed=117 + seed)
    return [
        Run(
            "slow-grid",
            "A hundred small steps from everywhere",
            "Small steps follow the gradient flow, along which t1² − t2² does not change: the paths are arcs of "
            "hyperbolas. Some places make much less progress than others.",
            grid,
            _sgd(1e-3),
            100,
        ),
        Run(
            "grid",
            "Until they rest",
            "Every start ends on one of the two branches of solutions, except those on the anti-diagonal t1 = −t2, "
            "which run into the saddle and stay.",
            grid,
            _sgd(0.1),
            300,
            main=True,
        ),
        Run(
            "circle",
            "From the unit circle",
            "Random directions of equal length. Starts near the anti-diagonal pass the saddle slowly: a plateau, "
            "before they speed up.",
            circle,
            _sgd(0.1),
            50,
        ),
        Run(
            "momentum",
            "With Nesterov's momentum",
            "The same starts, with a memory of earlier gradients: at half the learning rate they leave the saddle "
            "sooner, and overshoot the solutions before they rest.",
            circle,
            _sgd(0.05, momentum=0.9, nesterov=True),
            50,
        ),
        Run(
            "adam",
            "With Adam",
            "Adam divides each entry of the gradient by its recent size: the first steps are equally long everywhere. "
            "But it remembers the large gradients of the beginning for long, so that the way out of the saddle takes "
            "it no fewer steps.",
            circle,
            _adam(0.05),
            150,
        ),
        Run(
            "cyclic",
            "With a cyclical learning rate",
            "The learning rate rises from 0.02 to 0.3 and falls again: while it is large, the saddle is soon left.",
            circle,
            _sgd(0.02),
            50,
            {"scheduler": _cyclic},
        ),
        Run(
            "noise",
            "With noise",
            "Normal noise of standard deviation 1 is added to every gradient. A crossing is a change of the sign of "
            "t1 + t2, the side of the barrier on which a path is.",
            circle,
            _sgd(0.1),
            300,
            {"noise": 1.0, "seed": seed},
            settle=300,
        ),
    ]


def _general(shown: Landscape, problem: FunctionProblem) -> list[Run]:
    """Plain descent, perhaps momentum, and Adam, from a grid over the whole picture."""
    pace = _PACES.get(shown.name, _Pace())
    starts = grid_starts(shown.extent, _STARTS)
    rate, about = pace.rate, pace.about
    if rate is None:
        rate = steady_rate(shown, problem)
        about = about or f"The learning rate {rate:g} is about a fifth of what nine tenths of the picture would bear."
    width = max(high - low for low, high in shown.extent)
    fast, long = pace.adam or (float(f"{width / 100:.1g}"), pace.steps)
    plain = Run("sgd", "Gradient descent from everywhere", about, starts, _sgd(rate), pace.steps, main=True)
    adam = Run(
        "adam",
        "Adam from the same starts",
        "Adam divides each entry of the gradient by its recent size: steep or flat, the first steps are equally long.",
        starts,
        _adam(fast),
        long,
    )
    return [plain, *_with_momentum(pace, starts), adam]


def _with_momentum(pace: _Pace, starts: Tensor) -> list[Run]:
    if pace.momentum is None:
        return []
    rate, steps = pace.momentum
    about = "With a memory of earlier gradients: what they have in common, the way along the valley, adds up."
    return [Run("momentum", "With momentum", about, starts, _sgd(rate, momentum=0.9), steps)]


def steady_rate(shown: Landscape, problem: FunctionProblem) -> float:
    r"""$0.4/\lambda$, $\lambda$ the curvature that nine tenths of the picture do not exceed; one digit.

    Where there is no curvature, a step over the median slope is a hundredth of the picture.
    """
    theta = grid_starts(shown.extent, _TRIES).reshape(-1, 2)
    columns = [problem.hvp(theta, unit) for unit in torch.eye(2, dtype=theta.dtype)]
    curvature = torch.linalg.eigvalsh(torch.stack(columns, -1).nan_to_num(0.0, 0.0, 0.0)).abs().amax(-1)
    sharp = float(curvature.quantile(0.9))
    if sharp > 0:
        return float(f"{_STEADY / sharp:.1g}")
    slope = problem.gradient(theta).norm(dim=-1)
    width = max(high - low for low, high in shown.extent)
    return float(f"{0.01 * width / max(float(slope.median()), 1e-12):.1g}")
