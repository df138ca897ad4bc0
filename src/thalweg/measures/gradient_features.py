r"""What each single weight can do to the output: its gradient as a function of the input.

The column of the Jacobian that belongs to a weight, $x \mapsto \partial f(\theta; x) / \partial \theta_w$, is the
feature that a linear model around $\theta$ would fit with. The principal features of `linearize` are their principal
components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.rows import Rows, rows
from thalweg.problem.identity import free_memory
from thalweg.problem.outputs import Which

_STORED = 2**29


def gradient_features(
    problem: Any,
    inputs: Any = None,
    outputs: Which = "all",
    *,
    targets: Any = None,
    theta: Any = None,
    memory: int | None = None,
) -> xr.Dataset:
    r"""Gradient of the outputs in every weight, at every input: $\phi_w(x) = \partial f(\theta; x) / \partial\theta_w$.

    Parameters
    ----------
    problem
        A `ModuleProblem`.
    inputs
        The training data by default; `"test"`, or inputs as the network takes them: a fine grid draws best.
    outputs, targets
        As for `linearize`.
    theta
        Where, `(num_weights,)`; `problem.theta` by default.
    memory
        Bytes that the features may take; by default an eighth of what is free, at most 512 MiB.

    Returns
    -------
    Dataset
        Kind `gradient_features`: `feature(row, weight)`, the Jacobian, with coordinates `parameter(weight)` and
        `layer(weight)`, the names of what a weight belongs to; `prediction(row)`, and `x`, `target` where known. Frozen
        parameters have no features.

    Raises
    ------
    Diverged
        Weights or derivatives that are not finite.
    ValueError, TypeError
        As `ModuleProblem.outputs`; features that do not fit.

    Examples
    --------
    >>> import torch
    >>> from thalweg import ModuleProblem
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> problem = ModuleProblem(mlp([20]), sines_data().train, loss=torch.nn.functional.mse_loss)
    >>> found = gradient_features(problem, torch.linspace(-1, 1, 9)[:, None])
    >>> found.feature.shape, np.unique(found.layer.values), bool((found.feature[:, -1] == 1).all())
    ((9, 61), array(['0', '2'], dtype='<U1'), True)
    """
    asked = rows(problem, inputs, outputs, targets, theta)
    limit = min(free_memory(asked.theta.device) // 8, _STORED) if memory is None else memory
    if asked.num_bytes > limit:
        raise ValueError(
            f"The features ({asked.shape[0]:,} rows, {asked.shape[1]:,} weights) take {asked.num_bytes / 2**30:.3g} "
            f"GiB, more than the {limit / 2**30:.3g} GiB allowed. Pass fewer inputs, or raise `memory=`."
        )
    features = np.empty(asked.shape, dtype=asked.theta.cpu().numpy().dtype)
    values = np.empty(asked.shape[0])
    start = 0
    for value, block in asked.outputs.blocks(asked.theta):
        part = slice(start, start + len(value))
        values[part], features[part] = value.double().cpu().numpy(), block.cpu().numpy()
        start += len(value)
    data = {
        "feature": (("row", "weight"), features, {"long_name": "gradient in the weight"}),
        "prediction": ("row", values, {"long_name": "prediction"}),
        **asked.about(),
    }
    attrs = {
        "kind": "gradient_features",
        "title": f"Gradient features of {problem.provenance().get('model', 'the network')}",
        **asked.training_range(),
        **asked.facts(),
    }
    return schema.check(xr.Dataset(data, {**_names(asked), **asked.coordinates()}, attrs))


def _names(asked: Rows) -> dict[str, Any]:
    blocks = asked.problem.layout.blocks
    sizes = [block.slice.stop - block.slice.start for block in blocks]
    parameters = np.repeat([block.name for block in blocks], sizes)
    layers = np.repeat([block.name.rpartition(".")[0] or "model" for block in blocks], sizes)
    return {"parameter": ("weight", parameters), "layer": ("weight", layers)}
