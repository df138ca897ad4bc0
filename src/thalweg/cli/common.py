"""What the verbs share: options, errors in a line, and what is said at the end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

out = Console(highlight=False, soft_wrap=True)
Target = Annotated[str, typer.Argument(help="`package.module:make_problem` or `file.py:make_problem`.")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Weights to stand at: .safetensors, or a PyTorch file of tensors only.")
]
NumExamples = Annotated[int | None, typer.Option(help="Use a fixed random subset of the examples.")]
Html = Annotated[Path | None, typer.Option(help="Write the study's report here afterwards.")]
Device = Annotated[str | None, typer.Option(help="Passed to make_problem(device=...): cpu, cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch's default if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results of that name.")]


class BatchNorm(StrEnum):
    """Whose statistics batch normalisation uses."""

    running = "running"
    recalibrate = "recalibrate"


def standing(problem: Any, checkpoint: Path | None, batch_norm: BatchNorm | None) -> Any:
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


def free(store: Path, names: list[str], overwrite: bool) -> None:
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


def saved(store: Path, name: str, html: Path | None) -> None:
    """Where results are, and the report if it was asked for."""
    out.print(f"Saved in {escape(str(store.resolve()))} as {escape(name)}. See it: thalweg show {escape(str(store))}")
    if html is not None:
        from thalweg.apps.report import report

        out.print(f"Report: {escape(str(report(store, html).resolve()))}")


def use_threads(threads: int | None) -> None:
    """As many CPU threads as were asked for."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


@contextmanager
def explained() -> Iterator[None]:
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
    package = Path(__file__).parent.parent
    return not (
        Path(file).is_relative_to(package)
        or "site-packages" in file
        or file.startswith((sys.prefix, "<"))
        or Path(file).is_relative_to(Path(traceback.__file__).parent)
    )
