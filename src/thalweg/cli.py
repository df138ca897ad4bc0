"""The command line: each verb is one measure and one save, or one load and one figure."""

from __future__ import annotations

import os
import sys
import time
import traceback
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
PICTURES = (".html", ".png", ".svg", ".pdf")
out = Console(highlight=False, soft_wrap=True)


class Along(StrEnum):
    """Where to look."""

    line = "line"
    plane = "plane"
    box = "box"
    segment = "segment"
    through = "through"
    path = "path"
    eigen = "eigen"


class Matrix(StrEnum):
    """Which curvature."""

    hessian = "hessian"
    ggn = "ggn"
    fisher = "fisher"
    fisher_sampled = "fisher_sampled"
    empirical_fisher = "empirical_fisher"


class Which(StrEnum):
    """Which end of a spectrum."""

    magnitude = "magnitude"
    largest = "largest"
    smallest = "smallest"
    both = "both"


class Normalize(StrEnum):
    """How random directions are scaled."""

    filter = "filter"
    layer = "layer"
    none = "none"


class BatchNorm(StrEnum):
    """Whose statistics batch normalisation uses."""

    running = "running"
    recalibrate = "recalibrate"


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the study and the report; thalweg-demo, or thalweg-demo-NAME."),
    ] = None,
    landscape: Annotated[
        str | None, typer.Option(help="A landscape written down instead, such as multiply-by-one; `list` names all.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="With --landscape: the learning rate of plain gradient descent.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="With --landscape: its number of steps.")] = None,
    seed: Annotated[int, typer.Option(help="Of the network, the batches and the directions.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; small networks are fastest on one.")] = 1,
) -> None:
    """Train a small network on real digits, measure its loss surface and its path, write a report.

    With `--landscape NAME`: the surface and the gradient of a function of two weights, its critical points, and
    descents from everywhere; `--lr` and `--steps` change the pace of plain gradient descent. Takes about a minute.
    Leaves `study.zarr` (the numbers) and `report.html` (the pictures, one self-contained page).
    """
    began = time.perf_counter()
    with _explained():
        _use_threads(threads)
        if landscape == "list":
            _list_landscapes()
            return
        if landscape is None:
            _refuse_pace(lr, steps)
        made = _made(landscape, folder, seed, lr, steps)
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
    batch_norm: Annotated[
        BatchNorm | None, typer.Option(help="Statistics as stored in the model, or recomputed at every point.")
    ] = None,
    gradient: Annotated[bool, typer.Option("--gradient", help="Measure the gradient in the coordinates too.")] = False,
    store: Annotated[
        Path, typer.Option(help="The study to write to. The same command again resumes, or shares the work.")
    ] = Path("study.zarr"),
    name: Annotated[str | None, typer.Option(help="The result's name in the study.")] = None,
    trajectory: Annotated[str, typer.Option(help="For `--along path`: the recorded run in the study.")] = "trajectory",
    html: Annotated[Path | None, typer.Option(help="Write the study's report here afterwards.")] = None,
    device: Annotated[str | None, typer.Option(help="Passed to make_problem(device=...): cpu, cuda.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's default if not given.")] = None,
) -> None:
    """Measure the loss surface of your own network.

    `TARGET` names a function of yours that returns a `thalweg.ModuleProblem`; with `--checkpoint` the weights are
    loaded into it. The result is written block by block: a run that is interrupted, or killed, goes on where it was
    when the same command is given again, and the same command started several times at once shares the work; so it
    resumes by itself.
    """
    with _explained():
        _use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.measures import default_name, loss_surface

        grid: dict[str, Any] = {"extent": _extent(extent), "points": _points(points), "factor": factor}
        options: dict[str, Any] = {"adaptive": adaptive, "num_examples": num_examples, "gradient": gradient}
        problem = _standing(make_problem(target, device=device), checkpoint, batch_norm)
        subspace = _subspace(problem, along, to or [], seed, normalize, store, trajectory)
        name = name or default_name(subspace)
        _announce(problem, _total(grid["points"], len(subspace.dims)), options, store, name)
        result = loss_surface(problem, subspace, store=store, name=name, **grid, **options)
        _tell(result)
        if along is Along.path:
            _save_path(problem, subspace, store, trajectory, name)
        _saved(store, name, html)


