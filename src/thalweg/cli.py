"""The command line: each verb is one measure and one save, or one load and one figure."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="See and measure the loss landscapes of neural networks.\n\n"
    "Start with `thalweg demo`. For your own network write a function that returns a `thalweg.ModuleProblem`, and "
    "point `thalweg surface` at it: `thalweg surface my_module:make_problem`.",
)
out = Console(highlight=False, soft_wrap=True)


class Along(StrEnum):
    """Where to look."""

    line = "line"
    plane = "plane"
    box = "box"
    segment = "segment"
    through = "through"
    path = "path"


class Normalize(StrEnum):
    """How random directions are scaled."""

    filter = "filter"
    layer = "layer"
    none = "none"


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the study and the report go.")] = Path("thalweg-demo"),
    seed: Annotated[int, typer.Option(help="Of the network, the batches and the directions.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; small networks are fastest on one.")] = 1,
) -> None:
    """Train a small network on real digits, measure its loss surface and its path, write a report.

    Takes about half a minute. Leaves `study.zarr` (the numbers) and `report.html` (the pictures, one self-contained
    page).
    """
    began = time.perf_counter()
    with _explained():
        _use_threads(threads)
        from thalweg.apps.demo import demo as run

        made = run(folder, seed=seed, say=lambda text: out.print(escape(text)))
    out.print(f"Done in {time.perf_counter() - began:.0f} s.")
    out.print(f"  report  {escape(str(made.page.resolve()))}")
    out.print(f"  study   {escape(str(made.study.resolve()))}")


@app.command()
def surface(
    target: Annotated[str, typer.Argument(help="`package.module:make_problem` or `file.py:make_problem`.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights to stand at: .safetensors, or a PyTorch file of tensors only.")
    ] = None,
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
    num_examples: Annotated[int | None, typer.Option(help="Use a fixed random subset of the examples.")] = None,
    gradient: Annotated[bool, typer.Option("--gradient", help="Measure the gradient in the coordinates too.")] = False,
    store: Annotated[
        Path, typer.Option(help="The study to write to. The same command again resumes, or shares the work.")
    ] = Path("study.zarr"),
    name: Annotated[str | None, typer.Option(help="The result's name in the study.")] = None,
    trajectory: Annotated[str, typer.Option(help="For `--along path`: the recorded run in the study.")] = "trajectory",
    html: Annotated[Path | None, typer.Option(help="Write the study's report here afterwards.")] = None,
    device: Annotated[str | None, typer.Option(help="Passed to make_problem(device=...): cpu, cuda.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; torch's default if not given.")] = None,
) -> None:
    """Measure the loss surface of your own network.

    `TARGET` names a function of yours that returns a `thalweg.ModuleProblem`; with `--checkpoint` the weights are
    loaded into it. The
    result is written block by block: a run that is interrupted, or killed, goes on where it was when the same command
    is
    given again, and the same command started several times at once shares the work.
    """
    with _explained():
        _use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.measures import describe_cost, loss_surface

        problem: Any = make_problem(target, device=device)
        if checkpoint is not None:
            problem = problem.with_checkpoint(checkpoint)
        subspace = _subspace(problem, along, to or [], seed, normalize, store, trajectory)
        counts = _points(points)
        total = _total(counts, len(subspace.dims))
        out.print(escape(describe_cost(problem, total, num_examples, adaptive)) + " ...")
        result = loss_surface(
            problem,
            subspace,
            extent=_extent(extent),
            points=counts,
            factor=factor,
            adaptive=adaptive,
            num_examples=num_examples,
            gradient=gradient,
            store=store,
            name=name,
        )
        from thalweg.apps import words

        for paragraph in words.surface(result):
            out.print(escape(paragraph))
        if along is Along.path:
            _save_path(problem, subspace, store, trajectory, name)
        out.print(f"Saved in {escape(str(store.resolve()))}. See it: thalweg show {escape(str(store))}")
        if html is not None:
            from thalweg.apps.report import report

            out.print(f"Report: {escape(str(report(store, html).resolve()))}")


@app.command()
def show(
    study: Annotated[Path, typer.Argument(help="A study, such as `study.zarr`.")],
    output: Annotated[
        Path | None, typer.Option("--out", help="The page to write; beside the study if not given.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Draw what is in a study: one self-contained HTML page."""
    with _explained():
        from thalweg.apps.report import report
        from thalweg.store import load, results

        for name in results(study):
            dataset = load(study, name)
            sizes = " x ".join(f"{dim} {n:,}" for dim, n in dataset.sizes.items())
            out.print(escape(f"  {name}: {dataset.attrs['kind']}, {sizes}"))
        page = report(study, output)
        out.print(f"Report: {escape(str(page.resolve()))}")
        if browser:
            typer.launch(page.resolve().as_uri())


