"""Some of a network's weights, chosen by the names of parameters."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.weights import Layout


@dataclass(frozen=True)
class Selection:
    """Some of the weights, by their places; all where `index` is None."""

    total: int
    index: Tensor | None
    words: str

    @property
    def size(self) -> int:
        """How many."""
        return self.total if self.index is None else len(self.index)

    def of(self, full: Tensor) -> Tensor:
        """Their entries of `(..., total)`."""
        return full if self.index is None else full[..., self.index]

    def embedded(self, v: Tensor) -> Tensor:
        """`(..., size) -> (..., total)`."""
        if self.index is None:
            return v
        full = v.new_zeros((*v.shape[:-1], self.total))
        full[..., self.index] = v
        return full


def selected(layout: Layout, parameters: str | Sequence[str] | None, device: torch.device) -> Selection:
    """Weights of the parameters with these names: whole names, layers (`conv1`), or patterns (`*.bias`).

    Examples
    --------
    >>> layout = Layout.of(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)))
    >>> selected(layout, "1", torch.device("cpu")).index
    tensor([6, 7, 8])
    >>> selected(layout, ["*.bias"], torch.device("cpu")).words
    '0.bias, 1.bias'
    """
    if parameters is None:
        return Selection(layout.num_weights, None, "all weights")
    wanted = [parameters] if isinstance(parameters, str) else list(parameters)
    names = [block.name for block in layout.blocks]
    meant = {w: [n for n in names if n == w or n.startswith(f"{w}.") or fnmatch.fnmatch(n, w)] for w in wanted}
    for w, found in meant.items():
        if not found:
            raise ValueError(f"No parameter is called {w!r}; there are {', '.join(names)}.")
    if not wanted:
        raise ValueError(f"No parameters were chosen; there are {', '.join(names)}.")
    blocks = [block for block in layout.blocks if any(block.name in found for found in meant.values())]
    places = torch.cat([torch.arange(b.slice.start, b.slice.stop) for b in blocks])
    return Selection(layout.num_weights, places.to(device), ", ".join(block.name for block in blocks))
