"""Record a run of Hugging Face's `Trainer` in one line.

```python
trainer = Trainer(model, args, train_dataset=data, callbacks=[TrajectoryCallback("study.zarr", every=10)])
trainer.add_callback(RecorderCallback(CurvatureRecorder("study.zarr", problem, k=3), every=100))
```

What is counted are updates (`optimizer.step()`), not batches: with `gradient_accumulation_steps=4` one for four
batches; an update that mixed precision skips is none. The run is the one without the callback, to the bit.

Works with one device and data-parallel, where process 0 records; the others wait for it at their next update (measure
curvature seldom). Refused are FSDP, DeepSpeed and tensor parallelism, which split the weights. In 16-bit mixed
precision the recorded weights are the full ones. The last row is that of the last update, also where
`load_best_model_at_end` puts other weights into the model afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr
from torch import nn

from thalweg.record.cadence import Every
from thalweg.record.loggers.sink import missing
from thalweg.record.recorder import Recorder
from thalweg.record.trainers import AnyRecorder, Losses, part_of, refuse_split
from thalweg.record.watcher import recording

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise missing(error, "huggingface") from error


class RecorderCallback(TrainerCallback):
    """Attaches a recorder when training begins, and closes it when training ends.

    Parameters
    ----------
    recorder
        A `Recorder` or a `CurvatureRecorder`; good for one run.
    every
        As for `Recorder.attach`.
    part
        Name of a submodule, to record its weights alone (`"classifier"`): those of the whole model by default.

    Notes
    -----
    The loss of a row is what the model returned, over accumulated batches: what the `Trainer` reports with
    `logging_steps=1`. It is unknown (nan) where the model returns none (`compute_loss_func`, label smoothing) and with
    `torch_compile` or `nn.DataParallel`; what a subclass's `compute_loss` adds is not in it; with several processes it
    is that of process 0. Going on from a checkpoint, steps are counted on; give the `Recorder` `resume=True`, and
    a `CurvatureRecorder` another name.
    """

    def __init__(self, recorder: AnyRecorder, *, every: Every = 1, part: str | None = None) -> None:
        self.recorder, self._every, self._part = recorder, every, part
        self._losses: Losses | None = None
        self._handles: list[Any] = []
        self._attached = False
        self._key = f"thalweg.{type(recorder).__name__}.{recorder.name}"

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the start."""
        whole = kwargs["model"]
        model = part_of(whole, self._part)
        refuse_split(model, "FSDP" if args.fsdp else "DeepSpeed" if args.deepspeed else "")
        if not state.is_world_process_zero:
            return
        optimizer = getattr(kwargs["optimizer"], "optimizer", kwargs["optimizer"])  # not accelerate's wrapper
        kept = state.stateful_callbacks.get(self._key) if state.global_step else None
        before = kept["attributes"]["step"] if kept else state.global_step
        self.recorder.attach(model, optimizer, self._every, step=before or None)
        self._losses, self._attached = Losses.of(self.recorder), True
        self._processes = args.world_size if args.average_tokens_across_devices else 1
        if not args.torch_compile and args.n_gpu <= 1:  # a hook breaks compiled graphs, and copies of the model run it
            self._handles = [whole.register_forward_hook(self._after_forward, with_kwargs=True)]

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What is accumulated begins anew."""
        if self._losses is not None:
            self._losses.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the count of updates for a checkpoint: the trainer's own counts those that mixed precision skipped."""
        if self._attached:
            state.stateful_callbacks[self._key] = {"args": {}, "attributes": {"step": self.recorder.step}}

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the end once there will be no more updates: the best weights may be loaded before `on_train_end`."""
        if control.should_training_stop:
            self._close()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the end, if it is not yet."""
        self._close()

    def _after_forward(self, model: nn.Module, args: Any, kwargs: dict[str, Any], outputs: Any) -> None:
        loss = outputs.get("loss") if hasattr(outputs, "get") else None
        if self._losses is None or loss is None or not model.training or recording():
            return
        shared = kwargs.get("num_items_in_batch") is not None  # the model has divided by the items of all batches
        self._losses.add(loss.detach().mean() * (self._processes if shared else 1), mean=not shared)

    def _close(self) -> None:
        self._losses = None
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.recorder.close()


class TrajectoryCallback(RecorderCallback):
    """Records the weights, the loss and the learning rate of a run.

    Parameters
    ----------
    study, name
        The zarr store to write to, and the name in it.
    every, part
        As for `RecorderCallback`.
    **settings
        As for `Recorder`: `metrics=`, `loggers=`, `resume=`, ...

    Examples
    --------
    >>> import tempfile, torch, transformers
    >>> class Line(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.net = torch.nn.Linear(2, 1)
    ...
    ...     def forward(self, x, labels=None):
    ...         return {"loss": (self.net(x) - labels).square().mean()}
    >>> callback = TrajectoryCallback((folder := tempfile.mkdtemp()) + "/study.zarr", every=2)
    >>> data = [{"x": torch.ones(2), "labels": torch.zeros(1)}] * 20
    >>> quiet = {"report_to": [], "save_strategy": "no", "disable_tqdm": True}
    >>> args = transformers.TrainingArguments(folder, max_steps=5, use_cpu=True, **quiet)
    >>> done = transformers.Trainer(Line(), args, train_dataset=data, callbacks=[callback]).train()
    {'train_runtime': ...}
    >>> callback.trajectory().step.values
    array([0, 2, 4, 5])
    """

    def __init__(
        self, study: str | Path, name: str = "trajectory", *, every: Every = 1, part: str | None = None, **settings: Any
    ) -> None:
        super().__init__(Recorder(study, name, **settings), every=every, part=part)

    recorder: Recorder

    def trajectory(self) -> xr.Dataset:
        """What has been recorded so far."""
        return self.recorder.trajectory()
