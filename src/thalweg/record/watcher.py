"""What a recorder is, whatever it records: a hook after every optimizer step, and a result in a study."""

from __future__ import annotations

import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from thalweg.record.cadence import Cadence, Every
from thalweg.record.loggers.sink import Loggers, MetricSink
from thalweg.store.tree import attrs_of, clean, group_path, refuse_nested, study_path
from thalweg.weights import Layout

_SETTINGS = ("lr", "momentum", "nesterov", "dampening")
_recording: ContextVar[bool] = ContextVar("recording", default=False)


def recording() -> bool:
    """Whether a row is being recorded: calls of the model are then those of metrics, and none of the training."""
    return _recording.get()


class Watcher(ABC):
    """Records a model at the start, after the steps that are due, and at the end; `_record` says what.

    Parameters
    ----------
    study, name, overwrite
        Where the result goes; one of that name is refused, or replaced.
    resume
        One of that name is gone on with.
    loggers
        Where the numbers of each row go too.
    """

    _going_on = ""
    """How a result that is there can be gone on with."""

    def __init__(
        self,
        study: str | Path,
        name: str,
        overwrite: bool,
        resume: bool = False,
        loggers: Iterable[MetricSink] = (),
    ) -> None:
        if overwrite and resume:
            raise ValueError("overwrite=True erases what is there, resume=True goes on with it; choose one.")
        self.study, self.name, self._overwrite, self._resume = study_path(study), clean(name), overwrite, resume
        self._loggers = Loggers(loggers, self.name)
        self._step, self._recorded = 0, -1
        self._settings: list[dict[str, Any]] = []
        self._run = uuid.uuid4().hex
        self._handle: Any = None
        self._stopped = False  # the hook of a recorder that stops by itself stays: hooks are being gone through then
        self._refuse_existing()

    @property
    def step(self) -> int:
        """Updates that the model has behind it."""
        return self._step

    def close(self) -> None:
        """Record the last step, if it is not yet, and let go of the optimizer."""
        if self._handle is None:
            return
        self._handle.remove()
        self._handle = None
        if self._recorded != self._step and not self._stopped:
            self._record_step()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, model: nn.Module, optimizer: torch.optim.Optimizer, every: Every, step: int | None) -> None:
        """Refuse what cannot be recorded, before anything is written; note what is."""
        if self._handle is not None:
            raise RuntimeError("This recorder is attached already; `close()` it, or make another.")
        if self._recorded >= 0:
            raise RuntimeError(
                f"This recorder has written its result `{self.name}` and is closed. For a further phase of training "
                f'make another: {type(self).__name__}(..., name="..."){self._going_on}.'
            )
        cadence = Cadence(every)
        if step is not None and (isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0):
            raise ValueError(f"step={step!r}; expected how many updates were made: a whole number from 0.")
        layout = Layout.of(model)
        _need_recordable(model, layout)
        self._own = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
        self._model, self._optimizer, self._every, self._layout = model, optimizer, cadence, layout
        self._step, self._settings = int(step or 0), self._now()
        if not self._settings:
            raise ValueError(
                "The optimizer moves none of this model's trainable parameters, so every row would be the same. Attach "
                "the optimizer that trains this model (made after it was moved to its device)."
            )

    def _begin(self) -> None:
        """Record the step where the run stands, unless it is there, and all that are due from now on."""
        if self._recorded != self._step:
            self._record_step()
        self._handle = self._optimizer.register_step_post_hook(self._after_step)

    def _after_step(self, *_: Any) -> None:
        if self._stopped:
            return
        overflow = getattr(self._optimizer, "found_inf", None)  # a scaler has fused optimizers skip updates themselves
        if overflow is not None and float(overflow):
            return
        self._step += 1
        self._settings = self._now()  # now: a scheduler moves them before what `close` records is written
        if self._every.due(self._step):
            self._record_step()

    def _record_step(self) -> None:
        if self._recorded >= 0 and self._taken_over():
            return
        self._need_same_parameters()
        token = _recording.set(True)
        try:
            values = self._record()
        finally:
            _recording.reset(token)
        self._recorded = self._step
        self._loggers.log(self._step, values)

    def _taken_over(self) -> bool:
        """Whether the result is another recorder's by now; this one then stops, and training goes on."""
        if (attrs_of(self.study, self.name) or {}).get("run") == self._run:
            return False
        self._stopped = True
        warnings.warn(
            f"`{self.name}` in {self.study} was replaced or removed, by another recorder perhaps. This one, last at "
            f"step {self._recorded}, records no more. `close()` a recorder before another takes its name.",
            RuntimeWarning,
            stacklevel=2,
        )
        return True

    def _need_same_parameters(self) -> None:
        """Refuse parameters that joined, or changed their shape or dtype, since the recorder was attached."""
        blocks = {block.name: block for block in self._layout.blocks}
        now = dict(self._model.named_parameters())
        odd = [f"`{name}` is gone" for name in blocks if name not in now]
        for name, p in now.items():
            block = blocks.get(name)
            if block is None and p.requires_grad:
                odd.append(f"`{name}` has joined")
            elif block is not None and (tuple(p.shape), p.dtype) != (block.shape, block.dtype):
                odd.append(f"`{name}` was {block.shape} {block.dtype} and is {tuple(p.shape)} {p.dtype}")
        if odd:
            self._stopped = True
            raise RuntimeError(
                f"The parameters of the model have changed since step {max(self._recorded, 0)} of `{self.name}`: "
                f"{'; '.join(odd[:3])}{' and others' * (len(odd) > 3)}. A result is of one network: `close()` this "
                "recorder before the change and attach another, of another name, after it."
            )

    def _now(self) -> list[dict[str, Any]]:
        """Settings of the optimizer's groups that hold recorded parameters; tensors copied, read when written."""
        groups = [g for g in self._optimizer.param_groups if any(id(p) in self._own for p in g["params"])]
        return [{name: _kept(group[name]) for name in _SETTINGS if name in group} for group in groups]

    @property
    def _rate(self) -> float:
        """Learning rate of the first such group."""
        return float(self._settings[0]["lr"])

    @abstractmethod
    def _record(self) -> Mapping[str, float]:
        """Write what is to be known of this step; its numbers."""

    def _refuse_existing(self) -> None:
        refuse_nested(self.study, self.name)
        if self._exists() and not (self._overwrite or self._resume):
            raise FileExistsError(
                f"{self.study} already holds a result `{self.name}`. Pass overwrite=True, or another name"
                f"{self._going_on}."
            )

    def _exists(self) -> bool:
        return group_path(self.study, self.name).exists()


def _kept(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _need_recordable(model: nn.Module, layout: Layout) -> None:
    if not layout.blocks:
        raise ValueError("The model has no trainable parameters to record.")
    odd = [block.name for block in layout.blocks if block.dtype.is_complex]
    if odd:
        raise ValueError(
            f"`{odd[0]}` of {type(model).__name__} is complex; weights are recorded as real numbers. Keep real and "
            "imaginary parts as two parameters (`torch.view_as_real`)."
        )
