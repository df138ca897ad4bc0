"""A clock that waits for the GPU, and rounds that take turns, so that a noisy neighbour disturbs everybody alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from grid import Grid


@dataclass(frozen=True)
class Clock:
    """Seconds that a call takes: on the wall, or of this process on the CPU (steadier where others use the machine)."""

    device: str = "cpu"
    kind: str = "wall"

    def __call__(self, call: Callable[[], Any]) -> tuple[float, Any]:
        now = time.process_time if self.kind == "cpu" else time.perf_counter
        self._wait()
        start = now()
        result = call()
        self._wait()
        return now() - start, result

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Contestant:
    """One way to evaluate a surface: `run` returns the losses at the points of a grid, shape `(n, n)`."""

    name: str
    run: Callable[[Grid], np.ndarray]
    budget: float  # seconds, all rounds together; nine points are timed in any case
    extra: int = 0  # points evaluated besides those of the grid


@dataclass
class Timing:
    """What was measured of one contestant."""

    contestant: Contestant
    grid: Grid  # the points timed
    losses: np.ndarray  # at the nine points of `Grid.check`
    first: float  # seconds of the very first call, on the grid's centre alone
    seconds: list[float]

    @property
    def num_points(self) -> int:
        return self.grid.num_points + self.contestant.extra

    @property
    def points_per_second(self) -> float:
        return self.num_points / min(self.seconds)

    @property
    def setup(self) -> float:
        """Seconds that the first call took longer than a point does now."""
        return max(0.0, self.first - (1 + self.contestant.extra) / self.points_per_second)


@dataclass(frozen=True)
class Absent:
    """A contestant that could not run, and why."""

    name: str
    why: str


def warm_up(contestant: Contestant, grid: Grid, clock: Clock, rounds: int) -> Timing:
    """Call on the centre, then on the nine points; choose the largest grid of which all rounds fit in the budget.

    A contestant that spends its budget on the nine points has been timed thereby.
    """
    first, _ = clock(lambda: contestant.run(grid.centre))
    check, losses = clock(lambda: contestant.run(grid.check))
    if check > contestant.budget:
        return Timing(contestant, grid.check, losses, first, [check])
    per_point = clock(lambda: contestant.run(grid.check))[0] / (grid.check.num_points + contestant.extra)
    fitting = [g for g in grid.subgrids if g.num_points * per_point * (rounds + 1) <= contestant.budget]
    chosen = fitting[0] if fitting else grid.check
    if chosen.points > grid.check.points:
        contestant.run(chosen)
    return Timing(contestant, chosen, losses, first, [])


def race(contestants: Sequence[Contestant], grid: Grid, clock: Clock, rounds: int) -> list[Timing | Absent]:
    """Warm everybody up, then let everybody run once a round until their budget is spent; the best round counts."""
    timings: list[Timing | Absent] = []
    for contestant in contestants:
        try:
            timings.append(warm_up(contestant, grid, clock, rounds))
        except Exception as error:  # a peer that fails is a finding; the race goes on
            timings.append(Absent(contestant.name, f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"))
    for _ in range(rounds):
        for timing in timings:
            if isinstance(timing, Timing) and sum(timing.seconds) < timing.contestant.budget:
                timing.seconds.append(clock(lambda t=timing: t.contestant.run(t.grid))[0])
    return timings
