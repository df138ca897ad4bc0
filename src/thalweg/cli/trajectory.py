"""`thalweg trajectory`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import BatchNorm, Device, Html, Overwrite, Target, Threads, explained, out, saved, use_threads


def trajectory(
    target: Target,
    checkpoints: Annotated[
        Path | None, typer.Option(help="A folder of checkpoints, taken in the order of the numbers in their names.")
    ] = None,
    pattern: Annotated[str | None, typer.Option(help="Which files of the folder, such as 'epoch-*.pt'.")] = None,
    run: Annotated[str, typer.Option(help="The recorded run in the study; the folder's is written there.")] = (
        "trajectory"
    ),
    points: Annotated[int, typer.Option(min=2, help="Points along each axis of the plane.")] = 51,
    adaptive: Annotated[
        float | None, typer.Option(help="Evaluate only where needed for this error, a fraction of the range.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="Of the simulated random walks.")] = 0,
    batch_norm: Annotated[
        BatchNorm | None, typer.Option(help="Statistics as stored in the model; computed at every point by default.")
    ] = None,
    store: Annotated[Path, typer.Option(help="The study to read from and to write to.")] = Path("study.zarr"),
    name: Annotated[str, typer.Option(help="Of the results in the study.")] = "principal",
    overwrite: Overwrite = False,
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Look at a whole training run: the plane it moves in most, its speed and turns, and the same of random walks.

    The run is one that a `Recorder` wrote into the study, or a folder of checkpoints. `TARGET` is as for
    `thalweg surface`: the problem that was trained. With `--overwrite` the folder's run replaces one that is there, and
    the surface one of another run or grid.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.apps.training import RESULTS, training
        from thalweg.store import StoreMismatchError, load
        from thalweg.store.tree import refuse_nested

        problem: Any = make_problem(target, device=device)
        study = store.expanduser()
        if batch_norm is not None and not hasattr(problem, "with_batch_norm"):
            raise ValueError("This problem is a written landscape; it takes no --batch-norm.")
        for what in RESULTS:
            refuse_nested(study, f"{what}/{name}")
        if checkpoints is not None:
            _import(checkpoints, pattern, problem, study, run, overwrite)
        recorded = load(study, run)
        settings: dict[str, Any] = {"points": points, "adaptive": adaptive, "seed": seed, "overwrite": overwrite}
        settings["batch_norm"] = None if batch_norm is None else batch_norm.value
        try:
            training(problem, recorded, study, name, say=lambda text: out.print(escape(text)), **settings)
        except StoreMismatchError as error:
            raise StoreMismatchError(f"{error} Or replace it: --overwrite.") from error
        saved(store, f"path/{name}", html)


def _import(folder: Path, pattern: str | None, problem: Any, study: Path, run: str, overwrite: bool) -> None:
    """Write a folder of checkpoints into the study, once it is known to be a run, in place of another run at most."""
    from thalweg.apps.training import LEAST
    from thalweg.measures import read_trajectory
    from thalweg.measures.checkpoints import checkpoint_files
    from thalweg.store import load, results

    if study.exists() and run in results(study):
        if not overwrite:
            raise FileExistsError(
                f"{study} already holds {run}. Leave out --checkpoints to look at it, add --overwrite to replace it, "
                "or choose another --run."
            )
        kind = load(study, run).attrs["kind"]
        if kind != "trajectory":
            raise FileExistsError(f"{run} in {study} is a result of kind {kind!r}, no run. Choose another --run.")
    files, _ = checkpoint_files(folder, pattern)
    if len(files) < LEAST:
        raise ValueError(f"{folder} has {len(files)} checkpoints, and a plane needs {LEAST} at least.")
    read = read_trajectory(folder, problem, pattern=pattern, study=study, name=run, overwrite=overwrite)
    out.print(escape(f"{read.sizes['step']} checkpoints were read into {study} as {run}."))
