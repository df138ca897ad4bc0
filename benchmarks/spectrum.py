"""How fast are the top eigenpairs of a Hessian, and are they right? thalweg against its peers, at equal residuals.

What is timed
-------------
The 5 and 20 pairs of largest magnitude of the Hessian of the mean cross-entropy: small, large: a CNN of 38,282 weights
on 1,500 digits and on 4,000 images of 8 x 8 pixels; transformer: two blocks on 500 lines of text; resnet: ResNet-20,
where a GPU is. Everybody gets the same trained network and examples, on one thread, and runs from model and data to
pairs, each run in a process of its own.

How
---
- Every tool climbs a ladder of its own settings (eigsh: `tol`; hessian-eigenthings: steps of Lanczos; PyHessian: `tol`)
  until the residuals ‖Hv - λv‖ of all pairs are below 1e-3 of the largest eigenvalue; that run is reported. A user
  would not know the rung: residuals are not told, or not those of the matrix. Residuals are measured by double
  backward, batches summed in float64; eigenvalues are compared with those of plain Lanczos to residuals of 1e-5.
  `climb`: CPU seconds of all rungs tried, the last included.
  For 20 pairs the climb begins at the rung that did for 5.
- `--quick` begins at the rung that did in a full run, leaves out the large case, the slowest peers for most
  of the others, gives the transformer 200 lines, and stops PyHessian after 6 seconds.
- The peers get the examples in the batches in which double backward is fastest, all of one size (hessian-eigenthings
  averages batches whatever their size), PyHessian all examples at once, whose graph it keeps.
- `set-up`: CPU seconds before the first product, part of the total. `passes`: how often all examples went through the
  network, or through what is kept of it. `MiB`: by how much the process grew at most.
- `gradients`: what a product costs, once set up, by each method of `problem.curvature`, in gradients over all examples
  (plain autograd, in the batches that suit it best).
- tracking: `track_spectrum` along a recorded training run, each search begun with the last one's vectors.

The exit code is 1 if thalweg's eigenvalues or residuals are wrong; nothing else is asserted.

How to run
----------
    pip install ".[benchmark]"
    python benchmarks/spectrum.py --quick          # under 2 minutes on 2 cores
    python benchmarks/spectrum.py                  # about a quarter of an hour
    python benchmarks/spectrum.py --case tracking
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy are loaded

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from spectrum_cases import BUILDERS, Case, build, seconds_of
from spectrum_contestants import CONTESTANTS, CURVLINOPS, EIGENTHINGS, EIGSH, OURS, PACKAGES, PYHESSIAN, TOL, missing
from spectrum_race import Row, race
from spectrum_truth import Lanczos, lanczos
from tables import console, significant, target_table
from targets import Target

import thalweg as tw
from thalweg.landscapes.digits import digits, small_cnn

CASES = (*BUILDERS, "tracking")
QUICK = ("small", "transformer", "resnet", "tracking")
METHODS = ("linearized", "kept graph", "forward over reverse", "reverse over reverse")
LEAST = {EIGSH: 2.0, CURVLINOPS: 3.0, EIGENTHINGS: 3.0, PYHESSIAN: 10.0}
HINTS = {  # rungs of the ladders that did in a full run, for --quick
    "small": {EIGENTHINGS: 1, PYHESSIAN: 2},
    "transformer": {EIGENTHINGS: 3, PYHESSIAN: 2},
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # the peers' deprecations
    out = console()
    out.print(_conditions(options), highlight=False)
    targets: list[Target] = []
    right = True
    _load_peers()
    for key in options.case or (QUICK if options.quick else CASES):
        if key == "tracking":
            right = _track(options.quick, out, targets) and right
        elif key == "resnet" and not torch.cuda.is_available():
            out.print("(resnet) left out: no GPU here\n")
        else:
            right = _case(build(key, quick=options.quick), options, out, targets) and right
    out.print(target_table(targets))
    return 0 if right else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under 2 minutes")
    parser.add_argument("--case", nargs="+", choices=CASES, help="which cases (default: all; quick: all but large)")
    parser.add_argument("--clock", choices=("wall", "cpu"), help="of the ratios (default: cpu; wall on a GPU)")
    options = parser.parse_args(arguments)
    options.clock = options.clock or ("wall" if torch.cuda.is_available() else "cpu")
    return options


def _conditions(options: argparse.Namespace) -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    packages = ", ".join(f"{name} {_version(name)}" for name in ("torch", "scipy", *(p for _, p in PACKAGES.values())))
    size = "quick" if options.quick else "full"
    packages = f"thalweg {tw.__version__}, {packages}"
    return f"{device}, one thread, ratios by the {options.clock} clock, {size} size; {packages}\n"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _load_peers() -> None:
    """Imports are not timed; what torch imports when a graph is first traced is not either."""
    for contestant in CONTESTANTS:
        if contestant.name in PACKAGES and not missing(contestant):
            __import__(PACKAGES[contestant.name][0])
    tiny = tw.ModuleProblem(torch.nn.Linear(1, 1), (torch.ones(2, 1), torch.ones(2, 1)), loss=F.mse_loss)
    tiny.curvature(method="linearized").product(torch.ones(2))


# --- top pairs ---


def _case(case: Case, options: argparse.Namespace, out: Console, targets: list[Target]) -> bool:
    gpu = case.inputs.device.type == "cuda"
    out.print(f"[bold]{case}[/]", highlight=False)
    _products(case, options.quick, out, targets)
    product = case.problem.curvature(method="kept graph").product
    draw = torch.randn(case.num_weights, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ks = (5,) if options.quick and case.key != "small" else (5, 20)
    truth = lanczos(product, draw.float().to(case.inputs.device), max(ks), 1e-5)
    right, rungs = True, dict(HINTS.get(case.key, {})) if options.quick else {}
    for k in ks:
        rows = []
        for contestant in CONTESTANTS:
            slow = (PYHESSIAN, CURVLINOPS) if k == 20 else (PYHESSIAN,) if case.key != "small" else ()
            if options.quick and contestant.name in slow:
                rows.append(Row(contestant.name, k, absent="left out in --quick"))
                continue
            budget, rounds = 6.0 if options.quick and contestant.name == PYHESSIAN else 150.0, 1 if options.quick else 3
            rows.append(race(case, k, contestant, truth, rungs.get(contestant.name, 0), budget, rounds))
            rungs[contestant.name] = rows[-1].rung
        out.print(_table(k, rows, truth, options.clock), "")
        targets += _targets(case.key, k, rows, truth, options.clock, gpu)
        right = right and all(row.reached and row.right for row in rows if row.name == OURS)
    return right


def _products(case: Case, quick: bool, out: Console, targets: list[Target]) -> None:
    """What a product costs by each method, once set up."""
    whole = case.gradient_seconds
    table = Table(title=f"a gradient takes {1e3 * whole:.1f} ms; a product, once set up:", title_justify="left")
    for name in ("method", "gradients", "set-up, gradients", "kept, MiB"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    v = torch.ones(case.num_weights, device=case.inputs.device)
    best = float("inf")
    for method in METHODS:
        began = time.process_time()
        found = case.problem.curvature(method=method)
        set_up = time.process_time() - began
        cost = seconds_of(lambda found=found: found.product(v), repeat=2 if quick else 7) / whole  # type: ignore[misc]
        best = min(best, cost)
        table.add_row(method, f"{cost:.2f}", f"{set_up / whole:.1f}", f"{found.how.kept_bytes / 2**20:.0f}")
    out.print(table, "")
    targets.append(
        Target(f"{case.key}: one product costs at most 1.1 gradients once set up", f"{best:.2f}", best <= 1.1)
    )


def _table(k: int, rows: Sequence[Row], truth: Lanczos, clock: str) -> Table:
    mine = next(row for row in rows if row.name == OURS)
    caption = f"Plain Lanczos from thalweg's start needs {truth.fewest(k, TOL)} products. thalweg: {mine.how}."
    table = Table(title=f"top {k} pairs", title_justify="left", caption=caption, caption_justify="left", padding=0)
    table.add_column("contestant", no_wrap=True)
    for name in ("CPU s", "wall s", "x ours", "climb s", "set-up s", "products", "passes", "MiB", "residual", "off"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("setting")
    for row in rows:
        if row.absent:
            table.add_row(row.name, *[""] * 10, row.absent)
            continue
        ratio = getattr(row, clock) / getattr(mine, clock)
        table.add_row(
            row.name,
            f"{row.cpu:.2f}",
            f"{row.wall:.2f}",
            "" if row is mine else f"{significant(ratio)}x",
            "" if row is mine else f"{row.climb:.1f}",
            f"{row.set_up:.2f}",
            f"{row.products:,}",
            f"{row.passes:.1f}",
            "" if row.memory is None else f"{row.memory:.0f}",
            f"{row.residual:.1e}" if row.reached else f"[red]{row.residual:.1e}",
            f"{row.off:.0e}" if row.off <= 2 * TOL else f"[red]{row.off:.0e}",
            row.setting + ("" if row.reached else ", not reached"),
        )
    return table


def _targets(key: str, k: int, rows: Sequence[Row], truth: Lanczos, clock: str, gpu: bool) -> Iterator[Target]:
    mine = next(row for row in rows if row.name == OURS)
    for row in rows:
        if row.name == OURS or not row.products:
            continue
        least = 6.0 if gpu else LEAST[row.name]
        if row.absent or not row.reached:
            ratio = getattr(row, clock) / getattr(mine, clock)
            text = f"more than {significant(ratio)}x, and not there"
            yield Target(f"{key}, top {k}: {least:g}x over {row.name}", text, True if ratio >= least else None)
        else:
            ratio = getattr(row, clock) / getattr(mine, clock)
            yield Target(f"{key}, top {k}: {least:g}x over {row.name}", f"{significant(ratio)}x", ratio >= least)
    fewest = truth.fewest(k, TOL)
    text = f"{mine.products} against {fewest}"
    yield Target(f"{key}, top {k}: at most two products more than Lanczos needs", text, mine.products <= fewest + 2)


# --- along training ---


def _track(quick: bool, out: Console, targets: list[Target]) -> bool:
    """The top 5 along gradient descent with momentum on digits: warm, against a cold start at each checkpoint."""
    torch.manual_seed(0)
    inputs, targets_ = digits(500 if quick else 1500)[0]
    model, every = small_cnn(), 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    with tempfile.TemporaryDirectory() as folder:
        recorder = tw.Recorder(f"{folder}/run.zarr")
        with recorder.attach(model, optimizer, every=every):
            for _ in range(60 if quick else 300):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs), targets_).backward()
                optimizer.step()
        run = recorder.trajectory()
        problem = tw.ModuleProblem(model, (inputs, targets_), loss=F.cross_entropy)
        began = time.process_time()
        found = tw.track_spectrum(problem, run, k=5, tol=TOL, progress=False)
        warm_seconds = time.process_time() - began
        some = slice(None, None, 4 if quick else 1)
        thetas = torch.as_tensor(run.theta.values[some])
    began = time.process_time()
    cold = [tw.top_eigenpairs(problem, 5, theta=theta, tol=TOL, progress=False) for theta in thetas]
    cold_seconds = time.process_time() - began
    warm = found.num_matvecs.values
    counts = np.array([pairs.attrs["num_matvecs"] for pairs in cold])
    apart = max(
        float(np.abs(np.sort(pairs.eigenvalue.values) - np.sort(row)).max() / np.abs(row).max())
        for pairs, row in zip(cold, found.eigenvalue.values[some], strict=True)
    )
    table = Table(
        title=f"(tracking) top 5 at {len(warm)} checkpoints of a run, {every} steps apart", title_justify="left"
    )
    for name in ("", "checkpoints", "products: first", "mean after", "later half", "most after", "CPU s", "converged"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    converged = [bool(found.converged.all()), all(bool(pairs.converged.all()) for pairs in cold)]
    for name, n, seconds, done in (
        ("track_spectrum, warm", warm, warm_seconds, converged[0]),
        ("top_eigenpairs, cold", counts, cold_seconds, converged[1]),
    ):
        means = f"{n[1:].mean():.1f}", f"{n[len(n) // 2 :].mean():.1f}", str(n[1:].max())
        table.add_row(name, str(len(n)), str(n[0]), *means, f"{seconds:.1f}", "all" if done else "not all")
    out.print(table)
    out.print(f"largest difference of eigenvalues: {apart:.0e} of the largest\n", highlight=False)
    text = f"{warm[1:].mean():.1f} on average, {warm[1:].max()} at most"
    targets.append(Target("tracking: at most 12 products per checkpoint", text, bool(warm[1:].max() <= 12)))
    return converged[0] and apart <= 2 * TOL


if __name__ == "__main__":
    sys.exit(main())
