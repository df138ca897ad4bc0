"""The order of checkpoints is what their names say, or asked for: never guessed."""

import pytest
import torch
from torch import nn

import thalweg as tw


def written(folder, names):
    """Weights tell the place in the list."""
    for k, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        torch.save({"weight": torch.full((1, 1), float(k)), "bias": torch.zeros(1)}, file)
    return nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["epoch=1-val_acc=0.71.ckpt", "epoch=2-val_acc=0.85.ckpt", "epoch=3-val_acc=0.8.ckpt"], [1, 2, 3]),
        (["epoch1-acc1.pt", "epoch2-acc0.85.pt"], [1, 2]),
        (["loss93-epoch1.pt", "loss55-epoch2.pt", "loss31-epoch10.pt"], [1, 2, 10]),
        (["step1000-epoch1.pt", "step2000-epoch1.pt", "step10000-epoch2.pt"], [1000, 2000, 10000]),
        (["sgd-lr0.1-ep1.pt", "sgd-lr0.1-ep2.pt", "sgd-lr0.01-ep3.pt"], [1, 2, 3]),
        (["ep1_lr1e-3.pt", "ep2_lr1e-4.pt", "ep3_lr1e-5.pt"], [1, 2, 3]),
        (["resnet18-v1.0.3-7.pt", "resnet18-v1.0.3-12.pt"], [7, 12]),
        (["step-1k.pt", "step-2k.pt", "step-10k.pt"], [1000, 2000, 10000]),
        (["global_step5/model.safetensors.pt", "global_step10/model.safetensors.pt"], [5, 10]),
        (["net.1.pt", "net.2.pt", "net.10.pt"], [1, 2, 10]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_the_number_that_counts_updates_orders_the_files(tmp_path, names, steps):
    found = tw.read_trajectory(tmp_path, written(tmp_path, names), pattern="**/*.[cp]*t")
    assert found.step.values.tolist() == steps
    assert found.theta.values[:, 0].tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["epoch-1.pt", "epoch-2.pt", "epoch-3.pt", "best.pt"], r"^`best` beside those like `epoch-1`"),
        (["epoch=0-step=10.ckpt", "epoch=1-step=20.ckpt", "last.ckpt"], r"^`last` beside"),
        (["init.pt", "epoch1.pt", "epoch2.pt", "final.pt"], r"^`final`, `init` beside"),
        (["epoch=1-v1.ckpt", "epoch=1.ckpt", "epoch=2.ckpt"], r"^`epoch=1-v1` beside"),
        (["step-500.pt", "step-1k.pt", "step-2k.pt"], r"^`step-500` beside"),
        (["epoch-10.pt", "model-2.pt", "model-3.pt"], r"^`epoch-10` beside"),
        (["a.pt", "b.pt", "c.pt"], r"^`a`, `b`, `c`: the names do not tell one sequence"),
        (["run1-seed5.pt", "run2-run3.pt"], "do not tell one sequence"),
        (["a1-b5.pt", "a2-b3.pt"], "Several numbers differ"),
        (["epoch1-iter500.pt", "epoch2-iter100.pt"], "Several numbers differ"),
        (["epoch2-step10.pt", "epoch1-step20.pt"], "tell different orders"),
        (["acc0.1.pt", "acc0.2.pt"], "No number tells the order"),
        (["run1-seed5.pt", "run2-seed3.pt"], "No number tells the order"),
        (["loss93-valacc10.pt", "loss55-valacc20.pt"], "No number tells the order"),
        (["epoch0-step10.pt", "epoch1-step10.pt", "epoch1-step20.pt"], "are the same checkpoint twice, or have the"),
        (["c-99999999999999999999.pt", "c-1.pt"], "99999999999999999999 is too large"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0],
)
def test_names_that_tell_no_order_or_several_are_refused(tmp_path, names, match):
    model = written(tmp_path, names)
    with pytest.raises(ValueError, match=match):
        tw.read_trajectory(tmp_path, model)
    listed = tw.read_trajectory([tmp_path / name for name in names], model, steps=range(len(names)))
    assert listed.theta.values[:, 0].tolist() == list(range(len(names)))


def test_a_link_to_another_checkpoint_is_no_second_one(tmp_path):
    model = written(tmp_path, ["epoch-1.pt", "epoch-2.pt"])
    (tmp_path / "epoch-3.pt").symlink_to(tmp_path / "epoch-2.pt")
    with pytest.raises(ValueError, match=r"epoch-2\.pt and .*epoch-3\.pt are the same checkpoint"):
        tw.read_trajectory(tmp_path, model)


def test_of_a_final_model_beside_folders_of_checkpoints_one_has_to_choose(tmp_path):
    names = ["checkpoint-10/pytorch_model.bin", "checkpoint-20/pytorch_model.bin", "pytorch_model.bin"]
    model = written(tmp_path, names)
    with pytest.raises(ValueError, match=r"pattern='\*/pytorch_model.bin'"):
        tw.read_trajectory(tmp_path, model)
    found = tw.read_trajectory(tmp_path, model, pattern="*/pytorch_model.bin")
    assert found.step.values.tolist() == [10, 20]


def test_frozen_parameters_are_the_same_in_all_files(tmp_path):
    model = written(tmp_path, ["epoch-1.pt", "epoch-2.pt"])
    model.bias.requires_grad_(False)
    assert tw.read_trajectory(tmp_path, model).theta.values.tolist() == [[0.0], [1.0]]
    model.bias.requires_grad_(True)
    model.weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"`weight` is frozen in the network, and differs between epoch-1.pt and epo"):
        tw.read_trajectory(tmp_path, model, study=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    with pytest.raises(ValueError, match="Linear has no trainable parameters"):
        tw.read_trajectory(tmp_path, model.requires_grad_(False))
