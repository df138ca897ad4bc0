r"""Computational graphs: what is computed from what, in any PyTorch expression or network, and back.

A node is a value, an edge is one use of it. With a single number at every node the graph carries the chain rule: each
edge $(u, v)$ has the local derivative $\partial v / \partial u$, and the derivative of the result $y$ in a leaf $a$ is
the sum over all paths from $a$ to $y$ of the products along the path,

$$ \frac{\mathrm{d} y}{\mathrm{d} a} = \sum_{\pi: a \to y} \prod_{(u, v) \in \pi} \frac{\partial v}{\partial u}, $$

which the backward pass computes without walking the paths (Bauer 1974, doi:10.1137/0711008).

- `computational_graph`: of a function of named numbers or tensors, or of a module on example inputs.
- `graph_of`: of a tensor that is computed already, from what autograd remembers of it.
- `path_gradients`: the paths from a leaf, with the product along each.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.utils._pytree import tree_iter, tree_map

from thalweg import schema
from thalweg.measures.graph_arrays import arrays
from thalweg.measures.graph_export import NotExportableError, export
from thalweg.measures.graph_known import known
from thalweg.measures.graph_run import run
from thalweg.measures.graph_tape import Tape
from thalweg.problem import ModuleProblem
from thalweg.schema import graphs

Engine = Literal["auto", "export", "run"]
_FEW = 8  # examples of a problem, whose graph is the same for more


def computational_graph(
    function: Callable[..., Any] | ModuleProblem,
    /,
    *inputs: Any,
    engine: Engine = "auto",
    title: str | None = None,
    **named: Any,
) -> xr.Dataset:
    r"""The graph of a function of named values, or of a module on example inputs.

    Parameters
    ----------
    function
        A function of tensors, which may call modules, an `nn.Module`, or a `ModuleProblem`, whose mean loss on a few
        of its examples is drawn. It is called once. A module's own buffers stay as they are.
    inputs, named
        What to call it with: numbers (become tensors of `float64`), arrays, tensors, or nests of these. A function is
        derived in all of them that hold floating-point numbers; a module only in inputs that require gradients, and in
        its parameters.
    engine
        `"export"`: `torch.export`, for modules: operations under the names that PyTorch's users know (`linear`,
        `conv2d`). `"run"`: written down below autograd while the function runs (`t`, `addmm`, `convolution`), with
        modules by their hooks; works for any code. `"auto"`: `"export"` for modules that it takes, otherwise `"run"`;
        `attrs["engine"]` says which, and `attrs["engine_reason"]` why.
    title
        A name for the graph.

    Returns
    -------
    Dataset
        Kind `graph`. A module that is called three times is three calls over dim `module_call`. Gradients are of the
        result, if it is one number; local derivatives are there if every value is one (`attrs["scalar"]`).

    Raises
    ------
    ValueError, TypeError
        If nothing comes back that is a tensor, or `engine="export"` cannot take the function.

    Notes
    -----
    Cost: one call with all intermediate values kept, one backward pass if the result is one number; for `"export"` a
    tracing that costs about a millisecond for each operation. Operations that nothing uses are left out
    (`attrs["num_unused"]`). A module that was called in training mode inside a function has its running statistics
    updated, as by any call.

    Examples
    --------
    >>> ds = computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0)
    >>> ds.node.values.tolist(), ds.sizes["edge"]
    (['a', 'b', 'add', 'add_1', 'mul'], 5)
    >>> ds.value.values.tolist(), ds.gradient.values.tolist()
    ([2.0, 3.0, 5.0, 4.0, 20.0], [4.0, 9.0, 4.0, 5.0, 1.0])
    """
    if engine not in get_args(Engine):
        raise ValueError(f"Unknown engine {engine!r}; expected one of {', '.join(get_args(Engine))}.")
    if isinstance(function, ModuleProblem):
        if inputs or named:
            raise TypeError("A problem brings its own examples; leave the inputs out.")
        title = title or f"Loss of {function.model_name}"
        function, inputs = function.loss_on(_FEW)
    if not callable(function):
        raise TypeError(
            f"The graph of a {type(function).__name__} cannot be drawn; give a function or a module, and its inputs. "
            "For a tensor that is computed already there is `graph_of`."
        )
    module = isinstance(function, nn.Module)
    args, kwargs = tree_map(lambda v: _tensor(v, derived=not module), (inputs, named))
    with torch.inference_mode(False), torch.enable_grad():
        tape, result, attrs = _taped(function, args, kwargs, engine)
        outputs = [t for t in tree_iter(result) if isinstance(t, Tensor)]
        if not outputs:
            raise ValueError(f"The function returned {result!r:.80}; a tensor is needed, computed from its inputs.")
        numbers = [k for k, node in enumerate(tape.nodes) if node.role == "input"]
        return arrays(tape, outputs, numbers, attrs | {"title": title or _title(function)})


def _taped(function: Any, args: Any, kwargs: Any, engine: Engine) -> tuple[Tape, Any, dict[str, str]]:
    names = _names(function, args, kwargs)
    if not isinstance(function, nn.Module):
        if engine == "export":
            raise ValueError('torch.export takes modules only; leave `engine` out, or give "run".')
        return *run(function, args, kwargs, names), {"engine": "run", "engine_reason": "a function and not a module"}
    reason = "asked for"
    if engine != "run":
        try:
            with torch.random.fork_rng(devices=[]):
                return *export(function, args, kwargs, names), {"engine": "export", "engine_reason": "a module"}
        except NotExportableError as error:
            if engine == "export":
                raise ValueError(f'torch.export cannot take this module: {error}. `engine="run"` can.') from error
            reason = f"torch.export cannot take it: {error}"
    with torch.random.fork_rng(devices=[]), _own_buffers(function):
        return *run(function, args, kwargs, names), {"engine": "run", "engine_reason": reason}


def graph_of(result: Tensor, /, *, title: str | None = None, **named: Tensor) -> xr.Dataset:
    """The graph of a tensor that is computed already, from what autograd remembers of it.

    Only what carries a gradient is known, under autograd's names; values of operations are not kept, so that `value`
    is nan but for leaves and the result. `computational_graph` sees everything.

    Parameters
    ----------
    result
        A tensor that was computed from others that require gradients, and whose graph is not freed yet.
    named
        Leaves by name; the others are called `leaf`.
    title
        A name for the graph.

    Returns
    -------
    Dataset
        Kind `graph`, with `attrs["engine"]` `autograd`.

    Raises
    ------
    ValueError
        If there is no graph behind the tensor, it was freed by a backward pass, or a named leaf is not in it.
    TypeError
        If something else than tensors came.

    Notes
    -----
    Cost: one backward pass if the result is one number, and one call of each of autograd's nodes if all values are.
    `grad` of the leaves stays as it is.

    Examples
    --------
    >>> a, b = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    >>> ds = graph_of((a + b) * (b + 1), a=a, b=b)
    >>> ds.operation.values.tolist(), ds.local_derivative.values.tolist()
    (['input', 'input', 'add', 'add', 'mul'], [1.0, 1.0, 1.0, 4.0, 5.0])
    """
    return known(result, named, {"engine": "autograd", "engine_reason": "a tensor", "title": title or "graph"})


class GraphPath(NamedTuple):
    """A path through a graph: its nodes' names, the local derivative on each edge, and their product."""

    nodes: tuple[str, ...]
    derivatives: tuple[float, ...]
    gradient: float


