"""A function of a variable or two as a reader types it: arithmetic, a list of known names, and nothing else is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
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
    """A function written as people write it: `x * sin(4*x)`, `max(x, 0)`, `where(x > 0, x, 0)`, `(a + b) * (b + 1)`.

    Known are `+ - * / **` (or `^`), comparisons, `pi`, `e`, and the functions of the message below.

    Parameters
    ----------
    text
        The formula.
    variables
        Their names, in the order of the function's arguments.

    Raises
    ------
    ValueError
        If something else stands there; says what, and what is known.

    Examples
    --------
    >>> Formula("x**2 + sin(pi*x)")(torch.tensor([1.0, 2.0])).round(decimals=4)
    tensor([1., 4.], dtype=torch.float64)
    >>> Formula("(a + b) * (b + 1)", ("a", "b"))(a=2.0, b=3.0)
    tensor(20., dtype=torch.float64)
    >>> Formula("open('a')")
    Traceback (most recent call last):
    ValueError: `open` is not known here. Known are x, pi, e, + - * / **, comparisons, and sin, cos, tan, ...
    """

    def __init__(self, text: str, variables: Sequence[str] = ("x",)) -> None:
        self.formula, self.variables = text.strip(), tuple(variables)
        if len(text) > _MOST_LETTERS:
            raise ValueError(f"The formula has {len(text)} letters; write at most {_MOST_LETTERS}.")
        try:
            self._tree = ast.parse(self.formula.replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError):
            raise ValueError(f"`{self.formula}` is no formula. {self._known()}") from None
        self(*[torch.tensor([0.5])] * len(self.variables))

    @property
    def __name__(self) -> str:
        """The formula, as the name of a function."""
        return self.formula

    def __call__(self, *values: Any, **named: Any) -> torch.Tensor:
        """The value at numbers, in float64; variables by place or by name."""
        given = dict(zip(self.variables, values, strict=False)) | named
        if len(values) + len(named) != len(self.variables) or set(given) != set(self.variables):
            raise TypeError(f"The formula is a function of {', '.join(self.variables)}.")
        return _tensor(self._value(self._tree, {name: _tensor(value) for name, value in given.items()}))

    def _value(self, node: ast.expr, at: dict[str, torch.Tensor]) -> Any:  # noqa: PLR0911
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if name in at:
                return at[name]
            case ast.Name(id=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._value(inner, at)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self._value(inner, at)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._arithmetic(_OPERATORS[type(op)], left, right, at)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                return _COMPARED[type(op)](_tensor(self._value(left, at)), self._value(right, at))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                function, count = _FUNCTIONS[name]
                if len(args) != count:
                    raise ValueError(f"`{name}` takes {count} values here; {len(args)} were given.")
                return self._called(function, name, [self._value(arg, at) for arg in args])
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
                raise ValueError(f"`{name}` is not known here. {self._known()}")
        raise ValueError(f"`{ast.unparse(node)}` is not known here. {self._known()}")

    def _arithmetic(
        self, operation: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr, at: dict[str, torch.Tensor]
    ) -> Any:
        one, other = self._value(left, at), self._value(right, at)
        if not isinstance(one, torch.Tensor) and not isinstance(other, torch.Tensor):
            one = float(one)  # whole numbers would grow without bound
        try:
            return operation(one, other)
        except ArithmeticError as error:
            raise ValueError(f"`{ast.unparse(left)}` and `{ast.unparse(right)}`: {error}.") from None

    def _called(self, function: Callable[..., Any], name: str, values: list[Any]) -> Any:
        if name == "where":
            if getattr(values[0], "dtype", None) != torch.bool:
                raise ValueError("`where` asks first for a comparison, as in where(x > 0, x, 0).")
            return function(*values)
        return function(*(_tensor(value) for value in values))

    def _known(self) -> str:
        names = ", ".join(_FUNCTIONS)
        return f"Known are {', '.join(self.variables)}, pi, e, + - * / **, comparisons, and {names}."


def _tensor(value: Any) -> torch.Tensor:
    """As float64."""
    given = torch.as_tensor(value)
    return given if given.dtype == torch.float64 else given.double()
