r"""The mean loss over the data and its derivatives, as functions of one weight vector.

Totals over batches are divided by the number of losses in a pass, in this one place:
$L = \frac1N \sum_i \ell_i$, $\nabla L = \frac1N \sum_i \nabla \ell_i$, $\nabla^2 L\,v = \frac1N \sum_i \nabla^2
\ell_i\,v$.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.problem import products
from thalweg.problem.curvature import Curvature
from thalweg.problem.data import Batches
from thalweg.problem.grad import differentiating, normal, variable
from thalweg.problem.likelihood import need_free_of_targets, need_outputs, sampled
from thalweg.problem.network import Network
from thalweg.problem.selection import Selection
from thalweg.problem.tree import batch_size
from thalweg.problem.tree import batch_size as batch_size_of
from thalweg.problem.workshop import Workshop

_SIZES = (128, 512, 2048)  # examples at a time that are tried for curvature products


class Objective:
    """A network's loss over batches; with recalibrated statistics it has values and no derivatives."""

    def __init__(self, network: Network, data: Batches) -> None:
        self.network, self.data = network, data
        self._count: int | None = data.num_examples if network.head.step is None else None

    def moved(self, network: Network) -> Objective:
        """The same over another network of the same kind."""
        other = Objective(network, self.data)
        other._count = self._count
        return other

    def loss(self, theta: Tensor) -> Tensor:
        """Mean loss, differentiable."""
        self.recalibrate(theta)
        return torch.stack([self._total(theta, batch) for batch in self.data.iterate()]).sum() / self.count()

    def losses(self, theta: Tensor) -> Tensor:
        """Per-example losses, differentiable."""
        self.recalibrate(theta)
        return torch.cat([self._values(theta, batch) for batch in self.data.iterate()])

    def gradient(self, theta: Tensor) -> Tensor:
        """One forward and backward pass, with the graph of one batch at a time."""
        self._differentiable()
        with differentiating():
            theta = variable(theta)
            total = torch.zeros_like(theta)
            for batch in self.data.iterate():
                loss = self._total(theta, batch)
                if loss.requires_grad:  # else a loss of this batch that no weight changes smoothly (counts, signs)
                    total += torch.autograd.grad(loss, theta)[0]
        return total / self.count()

    def value_and_gradient(self, thetas: Tensor, examples: Tensor | None, points_at_once: int) -> tuple[Tensor, Tensor]:
        """Mean loss and gradient at several weight vectors `(k, num_weights)`, `points_at_once` of them by `vmap`."""
        self._differentiable()
        batches = self.data.iterate() if examples is None else iter([self.data.some(examples)])
        count = size = 0
        with differentiating():
            thetas = normal(thetas)
            value = torch.zeros(len(thetas), dtype=torch.float64, device=thetas.device)
            slope = torch.zeros_like(thetas)
            for batch in batches:
                for start in range(0, len(thetas), points_at_once):
                    rows = slice(start, min(start + points_at_once, len(thetas)))
                    gradient, (total, size) = self._totals(thetas[rows].detach(), batch, points_at_once)
                    value[rows] += total.double()
                    slope[rows] += gradient
                count += size
        return value / max(count, 1), slope / max(count, 1)

    def _totals(self, thetas: Tensor, batch: Any, points_at_once: int) -> tuple[Tensor, tuple[Tensor, int]]:
        """Gradients of the losses summed over a batch, these sums, and the number of losses in each."""
        size = 0

        def total(theta: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal size
            value = self.network.at(theta, batch)["loss"]
            size = value.numel() if value.ndim else batch_size(batch)
            summed = value.sum() if value.ndim else value * size
            return summed, summed

        both = torch.func.grad(total, has_aux=True)
        if points_at_once == 1:
            gradient, summed = both(thetas[0])
            return gradient, (summed, size)
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", message="There is a performance drop")
            gradient, summed = torch.func.vmap(both)(thetas)
        return gradient, (summed, size)

    def hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        """By double backward, one batch's graph at a time; attention by the kernel that has second derivatives."""
        self._differentiable()
        _no_weight_norm(self.network.head.model)
        with differentiating(), sdpa_kernel(SDPBackend.MATH):
            theta, v = variable(theta), normal(v)
            product = torch.zeros_like(theta)
            for batch in self.data.iterate():
                loss = self._total(theta, batch)
                if not loss.requires_grad:
                    continue
                (g,) = torch.autograd.grad(loss, theta, create_graph=True)
                products.need_second_derivatives(g)
                if g.requires_grad:  # a piecewise linear loss has a constant gradient, without a graph
                    product += torch.autograd.grad((g * v).sum(), theta, materialize_grads=True)[0]
        return product / self.count()

    def without_metrics(self) -> Objective:
        """The same with nothing but the loss: metrics need no derivatives."""
        return self.moved(self.network.only_loss())

    def recalibrate(self, theta: Tensor) -> None:
        """Stand at `theta` with batch-norm statistics of its own, where the problem asks for these."""
        if not self.network.recalibrates:
            return
        if theta.requires_grad and torch.is_grad_enabled():
            self._differentiable()
        with torch.no_grad():
            self.network.load(theta.unsqueeze(0), 1)
            self.network.recalibrate(self.data.mixed())

    def count(self) -> int:
        """What a mean divides by: the number of losses in a pass (a step may return one per token)."""
        if self._count is None:
            with torch.no_grad():
                theta = self.network.theta
                values = [(self.network.at(theta, batch)["loss"], batch) for batch in self.data.iterate()]
            self._count = sum(value.numel() if value.ndim else batch_size(batch) for value, batch in values)
        return self._count

    def _differentiable(self) -> None:
        if self.network.recalibrates:
            raise ValueError(
                'A loss with batch_norm="recalibrate" has no gradient here, because the statistics depend on the '
                'weights. Make the problem with batch_norm="running" for gradients.'
            )

    def _total(self, theta: Tensor, batch: Any) -> Tensor:
        value = self.network.at(theta, batch)["loss"]
        return value.sum() if value.ndim else value * batch_size(batch)

    def _values(self, theta: Tensor, batch: Any) -> Tensor:
        value = self.network.at(theta, batch)["loss"]
        if value.ndim == 0:
            raise ValueError("The loss returns the mean over a batch; for per-example losses return one value each.")
        return value


def module_curvature(
    objective: Objective,
    data: Batches,
    theta: Tensor,
    matrix: str,
    selection: Selection,
    *,
    recut: bool,
    batch_size: int | None,
    seed: int,
    method: str,
    memory: int,
    expected: int,
) -> Curvature:
    """A curvature matrix of a network's mean loss over `data`."""
    objective._differentiable()
    network, keep = objective.network, None
    if matrix == "hessian":
        _no_weight_norm(network.head.model)
        ways = {
            "forward over reverse": products.hessian(network),
            "reverse over reverse": products.reverse_hessian(network),
            "differences": products.differences(network),
        }
        keep = partial(products.kept_graph, network)
    elif matrix in ("ggn", "fisher"):
        need_outputs(network, matrix)
        ways = {"forward over reverse": products.gauss_newton(network)}
    else:
        ways = {"forward over reverse": products.empirical_fisher(network)}

    def batches(size: int | None = None) -> Iterator[Any]:
        passing = data.iterate(size if data.joined and recut else None)
        if matrix != "fisher_sampled":
            return passing
        generator = torch.Generator().manual_seed(int(seed))
        return (sampled(network, theta, batch, generator) for batch in passing)

    if matrix == "fisher":
        for batch in batches():
            need_free_of_targets(network, theta, batch)
    if matrix == "fisher_sampled":
        need_outputs(network, matrix)

    def sample(most: int) -> tuple[Any, float]:
        batch = next(batches(most))
        batch = data.cut(batch, most) if recut else batch
        return batch, batch_size_of(batch) / data.num_examples

    sizes = [batch_size] if batch_size is not None else [s for s in _SIZES if s < data.num_examples]
    workshop = Workshop(
        ways,
        keep,
        torch.func.grad(products.total(network)),
        batches,
        sample,
        sizes=(sizes or [data.num_examples]) if recut and data.joined else [0],
        method=method,
        memory=memory,
        resident=data.resident,
        expected=expected,
    )
    count = Objective(network, data).count()
    return Curvature(workshop.maps, theta, count, matrix, selection, lambda: workshop.how)


def _no_weight_norm(model: nn.Module) -> None:
    """Refuse weight normalisation: `torch._weight_norm` returns wrong second derivatives (its gradgradcheck fails)."""
    for name, module in model.named_modules():
        hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
        if type(module).__name__ == "_WeightNorm" or "WeightNorm" in hooks:
            raise ValueError(
                f"`{name.split('.parametrizations')[0]}` has weight normalisation, whose second derivatives PyTorch "
                "computes wrongly. Fold it into the weights first "
                "(`torch.nn.utils.parametrize.remove_parametrizations`, or `torch.nn.utils.remove_weight_norm`)."
            )
