"""Lightning's own trainer with the callback: what is recorded, what is counted, and that nothing else changes."""

import copy

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.record.lightning import RecorderCallback, TrajectoryCallback


class Batches:
    """Six batches of four. (A list would be taken for several loaders, and a DataLoader warns of few workers.)"""

    def __init__(self):
        x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(1))
        self.batches = [(batch, batch.sum(1, keepdim=True)) for batch in x]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


class Plain(pl.LightningModule):
    """Dropout draws random numbers and batch normalisation keeps statistics, so that any disturbance would show."""

    def __init__(self, optimizer=torch.optim.Adam):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))
        self.kind, self.losses, self.rates = optimizer, [], []

    def training_step(self, batch, index):
        loss = F.mse_loss(self.net(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        optimizer = self.kind(self.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Copies(pl.Callback):
    """By hand: the weights after every batch."""

    def __init__(self):
        self.rows, self.steps = [], []

    def on_train_start(self, trainer, module):
        self.on_train_batch_end(trainer, module)

    def on_train_batch_end(self, trainer, module, *_):
        self.rows.append(flat(module))
        self.steps.append(trainer.global_step)


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()]).numpy().copy()


def fit(module, *callbacks, loader=None, ckpt=None, trainer=None, **settings):
    settings = {"max_epochs": 2, "accumulate_grad_batches": 1} | settings
    make = trainer or pl.Trainer
    made = make(
        accelerator="cpu",
        devices=settings.pop("devices", 1),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks),
        callbacks=list(callbacks),
        **settings,
    )
    torch.manual_seed(3)
    made.fit(module, loader or Batches(), ckpt_path=ckpt)
    return made


def test_one_line_records_the_weights_the_losses_and_the_rates_of_every_update(tmp_path):
    module, copies = Plain(), Copies()
    callback = TrajectoryCallback(tmp_path / "s.zarr")
    fit(module, copies, callback)
    found = callback.trajectory()
    np.testing.assert_array_equal(found.step, range(13))
    np.testing.assert_array_equal(found.theta, np.array(copies.rows))
    np.testing.assert_allclose(found.loss, [np.nan, *module.losses], rtol=1e-6)
    np.testing.assert_allclose(found.learning_rate[1:], 0.05 * 0.9 ** np.arange(12))
    assert found.attrs["model"] == "Plain"


def test_the_run_is_the_one_without_a_callback_to_the_bit(tmp_path):
    ends = []
    for watched in (False, True):
        module = Plain()
        callbacks = []
        if watched:
            problem = tw.ModuleProblem(copy.deepcopy(module.net).eval(), Batches().batches[0], loss=F.mse_loss)
            curvature = tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=2)
            callbacks = [
                TrajectoryCallback(tmp_path / "s.zarr", every=5),
                RecorderCallback(curvature, every=4, part="net"),
            ]
        trainer = fit(module, *callbacks)
        ends.append((module.state_dict(), trainer.optimizers[0].state_dict(), module.losses, torch.rand(1)))
    for one, other in zip(*ends, strict=True):
        assert str(one) == str(other)
    assert all(torch.equal(value, ends[1][0][name]) for name, value in ends[0][0].items())
    assert callbacks[0].trajectory().step.values.tolist() == [0, 5, 10, 12]
    assert curvature.spectrum().step.values.tolist() == [0, 4, 8, 12]
    assert tw.load(tmp_path / "s.zarr", "spectrum").converged.all()


def test_accumulated_batches_make_one_update_with_the_mean_of_their_losses(tmp_path):
    """Six batches of an epoch, four at a time: the last update has two."""
    module = Plain()
    callback = TrajectoryCallback(tmp_path / "s.zarr")
    fit(module, callback, accumulate_grad_batches=4)
    found = callback.trajectory()
    parts = [module.losses[0:4], module.losses[4:6], module.losses[6:10], module.losses[10:12]]
    np.testing.assert_allclose(found.loss[1:], [np.mean(part) for part in parts], rtol=1e-6)
    assert found.step.values.tolist() == [0, 1, 2, 3, 4]


def test_a_part_of_the_module_alone(tmp_path):
    module = Plain()
    callback = TrajectoryCallback(tmp_path / "s.zarr", every=100, part="net.4")
    fit(module, callback)
    np.testing.assert_array_equal(callback.trajectory().theta[-1], flat(module.net[4]))
    with pytest.raises(ValueError, match="Plain has no submodule 'nets'; it has net"):
        fit(Plain(), TrajectoryCallback(tmp_path / "t.zarr", part="nets"))


