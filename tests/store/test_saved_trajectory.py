"""A trajectory that was saved can grow like one that was recorded."""

import json

import numpy as np
import pytest
import torch
import zarr
from torch import nn

import thalweg as tw


def recorded(study, steps, seed=0, **keywords):
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)
    if keywords.get("resume"):
        theta = torch.as_tensor(tw.load(study, "trajectory").theta.values[-1])
        nn.utils.vector_to_parameters(theta, model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.Recorder(study, **keywords).attach(model, optimizer) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model(torch.ones(2, 3)).square().sum()
            loss.backward()
            recorder.log(loss)
            optimizer.step()
    return recorder.trajectory()


@pytest.mark.parametrize("rows", [1, 4, 6])
def test_a_run_goes_on_in_a_trajectory_that_went_through_save(tmp_path, rows):
    """Part of a run saved in place of the whole, and gone on with: the rows of the run in one go."""
    whole = recorded(tmp_path / "whole.zarr", 9)
    first = recorded(tmp_path / "s.zarr", 5)
    tw.save(first.isel(step=slice(rows)), tmp_path / "s.zarr", "trajectory", overwrite=True)
    assert tw.load(tmp_path / "s.zarr").theta.equals(first.isel(step=slice(rows)).theta)
    last = min(rows, 6) - 1
    found = recorded(tmp_path / "s.zarr", 9 - last, resume=True, metrics={"one": lambda model: 1.0})
    assert found.step.values.tolist() == list(range(10))
    np.testing.assert_allclose(found.theta, whole.theta, rtol=1e-6)
    np.testing.assert_array_equal(found.one, [np.nan] * (last + 1) + [1.0] * (9 - last))


def test_a_trajectory_of_another_layout_is_mended_before_it_grows(tmp_path):
    """As `save` wrote them once: rows that are yet to come are of step 0."""
    first = recorded(tmp_path / "s.zarr", 3)
    group = zarr.open_group(str(tmp_path / "s.zarr"), path="trajectory", mode="r+")
    del group["step"]
    group.create_array("step", shape=(4,), chunks=(1024,), dtype="int64", fill_value=0, dimension_names=("step",))
    group["step"][:] = first.step.values
    for name in ("theta", "loss", "learning_rate"):
        group[name].resize((4, *group[name].shape[1:]))
    assert tw.load(tmp_path / "s.zarr").theta.equals(first.theta)
    found = recorded(tmp_path / "s.zarr", 2, resume=True)
    assert found.step.values.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("steps", [[-2, -1, 0, 1], [0.5, 1.0, 1.5, 2.0], [0.0, 1.0, np.nan, 2.0]])
def test_steps_that_are_no_numbers_of_updates_are_refused(tmp_path, steps):
    first = recorded(tmp_path / "s.zarr", 3)
    with pytest.raises(ValueError, match="numbers of updates, whole and from 0"):
        tw.save(first.assign_coords(step=steps), tmp_path / "s.zarr", "other")
    assert tw.store.results(tmp_path / "s.zarr") == ["trajectory"]


def test_what_is_saved_is_loaded_whole(tmp_path):
    first = recorded(tmp_path / "s.zarr", 3).assign_coords(weight=list("abcd"), note="x")
    first = first.assign(seen=("step", [1, 2, 3, 4]), per_class=(("step", "label"), np.ones((4, 2))))
    tw.save(first, tmp_path / "s.zarr", "other")
    found = tw.load(tmp_path / "s.zarr", "other")
    assert found.drop_vars("weight").equals(first.drop_vars("weight"))
    assert found.weight.values.tolist() == list("abcd")
    about = json.loads((tmp_path / "s.zarr/other/step/zarr.json").read_text())
    assert about["fill_value"] == -1


def test_a_row_is_written_whole_or_not_at_all(tmp_path):
    rows = tw.store.StoredTrajectory.create(tmp_path / "s.zarr", 4, "float32", {})
    rows.append(0, [np.ones(4)], {})
    for weights in ([np.ones(3)], [np.ones(4), np.ones(1)]):
        with pytest.raises(ValueError, match="weights came for a row of 4"):
            rows.append(1, weights, {})
    with pytest.raises(ValueError, match="step -1"):
        rows.append(-1, [np.ones(4)], {})
    assert rows.steps == [0]
