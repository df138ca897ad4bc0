"""The tangent kernel of a few examples along training: how it turns, and whether it turns towards the targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr
from torch import Tensor

from thalweg.measures.contraction import contracted
from thalweg.measures.kernel import kernel_alignment
from thalweg.measures.rows import Rows, rows
from thalweg.problem.examples import Diverged

_WORK = 2**28


class KernelPath:
    """Alignments (centred) of the kernel, traced over outputs, with the first finite one and with the targets.

    Parameters
    ----------
    asked
        The inputs that it is about.
    num
        How many of them, the first.

    Attributes
    ----------
    known
        Whether there are targets.
    """

    def __init__(self, asked: Rows, num: int) -> None:
        part, targets = next(asked.outputs.examples.pieces(num))
        self._asked = rows(asked.problem, part, "all", None, asked.theta)
        self._targets, self.known = targets, isinstance(targets, Tensor)
        self._first: xr.Dataset | None = None

    def add(self, theta: Tensor) -> dict[str, float]:
        """`kernel_alignment` and, if targets are known, `target_alignment`; nan where the kernel is not finite."""
        kernel = self._kernel(theta)
        lost = kernel is None or not bool(np.isfinite(kernel["kernel"]).all())
        if self._first is None and not lost:
            self._first = kernel
        found = {"kernel_alignment": np.nan if lost else kernel_alignment(kernel, self._first)}  # type: ignore[arg-type]
        if self.known:
            found["target_alignment"] = np.nan if lost else kernel_alignment(kernel, self._targets)  # type: ignore[arg-type]
        return found

    def _kernel(self, theta: Tensor) -> xr.Dataset | None:
        if not bool(theta.isfinite().all()):
            return None
        asked = replace(self._asked, theta=theta)
        try:
            found, _ = contracted(asked.outputs, None, theta, trace=True, by_layer=False, memory=_WORK)
        except Diverged:
            return None
        values = found["all"].cpu().numpy()
        sides = {**asked.coordinates("row", "", True), **asked.coordinates("column", "column_", True)}
        return xr.Dataset({"kernel": (("row", "column"), values)}, sides, {"kind": "kernel", "part": "trace"})
