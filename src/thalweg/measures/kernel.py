r"""The empirical tangent kernel $K = J J^\top$: how much a step on one example moves the outputs on another.

A small step of gradient descent changes the outputs by $-\eta K \nabla_f L$. Its eigenvalues are the squared singular
values of the Jacobian. The kernel is computed from layers, not from the Jacobian (`contraction`).

- `empirical_ntk`: full, traced over the outputs, or layer by layer; of one set of inputs, or between two.
- `kernel_alignment`: with the targets, or between kernels of two checkpoints.

Reference: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572; Novak et al. (2022), arXiv:2206.08720; Cortes, Mohri &
Rostamizadeh (2012), arXiv:1203.0550.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.contraction import contracted
from thalweg.measures.rows import Rows, rows
from thalweg.problem.criterion import one_of
from thalweg.problem.examples import Diverged
from thalweg.problem.identity import free_memory
from thalweg.problem.outputs import Which, finite

Part = Literal["full", "trace", "layer"]
_WORK = 2**29


def empirical_ntk(
    problem: Any,
    inputs: Any = None,
    other: Any = None,
    *,
    outputs: Which = "all",
    part: Part = "full",
    targets: Any = None,
    theta: Any = None,
    memory: int | None = None,
) -> xr.Dataset:
    r"""Empirical tangent kernel $K_{(i,a),(j,b)} = \nabla_\theta f_a(x_i) \cdot \nabla_\theta f_b(x_j)$.

    Parameters
    ----------
    problem
        A `ModuleProblem`.
    inputs, other
        The training data by default; `"train"`, `"test"`, or inputs as the network takes them. The columns are those of
        `other`, by default of the same inputs.
    outputs
        `"all"`, one by its number, or their `"sum"`.
    part
        `"full"`: one row for each input and output. `"trace"`: $\sum_a K_{(i,a),(j,a)}$, one row for each input.
        `"layer"`: as `"full"`, one kernel for each layer that has weights; they add up to the whole.
    targets
        Of `inputs` that are given, if known.
    theta
        Where, `(num_weights,)`; `problem.theta` by default.
    memory
        Bytes that kernels may take; half of what is free by default.

    Returns
    -------
    Dataset
        Kind `kernel`: `kernel(row, column)`, with coordinates that say of which input and output a row is, `order`
        (the rows' places in drawings: by input where that is a number, by class where there are classes), `x`,
        `target`, `label` where known.

    Raises
    ------
    Diverged
        Weights or derivatives that are not finite; products of derivatives that overflow.
    ValueError, TypeError
        As `ModuleProblem.outputs`; a kernel that does not fit.

    Notes
    -----
    Cost for $n$ inputs and $c$ outputs: one forward and $c$ backward passes, and for a plain layer of $k$ inputs and
    $o$ units $n^2 (k + c^2 o)$ operations instead of the $n^2 c^2 k o$ of its Jacobian's product.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> x = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    >>> problem = ModuleProblem(torch.nn.Linear(2, 1), (x, x[:, :1]), loss=torch.nn.functional.mse_loss)
    >>> empirical_ntk(problem).kernel.values  # x x^T + 1
    array([[ 2.,  4.],
           [ 4., 14.]], dtype=float32)
    """
    one_of("part", part, schema.tangents.PARTS)
    asked = rows(problem, inputs, outputs, targets, theta)
    across = None if other is None else rows(problem, other, outputs, None, theta)
    _fits(asked, across or asked, part, memory)
    found, _ = contracted(
        asked.outputs,
        None if across is None else across.outputs,
        asked.theta,
        trace=part == "trace",
        by_layer=part == "layer",
        memory=_WORK,
    )
    for kernel in found.values():
        _finite(kernel, asked, across)
    return _dataset(asked, across or asked, part, {name: kernel.cpu().numpy() for name, kernel in found.items()})


def _finite(kernel: torch.Tensor, *sides: Rows | None) -> None:
    """Refuse a kernel that is not finite, for what it is: a network that diverged, or products that overflowed."""
    if bool(torch.isfinite(kernel).all()):
        return
    for side in sides:
        if side is not None:
            finite(side.outputs.values(side.theta), "its outputs are")
            for _ in side.outputs.blocks(side.theta, 2**27):
                pass  # it refuses entries that are not finite
    name = str(kernel.dtype).removeprefix("torch.")
    largest = torch.finfo(kernel.dtype).max
    raise Diverged(
        f"Entries of the tangent kernel overflow in {name} (beyond {largest:.1e}), though the network's Jacobian is "
        'finite. Pass precision="float64" to the problem, or take the weights of an earlier step.'
    )


def kernel_alignment(kernel: xr.Dataset, other: Any = None, *, centered: bool = True) -> float:
    r"""Alignment of a kernel with another, or with targets: $\langle K, L \rangle_F / \lVert K \rVert \lVert L \rVert$.

    Parameters
    ----------
    kernel
        Kind `kernel`, of one set of inputs; layers are added up.
    other
        Another kernel of the same rows (at other weights, say); or targets, `(rows,)` or `(rows, columns)`, whose
        kernel is $Y Y^\top$. By default those that the kernel knows: class numbers as one column for each class.
    centered
        Take the mean of the features away first (Cortes et al. 2012), without which any two kernels of positive numbers
        are much alike.

    Returns
    -------
    float
        At most 1, where one is a multiple of the other; nan if one is constant.

    Raises
    ------
    ValueError
        Kernels or targets of other rows; of class numbers the kernel has to be that of `part="trace"`.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> x = torch.tensor([[1.0, 0.0], [3.0, 2.0], [0.0, 1.0]])
    >>> problem = ModuleProblem(torch.nn.Linear(2, 1), (x, x[:, :1]), loss=torch.nn.functional.mse_loss)
    >>> kernel = empirical_ntk(problem)
    >>> round(kernel_alignment(kernel, kernel), 6), round(kernel_alignment(kernel), 3)
    (1.0, 0.95)
    """
    one = _matrix(kernel)
    two = _matrix(other) if isinstance(other, xr.Dataset) else _of_targets(kernel, other)
    if one.shape != two.shape or one.shape[0] != one.shape[1]:
        _need_trace(kernel, other)
        raise ValueError(
            f"Kernels of shapes {one.shape} and {two.shape}; expected two square ones of the same rows. Pass one "
            "target for each row, or kernels of the same inputs."
        )
    if centered:
        one, two = _centred(one), _centred(two)
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(np.clip((one * two).sum() / size, -1.0, 1.0)) if size > 0 else float("nan")


def _need_trace(kernel: xr.Dataset, targets: Any) -> None:
    """Say what kernel goes with one target for each example, where the kernel has a row for each output."""
    rows_, examples = kernel.sizes["row"], len(np.unique(kernel["example"]))
    if not isinstance(targets, xr.Dataset) and targets is not None and len(targets) == examples < rows_:
        raise ValueError(
            f"One target for each of {examples} examples, and a kernel of {rows_} rows, one for each example and "
            'output. Take `empirical_ntk(..., part="trace")`, with one row for each example.'
        )


def _matrix(kernel: xr.Dataset) -> np.ndarray:
    if schema.check(kernel).attrs["kind"] != "kernel":
        raise ValueError(f"A result of kind {kernel.attrs['kind']!r}; expected one of kind 'kernel'.")
    found = kernel["kernel"].values.astype(np.float64)
    return found.sum(0) if found.ndim == 3 else found


def _of_targets(kernel: xr.Dataset, targets: Any) -> np.ndarray:
    if targets is None:
        if "label" in kernel.coords and (kernel["output"].values == -1).all():
            targets = np.eye(int(kernel["label"].max()) + 1)[kernel["label"].values]
        elif "target" in kernel:
            targets = kernel["target"].values
        else:
            raise ValueError("The kernel knows no targets; pass them, or another kernel.")
    elif not isinstance(targets, np.ndarray):
        targets = torch.as_tensor(targets).detach().cpu().numpy()
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        targets = np.eye(int(targets.max()) + 1)[targets]
    columns = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
    return columns @ columns.T


def _centred(kernel: np.ndarray) -> np.ndarray:
    kernel = kernel - kernel.mean(0)
    return kernel - kernel.mean(1, keepdims=True)


def _fits(asked: Rows, across: Rows, part: str, memory: int | None) -> None:
    """Refuse a kernel that takes more memory than there is, before anything is computed."""
    rows_, columns = (
        r.outputs.num_examples * (1 if part == "trace" else r.outputs.per_example) for r in (asked, across)
    )
    layers = len({b.name.rpartition(".")[0] for b in asked.problem.layout.blocks}) if part == "layer" else 1
    needed = rows_ * columns * layers * asked.theta.element_size()
    limit = free_memory(asked.theta.device) // 2 if memory is None else memory
    if needed > limit:
        raise ValueError(
            f"The kernel ({rows_:,} x {columns:,}{f', {layers} layers' if layers > 1 else ''}) takes "
            f"{needed / 2**30:.3g} GiB, more than the {limit / 2**30:.3g} GiB allowed. Take fewer inputs, "
            'part="trace", or raise `memory=`. Eigenvalues alone: `linearize`.'
        )


def _dataset(asked: Rows, across: Rows, part: str, found: dict[str, np.ndarray]) -> xr.Dataset:
    summed = part == "trace"
    about = {"long_name": "tangent kernel", "units": ""}
    coords: dict[str, Any] = {}
    for side, dim, prefix in ((asked, "row", ""), (across, "column", "column_")):
        coords |= side.coordinates(dim, prefix, summed)
        coords[prefix + "order"] = (dim, _order(side, summed))
        x = side.x(summed)
        if x is not None:
            coords[prefix + "x"] = (dim, x)
    data: dict[str, Any] = {}
    targets = asked.targets()
    if targets is not None and (not summed or asked.outputs.per_example == 1):
        data["target"] = ("row", targets, {"long_name": "target"})
    if part == "layer":
        names = [name or "model" for name in found]
        data["kernel"] = (("layer", "row", "column"), np.stack(list(found.values())), about)
        coords["layer"] = names
    else:
        data["kernel"] = (("row", "column"), found["all"], about)
    attrs = {
        "kind": "kernel",
        "title": f"Tangent kernel of {asked.whose}",
        "part": part,
        "column_inputs": across.outputs.examples.words,
        **asked.facts(),
    }
    return schema.check(xr.Dataset(data, coords, attrs))


def _order(side: Rows, summed: bool) -> np.ndarray:
    """The place of each row in drawings: by input, or by class; outputs of an example stay together."""
    x, labels = side.outputs.examples.scalars(), side.labels()
    n, c = side.outputs.num_examples, 1 if summed else side.outputs.per_example
    key = x if x is not None else labels if labels is not None else np.arange(n)
    place = np.empty(n, dtype=int)
    place[np.argsort(key, kind="stable")] = np.arange(n)
    return (place[:, None] * c + np.arange(c)).reshape(-1)
