"""A module called with other weights than its own, each in every place that it has.

`torch.func.functional_call` puts the weights back one name after the other. Of a module that is registered twice, the
second name then holds what was exchanged, and the module would keep it. Here each module is named once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def places(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every place of every parameter: a shared one in each layer that holds it, a layer registered twice once.

    Examples
    --------
    >>> one, two = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    >>> two.weight = one.weight
    >>> [name for name, _ in places(nn.Sequential(one, one, two))]
    ['0.weight', '2.weight']
    """
    for prefix, layer in module.named_modules():
        for name, parameter in layer.named_parameters(recurse=False, remove_duplicate=False):
            yield f"{prefix}.{name}".lstrip("."), parameter


def call(module: nn.Module, weights: Mapping[str, Tensor], *inputs: Any) -> Any:
    """`module(*inputs)` with these `weights`, by the names of `named_parameters()`; differentiable in them.

    Examples
    --------
    >>> import torch
    >>> line = nn.Linear(1, 1, bias=False)
    >>> call(nn.Sequential(line, line), {"0.weight": torch.tensor([[3.0]])}, torch.ones(1))
    tensor([9.])
    """
    every = list(places(module))
    first = {id(parameter): weights[name] for name, parameter in every if name in weights}
    everywhere = {name: first[id(parameter)] for name, parameter in every if id(parameter) in first}
    return functional_call(module, everywhere, inputs, tie_weights=False)
