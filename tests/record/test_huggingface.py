"""Hugging Face's own trainer with the callback: what is recorded, what is counted, and that nothing else changes."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)

import thalweg as tw
from thalweg.record.huggingface import RecorderCallback, TrajectoryCallback
from thalweg.record.loggers import TensorBoardSink


def bert(dropout=0.1):
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=20, max_position_embeddings=8, hidden_dropout_prob=dropout, **shape)
    return BertForSequenceClassification(config)


class Regression(nn.Module):
    """A model of one's own, that knows nothing of `num_items_in_batch`."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x, labels=None):
        outputs = self.net(x)
        return {"loss": F.mse_loss(outputs, labels), "outputs": outputs}


def words(n=12):
    generator = torch.Generator().manual_seed(1)
    return [
        {"input_ids": torch.randint(0, 20, (5,), generator=generator), "labels": torch.tensor(k % 2)} for k in range(n)
    ]


def points(n=24):
    generator = torch.Generator().manual_seed(1)
    return [{"x": (x := torch.randn(3, generator=generator)), "labels": x.sum(0, keepdim=True)} for _ in range(n)]


def trainer(folder, model, data, callbacks, **settings):
    settings = {"num_train_epochs": 2, "save_strategy": "no", "learning_rate": 0.01} | settings
    args = TrainingArguments(
        str(folder / "out"),
        use_cpu=True,
        per_device_train_batch_size=4,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        **settings,
    )
    made = Trainer(model, args, train_dataset=data, eval_dataset=data, callbacks=callbacks)
    made.remove_callback(PrinterCallback)
    return made


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy().copy()


def reported(made):
    """What the trainer itself says of each update."""
    rows = [row for row in made.state.log_history if "grad_norm" in row]
    return [row["loss"] for row in rows], [row["learning_rate"] for row in rows]


@pytest.mark.parametrize(("make", "data"), [(bert, words), (Regression, points)])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_one_line_records_what_the_trainer_reports(tmp_path, make, data, accumulated):
    """Losses of accumulated batches are the mean, or the sum where the model divides by the items of all."""
    model, callback = make(), TrajectoryCallback(tmp_path / "s.zarr")
    made = trainer(tmp_path, model, data(), [callback], gradient_accumulation_steps=accumulated)
    made.train()
    found = callback.trajectory()
    losses, rates = reported(made)
    assert found.step.values.tolist() == list(range(made.state.max_steps + 1))
    np.testing.assert_allclose(found.loss[1:], losses, rtol=1e-5)
    np.testing.assert_allclose(found.learning_rate[1:], rates, rtol=1e-6)
    np.testing.assert_array_equal(found.theta[-1], flat(model))
    assert len(np.unique(found.theta.values, axis=0)) == made.state.max_steps + 1


def test_the_run_is_the_one_without_a_callback_to_the_bit(tmp_path):
    """With dropout, whose random numbers a disturbance would shift, and with curvature measured on the way."""
    ends = []
    for watched in (False, True):
        model, callbacks = bert(), []
        if watched:
            batch = {name: torch.stack([row[name] for row in words()]) for name in ("input_ids", "labels")}
            problem = tw.ModuleProblem(copy.deepcopy(model).eval(), [batch], step=losses_of)
            curvature = tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=1, tol=0.1, max_matvecs=20)
            callbacks = [TrajectoryCallback(tmp_path / "s.zarr", every=4), RecorderCallback(curvature, every=3)]
        made = trainer(tmp_path, model, words(), callbacks)
        made.train()
        ends.append((model.state_dict(), made.optimizer.state_dict(), reported(made), torch.rand(1)))
    assert all(torch.equal(value, ends[1][0][name]) for name, value in ends[0][0].items())
    for one, other in zip(*ends, strict=True):
        assert str(one) == str(other)
    assert callbacks[0].trajectory().step.values.tolist() == [0, 4, 6]
    assert curvature.spectrum().step.values.tolist() == [0, 3, 6]


def losses_of(model, batch):
    return F.cross_entropy(model(input_ids=batch["input_ids"]).logits, batch["labels"], reduction="none")


@pytest.mark.parametrize("early", [False, True])
def test_the_last_row_is_that_of_the_last_update_also_when_the_best_model_is_put_back(tmp_path, early):
    """At so large a rate the first checkpoint is the best."""
    model, callback = Regression(), TrajectoryCallback(tmp_path / "s.zarr", every=5)
    settings = {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}
    more = [EarlyStoppingCallback(1)] if early else []
    copies = []

    class Copies(EarlyStoppingCallback):
        def on_train_begin(self, args, state, control, **kwargs): ...
        def on_evaluate(self, args, state, control, metrics, **kwargs): ...
        def on_step_end(self, args, state, control, model=None, **kwargs):
            copies.append(flat(model))

    made = trainer(
        tmp_path, model, points(), [callback, Copies(), *more], num_train_epochs=3, learning_rate=3.0, **settings
    )
    made.train()
    steps = 12 if early else 18
    assert made.state.global_step == len(copies) == steps
    found = callback.trajectory()
    assert found.step.values.tolist() == sorted({*range(0, steps, 5), steps})
    np.testing.assert_array_equal(found.theta[-1], copies[-1])
    assert not np.array_equal(flat(model), copies[-1])


