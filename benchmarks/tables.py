"""What is printed: a table per case, the peers' mistakes, and the targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from answers import Judge
from contestants import THALWEG
from grid import POINTS
from ours import Adaptive
from rich.console import Console
from rich.table import Table
from targets import Target
from timing import Absent, Timing

WIDTH = 132
VERDICTS = {True: "[green]met", False: "[red]missed", None: ""}


def console() -> Console:
    """At least wide enough for the tables, also where the output is a file."""
    found = Console()
    return found if found.is_terminal and found.width >= WIDTH else Console(width=WIDTH)


def case_table(
    title: str, rows: Sequence[Timing | Absent], judge: Judge, adaptive: Adaptive | None, note: str
) -> Table:
    """Who evaluated how many points a second, how many times slower than thalweg, and rightly or not."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left")
    table.add_column("contestant", no_wrap=True)
    for name in ("points timed", "points/s", "ours/theirs", "set-up"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answers", overflow="fold")
    ours = next((row.points_per_second for row in rows if row_name(row) == THALWEG and isinstance(row, Timing)), None)
    for row in rows:
        if isinstance(row, Absent):
            table.add_row(row.name, "", "", "", "", row.why)
            continue
        speed = row.points_per_second
        ratio = f"{ours / speed:.2f}x" if ours and row_name(row) != THALWEG else ""
        setup = f"{row.setup:.1f} s" if row.setup >= 0.05 else ""
        table.add_row(row_name(row), f"{row.num_points:,}", significant(speed), ratio, setup, judge(row))
    if adaptive:
        table.add_section()
        table.add_row(*_adaptive_row(adaptive))
    return table


def row_name(row: Timing | Absent) -> str:
    return row.contestant.name if isinstance(row, Timing) else row.name


def _adaptive_row(found: Adaptive) -> tuple[str, ...]:
    return (
        "thalweg, adaptive=0.01",
        f"{found.evaluated} of {POINTS**2:,}",
        significant(found.points_per_second),
        "",
        "",
        f"off by at most {found.error:.2%} of the range; {found.speedup:.1f}x the full grid's speed",
    )


def target_table(targets: Iterable[Target]) -> Table:
    table = Table("target", "measured", "", title="Targets of the issue", title_justify="left")
    for target in targets:
        table.add_row(target.text, target.measured, VERDICTS[target.met])
    return table


def significant(value: float) -> str:
    """Three digits, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
