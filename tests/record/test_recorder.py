"""A training run on disk: every row is the weights of its step, and the run is the one without a recorder."""

import contextlib
import copy
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import zarr
from torch import nn

import thalweg as tw


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def weights(model):
    """By hand: every trainable parameter once, end to end."""
    return torch.cat([p.detach().double().flatten() for p in model.parameters() if p.requires_grad]).numpy()


def train(model, steps, recorder=None, optimizer=None, *, scheduler=None, every=1):
    """A plain loop; returns what a careful user would have copied by hand after each step."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.05)
    torch.manual_seed(1)
    copies, losses, rates = [weights(model)], [np.nan], [optimizer.param_groups[0]["lr"]]
    if recorder is not None:
        recorder.attach(model, optimizer, every=every)
    for _ in range(steps):
        first = next(model.parameters())
        x = torch.randn(8, 3, dtype=first.dtype)
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if recorder is not None:
            recorder.log(loss)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        copies.append(weights(model))
        losses.append(float(loss.detach()))
    if recorder is not None:
        recorder.close()
    return np.array(copies), np.array(losses), np.array(rates)


@pytest.mark.parametrize(("steps", "every"), [(6, 1), (7, 3), (6, 3), (2, 5), (0, 1)])
def test_rows_are_the_weights_of_their_steps_the_first_and_the_last_included(tmp_path, steps, every):
    copies, losses, rates = train(network(), steps, recorder := tw.Recorder(tmp_path / "s.zarr"), every=every)
    found = recorder.trajectory()
    expected = sorted({*range(0, steps + 1, every), steps})
    np.testing.assert_array_equal(found.step, expected)
    np.testing.assert_array_equal(found.theta, copies[expected])
    np.testing.assert_array_equal(found.loss, losses[expected])
    np.testing.assert_array_equal(found.learning_rate, rates[expected])


@pytest.mark.parametrize("every", [1, 2, 4])
def test_the_learning_rate_of_a_row_is_the_one_its_step_was_made_with(tmp_path, every):
    """A scheduler moves it after every step; the last row, recorded at closing, is no exception."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    recorder = tw.Recorder(tmp_path / "s.zarr")
    _, _, rates = train(model, 7, recorder, optimizer, scheduler=scheduler, every=every)
    found = recorder.trajectory()
    np.testing.assert_array_equal(found.learning_rate, rates[found.step.values])


@pytest.mark.parametrize("kind", ["Adam", "SGD", "LBFGS"])
def test_the_run_is_the_one_without_a_recorder_to_the_bit(tmp_path, kind):
    finals = []
    for recorder in (None, tw.Recorder(tmp_path / "s.zarr")):
        model = network()
        optimizer = getattr(torch.optim, kind)(model.parameters(), lr=0.05)
        if recorder is not None:
            recorder.attach(model, optimizer)
        torch.manual_seed(5)
        for _ in range(5):
            x = torch.randn(8, 3)

            def closure(x=x, model=model, optimizer=optimizer):
                optimizer.zero_grad()
                loss = model(x).square().mean()
                loss.backward()
                return loss

            loss = optimizer.step(closure)
            if recorder is not None:
                recorder.log(loss)
        if recorder is not None:
            recorder.close()
            assert len(recorder.trajectory().step) == 6
        finals.append((weights(model), torch.rand(1).item(), copy.deepcopy(optimizer.state_dict())))
    np.testing.assert_array_equal(finals[0][0], finals[1][0])
    assert finals[0][1] == finals[1][1], "the recorder drew random numbers"
    assert str(finals[0][2]) == str(finals[1][2])


def test_rows_are_copies_and_not_views_of_the_live_weights(tmp_path):
    """A `state_dict()` taken as a record aliases the weights, and all rows come out alike."""
    _copies, _, _ = train(network(), 3, recorder := tw.Recorder(tmp_path / "s.zarr"))
    assert len({row.tobytes() for row in recorder.trajectory().theta.values}) == 4


