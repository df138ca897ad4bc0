"""Engine `run`: every operation is written down while the function runs, below autograd, with modules by call."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_modules
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.measures.graph_tape import Done, Tape

_TORCH = Path(torch.__file__).parent
_OURS = Path(__file__).parent
_SILENT = ("lift_fresh", "is_same_size")  # of tensors written as numbers, and of autograd itself


def run(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], names: list[tuple[Any, str]]
) -> tuple[Tape, Any]:
    """The tape of one call, and what it returned; tensors among the inputs have names."""
    tape = Tape()
    tape.inputs(names)
    modules = _Modules(tape, function if isinstance(function, nn.Module) else None)
    mode = _Mode(tape, modules)
    with modules.followed(), custom_functions(mode.custom), mode:
        result = function(*args, **kwargs)
    tape.settle()
    return tape, result


class _Mode(TorchDispatchMode):
    """Sees every operation after autograd has."""

    def __init__(self, tape: Tape, modules: _Modules) -> None:
        super().__init__()
        self._tape, self._modules, self._inside = tape, modules, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._inside or func._schema.name.rpartition("::")[2] in _SILENT:
            return func(*args, **kwargs)
        return self._written_down(func, args, kwargs, lambda: func(*args, **kwargs))

    def custom(self, apply: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A custom `autograd.Function` is one operation, whatever it does inside."""
        if self._inside:
            return apply(*args, **kwargs)

        self._inside += 1
        try:
            return self._written_down(apply, args, kwargs, lambda: apply(*args, **kwargs))
        finally:
            self._inside -= 1

    def _written_down(self, function: Any, args: Any, kwargs: Any, do: Callable[[], Any]) -> Any:
        self._tape.settle()
        done = Done(function, args, kwargs)
        result = do()
        self._tape.operation(done, result, module=self._modules.here, source=_source())
        return result


class _Modules:
    """Which call of which module is running."""

    def __init__(self, tape: Tape, root: nn.Module | None) -> None:
        self._tape, self._root = tape, root
        self._stack: list[tuple[nn.Module, int, str]] = []
        self._calls: dict[tuple[int, str], int] = {}
        self._thread = threading.get_ident()

    @property
    def here(self) -> int:
        return self._stack[-1][1] if self._stack else -1

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow the calls of all modules of this thread."""
        hooks = [
            torch_modules.register_module_forward_pre_hook(self._enter),
            torch_modules.register_module_forward_hook(self._leave, always_call=True),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, _: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        if not self._stack and module is self._root:
            self._stack.append((module, -1, ""))
            self._named(module, "")
            return
        parent, number, above = self._stack[-1] if self._stack else (None, -1, "")
        inside = {id(child): name for name, child in parent.named_modules()} if parent is not None else {}
        path = ".".join(filter(None, (above, inside.get(id(module), "") or type(module).__name__)))
        times = self._calls[number, path] = self._calls.get((number, path), 0) + 1
        parameters = sum(p.numel() for p in module.parameters())
        self._stack.append((module, self._tape.call(number, path, times, type(module).__name__, parameters), path))
        self._named(module, path)

    def _leave(self, module: nn.Module, *_: Any) -> None:
        if threading.get_ident() == self._thread and self._stack and self._stack[-1][0] is module:
            self._stack.pop()

    def _named(self, module: nn.Module, path: str) -> None:
        for role, tensors in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
            for name, tensor in tensors:
                self._tape.name(tensor, f"{path}.{name}".lstrip("."), role)


@contextmanager
def custom_functions(seen: Callable[[Callable[..., Any], Any, Any], Any]) -> Iterator[None]:
    """Have `seen(apply, args, kwargs)` called in place of each `autograd.Function.apply` of this thread."""
    base, thread = torch.autograd.Function, threading.get_ident()
    original = base.__dict__["apply"]

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        own = original.__get__(None, cls)
        return seen(own, args, kwargs) if threading.get_ident() == thread else own(*args, **kwargs)

    base.apply = classmethod(apply)
    try:
        yield
    finally:
        base.apply = original


def _source() -> str:
    """The line of the user's own code that is running: `model.py:12: return self.head(x)`."""
    frames = traceback.walk_stack(None)
    for frame, line in frames:
        file = Path(frame.f_code.co_filename)
        if not file.is_relative_to(_TORCH) and not file.is_relative_to(_OURS) and file.name != "contextlib.py":
            import linecache

            return told(file.name, line, linecache.getline(str(file), line))
    return ""


def told(file: str, line: int, text: str) -> str:
    """A place in a file, in a line."""
    return f"{file}:{line}: {text.strip()}".rstrip(": ")
