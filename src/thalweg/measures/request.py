r"""What is asked of every point of a surface, checked before anything is computed, and recognised by a store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.measures.extent import Asked
from thalweg.problem import Problem
from thalweg.subspaces import Subspace

RESERVED = ("status", "losses", "test_losses", "gradient", "interpolated", "example", "test_example", "coordinate")
"""Names that the result, or its bookkeeping, needs: no metric and no dim can have them."""


@dataclass(frozen=True)
class Request:
    """What is asked of every point."""

    problem: Problem
    subspace: Subspace
    metrics: tuple[str, ...] | None
    num_examples: int | None
    seed: int
    per_example: bool
    gradient: bool
    adaptive: float | None

    def options(self) -> dict[str, Any]:
        """Keywords of `Problem.measure`."""
        return {
            "metrics": self.metrics,
            "num_examples": self.num_examples,
            "seed": self.seed,
            "per_example": self.per_example,
        }


def validate(request: Request) -> None:
    """Refuse what cannot be answered."""
    problem, subspace = request.problem, request.subspace
    if not (hasattr(subspace, "dims") and hasattr(subspace, "origin")):
        raise TypeError(
            f"The subspace is {_article(subspace)}; expected a Line, Plane, Box or Segment. "
            "`random_plane(problem)` makes one."
        )
    if subspace.origin.shape != (problem.num_weights,):
        raise ValueError(
            f"The subspace has {subspace.origin.numel()} weights, but the problem has {problem.num_weights}. Was it "
            "made for another network? `random_plane(problem)` makes one that fits."
        )
    _known_metrics(problem, request.metrics)
    _free_names(request)
    _possible(request)


def chosen_metrics(problem: Problem, metrics: Sequence[str] | None) -> tuple[str, ...] | None:
    """The metrics asked for; None for all. One word is not taken for a list of letters."""
    need_problem(problem)
    if isinstance(metrics, str):
        raise ValueError(
            f"Unknown metric list {metrics!r}: a list was needed, such as metrics=[{metrics!r}]; the problem measures "
            f"{', '.join(_accepted(problem))}."
        )
    return tuple(metrics) if metrics is not None else None


def need_problem(problem: Any) -> None:
    """Refuse a bare model."""
    if not (hasattr(problem, "measure") and hasattr(problem, "num_weights")):
        raise TypeError(
            f"The problem is {_article(problem)}; expected a network with its loss and data: "
            "ModuleProblem(model, data, loss=...)."
        )


def fingerprint(request: Request, grid: Asked) -> dict[str, Any]:
    """Everything that determines the numbers."""
    return {
        **request.problem.identity(),
        "subspace": subspace_id(request.subspace),
        "dims": list(request.subspace.dims),
        **grid.facts(),
        "metrics": list(request.metrics) if request.metrics is not None else "all",
        "num_examples": request.num_examples,
        "seed": request.seed if request.num_examples is not None else None,
        "adaptive": request.adaptive,
        "per_example": request.per_example,
        "gradient": request.gradient,
    }


def subspace_id(subspace: Subspace) -> str:
    """Hash of a subspace's origin and directions (or bends): what is drawn together must lie in the same one."""
    digest = hashlib.sha256()
    for array in subspace.arrays():
        digest.update(array.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()[:16]


def _accepted(problem: Problem) -> list[str]:
    """Names that `metrics=` takes: each is measured on test data too, where there are any."""
    return [name for name in problem.quantities if not name.startswith("test_")]


def _known_metrics(problem: Problem, metrics: Sequence[str] | None) -> None:
    accepted = _accepted(problem)
    for metric in metrics or ():
        if metric not in accepted:
            raise ValueError(
                f"Unknown metric {metric!r} (test data are measured by the same names); the problem measures "
                f"{', '.join(accepted)}."
            )


def _free_names(request: Request) -> None:
    """No metric or dim may take a name that the result needs: one of the two would be lost in silence."""
    quantities, dims = list(request.problem.quantities), list(request.subspace.dims)
    errors = [f"{name}_standard_error" for name in quantities]
    metrics = [name for name in quantities if name not in ("loss", "test_loss")]
    for what, names, taken in (("metric", metrics, [*dims, *errors]), ("coordinate", dims, [*quantities, *errors])):
        for name in names:
            if name in RESERVED or name in taken or "/" in name:
                raise ValueError(
                    f"The {what} {name!r} has a name that the result needs for something else (a slash, a coordinate, "
                    f"a quantity, or one of {', '.join(RESERVED)}). Give the {what} another name."
                )


def _possible(request: Request) -> None:
    adaptive, num_examples = request.adaptive, request.num_examples
    if adaptive is not None and not 0 < adaptive < 1:
        raise ValueError(f"adaptive={adaptive}; it is a fraction of the surface's range, such as 0.01.")
    if adaptive is not None and request.per_example:
        raise ValueError("Per-example losses cannot be interpolated; use either `adaptive` or `per_example`.")
    if num_examples is not None:
        for name, value in (("num_examples", num_examples), ("seed", request.seed)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ValueError(
                    f"{name}={value!r}; a subset of the examples needs a whole number, such as {name}=100."
                )
        if request.gradient:
            raise ValueError(
                "The gradient is that of the loss over all examples, and would not be the slope of a loss over "
                f"num_examples={num_examples}. Leave out one of `gradient` and `num_examples`."
            )
    if request.gradient and request.problem.provenance().get("batch_norm") == "recalibrate":
        raise ValueError(
            'A problem with batch_norm="recalibrate" has no gradient, because its statistics depend on the weights. '
            'Leave out `gradient`, or make the problem with batch_norm="running".'
        )


def _article(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
