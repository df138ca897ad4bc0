r"""Products of a vector with a curvature matrix of one batch, each a sum over the batch's losses.

With the losses $\ell_i(\theta)$, the outputs $f_i(\theta)$ with Jacobians $J_i$, and the sum $L = \sum_i \ell_i$:

- Hessian $\nabla^2 L\, v$, as the derivative of the gradient along $v$, forward over reverse (Pearlmutter 1994), or
  backward through the gradient's graph;
- Gauss-Newton $\sum_i J_i^\top (\nabla_f^2 \ell_i)\, J_i v$ (Schraudolph 2002), the Fisher matrix too where
  $\nabla_f^2 \ell_i$ does not depend on the target (softmax, sigmoid and Gaussian likelihoods; Martens 2020);
- empirical Fisher $\sum_i g_i g_i^\top v$ with $g_i = \nabla \ell_i$.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad, jvp, vjp

from thalweg.problem.linearized import Apply, Map
from thalweg.problem.network import Network
from thalweg.problem.tree import batch_size


class Drawn(NamedTuple):
    """A batch whose targets were drawn from what the network predicts, each independently of all others."""

    inputs: Any
    targets: Tensor


def total(network: Network) -> Callable[[Tensor, Any], Tensor]:
    """Sum of a batch's losses as a function of weights and batch."""

    def summed(theta: Tensor, batch: Any) -> Tensor:
        value = network.at(theta, batch)["loss"]
        return value.sum() if value.ndim else value * batch_size(batch)

    return summed


def hessian(network: Network) -> Apply:
    """Forward over reverse."""
    slope = grad(total(network))

    def apply(theta: Tensor, batch: Any, v: Tensor) -> Tensor:
        return jvp(lambda t: slope(t, batch), (theta,), (v,))[1]

    return apply


def reverse_hessian(network: Network) -> Apply:
    """Reverse over reverse: as the Hessian is symmetric, pulling `v` back through the gradient is the product."""
    slope = grad(total(network))

    def apply(theta: Tensor, batch: Any, v: Tensor) -> Tensor:
        return vjp(lambda t: slope(t, batch), theta)[1](v)[0]

    return apply


def differences(network: Network) -> Apply:
    r"""Central differences of gradients, $(g(\theta + hv) - g(\theta - hv)) / 2h$, for operations that have no second
    derivative; $h |v| = \epsilon^{1/3} \max(1, |\theta|)$.
    """
    slope = grad(total(network))

    def apply(theta: Tensor, batch: Any, v: Tensor) -> Tensor:
        length = v.norm()
        if not length > 0:
            return torch.zeros_like(v)
        h = torch.finfo(theta.dtype).eps ** (1 / 3) * float(theta.norm().clamp_min(1.0) / length)
        return (slope(theta + h * v, batch) - slope(theta - h * v, batch)) / (2 * h)

    return apply


def gauss_newton(network: Network) -> Apply:
    """Jacobian, Hessian of the loss in the outputs, transposed Jacobian."""

    def apply(theta: Tensor, batch: Any, v: Tensor) -> Tensor:
        inputs, targets = batch
        outputs, pushed = jvp(lambda t: network.predict(t, inputs), (theta,), (v,))  # type: ignore[misc]
        bent = in_outputs(network, outputs, targets, pushed)
        return vjp(lambda t: network.predict(t, inputs), theta)[1](bent)[0]

    return apply


def in_outputs(network: Network, outputs: Tensor, targets: Any, v: Tensor) -> Tensor:
    """Hessian of the summed loss in the outputs, times `v`."""
    criterion, n = network.head.criteria["loss"], batch_size(targets)

    def loss(values: Tensor) -> Tensor:
        found = criterion(values, targets)
        return found.reshape(n, -1).mean(1).sum() if found.ndim else found * n

    return vjp(grad(loss), outputs)[1](v)[0]  # symmetric; forward mode fails for the mean squared error (torch 2.13)


def empirical_fisher(network: Network) -> Apply:
    """Every example's gradient, times its product with `v`.

    Of an example with $m$ independently drawn targets (tokens, pixels, labels) the loss is the mean, whose gradient has
    $1/m$ of the covariance that the mean of the $m$ Fisher matrices has: hence the factor.
    """

    def apply(theta: Tensor, batch: Any, v: Tensor) -> Tensor:
        def losses(t: Tensor) -> Tensor:
            values = network.at(t, batch)["loss"]
            if values.ndim == 0:
                raise ValueError(
                    "The loss returns the mean over a batch, whose gradient is not that of each example: there is no "
                    "empirical or sampled Fisher matrix. Use a criterion that returns one value per example."
                )
            return values

        along = jvp(losses, (theta,), (v,))[1]
        product = vjp(losses, theta)[1](along)[0]
        return product * batch.targets[0].numel() if isinstance(batch, Drawn) else product

    return apply


def kept_graph(network: Network, theta: Tensor, batch: Any) -> tuple[Map, int]:
    """The gradient with its graph, through which each vector is pulled back; and the bytes that the graph holds."""
    leaf = theta.detach().clone().requires_grad_(True)
    held: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold the graph that holds it, for good

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = total(network)(leaf, batch)
        slope = torch.autograd.grad(value, leaf, create_graph=True)[0] if value.requires_grad else leaf.detach()
    if not slope.requires_grad:
        raise Straight
    need_second_derivatives(slope)

    def at(v: Tensor) -> Tensor:
        return torch.autograd.grad(slope, leaf, v, retain_graph=True, materialize_grads=True)[0]

    return at, sum(held.values())


def need_second_derivatives(slope: Tensor) -> None:
    """Refuse a gradient through an operation that is differentiable once: torch would leave its part out in silence."""
    waiting, seen = [slope.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if "DelayedError" in node.name():
            raise OnceDifferentiable
        waiting.extend(after for after, _ in node.next_functions)


class OnceDifferentiable(NotImplementedError):
    """An operation of the network has no second derivative (`torch.autograd.function.once_differentiable`)."""

    def __str__(self) -> str:
        return "an operation has no second derivative (once_differentiable)"


class Straight(Exception):
    """The gradient is constant wherever it exists: the loss is piecewise linear in the weights."""
