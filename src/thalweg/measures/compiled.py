r"""Descent compiled: all steps of all starts in one loop of machine code.

One step, the loss, its gradient and the update by `torch.optim`'s own code, is traced into a graph (`make_fx`) of
operations that treat each start by itself. The graph is written out as C in a loop over steps and starts and compiled
once; the learning rates come in as an array. Python's share of a step, about 0.1 ms, is gone, for 0.1 to 0.2 s of
compiling: worthwhile from some thousands of steps on, or where the same problem is descended again and again.

The second step is done both ways and compared before the compiled one takes over. What cannot be compiled (see
`NotCompiled`) runs step by step as always, and the result says why.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from thalweg.measures.emitted import NotCompiled, source
from thalweg.measures.optimizers import Descent, Factory, Scheduling, made
from thalweg.problem import FunctionProblem, Problem
from thalweg.problem.grad import differentiating

__all__ = ["Kernel", "NotCompiled", "compiled"]

_PROBES = 5
_MOST_WEIGHTS = 32
_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
_ACCURACY = 1e-9
_MOST_TRACED = 64
_traced: dict[Any, tuple[Any, str]] = {}
_KNOWN_MODULES = ("torch", "math", "numpy")
_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype)
Look = Callable[[Tensor], tuple[Tensor, Tensor]]


class Record(Protocol):
    """Where iterates go: rows of losses `(rows, starts)`, weights and gradients `(rows, starts, num_weights)`."""

    steps: list[int]
    theta: Tensor
    gradient: Tensor
    value: Tensor
    rate: list[float]


class Kernel:
    """A compiled descent. Takes over at the third step, if it did the second as it was done without it.

    Attributes
    ----------
    refused
        Why it did not, or nothing.
    """

    def __init__(self, call: Any, names: Sequence[str], rates: np.ndarray, look: Look) -> None:
        self.refused = ""
        self._call, self._names, self._rates, self._look = call, names, rates, look
        self._before: tuple[Tensor, dict[str, Tensor]] | None = None

    def takes_over(self, step: int, value: Tensor, slope: Tensor, descent: Descent, record: Record) -> bool:
        """After a step from where loss and gradient were `value` and `slope`: do all others, True once done."""
        if step == 0:
            self._before = descent.weights.clone(), {name: torch.clone(descent.state[name]) for name in self._names}
        if step != 1 or self._before is None:
            return False
        tried = [torch.empty_like(part)[None] for part in (slope, value, slope)]
        moved = self._run(*self._before, 1, [0], tried)
        pairs = zip((moved, tried[1][0], tried[2][0]), (descent.weights, value, slope), strict=True)
        if not all(_same(*pair) for pair in pairs):
            self.refused = "the compiled step differs from the plain one"
            return False
        places = {at: k for k, at in enumerate(record.steps[:-1])}
        others = range(2, record.steps[-1])
        rows = [places.get(at, -1) for at in others]
        moved = self._run(descent.weights, descent.state, 2, rows, (record.theta, record.value, record.gradient))
        last = max((row for row in rows if row >= 0), default=-1)
        if last >= 0 and not all(
            map(_same, self._look(record.theta[last]), (record.value[last], record.gradient[last]))
        ):
            self.refused = "the compiled loss differs from the plain one at the end"
            return False
        descent.jump(moved, float(self._rates[-1]))
        record.rate += [float(self._rates[at]) for at in others if at in places]
        return True

    def _run(
        self, weights: Tensor, state: Mapping[str, Tensor], first: int, rows: Sequence[int], out: Sequence[Tensor]
    ) -> Tensor:
        """Weights after `len(rows)` steps from `first` on; `rows` is where to write in `out`, -1 for nowhere."""
        num_starts, num_weights = weights.shape
        columns = weights.T.contiguous()
        sized = [state[n] for n in self._names if state[n].ndim]
        kept = torch.stack(sized).transpose(1, 2).contiguous() if sized else torch.empty(0)
        single = torch.tensor([float(state[n]) for n in self._names if not state[n].ndim], dtype=torch.float64)
        spare = weights.new_empty(num_starts * (2 * num_weights + 1))
        where, rates = np.array(rows, dtype=np.int64), self._rates[first : first + len(rows)].copy()
        pointers = [rates.ctypes.data, where.ctypes.data]
        pointers += [part.data_ptr() for part in (columns, kept, single, *out, spare)]
        self._call(*map(ctypes.c_int64, (num_starts, len(rows))), *map(ctypes.c_void_p, pointers))
        return columns.T


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding, each number against the largest."""
    sizes = torch.cat([part[part.isfinite()].abs().flatten() for part in (a, b)])
    level = _ACCURACY * float(sizes.max()) if len(sizes) else 0.0
    return torch.allclose(a, b, rtol=_ACCURACY, atol=level, equal_nan=True)


