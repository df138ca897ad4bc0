"""How fast are Jacobians, their singular values and tangent kernels, and are they right?

What is timed
-------------
- jacobian: 1,500 inputs x 1,321 weights (a regression network of four layers of 20 units): the Jacobian of its output,
  and the Jacobian with its singular values. Everybody else's go to `numpy.linalg.svd`; thalweg's `linearize` finds all
  triplets above the rounding of float32 by random projections, with a certificate of what is left out.
- kernel: the full tangent kernel of a CNN of 38,282 weights with 10 outputs on 300, 600 and 1,500 digits: by layers
  (thalweg), by `vmap(jacrev)` as in PyTorch's tutorial, by a loop, and by neural-tangents' structured derivatives.
- large: the 20 largest singular triplets of the Jacobian of that CNN on 20,000 images (200,000 rows, 30 GB if it were
  stored), in a process of its own, whose memory is told.

How
---
- Contestants take turns; the fastest round counts. Ratios are of CPU seconds (`--clock wall` for the wall's), of one
  thread. Reading data and importing libraries is not timed, nor is compiling (JAX).
- neural-tangents 0.6.5 imports with JAX 0.4.23 and not with recent ones: `--neural-tangents PYTHON` names an
  interpreter of an environment that has both.
- `--quick`: 300 images only, 2,000 for the large case.

The exit code is 1 if thalweg's values are wrong; nothing else is asserted.

How to run
----------
    python benchmarks/tangent.py --quick          # a minute
    python benchmarks/tangent.py                  # ten minutes, 4 GB (neural-tangents: 10)
    python benchmarks/tangent.py --case kernel --neural-tangents old/bin/python
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy are loaded

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tables import console, significant, target_table
from tangent_contestants import GRAD, JACOBIANS, JACREV, KERNELS, LOOP, NT, OURS, NeuralTangents, our_problem
from targets import Target

import thalweg as tw
from thalweg.landscapes.digits import digits, small_cnn
from thalweg.landscapes.sines import mlp, sines_data

CASES = ("jacobian", "kernel", "large")
SLOW = {LOOP: 300, JACREV: 600}  # images up to which a contestant is asked for a kernel


@dataclass
class Row:
    """Seconds of each round, and by how much the values differ from the reference."""

    name: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    off: float = math.nan
    absent: str = ""

    def seconds(self, clock: str) -> float:
        return min(getattr(self, clock), default=math.nan)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    out = console()
    out.print(
        f"CPU, one thread, ratios by the {options.clock} clock; thalweg {tw.__version__}, torch {torch.__version__}"
    )
    run = {"jacobian": _jacobian, "kernel": _kernel, "large": _large}
    targets: list[Target] = []
    right = [run[case](options, out, targets) for case in options.case or CASES]
    out.print(target_table(targets))
    return 0 if all(right) else 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute")
    parser.add_argument("--case", nargs="+", choices=CASES, help="which cases (default: all)")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu", help="of the ratios")
    parser.add_argument(
        "--neural-tangents", default=sys.executable, metavar="PYTHON", help="an interpreter that has it"
    )
    return parser.parse_args(arguments)


def _race(calls: dict[str, Callable[[], Any]], rounds: dict[str, int]) -> tuple[list[Row], dict[str, Any]]:
    """Everybody once to warm up, and then in turns."""
    rows, values = {name: Row(name) for name in calls}, {name: call() for name, call in calls.items()}
    for round_ in range(max(rounds.values())):
        for name, call in calls.items():
            if round_ < rounds[name]:
                cpu, wall = time.process_time(), time.perf_counter()
                call()
                rows[name].cpu.append(time.process_time() - cpu)
                rows[name].wall.append(time.perf_counter() - wall)
    return list(rows.values()), values


def _table(title: str, rows: Sequence[Row], clock: str) -> Table:
    ours = next(row for row in rows if row.name == OURS).seconds(clock)
    absent = "\n".join(f"{row.name}: {row.absent}" for row in rows if row.absent)
    table = Table(title=title, title_justify="left", caption=absent or None, caption_justify="left")
    table.add_column("contestant", no_wrap=True)
    for name in ("CPU ms", "wall ms", "x ours", "off"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if row.absent:
            continue
        times = (significant(1e3 * row.seconds(kind)) for kind in ("cpu", "wall"))
        table.add_row(row.name, *times, f"{significant(row.seconds(clock) / ours)}x", f"{row.off:.0e}")
    return table


def _ratio(rows: Sequence[Row], name: str, clock: str) -> float:
    found = {row.name: row.seconds(clock) for row in rows}
    return found.get(name, math.nan) / found[OURS]


# --- 1,500 inputs x 1,321 weights ---


def _jacobian(options: argparse.Namespace, out: Console, targets: list[Target]) -> bool:
    x = sines_data().train.x
    model = _trained(mlp([20] * 4, seed=600))
    rounds = {OURS: 20, GRAD: 10, LOOP: 2 if options.quick else 3}
    rows, values = _race({name: lambda f=f: f(model, x) for name, f in JACOBIANS.items()}, rounds)  # type: ignore[misc]
    for row in rows:
        row.off = float(np.abs(values[row.name] - values[LOOP]).max() / np.abs(values[LOOP]).max())
    out.print(_table("(jacobian) 1,500 inputs x 1,321 weights", rows, options.clock), "")
    ratio = _ratio(rows, LOOP, options.clock)
    targets.append(Target("jacobian: 100x over one backward each", f"{significant(ratio)}x", ratio >= 100))
    tangent = tw.linearize(our_problem(model, x))
    svd = {name: lambda f=f: np.linalg.svd(f(model, x), full_matrices=False)[1] for name, f in JACOBIANS.items()}  # type: ignore[misc]
    svd[OURS] = lambda: tw.linearize(our_problem(model, x)).singular_value.values
    ends, spectra = _race(svd, {OURS: 10, GRAD: 1 if options.quick else 3, LOOP: 1 if options.quick else 2})
    truth = np.linalg.svd(values[LOOP].astype(np.float64), compute_uv=False)
    for row in ends:
        found = spectra[row.name]
        row.off = float(np.abs(found - truth[: len(found)]).max() / truth[0])
    title = (
        f"(jacobian) with singular values; thalweg: {tangent.attrs['method']}, numerical rank {tangent.attrs['rank']}"
    )
    out.print(_table(title, ends, options.clock))
    left = tangent.attrs["tail"] / tangent.attrs["frobenius"]
    bound = float(tangent.bound.max() / tangent.singular_value[0])
    out.print(
        f"left out: {left:.1e} of the norm; values are larger by at most {bound:.1e} of the largest\n", highlight=False
    )
    ratio = _ratio(ends, LOOP, options.clock)
    targets.append(Target("jacobian with singular values: 40x end to end", f"{significant(ratio)}x", ratio >= 40))
    return rows[0].off < 1e-5 and ends[0].off < 1e-5


def _trained(model: torch.nn.Module) -> torch.nn.Module:
    """Two epochs, so that the spectrum is not that of zero biases."""
    data, optimizer = sines_data().train, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        for chosen in torch.randperm(1500, generator=torch.Generator().manual_seed(0)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(data.x[chosen]), data.y[chosen]).backward()
            optimizer.step()
    return model


# --- a CNN on images ---


def _kernel(options: argparse.Namespace, out: Console, targets: list[Target]) -> bool:
    images, model, right = digits(1500)[0][0], small_cnn(), True
    peer = NeuralTangents(options.neural_tangents)
    for n in (300,) if options.quick else (300, 600, 1500):
        x = images[:n]
        calls = {name: lambda f=f, x=x: f(model, x) for name, f in KERNELS.items() if n <= SLOW.get(name, n)}  # type: ignore[misc]
        rounds = {name: (5 if name == OURS else 2) if n == 300 else 1 for name in calls}
        rows, values = _race(calls, rounds)
        rows += [Row(name, absent="left out: too slow, or too large") for name in KERNELS if name not in calls]
        rows.append(_by_neural_tangents(peer, model, x, values))
        truth = _reference(model, x)
        for row in rows:
            if row.name in values:
                some = values[row.name][:500, -500:]
                row.off = float(np.abs(some - truth).max() / np.abs(truth).max())
        out.print(_table(f"(kernel) {n:,} images x 10 outputs, 38,282 weights", rows, options.clock), "")
        right = right and rows[0].off < 1e-5
        if n == 300:
            ratio = _ratio(rows, JACREV, options.clock)
            targets.append(Target("kernel: 5x over vmap(jacrev) at 300 images", f"{ratio:.1f}x", ratio >= 5))
        ratio = _ratio(rows, NT, options.clock)
        if math.isfinite(ratio):
            targets.append(Target(f"kernel: no slower than neural-tangents, {n:,}", f"{ratio:.2f}x", ratio >= 1))
    return right


def _by_neural_tangents(peer: NeuralTangents, model: Any, x: torch.Tensor, values: dict[str, Any]) -> Row:
    if peer.absent:
        return Row(NT, absent=peer.absent)
    try:
        values[NT], cpu, wall = peer.kernel(model, x, 5 if len(x) == 300 else 1)
    except RuntimeError as error:
        return Row(NT, absent=f"failed: {error}")
    return Row(NT, [cpu], [wall])


def _reference(model: Any, x: torch.Tensor) -> np.ndarray:
    """A corner of the kernel in float64: the first 50 images with the last 50."""
    model = small_cnn().double()
    first, last = (JACOBIANS[LOOP](model, part.double()) for part in (x[:50], x[-50:]))
    return first @ last.T


# --- what others cannot hold ---


def _large(options: argparse.Namespace, out: Console, targets: list[Target]) -> bool:
    num = 2_000 if options.quick else 20_000
    seen = _alone(num)
    small = _alone(200)
    kernel = KERNELS[OURS](small_cnn(), _images(200)).astype(np.float64)
    truth = np.sqrt(np.linalg.eigvalsh(kernel)[::-1][:20])
    off = float(np.abs(small["values"] - truth).max() / truth[0])
    out.print(
        f"(large) top 20 of {num:,} images x 10 outputs x 38,282 weights ({num * 10 * 38_282 * 4 / 2**30:.1f} GiB if "
        f"stored): {seen['cpu']:.0f} CPU s ({seen['wall']:.0f} on the wall), {seen['products']} products, "
        f"residuals at most {seen['residual']:.1e} of the largest, {seen['memory']:.2f} GiB\n"
        f"on 200 images, off by {off:.0e} from the eigenvalues of the kernel\n",
        highlight=False,
    )
    text = f"{seen['memory']:.2f} GiB"
    targets.append(
        Target(f"large: top 20 of {num:,} images under 4 GB", text, seen["memory"] < 4 and seen["converged"])
    )
    return off < 1e-3


def _images(num: int) -> torch.Tensor:
    """Digits, repeated with noise."""
    images = digits(1500)[0][0]
    many = images.repeat(-(-num // len(images)), 1, 1, 1)[:num]
    return many + 0.2 * torch.randn(many.shape, generator=torch.Generator().manual_seed(0))


def _alone(num: int) -> dict[str, Any]:
    """In a process of its own: what was found, seconds, and the memory of the whole process at its peak."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_triplets, args=(num, there))
    process.start()
    there.close()
    try:
        return here.recv()
    finally:
        process.join()


def _triplets(num: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    problem = our_problem(small_cnn(), _images(num))
    cpu, wall = time.process_time(), time.perf_counter()
    found = tw.linearize(problem, k=20, method="lanczos", progress=False)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    pipe.send(
        {
            "values": found.singular_value.values,
            "residual": float(found.residual.max() / found.singular_value[0]),
            "converged": found.attrs["stop"] == "converged",
            "products": found.attrs["num_products"],
            "cpu": cpu,
            "wall": wall,
            "memory": int(peak.split()[1]) / 2**20,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
