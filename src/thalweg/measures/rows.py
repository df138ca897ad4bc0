"""What all measures of the tangent share: which outputs of which inputs, at which weights, and how a result says so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg.measures.request import need_problem
from thalweg.problem.identity import hash_tensor
from thalweg.problem.outputs import Outputs, Which, finite
from thalweg.store import provenance


@dataclass(frozen=True)
class Rows:
    """The outputs that are asked about, at some weights."""

    problem: Any
    outputs: Outputs
    theta: Tensor
    began: float = field(default_factory=time.perf_counter)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the Jacobian."""
        return self.outputs.num_rows, self.problem.num_weights

    @property
    def num_bytes(self) -> int:
        """Of the Jacobian, if it were stored."""
        return self.shape[0] * self.shape[1] * self.theta.element_size()

    @property
    def whose(self) -> str:
        """For titles: the model, and inputs that are not the training data."""
        words = self.outputs.examples.words
        return f"{self.problem.provenance().get('model', 'network')}" + ("" if words == "training" else f" ({words})")

    def facts(self) -> dict[str, Any]:
        """Attrs: which outputs of which inputs, where, and how long it took."""
        told = self.problem.provenance()
        criterion = told.pop("loss", None)
        return {
            "outputs": str(self.outputs.which),
            "inputs": self.outputs.examples.words,
            "num_examples": self.outputs.num_examples,
            "num_rows": self.shape[0],
            "rows": self.outputs.way or "products only",
            "theta_id": hash_tensor(self.theta),
            "seconds": round(time.perf_counter() - self.began, 3),
            **provenance(criterion=criterion, **told),
        }

    def coordinates(self, dim: str = "row", prefix: str = "", summed: bool = False) -> dict[str, Any]:
        """`example`, `output` and, for class numbers, `label`, over the rows; `summed`: one row for each example."""
        n, c = self.outputs.num_examples, 1 if summed else self.outputs.per_example
        which = self.outputs.which
        numbers = np.arange(c) if which == "all" else np.array([which if isinstance(which, int) else -1])
        numbers = np.array([-1]) if summed and self.outputs.per_example > 1 else numbers
        found = {prefix + "example": (dim, np.repeat(np.arange(n), c)), prefix + "output": (dim, np.tile(numbers, n))}
        labels = self.labels()
        if labels is not None:
            found[prefix + "label"] = (dim, np.repeat(labels, c))
        return {dim: np.arange(n * c), **found}

    def x(self, summed: bool = False) -> np.ndarray | None:
        """The input of each row, where it is one number."""
        found = self.outputs.examples.scalars()
        return None if found is None else np.repeat(found, 1 if summed else self.outputs.per_example)

    def labels(self) -> np.ndarray | None:
        """Class numbers of the examples, where targets are these."""
        targets = self.outputs.examples.targets()
        if targets is None or targets.is_floating_point() or targets.ndim != 1:
            return None
        return targets.numpy()

    def targets(self) -> np.ndarray | None:
        """What each row should be, where it is known: numbers, or 1 for the right class and 0 for others."""
        outputs = self.outputs
        targets = outputs.examples.targets() if outputs.which != "loss" else None
        if targets is None:
            return None
        columns = int(np.prod(outputs.shape, dtype=int))
        if targets.is_floating_point():
            if targets.numel() != outputs.num_examples * columns:
                return None
            wanted = targets.double().reshape(outputs.num_examples, columns)
        elif targets.ndim == 1 and columns > 1 and 0 <= int(targets.min()) <= int(targets.max()) < columns:
            wanted = torch.nn.functional.one_hot(targets.long(), columns).double()
        else:
            return None
        if outputs.which == "sum":
            wanted = wanted.sum(1, keepdim=True)
        return (wanted[:, [outputs.which]] if isinstance(outputs.which, int) else wanted).reshape(-1).numpy()

    def about(self) -> dict[str, Any]:
        """Variables over `row`: `x` and `target`, where they are known."""
        found: dict[str, Any] = {}
        x, targets = self.x(), self.targets()
        if x is not None:
            found["x"] = ("row", x, {"long_name": "input"})
        if targets is not None:
            found["target"] = ("row", targets, {"long_name": "target"})
        return found

    def training_range(self) -> dict[str, float]:
        """Attrs `train_low` and `train_high`: between them lie the training inputs, where these are numbers."""
        own = self.outputs.examples
        x = own.scalars() if own.words == "training" else self.problem.outputs().examples.scalars()
        return {} if x is None else {"train_low": float(x.min()), "train_high": float(x.max())}


def rows(problem: Any, inputs: Any, outputs: Which, targets: Any, theta: Any) -> Rows:
    """Check what is asked, before anything is computed.

    Raises
    ------
    ValueError, TypeError
        A bare model, a landscape without outputs, inputs or outputs that do not fit (see `ModuleProblem.outputs`).
    Diverged
        Weights that are not finite.
    """
    need_problem(problem)
    if not hasattr(problem, "outputs"):
        raise TypeError(
            f"A {type(problem).__name__} has a loss and no outputs to linearise; that takes a network: "
            "ModuleProblem(model, data, loss=...)."
        )
    like = problem.theta
    at = like if theta is None else torch.as_tensor(theta).detach().to(like, copy=True)
    if at.shape != like.shape:
        raise ValueError(f"theta has shape {tuple(at.shape)}, but the problem has {len(like)} weights.")
    finite(at, f"{int((~at.isfinite()).sum())} of its {len(at)} weights are")
    return Rows(problem, problem.outputs(inputs, outputs, targets=targets), at)


def same_weights(dataset: xr.Dataset, theta: Tensor) -> None:
    """Refuse weights other than those that a result was computed at."""
    if dataset.attrs.get("theta_id") != hash_tensor(theta):
        raise ValueError(
            "The result was computed at other weights than these. Pass the `theta` that it was computed at, or the "
            "problem standing there (`problem.at(theta)`)."
        )
