"""A run that was cut off goes on in its trajectory: the rows are those of the run that was not."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw

RATE = 0.05


def network(seed=0, width=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))


def train(model, optimizer, steps):
    """Steps by number, each with data of its own, so that a run is the same however it is cut."""
    for step in steps:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        loss.backward()
        yield loss
        optimizer.step()


def record(study, until, *, since=0, state=None, every=2, **keywords):
    """Train from `since` to `until`; returns the model's and the optimizer's state, as a checkpoint would hold it."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    if state is not None:
        model.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    step = keywords.pop("step", None)
    recorder = tw.Recorder(study, metrics={"size": lambda model: model[0].weight.norm()}, **keywords)
    with recorder.attach(model, optimizer, every, step=step):
        for loss in train(model, optimizer, range(since, until)):
            recorder.log(loss)
    state = model.state_dict(), optimizer.state_dict()
    return [{key: value.clone() for key, value in state[0].items()}, state[1]], recorder.trajectory()


@pytest.mark.parametrize(("cut", "step"), [(4, None), (4, 4), (6, 6), (8, 6), (10, 2), (8, 0)])
def test_a_run_that_goes_on_has_the_rows_of_one_that_was_never_cut(tmp_path, cut, step):
    """Cut after so many steps; gone on from the last row, or from a checkpoint that is older than it."""
    _, whole = record(tmp_path / "whole.zarr", 12)
    record(tmp_path / "s.zarr", cut)
    since = cut if step is None else step
    state, _ = record(tmp_path / "other.zarr", since)
    _, found = record(tmp_path / "s.zarr", 12, since=since, state=state, step=step, resume=True)
    np.testing.assert_array_equal(found.step, whole.step)
    for name in ("theta", "size", "learning_rate", "loss"):
        np.testing.assert_array_equal(found[name], whole[name])
    assert found.attrs["resumed_at"] == [since]


def test_a_checkpoint_between_two_rows_becomes_a_row(tmp_path):
    record(tmp_path / "s.zarr", 8)
    state, _ = record(tmp_path / "other.zarr", 5)
    _, found = record(tmp_path / "s.zarr", 9, since=5, state=state, step=5, resume=True)
    assert found.step.values.tolist() == [0, 2, 4, 5, 6, 8, 9]
    assert np.isnan(found.loss.values[3])


def test_resuming_what_is_not_there_begins_it(tmp_path):
    _, found = record(tmp_path / "s.zarr", 4, resume=True)
    assert found.step.values.tolist() == [0, 2, 4]
    _, late = record(tmp_path / "t.zarr", 4, resume=True, step=100)
    assert late.step.values.tolist() == [100, 102, 104]


def test_nothing_recorded_is_lost_when_the_checkpoint_was_forgotten(tmp_path):
    """The model at its start is row 0: going on from there unasked would drop all others."""
    _, before = record(tmp_path / "s.zarr", 8)
    with pytest.raises(ValueError, match=r"not those recorded at step 8 .*the last one.*Load the checkpoint"):
        record(tmp_path / "s.zarr", 12, resume=True)
    with pytest.raises(ValueError, match="not those recorded at step 4"):
        record(tmp_path / "s.zarr", 12, resume=True, step=4)
    assert tw.load(tmp_path / "s.zarr").identical(before)


@pytest.mark.parametrize("other", ["width", "dtype", "names"])
def test_a_trajectory_of_another_network_is_refused(tmp_path, other):
    _, before = record(tmp_path / "s.zarr", 4)
    model = {"width": network(width=5), "dtype": network().double(), "names": nn.Sequential(*network(), nn.ReLU())}
    model = model[other]
    if other == "names":
        model = nn.ModuleDict({"inner": network()})
    recorder = tw.Recorder(tmp_path / "s.zarr", resume=True)
    with pytest.raises(ValueError, match="another network"):
        recorder.attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert tw.load(tmp_path / "s.zarr").identical(before)


def test_what_cannot_go_on_is_refused(tmp_path):
    problem = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=3)
    tw.save(surface, tmp_path / "s.zarr", "trajectory")
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="kind 'surface'"):
        tw.Recorder(tmp_path / "s.zarr", resume=True).attach(model, optimizer)
    with pytest.raises(ValueError, match="choose one"):
        tw.Recorder(tmp_path / "s.zarr", resume=True, overwrite=True)
    for step in (-1, 1.5, True):
        with pytest.raises(ValueError, match="step="):
            tw.Recorder(tmp_path / "t.zarr").attach(model, optimizer, step=step)


def test_metrics_of_either_part_are_nan_in_the_other(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for name, keywords in (("first", {}), ("second", {"resume": True})):
        recorder = tw.Recorder(tmp_path / "s.zarr", metrics={name: lambda model: 1.0}, **keywords)
        with recorder.attach(model, optimizer):
            optimizer.step()
    found = tw.load(tmp_path / "s.zarr")
    np.testing.assert_array_equal(found["first"], [1, 1, np.nan])
    np.testing.assert_array_equal(found["second"], [np.nan, np.nan, 1])


SCRIPT = """
import os, sys, torch, thalweg as tw
study, checkpoint, until = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.manual_seed(0)
model = torch.nn.Linear(40, 30)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
step = 0
if os.path.exists(checkpoint):
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"]); optimizer.load_state_dict(state["optimizer"]); step = state["step"]
recorder = tw.Recorder(study, metrics={"bias": lambda m: m.bias.sum()}, resume=True)
recorder.attach(model, optimizer, every=3, step=step)
for k in range(step, until):
    x = torch.randn(4, 40, generator=torch.Generator().manual_seed(k))
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    recorder.log(loss)
    optimizer.step()
    if (k + 1) % 7 == 0:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": k + 1}, checkpoint + "~")
        os.replace(checkpoint + "~", checkpoint)
    print(k, flush=True)
recorder.close()
"""


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_rows_of_one_that_was_not(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def start(place, until=60):
        arguments = [sys.executable, str(script), str(tmp_path / f"{place}.zarr"), str(tmp_path / place), str(until)]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=env)

    start("whole").communicate()
    for steps in (10, 12, 9):
        process = start("killed")
        for _ in range(steps):
            process.stdout.readline()
        time.sleep(0.001)
        process.kill()
        process.communicate()
        found = tw.load(tmp_path / "killed.zarr")
        assert np.isfinite(found.theta).all()
        assert (np.diff(found.step) > 0).all()
    last = start("killed")
    last.communicate()
    assert last.returncode == 0
    whole, found = tw.load(tmp_path / "whole.zarr"), tw.load(tmp_path / "killed.zarr")
    resumed = found.attrs["resumed_at"]
    assert len(resumed) >= 3
    assert set(whole.step.values) <= set(found.step.values) <= {*whole.step.values, *resumed}
    same = found.sel(step=whole.step)
    for name in ("theta", "bias", "learning_rate", "loss"):
        np.testing.assert_array_equal(same[name], whole[name])
