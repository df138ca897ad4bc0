"""A training run's weights, losses, metrics and learning rates, written to disk as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch import nn

from thalweg.problem.identity import layout_hash
from thalweg.record.cadence import Every
from thalweg.record.loggers.sink import MetricSink
from thalweg.record.metrics import Metric, check_names, evaluate, number, one
from thalweg.record.watcher import Watcher
from thalweg.store import StoredTrajectory, load, provenance
from thalweg.store.trajectory import PIECE
from thalweg.store.tree import ensure_groups, group_path


class Recorder(Watcher):
    """Records a plain training loop: attach it, train as always, close it.

    Every `every`-th optimizer step (and the start, and the end) the trainable weights are appended to a study as one
    row of `theta(step, weight)`, with the loss last told to `log`, the metrics, and the learning rate. A row is on disk
    before the next step begins; a run that is killed leaves all rows recorded so far, and can go on (`resume`).

    Parameters
    ----------
    study
        The zarr store to write to.
    name
        Name of the result in it.
    metrics
        Numbers to record with each row, `{name: f(model) -> float}`: called at the rows that are recorded, and only
        then, without gradients. The model comes in the mode it is in; its modes, its buffers (running statistics) and
        torch's random numbers are put back afterwards, so that the run is the one without them.
    overwrite
        Replace a trajectory of that name; refused otherwise.
    resume
        Go on in a trajectory of that name, if there is one; see `attach`.
    loggers
        Where the numbers of each row go too (loss, metrics, learning rate): `TensorBoardSink`, `WandbSink`,
        `MlflowSink` of `thalweg.record.loggers`, or one's own. They are not closed: several recorders may share them.

    Notes
    -----
    Memory: 2**22 weights are copied at a time, however many there are. Time for 1e8 weights in float32: 1 to 2 s
    a row, on one core. Buffers and frozen parameters are no part of `theta`. Where several parameter groups hold the
    model's weights (their number is in the attrs), the learning rate is the first one's. If the trajectory is replaced
    meanwhile, say by another recorder with `overwrite=True`, this one stops with a warning.

    Examples
    --------
    >>> import tempfile
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> size = {"size": lambda model: model.weight.norm()}
    >>> with Recorder(tempfile.mkdtemp() + "/study.zarr", metrics=size).attach(model, optimizer, every=2) as recorder:
    ...     for _ in range(5):
    ...         optimizer.zero_grad()
    ...         loss = model(torch.ones(1, 2)).square().sum()
    ...         loss.backward()
    ...         recorder.log(loss, slope=model.bias.grad)
    ...         optimizer.step()
    >>> recorder.trajectory().step.values, sorted(recorder.trajectory().data_vars)
    (array([0, 2, 4, 5]), ['learning_rate', 'loss', 'size', 'slope', 'theta'])
    """

    _going_on = ", or resume=True to go on in this one"

    def __init__(
        self,
        study: str | Path,
        name: str = "trajectory",
        *,
        metrics: Mapping[str, Metric] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        loggers: Iterable[MetricSink] = (),
    ) -> None:
        self._metrics = dict(metrics or {})
        check_names(self._metrics)
        super().__init__(study, name, overwrite, resume, loggers)
        self._rows: StoredTrajectory | None = None
        self._told: dict[str, Any] = {}

    def attach(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, every: Every = 1, *, step: int | None = None
    ) -> Self:
        """Record `model` now, and after every `every`-th `optimizer.step()`. The training loop stays as it is.

        Parameters
        ----------
        model, optimizer
            What trains.
        every
            A whole number; or a list of steps; or a function `step -> bool`. Start and end are recorded in any case.
        step
            How many updates the model has behind it; 0 by default. With `resume`, by default that of the last row,
            which has to hold the model's weights. Given, rows recorded after it are dropped, to be recorded anew: this
            is how a run goes on from a checkpoint older than its last row. Optimizer, schedule and random numbers are
            yours to restore.

        Raises
        ------
        ValueError
            Complex weights, or an optimizer of another model. When resuming: a trajectory of another network (names,
            shapes or dtype of its parameters), or a recorded row whose weights differ from the model's.
        RuntimeError
            Later, at a step: the model's parameters have changed (joined, or in shape or dtype).
        """
        self._check(model, optimizer, every, step)
        if self._resume and self._exists():
            self._rows = self._reopened(step)
        self._begin()
        return self

    def log(self, loss: Any = None, **metrics: Any) -> None:
        """Tell the current loss, and further numbers by name; recorded with the next row.

        What is told is read only then (reading waits for the device), and forgotten after it: a row before which
        nothing was told has nan.
        """
        if metrics:
            check_names(metrics, self._metrics)
        for name, value in {**({} if loss is None else {"loss": loss}), **metrics}.items():
            self._told[name] = one(value, name).detach().clone() if isinstance(value, torch.Tensor) else value

    def trajectory(self) -> xr.Dataset:
        """What has been recorded so far; weights of more than a gigabyte stay on disk."""
        return load(self.study, self.name)

    def _record(self) -> Mapping[str, float]:
        """Append one row."""
        values = evaluate(self._metrics, self._model)
        values |= {name: number(value, name) for name, value in self._told.items()}
        values["learning_rate"] = self._rate
        if self._rows is None:
            self._rows = self._created()
        self._rows.append(self._step, self._pieces(), values)
        self._told = {}
        return values

    def _pieces(self) -> Iterator[np.ndarray]:
        return (piece.numpy() for piece in self._layout.pieces(self._model, PIECE))

    def _created(self) -> StoredTrajectory:
        self._refuse_existing()
        ensure_groups(self.study, self.name)
        model, optimizer = type(self._model).__name__, type(self._optimizer).__name__
        settings = self._settings[0]
        about = provenance(
            title=f"Training of {model} with {optimizer}",
            model=model,
            optimizer=optimizer,
            num_weights=self._layout.num_weights,
            every=self._every.words,
            dtype=_name(self._layout.dtype),
            layout=layout_hash(self._layout),
            param_groups=len(self._settings),
            run=self._run,
        )
        about |= {name: settings[name] for name in ("momentum", "nesterov", "dampening") if name in settings}
        folder = group_path(self.study, self.name)
        return StoredTrajectory.create(folder, self._layout.num_weights, _name(self._layout.dtype), about)

    def _reopened(self, step: int | None) -> StoredTrajectory:
        """The rows up to where the run stands, after which it goes on."""
        rows = StoredTrajectory.reopen(self.study, self.name)
        self._need_same_network(rows)
        place = self._place(rows, step)
        if place is not None:
            rows.keep(place + 1)
            self._step = self._recorded = rows.steps[place]
        else:
            rows.keep(sum(recorded < self._step for recorded in rows.steps))
        resumed_at = [*rows.attrs.get("resumed_at", []), self._step]
        rows.note(resumed_at=resumed_at, every=self._every.words, run=self._run)
        return rows

    def _place(self, rows: StoredTrajectory, step: int | None) -> int | None:
        """Number of the row that holds the model as it is; None if the step it stands at was not recorded."""
        if not rows.steps or (step is not None and step not in rows.steps):
            return None
        place = len(rows.steps) - 1 if step is None else rows.steps.index(step)
        if not rows.holds(place, self._pieces()):
            raise ValueError(
                f"The model's weights are not those recorded at step {rows.steps[place]} of `{self.name}`"
                + (", the last one. " if step is None else ". ")
                + "Load the checkpoint of that step into the model first; or say how many updates it has behind it, "
                "`attach(model, optimizer, step=...)`: rows after that are dropped and recorded anew."
            )
        return place

    def _need_same_network(self, rows: StoredTrajectory) -> None:
        here = (self._layout.num_weights, _name(self._layout.dtype), layout_hash(self._layout))
        there = (rows.num_weights, rows.dtype, rows.attrs.get("layout", here[2]))
        if here != there:
            raise ValueError(
                f"`{self.name}` in {self.study} records another network, {rows.attrs.get('model', 'unnamed')} of "
                f"{there[0]} weights in {there[1]}; this {type(self._model).__name__} has {here[0]} in {here[1]}"
                + (", in parameters of other names or shapes" if here[:2] == there[:2] else "")
                + ". Record it under another name."
            )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
