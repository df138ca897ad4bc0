"""A training run's weights, losses and learning rates, written to disk as it goes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
import zarr
from torch import nn

from thalweg.store import load, provenance
from thalweg.store.tree import clean, ensure_groups, group_path, refuse_nested, study_path
from thalweg.weights import Layout

_CHUNK = 2**24
_ROWS = 1024


class Recorder:
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

    def __init__(self, study: str | Path, name: str = "trajectory", *, overwrite: bool = False) -> None:
        self.study, self.name, self._overwrite = study_path(study), clean(name), overwrite
        self._refuse_existing()
        self._step = self._rows = 0
        self._rate: Any = float("nan")
        self._recorded = -1
        self._loss: Any = float("nan")
        self._handle: Any = None

    def attach(self, model: nn.Module, optimizer: torch.optim.Optimizer, every: int = 1) -> Self:
        """Record `model` now, and after every `every`-th `optimizer.step()`. The training loop stays as it is."""
        if self._handle is not None:
            raise RuntimeError("This recorder is attached already; `close()` it, or make another.")
        if self._rows:
            raise RuntimeError(
                f"This recorder has written its trajectory `{self.name}` and is closed. For a further phase of "
                'training make another: Recorder(study, name="...").'
            )
        if not (isinstance(every, int) and every >= 1):
            raise ValueError(f"every={every!r}; expected a whole number of at least 1.")
        self._model, self._optimizer, self._every = model, optimizer, every
        self._layout = Layout.of(model)
        if self._layout.num_weights == 0:
            raise ValueError("The model has no trainable parameters to record.")
        _need_own_optimizer(model, optimizer)
        self._rate = _rate(optimizer)
        self._create()
        self._record()
        self._handle = optimizer.register_step_post_hook(self._after_step)
        return self

    def log(self, loss: Any) -> None:
        """Tell the current loss, recorded with the next row (and read only then: reading waits for the device)."""
        self._loss = loss.detach() if isinstance(loss, torch.Tensor) else loss

    def close(self) -> None:
        """Record the last step, if it is not yet, and let go of the optimizer."""
        if self._handle is None:
            return
        self._handle.remove()
        self._handle = None
        if self._recorded != self._step:
            self._record()

    def trajectory(self) -> xr.Dataset:
        """What has been recorded so far."""
        return load(self.study, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _after_step(self, *_: Any) -> None:
        self._step += 1
        self._rate = _rate(self._optimizer)  # now: a scheduler moves it before the row of `close` is written
        if self._step % self._every == 0:
            self._record()

    def _refuse_existing(self) -> None:
        refuse_nested(self.study, self.name)
        if group_path(self.study, self.name).exists() and not self._overwrite:
            raise FileExistsError(
                f"{self.study} already holds a result `{self.name}`. Pass overwrite=True, or another name."
            )

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

    def _record(self) -> None:
        """Append one row, `step` last: a row without it does not count. Space is made for many rows at a time."""
        theta = self._layout.parameters(self._model).cpu().numpy()
        row = {
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
        self._rows, self._recorded, self._loss = k + 1, self._step, float("nan")


def _rate(optimizer: torch.optim.Optimizer) -> Any:
    """Learning rate of the first group; a tensor is copied, and read only when a row is written."""
    rate = optimizer.param_groups[0]["lr"]
    return rate.detach().clone() if isinstance(rate, torch.Tensor) else rate


def _need_own_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    own = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise ValueError(
            "The optimizer moves none of this model's trainable parameters, so every row would be the same. Attach the "
            "optimizer that trains this model (made after it was moved to its device)."
        )


def _growing(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dims: tuple[str, ...], dtype: str
) -> None:
    fill = -1 if dtype.startswith("int") else float("nan")
    group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, dimension_names=dims)
