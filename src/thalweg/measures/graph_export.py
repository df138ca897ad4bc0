"""Engine `export`: operations as `torch.export` names them, run once, one after another, with modules by call."""

from __future__ import annotations

import logging
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves

from thalweg.measures.graph_run import custom_functions, told
from thalweg.measures.graph_tape import Done, Tape

_FRAME = re.compile(r'File "(?P<file>.+)", line (?P<line>\d+), in .*\n\s*(?P<text>.*)')
_ROLES = {InputKind.PARAMETER: "parameter", InputKind.BUFFER: "buffer", InputKind.CONSTANT_TENSOR: "constant"}


class NotExportableError(RuntimeError):
    """Why a module cannot be exported, in a line."""


def export(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], names: list[tuple[Any, str]]
) -> tuple[Tape, Any]:
    """The tape of the exported program on these inputs, and what it returned; tensors among them have names.

    Raises
    ------
    NotExportableError
        If `torch.export` refuses the module, or would see through one of its custom functions and lose its backward.
    """
    try:
        with _quietly(), custom_functions(_refuse):
            program = torch.export.export(model, args, kwargs, strict=False)
    except NotExportableError:
        raise
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        sentence = re.split(r"\.\s|  ", first)[0][:160]
        raise NotExportableError(f"{type(error).__name__}: {sentence}") from error
    tape = Tape()
    tape.inputs(names)
    return tape, _Run(program, model, tape).run(*_placed(program, tape, tree_leaves((args, kwargs))))


@contextmanager
def _quietly() -> Iterator[None]:
    """A refusal is told in one line, and not in the logs of the compiler too."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _refuse(apply: Callable[..., Any], *_: Any) -> Any:
    raise NotExportableError(f"it calls the custom autograd.Function {apply.__self__.__name__}")  # type: ignore[attr-defined]


def _placed(program: Any, tape: Tape, given: list[Any]) -> list[Any]:
    """What the placeholders stand for; buffers are copies, so that running statistics stay as they are."""
    inputs, placed = iter(given), []
    for spec in program.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            placed.append(next(inputs))
            continue
        found = program.state_dict.get(spec.target)
        found = program.constants[spec.target] if found is None else found
        if isinstance(found, Tensor):
            found = found if spec.kind == InputKind.PARAMETER else found.detach().clone()
            tape.name(found, spec.target, _ROLES.get(spec.kind, "constant"))
        placed.append(found)
    return placed


class _Run(torch.fx.Interpreter):
    """Runs the program and writes down each operation."""

    def __init__(self, program: Any, model: nn.Module, tape: Tape) -> None:
        super().__init__(program.graph_module)
        self._tape, self._model = tape, model
        self.garbage_collect_values = False

    def run_node(self, n: torch.fx.Node) -> Any:
        if n.op != "call_function" or n.target is operator.getitem:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        function: Any = n.target
        done = Done(function, args, kwargs)
        result = function(*args, **kwargs)
        self._tape.operation(done, result, module=self._module(n), source=_source(n))
        self._tape.settle()
        return result

    def _module(self, node: torch.fx.Node) -> int:
        number = -1
        for key, (path, kind) in node.meta.get("nn_module_stack", {}).items():
            if path:
                times = int(key.rpartition("@")[2]) + 1 if "@" in key else 1
                name = (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
                number = self._tape.call(number, path, times, name, self._size(path))
        return number

    def _size(self, path: str) -> int:
        try:
            return sum(p.numel() for p in self._model.get_submodule(path).parameters())
        except AttributeError:
            return 0


def _source(node: torch.fx.Node) -> str:
    """The innermost line that is not PyTorch's own."""
    frames = list(_FRAME.finditer(str(node.meta.get("stack_trace") or "")))
    own = [f for f in frames if not Path(f["file"]).is_relative_to(Path(torch.__file__).parent)] or frames
    return told(Path(own[-1]["file"]).name, int(own[-1]["line"]), own[-1]["text"]) if own else ""
