"""`thalweg connect`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import Device, Html, Target, Threads, explained, out, saved, use_threads


class Curve(StrEnum):
    """What kind of curve."""

    bezier = "bezier"
    polygonal = "polygonal"


def connect(
    target: Target,
    first: Annotated[Path, typer.Argument(help="Checkpoint at one end: .safetensors, or a PyTorch file of tensors.")],
    second: Annotated[Path, typer.Argument(help="Checkpoint at the other end.")],
    curve: Annotated[Curve, typer.Option(help="What kind of curve.")] = Curve.bezier,
    bends: Annotated[int, typer.Option(min=1, help="Points that are learned, between the ends.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of the curve.")] = 2000,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples in a step.")] = 64,
    weight_decay: Annotated[float, typer.Option(min=0.0, help="Of the points on the curve.")] = 0.0,
    align: Annotated[
        bool, typer.Option("--align", help="First permute the second network's units to match the first's.")
    ] = False,
    points: Annotated[int, typer.Option(min=2, help="Places along the ways.")] = 61,
    plane_points: Annotated[int, typer.Option(min=2, help="Points along each axis of the plane.")] = 31,
    seed: Annotated[int, typer.Option(help="Of the mini-batches and the places on the curve.")] = 0,
    store: Annotated[Path, typer.Option(help="The study to write to. The same command again resumes.")] = Path(
        "study.zarr"
    ),
    name: Annotated[str | None, typer.Option(help="Of the results in the study; the kind of curve.")] = None,
    html: Html = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Find a way of low loss between two trained networks.

    `TARGET` is as for `thalweg surface`; the two checkpoints are of its network. A curve with bends is learned between
    them; it and the straight segment are measured on training and test data, with their barriers, and the plane that
    the curve bends in. Statistics of batch normalisation are computed anew at every point.
    """
    with explained():
        use_threads(threads)
        from thalweg.apps.target import make_problem
        from thalweg.apps.valley import valley
        from thalweg.measures.beginnings import theta_of

        problem: Any = make_problem(target, device=device)
        if not hasattr(problem, "with_checkpoint"):
            raise ValueError("This problem is a written landscape; networks are connected. See `thalweg surface`.")
        problem = problem.with_checkpoint(first)  # what is not trained, too
        a, b = problem.theta, theta_of(problem, problem.with_checkpoint(second), second.name)
        learning: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "weight_decay": weight_decay}
        learning |= {"num_bends": bends, "seed": seed}
        name = name or f"{curve.value}{'-aligned' * align}"
        valley(
            problem.with_batch_norm("recalibrate"),
            a,
            b,
            store.expanduser(),
            name,
            curve=curve.value,
            points=points,
            plane_points=plane_points,
            align=align,
            say=lambda text: out.print(escape(text)),
            **learning,
        )
        saved(store, f"curve/{name}", html)
