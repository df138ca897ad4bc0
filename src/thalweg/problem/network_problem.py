"""What every part of a network's problem works with: the network, the data, and which weights are meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from thalweg.problem.criterion import Criterion
from thalweg.problem.data import Batches
from thalweg.problem.derivatives import Objective
from thalweg.problem.network import Network
from thalweg.problem.outputs import Outputs, finite
from thalweg.weights import Layout


class NetworkProblem:
    """A network and its data; what is asked of them is in the classes that build on it."""

    layout: Layout
    _network: Network
    _objective: Objective
    _splits: dict[str, Batches]
    _subsets: dict[tuple[int, int], dict[str, Batches]]
    _outputs: dict[Any, Outputs]
    _criteria: Mapping[str, Criterion]
    _recut: bool

    @property
    def theta(self) -> Tensor:
        """The weights as they are now, `(num_weights,)`: a copy that nothing else holds."""
        return self._network.theta.clone()

    @property
    def num_weights(self) -> int:
        """Number of trainable weights."""
        return self.layout.num_weights

    @property
    def num_examples(self) -> int:
        """Number of training examples."""
        return self._splits["train"].num_examples

    @property
    def device(self) -> torch.device:
        """Where the problem computes."""
        return self._network.device

    # --- inside ---

    def _used(self, num_examples: int | None, seed: int) -> dict[str, Batches]:
        if num_examples is None:
            return self._splits
        if not self._recut:
            raise ValueError(
                "An example's loss depends on which others share its batch, or batches cannot be cut, so that the mean "
                "over a subset is no estimate of the mean over all. Leave out `num_examples`."
            )
        key = (num_examples, seed)
        if key not in self._subsets:
            self._subsets.clear()
            train, test = self._splits["train"], self._splits.get("test")
            self._subsets[key] = {"train": train.subset(num_examples, seed)}
            if test is not None:
                self._subsets[key]["test"] = test.subset(min(num_examples, test.num_examples), seed)
        return self._subsets[key]

    @property
    def _sources(self) -> dict[str, Batches]:
        """The data with inputs as the model takes them."""
        return self._splits

    def _standing(self, theta: Any) -> Tensor:
        """Finite weights; the problem's own for None."""
        at = self._network.theta if theta is None else self._vector(torch.as_tensor(theta).detach())
        finite(at, f"{int((~at.isfinite()).sum())} of its {len(at)} weights are")
        return at.to(self.layout.dtype)

    def _vector(self, theta: Any) -> Tensor:
        theta = torch.as_tensor(theta, device=self.device)
        if theta.shape != (self.num_weights,):
            raise ValueError(
                f"The weight vector has shape {tuple(theta.shape)}, but the problem has {self.num_weights} weights. "
                "`problem.theta` has the right shape."
            )
        return theta.to(self.layout.dtype)
