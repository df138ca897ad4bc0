"""Record a run of Lightning's `Trainer` in one line.

```python
trainer = Trainer(callbacks=[TrajectoryCallback("study.zarr", every=10)])
trainer = Trainer(callbacks=[RecorderCallback(CurvatureRecorder("study.zarr", problem, k=3), every=100)])
```

What is counted are updates of one optimizer (`optimizer.step()`), not batches: with `accumulate_grad_batches=4` one for
four batches; an update that mixed precision skips is none. The run is the one without the callback, to the bit.

Works with one device and with DDP, where process 0 records, with the loss of its own batches; the others wait for it at
their next update (measure curvature seldom). Refused are strategies that split the weights (FSDP, DeepSpeed, model
parallelism). In 16-bit mixed precision the recorded weights are the full ones. Put a callback that changes weights when
training ends (weight averaging) after this one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from thalweg.record.cadence import Every
from thalweg.record.loggers.sink import missing
from thalweg.record.recorder import Recorder
from thalweg.record.trainers import AnyRecorder, Losses, part_of, refuse_split

try:
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        raise ModuleNotFoundError  # the one in use: a callback of either works in a trainer of the other
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:
    try:
        from pytorch_lightning.callbacks import Callback
    except ModuleNotFoundError as error:
        raise missing(error, "lightning") from error

_WHOLE = {"SingleDeviceStrategy", "DDPStrategy"}


class RecorderCallback(Callback):
    """Attaches a recorder when training begins, and closes it when training ends or fails.

    Parameters
    ----------
    recorder
        A `Recorder` or a `CurvatureRecorder`; good for one run.
    every
        As for `Recorder.attach`.
    part
        Name of a submodule, to record its weights alone (`"net"`): those of the whole LightningModule by default.
    optimizer
        Which of several optimizers counts the steps, from 0 (manual optimization).

    Notes
    -----
    The loss of a row is what the update was made with: the mean over accumulated batches. In manual optimization it is
    that of the losses given to `manual_backward` since the last step of any optimizer; with LBFGS, the last evaluation.
    Going on from a checkpoint (`ckpt_path=`), steps are counted on; give the `Recorder` `resume=True`, and a
    `CurvatureRecorder` another name.
    """

    def __init__(self, recorder: AnyRecorder, *, every: Every = 1, part: str | None = None, optimizer: int = 0) -> None:
        self.recorder, self._every, self._part, self._which = recorder, every, part, optimizer
        self._losses: Losses | None = None
        self._handles: list[Any] = []
        self._before: int | None = None

    @property
    def state_key(self) -> str:
        """One for each recorder: a checkpoint keeps how many updates each has seen."""
        return f"thalweg.{type(self.recorder).__name__}.{self.recorder.name}"

    def state_dict(self) -> dict[str, Any]:
        """Updates so far."""
        return {"step": self.recorder.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from a checkpoint."""
        self._before = state_dict["step"]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Record the start."""
        model = part_of(pl_module, self._part)
        strategies = {kind.__name__ for kind in type(trainer.strategy).__mro__}
        whole = strategies & _WHOLE and "DeepSpeedStrategy" not in strategies
        refuse_split(model, "" if whole else type(trainer.strategy).__name__)
        optimizer = self._optimizer(trainer.optimizers)
        if not trainer.is_global_zero:
            return
        before = trainer.global_step if self._before is None else self._before
        self.recorder.attach(model, optimizer, self._every, step=before or None)
        self._losses = Losses.of(self.recorder)
        self._handles = [each.register_step_post_hook(self._next) for each in trainer.optimizers]

    def on_before_zero_grad(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """What is accumulated begins anew."""
        self._next()

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: torch.Tensor) -> None:
        """Tell the loss, as it was before it was divided for accumulation and scaled for half precision."""
        if self._losses is None:
            return
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = scaler.scale(torch.ones_like(loss)) if scaler is not None else 1.0
        self._losses.add(loss.detach() * trainer.accumulate_grad_batches / scale)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the end."""
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Record where training failed or was stopped."""
        self._close()

    def _next(self, *_: Any) -> None:
        if self._losses is not None:
            self._losses.begin()

    def _close(self) -> None:
        self._losses = None
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.recorder.close()

    def _optimizer(self, optimizers: list[Any]) -> Any:
        if not 0 <= self._which < len(optimizers):
            raise ValueError(f"optimizer={self._which}, and the module has {len(optimizers)}, counted from 0.")
        return optimizers[self._which]


class TrajectoryCallback(RecorderCallback):
    """Records the weights, the loss and the learning rate of a run.

    Parameters
    ----------
    study, name
        The zarr store to write to, and the name in it.
    every, part, optimizer
        As for `RecorderCallback`.
    **settings
        As for `Recorder`: `metrics=`, `loggers=`, `resume=`, ...

    Examples
    --------
    >>> import tempfile, torch, lightning.pytorch as pl
    >>> class Line(pl.LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.net = torch.nn.Linear(2, 1)
    ...
    ...     def training_step(self, batch):
    ...         return self.net(batch).square().mean()
    ...
    ...     def configure_optimizers(self):
    ...         return torch.optim.SGD(self.parameters(), lr=0.1)
    >>> callback = TrajectoryCallback(tempfile.mkdtemp() + "/study.zarr", every=2)
    >>> shown = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    >>> trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[callback], **dict.fromkeys(shown, False))
    >>> trainer.fit(Line(), (torch.ones(4, 2) for _ in range(5)))
    >>> callback.trajectory().step.values
    array([0, 2, 4, 5])
    """

    def __init__(
        self,
        study: str | Path,
        name: str = "trajectory",
        *,
        every: Every = 1,
        part: str | None = None,
        optimizer: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(Recorder(study, name, **settings), every=every, part=part, optimizer=optimizer)

    recorder: Recorder

    def trajectory(self) -> xr.Dataset:
        """What has been recorded so far."""
        return self.recorder.trajectory()
