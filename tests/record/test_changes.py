"""What may change while a recorder is attached, and what it says when too much does."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))


def steps(model, optimizer, number):
    for _ in range(number):
        optimizer.zero_grad()
        dtype = next(model.parameters()).dtype
        model(torch.ones(4, 3, dtype=dtype)).square().mean().backward()
        optimizer.step()


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy().copy()


def test_settings_are_those_of_the_groups_that_hold_the_recorded_parameters(tmp_path):
    model = network()
    groups = [
        {"params": model[0].parameters(), "lr": 1e-4},
        {"params": model[1].parameters(), "lr": 0.1, "momentum": 0.5},
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    head, whole = tw.Recorder(tmp_path / "s.zarr", "head"), tw.Recorder(tmp_path / "s.zarr", "whole")
    with head.attach(model[1], optimizer), whole.attach(model, optimizer):
        steps(model, optimizer, 2)
    found = head.trajectory()
    np.testing.assert_array_equal(found.learning_rate, [0.1] * 3)
    assert (found.attrs["momentum"], found.attrs["param_groups"]) == (0.5, 1)
    np.testing.assert_array_equal(whole.trajectory().learning_rate, [1e-4] * 3)
    assert whole.trajectory().attrs["param_groups"] == 2


@pytest.mark.parametrize(("same", "part"), [(True, False), (False, False), (False, True)])
def test_groups_of_different_settings_have_no_line_of_stability(tmp_path, same, part):
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.5 if same else 0.1}, {"params": model[1].parameters()}]
    optimizer = torch.optim.SGD(groups, lr=0.5, momentum=0.5)
    watched = model[1] if part else model
    data = torch.ones(4, 3), torch.zeros(4, 1)
    problem = tw.ModuleProblem(watched, data, loss=F.mse_loss)
    recorder = tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=1)
    recorder.attach(watched, optimizer)
    recorder.close()
    found = recorder.spectrum()
    np.testing.assert_array_equal(found.threshold, [6.0] if same or part else [np.nan])
    assert ("differ" in found.attrs["threshold_words"]) == (not same and not part)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda model: model[0].requires_grad_(True), r"`0.weight` has joined; `0.bias` has joined"),
        (lambda model: model.double(), r"`1.weight` was .* torch.float32 and is .* torch.float64"),
        (lambda model: model.__setitem__(1, nn.Linear(3, 2)), r"`1.weight` was \(1, 3\) .* and is \(2, 3\)"),
        (lambda model: model.__delitem__(1), "`1.weight` is gone"),
    ],
    ids=["joined", "dtype", "shape", "gone"],
)
def test_parameters_that_change_are_refused_at_the_next_row(tmp_path, change, match):
    model = network()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = tw.Recorder(tmp_path / "s.zarr")
    with recorder.attach(model, optimizer):
        optimizer.step()
        change(model)
        with pytest.raises(RuntimeError, match=match):
            optimizer.step()
        optimizer.step()
    assert recorder.trajectory().step.values.tolist() == [0, 1]


def test_parameters_that_are_frozen_on_the_way_stay_in_the_rows(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer) as recorder:
        steps(model, optimizer, 1)
        model[0].requires_grad_(False)
        steps(model, optimizer, 1)
    np.testing.assert_array_equal(recorder.trajectory().theta[-1], flat(model))


@pytest.mark.parametrize("going_on", ["overwrite", "resume"])
def test_of_two_recorders_on_one_name_the_first_stops(tmp_path, going_on):
    """As when a cell of a notebook is run again, and the recorder of the first time was never closed."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    old = tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer)
    steps(model, optimizer, 2)
    new = tw.Recorder(tmp_path / "s.zarr", **{going_on: True}).attach(model, optimizer)
    rows = [flat(model)]
    with pytest.warns(RuntimeWarning, match=r"was replaced or removed.*last at step 2"):
        steps(model, optimizer, 1)
    rows.append(flat(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(model, optimizer, 1)
        old.close()
        new.close()
    rows.append(flat(model))
    found = new.trajectory()
    np.testing.assert_array_equal(found.theta[-3:], rows)
    np.testing.assert_array_equal(found.step, range(3 if going_on == "overwrite" else 5))


def test_of_two_curvature_recorders_on_one_name_the_first_stops(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    problem = tw.ModuleProblem(model, (torch.ones(4, 3), torch.zeros(4, 1)), loss=F.mse_loss)
    tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=1).attach(model, optimizer)
    new = tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=1, overwrite=True).attach(model, optimizer)
    with pytest.warns(RuntimeWarning, match="was replaced or removed"):
        steps(model, optimizer, 1)
    steps(model, optimizer, 1)
    new.close()
    assert tw.load(tmp_path / "s.zarr", "spectrum").step.values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("fused", [False, True])
def test_updates_that_a_scaler_skips_are_none(tmp_path, fused):
    """A fused optimizer is called all the same, and skips them itself."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer) as recorder:
        for k in range(5):
            optimizer.zero_grad()
            loss = model(torch.ones(4, 3)).square().mean() * (float("inf") if k in (1, 3) else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    found = recorder.trajectory()
    assert found.step.values.tolist() == [0, 1, 2, 3]
    assert len(np.unique(found.theta.values, axis=0)) == 4


def test_complex_weights_are_refused(tmp_path):
    model = nn.Linear(3, 1, dtype=torch.complex64)
    with pytest.raises(ValueError, match="`weight` of Linear is complex"):
        tw.Recorder(tmp_path / "s.zarr").attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not (tmp_path / "s.zarr").exists()
    real = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="Network 1 is complex"):
        tw.soup([torch.ones(4), torch.ones(4, dtype=torch.complex64)])
    with pytest.raises(ValueError, match=r"number 0.*complex.*`weight`"):
        tw.soup([model.state_dict()], real)


@pytest.mark.parametrize("step", [-1, 1.5, True])
def test_steps_are_whole_numbers_for_curvature_too(tmp_path, step):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    problem = tw.ModuleProblem(model, (torch.ones(4, 3), torch.zeros(4, 1)), loss=F.mse_loss)
    with pytest.raises(ValueError, match=f"step={step}"):
        tw.CurvatureRecorder(tmp_path / "s.zarr", problem).attach(model, optimizer, step=step)
