"""`thalweg spectrum`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import (
    Checkpoint,
    Device,
    Html,
    NumExamples,
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


def spectrum(
    target: Target,
    checkpoint: Checkpoint = None,
    k: Annotated[int, typer.Option("--pairs", "-k", help="How many eigenpairs.")] = 10,
    matrix: Annotated[Matrix, typer.Option(help="Which curvature.")] = Matrix.hessian,
    which: Annotated[Which, typer.Option(help="Which end of the spectrum.")] = Which.magnitude,
    parameters: Annotated[
        list[str] | None, typer.Option(help="Only this block: a parameter, a layer, or a pattern such as '*.bias'.")
    ] = None,
    tol: Annotated[float, typer.Option(help="Residual of each pair, against the largest eigenvalue.")] = 1e-3,
    density: Annotated[bool, typer.Option("--density", help="Measure the density of all eigenvalues too.")] = False,
    probes: Annotated[int, typer.Option(min=2, help="For the density: random vectors.")] = 10,
    num_examples: NumExamples = None,
    seed: Annotated[int, typer.Option(help="Of the random vectors.")] = 0,
    store: Annotated[Path, typer.Option(help="The study to write to.")] = Path("study.zarr"),
    name: Annotated[str | None, typer.Option(help="The result's name in the study; spectrum/MATRIX.")] = None,
    overwrite: Overwrite = False,
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Measure the curvature of your own network: the top eigenpairs, and on request the whole density.

    `TARGET` and `--checkpoint` are as for `thalweg surface`. Every eigenvalue comes with its residual; one that did
    not converge is told so.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps import words_curvature
        from thalweg.apps.target import make_problem
        from thalweg.measures import spectral_density, top_eigenpairs
        from thalweg.store import save

        name = name or f"spectrum/{matrix.value}"
        wanted = [name, f"density/{name.removeprefix('spectrum/')}"][: 1 + density]
        problem = standing(make_problem(target, device=device), checkpoint, None)
        free(store, wanted, overwrite)
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
        saved(store, " and ".join(wanted), html)