def path_gradients(ds: xr.Dataset, leaf: str, *, most: int = 10_000) -> list[GraphPath]:
    r"""All paths from a node to the result, with the product of the local derivatives along each.

    The products add up to the gradient, $\sum_\pi \prod_{(u, v) \in \pi} \partial v / \partial u$.

    Parameters
    ----------
    ds
        Kind `graph`, of single numbers only (`attrs["scalar"]`), with one result.
    leaf
        Name of a node.
    most
        How many paths to walk at most: their number can double with every operation, which is why nobody computes
        gradients this way.

    Returns
    -------
    list of GraphPath
        In order of the edges. Empty if the result does not depend on the node.

    Raises
    ------
    ValueError, KeyError
        If the graph holds tensors, the paths are more than `most`, or there is no node of that name.

    Examples
    --------
    >>> ds = computational_graph(lambda a, b: (a + b) * (b + 1), a=2.0, b=3.0)
    >>> for path in path_gradients(ds, "b"):
    ...     print(" > ".join(path.nodes), path.gradient)
    b > add > mul 4.0
    b > add_1 > mul 5.0
    """
    if not isinstance(ds, xr.Dataset) or ds.attrs.get("kind") != "graph":
        raise ValueError("`ds` is no graph; `computational_graph` and `graph_of` make one.")
    schema.check(ds)
    ends, names = graphs.outputs(ds), ds["node"].values.tolist()
    if not int(ds.attrs["scalar"]) or len(ends) != 1:
        raise ValueError(
            "Products along paths are told for graphs of single numbers with one result; here are tensors, whose local "
            "derivatives are matrices. Take inputs of one element."
        )
    if leaf not in names:
        raise KeyError(f"The graph has no node {leaf!r}; it has {', '.join(names[:20])}.")
    start = names.index(leaf)
    number = graphs.count_paths(ds, start, ends[0])
    if number > most:
        raise ValueError(
            f"There are {number:,} paths from {leaf!r} to the result, more than most={most:,}. Their sum is the "
            "gradient, which is in `ds.gradient` without walking them."
        )
    local, heads = ds["local_derivative"].values, ds["head"].values
    found = []
    for way in sorted(graphs.paths(ds, start, ends[0])):
        steps = tuple(float(local[k]) for k in way)
        found.append(GraphPath((leaf, *(names[int(heads[k])] for k in way)), steps, math.prod(steps)))
    return found


