"""A written landscape seen whole: its surface and gradient, its critical points, and descents from everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from thalweg.apps.place import new_study
from thalweg.apps.report import report
from thalweg.apps.runs import Run, runs
from thalweg.apps.words_descent import ends, kinds
from thalweg.landscapes import Landscape, landscape
from thalweg.measures import below, critical_points, descend, gradient_field, outcomes, project_trajectory
from thalweg.problem import FunctionProblem
from thalweg.store import save
from thalweg.subspaces import Plane, coordinate_plane

_POINTS = 101
_EPS = 0.1  # of the median gradient: what is drawn as nearly flat
_LONG, _DENSE, _MOST = 500, 4000, 200  # iterates: all are kept; most that are measured; kept of a longer descent


class Demo(NamedTuple):
    """Where a landscape's demo left what it made."""

    study: Path
    page: Path


def landscape_demo(
    name: str,
    folder: str | Path,
    *,
    seed: int = 0,
    lr: float | None = None,
    steps: int | None = None,
    say: Callable[[str], None] = print,
) -> Demo:
    """Measure the landscape `name`, descend it from everywhere, and write `study.zarr` and `report.html`.

    `lr` and `steps` are the pace of plain gradient descent, if it is to be another than the one chosen for this
    landscape.

    Raises
    ------
    ValueError
        If there is no landscape of that name (the message lists those that exist), or `lr` or `steps` is not positive.
    FileExistsError, NotADirectoryError
        If the folder holds a study already, or is a file.
    """
    shown = landscape(name, seed)
    problem = shown.problem()
    planned = runs(shown, problem, seed=seed, lr=lr, steps=steps)
    study = new_study(folder)
    plane = coordinate_plane(problem)
    say(f"{shown.title}: {shown.formula}")
    where = f"surface/{shown.name}"
    _measure(shown, problem, plane, study, where, say)
    for order, run in enumerate(planned):
        paths = _descended(run, shown, problem, plane)
        paths.attrs |= {"on": where, "title": run.title, "about": run.about, "order": order}
        save(paths, study, f"descent/{run.name}")
        say(f"  {run.title}: {'; '.join(ends(paths))}")
    page = report(study, study.with_name("report.html"), title=shown.title)
    return Demo(study, page)


def _measure(
    shown: Landscape, problem: FunctionProblem, plane: Plane, study: Path, where: str, say: Callable[[str], None]
) -> None:
    """The surface with its gradient and what is nearly flat; the critical points."""
    extent = [list(axis) for axis in shown.extent]
    field = _nearly_flat(gradient_field(problem, plane, extent=extent, points=_POINTS))
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
    found.attrs |= {"on": where, "kinks": json.dumps(_kinks(shown, found))}
    save(found, study, f"critical_points/{shown.name}")
    say(f"  Critical points: {', '.join(kinds(found)) or 'none'}")


def _nearly_flat(field: xr.Dataset) -> xr.Dataset:
    """The surface with the region of small gradients marked, if there is one."""
    norm = field["gradient_norm"].values
    eps = float(f"{_EPS * np.median(norm[np.isfinite(norm)]):.1g}")
    marked = below(field, "gradient_norm", eps) if eps > 0 else field
    return marked if eps > 0 and marked["below_gradient_norm"].any() else field


def _kinks(shown: Landscape, found: xr.Dataset) -> list[dict]:
    """Known minima within the picture at which there is no gradient to vanish, less those that were found anyway."""
    places = np.stack([found[dim].values for dim in found.attrs["coordinates"]], axis=-1)
    width = max(high - low for low, high in shown.extent)
    inside = [
        point
        for point in shown.critical
        if not point.smooth and all(low <= x <= high for x, (low, high) in zip(point.at, shown.extent, strict=True))
    ]
    return [
        {"at": list(point.at), "type": point.type, "loss": point.loss}
        for point in inside
        if not (np.linalg.norm(places - point.at, axis=-1) < 1e-3 * width).any()
    ]


def _descended(run: Run, shown: Landscape, problem: FunctionProblem, plane: Plane) -> xr.Dataset:
    every = max(1, run.steps // _DENSE)
    paths = descend(problem, run.starts, run.optimizer, run.steps, every=every, **run.options)
    paths = outcomes(paths, problem, branches=shown.branches, side=shown.side, settle=run.settle)
    return project_trajectory(_thinned(paths), plane)


def _thinned(paths: xr.Dataset) -> xr.Dataset:
    """Of a long descent the iterates that a picture needs: close at first, then further and further apart."""
    last = paths.sizes["step"] - 1
    if last <= _LONG:
        return paths
    kept = np.unique(np.round(np.geomspace(1, last, _MOST)).astype(int))
    return paths.isel(step=[0, *kept.tolist()])
