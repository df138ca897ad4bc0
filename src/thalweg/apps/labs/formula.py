"""A function of one variable as a reader types it: arithmetic and a list of known names, and nothing else is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import torch

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_ONE = ("sin", "cos", "tan", "arctan", "arcsin", "arccos", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "abs", "sign")
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    **{name: (getattr(torch, name), 1) for name in _ONE},
    "max": (torch.maximum, 2),
    "min": (torch.minimum, 2),
    "where": (torch.where, 3),
}
_MOST_LETTERS = 200


class Formula:
    """A function of `x` written as people write it: `x * sin(4*x)`, `max(x, 0)`, `where(x > 0, x, 0)`.

    Known are `+ - * / **` (or `^`), comparisons, `pi`, `e`, and the functions of the message below.

    Raises
    ------
    ValueError
        If something else stands there; says what, and what is known.

    Examples
    --------
    >>> Formula("x**2 + sin(pi*x)")(torch.tensor([1.0, 2.0])).round(decimals=4)
    tensor([1., 4.], dtype=torch.float64)
    >>> Formula("open('a')")
    Traceback (most recent call last):
    ValueError: `open` is not known here. Known are x, pi, e, + - * / **, comparisons, and sin, cos, tan, ...
    """

    def __init__(self, text: str, variable: str = "x") -> None:
        self.formula, self._variable = text.strip(), variable
        if len(text) > _MOST_LETTERS:
            raise ValueError(f"The formula has {len(text)} letters; write at most {_MOST_LETTERS}.")
        try:
            self._tree = ast.parse(self.formula.replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError):
            raise ValueError(f"`{self.formula}` is no formula. {self._known()}") from None
        self(torch.tensor([0.5]))

    @property
    def __name__(self) -> str:
        """The formula, as the name of a function."""
        return self.formula

    def __call__(self, x: Any) -> torch.Tensor:
        """The value at numbers `x`, in float64."""
        at = torch.as_tensor(x)
        return self._value(self._tree, at if at.dtype == torch.float64 else at.double())

    def _value(self, node: ast.expr, x: torch.Tensor) -> torch.Tensor:  # noqa: PLR0911
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return torch.full_like(x, float(number))
            case ast.Name(id=name) if name == self._variable:
                return x
            case ast.Name(id=name) if name in _CONSTANTS:
                return torch.full_like(x, _CONSTANTS[name])
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._value(inner, x)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self._value(inner, x)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._binary(type(op), left, right, x)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                return _COMPARED[type(op)](self._value(left, x), self._value(right, x))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                function, count = _FUNCTIONS[name]
                if len(args) != count:
                    raise ValueError(f"`{name}` takes {count} values here; {len(args)} were given.")
                return function(*(self._value(arg, x) for arg in args))
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
                raise ValueError(f"`{name}` is not known here. {self._known()}")
        raise ValueError(f"`{ast.unparse(node)}` is not known here. {self._known()}")

    def _binary(self, op: type[ast.operator], left: ast.expr, right: ast.expr, x: torch.Tensor) -> torch.Tensor:
        if op is ast.Pow and isinstance(right, ast.Constant) and isinstance(right.value, int):
            return self._value(left, x) ** right.value  # exact slopes at 0
        return _OPERATORS[op](self._value(left, x), self._value(right, x))

    def _known(self) -> str:
        names = ", ".join(_FUNCTIONS)
        return f"Known are {self._variable}, pi, e, + - * / **, comparisons, and {names}."
