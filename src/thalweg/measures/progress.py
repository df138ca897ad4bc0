"""A progress bar for long work: rate, time left, and nothing when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

WORTH_SHOWING = 2.0


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g} {self.unit}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def bar(
    title: str, total: int | None, done: int, *, show: bool | None, seconds: float, unit: str = "points"
) -> Iterator[Callable[[float], None]]:
    """Yield `advance(points)`, or whatever `unit` is counted.

    `show=None`: show if the work is expected to take seconds and stderr is a terminal.
    """
    if show is None:
        show = sys.stderr.isatty() and seconds > WORTH_SHOWING
    if not show:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda points: progress.advance(task, points)


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples
    --------
    >>> duration(0.2), duration(75), duration(8000)
    ('under a second', '75 s', '2.2 h')
    """
    if seconds < 1:
        return "under a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
