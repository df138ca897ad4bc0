"""`thalweg trajectory`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from thalweg.cli.common import Device, Html, Target, Threads, explained, out, saved, use_threads


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
    store: Annotated[Path, typer.Option(help="The study to read from and to write to.")] = Path("study.zarr"),
    name: Annotated[str, typer.Option(help="Of the results in the study.")] = "principal",
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Look at a whole training run: the plane it moves in most, its speed and turns, and the same of random walks.

    The run is one that a `Recorder` wrote into the study, or a folder of checkpoints. `TARGET` is as for
    `thalweg surface`: the problem that was trained.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.apps.training import training
        from thalweg.measures import read_trajectory
        from thalweg.store import load, results

        problem, study = make_problem(target, device=device), store.expanduser()
        if checkpoints is not None:
            if study.exists() and run in results(study):
                raise FileExistsError(
                    f"{store} already holds {run}. Leave out --checkpoints to look at it, or choose another --run."
                )
            recorded = read_trajectory(checkpoints, problem, pattern=pattern, study=study, name=run)
            out.print(escape(f"{recorded.sizes['step']} checkpoints were read into {store} as {run}."))
        else:
            recorded = load(study, run)
        training(
            problem,
            recorded,
            study,
            name,
            points=points,
            adaptive=adaptive,
            seed=seed,
            say=lambda text: out.print(escape(text)),
        )
        saved(store, f"path/{name}", html)
