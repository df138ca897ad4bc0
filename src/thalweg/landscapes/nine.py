r"""Nine surfaces for a first lesson in descent, `l0` to `l8`: bowls, ripples, a flat, a cliff, noise, and random hills.

$$\begin{aligned}
l_0 &= x^2 + y^2, & l_1 &= x^2 + 0.1\,y^2, & l_2 &= 3x^2 + 0.1\,y^2,\\ l_3 &= \cos 3x + \tfrac12 (x^2 + y^2 + x), & l_4
&= \cos 3x + x^2 + y^2, & l_5 &= \max(|x| + |y| - 0.75,\ 0),\\ l_6 &= x^2 + y^2 + (1.25 \text{ if } x > y + 0.25 \text{
else } y), & l_7 &= 0.1\,N(0, 1), & l_8 &= \text{Gaussian random field}.
\end{aligned}$$

The last two are drawn once, by seed, so that they are functions: see `random_field`. All are customarily drawn on a
mesh of 50 x 50 points on $[-1.5, 1.5]^2$, the last on larger ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.landscape import Branch, CriticalPoint, Extent, Landscape, branches_at
from thalweg.landscapes.random_field import gaussian_field, white_noise

_EXTENT: Extent = ((-1.5, 1.5), (-1.5, 1.5))
_TOLERANCE = 0.05


@elementwise
def _l0(x: Tensor, y: Tensor) -> Tensor:
    return x**2 + y**2


@elementwise
def _l1(x: Tensor, y: Tensor) -> Tensor:
    return x**2 + 0.1 * y**2


@elementwise
def _l2(x: Tensor, y: Tensor) -> Tensor:
    return 3 * x**2 + 0.1 * y**2


@elementwise
def _l3(x: Tensor, y: Tensor) -> Tensor:
    return torch.cos(3 * x) + 0.5 * (x**2 + y**2 + x)


@elementwise
def _l4(x: Tensor, y: Tensor) -> Tensor:
    return torch.cos(3 * x) + x**2 + y**2


@elementwise
def _l5(x: Tensor, y: Tensor) -> Tensor:
    return torch.relu(x.abs() + y.abs() - 0.75)


@elementwise
def _l6(x: Tensor, y: Tensor) -> Tensor:
    return x**2 + y**2 + torch.where(x > y + 0.25, 1.25, y)


def l0() -> Landscape:
    """The round bowl $x^2 + y^2$: minimum 0 at the origin.

    Examples
    --------
    >>> l0()(3.0, 4.0)
    25.0
    """
    critical = (CriticalPoint((0.0, 0.0), "minimum", 0.0),)
    about = "Steepest descent goes straight to the minimum, wherever it starts: all directions are curved alike."
    return _smooth("l0", "A round bowl", "x² + y²", _l0, critical, about)


def l1() -> Landscape:
    """The long bowl $x^2 + 0.1 y^2$: condition number 10.

    Examples
    --------
    >>> l1()(1.0, 1.0)
    1.1
    """
    critical = (CriticalPoint((0.0, 0.0), "minimum", 0.0),)
    about = "One direction is ten times as curved as the other: no step length suits both."
    return _smooth("l1", "A long bowl", "x² + 0.1·y²", _l1, critical, about)


def l2() -> Landscape:
    """The narrow bowl $3x^2 + 0.1 y^2$: condition number 30.

    Examples
    --------
    >>> l2()(1.0, 1.0)
    3.1
    """
    critical = (CriticalPoint((0.0, 0.0), "minimum", 0.0),)
    about = "A condition number of 30: descent bounces between the steep walls while it crawls along the floor."
    return _smooth("l2", "A narrow bowl", "3·x² + 0.1·y²", _l2, critical, about)


def l3() -> Landscape:
    r"""The tilted ripple $\cos 3x + \frac12(x^2 + y^2 + x)$: minima of different depths.

    Its five critical points lie on $y = 0$, at the roots of $3 \sin 3x = x + \frac12$; two of them beyond the customary
    extent.

    Examples
    --------
    >>> round(l3()(-0.992254, 0.0), 6)
    -0.990289
    """
    minima = [(-0.9922541869490652, 0.0), (0.8869904598575362, 0.0), (-2.842862054657499, 0.0)]
    saddles = [(0.06291959254210833, 0.0), (-2.3103329302104445, 0.0)]
    critical = (
        *(CriticalPoint(at, "minimum", _l3(*at)) for at in minima),
        *(CriticalPoint(at, "saddle", _l3(*at)) for at in saddles),
    )
    about = "Several minima of different depths: where descent ends depends on where it starts."
    return _smooth("l3", "A tilted ripple", "cos(3·x) + 0.5·(x² + y² + x)", _l3, critical, about)


def l4() -> Landscape:
    r"""The ripple $\cos 3x + x^2 + y^2$: two equal minima, at the roots of $3 \sin 3x = 2x$, and a saddle between them.

    Examples
    --------
    >>> l4()(0.0, 0.0)
    1.0
    """
    at = 0.847147943649981
    critical = (
        CriticalPoint((at, 0.0), "minimum", _l4(at, 0.0)),
        CriticalPoint((-at, 0.0), "minimum", _l4(-at, 0.0)),
        CriticalPoint((0.0, 0.0), "saddle", 1.0),
    )
    about = "Two equally good minima with a saddle between them, on which descent from the line x = 0 gets stuck."
    return _smooth("l4", "A ripple", "cos(3·x) + x² + y²", _l4, critical, about)


def l5() -> Landscape:
    r"""The flat $\max(|x| + |y| - 0.75, 0)$: zero on a whole diamond, a pyramid of constant slope around it.

    Automatic differentiation gives a finite gradient everywhere: 0 inside the diamond and on its edge, $(\pm1, \pm1)$
    outside, with 0 for a coordinate that is exactly 0 (torch's subgradient of $|x|$). The Hessian is 0 throughout.
    `solutions` holds the edge of the diamond.

    Examples
    --------
    >>> l5()(0.25, -0.25), l5()(1.0, -1.0)
    (0.0, 1.25)
    """
    corners = np.array([[0.75, 0.0], [0.0, 0.75], [-0.75, 0.0], [0.0, -0.75], [0.75, 0.0]])
    return Landscape(
        name="l5",
        title="A flat in a pyramid",
        formula="max(|x| + |y| − 0.75, 0)",
        function=_l5,
        extent=_EXTENT,
        about="The whole floor is flat: no single point is best, and there is no gradient.",
        critical=(CriticalPoint((0.0, 0.0), "degenerate minimum", 0.0),),
        solutions={"edge of the flat": corners},
        branches={"flat region": Branch("flat", _on_the_flat)},
    )


def l6() -> Landscape:
    r"""The cliff $x^2 + y^2 + (1.25 \text{ if } x > y + 0.25 \text{ else } y)$: a jump along the line $x = y + 0.25$.

    Automatic differentiation sees only the side a point is on: $(2x, 2y)$ where $x > y + 0.25$ (the upper side, a bowl
    whose centre lies beyond the cliff), $(2x, 2y + 1)$ elsewhere, and nothing of the jump. The gradient vanishes
    nowhere; the least value, $-7/32$, is taken on the edge itself, at $(-1/8, -3/8)$, which belongs to the lower side.
    The centre of the lower side's bowl, $(0, -1/2)$, lies beyond the cliff as well: short steps end hopping to and fro
    over the edge around $(0, -1/4)$, where the line between the two centres meets it.

    Examples
    --------
    >>> l6()(-0.125, -0.375), l6()(0.0, -0.25), l6()(0.001, -0.25) > 1
    (-0.21875, -0.1875, True)
    """
    critical = (CriticalPoint((-0.125, -0.375), "minimum", -0.21875, smooth=False),)
    about = (
        "A jump: the gradient points downhill on each side and knows nothing of the cliff between them, at whose edge "
    )
    about += "lies the lowest point."
    return _smooth("l6", "A cliff", "x² + y² + (1.25 if x > y + 0.25 else y)", _l6, critical, about)


def l7(seed: int = 0) -> Landscape:
    """White noise $0.1 N(0, 1)$, independent at the nodes of a mesh of 50 points on [-1.5, 1.5] and beyond.

    Between nodes (3/49 = 0.061 apart) it is bilinear, so that the gradient is finite everywhere, but it jumps from cell
    to cell.

    Examples
    --------
    >>> l7(seed=0)(0.1, 0.2) == l7(seed=0)(0.1, 0.2) != l7(seed=1)(0.1, 0.2)
    True
    """
    return Landscape(
        name="l7",
        title="Pure noise",
        formula="0.1·N(0, 1) at each node of a mesh, drawn once",
        function=white_noise(seed, 0.1),
        extent=_EXTENT,
        about="The value at one point says nothing of the next: is there any strategy that finds the lowest?",
    )


def l8(seed: int = 0, scale: float = 1.0, extent: float = 10.0) -> Landscape:
    r"""A Gaussian random field of standard deviation `scale` and covariance $\text{scale}^2 \exp(-r^2/4)$.

    Examples
    --------
    >>> l8(seed=0).extent
    ((-10.0, 10.0), (-10.0, 10.0))
    """
    if not 0 < extent <= 128:
        raise ValueError(
            f"extent={extent}; the hills repeat themselves after 256, so take an extent of at most 128. "
            "`gaussian_field(period=...)` makes a larger field."
        )
    return Landscape(
        name="l8",
        title="Random hills",
        formula=f"Gaussian random field, standard deviation {scale:g}, covariance ∝ exp(−r²/4)",
        function=gaussian_field(seed, scale),
        extent=((-extent, extent), (-extent, extent)),
        about="Smooth random hills: neighbours tell of each other, but the nearest valley is seldom the deepest.",
    )


def _smooth(
    name: str, title: str, formula: str, function: Callable[..., Any], critical: tuple[CriticalPoint, ...], about: str
) -> Landscape:
    return Landscape(
        name=name,
        title=title,
        formula=formula,
        function=function,
        extent=_EXTENT,
        about=about,
        critical=critical,
        branches=branches_at(critical, _TOLERANCE),
    )


def _on_the_flat(points: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.abs(np.asarray(points, dtype=float)).sum(-1) <= 0.75 + 1e-9
