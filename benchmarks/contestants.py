"""Who takes part: thalweg, the peers, and the loops that one would write by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import ours
from audit import on
from cases import Case, Size
from grid import Grid
from loops import data_loader_loop, in_memory_loop
from peers import PACKAGES, loss_landscape_3d, loss_landscapes
from timing import Absent, Contestant

THALWEG, TF32, BF16 = "thalweg", "thalweg, precision='tf32'", "thalweg, precision='bf16'"
PEER_3D, PEER = PACKAGES
LOADER, LOADER_128 = "DataLoader loop", "DataLoader loop, batches of 128"
MEMORY, MEMORY_256 = "in-memory loop", "in-memory loop, batches of 256"


def contestants(case: Case, grid: Grid, size: Size) -> tuple[list[Contestant], list[Absent]]:
    """Everybody on the same network, examples and plane, and the peers that are not installed.

    DataLoader tools find the examples on the CPU, the others on the network's device.
    """
    here = on(grid, case.images)
    runs = {
        **_thalweg(case, grid),
        PEER_3D: partial(loss_landscape_3d, case.model, case.images),
        PEER: partial(loss_landscapes, case.model, here),
        LOADER: partial(data_loader_loop, case.model, case.images),
        **_small_batches(case),
        MEMORY: partial(in_memory_loop, case.model, here),
        MEMORY_256: partial(in_memory_loop, case.model, here, batch_size=256),
    }
    absent = [Absent(name, f"not installed: pip install {name}") for name in missing()]
    running = [_contestant(name, run, size) for name, run in runs.items() if name not in missing()]
    return running, absent


def _contestant(name: str, run: Callable[[Grid], np.ndarray], size: Size) -> Contestant:
    """thalweg gets the time for all points of a cheap grid, and evaluates the origin besides."""
    if not name.startswith(THALWEG):
        return Contestant(name, run, size.seconds)
    return Contestant(name, run, math.inf if size.whole else 4 * size.seconds, extra=1)


def _small_batches(case: Case) -> dict[str, Callable[[Grid], np.ndarray]]:
    """The batches of loss-landscape-3d's README, in the case where they make the most of a difference."""
    return {LOADER_128: partial(data_loader_loop, case.model, case.images, batch_size=128)} if case.key == "a" else {}


def missing() -> list[str]:
    return [name for name, module in PACKAGES.items() if find_spec(module) is None]


def _thalweg(case: Case, grid: Grid) -> dict[str, Callable[[Grid], np.ndarray]]:
    precisions = {THALWEG: "model"}
    if grid.origin.device.type == "cuda":
        precisions |= {TF32: "tf32", BF16: "bf16"}
    return {
        name: ours.surface_of(ours.problem_of(case.model, case.images, precision))
        for name, precision in precisions.items()
    }


def cloned_centre(case: Case, grid: Grid) -> np.ndarray:
    """loss-landscape-3d with the trap stepped around, on the nine points."""
    return loss_landscape_3d(case.model, case.images, grid.check, centre_cloned=True)
