r"""Principal features as functions: their values at inputs that were not used to find them.

From $J = U \Sigma V^\top$ on some inputs, the features at others with the Jacobian $J_*$ are
$$ J_* V = K(x_*, x)\, U \Sigma^{-1}, $$
which is Nyström's extension of the eigenvectors of the kernel $K = J J^\top$ (Williams & Seeger 2001), and for the
inputs themselves gives $U \Sigma$ back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.rows import Rows, rows, same_weights
from thalweg.problem.outputs import Which

_SPLITS = {"training": None, "test": "test"}


def principal_features_at(
    tangent: xr.Dataset, problem: Any, inputs: Any, *, targets: Any = None, theta: Any = None
) -> xr.Dataset:
    """Principal features found on some inputs, evaluated at others.

    Parameters
    ----------
    tangent
        What `linearize` found: with `vectors=True`, or on the training or test data, so that the right vectors can be
        computed anew.
    problem
        The problem that was linearised.
    inputs
        Where to evaluate: `"train"`, `"test"`, or inputs as the network takes them.
    targets
        Of inputs that are given, if known.
    theta
        The weights that the tangent was found at; `problem.theta` by default.

    Returns
    -------
    Dataset
        Kind `tangent` over the new rows, with the singular values and residuals of the old.

    Raises
    ------
    ValueError
        Other weights; a tangent on given inputs without right vectors.

    Notes
    -----
    Cost: one forward and `c` backward passes over the new inputs. Without right vectors, one backward pass over the old
    ones for each value.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> from thalweg.measures import linearize
    >>> problem = ModuleProblem(mlp([20]), sines_data().train, loss=torch.nn.functional.mse_loss)
    >>> tangent = linearize(problem, k=3)
    >>> beyond = principal_features_at(tangent, problem, torch.linspace(-2, 2, 9)[:, None])
    >>> beyond.principal_feature.shape, bool((beyond.singular_value == tangent.singular_value).all())
    ((9, 3), True)
    """
    if schema.check(tangent).attrs["kind"] != "tangent":
        raise ValueError(f"A result of kind {tangent.attrs['kind']!r}; `linearize` makes the one that is needed.")
    which = _which(tangent.attrs["outputs"])
    asked = rows(problem, inputs, which, targets, theta)
    same_weights(tangent, asked.theta)
    right = _right(tangent, asked, which)
    values, features = [], []
    for value, block in asked.outputs.blocks(asked.theta, 2**28):
        values.append(value)
        features.append(block @ right.T)
    data = {
        "singular_value": tangent["singular_value"],
        "residual": tangent["residual"],
        "principal_feature": (("row", "value"), torch.cat(features).cpu().numpy(), {"long_name": "principal feature"}),
        "prediction": ("row", torch.cat(values).double().cpu().numpy(), {"long_name": "prediction"}),
        **asked.about(),
    }
    kept = {name: tangent.attrs[name] for name in ("method", "rank", "rank_known", "rtol", "frobenius", "tail")}
    attrs = {
        "kind": "tangent",
        "title": f"Tangent of {asked.whose}, with the features of the {tangent.attrs['inputs']} inputs",
        **kept,
        "found_on": tangent.attrs["inputs"],
        **asked.training_range(),
        **asked.facts(),
    }
    return schema.check(xr.Dataset(data, {"value": tangent["value"], **asked.coordinates()}, attrs))


def _which(word: str) -> Which:
    return word if word in ("all", "sum", "loss") else int(word)  # type: ignore[return-value]


def _right(tangent: xr.Dataset, asked: Rows, which: Which) -> Tensor:
    """Right vectors `(value, weight)`: kept, or as the transposed products with the left ones."""
    if "right_vector" in tangent:
        return torch.as_tensor(tangent["right_vector"].values).to(asked.theta)
    if tangent.attrs["inputs"] not in _SPLITS:
        raise ValueError(
            "The tangent was found on inputs that it does not hold, without right vectors. "
            "Use `linearize(..., vectors=True)`."
        )
    values = tangent["singular_value"].values
    left = torch.as_tensor((tangent["principal_feature"].values / values**2).T.astype(np.float64)).to(asked.theta)
    old = rows(asked.problem, _SPLITS[tangent.attrs["inputs"]], which, None, asked.theta)
    return old.outputs.vjp(old.theta, left)
