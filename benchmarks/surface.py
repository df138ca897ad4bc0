"""How fast is a loss surface, and is it right? thalweg against its peers and against loops written by hand.

What is timed
-------------
Four trained networks with their examples: (a) an MLP of 26,122 weights on scikit-learn's digits, (b) the 44,426-weight
CNN of S4.01 on the 10,000 test images of Fashion-MNIST, (c) ResNet-20 with BatchNorm on 32 x 32 images, (d) a tiny MLP
on 32 examples. In each, everybody evaluates the mean cross-entropy over all examples at points of the same 51 x 51 grid
in the same filter-normalised plane, one after another in one process, with the same number of threads.

How
---
- DataLoader tools get batches of 64 on the CPU, as S4.01 trains (and 128 in a further row of (a)); loops in memory, and
  loss-landscapes, one batch of all examples.
- Points per second: the best of a few rounds in which all take turns, after a warm-up. Slow contestants are timed on
  the coarser grids of 11 x 11 or 3 x 3 points that share corners and centre; the table says how many points were timed.
- thalweg is called with `loss_surface` and evaluates a coarser grid by the plan that it chooses for the whole grid; the
  origin, which it evaluates besides, is counted. `set-up` is what the first call took longer: choosing that plan.
- `answers`: the losses at nine points (corners, edges, centre) against a reference in float64; `equal to 1e-6` means
  differences below 1e-6, relative where the loss exceeds 1. A peer's wrong answers are traced to where in the plane it
  really evaluated.
- `adaptive`: rows of their own, against the full grid, in (a) and (b); in (b) on a random subset of the images unless
  `--full`.

On a GPU, the peers and the loops run with PyTorch's defaults (convolutions in TF32), `thalweg` in float32, and two more
rows of it in TF32 and bfloat16.

Nothing here is asserted; the targets of the issue are printed with the measured value, `met` or `missed`.

How to run
----------
    pip install ".[benchmark]"
    python benchmarks/surface.py --quick             # under 4 minutes on 2 cores
    python benchmarks/surface.py                     # about 10 minutes
    python benchmarks/surface.py --full --case a d   # thalweg on all 51 x 51 points
    python benchmarks/surface.py --device cuda
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import audit
import ours
import torch
from answers import Judge
from cases import BUILDERS, FULL, NORMAL, QUICK, Case, Size, build
from contestants import PEER, PEER_3D, contestants, missing
from rich.console import Console
from tables import case_table, console, target_table
from targets import Result, targets
from timing import Clock, Timing, race


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")  # the peers' deprecations
    out, clock = console(), Clock(options.device, options.clock)
    out.print(conditions(options), highlight=False)
    results: dict[str, Result] = {}
    for key in options.case:
        case = build(key, options.size, options.device)
        results[key] = run_case(case, options.size, clock, out)
    out.print(target_table(targets(results, options.device)))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const=QUICK, help="under 4 minutes, small grids")
    size.add_argument("--full", dest="size", action="store_const", const=FULL, help="thalweg on all 51 x 51 points")
    parser.add_argument(
        "--case", nargs="+", choices=BUILDERS, default=list(BUILDERS), help="which cases (default: all)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, the same for everybody (default 1)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: steadier on a busy machine")
    parser.set_defaults(size=NORMAL)
    return parser.parse_args(arguments)


def run_case(case: Case, size: Size, clock: Clock, out: Console) -> Result:
    """Race, judge, print; return what the targets need."""
    grid = ours.grid_of(case.model, case.images)
    running, absent = contestants(case, grid, size)
    timings = race(running, grid, clock, size.rounds)
    adaptive = ours.adaptive(case.model, case.adaptive, clock) if case.adaptive else None
    out.print(case_table(str(case), [*timings, *absent], Judge.of(case, grid), adaptive, note(case)))
    if case.key == "c":
        out.print(*peers_at_large(case, grid), sep="\n", highlight=False)
    out.print()
    speed = {t.contestant.name: t.points_per_second for t in timings if isinstance(t, Timing)}
    return Result(speed, adaptive, ours.cost_of_four(case.model, case.images, clock) if case.key == "a" else None)


def note(case: Case) -> str:
    """What was left out in the adaptive row, if anything."""
    if case.adaptive is None or len(case.adaptive.inputs) == len(case.inputs):
        return ""
    return f"adaptive and its full grid: on a random subset of {len(case.adaptive.inputs):,} images."


def peers_at_large(case: Case, grid: ours.Grid) -> list[str]:
    """What the peers' other documented calls do."""
    lines = [] if PEER_3D in missing() else [audit.random_directions_3d(case, grid)]
    lines += [] if PEER in missing() else audit.random_plane_landscapes(case, grid)
    return [f"- {line}" for line in lines]


def conditions(options: argparse.Namespace) -> str:
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    packages = ", ".join(f"{name} {_version(name)}" for name in ("torch", PEER_3D, PEER))
    packages = f"thalweg {ours.tw.__version__}, {packages}"
    return f"{device}, {options.threads} thread(s), {options.clock} clock, {options.size.name} size; {packages}\n"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