@app.command()
def export(
    study: Annotated[Path, typer.Argument(help="A study, such as `study.zarr`.")],
    name: Annotated[str, typer.Argument(help="The result: `surface/random`.")],
    file: Annotated[
        Path,
        typer.Argument(help="Where to: .nc (NetCDF), .vtu .vtk .ply .obj .stl (mesh), .png .svg .pdf .html (picture)."),
    ],
) -> None:
    """Write one result for another program."""
    with _explained():
        from thalweg.export import MESHES, to_netcdf, to_vtk
        from thalweg.store import load

        result = load(study, name)
        if file.suffix == ".nc":
            to_netcdf(result, file)
        elif file.suffix in MESHES:
            to_vtk(result, file)
        else:
            _save_picture(result, file)
        out.print(f"Wrote {escape(str(file.resolve()))}")


def _subspace(
    problem: Any, along: Along, to: list[Path], seed: int, normalize: Normalize, store: Path, trajectory: str
) -> Any:
    from thalweg import subspaces
    from thalweg.measures import principal_plane
    from thalweg.store import load

    needed = {Along.segment: 1, Along.through: 2}.get(along, 0)
    if len(to) != needed:
        raise ValueError(f"--along {along.value} needs {needed} further checkpoint(s) with --to; {len(to)} came.")
    if along is Along.path:
        return principal_plane(load(store, trajectory))
    if needed:
        ends = [problem.with_checkpoint(file).theta for file in to]
        if along is Along.segment:
            return subspaces.Segment(problem.theta, *ends)
        return subspaces.plane_through(problem.theta, *ends)
    scale: Any = None if normalize is Normalize.none else normalize.value
    if along is Along.box:
        return subspaces.random_box(problem, 3, seed=seed, normalize=scale)
    make = subspaces.random_line if along is Along.line else subspaces.random_plane
    return make(problem, seed=seed, normalize=scale)


def _save_path(problem: Any, plane: Any, store: Path, trajectory: str, name: str | None) -> None:
    from thalweg.measures import project_trajectory
    from thalweg.store import load, save

    path = project_trajectory(load(store, trajectory), plane, problem)
    save(path, store, (name or "surface/principal").replace("surface", "path", 1), overwrite=True)


def _save_picture(result: Any, file: Path) -> None:
    from thalweg import figures

    dims = len([dim for dim in result.attrs.get("coordinates", []) if dim in result.dims])
    kind = result.attrs["kind"]
    if kind == "path":
        figure = figures.path(result)
    elif kind == "surface":
        figure = figures.profile(result) if dims == 1 else figures.surface(result)
    else:
        raise ValueError(f"A {kind} has no picture of its own; `thalweg show` draws what belongs to it.")
    figures.save(figure, file)


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
    if len(axes) > 1:
        return [axis if len(axis) == 2 else [-axis[0], axis[0]] for axis in axes]
    return axes[0] if len(axes[0]) == 2 else axes[0][0]


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


@contextmanager
def _explained() -> Iterator[None]:
    """Errors that a user can mend are told in a line, without a traceback."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OSError, ModuleNotFoundError) as error:
        if "--traceback" in sys.argv:
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        out.print(f"[bold red]Error:[/] {escape(str(text))}")
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        out.print("Interrupted. What was measured is in the study; the same command goes on from there.")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
