"""What the checks share: seeded evaluation, comparison, and words for shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.problem.network import Network
from thalweg.problem.tree import leaves


def seeded(network: Network, batch: Any, seed: int) -> dict[str, Tensor]:
    """Values where the network stands, with torch's generators seeded, and left as they were."""
    return drawn(network, batch, seed)[0]


def drawn(network: Network, batch: Any, seed: int) -> tuple[dict[str, Tensor], bool]:
    """As `seeded`, and whether the forward pass drew from torch's generators."""
    devices = [network.device] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        before = _generators(network.device)
        values = {name: value[0] for name, value in network(batch).items()}
        after = _generators(network.device)
    return values, any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def tolerance(network: Network) -> float:
    """How far rounding may part two ways to the same value, relative to the scale of the values."""
    if network.precision in ("bf16", "tf32") or any(b.dtype.itemsize < 4 for b in network.layout.blocks):
        return 0.05
    return 1e-3 if any(b.dtype.itemsize < 8 for b in network.layout.blocks) else 1e-8


def differ(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether values differ by more than `tolerance` of the largest; equal infinities and nans do not."""
    if a.shape != b.shape:
        return True
    a, b = a.double(), b.double()
    finite = a.isfinite() & b.isfinite()
    if not torch.equal(a[~finite].nan_to_num(0.5), b[~finite].nan_to_num(0.5)):
        return True
    a, b = a[finite], b[finite]
    return bool(a.numel()) and float((a - b).abs().max()) > tolerance * float(torch.maximum(a.abs(), b.abs()).max())


def mean(value: Tensor) -> float:
    """As a number for a message."""
    return float(value.double().mean())


def describe(tree: Any) -> str:
    """Dtypes and shapes, as `float32[23, 4]`."""
    parts = [f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" for t in leaves(tree)]
    return ", ".join(parts) or type(tree).__name__


def _generators(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states
