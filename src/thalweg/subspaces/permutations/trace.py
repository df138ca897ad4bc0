"""The groups of a network, found by running it once and watching every operation on tensors.

Each tensor has a label for each of its axes (`labels`). At the start the axes of the parameters are unknown and those
of the inputs fixed; each operation ties the labels that it needs alike and gives labels to its results (`rules`).
What is watched are the calls themselves, so that any Python code in `forward` may lie between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from thalweg.subspaces.permutations.labels import Groups, Label, fixed, size_of

Labels = tuple[Label, ...]
Unknown = Literal["refuse", "freeze"]
Rule = Callable[..., Any]

_DECLARE = (
    "Declare the groups yourself: `PermutationSpec.declare(model, {name: (group or None for each axis)})`, with every "
    "parameter and buffer by name."
)
_ASKED = {
    *("size", "dim", "ndimension", "numel", "nelement", "stride", "get_device", "element_size", "item"),
    *("__len__", "__get__", "__bool__", "__int__", "__float__", "__index__", "__hash__", "__repr__", "__format__"),
}


class Trace(TorchFunctionMode):
    """Watches a network's forward pass; afterwards `labels(tensor)` tells what was found of its parameters."""

    def __init__(self, model: nn.Module, rules: Mapping[str, Rule], unknown: Unknown) -> None:
        super().__init__()
        self.groups = Groups()
        self._model, self._rules, self._unknown = model, rules, unknown
        self._known: dict[int, tuple[Tensor, Labels]] = {}
        self._used: set[int] = set()
        self._inside: list[str] = []
        self._own = [*model.parameters(), *model.buffers()]
        kept = set(model.state_dict())
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name in kept and tensor.is_floating_point() and not _is_frozen(tensor):
                self._learn(tensor, tuple(self.groups.fresh(n) for n in tensor.shape))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [self.labels(tensor) for tensor in tensors(args, kwargs)]
        result = func(*args, **kwargs)
        name = _name(func)
        found = list(tensors(result))
        if all(self.groups.is_fixed(label) for labels in given for label in labels):
            self._hold(found)
        elif (found or name not in _ASKED) and not self._followed(name, result, found, args, kwargs):
            self._not_known(name, args, kwargs)
            self._hold(found)
        return result

    def _followed(self, name: str, result: Any, found: list[Tensor], args: Any, kwargs: Any) -> bool:
        """Label the results by the operation's rule; False if there is none for it, or not for such a call."""
        rule = self._rules.get(name)
        if rule is None or kwargs.get("out") is not None:
            return False
        try:
            call = signature(rule).bind(self, result, *args, **kwargs)
        except TypeError:
            return False
        labels = rule(*call.args, **call.kwargs)
        several = labels if isinstance(labels, list) else [labels]
        shapes = [tuple(size_of(label) for label in each or ()) for each in several]
        if labels is None or shapes != [tuple(tensor.shape) for tensor in found]:
            return False
        for tensor, each in zip(found, several, strict=True):
            self._learn(tensor, each)
        return True

    def _not_known(self, name: str, args: Any, kwargs: Any) -> None:
        """An operation without a rule: refused, or everything that it touches stays where it is."""
        if self._unknown == "refuse":
            raise ValueError(
                f"{self._where()} calls `{name}`, and how that moves with permutations of units is not known. "
                f"{_DECLARE} Or hold the units that it touches: `permutation_spec(..., unknown='freeze')`."
            )
        for tensor in tensors(args, kwargs):
            self.freeze(tensor)

    def _hold(self, found: Iterable[Tensor]) -> None:
        for tensor in found:
            self._learn(tensor, tuple(fixed(n) for n in tensor.shape))

    def _learn(self, tensor: Tensor, labels: Labels) -> None:
        self._known[id(tensor)] = (tensor, labels)

    def labels(self, tensor: Tensor) -> Labels:
        """Of each axis of a tensor, as far as is known yet. Constants and inputs are fixed."""
        self._used.add(id(tensor))
        if id(tensor) not in self._known:
            with torch._C.DisableTorchFunction():
                if tensor.grad_fn is not None:
                    raise ValueError(
                        f"{self._where()} computes a tensor of shape {tuple(tensor.shape)} in a way that cannot be "
                        f"watched. {_DECLARE}"
                    )
            self._hold([tensor])
        return tuple(self.groups.resolve(label) for label in self._known[id(tensor)][1])

    def freeze(self, tensor: Tensor) -> None:
        """Nothing along any axis of the tensor may change places."""
        for label in self.labels(tensor):
            self.groups.freeze(label)

    def run(self, forward: Callable[[nn.Module], Any]) -> None:
        """Watch one forward pass; what the network returns, and what it did not use, stays where it is."""
        with self._named(), torch.compiler.set_stance("force_eager"), torch.enable_grad(), self:
            returned = forward(self._model)
        outputs = list(outputs_of(returned))
        if not outputs:
            kind = type(self._model).__name__
            raise ValueError(
                f"No tensor was found in what `{kind}.forward` returns, a {type(returned).__name__}, so that nothing "
                "would hold its outputs where they are. Let it return tensors, in lists, dicts or dataclasses."
            )
        for tensor in outputs:
            self.freeze(tensor)
        for tensor in self._own:
            if id(tensor) not in self._used:
                self.freeze(tensor)

    def _where(self) -> str:
        name = self._inside[-1] if self._inside else ""
        kind = type(self._model.get_submodule(name)).__name__
        return f"The module `{name}` ({kind})" if name else f"`{kind}.forward`"

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Keep track of the module whose forward pass is running; the outputs of the whole stay where they are."""
        handles = []

        def enter(name: str) -> Callable[..., None]:
            return lambda *_: self._inside.append(name)

        def leave(module: nn.Module, _: Any, outputs: Any) -> None:
            self._inside.pop()
            if module is self._model:
                for tensor in outputs_of(outputs):
                    self.freeze(tensor)

        for name, module in self._model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                raise ValueError(f"The module `{name}` is compiled by torch.jit and cannot be watched. {_DECLARE}")
            handles += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def tensors(*trees: Any) -> Iterator[Tensor]:
    """All tensors among arguments or results."""
    for tree in trees:
        if isinstance(tree, Tensor):
            yield tree
        elif isinstance(tree, (list, tuple)):
            yield from tensors(*tree)
        elif isinstance(tree, Mapping):
            yield from tensors(*tree.values())


def outputs_of(returned: Any) -> Iterator[Tensor]:
    """All tensors that a network returns, also as attributes of objects of its own (dataclasses, namespaces)."""
    seen: set[int] = set()

    def within(value: Any) -> Iterator[Tensor]:
        if isinstance(value, Tensor):
            yield value
        elif id(value) not in seen and not isinstance(value, (nn.Module, type)):
            seen.add(id(value))
            for part in _parts(value):
                yield from within(part)

    yield from within(returned)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    yield from getattr(value, "__dict__", {}).values()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(value, name, None)


def _is_frozen(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and not tensor.requires_grad


def _name(func: Any) -> str:
    """The word for an operation: `relu` for `relu_`, `F.relu` and `Tensor.relu`; `T` for the attribute `x.T`."""
    name = str(getattr(func, "__name__", func))
    module = str(getattr(func, "__module__", None) or "torch")
    if not module.startswith("torch") or (module.startswith("torch._ops") and module != "torch._ops.aten"):
        return f"{module}.{name}"
    if name == "__get__":
        attribute = str(getattr(func.__self__, "__name__", name))
        return attribute if attribute in ("T", "mT", "H", "mH", "data", "real") else name
    if name.startswith("__"):
        word = name.strip("_")
        return _DUNDER.get(word, name)
    return name[:-1] if name.endswith("_") else name


_DUNDER = {
    prefix + word: full
    for word, full in {
        **{w: w for w in ("add", "sub", "mul", "pow", "matmul", "eq", "ne", "lt", "le", "gt", "ge", "neg", "abs")},
        **{"truediv": "div", "floordiv": "div", "and": "mul", "or": "mul", "xor": "mul", "invert": "neg"},
    }.items()
    for prefix in ("", "r", "i")
    if prefix + word != "rmatmul"
}
