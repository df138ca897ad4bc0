"""By what a store, or the memory of plans, knows a network: hashes and names."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.problem.data import Batches
from thalweg.problem.network import Network
from thalweg.problem.tree import leaves
from thalweg.weights import Layout


def hash_tensor(*tensors: Tensor) -> str:
    """Short hash of the tensors' bytes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(str((tuple(tensor.shape), tensor.dtype)).encode())
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]


def hash_text(text: str) -> str:
    """Short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def layout_hash(layout: Layout) -> str:
    """Short hash of the parameters' names and shapes: by what a trajectory knows its network."""
    return hash_text(repr([(block.name, tuple(block.shape)) for block in layout.blocks]))


def frozen_state(network: Network) -> str:
    """Hash of what does not move: buffers and frozen parameters, under none of the names of a moved one.

    To be taken when the network is made: evaluation moves some of it (tied names, recalibrated statistics, counters).
    """
    model = network.head.model
    named = dict(model.named_parameters())
    moved = {id(named[block.name]) for block in network.layout.blocks}
    names = {name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in moved}
    still = [value for name, value in model.state_dict().items() if name not in names and isinstance(value, Tensor)]
    return hash_tensor(*still) if still else "none"


def circumstances(network: Network, splits: Mapping[str, Batches]) -> dict[str, Any]:
    """What the speed of a plan depends on: network, data and machine."""
    return {
        "model": str(network.head.model),
        "weights": [(block.name, block.shape, str(block.dtype)) for block in network.layout.blocks],
        "batch": [(tuple(leaf.shape), str(leaf.dtype)) for leaf in leaves(splits["train"].first())],
        "machine": [platform.node(), str(network.device), device_name(network.device), torch.get_num_threads()],
        "torch": torch.__version__,
    }


def device_name(device: torch.device) -> str:
    """The name of a GPU, else of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def device_of(model: nn.Module) -> torch.device:
    """Where a model is."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def free_memory(device: torch.device) -> int:
    """Bytes free on a device, or a guess."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**31
