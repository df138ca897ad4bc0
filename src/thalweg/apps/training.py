"""A training run seen whole: its principal plane, how it moved, and what a random walk would have looked like."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from thalweg.measures import (
    components_by_length,
    loss_surface,
    motion,
    principal_plane,
    project_trajectory,
    random_walk,
)
from thalweg.measures.along import calibrated
from thalweg.measures.stripes import recorded_weights
from thalweg.problem import Problem
from thalweg.problem.module import BatchNorm
from thalweg.store import save
from thalweg.store.tree import attrs_of, group_path, refuse_nested, study_path

RESULTS = ("surface", "path", "random_walk", "motion", "components_by_length")
"""What is written, each under `.../NAME`."""
LEAST = 3
"""Rows that span a plane."""
_LENGTHS = 8
_WORK = 2e9  # a walk costs the cube of its length; about ten seconds


def training(
    problem: Problem,
    trajectory: xr.Dataset,
    study: str | Path,
    name: str = "principal",
    *,
    points: int = 51,
    adaptive: float | None = 0.01,
    seed: int = 0,
    batch_norm: BatchNorm | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = print,
) -> xr.Dataset:
    """Measure the plane that a run moves in most, and hold the run against random walks.

    Writes `surface/NAME` and `path/NAME`, `motion/NAME`, `random_walk/NAME` and, of runs long enough,
    `components_by_length/NAME`.

    Parameters
    ----------
    problem
        The problem that was trained.
    trajectory
        Kind `trajectory`.
    study, name
        Where to.
    points, adaptive
        Of the surface, as for `loss_surface`.
    seed
        Of the simulated walks.
    batch_norm
        Whose statistics the losses are measured with: `"recalibrate"` computes them anew at every point, and is the
        default where the network has any, since those stored in the problem's model belong to none of the points.
    overwrite
        Replace a surface of another run or grid.
    say
        Told what is being done.

    Returns
    -------
    Dataset
        The path on its principal plane.

    Raises
    ------
    ValueError
        Before anything is measured: another kind than `trajectory`, fewer than three rows, or weights of another
        network.
    """
    need_run(problem, trajectory)
    for what in RESULTS:
        refuse_nested(study_path(study), f"{what}/{name}")
    problem = _with_statistics(problem, batch_norm, say)
    say("Measuring the principal plane of the training path ...")
    plane = principal_plane(trajectory)
    if overwrite and (attrs_of(study_path(study), f"surface/{name}") or {}).get("kind") == "surface":
        shutil.rmtree(group_path(study_path(study), f"surface/{name}"))
    surface = loss_surface(problem, plane, points=points, adaptive=adaptive, store=study, name=f"surface/{name}")
    path = project_trajectory(trajectory, plane, problem)
    save(path, study, f"path/{name}", overwrite=True)
    steps = trajectory.sizes["step"]
    walk = random_walk(trajectory, num_walks=int(np.clip(_WORK / steps**3, 10, 100)), seed=seed)
    save(walk, study, f"random_walk/{name}", overwrite=True)
    save(motion(trajectory), study, f"motion/{name}", overwrite=True)
    if steps >= 2 * _LENGTHS:
        rows = sorted({max(4, round(steps * (k + 1) / _LENGTHS)) for k in range(_LENGTHS)})
        found = components_by_length(trajectory, [int(trajectory["step"][row - 1]) for row in rows])
        save(found, study, f"components_by_length/{name}", overwrite=True)
    first, second = plane.info["explained_variance_ratio"]
    theory = walk["theory"].values
    say(
        f"  {surface.attrs.get('num_evaluated', points**2)} of {points**2:,} points "
        f"evaluated; the plane holds {first + second:.1%} of the path's variance (a random walk's: "
        f"{theory[:2].sum():.1%})"
    )
    return path


def need_run(problem: Problem, trajectory: xr.Dataset) -> None:
    """Refuse what is no training run of the problem's network, or too short a one."""
    num_weights = recorded_weights(trajectory, LEAST, "the plane of a run").sizes["weight"]
    if num_weights != problem.num_weights:
        raise ValueError(
            f"The trajectory has {num_weights} weights, the problem {problem.num_weights}; they belong to different "
            "networks."
        )


def _with_statistics(problem: Problem, batch_norm: BatchNorm | None, say: Callable[[str], None]) -> Problem:
    problem = calibrated(problem, batch_norm)
    used = problem.provenance().get("batch_norm")
    if used == "recalibrate":
        say("Batch normalisation: statistics are computed anew at every point.")
    elif used == "running":
        say("Batch normalisation: the statistics stored in the model are used at every point.")
    return problem
