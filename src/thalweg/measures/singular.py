r"""Singular values of the Jacobian of a network's outputs in its weights, exactly, for few inputs.

Rows are outputs of examples, $J_{(i, o), w} = \partial f_o(\theta; x_i) / \partial \theta_w$.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from thalweg.problem import ModuleProblem
from thalweg.problem.outputs import Diverged
from thalweg.problem.tree import leaves, tree_map


def singular_values(problem: ModuleProblem, num_inputs: int = 300) -> np.ndarray:
    """Singular values of the Jacobian on the first training inputs, descending; nan where it is not finite.

    Cost: a Jacobian of `num_inputs` rows for each output, and its decomposition in float64.

    Examples
    --------
    >>> line = torch.nn.Linear(1, 1)
    >>> x = torch.tensor([[1.0], [-1.0]])
    >>> singular_values(ModuleProblem(line, (x, x), loss=torch.nn.functional.mse_loss)).round(4)
    array([1.4142, 1.4142])
    """
    try:
        rows = problem.jacobian(inputs=_first_inputs(problem, num_inputs))
    except Diverged:
        return np.full(1, np.nan)
    return torch.linalg.svdvals(rows.double()).cpu().numpy()


def _first_inputs(problem: ModuleProblem, most: int) -> Any:
    """At most so many inputs of the first training batch."""
    _, forward = problem.rehearsal(most)
    inputs = forward(torch.nn.Identity())
    wide = problem.theta.dtype
    if not any(True for _ in leaves(inputs)):
        raise TypeError("The training inputs hold no tensors.")
    return tree_map(lambda x: x.to(wide) if x.is_floating_point() and wide == torch.float64 else x, inputs)
