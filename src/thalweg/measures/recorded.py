"""The weights of a recorded run, row by row, checked against the network that they are said to be of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema


@dataclass(frozen=True)
class Recorded:
    """Weights along a run; a row is read when it is asked for."""

    theta: xr.DataArray
    like: Tensor

    @property
    def steps(self) -> np.ndarray:
        """Updates before each row."""
        return self.theta["step"].values

    def __len__(self) -> int:
        return self.theta.sizes["step"]

    def weights(self, rows: Any) -> Tensor:
        """Of one row `(num_weights,)`, or of a list of rows `(k, num_weights)`."""
        return torch.as_tensor(np.array(self.theta.isel(step=rows).values)).to(self.like)


def recorded(run: xr.Dataset, problem: Any) -> Recorded:
    """A trajectory, or a descent from one start, of this problem's network.

    Raises
    ------
    ValueError
        Another kind, several starts, no rows, other numbers of weights.
    """
    kind = schema.check(run).attrs["kind"]
    if kind not in ("trajectory", "descent"):
        raise ValueError(f"A result of kind {kind!r}; expected a trajectory, or a descent from one start.")
    if kind == "descent" and run.sizes["start"] != 1:
        raise ValueError(f"The descent has {run.sizes['start']} starts; pick one: `run.isel(start=[0])`.")
    theta = run["theta"].isel(start=0) if kind == "descent" else run["theta"]
    if theta.sizes["weight"] != problem.num_weights:
        raise ValueError(f"The run has {theta.sizes['weight']} weights, the problem {problem.num_weights}.")
    if not theta.sizes["step"]:
        raise ValueError("The run is empty; at least one recorded step is needed.")
    return Recorded(theta, problem.theta)
