"""How fast are descents from many starts, pointwise risks and random fields, and are they right?

What is timed
-------------
- grid: 2,601 starts x 100 steps of SGD (and Adam) on the two-weight network, loss (1 - t1 t2)^2; long: 200 starts x
  1,000 steps. Everybody has the same starts, float64, learning rate 0.1, keeps every iterate, and runs on one thread.
  thalweg returns a Dataset with losses and gradients beside the iterates; JAX (`vmap` of `lax.scan` under `jit`) is
  timed keeping the same, and keeping iterates only.
- risk: 100 pointwise risks at 100 x 100 points, against double loops that rebuild a torch model at every point.
- field: a random field drawn, evaluated on 250 x 250 points, and written as a page whose surface can be turned.

How
---
- `time`: the median of rounds in which all take turns, beside the fastest; `x plain`, `x compiled`: how many times as
  long as thalweg; `set-up`: what the first call took longer, always on the wall clock, the libraries being loaded and
  used before: compilation. thalweg's own program is kept in the process, so that only its first case shows it.
- One start at a time, and the double loops, are measured on a part and scaled to the whole; the table says how many.
- `memory`: by how much a fresh process grows at most in its first call, what is returned and compilation included.
- `answers`: largest difference between iterates and those of the numpy loop (for Adam, of torch one at a time). Beyond
  1e-9 the exit code is 1; nothing else is asserted.

How to run
----------
    pip install ".[benchmark]"
    python benchmarks/descent.py --quick         # a minute
    python benchmarks/descent.py                 # some minutes
    python benchmarks/descent.py --case grid long
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy are loaded

import descent_grids as grids
import numpy as np
import torch
from descent_contestants import ALONE, CONTESTANTS, JAX, JAX_ITERATES, JAX_SETTINGS, OURS, OURS_COMPILED
from descent_race import RACES, TOLERANCE, Race, Row, run_race
from rich.console import Console
from rich.table import Table
from tables import console, significant, target_table
from targets import Target
from timing import Clock

import thalweg as tw

CASES = (*RACES, "risk", "field")
QUICK, NORMAL = (5, 4, 8), (15, 12, 20)  # rounds, starts one at a time, side of the loop's grid


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(1)
    out = console()
    out.print(_conditions(options), highlight=False)
    rounds, alone, side = QUICK if options.quick else NORMAL
    clock = Clock(kind=options.clock)
    targets: list[Target] = []
    right = True
    for key in options.case:
        if key in RACES:
            for optimizer in CONTESTANTS:
                rows = run_race(RACES[key], optimizer, rounds, alone, clock)
                out.print(_race_table(RACES[key], optimizer, rows), "")
                targets += _race_targets(RACES[key], optimizer, rows)
                right = right and all(row.right for row in rows)
        elif key == "risk":
            found = grids.risks(rounds, side, clock)
            right = right and _show_risks(found, out, targets)
        else:
            _show_field(grids.field(rounds, clock), out, targets)
    out.print(target_table(targets))
    return 0 if right else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, about a minute")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="which cases (default: all)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: steadier on a busy machine")
    return parser.parse_args(arguments)


def _conditions(options: argparse.Namespace) -> str:
    packages = ", ".join(f"{name} {_version(name)}" for name in ("torch", "numpy", "jax"))
    flags = f"XLA_FLAGS={JAX_SETTINGS}"
    return f"CPU, one thread for everybody, {options.clock} clock; thalweg {tw.__version__}, {packages}\n{flags}\n"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


# --- descents ---


def _race_table(race: Race, optimizer: str, rows: Sequence[Row]) -> Table:
    table = Table(title=f"{race}, {optimizer}", title_justify="left")
    table.add_column("contestant", no_wrap=True)
    for name in ("starts", "time", "fastest", "x plain", "x compiled", "set-up", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answers", no_wrap=True)
    plain, compiled = (_named(rows, name) for name in (OURS, OURS_COMPILED))
    for row in rows:
        if row.absent:
            table.add_row(row.name, *[""] * 7, row.absent)
            continue
        setup = row.first - row.median
        table.add_row(
            row.name,
            f"{row.num_starts:,}",
            _milliseconds(row.median),
            _milliseconds(min(row.seconds)),
            f"{significant(row.median / plain.median)}x",
            f"{significant(row.median / compiled.median)}x",
            _milliseconds(setup) if setup > 0.02 and row.name != ALONE else "",
            "" if row.memory is None else f"{row.memory:.0f} MiB",
            f"{'equal' if row.right else '[red]wrong'} to {row.error:.0e}",
        )
    return table


def _race_targets(race: Race, optimizer: str, rows: Sequence[Row]) -> list[Target]:
    plain, compiled, alone = (_named(rows, name) for name in (OURS, OURS_COMPILED, ALONE))
    title = f"{race.key}, {optimizer}"
    found = []
    for name in (JAX, JAX_ITERATES) if optimizer == "SGD" else ():
        theirs = _named(rows, name)
        if not theirs.absent:
            for ours in (plain, compiled):
                ratio = ours.median / theirs.median
                found.append(Target(f"{title}: {ours.name}: within 2x of {name}", f"{ratio:.2f}x", ratio <= 2))
    for ours in (plain, compiled):
        ratio = alone.median / ours.median
        found.append(Target(f"{title}: {ours.name}: 50x over {ALONE}", f"{significant(ratio)}x", ratio >= 50))
    return found


def _named(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


# --- risks and fields ---


def _show_risks(found: grids.Risks, out: Console, targets: list[Target]) -> bool:
    table = Table(title="(risk) 100 pointwise risks at 100 x 100 points of a perceptron", title_justify="left")
    for name in ("contestant", "points timed", "time", "of ours", "set-up", "answers"):
        table.add_column(name, justify="left" if name in ("contestant", "answers") else "right", no_wrap=True)
    setup = found.first - found.seconds
    table.add_row("thalweg.risk", "10,000", _milliseconds(found.seconds), "", _milliseconds(setup), "")
    for loop in found.loops:
        ratio = loop.seconds / found.seconds
        answers = f"{'equal' if loop.error < TOLERANCE else '[red]wrong'} to {loop.error:.0e}"
        times = _milliseconds(loop.seconds), f"{significant(ratio)}x"
        table.add_row(loop.name, f"{loop.points:,}", *times, "", answers)
        targets.append(Target(f"risk: 300x over a {loop.name}", f"{significant(ratio)}x", ratio >= 300))
    out.print(table, "")
    return all(loop.error < TOLERANCE for loop in found.loops)


def _show_field(rounds: Sequence[dict[str, float]], out: Console, targets: list[Target]) -> None:
    table = Table(title="(field) a random field on 250 x 250 points, as a page", title_justify="left")
    table.add_column("")
    for name in (*rounds[0], "all"):
        table.add_column(name, justify="right")
    median = {name: float(np.median([found[name] for found in rounds[1:]])) for name in rounds[0]}
    for title, found in (("first call", rounds[0]), ("median", median)):
        table.add_row(title, *map(_milliseconds, (*found.values(), sum(found.values()))))
    out.print(table, "")
    for title, found in (("first call", rounds[0]), ("then", median)):
        total = sum(found.values())
        targets.append(Target(f"field: in under a second, {title}", f"{total:.2f} s", total < 1))


def _milliseconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 10 else f"{significant(1e3 * seconds)} ms"


if __name__ == "__main__":
    sys.exit(main())
