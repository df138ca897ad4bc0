r"""Singular values of the Jacobian of a network's outputs in its weights, exactly, for few inputs.

Rows are outputs of examples, $J_{(i, o), w} = \partial f_o(\theta; x_i) / \partial \theta_w$.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import jacrev, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.problem import Problem
from thalweg.problem.grad import differentiating, variable
from thalweg.problem.tree import leaves, tree_map

_CHUNK_BYTES = 2**27


def jacobian(problem: Problem, inputs: Any) -> Tensor:
    """Rows `(num_inputs * num_outputs, num_weights)` at `problem.theta`, by `vmap` of the reverse mode."""
    theta = problem.theta

    def outputs(weights: Tensor, example: Any) -> Tensor:
        found: Tensor = problem.predict(weights, tree_map(lambda x: x[None], example))  # type: ignore[attr-defined]
        return found.reshape(-1)

    size = int(max(1, _CHUNK_BYTES // (theta.numel() * theta.element_size())))
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", message="There is a performance drop")
        try:
            rows = vmap(jacrev(outputs), in_dims=(None, 0), chunk_size=min(size, 256))(theta, inputs)
        except RuntimeError:  # an operation without a rule for batches: one example after the other
            count = next(leaves(inputs)).shape[0]
            rows = torch.stack([_one(outputs, theta, tree_map(itemgetter(k), inputs)) for k in range(count)])
    return rows.detach().reshape(-1, theta.numel())


def _one(outputs: Callable[[Tensor, Any], Tensor], theta: Tensor, example: Any) -> Tensor:
    """By one backward pass for each output."""
    with differentiating():
        at = variable(theta)
        values = outputs(at, example)
        found = [torch.autograd.grad(v, at, retain_graph=True, materialize_grads=True)[0] for v in values]
    return torch.stack(found)


def singular_values(problem: Problem, num_inputs: int = 300) -> np.ndarray:
    """Singular values of the Jacobian on the first training inputs, descending; nan where it is not finite.

    Cost: a Jacobian of `num_inputs` rows for each output, and its decomposition in float64.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> line = torch.nn.Linear(1, 1)
    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> singular_values(ModuleProblem(line, (x, x), loss=torch.nn.functional.mse_loss)).round(4)
    array([1.4142, 1.4142])
    """
    inputs = first_inputs(problem, num_inputs)
    rows = jacobian(problem, inputs).double()
    if not torch.isfinite(rows).all():
        return np.full(min(rows.shape), np.nan)
    return torch.linalg.svdvals(rows).cpu().numpy()


def first_inputs(problem: Problem, most: int) -> Any:
    """At most so many inputs of the first training batch."""
    _, forward = problem.rehearsal(most)  # type: ignore[attr-defined]
    inputs = forward(torch.nn.Identity())
    wide = problem.theta.dtype
    if not any(True for _ in leaves(inputs)):
        raise TypeError("The training inputs hold no tensors.")
    return tree_map(lambda x: x.to(wide) if x.is_floating_point() and wide == torch.float64 else x, inputs)