def _tensor(value: Any, *, derived: bool) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and derived:
        value = torch.tensor(float(value), dtype=torch.float64)
    if isinstance(value, (np.ndarray, np.generic)):
        value = torch.as_tensor(np.array(value))
    if not isinstance(value, Tensor):
        return value
    wide = value.is_floating_point() or value.is_complex()
    return value.detach().clone().requires_grad_(wide if derived else value.requires_grad)


def _names(function: Any, args: Any, kwargs: Any) -> list[tuple[Any, str]]:
    """Each input with the name of its parameter; parts of a nest are numbered."""
    call = function.forward if isinstance(function, nn.Module) else function
    words = [f"input_{k}" for k in range(len(args))]
    with contextlib.suppress(TypeError, ValueError):
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        own = [p.name for p in inspect.signature(call).parameters.values() if p.kind in kinds]
        words = [*own[: len(args)], *words[len(own) :]]
    found: list[tuple[Any, str]] = []
    for name, value in [*zip(words, args, strict=True), *kwargs.items()]:
        parts = list(tree_iter(value))
        found.extend((part, name if len(parts) == 1 else f"{name}.{k}") for k, part in enumerate(parts))
    return found


def _title(function: Any) -> str:
    if isinstance(function, nn.Module):
        return type(function).__name__
    name = getattr(function, "__name__", type(function).__name__)
    return "expression" if name == "<lambda>" else name


@contextlib.contextmanager
def _own_buffers(model: nn.Module) -> Iterator[None]:
    """Copies in the place of a module's buffers, for as long as the block runs."""
    places = [(m, name) for m in model.modules() for name, b in m._buffers.items() if b is not None]
    before = [m._buffers[name] for m, name in places]
    try:
        for (m, name), buffer in zip(places, before, strict=True):
            m._buffers[name] = buffer.detach().clone()  # type: ignore[union-attr]
        yield
    finally:
        for (m, name), buffer in zip(places, before, strict=True):
            m._buffers[name] = buffer
