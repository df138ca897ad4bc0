"""Do the same weights always give the same loss, and other weights another one?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from thalweg.problem.checks.values import differ, drawn, mean, seeded, tolerance
from thalweg.problem.data import Batches
from thalweg.problem.examples import Diverged
from thalweg.problem.network import Network

_SEEDS = 32
_FEW = 16
_STEPS = (0.1, 1e-3, 1.0, 10.0, 10.0)


def state(network: Network) -> dict[str, Tensor]:
    """Copies of the floating-point buffers; integer ones only count."""
    return {n: b.clone() for n, b in network.head.model.named_buffers() if b.is_floating_point()}


def unmoved(network: Network, before: dict[str, Tensor]) -> None:
    """Refuse a forward pass that changes the network's own state: the loss would depend on the points before."""
    after = dict(network.head.model.named_buffers())
    for name, value in before.items():
        now = after.get(name)
        if now is not None and now.shape == value.shape and not torch.equal(now.nan_to_num(), value.nan_to_num()):
            raise ValueError(
                f"The forward pass changes the buffer `{name}` (a layer in training mode?), so that the loss at some "
                "weights depends on the weights visited before. Call `model.eval()` before making the problem."
            )


def listens(network: Network, batch: Any) -> None:
    """Refuse a loss that no step away from the weights changes; leave the network a step away, where losses are finite.

    There, and not at the weights themselves, the further checks look: at a perfect fit a sum is like a mean, and a last
    layer of zeros hides whatever the layers before it do.
    """
    here = seeded(network, batch, 1)["loss"]
    changed = False
    for seed, size in enumerate(_STEPS):
        network.load(_step(network, size, seed).unsqueeze(0), 1)
        there = seeded(network, batch, 1)["loss"]
        changed |= here.shape != there.shape or not torch.equal(here.nan_to_num(), there.nan_to_num())
        if changed and there.isfinite().all():
            return
    network.load(network.theta.unsqueeze(0), 1)
    if not changed and not here.isfinite().any():
        raise Diverged(
            f"No loss is finite ({here.dtype}), neither at the weights nor near them: the network has diverged, or its "
            'losses are too large for the dtype. Take the weights of an earlier step, or pass precision="float64".'
        )
    if not changed:
        raise ValueError(
            "The loss of no example changes with the weights, however far they move. Does `step` (or `forward`, or the "
            "loss) call a model of your own? thalweg moves the weights of a copy: use the model that is passed to "
            "`step(model, batch)`, and layers found through `self`."
        )


def repeats(network: Network, batch: Any, data: Batches) -> None:
    """Refuse a network that gives two different losses for the same weights.

    Noise shows between two seeds unless it is rare; where the forward pass drew random numbers, many seeds are tried.
    """
    first, drew = drawn(network, batch, 1)
    _same(network, first, seeded(network, batch, 2))
    if not drew:
        return
    few = data.cut(batch, _FEW)
    first = seeded(network, few, 1)
    for seed in range(2, 1 + _SEEDS):
        _same(network, first, seeded(network, few, seed))


def _same(network: Network, first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name, value in first.items():
        if differ(value, second[name], 0.01 * tolerance(network)):
            raise ValueError(
                f"The same weights and batch gave two different values of `{name}` "
                f"({mean(value):.6g} and {mean(second[name]):.6g}). {_culprits(network.head.model)}"
            )


def _step(network: Network, size: float, seed: int) -> Tensor:
    """The weights plus noise of `size` relative to each parameter tensor (and absolute where that is zero)."""
    generator = torch.Generator(network.device).manual_seed(seed)
    theta = network.theta
    noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype, device=theta.device)
    for block in network.layout.blocks:
        scale = theta[block.slice].square().mean().sqrt()
        noise[block.slice] *= torch.where(scale > 0, scale, torch.ones_like(scale))
    return theta + size * noise


def _culprits(model: nn.Module) -> str:
    """Name what is random: layers in training mode that draw numbers."""
    dropping = [f"`{n}` ({type(m).__name__})" for n, m in model.named_modules() if m.training and _is_random(m)]
    if dropping:
        return f"In training mode: {', '.join(dropping[:4])}. Call `model.eval()` before making the problem."
    if model.training:
        return "The model is in training mode. Call `model.eval()` before making the problem."
    return "Its forward pass draws random numbers even in evaluation mode; switch that off, or seed it inside forward."


def _is_random(module: nn.Module) -> bool:
    rate = getattr(module, "dropout", 0.0)
    return "Drop" in type(module).__name__ or (isinstance(rate, float) and rate > 0)
