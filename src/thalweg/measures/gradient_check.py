r"""Is a backward right? Custom functions against central differences.

PyTorch never compares a custom `autograd.Function`'s `backward` with its `forward`: that both belong together is the
programmer's word. `check_gradient` tests it, entry by entry of the Jacobian, and says which entry is wrong and how.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from thalweg.measures.differences import Calls, GradientError, bends, differences, jacobians, prepared, row


class Deviation(NamedTuple):
    """One input against one output: the largest deviation of the backward from central differences, and where."""

    input: str
    output: int
    entry: tuple[int, ...]
    output_entry: tuple[int, ...]
    found: float
    expected: float
    error: float
    num_wrong: int
    num_kinks: int
    size: int


class GradientCheck(NamedTuple):
    """What was compared; `right` if nothing deviates by more than the tolerance."""

    right: bool
    deviations: tuple[Deviation, ...]
    num_entries: int
    num_kinks: int


def check_gradient(
    function: Callable[..., Any],
    inputs: Any,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    step: float | None = None,
    seed: int = 0,
    raises: bool = True,
) -> GradientCheck:
    r"""Compare a function's backward with central differences, in `float64`.

    Every entry of the Jacobian is compared,

    $$ \frac{\partial y_i}{\partial x_j} \approx \frac{y_i(x + h e_j) - y_i(x - h e_j)}{2h}, \qquad
    h = \epsilon^{1/3} \max(1, |x_j|), $$

    whose error is about $\epsilon^{2/3} \approx 4 \cdot 10^{-11}$ for smooth functions of moderate size. Where the
    slopes to the right and to the left differ, and not in proportion to the step (`relu` at 0), there is no derivative:
    any value between both counts as right, and the entry is counted in `num_kinks`. The backward is also asked for a
    sum of all outputs with random weights, which finds a backward that forgets the gradient it is given.

    Parameters
    ----------
    function
        Takes tensors and returns a tensor, or several: `MyFunction.apply`, or any function. It must be deterministic.
    inputs
        A tensor or a sequence of them (numbers and other objects are passed on as they are). Floating-point ones are
        turned to `float64` and derived in, unless they are no leaf of interest: pass integers for those.
    rtol, atol
        An entry is wrong if it deviates by more than `atol + rtol * largest`, with the largest entry of the input's
        Jacobian in absolute value.
    step
        $h$, relative to $\max(1, |x_j|)$.
    seed
        Of the random weights.
    raises
        Whether to raise `GradientError`; otherwise the result says what is wrong.

    Returns
    -------
    GradientCheck
        The largest deviation for each input and output.

    Raises
    ------
    GradientError
        Naming the input, the entry, what the backward gives and what differences give.
    ValueError, TypeError
        No floating-point input or output, values that are not finite, a random function, too many entries.

    Notes
    -----
    Cost: two calls of the function for each entry of the inputs, one with its backward for each of the outputs. Unlike
    `torch.autograd.gradcheck`, inputs of `float32` are evaluated in `float64` by themselves, and the message names
    entries.

    Examples
    --------
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**2
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * gradient
    >>> check_gradient(Square.apply, torch.tensor([1.0, 2.0]))
    Traceback (most recent call last):
    thalweg.measures.differences.GradientError: The backward is wrong in input 0 (`x`), entry [1]: it gives 6 where
    central differences give 4 (for the output's entry [1]), 1.5 times as much. 2 of 4 entries of this Jacobian are
    wrong. Inputs of float32 were evaluated in float64.
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    values, places = prepared(given)
    names = _names(function, given)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        calls = Calls(function, values, places)
        exact = calls.eps == torch.finfo(torch.float64).eps
        step, rtol = step or calls.eps ** (1 / 3), rtol if exact else max(rtol, 1e-2)
        backward = jacobians(calls, names)
        deviations = tuple(d for k in places for d in _compared(calls, k, names[k], backward[k], step, rtol, atol))
        wrong = [d for d in deviations if d.num_wrong]
        note = _note(given, exact)
        if wrong and raises:
            raise GradientError(_told(max(wrong, key=lambda d: d.error), calls) + note)
        unlike = None if wrong else _unlike(calls, names, backward, seed, rtol, atol)
        if unlike and raises:
            raise GradientError(unlike + note)
    kinks = sum(d.num_kinks for d in deviations)
    return GradientCheck(not wrong and unlike is None, deviations, sum(d.size for d in deviations), kinks)


def _compared(
    calls: Calls, place: int, name: str, backward: list[Tensor], step: float, rtol: float, atol: float
) -> list[Deviation]:
    central, (rights, lefts) = differences(calls, place, step)
    largest = max((float(d.abs().max()) for d in central if d.numel()), default=0.0)
    found = []
    bent = bends(calls, place, step, (rights, lefts))
    for k, (expected, given, right, left) in enumerate(zip(central, backward, rights, lefts, strict=True)):
        size = float(calls.first[k].abs().max()) if calls.first[k].numel() else 0.0
        allowed = atol + rtol * max(largest, 1e-3) + 10 * calls.eps * size / step
        low, high = torch.minimum(right, left) - allowed, torch.maximum(right, left) + allowed
        kink = bent[k] & (given >= low) & (given <= high)
        error = torch.where(kink, 0.0, (given - expected).abs())
        error = torch.where(torch.isfinite(given), error, math.inf)
        found.append(_worst(calls, place, name, k, error, given, expected, allowed, int(kink.sum())))
    return found


def _worst(
    calls: Calls,
    place: int,
    name: str,
    output: int,
    error: Tensor,
    given: Tensor,
    expected: Tensor,
    allowed: float,
    kinks: int,
) -> Deviation:
    label = f"{place} (`{name}`)"
    if not error.numel():
        return Deviation(label, output, (), (), 0.0, 0.0, 0.0, 0, 0, 0)
    row, column = divmod(int(error.argmax()), error.shape[1])
    shape, output_shape = tuple(calls.values[place].shape), calls.shapes[output]
    return Deviation(
        label,
        output,
        tuple(int(k) for k in np.unravel_index(column, shape)) if shape else (),
        tuple(int(k) for k in np.unravel_index(row, output_shape)) if output_shape else (),
        float(given[row, column]),
        float(expected[row, column]),
        float(error[row, column]),
        int((error > allowed).sum()),
        kinks,
        error.numel(),
    )


def _unlike(
    calls: Calls, names: list[str], backward: dict[int, list[Tensor]], seed: int, rtol: float, atol: float
) -> str | None:
    """The backward is linear in the gradient it is given: a random one gives the sum of the rows, or this is said."""
    generator = torch.Generator().manual_seed(seed)
    device = calls.first[0].device
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64).to(device) for shape in calls.shapes]
    for place, gradient in zip(calls.places, calls.backward(weights), strict=True):
        given = row(gradient, calls.values[place], place, names)
        rows = zip(weights, backward[place], strict=True)
        expected = sum((w.reshape(-1) @ jacobian for w, jacobian in rows), torch.zeros_like(given))
        largest = float(expected.abs().max()) if expected.numel() else 0.0
        if expected.numel() and not float((given - expected).abs().max()) <= atol + 10 * rtol * max(largest, 1e-3):
            return (
                f"The backward is wrong in input {place} (`{names[place]}`): it is not linear in the gradient that it "
                "is given. It has to multiply with all of that gradient, and not with 1 or a part of it."
            )
    return None