def test_going_on_from_a_checkpoint_goes_on_counting(tmp_path):
    data, settings = points(), {"save_strategy": "steps", "save_steps": 6}
    whole = TrajectoryCallback(tmp_path / "whole.zarr", every=2)
    trainer(tmp_path, Regression(), data, [whole]).train()
    first = TrajectoryCallback(tmp_path / "s.zarr", every=2)

    class Stop(TrajectoryCallback):
        def on_train_begin(self, *args, **kwargs): ...
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 8

    trainer(tmp_path, Regression(), data, [first, Stop(tmp_path / "none.zarr")], **settings).train()
    model, second = Regression(), TrajectoryCallback(tmp_path / "s.zarr", every=2, resume=True)
    trainer(tmp_path, model, data, [second], **settings).train(
        resume_from_checkpoint=str(tmp_path / "out/checkpoint-6")
    )
    found = second.trajectory()
    assert found.step.values.tolist() == [0, 2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(found.theta, whole.trajectory().theta)
    np.testing.assert_array_equal(found.theta[-1], flat(model))


def test_a_part_of_the_model_alone_and_loggers(tmp_path):
    model = Regression()
    with TensorBoardSink(tmp_path / "runs") as sink:
        callback = TrajectoryCallback(tmp_path / "s.zarr", "head", every=100, part="net.2", loggers=[sink])
        trainer(tmp_path, model, points(), [callback], num_train_epochs=1).train()
    np.testing.assert_array_equal(callback.trajectory().theta[-1], flat(model.net[2]))
    assert list((tmp_path / "runs").iterdir())
    with pytest.raises(ValueError, match="Regression has no submodule 'head'; it has net"):
        trainer(tmp_path, model, points(), [TrajectoryCallback(tmp_path / "t.zarr", part="head")]).train()


def test_a_loss_that_the_model_does_not_return_is_unknown(tmp_path):
    """The trainer computes it from the outputs."""
    callback = TrajectoryCallback(tmp_path / "s.zarr")
    made = trainer(tmp_path, bert(), words(), [callback], num_train_epochs=1)
    made.compute_loss_func = lambda outputs, labels, num_items_in_batch: F.cross_entropy(outputs.logits, labels)
    made.train()
    assert callback.trajectory().loss.isnull().all()
    assert callback.trajectory().sizes["step"] == 4


def test_weights_that_are_split_are_refused(tmp_path):
    class Args:
        fsdp, deepspeed = "full_shard", None

    with pytest.raises(ValueError, match="FSDP splits the weights"):
        TrajectoryCallback(tmp_path / "s.zarr").on_train_begin(Args, None, None, model=Regression(), optimizer=None)
    assert not (tmp_path / "s.zarr").exists()


def test_calls_of_the_model_by_metrics_are_not_taken_for_training(tmp_path):
    """Of this callback's recorder, and of another's."""

    def large(model):
        return model(x=100 * torch.ones(4, 3), labels=torch.zeros(4, 1))["loss"]

    first = TrajectoryCallback(tmp_path / "s.zarr", "first", metrics={"large": large})
    second = TrajectoryCallback(tmp_path / "s.zarr", "second")
    made = trainer(tmp_path, Regression(), points(), [first, second], num_train_epochs=1)
    made.train()
    losses, _ = reported(made)
    for callback in (first, second):
        np.testing.assert_allclose(callback.trajectory().loss, [np.nan, *losses], rtol=1e-5)


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused"])
@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.* before .*optimizer.step:UserWarning")
def test_updates_that_half_precision_skips_are_none_also_when_going_on(tmp_path, optim):
    class Overflowing(Regression):
        calls, bad = 0, (2, 3)

        def forward(self, x, labels=None):
            self.calls += 1
            found = super().forward(x, labels)
            return found | {"loss": found["loss"] * float("inf")} if self.calls in self.bad else found

    def made(model, callback):
        settings = {"save_strategy": "steps", "save_steps": 4, "max_grad_norm": 0.0, "optim": optim}
        made = trainer(tmp_path, model, points(), [callback], **settings)
        made.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        return made

    first = TrajectoryCallback(tmp_path / "s.zarr")
    made(Overflowing(), first).train()
    assert first.trajectory().step.values.tolist() == list(range(11))
    assert len(np.unique(first.trajectory().theta.values, axis=0)) == 11
    model, second = Regression(), TrajectoryCallback(tmp_path / "s.zarr", resume=True)
    made(model, second).train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-8"))
    found = second.trajectory()
    assert found.step.values.tolist() == list(range(11))
    assert found.attrs["resumed_at"] == [6]
    np.testing.assert_array_equal(found.theta[-1], flat(model))
