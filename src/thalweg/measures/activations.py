"""What each layer of a network passes on: mean, spread, and the share of units that are silent.

A layer is a module with a matrix or kernel; forward hooks see its output. Functions that are applied to that very
output next (normalisation, then ReLU, tanh, ...) are followed, as modules or as functions, so that what is measured is
what the layer behind it gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

_FOLLOWED = {
    *("relu", "relu6", "leaky_relu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus"),
    *("softsign", "sigmoid", "hardsigmoid", "logsigmoid", "hardtanh", "hardswish", "tanh", "tanhshrink", "threshold"),
    *(
        "sin",
        "cos",
        "dropout",
        "batch_norm",
        "layer_norm",
        "group_norm",
        "instance_norm",
        "rms_norm",
        "local_response_norm",
    ),
}
_CHANNELS_FIRST = (nn.modules.conv._ConvNd,)


@dataclass(frozen=True)
class Activation:
    """Of one layer: mean and standard deviation over examples and units, the share of dead units, and what it followed.

    A unit (a channel of a convolution) is dead if it is 0 for every example and at every place.
    """

    mean: float
    std: float
    dead: float
    followed: str


def activations(model: nn.Module, forward: Callable[[nn.Module], Any], layers: Sequence[str]) -> dict[str, Activation]:
    """Statistics of what the layers of these names pass on while `forward(model)` runs; of a layer's last call.

    Layers that are not called as modules (their owner uses the weights itself) are missing. The hooks are removed.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> _ = model[0].weight.data.copy_(torch.tensor([[1.0], [-1.0]])), model[0].bias.data.zero_()
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> activations(model, lambda network: network(x), ["0"])
    {'0': Activation(mean=1.0, std=1.2247..., dead=0.5, followed='relu')}
    """
    watch = _Watch({model.get_submodule(name): name for name in layers})
    hooks = [module.register_forward_hook(watch.layer) for module in watch.names]
    try:
        with torch.no_grad(), watch:
            forward(model)
    finally:
        for hook in hooks:
            hook.remove()
    return watch.found


def with_batch_statistics(model: nn.Module) -> nn.Module:
    """The model, from now on normalising by the statistics of each batch, as while it is trained; it keeps none."""
    for layer in model.modules():
        if isinstance(layer, _NormBase) and layer.running_mean is not None:
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
    return model


class _Watch(TorchFunctionMode):
    """Every call of a torch function passes here while it is entered."""

    def __init__(self, names: dict[nn.Module, str]) -> None:
        super().__init__()
        self.names, self.found = names, dict[str, Activation]()
        self._whose: dict[int, tuple[Tensor, nn.Module]] = {}  # tensors are kept, so that no id is used again

    def layer(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        """A layer returned `output`."""
        first = next((x for x in (output if isinstance(output, tuple) else (output,)) if isinstance(x, Tensor)), None)
        if first is not None:
            self._see(module, first, "")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").rstrip("_")
        first = args[0] if args else (kwargs or {}).get("input")
        whose = self._whose.get(id(first)) if isinstance(first, Tensor) else None
        if whose is not None and name in _FOLLOWED and isinstance(result, Tensor):
            module = whose[1]
            before = self.found[self.names[module]].followed
            heard = [before, name] if name != "dropout" else [before]  # which is switched off
            self._see(module, result, ", ".join(word for word in heard if word))
        return result

    def _see(self, module: nn.Module, value: Tensor, followed: str) -> None:
        self._whose[id(value)] = (value, module)
        with torch.no_grad():
            self.found[self.names[module]] = statistics(
                value, 1 if isinstance(module, _CHANNELS_FIRST) else -1, followed
            )


def statistics(value: Tensor, units: int = -1, followed: str = "") -> Activation:
    """Of activations whose dim `units` counts the units."""
    value = value.detach()
    wide = value.double()
    rows = value.movedim(units, 0).flatten(1) if value.ndim > 1 else value.reshape(-1, 1)
    dead = (rows == 0).all(1).double().mean()
    return Activation(float(wide.mean()), float(wide.std(correction=0)), float(dead), followed)
