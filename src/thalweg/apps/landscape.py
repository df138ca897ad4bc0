"""A written landscape seen whole: its surface and gradient, its critical points, and descents from everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, optim

from thalweg.apps.report import report
from thalweg.apps.words_descent import ends
from thalweg.landscapes import Landscape, landscape
from thalweg.measures import below, critical_points, descend, gradient_field, outcomes, project_trajectory
from thalweg.problem import FunctionProblem
from thalweg.store import save
from thalweg.subspaces import Plane, coordinate_plane, grid_starts, random_starts

_POINTS = 101
_EPS = 0.1  # of the median gradient: what is drawn as nearly flat
_TRIES = 41


class Demo(NamedTuple):
    """Where a landscape's demo left what it made."""

    study: Path
    page: Path


@dataclass(frozen=True)
class _Run:
    """A descent of the demo: its name and title, where it starts, what moves it, and what it shows."""

    name: str
    title: str
    about: str
    starts: Tensor
    optimizer: Callable[..., optim.Optimizer]
    steps: int
    options: dict[str, Any]
    settle: int = 0


def landscape_demo(name: str, folder: str | Path, *, seed: int = 0, say: Callable[[str], None] = print) -> Demo:
    """Measure the landscape `name`, descend it from everywhere, and write `study.zarr` and `report.html`.

    Raises
    ------
    ValueError
        If there is no landscape of that name; the message lists those that exist.
    FileExistsError
        If the folder holds a study already.
    """
    shown = landscape(name, seed)
    study = Path(folder) / "study.zarr"
    problem = shown.problem()
    plane = coordinate_plane(problem)
    say(f"{shown.title}: {shown.formula}")
    where = f"surface/{shown.name}"
    _measure(shown, problem, plane, study, where, say)
    runs = _multiply_by_one(seed) if shown.name == "multiply-by-one" else _general(shown, problem)
    for order, run in enumerate(runs):
        paths = _descended(run, shown, problem, plane)
        paths.attrs |= {"on": where, "title": run.title, "about": run.about, "order": order}
        save(paths, study, f"descent/{run.name}")
        say(f"  {run.title}: {'; '.join(ends(paths))}")
    page = report(study, Path(folder) / "report.html", title=shown.title)
    return Demo(study, page)


def _measure(
    shown: Landscape, problem: FunctionProblem, plane: Plane, study: Path, where: str, say: Callable[[str], None]
) -> None:
    """The surface with its gradient and what is nearly flat; the critical points."""
    extent = [list(axis) for axis in shown.extent]
    field = gradient_field(problem, plane, extent=extent, points=_POINTS)
    norm = field["gradient_norm"].values
    eps = float(f"{_EPS * np.median(norm[np.isfinite(norm)]):.1g}")
    field = below(field, "gradient_norm", eps) if eps > 0 else field
    solutions = {key: np.round(curve, 6).tolist() for key, curve in shown.solutions.items()}
    field.attrs |= {
        "landscape": shown.name,
        "title": shown.title,
        "formula": shown.formula,
        "about": shown.about,
        "solutions": json.dumps(solutions),
    }
    save(field, study, where)
    found = critical_points(problem, plane, extent=extent, points=_POINTS)
    save(found.assign_attrs(on=where), study, f"critical_points/{shown.name}")
    say(f"  {found.sizes['point']} critical points found on a grid of {_POINTS} x {_POINTS}")


def _descended(run: _Run, shown: Landscape, problem: FunctionProblem, plane: Plane) -> xr.Dataset:
    paths = descend(problem, run.starts, run.optimizer, run.steps, **run.options)
    paths = outcomes(paths, problem, branches=shown.branches, side=shown.side, settle=run.settle)
    return project_trajectory(paths, plane)


def _sgd(rate: float, **options: Any) -> Callable[..., optim.Optimizer]:
    return lambda weights: optim.SGD(weights, lr=rate, **options)


def _multiply_by_one(seed: int) -> list[_Run]:
    """The runs of the lesson: slow and fast, from a grid and from the unit circle, with momentum, Adam, and noise."""
    grid, circle = grid_starts(2.0, 51), random_starts(50, seed=117 + seed)
    return [
        _Run(
            "slow-grid",
            "A hundred small steps from everywhere",
            "Small steps follow the gradient flow, along which t1² − t2² does not change: the paths are arcs of "
            "hyperbolas. Some places make much less progress than others.",
            grid,
            _sgd(1e-3),
            100,
            {},
        ),
        _Run(
            "grid",
            "Until they rest",
            "Every start ends on one of the two branches of solutions, except those on the anti-diagonal t1 = −t2, "
            "which run into the saddle and stay.",
            grid,
            _sgd(0.1),
            300,
            {},
        ),
        _Run(
            "circle",
            "From the unit circle",
            "Random directions of equal length. Starts near the anti-diagonal pass the saddle slowly: a plateau, "
            "before they speed up.",
            circle,
            _sgd(0.1),
            50,
            {},
        ),
        _Run(
            "momentum",
            "With Nesterov's momentum",
            "The same starts, with a memory of earlier gradients: the plateau is left sooner.",
            circle,
            _sgd(0.05, momentum=0.9, nesterov=True),
            50,
            {},
        ),
        _Run(
            "adam",
            "With Adam",
            "Adam divides by the recent size of the gradient, so that a small gradient does not mean a small step.",
            circle,
            lambda weights: optim.Adam(weights, lr=0.05),
            150,
            {},
        ),
        _Run(
            "cyclic",
            "With a cyclical learning rate",
            "The learning rate rises and falls between 0.02 and 0.3; large steps leave the plateau.",
            circle,
            _sgd(0.02),
            50,
            {"scheduler": lambda o: optim.lr_scheduler.CyclicLR(o, 0.02, 0.3, step_size_up=10, cycle_momentum=False)},
        ),
        _Run(
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


def _general(shown: Landscape, problem: FunctionProblem) -> list[_Run]:
    """Descent and Adam from a grid over the whole picture, at a rate that its curvature allows."""
    starts = grid_starts(shown.extent, 26)
    rate, width = _rate(shown, problem), max(high - low for low, high in shown.extent)
    stated = f"The learning rate {rate:.2g} is half of what nine tenths of the picture would bear."
    return [
        _Run("sgd", "Gradient descent from everywhere", stated, starts, _sgd(rate), 200, {}),
        _Run(
            "adam",
            "Adam from the same starts",
            "Steps of nearly equal length, whatever the gradient.",
            starts,
            lambda weights: optim.Adam(weights, lr=float(f"{width / 100:.1g}")),
            200,
            {},
        ),
    ]


def _rate(shown: Landscape, problem: FunctionProblem) -> float:
    r"""Half of $2/\lambda$, $\lambda$ the curvature that nine tenths of the picture do not exceed; one digit."""
    theta = grid_starts(shown.extent, _TRIES).reshape(-1, 2)
    columns = [problem.hvp(theta, unit) for unit in torch.eye(2, dtype=theta.dtype)]
    curvature = torch.linalg.eigvalsh(torch.stack(columns, -1).nan_to_num(0.0, 0.0, 0.0)).abs().amax(-1)
    sharp = float(curvature.quantile(0.9))
    if sharp > 0:
        return float(f"{1.0 / sharp:.1g}")
    slope = problem.gradient(theta).norm(dim=-1)
    width = max(high - low for low, high in shown.extent)
    return float(f"{0.01 * width / max(float(slope.median()), 1e-12):.1g}")