def test_the_trajectory_fits_the_problem_of_the_same_model(tmp_path):
    model = network()
    train(model, 3, recorder := tw.Recorder(tmp_path / "s.zarr"))
    problem = tw.ModuleProblem(model, (torch.randn(5, 3), torch.randn(5, 1)), loss=nn.functional.mse_loss)
    np.testing.assert_array_equal(recorder.trajectory().theta.values[-1], problem.theta)


def test_tied_parameters_are_recorded_once_and_frozen_ones_and_buffers_not(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3), nn.Linear(3, 1))
    model[2].weight = model[0].weight
    model[3].weight.requires_grad_(False)
    copies, _, _ = train(model, 3, recorder := tw.Recorder(tmp_path / "s.zarr"))
    assert copies.shape == (4, 9 + 3 + 3 + 3 + 3 + 1)
    np.testing.assert_array_equal(recorder.trajectory().theta, copies)


@pytest.mark.parametrize(("dtype", "kept"), [(torch.bfloat16, "float32"), (torch.float64, "float64")])
def test_other_precisions_are_recorded_exactly(tmp_path, dtype, kept):
    """Half precision is widened; nothing is rounded."""
    copies, _, _ = train(network().to(dtype), 3, recorder := tw.Recorder(tmp_path / "s.zarr"))
    assert recorder.trajectory().theta.dtype == kept
    np.testing.assert_array_equal(recorder.trajectory().theta, copies)


