"""Sharpness and its company while a network trains: measured every so many steps, written as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
import xarray as xr
from torch import nn

from thalweg.measures.tracking import SpectrumTracker, stability_threshold, words
from thalweg.problem import ModuleProblem
from thalweg.record.cadence import Every
from thalweg.record.loggers.datasets import numbers
from thalweg.record.loggers.sink import MetricSink
from thalweg.record.watcher import Watcher
from thalweg.store import provenance, save
from thalweg.weights import Layout


class CurvatureRecorder(Watcher):
    r"""Measures the top of the spectrum during a plain training loop: attach it, train as always, close it.

    After every `every`-th optimizer step (and at the start, and the end) the top `k` eigenpairs of the curvature of
    `problem` at the model's weights are found, each search begun with the last one's vectors. The line of stability,
    $2/\eta$ for gradient descent, follows the learning rate and SGD's momentum; for other optimizers there is none, nor
    where several parameter groups train the model at different settings (the learning rate told is the first one's).

    Parameters
    ----------
    study
        The zarr store to write to, after every measurement.
    problem
        Loss and data whose curvature is told: the same kind of network as the model that trains.
    name
        Name of the result in the study.
    k, matrix, parameters, tol, seed, max_matvecs
        As for `top_eigenpairs`.
    num_probes
        With so many random vectors the density of all eigenvalues too, as in `track_spectrum`.
    overwrite
        Replace a result of that name; refused otherwise.
    loggers
        Where eigenvalues, threshold and other numbers of each measurement go too, as for `Recorder`.

    Examples
    --------
    >>> import tempfile
    >>> model, x = nn.Linear(2, 1).double(), torch.randn(20, 2, dtype=torch.float64)
    >>> problem = ModuleProblem(model, (x, torch.zeros(20, 1, dtype=torch.float64)), loss=nn.functional.mse_loss)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> recorder = CurvatureRecorder(tempfile.mkdtemp() + "/study.zarr", problem, k=1)
    >>> with recorder.attach(model, optimizer, every=2):
    ...     for _ in range(4):
    ...         optimizer.zero_grad()
    ...         model(x).square().mean().backward()
    ...         optimizer.step()
    >>> recorder.spectrum().step.values, float(recorder.spectrum().threshold[0])
    (array([0, 2, 4]), 20.0)
    """

    def __init__(
        self,
        study: str | Path,
        problem: ModuleProblem,
        name: str = "spectrum",
        *,
        k: int = 5,
        matrix: str = "hessian",
        parameters: str | Sequence[str] | None = None,
        tol: float = 1e-3,
        seed: int = 0,
        max_matvecs: int | None = None,
        num_probes: int = 0,
        overwrite: bool = False,
        loggers: Iterable[MetricSink] = (),
    ) -> None:
        super().__init__(study, name, overwrite, loggers=loggers)
        self.problem = problem
        self._tracker = SpectrumTracker(
            k, tol=tol, matrix=matrix, parameters=parameters, seed=seed, max_matvecs=max_matvecs, num_probes=num_probes
        )

    def attach(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, every: Every = 1, *, step: int | None = None
    ) -> Self:
        """Measure now, and after the steps that `every` says (see `Recorder.attach`). The loop stays as it is.

        `step` says how many updates the model has behind it, 0 by default.
        """
        layout = Layout.of(model)
        own = [(block.name, block.shape) for block in self.problem.layout.blocks]
        if [(block.name, block.shape) for block in layout.blocks] != own:
            raise ValueError(
                f"The model that trains has {layout.num_weights} weights in {len(layout.blocks)} parameters, the "
                f"problem {self.problem.num_weights} in {len(own)}, or their names differ. Make the problem of a model "
                "of the same kind."
            )
        self._check(model, optimizer, every, step)
        frozen = sum(p.numel() for p in model.parameters()) > layout.num_weights
        self._has_more = frozen or any(True for _ in model.buffers())
        self._begin()
        return self

    def spectrum(self) -> xr.Dataset:
        """What has been measured so far: kind `spectrum_path`."""
        return self._tracker.dataset(
            f"Top eigenvalues while {type(self._model).__name__} trains with {type(self._optimizer).__name__}",
            threshold_words=self._stability()[1],
            optimizer=type(self._optimizer).__name__,
            every=self._every.words,
            run=self._run,
            **provenance(**self.problem.provenance()),
        )

    def _record(self) -> Mapping[str, float]:
        theta = self.problem.layout.parameters(self._model).to(self.problem.theta)
        here = self.problem.with_state(self._model.state_dict()) if self._has_more else self.problem
        self._tracker.add(self._step, here, theta, self._rate, self._stability()[0])
        found = self.spectrum()
        save(found, self.study, self.name, overwrite=True)
        return {name: float(column[-1]) for name, column in numbers(found).items()}

    def _stability(self) -> tuple[float, str]:
        """The line of stability of SGD, and what it is; nan for optimizers whose line is another."""
        told = [{name: float(value) for name, value in group.items()} for group in self._settings]
        if not isinstance(self._optimizer, torch.optim.SGD) or told[0].get("dampening", 0):
            return float("nan"), "unknown for this optimizer"
        if any(group != told[0] for group in told):
            return float("nan"), "unknown where the settings of parameter groups differ"
        momentum, nesterov = told[0]["momentum"], bool(told[0]["nesterov"])
        return stability_threshold(told[0]["lr"], momentum, nesterov), words(momentum, nesterov)
