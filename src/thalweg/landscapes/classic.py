r"""Classic test surfaces of optimisation with one basin: valleys, bowls, a needle, and two saddles.

Formulas and extents as in Jamil & Yang (2013), A literature survey of benchmark functions for global optimisation,
arXiv:1308.4008, and Surjanovic & Bingham, Virtual library of simulation experiments; where the extent is another one,
the docstring says so. Those with many minima are in `multimodal`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.landscape import CriticalPoint, Extent, Landscape, Type, branches_at

Points = Sequence[tuple[float, float]]


def square(half: float) -> Extent:
    """The extent $[-half, half]^2$.

    Examples
    --------
    >>> square(2.0)
    ((-2.0, 2.0), (-2.0, 2.0))
    """
    return ((-half, half), (-half, half))


def critical_points(
    function: Callable[..., Any], *, minimum: Points = (), saddle: Points = (), maximum: Points = ()
) -> tuple[CriticalPoint, ...]:
    """Critical points at the places given, with the loss that `function` has there.

    Examples
    --------
    >>> critical_points(lambda x, y: x * x + y * y, minimum=[(0.0, 0.0)])
    (CriticalPoint(at=(0.0, 0.0), type='minimum', loss=0.0, smooth=True),)
    """
    places: list[tuple[Type, Points]] = [("minimum", minimum), ("saddle", saddle), ("maximum", maximum)]
    return tuple(CriticalPoint(at, type_, float(function(*at))) for type_, points in places for at in points)


def surface(
    name: str,
    title: str,
    formula: str,
    function: Callable[..., Any],
    *,
    extent: Extent,
    critical: tuple[CriticalPoint, ...],
    about: str,
) -> Landscape:
    """A landscape of `x` and `y` with one branch for each critical point, of 1% of the extent.

    Examples
    --------
    >>> f = lambda x, y: x * x + y * y
    >>> bowl = surface(
    ...     *("bowl", "A bowl", "x² + y²", f),
    ...     extent=square(1.0), critical=critical_points(f, minimum=[(0.0, 0.0)]), about="One minimum.",
    ... )
    >>> list(bowl.branches)
    ['minimum at (0, 0)']
    """
    tolerance = 0.01 * max(hi - lo for lo, hi in extent)
    return Landscape(
        name=name,
        title=title,
        formula=formula,
        function=function,
        extent=extent,
        about=about,
        critical=critical,
        branches=branches_at(critical, tolerance),
    )


def rosenbrock(a: float = 1.0, b: float = 100.0) -> Landscape:
    r"""Rosenbrock's banana valley $(a - x)^2 + b\,(y - x^2)^2$: minimum 0 at $(a, a^2)$.

    Source: Rosenbrock (1960), The Computer Journal 3(3).

    Examples
    --------
    >>> rosenbrock()(1.0, 1.0), rosenbrock()(0.0, 1.0)
    (0.0, 101.0)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return (a - x) ** 2 + b * (y - x**2) ** 2

    return surface(
        "rosenbrock",
        "Rosenbrock's valley",
        f"({a:g} − x)² + {b:g}·(y − x²)²",
        function,
        extent=((-2.0, 2.0), (-1.0, 3.0)),
        critical=critical_points(function, minimum=[(a, a * a)]),
        about="A curved valley with a flat floor: into it is easy, along it is slow.",
    )


def beale() -> Landscape:
    r"""Beale's function $(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2$: minimum 0 at $(3, 0.5)$.

    Two saddles: $(0, 1)$, of loss 14.203125, and one near $(0.1005, -2.6445)$. Source: Beale (1958), Princeton
    technical report 25.

    Examples
    --------
    >>> beale()(3.0, 0.5), beale()(0.0, 1.0)
    (0.0, 14.203125)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2

    return surface(
        "beale",
        "Beale's function",
        "(1.5 − x + x·y)² + (2.25 − x + x·y²)² + (2.625 − x + x·y³)²",
        function,
        extent=square(4.5),
        critical=critical_points(
            function, minimum=[(3.0, 0.5)], saddle=[(0.0, 1.0), (0.10053793732415835, -2.644513585023125)]
        ),
        about="Steep peaks at the corners and a nearly flat valley: one learning rate does not suit both.",
    )


def booth() -> Landscape:
    r"""Booth's bowl $(x + 2y - 7)^2 + (2x + y - 5)^2$: minimum 0 at $(1, 3)$, condition number 9.

    Source: Jamil & Yang (2013), no. 17.

    Examples
    --------
    >>> booth()(1.0, 3.0), booth()(0.0, 0.0)
    (0.0, 74.0)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2

    return surface(
        "booth",
        "Booth's bowl",
        "(x + 2·y − 7)² + (2·x + y − 5)²",
        function,
        extent=square(10.0),
        critical=critical_points(function, minimum=[(1.0, 3.0)]),
        about="A slanted quadratic bowl: adaptive methods that scale each coordinate by itself do not make it round.",
    )


