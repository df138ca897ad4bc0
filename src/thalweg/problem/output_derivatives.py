r"""Derivatives of a network's outputs in its weights: the Jacobian, and products with it (`outputs`)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.problem.examples import examples
from thalweg.problem.network import arithmetic
from thalweg.problem.network_problem import NetworkProblem
from thalweg.problem.outputs import Outputs, Which, which_of
from thalweg.problem.tree import tree_map


class OutputDerivatives(NetworkProblem):
    """The outputs as functions of the weights, and what follows from them."""

    def predict(self, theta: Tensor, inputs: Any) -> Any:
        """The model's outputs on `inputs` at `theta` `(num_weights,)`, differentiable."""
        if self._network.head.step is not None:
            raise TypeError("A problem with `step=` has no inputs and outputs of its own; call the model instead.")
        theta = self._vector(theta)
        inputs = tree_map(lambda leaf: leaf.to(self.device), inputs)
        with arithmetic(self._network.precision, self.device):
            self._objective.recalibrate(theta)
            return self._network.predict(theta.clone(), inputs)

    def outputs(self, inputs: Any = None, outputs: Which = "all", *, targets: Any = None) -> Outputs:
        """The network's outputs on some inputs as a vector-valued function of the weights; see `jacobian`.

        Raises
        ------
        ValueError, TypeError
            A problem with `step=`, statistics that depend on the weights or on the batch, inputs of the wrong shape,
            outputs that have no gradient.
        """
        outputs = which_of(outputs)
        given = not (inputs is None or isinstance(inputs, str)) or targets is not None
        key = (inputs or "train", outputs) if not given else None
        if key is None or key not in self._outputs:
            found = self._new_outputs(inputs, outputs, targets)
            if key is None:
                return found
            self._outputs[key] = found
        return self._outputs[key]

    def jacobian(self, theta: Any = None, inputs: Any = None, outputs: Which = "all", *, targets: Any = None) -> Tensor:
        r"""Jacobian of the outputs in the weights, $J_{(i,a),w} = \partial f_a(\theta; x_i) / \partial \theta_w$.

        Parameters
        ----------
        theta
            Where; `problem.theta` by default.
        inputs
            The training data by default; `"test"`, or inputs as the network takes them.
        outputs
            `"all"` $c$ of them, one by its number, their `"sum"`, or each example's `"loss"`.
        targets
            Of inputs that are given, where they are needed for the loss.

        Returns
        -------
        Tensor
            `(rows, num_weights)`, example by example: row $ic + a$ is output $a$ of example $i$.

        Raises
        ------
        Diverged
            If it is not finite.
        ValueError, TypeError
            As `outputs`.

        Notes
        -----
        One forward and $c$ backward passes over the examples, and as many numbers as it has entries. Networks of linear
        and convolutional layers are differentiated layer by layer, others example by example.

        Examples
        --------
        >>> from thalweg import ModuleProblem
        >>> line = torch.nn.Linear(2, 1).double()
        >>> x = torch.tensor([[1.0, 0.0], [3.0, 2.0]], dtype=torch.float64)
        >>> problem = ModuleProblem(line, (x, torch.ones(2, 1, dtype=torch.float64)), loss=torch.nn.functional.mse_loss)
        >>> problem.jacobian()
        tensor([[1., 0., 1.],
                [3., 2., 1.]], dtype=torch.float64)
        """
        return self.outputs(inputs, outputs, targets=targets).jacobian(self._standing(theta))

    def jvp(self, theta: Any, v: Tensor, inputs: Any = None, outputs: Which = "all", *, targets: Any = None) -> Tensor:
        """`J v`, `(..., num_weights) -> (..., rows)`, by forward mode; see `jacobian`, which is not formed."""
        v = torch.as_tensor(v, device=self.device).to(self.layout.dtype)
        if v.ndim == 0 or v.shape[-1] != self.num_weights:
            raise ValueError(f"v has shape {tuple(v.shape)}; expected (..., {self.num_weights}), one entry a weight.")
        return self.outputs(inputs, outputs, targets=targets).jvp(self._standing(theta), v)

    def vjp(self, theta: Any, u: Tensor, inputs: Any = None, outputs: Which = "all", *, targets: Any = None) -> Tensor:
        """`J^T u`, `(..., rows) -> (..., num_weights)`, by a backward pass; see `jacobian`, which is not formed."""
        found = self.outputs(inputs, outputs, targets=targets)
        u = torch.as_tensor(u, device=self.device).to(self.layout.dtype)
        if u.ndim == 0 or u.shape[-1] != found.num_rows:
            raise ValueError(
                f"u has shape {tuple(u.shape)}; expected (..., {found.num_rows}), one entry for each of "
                f"{found.num_examples} examples and {found.per_example} outputs."
            )
        return found.vjp(self._standing(theta), u)

    # --- inside ---

    def _new_outputs(self, inputs: Any, outputs: Which, targets: Any) -> Outputs:
        if self._network.head.step is not None:
            raise TypeError("A problem with `step=` has losses and no outputs of its own to differentiate.")
        if self._network.recalibrates or not self._recut:
            raise ValueError(
                "What the network returns for an example depends on which others share its batch (or on statistics of "
                'all data), so that an example has no row of its own. Use batch_norm="running" and running statistics.'
            )
        found = examples(self._sources, self._network, inputs, targets)
        if found.words != "given":
            return Outputs(self._network, found, outputs)
        if outputs == "loss" and targets is None:
            raise ValueError('outputs="loss" of given inputs needs `targets`.')
        return Outputs(self._network, found, outputs, self.outputs().shape if outputs != "loss" else None)
