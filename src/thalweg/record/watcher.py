"""What a recorder is, whatever it records: a hook after every optimizer step, and a result in a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

from thalweg.record.cadence import Cadence, Every
from thalweg.record.loggers.sink import Loggers, MetricSink
from thalweg.store.tree import clean, group_path, refuse_nested, study_path


class Watcher:
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
        self._rate: Any = float("nan")
        self._handle: Any = None
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
        if self._recorded != self._step:
            self._record_step()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, model: nn.Module, optimizer: torch.optim.Optimizer, every: Every) -> None:
        """Refuse what cannot be recorded, before anything is written; note what is."""
        if self._handle is not None:
            raise RuntimeError("This recorder is attached already; `close()` it, or make another.")
        if self._recorded >= 0:
            raise RuntimeError(
                f"This recorder has written its result `{self.name}` and is closed. For a further phase of training "
                f'make another: {type(self).__name__}(..., name="..."){self._going_on}.'
            )
        cadence = Cadence(every)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("The model has no trainable parameters to record.")
        _need_own_optimizer(model, optimizer)
        self._model, self._optimizer, self._every = model, optimizer, cadence
        self._rate = _rate(optimizer)

    def _begin(self) -> None:
        """Record the step where the run stands, unless it is there, and all that are due from now on."""
        if self._recorded != self._step:
            self._record_step()
        self._handle = self._optimizer.register_step_post_hook(self._after_step)

    def _after_step(self, *_: Any) -> None:
        self._step += 1
        self._rate = _rate(self._optimizer)  # now: a scheduler moves it before what `close` records is written
        if self._every.due(self._step):
            self._record_step()

    def _record_step(self) -> None:
        values = self._record()
        self._recorded = self._step
        self._loggers.log(self._step, values)

    def _record(self) -> Mapping[str, float]:
        """Write what is to be known of this step; its numbers."""
        raise NotImplementedError

    def _refuse_existing(self) -> None:
        refuse_nested(self.study, self.name)
        if self._exists() and not (self._overwrite or self._resume):
            raise FileExistsError(
                f"{self.study} already holds a result `{self.name}`. Pass overwrite=True, or another name"
                f"{self._going_on}."
            )

    def _exists(self) -> bool:
        return group_path(self.study, self.name).exists()


def _rate(optimizer: torch.optim.Optimizer) -> Any:
    """Learning rate of the first group; a tensor is copied, and read only when it is written."""
    rate = optimizer.param_groups[0]["lr"]
    return rate.detach().clone() if isinstance(rate, torch.Tensor) else rate


def _need_own_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    own = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ValueError(
            "The optimizer moves none of this model's trainable parameters, so every row would be the same. Attach the "
            "optimizer that trains this model (made after it was moved to its device)."
        )
