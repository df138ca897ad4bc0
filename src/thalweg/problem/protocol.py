"""What the rest of thalweg asks of a problem: a loss, and what follows from it, as functions of one weight vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from thalweg.problem.curvature import Curvature
from thalweg.problem.engine import Plan, Points
from thalweg.weights import Layout


@dataclass(frozen=True)
class Measurement:
    """What `Problem.measure` found at `P` points.

    Attributes
    ----------
    values
        Mean over the examples per quantity (`loss`, `accuracy`, `test_loss`, ...), `(P,)`, float64, on the CPU.
    standard_errors
        Of those means, where only a subset of the examples was used.
    losses
        Per-example losses per split (`train`, `test`), `(P, num_examples)`, where they were asked for.
    """

    values: dict[str, Tensor]
    standard_errors: dict[str, Tensor] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Problem(Protocol):
    """Model, loss and data as one function of `theta`, a flat vector of `num_weights` entries."""

    layout: Layout

    @property
    def theta(self) -> Tensor:
        """The weights as they are now: a copy, `(num_weights,)`."""

    @property
    def num_weights(self) -> int:
        """Length of `theta`."""

    @property
    def quantities(self) -> Sequence[str]:
        """Names of what `measure` returns: `loss`, the metrics, and the same on test data."""

    def loss(self, theta: Tensor) -> Tensor:
        """Mean loss over the training data, differentiable: `(..., num_weights) -> (...)`."""

    def losses(self, theta: Tensor) -> Tensor:
        """Per-example losses `(..., num_examples)`."""

    def gradient(self, theta: Tensor) -> Tensor:
        r"""$\nabla L(\\theta)$: `(..., num_weights) -> (..., num_weights)`."""

    def value_and_gradient(self, theta: Tensor, examples: Any = None) -> tuple[Tensor, Tensor]:
        """Loss and gradient at many weight vectors in one go, over some examples (a mini-batch) or all."""

    def hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        r"""$\nabla^2 L(\\theta)\\, v$, `(num_weights,)`."""

    def curvature(
        self,
        matrix: Any = "hessian",
        *,
        theta: Any = None,
        parameters: Any = None,
        num_examples: int | None = None,
        seed: int = 0,
        method: Any = "auto",
        expected: int = 30,
    ) -> Curvature:
        """A curvature matrix set up to be multiplied with many vectors: a `Curvature`."""

    def measure(
        self,
        points: Points,
        *,
        metrics: Sequence[str] | None = None,
        num_examples: int | None = None,
        seed: int = 0,
        per_example: bool = False,
        plan: Plan | None = None,
        advance: Callable[[float], None] = ...,
    ) -> Measurement:
        """Loss and metrics of many weight vectors in one pass over the data."""

    def plan(self, num_points: int, num_examples: int | None = None, seed: int = 0) -> tuple[Plan, float]:
        """How so many points would be evaluated, and the estimated seconds per point."""

    def identity(self) -> dict[str, Any]:
        """Hashes and names by which a store recognises the problem."""

    def provenance(self) -> dict[str, Any]:
        """Model, data, dtype and device, for a result's attrs."""
