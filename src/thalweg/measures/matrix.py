"""What all measures of curvature share: where it is taken, its products, and what a result says of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.measures.progress import bar
from thalweg.measures.request import need_problem
from thalweg.problem import Problem
from thalweg.problem.criterion import one_of
from thalweg.problem.curvature import Curvature
from thalweg.problem.identity import hash_tensor
from thalweg.problem.selection import Selection, selected
from thalweg.schema import MATRICES
from thalweg.store import provenance

BLOCK = 8
"""Probes that go through a product together on a GPU."""


@dataclass(frozen=True)
class Place:
    """A curvature matrix that is asked about: of which problem, where, and of which weights."""

    problem: Problem
    matrix: str
    theta: Tensor
    selection: Selection
    parameters: str | Sequence[str] | None
    num_examples: int | None
    seed: int
    began: float = field(default_factory=time.perf_counter)

    @property
    def size(self) -> int:
        """Rows of the matrix."""
        return self.selection.size

    @property
    def block(self) -> int:
        """Vectors that go through a product together."""
        return BLOCK if self.theta.device.type == "cuda" else 1

    def curvature(self, expected: int) -> Curvature:
        """Set up for about so many products."""
        return self.problem.curvature(
            self.matrix,
            theta=self.theta,
            parameters=self.parameters,
            num_examples=self.num_examples,
            seed=self.seed,
            expected=expected,
        )

    def facts(self, curvature: Curvature) -> dict[str, Any]:
        """Attrs: which matrix, where, of which weights, over which examples, how and at what cost."""
        told = self.problem.provenance()
        criterion = told.pop("loss", None)
        how = curvature.how
        costs = {"seconds_per_product": how.seconds_per_product, "seconds_per_gradient": how.seconds_per_gradient}
        return {
            "matrix": self.matrix,
            "parameters": "all" if self.parameters is None else curvature.selection,
            "num_selected": self.size,
            "theta_id": hash_tensor(self.theta),
            "num_matvecs": curvature.num_products,
            "product": how.words,
            **{key: value for key, value in costs.items() if math.isfinite(value)},
            "seconds": round(time.perf_counter() - self.began, 3),
            **provenance(seed=self.seed, num_examples=self.num_examples, criterion=criterion, **told),
        }

    @property
    def whose(self) -> str:
        """`Hessian of LeNet (conv1.weight)`, for titles."""
        name = str(self.problem.provenance().get("model", "function"))
        of = "" if name == "function" else f" of {name}"
        return f"{MATRICES[self.matrix]}{of}" + ("" if self.parameters is None else f" ({self.selection.words})")

    @property
    def units(self) -> str:
        """Of an eigenvalue: that of the loss, as weights have none."""
        units = getattr(self.problem, "units", None)
        return units("loss") if units is not None else ""


def place(
    problem: Problem,
    matrix: str,
    theta: Any,
    parameters: str | Sequence[str] | None,
    num_examples: int | None,
    seed: int,
) -> Place:
    """Check what is asked, before anything is computed.

    Raises
    ------
    ValueError, TypeError
        A bare model, an unknown matrix or parameter, weights of another number or that are not finite.
    """
    need_problem(problem)
    one_of("matrix", matrix, tuple(MATRICES))
    at = problem.theta if theta is None else torch.as_tensor(theta).detach().to(problem.theta, copy=True)
    if at.shape != (problem.num_weights,):
        raise ValueError(
            f"theta has shape {tuple(at.shape)}, but the problem has {problem.num_weights} weights. `problem.theta` "
            "has the right shape."
        )
    if not bool(torch.isfinite(at).all()):
        raise ValueError(
            f"{int((~at.isfinite()).sum())} of the {len(at)} weights are not finite, so that there is no curvature "
            "there. Take the weights of an earlier step."
        )
    whole_number("seed", seed, 0)
    if num_examples is not None:
        whole_number("num_examples", num_examples, 1)
    chosen = selected(problem.layout, parameters, at.device)
    return Place(problem, matrix, at, chosen, parameters, num_examples, int(seed))


@contextmanager
def watched(
    curvature: Curvature, title: str, total: int | None, progress: bool | None, about: int
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Products that move a progress bar; `about` so many are expected."""
    seconds = curvature.how.seconds_per_product
    seconds = about * seconds if math.isfinite(seconds) else 0.0
    with bar(title, total, 0, show=progress, seconds=seconds, unit="products") as advance:

        def product(v: Tensor) -> Tensor:
            found = curvature.product(v)
            advance(1 if v.ndim == 1 else len(v))
            return found

        yield product


def whole_number(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number, or too small.

    Examples
    --------
    >>> whole_number("k", 0, 1)
    Traceback (most recent call last):
    ValueError: k=0; expected a whole number from 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name}={value!r}; expected a whole number from {least}.")
