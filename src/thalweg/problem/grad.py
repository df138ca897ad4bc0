"""Where gradients are taken: whatever mode the caller is in."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


@cache
def load_forward_rules() -> None:
    """Import what torch loads at the first forward derivative, which warns that it uses a deprecated part of torch."""
    with warnings.catch_warnings(action="ignore"), suppress(ImportError):
        importlib.import_module("torch._decomp.decompositions_for_jvp")


@contextmanager
def forward_mode() -> Iterator[None]:
    """Attention by kernels that have forward derivatives, which the fast ones for inference have not."""
    load_forward_rules()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def differentiating() -> Iterator[None]:
    """Record operations also within `torch.no_grad()` and `torch.inference_mode()`.

    Examples
    --------
    >>> with torch.inference_mode(), differentiating():
    ...     x = variable(torch.tensor(3.0))
    ...     torch.autograd.grad(x**2, x)[0]
    tensor(6.)
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield


def variable(value: Tensor) -> Tensor:
    """A leaf of the graph with the same numbers; a tensor made in inference mode is copied, as none can be one."""
    leaf = value.detach()
    return (leaf.clone() if leaf.is_inference() else leaf).requires_grad_(True)


def normal(value: Tensor) -> Tensor:
    """The same numbers, in a tensor that a graph may keep."""
    return value.clone() if value.is_inference() else value
