"""The clock of `spectrum.py`: every run in a process of its own, so that memory is told apart and nothing is left over.

Each tool climbs its ladder until the residuals, measured by `spectrum_truth`, are small enough; that rung is timed.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spectrum_cases import Case
from spectrum_contestants import TOL, Contestant, Counter, Pairs, Spent, missing
from spectrum_truth import Lanczos, residual
from timing import Clock

MEMORY = Path("/proc/self/clear_refs")


@dataclass
class Row:
    """What was measured of one contestant on one case for `k` pairs; seconds of the fastest round."""

    name: str
    k: int
    setting: str = ""
    rung: int = 0
    cpu: float = math.inf
    wall: float = math.inf
    set_up: float = 0.0
    products: int = 0
    passes: float = 0.0
    climb: float = 0.0  # CPU seconds of all rungs up to the one that did
    memory: float | None = None  # MiB by which the process grew at most
    residual: float = math.inf
    off: float = math.inf
    how: str = ""
    absent: str = ""

    @property
    def reached(self) -> bool:
        return (
            not self.absent and self.residual <= TOL * 1.02
        )  # rounding: ours stops at TOL by its own float32 products

    @property
    def right(self) -> bool:
        """Whether the eigenvalues are the largest, as far as the residuals tell."""
        return not self.reached or self.off <= 2 * TOL


@dataclass
class Seen:
    """One run."""

    pairs: Pairs | None
    counter: Counter
    cpu: float
    wall: float
    memory: float | None
    failed: str = ""


def race(case: Case, k: int, contestant: Contestant, truth: Lanczos, first: int, budget: float, rounds: int) -> Row:
    """Up the ladder from its rung `first`, then `rounds` in all on the rung that did."""
    row = Row(contestant.name, k, absent=missing(contestant))
    if row.absent:
        return row
    for row.rung, rung in list(enumerate(contestant.ladder(k)))[first:]:
        seen = alone(case, k, contestant, rung, budget)
        row.setting = f"{contestant.setting}={rung:g}"
        row.cpu, row.wall, row.memory = seen.cpu, seen.wall, seen.memory
        row.climb += seen.cpu
        row.products, row.passes = seen.counter.products, seen.counter.rows / case.num_examples
        if seen.pairs is None:
            row.absent = f"{row.setting}: {seen.failed}, {seen.cpu:.0f} s" + (
                f"; looser: residual {row.residual:.0e}" if math.isfinite(row.residual) else ""
            )
            return row
        row.set_up, row.how = seen.pairs.set_up, seen.pairs.how
        row.residual = residual(case, seen.pairs.values, seen.pairs.vectors)
        row.off = truth.off(np.asarray(seen.pairs.values))
        if row.reached and row.right:
            break
    for _ in range(rounds - 1 if row.reached and row.cpu < 20 else 0):
        seen = alone(case, k, contestant, rung, budget)
        if seen.cpu < row.cpu and seen.pairs is not None:
            row.cpu, row.set_up, row.how = seen.cpu, seen.pairs.set_up, seen.pairs.how
        row.wall = min(row.wall, seen.wall)
    return row


def alone(case: Case, k: int, contestant: Contestant, rung: Any, budget: float) -> Seen:
    """One run in a forked process; where a GPU is (whose driver does not survive a fork) in this one."""
    if torch.cuda.is_available():
        return _run(case, k, contestant, rung, budget)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=lambda: there.send(_run(case, k, contestant, rung, budget)))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        return Seen(None, Counter(budget), 0.0, 0.0, None, "its process ended")
    finally:
        process.join()


def _run(case: Case, k: int, contestant: Contestant, rung: Any, budget: float) -> Seen:
    counter = Counter(budget)

    def note(_: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        counter.rows += len(inputs[0])

    hook = case.model.register_forward_pre_hook(note)
    before = _memory(start=True)
    cpu, clock = time.process_time(), Clock(case.inputs.device.type)
    pairs, failed = None, ""

    def run() -> None:
        nonlocal pairs, failed
        try:
            pairs = contestant.run(case, k, rung, counter)
        except Spent as error:
            failed = str(error)
        except Exception as error:  # a peer that fails is a finding; the race goes on
            failed = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:80]}"

    wall, _ = clock(run)
    hook.remove()
    after = _memory(start=False)
    grown = None if before is None or after is None else after - before
    return Seen(pairs, counter, time.process_time() - cpu, wall, grown, failed)


def _memory(*, start: bool) -> float | None:
    """MiB: now, from where a new peak is looked for; then at the peak."""
    if torch.cuda.is_available():
        if start:
            torch.cuda.reset_peak_memory_stats()
        return (torch.cuda.memory_allocated() if start else torch.cuda.max_memory_allocated()) / 2**20
    if not MEMORY.exists():
        return None
    if start:
        MEMORY.write_text("5")
    wanted = "VmRSS" if start else "VmHWM"
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(wanted))
    return int(line.split()[1]) / 1024
