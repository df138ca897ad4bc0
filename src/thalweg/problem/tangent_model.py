r"""The linearised network as a problem of its own: to first order around $\theta_0$, outputs are linear in the weights.

$$ f_{\mathrm{lin}}(\theta; x) = f(\theta_0; x) + J(x)\,(\theta - \theta_0). $$

Everything that takes a problem takes this one: losses, surfaces, curvature, descent. Trained on the squared loss it has
a closed form. Of data whose Jacobian fits in memory the outputs are one matrix product; else, and for other inputs,
each evaluation is a forward pass with its directional derivative.

Reference: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572; Lee et al. (2019), arXiv:1902.06720, equations 6 to 10.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp

from thalweg.problem.calling import call
from thalweg.problem.data import Batches
from thalweg.problem.examples import Examples
from thalweg.problem.grad import forward_mode
from thalweg.problem.identity import free_memory
from thalweg.problem.module import ModuleProblem
from thalweg.problem.outputs import Outputs, finite
from thalweg.weights import Layout

_STORED = 2**29
_PIECE = 1024
_DENSE = 6000  # rows or weights up to which a Gram matrix is decomposed


class Known(NamedTuple):
    """Inputs of which outputs `(n, ...)` and Jacobian `(n, c, num_weights)` at θ₀ are kept."""

    outputs: Tensor
    rows: Tensor


class LinearizedProblem(ModuleProblem):
    r"""A network's problem with its outputs replaced by their linearisation in the weights.

    Parameters
    ----------
    problem
        The network's problem; loss, metrics and data are its own.
    theta
        $\theta_0$, `(num_weights,)`; `problem.theta` by default. The linearised problem stands there.
    memory
        Bytes that Jacobians of the data may take; by default an eighth of what is free, at most 512 MiB. Beyond,
        nothing is stored and evaluations take longer.

    Attributes
    ----------
    origin
        $\theta_0$.
    stored
        Whether the Jacobians are kept.

    Raises
    ------
    Diverged
        Weights, outputs or derivatives at $\theta_0$ that are not finite.
    ValueError, TypeError
        As `ModuleProblem.outputs`.

    Examples
    --------
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> train = sines_data(100).train
    >>> problem = ModuleProblem(mlp([20]), train, loss=nn.functional.mse_loss)
    >>> linear = LinearizedProblem(problem)
    >>> at = problem.theta
    >>> bool(torch.isclose(linear.loss(at), problem.loss(at)))
    True
    >>> bool(linear.loss(linear.minimum()) < problem.loss(at) / 3)
    True
    """

    def __init__(self, problem: ModuleProblem, theta: Any = None, *, memory: int | None = None) -> None:
        standing = problem.at(problem._standing(theta))  # of its own: a problem's module stands where it last measured
        self.origin = standing._standing(None)
        self._own = standing._sources
        found = {split: standing.outputs(split) for split in self._own}
        for one in found.values():
            finite(one.values(self.origin), "its outputs are")
        limit = min(free_memory(problem.device) // 8, _STORED) if memory is None else memory
        needed = sum(o.num_rows for o in found.values()) * len(self.origin) * self.origin.element_size()
        self.stored = needed <= limit
        data = {split: _known(o, self.origin) if self.stored else _Again(o.examples) for split, o in found.items()}
        if self.stored and not any(bool(known.rows.any()) for known, _ in data["train"]):
            raise ValueError(
                "No output on the training data changes with any weight, to first order: the Jacobian is zero (are all "
                "units of a layer dead?), and the linearised model is a constant that cannot be trained."
            )
        criteria = dict(standing._criteria)
        super().__init__(
            _tangent(standing._network.head.model, standing.layout),
            data["train"],
            loss=criteria.pop("loss"),
            metrics=criteria,
            test_data=data.get("test"),
            device=problem.device,
            precision=standing._network.precision,
            compile=False,
        )

    def minimum(self, ridge: float = 0.0) -> Tensor:
        r"""The weights of least squared loss, of all such those nearest to $\theta_0$: where descent from there ends.

        With the rest $r = f(\theta_0) - y$ and $N$ examples, $\theta = \theta_0 - J^\top (J J^\top + \rho)^+ r$, where
        $\rho = N$ `ridge` for a loss of $\lVert r_i \rVert^2$ for each example.

        Parameters
        ----------
        ridge
            Weight of a penalty $\lVert \theta - \theta_0 \rVert^2$ that is added to the mean loss.

        Raises
        ------
        ValueError
            A loss that is no squared error; more than 6,000 outputs and as many weights.
        """
        if not ridge >= 0:
            raise ValueError(f"ridge={ridge}; a penalty is 0 or more.")
        share = ridge * self.num_examples / self._slope()

        def inverted(values: np.ndarray) -> np.ndarray:
            cut = values.max(initial=0.0) * 1e-12 * len(values) if ridge == 0 else 0.0
            return np.where(values > cut, 1 / np.maximum(values + share, 1e-300), 0.0)

        return self._closed(inverted)

    def after(self, steps: int, learning_rate: float) -> Tensor:
        r"""The weights after so many steps of gradient descent from $\theta_0$ on the squared loss, in closed form.

        In the kernel's eigenvectors each component of the rest shrinks by $1 - 2 \eta \lambda / N$ a step.

        Parameters
        ----------
        steps
            Steps of plain gradient descent on all data.
        learning_rate
            $\eta$. Above $N / \lambda_{\max}$ descent diverges, and so do these weights.

        Raises
        ------
        ValueError
            Steps that are no whole number from 0, a learning rate that is negative or not finite; else as `minimum`.
        """
        if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
            raise ValueError(f"steps={steps!r}; expected a whole number from 0.")
        if not (isinstance(learning_rate, (int, float, np.number)) and 0 <= float(learning_rate) < math.inf):
            raise ValueError(f"learning_rate={learning_rate!r}; expected a finite number from 0.")
        rate = 2 * learning_rate * self._slope() / self.num_examples

        def so_far(values: np.ndarray) -> np.ndarray:
            values = np.maximum(values, 0.0)
            shrunk = rate * values
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                # 1 - (1 - s)^t without cancellation, where s is small
                done = np.where(shrunk < 0.5, -np.expm1(steps * np.log1p(-shrunk)), 1 - (1 - shrunk) ** steps)
                return np.where(shrunk > 1e-14, done / values, rate * steps)

        return self._closed(so_far)

    # --- inside ---

    @property
    def _sources(self) -> dict[str, Batches]:
        return self._own

    def _slope(self) -> float:
        """κ, where the loss of an example is κ times the sum of its squared errors."""
        outputs = self.outputs()
        _, targets = next(outputs.examples.pieces(8))
        if not isinstance(targets, Tensor) or not targets.is_floating_point():
            raise ValueError("The closed form is that of a squared error, and the targets are no numbers.")
        if tuple(targets.shape[1:]) != outputs.shape:
            raise ValueError(
                f"The closed form needs targets shaped as the outputs, {outputs.shape}; they are "
                f"{tuple(targets.shape[1:])}."
            )
        draw = torch.Generator().manual_seed(0)
        guess = targets + torch.randn(targets.shape, generator=draw).to(targets)
        criterion = self._network.head.criteria["loss"]  # of each example, as it may know means only
        losses = torch.stack([criterion(guess[i : i + 1], targets[i : i + 1]).mean() for i in range(len(targets))])
        ratio = losses / ((guess - targets) ** 2).reshape(len(targets), -1).sum(1)
        if not torch.allclose(ratio, ratio[:1].expand_as(ratio), rtol=1e-3) or not float(ratio[0]) > 0:
            raise ValueError(
                "The loss is no squared error, and training has no closed form. Train by `descend(linear, ...)`."
            )
        return float(ratio[0])

    def _closed(self, function: Callable[[np.ndarray], np.ndarray]) -> Tensor:
        r"""$\theta_0 - J^\top p(J J^\top) r$, or $\theta_0 - p(J^\top J) J^\top r$, whichever matrix is smaller."""
        rest, rows = self._rest(), self._rows
        n, m = len(rest), self.num_weights
        if min(n, m) > _DENSE:
            raise ValueError(
                f"The closed form needs the eigenvalues of a matrix of {min(n, m):,} rows; at most {_DENSE:,} are "
                "taken. Train by `descend(linear, ...)`, or take fewer examples."
            )
        if n <= m:
            jacobian = torch.cat(list(rows()))
            values, vectors = torch.linalg.eigh(_product(jacobian, jacobian))
            found = vectors @ (self._weights(function, values) * (vectors.T @ rest))
            step = found.to(jacobian) @ jacobian
        else:
            gram = torch.zeros(m, m, dtype=torch.float64, device=rest.device)
            pulled, start = torch.zeros(m, dtype=torch.float64, device=rest.device), 0
            for block in rows():
                gram += _product(block.T, block.T)
                pulled += block.double().T @ rest[start : start + len(block)]
                start += len(block)
            values, vectors = torch.linalg.eigh(gram)
            step = vectors @ (self._weights(function, values) * (vectors.T @ pulled))
        return self.origin - step.to(self.origin)

    @staticmethod
    def _weights(function: Callable[[np.ndarray], np.ndarray], values: Tensor) -> Tensor:
        return torch.as_tensor(function(values.cpu().numpy()), device=values.device)

    def _rows(self) -> Iterator[Tensor]:
        """The Jacobian of the training data, in pieces."""
        if self.stored:
            for known, _ in self._splits["train"].iterate():
                yield known.rows.flatten(0, 1)
        else:
            yield from (block for _, block in self.outputs().blocks(self.origin, 2**27))

    def _rest(self) -> Tensor:
        """`f(θ₀) - y`, `(rows,)`, float64."""
        outputs = self.outputs()
        targets = torch.cat([targets.reshape(-1) for _, targets in outputs.examples.pieces(_PIECE)])
        found = outputs.values(self.origin)
        finite(found, "its outputs are")
        return found.double() - targets.to(found.device).double()


def _product(a: Tensor, b: Tensor) -> Tensor:
    """`a b^T` in float64."""
    return a.double() @ b.double().T


def _known(outputs: Outputs, theta: Tensor) -> list[tuple[Known, Any]]:
    """The data with what is needed of their inputs, in batches."""
    values, rows = [], []
    for value, block in outputs.blocks(theta):
        values.append(value)
        rows.append(block)
    shape = (outputs.num_examples, *outputs.shape)
    joined = rows[0] if len(rows) == 1 else torch.cat(rows)
    known = Known(torch.cat(values).reshape(shape), joined.reshape(shape[0], outputs.per_example, -1))
    batches, start = [], 0
    for _, targets in outputs.examples.pieces(_PIECE):
        end = start + len(targets)
        batches.append((Known(known.outputs[start:end], known.rows[start:end]), targets))
        start = end
    return batches


class _Again:
    """The batches of some examples, as often as they are asked for."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Any]:
        source = self.examples._source
        assert isinstance(source, Batches)
        yield from source.iterate()


def _tangent(model: nn.Module, layout: Layout) -> nn.Module:
    """A copy of `model` that is called like it, has its parameters, and returns what its linearisation does.

    It is of a class made for it, so that layers, names and places of the parameters stay what they are.
    """
    twin = copy.deepcopy(model)
    names = [block.name for block in layout.blocks]
    named = dict(twin.named_parameters())
    origin = {name: named[name].detach() for name in names}
    start = layout.flatten(origin)

    def forward(self: nn.Module, inputs: Any) -> Tensor:
        here = dict(self.named_parameters())
        if isinstance(inputs, Known):
            moved = layout.flatten({name: here[name] for name in names}) - start.to(inputs.rows)
            pushed = inputs.rows.flatten(0, 1) @ moved.to(inputs.rows)
            return inputs.outputs + pushed.reshape(inputs.outputs.shape)
        deltas = {name: here[name] - origin[name] for name in names}
        with forward_mode():
            value, pushed, *_ = jvp(lambda p: call(twin, p, inputs), (origin,), (deltas,))
        return value + pushed

    kind = type(model)
    moved = copy.deepcopy(model)
    moved.__class__ = type(f"Linearized{kind.__name__}", (kind,), {"forward": forward, "__module__": kind.__module__})
    return moved
