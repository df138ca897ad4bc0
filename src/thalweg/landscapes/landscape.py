r"""A landscape with what is known of it on paper: formula, critical points, solutions, and where descents can end.

- `Landscape`: the function $L(x, y)$ and everything that a lab, a figure or a test may ask of it.
- `CriticalPoint`: a point where the gradient vanishes (or, marked `smooth=False`, a minimum at a kink or a jump).
- `Branch`: a named set in which a descent may end, as a predicate on end points.
- `branches_at`: one branch for each critical point.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from thalweg.problem import FunctionProblem

Type = Literal["minimum", "saddle", "maximum", "degenerate minimum", "degenerate maximum", "degenerate"]
Kind = Literal["minimum", "saddle", "maximum", "flat"]
Extent = tuple[tuple[float, float], tuple[float, float]]
Curves = Mapping[str, np.ndarray]
KINDS: tuple[Kind, ...] = ("minimum", "saddle", "maximum", "flat")


class CriticalPoint(NamedTuple):
    """A point at which the gradient vanishes; at a point that is not `smooth` there is no gradient to vanish."""

    at: tuple[float, ...]
    type: Type
    loss: float
    smooth: bool = True


class Branch(NamedTuple):
    """A set in which a descent may end: `contains` maps end points `(n, num_weights)` to `bool (n,)`."""

    kind: Kind
    contains: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss of a few named coordinates, and what is known of it.

    Parameters
    ----------
    name
        Short name, as in `landscape(name)`.
    title
        For people.
    formula
        In plain characters, such as `(1 − t1·t2)²`.
    function
        `f(x, y)`, elementwise over tensors; arrays and floats do as well.
    extent
        `((lo, hi), (lo, hi))`: where it is customarily looked at.
    about
        What is to be learned here, in one or two sentences.
    coordinates
        Names of the weights.
    critical
        Known critical points; not always all of them.
    solutions
        Curves `(n, 2)` on which the loss is least, by name; empty where the minima are points.
    branches
        Where a descent may end, by name.
    side
        Which side of a barrier points lie on: `(n, num_weights) -> int (n,)`.
    metrics
        Further functions of the same coordinates, by name.

    Examples
    --------
    >>> bowl = Landscape(
    ...     "bowl", "A bowl", "x² + y²", lambda x, y: x * x + y * y, extent=((-1, 1), (-1, 1)), about="One minimum."
    ... )
    >>> bowl.problem(theta=[3.0, 4.0]).provenance()["model"]
    'bowl'
    """

    name: str
    title: str
    formula: str
    function: Callable[..., Any]
    extent: Extent
    about: str
    coordinates: tuple[str, ...] = ("x", "y")
    critical: tuple[CriticalPoint, ...] = ()
    solutions: Curves = field(default_factory=dict)
    branches: Mapping[str, Branch] = field(default_factory=dict)
    side: Callable[[np.ndarray], np.ndarray] | None = None
    metrics: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for point in self.critical:
            if len(point.at) != len(self.coordinates):
                raise ValueError(
                    f"A critical point of {self.name!r} has {len(point.at)} coordinates, but the landscape has "
                    f"{len(self.coordinates)} ({', '.join(self.coordinates)}). Give one number for each."
                )
        for name, branch in self.branches.items():
            if branch.kind not in KINDS:
                raise ValueError(
                    f"Branch {name!r} of {self.name!r} is of kind {branch.kind!r}; use one of {', '.join(KINDS)}."
                )

    def __call__(self, *coordinates: Any) -> Any:
        """The loss: `landscape(x, y)`."""
        return self.function(*coordinates)

    def problem(self, theta: Any = None, metrics: Mapping[str, Callable[..., Any]] | None = None) -> FunctionProblem:
        """The landscape as a problem standing at `theta` (zero by default), with its metrics and those given.

        Examples
        --------
        >>> from thalweg.landscapes import landscape
        >>> problem = landscape("multiply-by-one").problem()
        >>> problem.names, problem.quantities
        (['t1', 't2'], ['loss', 'output'])
        """
        extra = {
            name: with_coordinates(name, self.coordinates, f) for name, f in {**self.metrics, **(metrics or {})}.items()
        }
        loss = with_coordinates(self.name, self.coordinates, self.function)
        return FunctionProblem(loss, theta=theta, metrics=extra or None)


def with_coordinates(name: str, coordinates: Sequence[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function under another name and with its arguments named.

    Examples
    --------
    >>> f = with_coordinates("bowl", ["a", "b"], lambda x, y: x * x + y * y)
    >>> f.__name__, str(inspect.signature(f)), f(1.0, 2.0)
    ('bowl', '(a, b)', 5.0)
    """

    def call(*arguments: Any) -> Any:
        return function(*arguments)

    parameters = [inspect.Parameter(c, inspect.Parameter.POSITIONAL_OR_KEYWORD) for c in coordinates]
    call.__name__ = call.__qualname__ = name
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call


def ball(center: Sequence[float], radius: float) -> Callable[[np.ndarray], np.ndarray]:
    """Which of the points `(n, num_weights)` lie within `radius` of `center`; points that are not finite do not.

    Examples
    --------
    >>> ball((0.0, 0.0), 1.0)(np.array([[0.5, 0.5], [2.0, 0.0], [np.nan, 0.0]]))
    array([ True, False, False])
    """

    def contains(points: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.linalg.norm(np.asarray(points, dtype=float) - np.asarray(center), axis=-1) <= radius

    return contains


def branches_at(critical: Sequence[CriticalPoint], tolerance: float) -> dict[str, Branch]:
    """One branch for each critical point: all end points within `tolerance` of it.

    Examples
    --------
    >>> branches_at([CriticalPoint((1.0, -2.0), "minimum", 0.0)], tolerance=0.1)
    {'minimum at (1, -2)': Branch(kind='minimum', contains=<function ...>)}
    """
    found = {}
    for point in critical:
        kind: Kind = "saddle"
        if point.type.endswith("minimum"):
            kind = "minimum"
        elif point.type.endswith("maximum"):
            kind = "maximum"
        where = ", ".join(f"{value:.4g}" for value in point.at)
        found[f"{kind} at ({where})"] = Branch(kind, ball(point.at, tolerance))
    return found
