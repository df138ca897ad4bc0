"""Processes that are killed, and processes that share: the grid in the store is that of one quiet process."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys, time
import torch
import thalweg as tw
from thalweg.measures import layout

torch.set_num_threads(1)
store, log, ready = sys.argv[1], open(sys.argv[2], "a", buffering=1), sys.argv[2] + ".ready"
adaptive, nap, seconds, together = map(float, sys.argv[3:])
layout._BLOCK_SECONDS = seconds
torch.manual_seed(0)
model = torch.nn.Linear(2, 1, bias=False).double()
inputs = torch.randn(8, 2, dtype=torch.float64)


def step(model, batch):
    x, y = model.weight.detach()[0].tolist()
    log.write(f"{os.getpid()} {x.hex()} {y.hex()}\\n")
    time.sleep(nap)
    x, y = model.weight[0]
    spike = 30 * torch.exp(-800 * ((x - 0.63) ** 2 + (y - 0.83) ** 2))
    return (torch.sin(3.2 * x) + y**2 - 0.5).abs() + spike + 0 * model(batch)[:, 0]


problem = tw.ModuleProblem(model, inputs, step=step)
plane = tw.coordinate_plane(problem)
with open(ready, "a") as mark:  # importing torch takes one process seconds longer than another: begin together
    mark.write("x")
while os.path.getsize(ready) < together:
    time.sleep(0.005)
tw.loss_surface(problem, plane, extent=1.0, points=(26, 28), store=store, name="a", adaptive=adaptive or None)
"""


def start(folder, store, *, adaptive=0.0, nap=0.001, seconds=0.05, together=1):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    env = os.environ | {"THALWEG_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, str(script), str(folder / store), str(folder / f"{store}.log")]
    argv += map(str, (adaptive, nap, seconds, together))
    return subprocess.Popen(argv, env=env, stderr=subprocess.PIPE)


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()


def seen(folder, store):
    """How often each point was evaluated."""
    log = folder / f"{store}.log"
    rows = (line.split()[1:] for line in log.read_text().splitlines()) if log.exists() else ()
    return Counter((float.fromhex(x), float.fromhex(y)) for x, y in (row for row in rows if len(row) == 2))


def known(folder, store):
    if not (folder / store / "a" / "zarr.json").exists():
        return 0
    try:
        with warnings.catch_warnings(action="ignore"):
            return tw.load(folder / store).attrs["num_evaluated"]
    except (KeyError, ValueError):
        return 0


@pytest.mark.parametrize("adaptive", [0.0, 0.02], ids=["full", "adaptive"])
def test_a_surface_killed_again_and_again_equals_an_uninterrupted_one_to_the_bit(tmp_path, adaptive):
    options = {"adaptive": adaptive, "seconds": 0.003 if adaptive else 0.05}
    finish(start(tmp_path, "whole", **options))
    whole = tw.load(tmp_path / "whole")
    draw = random.Random(0)
    share, kills = 0.1, 0
    while share < 0.9:
        process = start(tmp_path, "killed", nap=0.004, **options)
        while process.poll() is None and known(tmp_path, "killed") < share * whole.attrs["num_evaluated"]:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.05))
        killed_alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += killed_alive
        with warnings.catch_warnings(action="ignore"):  # litter of the killed writer
            part = tw.load(tmp_path / "killed")
        evaluated = np.isfinite(part.loss.values) & ~part.get("interpolated", part.loss.isnull()).values
        both = evaluated & ~whole.get("interpolated", whole.loss.isnull()).values
        np.testing.assert_array_equal(part.loss.values[both], whole.loss.values[both])
        share = max(share, part.attrs["num_evaluated"] / whole.attrs["num_evaluated"]) + 0.35
    assert kills >= 2
    finish(start(tmp_path, "killed", **options))
    resumed = tw.load(tmp_path / "killed")
    assert resumed.attrs["complete"]
    assert resumed.equals(whole)
    assert resumed.attrs["num_evaluated"] == whole.attrs["num_evaluated"]


def test_a_process_killed_while_it_starts_leaves_a_store_that_works(tmp_path):
    for delay in (0.0, 0.05):
        process = start(tmp_path, "s")
        while process.poll() is None and not Path(tmp_path / ".s.locks").exists():
            time.sleep(0.002)
        time.sleep(delay)
        process.kill()
        process.communicate()
    finish(start(tmp_path, "s"))
    assert tw.load(tmp_path / "s").attrs["complete"]


@pytest.mark.parametrize("adaptive", [0.0, 0.02], ids=["full", "adaptive"])
def test_processes_started_at_once_share_the_grid_and_compute_every_point_once(tmp_path, adaptive):
    options = {"adaptive": adaptive, "seconds": 0.003 if adaptive else 0.05}
    finish(start(tmp_path, "alone", **options))
    finish(*(start(tmp_path, "shared", nap=0.004, together=3, **options) for _ in range(3)))
    alone, shared = (tw.load(tmp_path / store) for store in ("alone", "shared"))
    assert shared.equals(alone)
    axes = alone.alpha.values, alone.beta.values
    evaluated = ~alone.get("interpolated", alone.loss.isnull()).values
    counts = seen(tmp_path, "shared")
    for i, j in np.argwhere(evaluated):
        assert counts[axes[0][i], axes[1][j]] == 1
    assert shared.attrs["num_evaluated"] == evaluated.sum()
    workers = {line.split()[0] for line in (tmp_path / "shared.log").read_text().splitlines()}
    assert len(workers) == 3


def test_the_locks_of_a_killed_process_block_nobody(tmp_path):
    """It holds a block when it dies; another finishes at once all the same."""
    process = start(tmp_path, "s", nap=0.02)
    while process.poll() is None and known(tmp_path, "s") == 0:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    locks = [f for f in (tmp_path / ".s.locks").rglob("*.lock") if f.name != "create.lock"]
    assert locks, "the process held no lock when it was killed"
    finish(start(tmp_path, "s", nap=0.0))
    assert tw.load(tmp_path / "s").attrs["complete"]
