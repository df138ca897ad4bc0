"""`thalweg demo`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import explained, out, use_threads


class Lesson(StrEnum):
    """What is trained."""

    digits = "digits"
    sines = "sum-of-sines"


def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the study and the report; thalweg-demo, or thalweg-demo-NAME."),
    ] = None,
    problem: Annotated[
        Lesson, typer.Option(help="What is trained: a network on digits, or several on a sum of sine waves.")
    ] = Lesson.digits,
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

    With `--problem sum-of-sines`: what initialisation does to networks of one input; singular values and principal
    features of their tangents before and after training, and what they predict beyond their training data.

    With `--landscape NAME`: the surface and the gradient of a function of two weights, its critical points, and
    descents from everywhere; `--lr` and `--steps` change the pace of plain gradient descent. Takes a minute or two.
    Leaves `study.zarr` (the numbers) and `report.html` (the pictures, one self-contained page).
    """
    began = time.perf_counter()
    with explained():
        use_threads(threads)
        if landscape == "list":
            _list_landscapes()
            return
        if landscape is None:
            _refuse_pace(lr, steps)
        elif problem is not Lesson.digits:
            raise ValueError(f"--landscape {landscape} and --problem {problem.value} came together; choose one.")
        made = _made(problem, landscape, folder, seed, lr, steps)
    out.print(f"Done in {time.perf_counter() - began:.0f} s.")
    out.print(f"  report  {escape(str(made.page.resolve()))}")
    out.print(f"  study   {escape(str(made.study.resolve()))}")


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


def _made(
    problem: Lesson, landscape: str | None, folder: Path | None, seed: int, lr: float | None, steps: int | None
) -> Any:
    """The demo of networks, or of a written landscape."""

    def say(text: str) -> None:
        out.print(escape(text))

    if landscape is not None:
        from thalweg.apps.landscape import landscape_demo
        from thalweg.landscapes import landscape as named

        name = named(landscape).name
        folder = folder or Path(f"thalweg-demo-{name}")
        return landscape_demo(name, folder, seed=seed, lr=lr, steps=steps, say=say)
    if problem is Lesson.sines:
        from thalweg.apps.sines import sines_demo

        return sines_demo(folder or Path("thalweg-demo-sum-of-sines"), seed=seed, say=say)
    from thalweg.apps.demo import demo as run

    return run(folder or Path("thalweg-demo"), seed=seed, say=say)