def compiled(
    problem: Problem, optimizer: Factory, scheduler: Scheduling | None, descent: Descent, steps: int
) -> Kernel:
    """The descent as machine code.

    Raises
    ------
    NotCompiled
        A problem that is no function of float64 coordinates on the CPU, operations that have no counterpart in C or
        look at the values of tensors, an optimiser that couples starts or is not torch's own, a scheduler that changes
        more than the learning rate, or no compiler.
    """
    if not isinstance(problem, FunctionProblem):
        raise NotCompiled("only a FunctionProblem is compiled")
    if problem.layout.dtype != torch.float64 or problem.device.type != "cpu":
        raise NotCompiled("only float64 on the CPU is compiled")
    if problem.num_weights > _MOST_WEIGHTS:
        raise NotCompiled(f"the problem has more than {_MOST_WEIGHTS} weights")
    if descent.separate:
        raise NotCompiled("the optimiser does not treat every number by itself")
    _need_own_step(made(optimizer, torch.zeros(1, problem.num_weights, dtype=torch.float64)))
    names, text = _source(problem, optimizer)
    return Kernel(_function(text), names, _rates(optimizer, scheduler, descent, steps), problem.value_and_gradient)


def _need_own_step(model: Optimizer) -> None:
    """All that a step of torch's own optimisers depends on is in `state`; of others, that is not known."""
    if not type(model).__module__.startswith("torch.optim."):
        raise NotCompiled("only the optimisers of torch.optim are compiled")
    hooked = any(getattr(model, f"_optimizer_step_{when}_hooks", None) for when in ("pre", "post"))
    if hooked or "step" in vars(model):
        raise NotCompiled("the optimiser's step has been changed")


def _source(problem: FunctionProblem, optimizer: Factory) -> tuple[tuple[str, ...], str]:
    """C code of one step in a loop; traced once for each function, what it refers to, and optimiser."""
    model = made(optimizer, torch.zeros(1, dtype=torch.float64))
    settings = {k: v for k, v in model.param_groups[0].items() if k not in ("params", "lr", "initial_lr")}
    if isinstance(model.param_groups[0]["lr"], Tensor):
        raise NotCompiled("the learning rate is a tensor")
    known = _captured(problem.function)
    key = (problem.function, problem.num_weights, known, type(model), repr(settings))
    if known is not None and key in _traced:
        return _traced[key]
    try:
        found = _trace(problem, optimizer)
    except NotCompiled:
        raise
    except Exception as error:  # whatever a tracer stumbles over
        raise NotCompiled(_why(error)) from error
    if known is not None:
        _traced[key] = found
        if len(_traced) > _MOST_TRACED:
            del _traced[next(iter(_traced))]
    return found


def _captured(function: Any, depth: int = 4) -> tuple[Any, ...] | None:
    """What a function refers to beside its arguments; None if that may change without a trace, as tensors may."""
    if not inspect.isfunction(function) or depth == 0:
        return None
    found: list[Any] = [function.__code__, function.__defaults__, tuple((function.__kwdefaults__ or {}).items())]
    seen = inspect.getclosurevars(function)
    for name, value in sorted({**seen.nonlocals, **seen.globals}.items()):
        if isinstance(value, _PLAIN):
            found.append((name, type(value), value))
        elif inspect.ismodule(value) and value.__name__.split(".")[0] in _KNOWN_MODULES:
            found.append((name, value.__name__))
        elif getattr(value, "__module__", None) is not None and inspect.isbuiltin(value):
            found.append((name, id(value)))
        elif (inner := _captured(value, depth - 1)) is not None:
            found.append((name, inner))
        else:
            return None
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return tuple(found) if all(isinstance(value, _PLAIN) for value in defaults) else None


def _why(error: Exception) -> str:
    if "_local_scalar_dense" in str(error):
        return "the function or the optimiser looks at the values of tensors"
    return f"tracing failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _trace(problem: FunctionProblem, optimizer: Factory) -> tuple[tuple[str, ...], str]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand((_PROBES, problem.num_weights), generator=generator, dtype=torch.float64) + problem.theta
    state = _first_state(optimizer, rows.clone(), torch.ones_like(rows))
    names, sized = tuple(state), [bool(value.ndim) for value in state.values()]

    def step(weights: Tensor, state: dict[str, Tensor], rate: Tensor) -> Any:
        value, slope = _value_and_slope(problem.loss_at, weights)
        return _moved(optimizer, weights, slope, state, rate), value, slope

    with warnings.catch_warnings(action="ignore"):
        alone = {name: value[0].clone() if value.ndim else value for name, value in state.items()}
        graph: GraphModule = make_fx(step)(rows[0].clone(), alone, torch.tensor(0.1, dtype=torch.float64))
    return names, source(graph, problem.num_weights, sized)