@app.command()
def spectrum(
    target: Annotated[str, typer.Argument(help="`package.module:make_problem` or `file.py:make_problem`.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights to stand at: .safetensors, or a PyTorch file of tensors only.")
    ] = None,
    k: Annotated[int, typer.Option("--pairs", "-k", help="How many eigenpairs.")] = 10,
    matrix: Annotated[Matrix, typer.Option(help="Which curvature.")] = Matrix.hessian,
    which: Annotated[Which, typer.Option(help="Which end of the spectrum.")] = Which.magnitude,
    parameters: Annotated[
        list[str] | None, typer.Option(help="Only this block: a parameter, a layer, or a pattern such as '*.bias'.")
    ] = None,
    tol: Annotated[float, typer.Option(help="Residual of each pair, against the largest eigenvalue.")] = 1e-3,
    density: Annotated[bool, typer.Option("--density", help="Measure the density of all eigenvalues too.")] = False,
    probes: Annotated[int, typer.Option(min=2, help="For the density: random vectors.")] = 10,
    num_examples: Annotated[int | None, typer.Option(help="Use a fixed random subset of the examples.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    store: Annotated[Path, typer.Option(help="The study to write to.")] = Path("study.zarr"),
    name: Annotated[str | None, typer.Option(help="The result's name in the study; spectrum/MATRIX.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of that name.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the study's report here afterwards.")] = None,
    device: Annotated[str | None, typer.Option(help="Passed to make_problem(device=...): cpu, cuda.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's default if not given.")] = None,
) -> None:
    """Measure the curvature of your own network: the top eigenpairs, and on request the whole density.

    `TARGET` and `--checkpoint` are as for `thalweg surface`. Every eigenvalue comes with its residual; one that did
    not converge is told so.
    """
    with _explained():
        _use_threads(threads)
        from thalweg.apps import words_curvature
        from thalweg.apps.target import make_problem
        from thalweg.measures import spectral_density, top_eigenpairs
        from thalweg.store import save

        name = name or f"spectrum/{matrix.value}"
        wanted = [name, f"density/{name.removeprefix('spectrum/')}"][: 1 + density]
        problem = _standing(make_problem(target, device=device), checkpoint, None)
        _free(store, wanted, overwrite)
        options: dict[str, Any] = {"matrix": matrix.value, "parameters": parameters or None, "seed": seed}
        options["num_examples"] = num_examples
        pairs = top_eigenpairs(problem, k, which=which.value, tol=tol, **options)
        told, results = words_curvature.eigenpairs(pairs), [pairs]
        if density:
            results.append(spectral_density(problem, num_probes=probes, **options))
            told += words_curvature.density(results[1])
        for paragraph in told:
            out.print(escape(paragraph))
        for result, result_name in zip(results, wanted, strict=True):
            save(result, store, result_name, overwrite=overwrite)
        _saved(store, " and ".join(wanted), html)


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
            try:
                dataset = load(study, name)
            except Exception as error:
                out.print(escape(f"  {name}: damaged ({error})"))
                continue
            sizes = " x ".join(f"{dim} {n:,}" for dim, n in dataset.sizes.items())
            unfinished = "" if dataset.attrs.get("complete", True) else ", not complete"
            out.print(escape(f"  {name}: {dataset.attrs['kind']}, {sizes}{unfinished}"))
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
        from thalweg.apps.sections import path_name
        from thalweg.export import MESHES, to_netcdf, to_vtk
        from thalweg.store import load, results

        result = load(study, name)
        if file.suffix == ".nc":
            to_netcdf(result, file)
        elif file.suffix in MESHES:
            to_vtk(result, file)
        else:
            partner = path_name(name)
            path = load(study, partner) if partner in results(study) else None
            _save_picture(result, path, file)
        out.print(f"Wrote {escape(str(file.resolve()))}")


def _saved(store: Path, name: str, html: Path | None) -> None:
    """Where results are, and the report if it was asked for."""
    out.print(f"Saved in {escape(str(store.resolve()))} as {escape(name)}. See it: thalweg show {escape(str(store))}")
    if html is not None:
        from thalweg.apps.report import report

        out.print(f"Report: {escape(str(report(store, html).resolve()))}")


def _free(store: Path, names: list[str], overwrite: bool) -> None:
    """Refuse names that are taken before anything is computed."""
    from thalweg.store import results
    from thalweg.store.tree import refuse_nested

    for name in names:
        refuse_nested(store.expanduser(), name)
    if overwrite or not store.expanduser().exists():
        return
    taken = [name for name in names if name in results(store)]
    if taken:
        raise FileExistsError(f"{store} already holds {taken[0]}. Add --overwrite, or choose another --name.")


def _list_landscapes() -> None:
    from thalweg.landscapes import landscape, names

    for name in names():
        shown = landscape(name)
        out.print(escape(f"  {name:18} {shown.title}: {shown.formula}"))


def _refuse_pace(lr: float | None, steps: int | None) -> None:
    """`--lr` and `--steps` belong to a landscape's demo."""
    for option, value in (("--lr", lr), ("--steps", steps)):
        if value is not None:
            raise ValueError(
                f"{option} {value:g} came without --landscape; it is the pace of descent on a landscape. Add "
                "--landscape NAME (`--landscape list` names all), or leave it out."
            )


def _made(landscape: str | None, folder: Path | None, seed: int, lr: float | None, steps: int | None) -> Any:
    """The demo of a network, or of a written landscape."""

    def say(text: str) -> None:
        out.print(escape(text))

    if landscape is not None:
        from thalweg.apps.landscape import landscape_demo
        from thalweg.landscapes import landscape as named

        name = named(landscape).name
        folder = folder or Path(f"thalweg-demo-{name}")
        return landscape_demo(name, folder, seed=seed, lr=lr, steps=steps, say=say)
    from thalweg.apps.demo import demo as run

    return run(folder or Path("thalweg-demo"), seed=seed, say=say)


def _standing(problem: Any, checkpoint: Path | None, batch_norm: BatchNorm | None) -> Any:
    """The problem at the checkpoint's weights, in the batch-norm mode asked for."""
    if not hasattr(problem, "with_checkpoint"):
        if checkpoint is not None or batch_norm is not None:
            raise ValueError("This problem is a written landscape; it takes no --checkpoint and no --batch-norm.")
        return problem
    if batch_norm is not None:
        problem = problem.with_batch_norm(batch_norm.value)
    if checkpoint is None:
        out.print("No --checkpoint: standing at the weights that the function gives.")
        return problem
    return problem.with_checkpoint(checkpoint)


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


def _save_picture(result: Any, path: Any, file: Path) -> None:
    """`.html` interactive; everything else drawn by matplotlib, as for a paper."""
    from thalweg import figures
    from thalweg.export import MESHES

    if file.suffix not in PICTURES:
        every = ", ".join((*PICTURES, ".nc", *MESHES))
        raise ValueError(f"{file.name} has the suffix {file.suffix!r}; results are written as {every}.")
    backend: Any = "plotly" if file.suffix == ".html" else "matplotlib"
    figures.save(figures.picture(result, path=path, backend=backend), file)


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


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


@contextmanager
def _explained() -> Iterator[None]:
    """Errors are told in a line, with the place in the user's own code; THALWEG_TRACEBACK=1 shows everything."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        out.print("Interrupted. What was measured is in the study; `thalweg surface`, given again, goes on from there.")
        raise typer.Exit(130) from None
    except Exception as error:
        if os.environ.get("THALWEG_TRACEBACK"):
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        out.print(f"[bold red]Error:[/] {escape(str(text).strip() or type(error).__name__)}{escape(_place(error))}")
        raise typer.Exit(2) from error


def _place(error: Exception) -> str:
    """Where in the user's own code an error arose, if it did; our own refusals need no place."""
    kind = next(c.__name__ for c in type(error).__mro__ if not c.__name__.startswith("_"))
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    ours = isinstance(error, ValueError) and not own
    if own:
        return f" ({kind} in {Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name})"
    plain = ours or isinstance(error, (TypeError, KeyError, OSError, ModuleNotFoundError))
    return "" if plain else f" ({kind}; THALWEG_TRACEBACK=1 shows where)"


def _is_users(file: str) -> bool:
    package = Path(__file__).parent
    return not (
        Path(file).is_relative_to(package)
        or "site-packages" in file
        or file.startswith((sys.prefix, "<"))
        or Path(file).is_relative_to(Path(traceback.__file__).parent)
    )


if __name__ == "__main__":
    app()
