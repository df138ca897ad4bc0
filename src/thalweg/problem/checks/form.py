"""Can a batch be evaluated at all, and are the weights finite?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.problem.checks.values import describe
from thalweg.problem.data import Batches
from thalweg.problem.network import Network


def finite_weights(network: Network) -> None:
    """Refuse weights that are inf or nan, and a network without trainable weights."""
    if network.layout.num_weights == 0:
        raise ValueError(
            "The model has no trainable parameters (all are frozen, or there are none). "
            "Call `model.requires_grad_(True)` on what you want to move."
        )
    if torch.isfinite(network.theta).all():
        return
    for block in network.layout.blocks:
        bad = int((~torch.isfinite(network.theta[block.slice])).sum())
        if bad:
            raise ValueError(
                f"Parameter `{block.name}` has {bad} non-finite entries (of {block.size}): the training has diverged, "
                "or the checkpoint is damaged. Load finite weights; the landscape around inf or nan is nowhere defined."
            )


def evaluated(network: Network, data: Batches, most: int, what: str) -> tuple[Any, dict[str, Tensor]]:
    """The first batch, cut to `most` examples where it can be, and its values; a malformed batch is refused."""
    first = data.first()
    if network.head.step is None:
        _pair(first)
    batch = data.cut(first, most)
    try:
        return batch, {name: value[0] for name, value in network(batch).items()}
    except Exception as error:
        if batch is first:
            raise _explained(error, network, batch, what) from error
    try:  # a model may ask for whole batches
        return first, {name: value[0] for name, value in network(first).items()}
    except Exception as error:
        raise _explained(error, network, first, what) from error


def shapes(network: Network, batch: Any) -> str:
    """Outputs and targets in words, where they are known."""
    if network.head.step is not None:
        return ""
    try:
        with torch.no_grad():
            outputs = network.head.predict(batch[0])
    except Exception:
        return ""
    return f"; outputs {describe(outputs)}, targets {describe(batch[1])}"


def _pair(batch: Any) -> None:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        length = f" of length {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(
            f"A batch is a {type(batch).__name__}{length}; expected a pair (inputs, targets). "
            "For other batches pass `step=`, a function (model, batch) -> per-example losses."
        )
    if isinstance(batch[1], (int, float)) or (isinstance(batch[1], Tensor) and batch[1].ndim == 0):
        raise TypeError(
            "The targets of a batch are a single number: the data look like a list of single examples, not of batches. "
            "Pass them to a DataLoader, or stack them into a tuple of two tensors (inputs, targets)."
        )


def _explained(error: Exception, network: Network, batch: Any, what: str) -> Exception:
    weights = {str(block.dtype).removeprefix("torch.") for block in network.layout.blocks}
    if network.head.step is None:
        inputs, targets = batch
        got = f"inputs {describe(inputs)} and targets {describe(targets)}"
    else:
        got = f"a batch of {describe(batch)}"
    return ValueError(
        f"The first batch of the {what} data could not be evaluated: {error} It holds {got}; the weights are "
        f"{', '.join(sorted(weights))}{shapes(network, batch)}. Check the shapes and dtypes, and call the model on it."
    )
