"""`thalweg surface`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import (
    BatchNorm,
    Checkpoint,
    Device,
    Html,
    NumExamples,
    Target,
    Threads,
    explained,
    out,
    saved,
    standing,
    use_threads,
)


class Along(StrEnum):
    """Where to look."""

    line = "line"
    plane = "plane"
    box = "box"
    segment = "segment"
    through = "through"
    path = "path"
    eigen = "eigen"


class Normalize(StrEnum):
    """How random directions are scaled."""

    filter = "filter"
    layer = "layer"
    none = "none"


def surface(
    target: Target,
    checkpoint: Checkpoint = None,
    along: Annotated[Along, typer.Option(help="What to look along.")] = Along.plane,
    to: Annotated[
        list[Path] | None, typer.Option(help="Further checkpoints: one for a segment, two for the plane through three.")
    ] = None,
    points: Annotated[str, typer.Option(help="Points along each axis: `51`, or `51x41`.")] = "51",
    extent: Annotated[
        str, typer.Option(help="How far: `auto`, a radius, `low,high`, or one for each axis: `-1,1x-2,2`.")
    ] = "auto",
    factor: Annotated[
        float, typer.Option(help="For `auto`: how many times the origin's loss the picture may reach.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the random directions.")] = 0,
    normalize: Annotated[Normalize, typer.Option(help="Scaling of random directions.")] = Normalize.filter,
    adaptive: Annotated[
        float | None, typer.Option(help="Evaluate only where needed for this error, a fraction of the range: 0.01.")
    ] = None,
    num_examples: NumExamples = None,
    batch_norm: Annotated[
        BatchNorm | None, typer.Option(help="Statistics as stored in the model, or recomputed at every point.")
    ] = None,
    gradient: Annotated[bool, typer.Option("--gradient", help="Measure the gradient in the coordinates too.")] = False,
    store: Annotated[
        Path, typer.Option(help="The study to write to. The same command again resumes, or shares the work.")
    ] = Path("study.zarr"),
    name: Annotated[str | None, typer.Option(help="The result's name in the study.")] = None,
    trajectory: Annotated[str, typer.Option(help="For `--along path`: the recorded run in the study.")] = "trajectory",
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Measure the loss surface of your own network.

    `TARGET` names a function of yours that returns a `thalweg.ModuleProblem`; with `--checkpoint` the weights are
    loaded into it. The result is written block by block: a run that is interrupted, or killed, goes on where it was
    when the same command is given again, and the same command started several times at once shares the work; so it
    resumes by itself.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.measures import default_name, loss_surface

        grid: dict[str, Any] = {"extent": _extent(extent), "points": _points(points), "factor": factor}
        options: dict[str, Any] = {"adaptive": adaptive, "num_examples": num_examples, "gradient": gradient}
        problem = standing(make_problem(target, device=device), checkpoint, batch_norm)
        subspace = _subspace(problem, along, to or [], seed, normalize, store, trajectory)
        name = name or default_name(subspace)
        _announce(problem, _total(grid["points"], len(subspace.dims)), options, store, name)
        result = loss_surface(problem, subspace, store=store, name=name, **grid, **options)
        _tell(result)
        if along is Along.path:
            _save_path(problem, subspace, store, trajectory, name)
        saved(store, name, html)


def _announce(problem: Any, total: int, options: dict[str, Any], store: Path, name: str) -> None:
    """What it will cost; and if the store holds a part of it already, how much."""
    from thalweg.measures import describe_cost
    from thalweg.store.grid import stored_attrs

    before = stored_attrs(store.expanduser(), name) if store.expanduser().is_dir() else None
    if before is not None:
        state = "complete already" if before.get("complete") else "begun already; it goes on from there"
        out.print(escape(f"{name} in {store} is {state}."))
        return
    out.print(escape(describe_cost(problem, total, options["num_examples"], options["adaptive"])) + " ...")


def _tell(result: Any) -> None:
    from thalweg.apps import words

    for paragraph in words.surface(result):
        out.print(escape(paragraph))


def _subspace(
    problem: Any, along: Along, to: list[Path], seed: int, normalize: Normalize, store: Path, trajectory: str
) -> Any:
    from thalweg import subspaces
    from thalweg.measures import eigen_plane, principal_plane
    from thalweg.store import load

    needed = {Along.segment: 1, Along.through: 2}.get(along, 0)
    if len(to) != needed:
        takes = {0: "no --to", 1: "one --to, the other end", 2: "two --to, the other corners"}[needed]
        raise ValueError(f"--along {along.value} takes {takes}; {len(to)} came.")
    if along is Along.path:
        return principal_plane(load(store, trajectory))
    if along is Along.eigen:
        return eigen_plane(problem)
    if along is Along.segment:
        return subspaces.Segment(problem.theta, *_ends(problem, to))
    if along is Along.through:
        return subspaces.plane_through(problem.theta, *_ends(problem, to))
    scale: Any = None if normalize is Normalize.none else normalize.value
    if along is Along.box:
        return subspaces.random_box(problem, 3, seed=seed, normalize=scale)
    make = subspaces.random_line if along is Along.line else subspaces.random_plane
    return make(problem, seed=seed, normalize=scale)


def _ends(problem: Any, files: list[Path]) -> list[Any]:
    """Weights of further checkpoints; refused where their own buffers matter, which a surface cannot carry along."""
    ends = []
    for file in files:
        there = problem.with_checkpoint(file)
        theta = there.theta
        own, here = (float(p.measure(theta.unsqueeze(0)).values["loss"][0]) for p in (there, problem))
        if not abs(own - here) <= 1e-3 * max(abs(own), abs(here)):
            raise ValueError(
                f"With its own buffers {file.name} has the loss {own:.4g}, with those of the model {here:.4g}: its "
                "batch-norm statistics belong to it, and along the way each point has its own. Add --batch-norm "
                "recalibrate, which computes them at every point."
            )
        ends.append(theta)
    return ends


def _save_path(problem: Any, plane: Any, store: Path, trajectory: str, name: str) -> None:
    """The path beside its surface, in place of an earlier path of that name and of nothing else."""
    from thalweg.apps.sections import path_name
    from thalweg.measures import project_trajectory
    from thalweg.store import load, results, save

    target = path_name(name)
    replace = target in results(store) and load(store, target).attrs["kind"] == "path"
    save(project_trajectory(load(store, trajectory), plane, problem), store, target, overwrite=replace)


def _points(text: str) -> Any:
    try:
        counts = [int(part) for part in text.split("x")]
    except ValueError as error:
        raise ValueError(f"--points {text!r}; write `51`, or `51x41` for each axis.") from error
    return counts[0] if len(counts) == 1 else counts


def _total(counts: Any, dim: int) -> int:
    total = 1
    for k in range(dim):
        total *= counts if isinstance(counts, int) else counts[min(k, len(counts) - 1)]
    return total


def _extent(text: str) -> Any:
    if text == "auto":
        return text
    try:
        axes = [[float(bound) for bound in part.split(",")] for part in text.split("x")]
    except ValueError as error:
        raise ValueError(
            f"--extent {text!r}; write `auto`, a radius `0.5`, a pair `-1,2`, or pairs `-1,1x-2,2`."
        ) from error
    if any(len(axis) > 2 for axis in axes):
        raise ValueError(f"--extent {text!r} has more than two bounds for an axis; write `-1,2`, or `-1,1x-2,2`.")
    if len(axes) > 1:
        return [axis if len(axis) == 2 else [-axis[0], axis[0]] for axis in axes]
    return axes[0] if len(axes[0]) == 2 else axes[0][0]