def test_weights_that_diverge_are_recorded_as_they_are(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    copies, losses, _ = train(model, 4, recorder := tw.Recorder(tmp_path / "s.zarr"), optimizer)
    assert not np.isfinite(copies[-1]).all()
    np.testing.assert_array_equal(recorder.trajectory().theta, copies)
    np.testing.assert_array_equal(recorder.trajectory().loss, losses)


def test_more_rows_than_are_allocated_at_a_time(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    recorder = tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer)
    for k in range(1100):
        with torch.no_grad():
            model.weight.fill_(k + 1)
        optimizer.step()
    with torch.no_grad():
        model.weight.fill_(1100)
    recorder.close()
    found = recorder.trajectory()
    np.testing.assert_array_equal(found.step, np.arange(1101))
    np.testing.assert_array_equal(found.theta.values[1:, 0], np.arange(1, 1101))


def test_an_exception_in_the_loop_keeps_the_rows_and_lets_go_of_the_optimizer(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train_three_steps_and_fail():
        with tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer, every=2):
            for _ in range(3):
                optimizer.step()
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        train_three_steps_and_fail()
    np.testing.assert_array_equal(tw.load(tmp_path / "s.zarr").step, [0, 2, 3])
    optimizer.step()
    assert len(tw.load(tmp_path / "s.zarr").step) == 3


def test_a_loss_that_was_not_told_is_nan(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer)
    optimizer.step()
    recorder.close()
    assert recorder.trajectory().loss.isnull().all()


def test_an_existing_trajectory_is_not_overwritten_unasked(tmp_path):
    train(network(0), 3, first := tw.Recorder(tmp_path / "s.zarr"))
    before = first.trajectory()
    with pytest.raises(FileExistsError, match=r"`trajectory`.*overwrite=True"):
        tw.Recorder(tmp_path / "s.zarr")
    assert first.trajectory().identical(before)
    copies, _, _ = train(network(1), 2, second := tw.Recorder(tmp_path / "s.zarr", overwrite=True))
    np.testing.assert_array_equal(second.trajectory().theta, copies)


def test_two_recorders_made_before_either_is_attached_do_not_erase_each_other(tmp_path):
    """Checking when it is made and writing when it is attached leaves a gap."""
    first, second = tw.Recorder(tmp_path / "s.zarr"), tw.Recorder(tmp_path / "s.zarr")
    copies, _, _ = train(network(0), 3, first)
    with pytest.raises(FileExistsError, match="trajectory"):
        train(network(1), 3, second)
    np.testing.assert_array_equal(first.trajectory().theta, copies)


def test_a_recorder_attached_again_does_not_lose_its_rows(tmp_path):
    """A second phase of training: it is refused, or goes on after the first."""
    model = network()
    copies, _, _ = train(model, 3, recorder := tw.Recorder(tmp_path / "s.zarr"))
    with contextlib.suppress(RuntimeError, FileExistsError):
        train(model, 2, recorder)
    np.testing.assert_array_equal(tw.load(tmp_path / "s.zarr").theta.values[:4], copies)


def test_a_recorder_is_attached_once_at_a_time(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer)
    with pytest.raises(RuntimeError, match="attached already"):
        recorder.attach(model, optimizer)
    recorder.close()
    recorder.close()


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", None])
def test_a_bad_interval_is_refused(tmp_path, every):
    model = network()
    with pytest.raises(ValueError, match="every="):
        tw.Recorder(tmp_path / "s.zarr").attach(model, torch.optim.SGD(model.parameters()), every=every)
    assert not (tmp_path / "s.zarr" / "trajectory").exists()


def test_a_model_without_weights_is_refused(tmp_path):
    other = network()
    with pytest.raises(ValueError, match="no trainable parameters"):
        tw.Recorder(tmp_path / "s.zarr").attach(nn.Tanh(), torch.optim.SGD(other.parameters()))


def test_an_optimizer_of_another_model_is_refused(tmp_path):
    """All rows would be the same point."""
    with pytest.raises(ValueError, match="optimizer"):
        tw.Recorder(tmp_path / "s.zarr").attach(network(0), torch.optim.SGD(network(1).parameters(), lr=0.1))


ARRAYS = ("theta", "loss", "learning_rate", "step")


@pytest.mark.parametrize("written", range(1, 4))
@pytest.mark.parametrize("grown", range(0, 5))
def test_a_run_killed_while_it_writes_a_row_keeps_the_rows_before(tmp_path, written, grown):
    """Rows are written theta, loss, learning rate, step; arrays grow in that order. Killed between any two of these."""
    copies, losses, _ = train(network(), 4, tw.Recorder(tmp_path / "s.zarr"))
    group = zarr.open_group(str(tmp_path / "s.zarr"), path="trajectory", mode="r+")
    for k, name in enumerate(ARRAYS):
        array = group[name]
        array.resize((5 + (100 if k < grown else 1), *array.shape[1:]))
        if k < written and name != "step":
            array[5] = 7.0
    found = tw.load(tmp_path / "s.zarr")
    np.testing.assert_array_equal(found.step, range(5))
    np.testing.assert_array_equal(found.theta, copies)
    np.testing.assert_array_equal(found.loss, losses)


@pytest.mark.slow
def test_a_run_killed_with_sigkill_keeps_every_row_whose_step_was_made(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        """
import sys, torch, thalweg as tw
torch.manual_seed(0)
model = torch.nn.Linear(50, 20)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
tw.Recorder(sys.argv[1]).attach(model, optimizer)
while True:
    optimizer.zero_grad()
    model(torch.ones(4, 50)).square().mean().backward()
    optimizer.step()
    print(float(model.weight.detach().double().sum()), flush=True)
"""
    )
    for delay in (0.02, 0.3):
        store = tmp_path / f"{delay}.zarr"
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, str(script), str(store)], stdout=subprocess.PIPE, text=True, env=env
        )
        told = [float(process.stdout.readline()) for _ in range(3)]
        time.sleep(delay)
        process.kill()
        rest = process.communicate()[0].splitlines(keepends=True)
        told += [float(line) for line in rest if line.endswith("\n")]
        found = tw.load(store)
        sums = found.theta.values[1:, : 50 * 20].astype(np.float64).sum(1)
        assert len(sums) >= len(told)
        np.testing.assert_allclose(sums[: len(told)], told, rtol=1e-9)
        np.testing.assert_array_equal(found.step, np.arange(len(sums) + 1))
        assert np.isfinite(found.theta).all()
