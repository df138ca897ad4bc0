r"""Classic test surfaces of optimisation with several minima, from two humps to a lattice of hundreds.

Formulas and extents as in Jamil & Yang (2013), arXiv:1308.4008, and Surjanovic & Bingham, Virtual library of simulation
experiments. Critical points that are no round numbers were found by Newton's method to the last digit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from thalweg.landscapes.classic import critical_points, square, surface
from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.landscape import CriticalPoint, Landscape


def himmelblau() -> Landscape:
    r"""Himmelblau's function $(x^2 + y - 11)^2 + (x + y^2 - 7)^2$: four minima of loss 0, four saddles, one maximum.

    The minima: $(3, 2)$ and near $(-2.805, 3.131)$, $(-3.779, -3.283)$, $(3.584, -1.848)$; the maximum, 181.617, near
    $(-0.271, -0.923)$. Source: Himmelblau (1972), Applied Nonlinear Programming.

    Examples
    --------
    >>> himmelblau()(3.0, 2.0), len(himmelblau().critical)
    (0.0, 9)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2

    return surface(
        "himmelblau",
        "Himmelblau's function",
        "(x² + y − 11)² + (x + y² − 7)²",
        function,
        extent=square(5.0),
        critical=critical_points(
            function,
            minimum=[
                (3.0, 2.0),
                (-2.805118086952745, 3.131312518250573),
                (-3.779310253377747, -3.2831859912861696),
                (3.5844283403304917, -1.8481265269644036),
            ],
            saddle=[
                (3.385154183607021, 0.07385187983774928),
                (0.08667750455539634, 2.884254701174776),
                (-3.0730257507643897, -0.08135304428796751),
                (-0.12796134673068005, -1.9537149802445766),
            ],
            maximum=[(-0.2708445906673476, -0.9230385564799815)],
        ),
        about="Four equally good minima: which one descent finds is decided by the start, and by little else.",
    )


def three_hump_camel() -> Landscape:
    r"""The three-hump camel $2x^2 - 1.05x^4 + x^6/6 + xy + y^2$: minimum 0 at the origin, two of 0.2986, two saddles.

    The others are near $\pm(1.7476, -0.8738)$, the saddles (0.8774) near $\pm(1.0705, -0.5353)$. Source: Branin
    (1972), IBM Journal of Research and Development 16(5).

    Examples
    --------
    >>> three_hump_camel()(0.0, 0.0), round(three_hump_camel()(1.74755, -0.87378), 4)
    (0.0, 0.2986)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2

    return surface(
        "three-hump-camel",
        "The three-hump camel",
        "2·x² − 1.05·x⁴ + x⁶/6 + x·y + y²",
        function,
        extent=square(5.0),
        critical=critical_points(
            function,
            minimum=[(0.0, 0.0), *_and_opposite((1.7475523458302893, -0.8737761729151446))],
            saddle=_and_opposite((1.0705422918236598, -0.5352711459118299)),
        ),
        about="One best minimum between two that are nearly as good, behind low barriers.",
    )


def six_hump_camel() -> Landscape:
    r"""The six-hump camel $(4 - 2.1x^2 + x^4/3)\,x^2 + xy + (-4 + 4y^2)\,y^2$: six minima, seven saddles, two maxima.

    The two lowest, $-1.0316$, are near $\pm(0.0898, -0.7127)$. Source: Dixon & Szegö (1978), Towards Global
    Optimisation 2.

    Examples
    --------
    >>> round(six_hump_camel()(0.0898, -0.7127), 4), len(six_hump_camel().critical)
    (-1.0316, 15)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2

    return surface(
        "six-hump-camel",
        "The six-hump camel",
        "(4 − 2.1·x² + x⁴/3)·x² + x·y + (−4 + 4·y²)·y²",
        function,
        extent=((-3.0, 3.0), (-2.0, 2.0)),
        critical=critical_points(
            function,
            minimum=[
                *_and_opposite((0.08984201310031806, -0.7126564030207396)),
                *_and_opposite((1.7036067149699807, -0.7960835686726252)),
                *_and_opposite((1.6071047529201972, 0.5686514548841314)),
            ],
            saddle=[
                (0.0, 0.0),
                *_and_opposite((1.1092053368047863, -0.7682680925095398)),
                *_and_opposite((1.6380679841897785, 0.22867406904439402)),
                *_and_opposite((1.2960702671671094, 0.6050843880386584)),
            ],
            maximum=_and_opposite((1.2302298765166524, 0.16233458445899493)),
        ),
        about="Minima of three depths: descent finds one of six, and two of them are best.",
    )


