"""Do the numbers agree with the reference? And where they do not, why: the column `answers`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from audit import Positions, relative_error, where_3d, where_landscapes
from cases import Case
from contestants import BF16, PEER, PEER_3D, TF32, cloned_centre
from grid import Grid
from loops import reference
from timing import Timing


@dataclass(frozen=True)
class Judge:
    """The reference's losses on the nine points, and what it says of a contestant's."""

    case: Case
    grid: Grid
    truth: np.ndarray

    @classmethod
    def of(cls, case: Case, grid: Grid) -> Judge:
        return cls(case, grid, reference(case.model, case.images, grid.check))

    def __call__(self, timing: Timing) -> str:
        name, error = timing.contestant.name, relative_error(timing.losses, self.truth)
        if error <= self._tolerance(name):
            return f"equal to {_power(error)}"
        return f"wrong: {self._why(name)}, losses off by up to {self._share(timing.losses):.0%} of the range"

    def _tolerance(self, name: str) -> float:
        """A GPU multiplies with TF32 in PyTorch's own convolutions unless told otherwise."""
        if name in (TF32, BF16):
            return 0.05
        return 1e-2 if self.grid.origin.device.type == "cuda" else 1e-4

    def _share(self, losses: np.ndarray) -> float:
        return float(np.nanmax(np.abs(losses - self.truth)) / np.ptp(self.truth))

    def _why(self, name: str) -> str:
        if name == PEER_3D:
            there = where_3d(self.case, self.grid)
            cloned = relative_error(cloned_centre(self.case, self.grid), self.truth)
            return f"{_elsewhere(there)} as the centre drifts (with a cloned centre equal to {_power(cloned)})"
        if name == PEER:
            there = where_landscapes(self.case, self.grid)
            return f"{_elsewhere(there)} (equal to {_power(there.error_visited)} there)"
        return "for an unknown reason"


def _elsewhere(there: Positions) -> str:
    steps = round(float(np.abs(there.visited - there.asked).max() / np.ptp(there.asked[:2, 1])))
    return f"{there.num_wrong} of 9 points evaluated {'up to ' * (steps > 1)}{steps} step{'s' * (steps > 1)} off"


def _power(error: float) -> str:
    """The power of ten that bounds an error, 1e-6 at the least."""
    return f"1e{max(-6, math.ceil(math.log10(max(error, 1e-12))))}"
