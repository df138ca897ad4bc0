"""Where numbers go: the interface, and what recorders do with a list of them."""

from __future__ import annotations

import importlib
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import ModuleType, TracebackType
from typing import Protocol, Self, runtime_checkable


@runtime_checkable
class MetricSink(Protocol):
    """Takes numbers over step. Steps may come twice, and need not rise (a resumed run tells some again).

    Examples
    --------
    >>> class Printer:
    ...     def log(self, step, values):
    ...         print(step, values)
    ...
    ...     def close(self): ...
    >>> isinstance(Printer(), MetricSink)
    True
    """

    def log(self, step: int, values: dict[str, float]) -> None:
        """Take the numbers of one step; what is told has arrived when this returns, or arrives without further ado."""

    def close(self) -> None:
        """Nothing more comes. What the sink began it ends; a run or writer that was given stays open."""


class Closing(ABC):
    """Closes a sink at the end of a `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Nothing more comes."""


class Loggers:
    """The sinks of a recorder. One that fails is left out from then on, with a warning: training goes on.

    Parameters
    ----------
    sinks
        Not closed here: several recorders may share one.
    prefix
        Goes before each name: `trajectory/loss`.
    """

    def __init__(self, sinks: Iterable[MetricSink], prefix: str) -> None:
        if isinstance(sinks, MetricSink):
            raise TypeError(f"loggers is a {type(sinks).__name__}; expected a list: loggers=[...].")
        self._sinks, self._prefix = list(sinks), prefix
        for sink in self._sinks:
            if not isinstance(sink, MetricSink):
                raise TypeError(
                    f"{sink!r} is no logger: it needs `log(step, values)` and `close()`. There are TensorBoardSink, "
                    "WandbSink and MlflowSink in `thalweg.record.loggers`."
                )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send the numbers of a row on. Unknown ones (nan) are left out."""
        found = named(values, self._prefix)
        for sink in list(self._sinks) if found else []:
            try:
                sink.log(step, dict(found))
            except Exception as error:
                self._sinks.remove(sink)
                warnings.warn(
                    f"{type(sink).__name__} failed at step {step} ({type(error).__name__}: {error}) and gets no more "
                    f"of `{self._prefix}`; what is recorded in the study is whole, `log_dataset` sends it later.",
                    RuntimeWarning,
                    stacklevel=2,
                )


def named(values: Mapping[str, float], prefix: str) -> dict[str, float]:
    """The values that are known, with the prefix before their names.

    Examples
    --------
    >>> named({"loss": float("nan"), "learning_rate": 0.1}, "trajectory")
    {'trajectory/learning_rate': 0.1}
    """
    return {f"{prefix}/{name}": float(value) for name, value in values.items() if not math.isnan(value)}


def library(name: str, extra: str) -> ModuleType:
    """Import an optional library, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing(error, extra) from error


def missing(error: ModuleNotFoundError, extra: str) -> ModuleNotFoundError:
    """The error for a library that is not there."""
    return ModuleNotFoundError(f'This needs {error.name}: pip install "thalweg[{extra}]".', name=error.name)
