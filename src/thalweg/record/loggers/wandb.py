"""Numbers as a run of Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg.record.loggers.sink import Closing, library

_STEP = "thalweg/step"


class WandbSink(Closing):
    """Writes to a run of Weights & Biases. Steps are those of training, whatever else counts in the same run.

    The numbers are drawn over `thalweg/step`: the run's own step may only rise, and another logger moves it.

    Parameters
    ----------
    run
        A run that is open already (`wandb.run`; Lightning's is `trainer.logger.experiment`); by default one is begun.
    **settings
        For `wandb.init`: `project=`, `name=`, `dir=`; `mode="offline"` writes to disk only, for `wandb sync` later.

    Examples
    --------
    >>> import tempfile
    >>> with WandbSink(project="valleys", mode="offline", dir=tempfile.mkdtemp()) as sink:
    ...     sink.log(10, {"trajectory/loss": 0.5})
    """

    def __init__(self, run: Any = None, **settings: Any) -> None:
        if run is not None and settings:
            raise TypeError(f"A run was given, so {', '.join(settings)} cannot be set; give them to `wandb.init`.")
        self._owned = run is None
        self._run = library("wandb", "wandb").init(**settings) if run is None else run
        self._run.define_metric(_STEP, hidden=True)
        self._known: set[str] = set()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One row of the run's history."""
        for name in values.keys() - self._known:
            self._run.define_metric(name, step_metric=_STEP)
        self._known |= values.keys()
        self._run.log({_STEP: step, **values})

    def close(self) -> None:
        """Finish the run; one that was given stays open."""
        if self._owned:
            self._run.finish()
