"""How much does a training step of a curve cost, beside a plain training step of the same network, and is it right?

What is timed
-------------
- step: seconds per step of `thalweg.connect` against a plain
  training step of the same network on the same mini-batches, and against two ways to write it by hand: a wrapper that
  copies weights into the model module by module, and control points as parameters of every layer. SGD with momentum.
- along: `thalweg.loss_along` at 61 places, loss and accuracy over all training data, against plain
  loops over them, around tensors in memory and around a DataLoader.

mlp: 26,122 weights on 8x8 digits; lenet: 44,426 weights on 28x28 images; norm: a convolutional network with batch
normalisation; wide: a perceptron of 5.8 million weights, for memory. One thread for everybody.

How
---
- `time`: the median of rounds in which all take turns, of a call of many steps less that of one step; `set-up`: what a
  call takes beside its steps. `x plain`: how many times as long as the plain step.
- `memory`: by how much a fresh process grows at most while it takes steps, and in weight vectors.
- `answers`: largest difference of the bend after a few steps from the wrapper's, relative to how far it moved; of the
  losses along the curve from the loop's. Where these are not equal the exit code is 1; nothing else is asserted.

How to run
----------
    pip install ".[benchmark]"
    python benchmarks/connect.py --quick         # under a minute
    python benchmarks/connect.py                 # some minutes
    python benchmarks/connect.py --case lenet --clock wall
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy are loaded

import numpy as np
import torch
from connect_contestants import CONTESTANTS, COPIED, OURS, PLAIN, Case, along, along_by_hand, along_loader
from images import digits, fashion_mnist
from networks import lenet, mlp, train
from rich.console import Console
from rich.table import Table
from tables import console, significant, target_table
from targets import Target
from timing import Clock
from torch import nn

import thalweg as tw

CASES = ("mlp", "lenet", "norm", "wide")
MOST, CHECKED = 1.3, 5
QUICK, NORMAL = {"mlp": 600, "lenet": 60, "norm": 40, "wide": 30}, {"mlp": 2000, "lenet": 300, "norm": 200, "wide": 100}


ALONG = "thalweg.loss_along"
WAYS = {ALONG: along, "plain loop, batches of 256": along_by_hand, "loop around a DataLoader": along_loader}


@dataclass
class Row:
    """What was measured of one contestant."""

    name: str
    seconds: list[float] = field(default_factory=list)  # per step
    calls: list[float] = field(default_factory=list)  # of a single step
    error: float = 0.0
    memory: float | None = None

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(1)
    out = console()
    out.print(f"CPU, one thread, {options.clock} clock; thalweg {tw.__version__}, torch {torch.__version__}\n")
    clock, targets, right = Clock(kind=options.clock), [], True
    for key in options.case:
        case = build(key)
        rows = race(case, (QUICK if options.quick else NORMAL)[key], 3 if options.quick else 7, clock)
        out.print(_steps_table(case, rows), "")
        ratio = _named(rows, OURS).median / _named(rows, PLAIN).median
        targets.append(Target(f"{key}: at most {MOST}x a plain step", f"{ratio:.2f}x", ratio <= MOST))
        ratio = _named(rows, COPIED).median / _named(rows, OURS).median
        targets.append(Target(f"{key}: over a wrapper that copies", f"{ratio:.2f}x", None))
        right = right and all(row.error < 1e-3 for row in rows)
        if key != "wide":
            rounds, examples = (1, 500) if options.quick else (5, 2000)
            part = replace(case, inputs=case.inputs[:examples], targets=case.targets[:examples])
            right = _along(part, rounds, clock, out, targets) and right
    out.print(target_table(targets))
    return 0 if right else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds, under a minute")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="which cases (default: all)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu", help="cpu: steadier on a busy machine")
    return parser.parse_args(arguments)


def build(key: str, training: int = 100) -> Case:
    """Two networks trained a little from different seeds."""
    images = digits() if key in ("mlp", "norm") else fashion_mnist()[0]
    inputs, targets = images.inputs[:4000], images.targets[:4000]
    make = {
        "mlp": lambda: mlp(64, 128, 128, 10),
        "lenet": lenet,
        "norm": _norm,
        "wide": lambda: mlp(784, 2048, 2048, 10),
    }
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(train(make[key](), inputs, targets, steps=training if key != "wide" else 5))
    title = {"mlp": "MLP", "lenet": "LeNet", "norm": "CNN with BatchNorm", "wide": "wide MLP"}[key]
    size = 64 if key != "wide" else 128
    return Case(key, f"{title} on {images.name}", (models[0], models[1]), inputs, targets, size)


def _norm() -> nn.Sequential:
    """Three 3x3 convolutions, normalised: 8x8 images."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in ((1, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False), nn.BatchNorm2d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), *mlp(128, 10))


