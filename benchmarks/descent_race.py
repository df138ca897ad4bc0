"""The clock of `descent.py`: first calls told apart, rounds that take turns, memory in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from descent_contestants import ALONE, CONTESTANTS, NUMPY, OURS, OURS_COMPILED, iterates, missing
from timing import Clock

import thalweg as tw

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Race:
    """Starts and steps."""

    key: str
    num_starts: int
    steps: int

    @property
    def starts(self) -> np.ndarray:
        if self.key == "grid":
            return np.asarray(tw.grid_starts(1.5, 51)).reshape(-1, 2)
        return np.asarray(tw.random_starts(self.num_starts, 2, seed=0))

    def __str__(self) -> str:
        return f"({self.key}) {self.num_starts:,} starts x {self.steps:,} steps"


RACES = {race.key: race for race in (Race("grid", 2601, 100), Race("long", 200, 1000))}


@dataclass
class Row:
    """What was measured of one contestant; the seconds are those of all starts."""

    name: str
    num_starts: int
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    error: float = 0.0
    memory: float | None = None  # MiB
    absent: str = ""

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def right(self) -> bool:
        return bool(self.absent) or self.error < TOLERANCE


def run_race(race: Race, optimizer: str, rounds: int, alone: int, clock: Clock) -> list[Row]:
    """Everybody once (the answers are compared), then everybody once a round; `alone` starts for one at a time."""
    rows, runs, found = [], {}, {}
    for name, prepare in CONTESTANTS[optimizer].items():
        if name in missing():
            rows.append(Row(name, 0, absent=missing()[name]))
            continue
        starts = _some(race.starts, alone) if name == ALONE else race.starts
        warm_up(race, optimizer, name)
        runs[name] = prepare(starts, race.steps)
        row = Row(name, len(starts))
        row.first, result = Clock()(runs[name])  # on the wall: a compiler may be another process
        found[name] = iterates(result)
        rows.append(row)
    for _ in range(rounds):
        for row in rows:
            if not row.absent:
                row.seconds.append(clock(runs[row.name])[0] * race.num_starts / row.num_starts)
    for row in rows:
        if not row.absent:
            row.first *= race.num_starts / row.num_starts
            row.error = _apart(found[row.name], found.get(NUMPY, found[ALONE]), race, alone)
            row.memory = None if row.name == ALONE or optimizer != "SGD" else _memory(race, optimizer, row.name)
    return rows


def warm_up(race: Race, optimizer: str, name: str) -> None:
    """Load and use the libraries, so that the first call tells compilation apart; nothing is compiled for ours yet."""
    CONTESTANTS[optimizer][OURS if name == OURS_COMPILED else name](race.starts[:7], 4)()


def _some(array: np.ndarray, count: int) -> np.ndarray:
    """`count` of the starts, evenly spread."""
    return array[np.linspace(0, len(array) - 1, count).astype(int)]


def _apart(one: np.ndarray, other: np.ndarray, race: Race, alone: int) -> float:
    chosen = np.linspace(0, race.num_starts - 1, alone).astype(int)
    if one.shape != other.shape:
        one, other = (a[:, chosen] if a.shape[1] == race.num_starts else a for a in (one, other))
    return float(np.abs(one - other).max())


# --- memory ---


def _memory(race: Race, optimizer: str, name: str) -> float | None:
    """MiB by which a fresh process grows at most during its first call, compilation included."""
    command = [sys.executable, __file__, race.key, optimizer, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return None


def _resident(field_name: str) -> float:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(field_name))
    return int(line.split()[1]) / 1024


def _grown(race: Race, optimizer: str, name: str) -> float:
    torch.set_num_threads(1)
    warm_up(race, optimizer, name)
    run = CONTESTANTS[optimizer][name](race.starts, race.steps)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _resident("VmRSS")
    result = run()
    del result
    return _resident("VmHWM") - before


def main(arguments: Sequence[str], races: Mapping[str, Race] = RACES) -> None:
    key, optimizer, name = arguments
    print(json.dumps(round(_grown(races[key], optimizer, name), 1)))


if __name__ == "__main__":
    main(sys.argv[1:])
