"""A training run's weights, losses and learning rates, written to disk as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
import zarr
from torch import nn

from thalweg.record.loggers.sink import MetricSink
from thalweg.record.watcher import Watcher
from thalweg.store import load, provenance
from thalweg.store.tree import ensure_groups
from thalweg.weights import Layout

_CHUNK = 2**24
_ROWS = 1024


class Recorder(Watcher):
    """Records a plain training loop: attach it, train as always, close it.

    Every `every`-th optimizer step (and the start, and the end) the trainable weights are appended to a study as one
    row of
    `theta(step, weight)`, with the loss last told to `log` and the learning rate. A row is on disk before the next step
    begins; a run that is killed leaves all rows recorded so far.

    Parameters
    ----------
    study
        The zarr store to write to.
    name
        Name of the result in it.
    overwrite
        Replace a trajectory of that name; refused otherwise.
    loggers
        Where the loss, the learning rate and other numbers of each row go too: `TensorBoardSink`, `WandbSink`,
        `MlflowSink` of `thalweg.record.loggers`, or one's own. They are not closed: several recorders may share them.

    Examples
    --------
    >>> import tempfile
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Recorder(tempfile.mkdtemp() + "/study.zarr").attach(model, optimizer, every=2) as recorder:
    ...     for _ in range(5):
    ...         optimizer.zero_grad()
    ...         loss = model(torch.ones(1, 2)).square().sum()
    ...         loss.backward()
    ...         recorder.log(loss)
    ...         optimizer.step()
    >>> recorder.trajectory().step.values
    array([0, 2, 4, 5])
    """

    def __init__(
        self,
        study: str | Path,
        name: str = "trajectory",
        *,
        overwrite: bool = False,
        loggers: Iterable[MetricSink] = (),
    ) -> None:
        super().__init__(study, name, overwrite, loggers)
        self._rows = 0
        self._loss: Any = float("nan")

    def attach(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, every: int = 1, *, step: int | None = None
    ) -> Self:
        """Record `model` now, and after every `every`-th `optimizer.step()`. The training loop stays as it is."""
        self._check(model, optimizer, every)
        self._step = step or 0
        self._layout = Layout.of(model)
        self._create()
        self._begin()
        return self

    def log(self, loss: Any) -> None:
        """Tell the current loss, recorded with the next row (and read only then: reading waits for the device)."""
        self._loss = loss.detach() if isinstance(loss, torch.Tensor) else loss

    def trajectory(self) -> xr.Dataset:
        """What has been recorded so far."""
        return load(self.study, self.name)

    def _create(self) -> None:
        self._refuse_existing()
        ensure_groups(self.study, self.name)
        group = zarr.open_group(str(self.study), path=self.name, mode="w")
        dtype = str(self._layout.dtype).removeprefix("torch.")
        n = self._layout.num_weights
        _growing(group, "theta", (0, n), (1, min(n, _CHUNK)), ("step", "weight"), dtype)
        _growing(group, "loss", (0,), (_ROWS,), ("step",), "float64")
        _growing(group, "learning_rate", (0,), (_ROWS,), ("step",), "float64")
        _growing(group, "step", (0,), (_ROWS,), ("step",), "int64")
        model = type(self._model).__name__
        optimizer = type(self._optimizer).__name__
        about = provenance(model=model, optimizer=optimizer, num_weights=n, every=self._every, dtype=dtype)
        group_settings = self._optimizer.param_groups[0]
        about |= {
            name: group_settings[name] for name in ("momentum", "nesterov", "dampening") if name in group_settings
        }
        group.update_attributes({"kind": "trajectory", "title": f"Training of {model} with {optimizer}", **about})
        self._arrays: dict[str, Any] = {key: group[key] for key in ("theta", "loss", "learning_rate", "step")}

    def _record(self) -> Mapping[str, float]:
        """Append one row, `step` last: a row without it does not count. Space is made for many rows at a time."""
        theta = self._layout.parameters(self._model).cpu().numpy()
        row: dict[str, Any] = {
            "theta": theta,
            "loss": float(self._loss),
            "learning_rate": float(self._rate),
            "step": self._step,
        }
        k = self._rows
        for name, value in row.items():
            array = self._arrays[name]
            if k == array.shape[0]:
                array.resize((k + _ROWS, *array.shape[1:]))
            array[k] = np.asarray(value, dtype=array.dtype)
        self._rows, self._loss = k + 1, float("nan")
        return {"loss": row["loss"], "learning_rate": row["learning_rate"]}


def _growing(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: str
) -> None:
    fill = -1 if dtype.startswith("int") else float("nan")
    group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, dimension_names=dims)