def _value_and_slope(loss: Callable[..., Tensor], weights: Tensor) -> tuple[Tensor, Tensor]:
    with differentiating():
        coordinates = [weight.detach().requires_grad_(True) for weight in weights.unbind(-1)]
        value = loss(*coordinates)
        if not value.requires_grad:
            raise NotCompiled("the function does not depend on its coordinates")
        slopes = torch.autograd.grad(value, coordinates, torch.ones_like(value), materialize_grads=True)
        return value.detach(), torch.stack(slopes, -1)


def _first_state(optimizer: Factory, weights: Tensor, slope: Tensor) -> dict[str, Tensor]:
    """What the optimiser remembers after a step of several starts."""
    mover = made(optimizer, weights)
    weights.grad = slope
    mover.step()
    found = {name: value for name, value in mover.state[weights].items() if value is not None}
    if not all(isinstance(value, Tensor) and value.shape in (weights.shape, ()) for value in found.values()):
        raise NotCompiled("the optimiser remembers more than numbers for each weight")
    numbers = [value for value in found.values() if not value.ndim and value.dtype != torch.float64]
    if any(float(number) % 1 for number in numbers):
        raise NotCompiled("the optimiser counts in single precision")
    return {name: value.double() for name, value in found.items()}


def _moved(
    optimizer: Factory, weights: Tensor, slope: Tensor, state: dict[str, Tensor], rate: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """One update of one start."""
    weights = weights.clone()
    mover = made(optimizer, weights)
    mover.param_groups[0] |= {"lr": rate, "foreach": False, "fused": None}
    mover.state[weights] = {name: value.clone() for name, value in state.items()}
    weights.grad = slope.clone()
    with _Numbers(), torch.no_grad():
        inspect.unwrap(type(mover).step)(mover)
    return weights.detach(), {name: mover.state[weights][name] for name in state}


class _Numbers(TorchFunctionMode):
    """Numbers that the optimiser takes from tensors (learning rate, count of steps) stay in the graph."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Spell out what a tensor factor in place of a number means."""
        del types
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "item":
            return args[0]
        factor = kwargs.get("alpha", kwargs.get("value"))
        if not isinstance(factor, Tensor):
            return func(*args, **kwargs)
        terms: dict[str, Callable[..., Tensor]] = {
            "add": lambda a: factor * a,
            "addcmul": lambda a, b: factor * a * b,
            "addcdiv": lambda a, b: factor * a / b,
        }
        term = terms[name.rstrip("_")](*args[1:])
        return args[0].add_(term) if name.endswith("_") else args[0] + term


def _rates(optimizer: Factory, scheduler: Scheduling | None, descent: Descent, steps: int) -> np.ndarray:
    """Learning rates of all steps, from a scheduler that changes nothing else."""
    if scheduler is None:
        return np.full(steps + 1, descent.learning_rate)
    shadow = Descent(torch.zeros(1, 1), optimizer, scheduler)
    before, rates = shadow.settings, []
    for _ in range(steps + 1):
        rates.append(shadow.learning_rate)
        shadow.step(torch.zeros(1), torch.zeros(1, 1), lambda at: (at[0], at))
        if shadow.settings != before:
            raise NotCompiled("the scheduler changes more than the learning rate")
    return np.array(rates)


@cache
def _function(text: str) -> Any:
    """The C function, compiled and loaded."""
    compiler = next((found for c in ("cc", "gcc", "clang") if (found := shutil.which(c))), None)
    if compiler is None:
        raise NotCompiled("there is no C compiler (cc, gcc or clang)")
    try:
        loaded = _built(compiler, text)
    except OSError as error:  # no room for temporary files, or none to run code from; not a compiler after all
        raise NotCompiled(f"the code could not be built: {error}") from error
    loaded.restype = None
    return loaded


def _built(compiler: str, text: str) -> Any:
    with tempfile.TemporaryDirectory(prefix="thalweg-") as folder:
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        written, library = Path(folder, f"{name}.c"), Path(folder, f"{name}.so")
        written.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [compiler, *_FLAGS, str(written), "-o", str(library), "-lm"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NotCompiled(f"{compiler} failed: {done.stderr.strip().partition(chr(10))[0]}")
        return ctypes.CDLL(str(library)).descend