def _note(given: Sequence[Any], exact: bool) -> str:
    kinds = dict.fromkeys(v.dtype for v in given if isinstance(v, Tensor) and v.is_floating_point())
    short = [str(kind).removeprefix("torch.") for kind in kinds if kind != torch.float64]
    note = f" Inputs of {' and '.join(short)} were evaluated in float64." if short else ""
    return note if exact else note + " The function itself rounds to fewer digits, so that 1% of deviation is allowed."


def _told(worst: Deviation, calls: Calls) -> str:
    several = f" of output {worst.output}" if len(calls.sizes) > 1 else ""
    where = f", entry {list(worst.entry)}" if worst.entry else ""
    of = f" (for the output's entry {list(worst.output_entry)}{several})" if worst.output_entry or several else ""
    total = f"{worst.num_wrong} of {worst.size} entries of this Jacobian are wrong."
    return (
        f"The backward is wrong in input {worst.input}{where}: it gives {worst.found + 0.0:.6g} where central "
        f"differences give {worst.expected:.6g}{of}{_guess(worst)}. {total}"
    )


def _guess(worst: Deviation) -> str:
    if worst.found == 0:
        return ", as if the output did not depend on it"
    if abs(worst.expected) < 1e-12 or not math.isfinite(worst.found):
        return ""
    ratio = worst.found / worst.expected
    return ", the wrong sign" if abs(ratio + 1) < 1e-4 else f", {ratio:.4g} times as much"


def _names(function: Any, given: Sequence[Any]) -> list[str]:
    owner = getattr(function, "__self__", None)
    custom = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
    call = getattr(owner, "forward", function) if custom else function
    try:
        parameters = inspect.signature(call).parameters.values()
        words = [p.name for p in parameters if p.kind != inspect.Parameter.VAR_POSITIONAL]
    except (TypeError, ValueError):
        words = []
    words = words[1:] if custom and words[:1] == ["ctx"] else words
    return [words[k] if k < len(words) else f"input_{k}" for k in range(len(given))]
