"""`thalweg tangent`."""

from __future__ import annotations

import html as markup
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import (
    Checkpoint,
    Device,
    Html,
    Overwrite,
    Target,
    Threads,
    explained,
    free,
    out,
    saved,
    standing,
    use_threads,
)


class Split(StrEnum):
    """Whose inputs."""

    train = "train"
    test = "test"


class Method(StrEnum):
    """How singular values are found."""

    auto = "auto"
    exact = "exact"
    randomized = "randomized"
    lanczos = "lanczos"


def tangent(
    target: Target,
    checkpoint: Checkpoint = None,
    k: Annotated[
        int | None, typer.Option("--values", "-k", min=1, help="How many singular values; up to the rank, at most 100.")
    ] = None,
    inputs: Annotated[Split, typer.Option(help="The inputs whose outputs are linearised.")] = Split.train,
    outputs: Annotated[str, typer.Option(help="all, sum, loss, or the number of one output.")] = "all",
    method: Annotated[Method, typer.Option(help="How; lanczos never stores the Jacobian.")] = Method.auto,
    kernel: Annotated[
        int, typer.Option(min=0, help="The tangent kernel of so many examples, the first; 0 for none.")
    ] = 300,
    gradients: Annotated[
        bool, typer.Option("--gradients/--no-gradients", help="Norms by layer and example, noise scale, cosines.")
    ] = True,
    scheme: Annotated[
        list[str] | None,
        typer.Option(help="Compare initialisations too: he_normal, xavier_uniform, orthogonal, 'uniform(0.03)', ..."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="With --scheme: training steps of each.")] = 500,
    run: Annotated[
        str | None,
        typer.Option(help="A recorded run in the study: its tangent along the way, and how far it leaves the first."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="With --run: look at every so many recorded steps.")] = 1,
    seed: Annotated[int, typer.Option(help="Of random projections and of initialisations.")] = 0,
    store: Annotated[Path, typer.Option(help="The study to write to.")] = Path("study.zarr"),
    name: Annotated[str, typer.Option(help="Of the results in the study.")] = "here",
    overwrite: Overwrite = False,
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Linearise your own network in its weights: singular values, principal features, kernel, gradients.

    `TARGET` and `--checkpoint` are as for `thalweg surface`; the problem has a network with outputs. With `--scheme`
    (several times) its initialisations are compared, before and after training.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps import sections_tangent
        from thalweg.apps.tangent import along, save_all, tangent
        from thalweg.apps.target import make_problem
        from thalweg.measures import compare_initializations
        from thalweg.measures.recorded import recorded
        from thalweg.measures.schemes import scheme as known
        from thalweg.store import load

        which = _output(outputs)
        for name_of_scheme in scheme or ():
            known(name_of_scheme)
        problem: Any = standing(make_problem(target, device=device), checkpoint, None)
        wanted = {"tangent": True, "kernel": bool(kernel) and which != "loss", "gradients": gradients}
        wanted |= {"initializations": bool(scheme), "tangent_path": run is not None, "lazy": run is not None}
        names = [f"{kind}/{name}" for kind, asked in wanted.items() if asked]
        free(store, names, overwrite)
        trajectory = None if run is None else load(store, run)
        if trajectory is not None:
            recorded(trajectory, problem)
        settings: dict[str, Any] = {"inputs": inputs.value, "outputs": which, "k": k, "method": method.value}
        found = tangent(problem, kernel_examples=kernel, gradients=gradients, seed=seed, **settings)
        if scheme:
            found["initializations"] = compare_initializations(problem, scheme, seed=seed, steps=steps)
        if trajectory is not None:
            found |= along(problem, trajectory, every)
        save_all(found, store, name, overwrite=overwrite)
        for dataset in found.values():
            for paragraph in sections_tangent.told(dataset):
                out.print(escape(markup.unescape(paragraph)))
        saved(store, " and ".join(names), html)


def _output(given: str) -> Any:
    """`all`, `sum`, `loss`, or a number."""
    if given in ("all", "sum", "loss"):
        return given
    if not given.isdecimal():
        raise ValueError(f"--outputs {given}; expected all, sum, loss, or the number of one output, from 0.")
    return int(given)
