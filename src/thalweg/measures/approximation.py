r"""The gradient as best linear approximation.

A function is differentiable at $x$ if $f(x + \varepsilon) = f(x) + f'(x)\, \varepsilon + o(|\varepsilon|)$: the error
of the tangent vanishes faster than the step. Here both are measured, for any function of one variable.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.problem.grad import differentiating
from thalweg.store import provenance


def linear_approximation(
    function: Callable[[Any], Any],
    point: Any,
    epsilon: Any,
    *,
    extent: Any = 2.0,
    num: int = 401,
    name: str | None = None,
) -> xr.Dataset:
    r"""Compare a function of one variable with its tangent.

    Parameters
    ----------
    function
        `f(x)`, elementwise: torch operations or Python arithmetic (differentiated automatically), or numpy (by central
        differences, which attrs tell).
    point, epsilon
        Where the tangent touches, and how far from there the two are compared: numbers, or sequences that are the
        steps of a film.
    extent
        Where the function is drawn: a radius around 0, or a pair.
    num
        Points of the drawing.
    name
        Of the function, for titles.

    Returns
    -------
    Dataset
        Kind `linear_approximation`: `value(x)`, `tangent(step, x)`, and over `step` the `point` $x$, `epsilon`, `slope`
        $f'(x)$, `true` $f(x + \varepsilon)$, `approximation` $f(x) + f'(x)\varepsilon$, and their difference `error`.

    Examples
    --------
    >>> found = linear_approximation(lambda x: x**2, point=1.0, epsilon=[0.5, 0.05])
    >>> found.error.values.round(6), float(found.slope[0])
    (array([-0.25  , -0.0025]), 2.0)
    """
    if not callable(function):
        raise TypeError(f"`function` is a {type(function).__name__}; expected a function of one variable.")
    at, eps = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (point, epsilon))
    try:
        at, eps = (np.array(v) for v in np.broadcast_arrays(at, eps))
    except ValueError as error:
        raise ValueError(
            f"{at.size} points and {eps.size} values of epsilon do not go together; give one of each, or as many."
        ) from error
    if at.ndim != 1 or not (np.isfinite(at).all() and np.isfinite(eps).all()):
        raise ValueError("`point` and `epsilon` are finite numbers, or sequences of such.")
    low, high = (-float(extent), float(extent)) if np.ndim(extent) == 0 else map(float, extent)
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or num < 2:
        raise ValueError(
            f"extent={extent!r}, num={num}; expected a positive radius or a pair (low, high), and num >= 2."
        )
    x = np.linspace(low, high, num)
    slope, how = _slope(function, at)
    here, there = evaluated(function, at), evaluated(function, at + eps)
    with np.errstate(invalid="ignore"):  # an infinite slope
        guess = here + slope * eps
        tangent = here[:, None] + slope[:, None] * (x - at[:, None])
    over = {key: ("step", value) for key, value in {"point": at, "epsilon": eps, "slope": slope, "true": there}.items()}
    found = xr.Dataset(
        {
            "value": ("x", evaluated(function, x)),
            "tangent": (("step", "x"), tangent),
            **over,
            "approximation": ("step", guess),
            "error": ("step", guess - there),
        },
        {"x": x, "step": np.arange(at.size)},
        {
            "kind": "linear_approximation",
            "function": name or getattr(function, "__name__", "f").replace("<lambda>", "f"),
            "derivative": how,
            **provenance(),
        },
    )
    return schema.check(found)


def evaluated(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """A function elementwise at `x` `(n,)`: of tensors, or of numpy's arrays; a constant is broadcast.

    Raises
    ------
    ValueError
        If it does not act on each number by itself.
    """
    values = _raw(function, x)
    half = len(x) // 2
    if half:
        parts = [_raw(function, x[:half]), _raw(function, x[half:])]
        if not np.allclose(np.concatenate(parts), values, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError(
                "The function gives other values for some numbers among fewer; it must act on each number by itself."
            )
    return values


def _raw(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        try:
            with warnings.catch_warnings(action="error", category=DeprecationWarning):  # numpy's, of tensors
                found = function(torch.as_tensor(x))
        except (TypeError, AttributeError, RuntimeError, DeprecationWarning):
            found = function(x)
    values = np.asarray(found.detach() if isinstance(found, torch.Tensor) else found)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"The function returned {found!r}; expected real numbers, one for each of its inputs."[:300])
    values = values.astype(np.float64)
    if values.shape not in ((), x.shape):
        raise ValueError(
            f"The function returned shape {values.shape} for an array of shape {x.shape}; it must act on each number "
            "by itself."
        )
    return np.broadcast_to(values, x.shape).copy()


def _slope(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, str]:
    """Derivative and how it was found."""
    with differentiating():
        return _automatic(function, x)


def _automatic(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, str]:
    at = torch.as_tensor(x).requires_grad_(True)
    try:
        with warnings.catch_warnings(action="error", category=DeprecationWarning):
            value = function(at)
        if isinstance(value, (int, float)):
            return np.zeros_like(x), "automatic"
        if not isinstance(value, torch.Tensor):
            raise TypeError("not a function of tensors")
    except (TypeError, AttributeError, RuntimeError, DeprecationWarning):  # numpy's own functions
        return _differences(function, x)
    if not value.requires_grad:  # a constant, or a function that hides from autograd
        return _differences(function, x)
    try:
        return torch.autograd.grad(value.sum(), at)[0].numpy(), "automatic"
    except RuntimeError:  # torch has no derivative of it
        return _differences(function, x)


def _differences(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, str]:
    step = np.finfo(np.float64).eps ** (1 / 3) * np.maximum(np.abs(x), 1.0)
    return (_raw(function, x + step) - _raw(function, x - step)) / (2 * step), "central differences"