def goldstein_price(log: bool = False) -> Landscape:
    r"""Goldstein & Price's polynomial, from 3 to a million: minimum 3 at $(0, -1)$.

    $(1 + (x + y + 1)^2 (19 - 14x + 3x^2 - 14y + 6xy + 3y^2))
    \cdot (30 + (2x - 3y)^2 (18 - 32x + 12x^2 + 48y - 36xy + 27y^2))$;
    with `log`, its logarithm. Other minima: 30 at $(-0.6, -0.4)$, 84 at $(1.8, 0.2)$, 840 at $(1.2, 0.8)$. Source:
    Goldstein & Price (1971), Mathematics of Computation 25.

    Examples
    --------
    >>> goldstein_price()(0.0, -1.0), goldstein_price(log=True)(0.0, -1.0) == math.log(3)
    (3.0, True)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        first = (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
        second = (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
        value = (1 + first) * (30 + second)
        return torch.log(value) if log else value

    return surface(
        "goldstein-price",
        "Goldstein and Price's polynomial" + (", its logarithm" if log else ""),
        "log of " * log
        + "(1 + (x+y+1)²·(19 − 14x + 3x² − 14y + 6xy + 3y²))"
        + "·(30 + (2x−3y)²·(18 − 32x + 12x² + 48y − 36xy + 27y²))",
        function,
        extent=square(2.0),
        critical=critical_points(
            function,
            minimum=[(0.0, -1.0), (-0.6, -0.4), (1.8, 0.2), (1.2, 0.8)],
            saddle=[(-0.4, -0.6), (1.2, -0.2), (1.4, 0.6), (0.6, 0.4)],
            maximum=[(0.8, 0.2)],
        ),
        about="Six orders of magnitude in one picture: steps are thrown out of it, and a logarithm brings them back.",
    )


def styblinski_tang() -> Landscape:
    r"""Styblinski & Tang's $\frac12 \sum_i (x_i^4 - 16 x_i^2 + 5 x_i)$: minimum $-78.3323$ at $x = y = -2.9035$.

    A sum of two one-dimensional ones, so that the critical points are a 3 x 3 lattice: four minima, four saddles, and a
    maximum. Source: Styblinski & Tang (1990), Neural Networks 3(4).

    Examples
    --------
    >>> round(styblinski_tang()(-2.903534, -2.903534), 4), len(styblinski_tang().critical)
    (-78.3323, 9)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y)

    critical = _lattice(function, low=(-2.903534027771177, 2.746802770990837), high=(0.1567312567803401,))
    return surface(
        "styblinski-tang",
        "Styblinski and Tang's function",
        "0.5·(x⁴ − 16·x² + 5·x + y⁴ − 16·y² + 5·y)",
        function,
        extent=square(5.0),
        critical=critical,
        about="Four broad basins of three depths, one for each sign pattern.",
    )


def rastrigin() -> Landscape:
    r"""Rastrigin's egg box $20 + \sum_i (x_i^2 - 10 \cos 2\pi x_i)$: minimum 0 at the origin, others near all integers.

    `critical` holds the 25 nearest ones: minima near $0, \pm 0.995$, and saddles and maxima between them. Source:
    Rastrigin (1974), Systems of Extremal Control.

    Examples
    --------
    >>> rastrigin()(0.0, 0.0), round(rastrigin()(1.0, 1.0), 12)
    (0.0, 2.0)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        return 20 + x**2 + y**2 - 10 * (torch.cos(2 * math.pi * x) + torch.cos(2 * math.pi * y))

    near, between = 0.9949586376523348, 0.5025460365546747
    return surface(
        "rastrigin",
        "Rastrigin's egg box",
        "20 + x² + y² − 10·(cos(2π·x) + cos(2π·y))",
        function,
        extent=square(5.12),
        critical=_lattice(function, low=(0.0, -near, near), high=(-between, between)),
        about="A bowl full of ripples: descent ends in the nearest dimple, and says nothing of the bowl.",
    )


def ackley() -> Landscape:
    r"""Ackley's funnel $20 + e - 20\,e^{-0.2 \sqrt{(x^2 + y^2)/2}} - e^{(\cos 2\pi x + \cos 2\pi y)/2}$: least at 0.

    The minimum is the tip of a cone, where there is no gradient; automatic differentiation gives 0 there. Customarily
    on $[-32.768, 32.768]^2$ or, as here, $[-5, 5]^2$. Source: Ackley (1987), A Connectionist Machine for Genetic
    Hillclimbing.

    Examples
    --------
    >>> abs(ackley()(0.0, 0.0)) < 1e-14, round(ackley()(1.0, 1.0), 4)
    (True, 3.6254)
    """

    @elementwise
    def function(x: Tensor, y: Tensor) -> Tensor:
        square_mean = (x**2 + y**2) / 2
        off = square_mean > 0  # the root has no derivative at 0: keep it out of the graph there
        radius = torch.where(off, torch.sqrt(torch.where(off, square_mean, 1.0)), 0.0)
        waves = (torch.cos(2 * math.pi * x) + torch.cos(2 * math.pi * y)) / 2
        return 20 * (1 - torch.exp(-0.2 * radius)) + math.e - torch.exp(waves)

    return surface(
        "ackley",
        "Ackley's funnel",
        "−20·exp(−0.2·√((x² + y²)/2)) − exp((cos(2π·x) + cos(2π·y))/2) + e + 20",
        function,
        extent=square(5.0),
        critical=(CriticalPoint((0.0, 0.0), "minimum", 0.0, smooth=False),),
        about="A nearly flat plain of dimples around a funnel: from afar the gradient points to the nearest dimple.",
    )


def _and_opposite(point: tuple[float, float]) -> list[tuple[float, float]]:
    return [point, (-point[0], -point[1])]


def _lattice(
    function: Callable[..., Any], low: tuple[float, ...], high: tuple[float, ...]
) -> tuple[CriticalPoint, ...]:
    """Critical points of f(x) + f(y): pairs of minima, of maxima, and mixed ones, of a function of one variable."""
    return critical_points(
        function,
        minimum=list(itertools.product(low, low)),
        saddle=[*itertools.product(low, high), *itertools.product(high, low)],
        maximum=list(itertools.product(high, high)),
    )