def race(case: Case, steps: int, rounds: int, clock: Clock) -> list[Row]:
    """Everybody takes a few steps (the bends are compared), then `steps` of them once a round."""
    runs = {name: prepare(case) for name, prepare in CONTESTANTS.items()}
    rows = [Row(name) for name in runs]
    a, b = case.ends
    expected = runs[COPIED](CHECKED)
    moved = float((expected - (a + b) / 2).norm())
    for row in rows:
        bend = runs[row.name](CHECKED)
        row.error = float((bend - expected).norm()) / moved if row.name != PLAIN else 0.0
    for _ in range(rounds):
        for row in rows:
            one = clock(lambda: runs[row.name](1))[0]  # noqa: B023  called at once
            row.seconds.append((clock(lambda: runs[row.name](steps))[0] - one) / (steps - 1))  # noqa: B023
            row.calls.append(one)
    for row in rows:
        row.memory = _memory(case.key, row.name)
    return rows


def _steps_table(case: Case, rows: Sequence[Row]) -> Table:
    table = Table(title=str(case), title_justify="left")
    table.add_column("contestant", no_wrap=True)
    for name in ("time of a step", "fastest", "x plain", "set-up", "memory", "weight vectors"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answers", no_wrap=True)
    vector = 4 * case.ends[0].numel() / 2**20
    for row in rows:
        ratio = row.median / _named(rows, PLAIN).median
        memory = ("", "") if row.memory is None else (f"{row.memory:.1f} MiB", f"{row.memory / vector:.1f}")
        answers = "" if row.name == PLAIN else f"{'equal' if row.error < 1e-3 else '[red]wrong'} to {row.error:.0e}"
        times = _milliseconds(row.median), _milliseconds(min(row.seconds))
        setup = _milliseconds(max(0.0, float(np.median(row.calls)) - row.median))
        table.add_row(row.name, *times, f"{ratio:.2f}x", setup, *memory, answers)
    return table


def _along(case: Case, rounds: int, clock: Clock, out: Console, targets: list[Target]) -> bool:
    curve = tw.BezierCurve.between(*case.ends)
    along(case, curve)  # how to evaluate is measured once, then remembered
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    found = {}
    for _ in range(rounds):
        for name, run in WAYS.items():
            took, found[name] = clock(lambda: run(case, curve))  # noqa: B023  called at once
            seconds[name].append(took)
    table = Table(title=f"({case.key}) 61 places on the curve, {len(case.inputs):,} examples", title_justify="left")
    for name in ("contestant", "time", "ours/theirs", "answers"):
        table.add_column(name, justify="right" if name in ("time", "ours/theirs") else "left", no_wrap=True)
    ours, right = float(np.median(seconds[ALONG])), True
    for name in WAYS:
        error = float((found[name][0] - found[ALONG][0]).abs().max() / found[ALONG][0].abs().max())
        equal = error < 1e-4 and float((found[name][1] - found[ALONG][1]).abs().max()) < 5e-3
        median, right = float(np.median(seconds[name])), right and equal
        answers = "" if name == ALONG else f"{'equal' if equal else '[red]wrong'} to {error:.0e}"
        table.add_row(name, _milliseconds(median), "" if name == ALONG else f"{median / ours:.2f}x", answers)
        if name != ALONG:
            targets.append(Target(f"{case.key}: 61 places, over the {name}", f"{median / ours:.2f}x", None))
    out.print(table, "")
    return right


def _named(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _milliseconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 10 else f"{significant(1e3 * seconds)} ms"


# --- memory, in a process of its own ---


def _memory(key: str, name: str) -> float | None:
    """MiB by which a fresh process grows at most during some steps, its network and data being there."""
    command = [sys.executable, __file__, "--grow", key, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    try:
        return float(json.loads(done.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        return None


def _resident(name: str) -> float:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name))
    return int(line.split()[1]) / 1024


def _grown(key: str, name: str) -> float:
    torch.set_num_threads(1)
    case = build(key, training=3)
    small = Case("", "", (mlp(64, 8, 10), mlp(64, 8, 10)), torch.rand(99, 64), torch.zeros(99, dtype=torch.long), 9)
    CONTESTANTS[name](small)(2)  # libraries are loaded
    run = CONTESTANTS[name](case)
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed is given back, or it would not count as growth
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _resident("VmRSS")
    run(4)
    return _resident("VmHWM") - before


if __name__ == "__main__":
    if sys.argv[1:2] == ["--grow"]:
        print(json.dumps(round(_grown(*sys.argv[2:]), 2)))
        sys.exit()
    sys.exit(main())
