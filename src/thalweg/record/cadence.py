"""At which steps something is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Every = int | Iterable[int] | Callable[[int], bool]


class Cadence:
    """Whether a step is due: every so many, those of a list, or whatever a function says.

    Examples
    --------
    >>> [step for step in range(9) if Cadence([1, 2, 4, 8]).due(step)]
    [1, 2, 4, 8]
    >>> Cadence(10).due(20), Cadence(lambda step: step < 5 or step % 100 == 0).due(7), Cadence([3]).words
    (True, False, 'a list of 1 steps')
    """

    def __init__(self, every: Every) -> None:
        self.words: int | str
        """What to note of it."""
        if callable(every):
            self._due: Callable[[int], Any] = every
            self.words = f"as {getattr(every, '__name__', type(every).__name__)} says"
        elif _whole(every) and int(every) >= 1:  # type: ignore[arg-type]
            period = self.words = int(every)  # type: ignore[arg-type]
            self._due = lambda step: step % period == 0
        else:
            chosen = _steps(every)
            self._due, self.words = chosen.__contains__, f"a list of {len(chosen)} steps"

    def due(self, step: int) -> bool:
        """Whether to record after update number `step`."""
        return bool(self._due(step))


def _steps(every: Any) -> frozenset[int]:
    listed = list(every) if isinstance(every, Iterable) and not isinstance(every, (str, bytes)) else None
    if listed is None or not all(_whole(step) and step >= 0 for step in listed):
        raise ValueError(
            f"every={every!r}; expected a whole number of at least 1, a list of steps, or a function step -> bool."
        )
    return frozenset(int(step) for step in listed)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
