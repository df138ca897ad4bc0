r"""Derivatives of a network's loss in its weights: gradients, of every example too, and products with curvature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from thalweg.problem.criterion import one_of
from thalweg.problem.curvature import Curvature, Matrix
from thalweg.problem.derivatives import module_curvature
from thalweg.problem.identity import free_memory
from thalweg.problem.network import arithmetic
from thalweg.problem.network_problem import NetworkProblem
from thalweg.problem.per_example import ExampleGradients
from thalweg.problem.selection import selected
from thalweg.problem.workshop import Method
from thalweg.schema import MATRICES


class LossDerivatives(NetworkProblem, ABC):
    """The mean loss as a function of the weights, and what follows from it."""

    def loss(self, theta: Tensor) -> Tensor:
        r"""Mean training loss, differentiable in `theta`: `(..., num_weights) -> (...)`.

        Cost: one pass over the data for each weight vector; under autograd the graphs of all batches are kept.
        """
        return self._each(theta, self._objective.loss)

    def losses(self, theta: Tensor) -> Tensor:
        """Per-example training losses, `(..., num_weights) -> (..., num_examples)`, differentiable."""
        return self._each(theta, self._objective.losses)

    def gradient(self, theta: Tensor) -> Tensor:
        r"""$\nabla L(\theta)$, `(..., num_weights) -> (..., num_weights)`.

        Cost: one forward and backward pass for each weight vector; memory for the graph of one batch.
        """
        return self._each(theta, self._objective.gradient)

    def value_and_gradient(self, theta: Tensor, examples: Any = None) -> tuple[Tensor, Tensor]:
        r"""Mean training loss `(...)` and its gradient `(..., num_weights)` at many weight vectors.

        Small networks are evaluated many at a time (`vmap`), others one by one, as `plan` found faster. The loss is
        float64, the gradient of the weights' dtype.

        Parameters
        ----------
        theta
            Weight vectors.
        examples
            Numbers of the training examples to take the mean over (a mini-batch); all by default.
        """
        theta = torch.as_tensor(theta, device=self.device)
        if theta.ndim == 0 or theta.shape[-1] != self.num_weights:
            self._vector(theta)
        rows = theta.to(self.layout.dtype, copy=True).reshape(-1, self.num_weights)
        index = None if examples is None else torch.as_tensor(examples)
        if index is not None and not self._recut:
            raise ValueError(
                "An example's loss depends on which others share its batch, so a mini-batch has another loss than its "
                "examples. Leave out `batch_size`, or switch the layer to running statistics."
            )
        at_once = self._points_at_once(len(rows)) if len(rows) > 1 else 1
        with arithmetic(self._network.precision, self.device):
            value, slope = self._objective.value_and_gradient(rows, index, at_once)
        return value.reshape(theta.shape[:-1]), slope.reshape(theta.shape)

    def example_gradients(
        self, theta: Any = None, *, num_examples: int | None = None, seed: int = 0
    ) -> ExampleGradients:
        r"""Gradients $\nabla \ell_i(\theta)$ of every example's own loss, some rows `(k, num_weights)` at a time.

        Parameters
        ----------
        theta
            Where; `problem.theta` by default.
        num_examples, seed
            Of a fixed random subset of the training examples, in the data's order.

        Raises
        ------
        ValueError
            Where an example has no loss of its own: it depends on its batch, or the criterion returns only means.

        Notes
        -----
        Cost: about two gradients over the data for small networks; memory for about 128 MB of rows.

        Examples
        --------
        >>> from thalweg import ModuleProblem
        >>> line = torch.nn.Linear(1, 1, bias=False)
        >>> x = torch.tensor([[1.0], [2.0]])
        >>> problem = ModuleProblem(line, (x, 0 * x), loss=torch.nn.functional.mse_loss)
        >>> torch.cat(list(problem.example_gradients(torch.ones(1))))
        tensor([[2.],
                [8.]])
        """
        if not self._recut or self._network.recalibrates:
            raise ValueError(
                "An example's loss depends on which others share its batch (or on the statistics of all data), so it "
                'has no gradient of its own. Use running statistics: `model.eval()`, batch_norm="running".'
            )
        data = self._used(num_examples, seed)["train"]
        return ExampleGradients(self._network.only_loss(), data, self._vector(self.theta if theta is None else theta))

    def hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        r"""Hessian-vector product $\nabla^2 L(\theta)\, v$ over all training data, `(num_weights,)`.

        By double backward, one batch's graph at a time: about two to three gradients. Models with weight normalisation
        are refused, as PyTorch's second derivatives of it are wrong.
        """
        with arithmetic(self._network.precision, self.device):
            return self._objective.hvp(self._vector(theta), self._vector(v))

    def curvature(
        self,
        matrix: Matrix = "hessian",
        *,
        theta: Any = None,
        parameters: str | Sequence[str] | None = None,
        num_examples: int | None = None,
        seed: int = 0,
        method: Method = "auto",
        batch_size: int | None = None,
        memory: int | None = None,
        expected: int = 30,
    ) -> Curvature:
        r"""A curvature matrix over the training data, set up to be multiplied with many vectors.

        Parameters
        ----------
        matrix
            `"hessian"` $\nabla^2 L$; `"ggn"`, the generalised Gauss-Newton matrix
            $\frac1N \sum_i J_i^\top \nabla_f^2 \ell_i J_i$; `"fisher"`, exact, where it is the Gauss-Newton matrix
            (softmax, sigmoid and Gaussian likelihoods); `"fisher_sampled"`, with one target drawn for each example;
            `"empirical_fisher"` $\frac1N \sum_i g_i g_i^\top$.
        theta
            Where; `problem.theta` by default.
        parameters
            The block of these parameters only: names, layers (`"conv1"`), patterns (`"*.bias"`).
        num_examples, seed
            Over a fixed random subset of the examples; the seed of sampled targets too.
        method
            One of `thalweg.problem.workshop.METHODS`; by default the fastest that is right on the first batch.
        batch_size
            Examples at a time; the data's own batches by default.
        memory
            Bytes for what is kept between products; by default half of what is free.
        expected
            About how many products will be asked for, by which it is judged whether preparations pay.

        Returns
        -------
        Curvature
            `.product(v)`, `.num_weights`, `.how`.

        Examples
        --------
        >>> from thalweg import ModuleProblem
        >>> line = torch.nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
        >>> problem = ModuleProblem(line, (x, torch.ones(2, 1, dtype=torch.float64)), loss=torch.nn.functional.mse_loss)
        >>> problem.curvature().product(torch.tensor([1.0, 0.0], dtype=torch.float64))  # 2 / N sum of x x^T
        tensor([2., 2.], dtype=torch.float64)
        """
        one_of("matrix", matrix, tuple(MATRICES))
        at = self._vector(self._network.theta if theta is None else theta)
        if not torch.isfinite(at).all():
            raise ValueError(f"{int((~at.isfinite()).sum())} of the {len(at)} weights are not finite.")
        data = self._used(num_examples, seed)["train"]
        chosen = selected(self.layout, parameters, self.device)
        with arithmetic(self._network.precision, self.device):
            return module_curvature(
                self._objective.moved(self._network).without_metrics(),
                data,
                at,
                matrix,
                chosen,
                recut=self._recut,
                batch_size=batch_size,
                seed=seed,
                method=method,
                memory=free_memory(self.device) // 2 if memory is None else memory,
                expected=expected,
            )

    def ggn_vp(self, theta: Tensor, v: Tensor) -> Tensor:
        r"""Generalised Gauss-Newton matrix $\frac1N \sum_i J_i^\top \nabla_f^2 \ell_i J_i$ times a vector, or a block.

        Anew at each call: a Jacobian product and its transpose. For many vectors at one place use `curvature("ggn")`.
        """
        return self.curvature("ggn", theta=theta, method="forward over reverse").product(v)

    def fisher_vp(self, theta: Tensor, v: Tensor, kind: Literal["exact", "sampled", "empirical"] = "exact") -> Tensor:
        r"""Fisher information matrix times a vector (or block): exact, with sampled targets, or with the data's own.

        Martens (2020), arXiv:1412.1193; Kunstner et al. (2019), arXiv:1905.12558, on what the empirical one is not.
        """
        one_of("kind", kind, ("exact", "sampled", "empirical"))
        matrix: Matrix = {"exact": "fisher", "sampled": "fisher_sampled", "empirical": "empirical_fisher"}[kind]  # type: ignore[assignment]
        return self.curvature(matrix, theta=theta, method="forward over reverse").product(v)

    # --- inside ---

    def _each(self, theta: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a function of one weight vector to a stack of them."""
        theta = torch.as_tensor(theta, device=self.device)
        if theta.ndim == 0 or theta.shape[-1] != self.num_weights:
            self._vector(theta)
        theta = theta.to(self.layout.dtype, copy=True)  # some layers renormalise their weights in place
        with arithmetic(self._network.precision, self.device):
            if theta.ndim == 1:
                return function(theta)
            rows = theta.reshape(-1, self.num_weights)
            stacked = torch.stack([function(row) for row in rows])
        return stacked.reshape(*theta.shape[:-1], *stacked.shape[1:])

    @abstractmethod
    def _points_at_once(self, num_points: int) -> int:
        """How many weight vectors are evaluated together."""