class TwoOptimizers(pl.LightningModule):
    """Manual optimization: the second optimizer steps twice as often as the first."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.automatic_optimization = False
        self.a, self.b = nn.Linear(3, 1), nn.Linear(3, 1)
        self.rows, self.losses = [flat(self)], []

    def training_step(self, batch, index):
        one, two = self.optimizers()
        for part, optimizer, times in ((self.b, two, 2), (self.a, one, 1)):
            for _ in range(times):
                loss = F.mse_loss(part(batch[0]), batch[1])
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
        self.rows.append(flat(self))
        self.losses.append(loss.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.a.parameters(), lr=0.1), torch.optim.SGD(self.b.parameters(), lr=0.02)


def test_of_several_optimizers_one_counts_the_steps(tmp_path):
    module = TwoOptimizers()
    first = TrajectoryCallback(tmp_path / "s.zarr", "first")
    second = TrajectoryCallback(tmp_path / "s.zarr", "second", optimizer=1)
    fit(module, first, second, max_epochs=1)
    np.testing.assert_array_equal(first.trajectory().theta, module.rows)
    np.testing.assert_allclose(first.trajectory().loss[1:], module.losses, rtol=1e-6)
    np.testing.assert_array_equal(second.trajectory().step, range(13))
    assert float(second.trajectory().learning_rate[3]) == pytest.approx(0.02)
    with pytest.raises(ValueError, match="optimizer=2, and the module has 2"):
        fit(TwoOptimizers(), TrajectoryCallback(tmp_path / "t.zarr", optimizer=2))


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning")
def test_going_on_from_a_checkpoint_goes_on_counting(tmp_path):
    """Stopped after 8 of 12 updates and taken up from the checkpoint of the 6th: rows as of a run in one go."""
    whole = Copies()
    fit(Plain(torch.optim.SGD), whole)

    def saved():
        return pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=6, save_top_k=-1)

    first = TrajectoryCallback(tmp_path / "s.zarr", every=2)
    fit(Plain(torch.optim.SGD), saved(), first, max_steps=8, max_epochs=None)
    module = Plain(torch.optim.SGD)
    callback = TrajectoryCallback(tmp_path / "s.zarr", every=2, resume=True)
    fit(module, saved(), callback, ckpt=tmp_path / "step=6.ckpt")
    found = callback.trajectory()
    assert found.step.values.tolist() == [0, 2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(found.theta[:4], np.array(whole.rows)[:8:2])
    np.testing.assert_array_equal(found.theta[-1], flat(module))


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.* before .*optimizer.step:UserWarning")
def test_in_half_precision_losses_are_unscaled_and_skipped_updates_are_none(tmp_path):
    from lightning.pytorch.plugins import MixedPrecision

    class Overflowing(Plain):
        def training_step(self, batch, index):
            loss = super().training_step(batch, index)
            return loss * float("inf") if index == 1 else loss

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    module, callback = Overflowing(), TrajectoryCallback(tmp_path / "s.zarr")
    fit(module, callback, max_epochs=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    found = callback.trajectory()
    assert found.step.values.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(found.loss[1:], [module.losses[k] for k in (0, 2, 3, 4, 5)], rtol=1e-3)
    np.testing.assert_array_equal(found.theta[-1], flat(module))


def test_lbfgs(tmp_path):
    """Its closure runs many times in one update."""
    module, callback = Plain(torch.optim.LBFGS), TrajectoryCallback(tmp_path / "s.zarr")
    fit(module, callback, max_epochs=1)
    found = callback.trajectory()
    assert found.step.values.tolist() == list(range(7))
    assert set(found.loss.values[1:].round(5)) <= set(np.round(module.losses, 5))


def test_a_run_that_fails_is_recorded_up_to_there(tmp_path):
    class Failing(Plain):
        def training_step(self, batch, index):
            if index == 5:
                raise RuntimeError("no more")
            return super().training_step(batch, index)

    module, callback = Failing(), TrajectoryCallback(tmp_path / "s.zarr", every=2)
    with pytest.raises(RuntimeError, match="no more"):
        fit(module, callback)
    assert callback.trajectory().step.values.tolist() == [0, 2, 4, 5]
    np.testing.assert_array_equal(callback.trajectory().theta[-1], flat(module))


def test_strategies_that_split_the_weights_are_refused(tmp_path):
    from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy

    class Told:
        optimizers, is_global_zero = (), True

    for kind in (FSDPStrategy, DeepSpeedStrategy):
        Told.strategy = kind.__new__(kind)
        with pytest.raises(ValueError, match=f"{kind.__name__} splits the weights"):
            TrajectoryCallback(tmp_path / "s.zarr").on_train_start(Told, Plain())
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:multiprocessing.popen_fork")
@pytest.mark.filterwarnings("ignore:.*barrier.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning")
def test_of_two_processes_the_first_records(tmp_path):
    """Both have the same weights; the gradient is the mean of theirs."""
    callback = TrajectoryCallback(tmp_path / "s.zarr")
    loader = DataLoader(TensorDataset(*(torch.cat(parts) for parts in zip(*Batches(), strict=True))), batch_size=4)
    fit(Plain(torch.optim.SGD), callback, loader=loader, strategy="ddp_fork", devices=2, max_epochs=1)
    found = callback.trajectory()
    assert found.step.values.tolist() == [0, 1, 2, 3]
    assert len(np.unique(found.theta.values, axis=0)) == 4
    assert found.loss.notnull()[1:].all()


def test_the_other_import_name(tmp_path):
    import pytorch_lightning

    class Other(pytorch_lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(3, 1)

        def training_step(self, batch, index):
            return F.mse_loss(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback = TrajectoryCallback(tmp_path / "s.zarr", every=3)
    fit(Other(), callback, trainer=pytorch_lightning.Trainer, max_epochs=1)
    assert callback.trajectory().step.values.tolist() == [0, 3, 6]
