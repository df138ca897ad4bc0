r"""Functions of one variable for a first lesson in gradients: smooth, steep, flat, with kinks.

A gradient is the best linear approximation: $f(x + \varepsilon) = f(x) + f'(x)\,\varepsilon + o(|\varepsilon|)$.
`FUNCTIONS` are the six on which to try that, in this order: $\cos \pi x$, $e^x$, $x^2$, $|x|$, the rectifier,
$\arctan 5x$.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.landscape import with_coordinates
from thalweg.problem import FunctionProblem


@dataclass(frozen=True)
class OneVariable:
    """A named function of one variable: `f(x)` for tensors, arrays or floats.

    `kinks` are the points without a derivative; torch gives a number there all the same, its convention.
    """

    name: str
    formula: str
    function: Callable[..., Any]
    kinks: tuple[float, ...] = ()

    def __call__(self, x: Any) -> Any:
        """The value at `x`."""
        return self.function(x)

    @property
    def __name__(self) -> str:
        """The name, as that of a Python function."""
        return self.name

    def problem(self, theta: float = 0.0) -> FunctionProblem:
        """The function as a loss of one weight `x`, standing at `theta`.

        Examples
        --------
        >>> FUNCTIONS["square"].problem(3.0).gradient(torch.tensor([3.0]))
        tensor([6.], dtype=torch.float64)
        """
        return FunctionProblem(with_coordinates(self.name, ["x"], self.function), theta=[theta])


_SIX = (
    OneVariable("cos", "cos(π·x)", elementwise(lambda x: torch.cos(torch.pi * x))),
    OneVariable("exp", "exp(x)", elementwise(torch.exp)),
    OneVariable("square", "x²", elementwise(torch.square)),
    OneVariable("abs", "|x|", elementwise(torch.abs), kinks=(0.0,)),
    OneVariable("relu", "x if x > 0 else 0", elementwise(lambda x: torch.where(x > 0, x, 0.0)), kinks=(0.0,)),
    OneVariable("arctan", "arctan(5·x)", elementwise(lambda x: torch.arctan(5 * x))),
)

FUNCTIONS: Mapping[str, OneVariable] = MappingProxyType({function.name: function for function in _SIX})
"""The six by name. At 0, torch's derivative of `abs` and of `relu` is 0."""
