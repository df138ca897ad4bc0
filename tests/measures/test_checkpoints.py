"""A folder of checkpoints becomes a trajectory: every file once, in the order of people, and read as data."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import thalweg as tw


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()


def written(folder, names, save=None):
    """One network per name, in the order given; returns their weights."""
    rows = []
    for k, name in enumerate(names):
        model, file = network(k), folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        if name.endswith(".safetensors"):
            save_file(model.state_dict(), file)
        else:
            torch.save(model.state_dict() if k % 2 else {"state_dict": model.state_dict(), "epoch": k}, file)
        rows.append(flat(model))
    return np.array(rows)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["checkpoint-2.pt", "checkpoint-10.pt", "checkpoint-100.pt"], [2, 10, 100]),
        (["step_001.safetensors", "step_002.safetensors", "step_010.safetensors"], [1, 2, 10]),
        (["checkpoint-500/model.safetensors", "checkpoint-1000/model.safetensors"], [500, 1000]),
        (["checkpoint-9/pytorch_model.bin", "checkpoint-10/pytorch_model.bin"], [9, 10]),
        (["epoch=0-step=50.ckpt", "epoch=1-step=100.ckpt", "epoch=2-step=150.ckpt"], [50, 100, 150]),
        (["net_v2_1.pt", "net_v2_3.pt", "net_v2_20.pt"], [1, 3, 20]),
        (["only-7.pth"], [7]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_checkpoints_are_rows_in_natural_order(tmp_path, names, steps):
    rows = written(tmp_path / "run", names)
    (tmp_path / "run" / "notes.txt").write_text("not a checkpoint")
    found = tw.read_trajectory(tmp_path / "run", network())
    np.testing.assert_array_equal(found.step, steps)
    np.testing.assert_array_equal(found.theta, rows)
    assert found.attrs["files"] == names if len(names) > 1 else found.attrs["files"][0].endswith(names[0])
    assert found.loss.isnull().all()


def test_other_files_of_a_trainer_are_passed_over(tmp_path):
    rows = written(tmp_path, ["checkpoint-5/model.safetensors", "checkpoint-10/model.safetensors"])
    for step in (5, 10):
        torch.save({"anything": object}, tmp_path / f"checkpoint-{step}" / "optimizer.pt")
    np.testing.assert_array_equal(tw.read_trajectory(str(tmp_path), network()).theta, rows)


def test_a_pattern_or_a_list_says_which_and_steps_say_when(tmp_path):
    rows = written(tmp_path, ["a-1.pt", "a-2.pt", "b-1.pt"])
    np.testing.assert_array_equal(tw.read_trajectory(tmp_path, network(), pattern="a-*.pt").theta, rows[:2])
    files = [tmp_path / "b-1.pt", tmp_path / "a-1.pt"]
    found = tw.read_trajectory(files, network(), steps=[3, 30])
    np.testing.assert_array_equal(found.theta, rows[[2, 0]])
    np.testing.assert_array_equal(found.step, [3, 30])


def test_a_study_holds_the_same_rows_and_can_be_loaded(tmp_path):
    rows = written(tmp_path / "run", [f"{k}.pt" for k in range(5)])
    found = tw.read_trajectory(tmp_path / "run", network(), study=tmp_path / "s.zarr", name="trajectory/theirs")
    np.testing.assert_array_equal(found.theta, rows)
    assert tw.load(tmp_path / "s.zarr", "trajectory/theirs").identical(found)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        tw.read_trajectory(tmp_path / "run", network(), study=tmp_path / "s.zarr", name="trajectory/theirs")
    (tmp_path / "run" / "3.pt").write_bytes(b"broken")
    for keywords in ({"name": "other"}, {"name": "trajectory/theirs", "overwrite": True}):
        with pytest.raises(ValueError, match=r"3\.pt"):
            tw.read_trajectory(tmp_path / "run", network(), study=tmp_path / "s.zarr", **keywords)
    assert tw.open_study(tmp_path / "s.zarr")["trajectory/theirs"].to_dataset().identical(found)
    assert not [path for path in tmp_path.iterdir() if "draft" in path.name]


def test_of_a_problem_it_is_in_its_own_dtype_and_what_measures_take(tmp_path):
    written(tmp_path, [f"{k}.pt" for k in range(6)])
    model = network().eval()
    data = torch.randn(20, 3), torch.randint(2, (20,))
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, precision="float64")
    found = tw.read_trajectory(tmp_path, problem)
    assert found.theta.dtype == np.float64
    path = tw.project_trajectory(found, tw.principal_plane(found), problem)
    assert np.isfinite(path.loss).all()
    assert tw.motion(found).sizes["step"] == 6


def test_frozen_weights_and_buffers_are_checked_but_no_part_of_theta(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    for k in (1, 2):
        torch.nn.init.normal_(model[2].weight)
        torch.save(model.state_dict(), tmp_path / f"{k}.pt")
    found = tw.read_trajectory(tmp_path, model)
    assert found.sizes["weight"] == 4 + 4 + 8 + 2
    assert "left out" in found.attrs["buffers"]
    before = [value.clone() for value in model.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_a_recorder_goes_on_in_a_trajectory_that_was_read(tmp_path):
    written(tmp_path / "run", ["10.pt", "20.pt"])
    tw.read_trajectory(tmp_path / "run", network(), study=tmp_path / "s.zarr")
    model = network(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.Recorder(tmp_path / "s.zarr", resume=True).attach(model, optimizer) as recorder:
        optimizer.step()
    assert recorder.trajectory().step.values.tolist() == [10, 20, 21]


class Payload:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_no_run_of_this_network_is_refused(tmp_path):
    model = network()
    with pytest.raises(FileNotFoundError, match="no folder"):
        tw.read_trajectory(tmp_path / "nowhere", model)
    with pytest.raises(ValueError, match="has no checkpoints"):
        tw.read_trajectory(tmp_path, model)
    with pytest.raises(ValueError, match="empty"):
        tw.read_trajectory([], model)
    with pytest.raises(FileNotFoundError, match=r"gone\.pt"):
        tw.read_trajectory([tmp_path / "gone.pt"], model)
    written(tmp_path, ["a-1.pt", "a-2.pt"])
    with pytest.raises(ValueError, match=r"no checkpoints that match 'b-\*'"):
        tw.read_trajectory(tmp_path, model, pattern="b-*")
    with pytest.raises(FileNotFoundError, match="a file; pass its folder"):
        tw.read_trajectory(tmp_path / "a-1.pt", model)
    for steps in ([1], [2, 1], [1.5, 2.5], [-1, 2]):
        with pytest.raises(ValueError, match="steps="):
            tw.read_trajectory(tmp_path, model, steps=steps)
    with pytest.raises(ValueError, match=r"a-1\.pt and .*a-1\.pt are the same"):
        tw.read_trajectory([tmp_path / "a-1.pt", tmp_path / "." / "a-1.pt"], model)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a-02.pt", None, r"a-02\.pt and .*a-2\.pt are the same checkpoint twice"),
        ("a-2.safetensors", None, r"a-2\.pt and .*a-2\.safetensors"),
        ("a-3.pt", nn.Linear(2, 2).state_dict(), r"a-3\.pt does not fit Sequential"),
        ("a-3.pt", {"state_dict": Payload()}, r"a-3\.pt.*could run code"),
        ("a-3.pt", [1, 2], r"a-3\.pt holds a list"),
    ],
    ids=["same number", "same name", "another network", "code", "no state"],
)
def test_a_file_that_does_not_belong_is_named(tmp_path, name, content, match):
    written(tmp_path, ["a-1.pt", "a-2.pt"])
    if content is None:
        written(tmp_path, [name])
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(ValueError, match=match):
        tw.read_trajectory(tmp_path, network())
