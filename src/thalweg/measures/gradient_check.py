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
from torch.utils._pytree import tree_iter

_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
_MOST = 10_000
_KINK = 0.05


class GradientError(ValueError):
    """A backward that does not belong to its forward."""


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
    slopes to the right and to the left differ (`relu` at 0) there is no derivative: any value between both counts as
    right, and the entry is counted in `num_kinks`. The backward is also asked for a sum of all outputs with random
    weights, which finds a backward that forgets the gradient it is given.

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
    Cost: two calls of the function for each entry of the inputs, one backward for each entry of the outputs. Unlike
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
    thalweg.measures.gradient_check.GradientError: The backward is wrong in input 0 (`x`), entry [1]: it gives 6 where
    central differences give 4 (for the output's entry [1]), 1.5 times as much. 2 of 4 entries of this Jacobian are
    wrong. Inputs of float32 were evaluated in float64.
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    values, places = _prepared(given)
    names = _names(function, given)
    calls = _Calls(function, values, places)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        found = [_compared(calls, k, names[k], step or _STEP, rtol, atol) for k in places]
        deviations = tuple(d for row in found for d in row)
        wrong = [d for d in deviations if d.num_wrong]
        result = GradientCheck(
            not wrong, deviations, sum(d.size for d in deviations), sum(d.num_kinks for d in deviations)
        )
        single = any(isinstance(v, Tensor) and v.is_floating_point() and v.dtype != torch.float64 for v in given)
        note = f" Inputs of {_dtypes(given)} were evaluated in float64." if single else ""
        if wrong and raises:
            raise GradientError(_told(max(wrong, key=lambda d: d.error), calls) + note)
        if not wrong:
            _weighted(calls, names, seed, rtol, atol, note)
    return result


class _Calls:
    """The function at points of `float64`, always with memory of its own and in the layout of the inputs."""

    def __init__(self, function: Callable[..., Any], values: list[Any], places: list[int]) -> None:
        self.function, self.values, self.places = function, values, places
        with torch.no_grad():
            first, again = self.outputs(self._fresh(False)), self.outputs(self._fresh(False))
        if not first:
            raise ValueError("The function returned no floating-point tensor; there is nothing to derive.")
        if any(not torch.isfinite(t).all() for t in first):
            raise ValueError("The function's values are not finite here; choose inputs where they are.")
        if any(not torch.equal(a, b) for a, b in zip(first, again, strict=True)):
            raise ValueError("The function gives other values at each call (dropout?); it has no gradient to check.")
        entries = sum(t.numel() for t in first) * sum(values[k].numel() for k in places)
        if entries > _MOST * 100:
            raise ValueError(
                f"The Jacobian has {entries:,} entries, more than {_MOST * 100:,}; smaller inputs test the same code."
            )
        self.sizes = [t.numel() for t in first]
        self.shapes = [tuple(t.shape) for t in first]
        self.first = first

    def _fresh(self, derived: bool) -> list[Any]:
        return [_same_layout(v).requires_grad_(derived) if k in self.places else v for k, v in enumerate(self.values)]

    def outputs(self, values: list[Any]) -> list[Tensor]:
        found = [t for t in tree_iter(self.function(*values)) if isinstance(t, Tensor)]
        return [t for t in found if t.is_floating_point()]

    def moved(self, place: int, entry: tuple[int, ...], by: float) -> list[Tensor]:
        """Outputs with one entry of one input moved."""
        values = self._fresh(False)
        values[place][entry] += by
        with torch.no_grad():
            return [t.detach().double().reshape(-1).clone() for t in self.outputs(values)]

    def backward(self, weights: list[Tensor]) -> list[Tensor | None]:
        """Gradients of the weighted sum of all outputs in each input."""
        with torch.enable_grad():
            values = self._fresh(True)
            outputs = [t for t in self.outputs([*values])]
            used = [(t, w) for t, w in zip(outputs, weights, strict=True) if t.requires_grad]
            leaves = [values[k] for k in self.places]
            if not used:
                return [None] * len(leaves)
            try:
                return list(
                    torch.autograd.grad(
                        [t for t, _ in used], leaves, [w.to(t.dtype) for t, w in used], allow_unused=True
                    )
                )
            except RuntimeError as error:
                raise GradientError(f"The backward fails: {error}") from error


def _prepared(given: Sequence[Any]) -> tuple[list[Any], list[int]]:
    values: list[Any] = []
    places: list[int] = []
    for k, value in enumerate(given):
        if isinstance(value, Tensor) and value.is_complex():
            raise TypeError(f"Input {k} is complex; give its real and imaginary parts.")
        if isinstance(value, Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                raise ValueError(f"Input {k} holds values that are not finite.")
            places.append(k)
            value = value.detach().double()
        values.append(value)
    if not any(values[k].numel() for k in places):
        raise ValueError("There is no floating-point tensor among the inputs; there is nothing to derive in.")
    return values, places


def _same_layout(value: Tensor) -> Tensor:
    """A copy with the same strides; entries that share memory get their own."""
    dense = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
    overlapping = any(s == 0 and n > 1 for s, n in zip(value.stride(), value.shape, strict=True))
    return value.clone(memory_format=torch.contiguous_format) if overlapping else dense.copy_(value)


def _compared(calls: _Calls, place: int, name: str, step: float, rtol: float, atol: float) -> list[Deviation]:
    differences, sides = _differences(calls, place, step)
    backward = _jacobian(calls, place, name)
    largest = max((float(d.abs().max()) for d in differences if d.numel()), default=0.0)
    found = []
    for k, (expected, given) in enumerate(zip(differences, backward, strict=True)):
        allowed = atol + rtol * max(largest, 1e-3)
        right, left = sides[0][k], sides[1][k]
        bent = (right - left).abs() > _KINK * torch.maximum(right.abs(), left.abs()).clamp_min(1e-3)
        low, high = torch.minimum(right, left) - 10 * step, torch.maximum(right, left) + 10 * step
        kink = bent & (given >= low) & (given <= high)
        error = torch.where(kink, 0.0, (given - expected).abs())
        error = torch.where(torch.isfinite(given), error, math.inf)
        found.append(_worst(calls, place, name, k, error, given, expected, allowed, int(kink.sum())))
    return found


def _differences(calls: _Calls, place: int, step: float) -> tuple[list[Tensor], tuple[list[Tensor], list[Tensor]]]:
    """Jacobians (output entry, input entry) of central differences, and of both one-sided ones."""
    value = calls.values[place]
    made: list[list[list[Tensor]]] = [[[] for _ in calls.sizes] for _ in range(3)]
    for entry in np.ndindex(*value.shape):
        h = step * max(1.0, abs(float(value[entry])))
        up, down = calls.moved(place, entry, h), calls.moved(place, entry, -h)
        for k, (high, low, here) in enumerate(zip(up, down, calls.first, strict=True)):
            middle = here.double().reshape(-1)
            for j, slope in enumerate(((high - low) / (2 * h), (high - middle) / h, (middle - low) / h)):
                made[j][k].append(slope)
    columns = [
        [torch.stack(c, 1) if c else torch.zeros(n, 0) for c, n in zip(m, calls.sizes, strict=True)] for m in made
    ]
    return columns[0], (columns[1], columns[2])


def _jacobian(calls: _Calls, place: int, name: str) -> list[Tensor]:
    """The same as the backward gives it, a row for each output entry."""
    value, found = calls.values[place], []
    for k, size in enumerate(calls.sizes):
        rows = []
        for entry in range(size):
            weights = [torch.zeros(shape, dtype=torch.float64, device=value.device) for shape in calls.shapes]
            weights[k].reshape(-1)[entry] = 1.0
            gradient = calls.backward(weights)[calls.places.index(place)]
            if gradient is not None and gradient.shape != value.shape:
                raise GradientError(
                    f"The backward gives input {place} (`{name}`) a gradient of shape {tuple(gradient.shape)}; the "
                    f"input has {tuple(value.shape)}."
                )
            rows.append(torch.zeros_like(value).reshape(-1) if gradient is None else gradient.double().reshape(-1))
        found.append(torch.stack(rows) if rows else torch.zeros(0, value.numel()))
    return found


def _worst(
    calls: _Calls,
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


def _weighted(calls: _Calls, names: list[str], seed: int, rtol: float, atol: float, note: str) -> None:
    """The backward is linear in the gradient it is given: a random one gives the sum of the rows."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in calls.shapes]
    weights = [w.to(calls.values[calls.places[0]].device) for w in weights]
    together = calls.backward(weights)
    for place, gradient in zip(calls.places, together, strict=True):
        rows = _jacobian(calls, place, names[place])
        value = calls.values[place]
        expected = sum((w.reshape(-1) @ row for w, row in zip(weights, rows, strict=True)), torch.zeros(value.numel()))
        given = torch.zeros_like(value).reshape(-1) if gradient is None else gradient.double().reshape(-1)
        largest = float(expected.abs().max()) if expected.numel() else 0.0
        if expected.numel() and float((given - expected).abs().max()) > atol + 10 * rtol * max(largest, 1e-3):
            raise GradientError(
                f"The backward is wrong in input {place} (`{names[place]}`): it is not linear in the gradient that it "
                "is given. It has to multiply with all of that gradient, and not with 1 or a part of it." + note
            )


def _told(worst: Deviation, calls: _Calls) -> str:
    several = f" of output {worst.output}" if len(calls.sizes) > 1 else ""
    where = f", entry {list(worst.entry)}" if worst.entry else ""
    of = f" (for the output's entry {list(worst.output_entry)}{several})" if worst.output_entry or several else ""
    total = f"{worst.num_wrong} of {worst.size} entries of this Jacobian are wrong."
    return (
        f"The backward is wrong in input {worst.input}{where}: it gives {worst.found:.6g} where central differences "
        f"give {worst.expected:.6g}{of}{_guess(worst)}. {total}"
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
    call = owner.forward if custom and isinstance(owner, type) else function
    try:
        words = list(inspect.signature(call).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        words = []
    words = words[1:] if custom and words[:1] == ["ctx"] else words
    return [words[k] if k < len(words) else f"input_{k}" for k in range(len(given))]


def _dtypes(given: Sequence[Any]) -> str:
    kinds = dict.fromkeys(
        str(v.dtype).removeprefix("torch.") for v in given if isinstance(v, Tensor) and v.is_floating_point()
    )
    return " and ".join(k for k in kinds if k != "float64")