def matyas() -> Landscape:
    r"""Matyas' bowl $0.26\,(x^2 + y^2) - 0.48\,xy$: minimum 0 at the origin, condition number 25.

    Source: Jamil & Yang (2013), no. 71.

    Examples
    --------
    >>> round(matyas()(1.0, 1.0), 12), round(matyas()(1.0, -1.0), 12)
    (0.04, 1.0)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return 0.26 * (x**2 + y**2) - 0.48 * x * y

    return surface(
        "matyas",
        "Matyas' bowl",
        "0.26·(x² + y²) − 0.48·x·y",
        function,
        extent=square(10.0),
        critical=critical_points(function, minimum=[(0.0, 0.0)]),
        about="A quadratic valley along the diagonal, where the slope is 25 times less than across it.",
    )


def easom() -> Landscape:
    r"""Easom's needle $-\cos x \cos y\, e^{-(x - \pi)^2 - (y - \pi)^2}$: minimum $-1$ at $(\pi, \pi)$.

    Four low maxima (0.009) surround the needle. Customarily on $[-100, 100]^2$, where it cannot be seen; here on
    $[-10, 10]^2$. Source: Easom (1990), thesis, University of Louisville.

    Examples
    --------
    >>> easom()(math.pi, math.pi), abs(easom()(-5.0, -5.0)) < 1e-50
    (-1.0, True)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return -torch.cos(x) * torch.cos(y) * torch.exp(-((x - math.pi) ** 2) - (y - math.pi) ** 2)

    away = (1.3049954504376675, 4.978189856741919)
    return surface(
        "easom",
        "Easom's needle",
        "−cos(x)·cos(y)·exp(−(x − π)² − (y − π)²)",
        function,
        extent=square(10.0),
        critical=critical_points(
            function,
            minimum=[(math.pi, math.pi)],
            maximum=[(a, math.pi) for a in away] + [(math.pi, a) for a in away],
        ),
        about="A plain with one deep hole: away from it the gradient is too small to tell the way.",
    )


def saddle() -> Landscape:
    r"""The saddle $x^2 - y^2$: it attracts along $x$, repels along $y$, and has no minimum.

    Examples
    --------
    >>> saddle()(2.0, 1.0)
    3.0
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return x**2 - y**2

    return surface(
        "saddle",
        "A saddle",
        "x² − y²",
        function,
        extent=square(2.0),
        critical=critical_points(function, saddle=[(0.0, 0.0)]),
        about="Descent started on the line y = 0 ends at the saddle; anywhere else it leaves, but slowly at first.",
    )


def monkey_saddle() -> Landscape:
    r"""The monkey saddle $x^3 - 3xy^2$: three ways down (two legs and a tail), and a Hessian of zero at the origin.

    Source: Hilbert & Cohn-Vossen (1932), Anschauliche Geometrie, section 29.

    Examples
    --------
    >>> monkey_saddle()(1.0, 0.0), monkey_saddle()(1.0, 1.0)
    (1.0, -2.0)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return x**3 - 3 * x * y**2

    return surface(
        "monkey-saddle",
        "A monkey saddle",
        "x³ − 3·x·y²",
        function,
        extent=square(1.5),
        critical=(CriticalPoint((0.0, 0.0), "degenerate", 0.0),),
        about="A critical point that the Hessian says nothing of: it is zero, and three valleys lead away.",
    )
