r"""The smallest network with a hidden layer, $w_1 \max(w_2 x, 0)$, whose expected risk is known in closed form.

Data: $y = s x + \varepsilon$ with $x \sim U(-a, a)$, $\varepsilon \sim N(0, \sigma^2)$. With $p = w_1 w_2$ the network
gives $p x$ for the inputs on one side of 0 (that of the sign of $w_2$) and 0 on the other, so that by
$E[x^2] = a^2 / 3$
$$ R(w) = E\,(y - w_1 \max(w_2 x, 0))^2 = \sigma^2 + \tfrac{a^2}{6} \left((s - p)^2 + s^2\right), $$
and for the linear twin $w_1 w_2 x$: $R(w) = \sigma^2 + \tfrac{a^2}{3} (s - p)^2$. With $s = 2$, $a = 1$, $\sigma = 3$
these are $9 + \tfrac43 - \tfrac23 p + \tfrac16 p^2$ and $9 + \tfrac13 (2 - p)^2$. They hold for every sign of $w_2$;
where $w_2 = 0$ ($p = 0$) both gradients of the rectified network vanish, and descent stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.landscapes.regression import RegressionModel, regression_problem
from thalweg.landscapes.regression_data import Examples
from thalweg.problem import ModuleProblem

SLOPE, STD, HALF_WIDTH = 2.0, 3.0, 1.0


class Perceptron(RegressionModel):
    r"""$w_1 \max(w_2 x, 0)$, weights in the order `w1`, `w2`.

    Examples
    --------
    >>> Perceptron(w1=3.0, w2=-4.0)(torch.tensor([-1.0, 1.0])).tolist()
    [12.0, 0.0]
    """

    w1: nn.Parameter
    w2: nn.Parameter

    def __init__(self, w1: float = 0.0, w2: float = 0.0) -> None:
        super().__init__(w1=w1, w2=w2)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return "w1·max(w2·x, 0)"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return self.w1 * torch.relu(self.w2 * x)


class LinearPerceptron(RegressionModel):
    r"""The linear twin $w_1 w_2 x$, weights in the order `w1`, `w2`.

    Examples
    --------
    >>> LinearPerceptron(w1=3.0, w2=-4.0)(torch.tensor([-1.0, 1.0])).tolist()
    [12.0, -12.0]
    """

    w1: nn.Parameter
    w2: nn.Parameter

    def __init__(self, w1: float = 0.0, w2: float = 0.0) -> None:
        super().__init__(w1=w1, w2=w2)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return "w1·w2·x"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return self.w1 * (self.w2 * x)


def perceptron_data(
    num: int = 100, *, slope: float = SLOPE, std: float = STD, half_width: float = HALF_WIDTH, seed: int = 0
) -> Examples:
    r"""Examples $y = s x + \varepsilon$, $x \sim U(-a, a)$, $\varepsilon \sim N(0, \sigma^2)$: `(num,)` each, float64.

    Examples
    --------
    >>> x, y = perceptron_data(std=0.0)
    >>> len(x), bool((y == 2 * x).all()), bool((x.abs() <= 1).all())
    (100, True, True)
    """
    if num < 1 or not (std >= 0 and half_width > 0):
        raise ValueError(
            f"{num} examples with std={std} on ±{half_width}; it takes one or more examples, a standard deviation "
            "of 0 or more, and a positive half width."
        )
    generator = np.random.default_rng(seed)
    x = generator.uniform(-half_width, half_width, num)
    y = slope * x + std * generator.standard_normal(num)
    return Examples(torch.from_numpy(x), torch.from_numpy(y))


def perceptron_sampler(
    *, slope: float = SLOPE, std: float = STD, half_width: float = HALF_WIDTH
) -> Callable[[int, int], Examples]:
    """A source of fresh examples, `sample(num, seed)`, for Monte Carlo estimates of the expected risk.

    Examples
    --------
    >>> sample = perceptron_sampler(std=1.0)
    >>> sample(10_000, 3).x.shape
    torch.Size([10000])
    """

    def sample(num: int, seed: int) -> Examples:
        return perceptron_data(num, slope=slope, std=std, half_width=half_width, seed=seed)

    return sample


def expected_risk(
    theta: Any,
    *,
    slope: float = SLOPE,
    std: float = STD,
    half_width: float = HALF_WIDTH,
    linear: bool = False,
) -> Any:
    r"""Expected squared error of the perceptron (or of its `linear` twin), exact for all weights `(..., 2) -> (...)`.

    $\sigma^2 + \frac{a^2}{6} ((s - p)^2 + s^2)$, or $\sigma^2 + \frac{a^2}{3} (s - p)^2$, with $p = w_1 w_2$. A tensor
    gives a tensor (differentiable), anything else an array.

    Examples
    --------
    >>> expected_risk(torch.tensor([1.0, 2.0])), expected_risk(torch.tensor([1.0, 2.0]), linear=True)
    (tensor(9.6667), tensor(9.))
    """
    theta = theta if isinstance(theta, Tensor) else np.asarray(theta, dtype=float)
    if theta.ndim == 0 or theta.shape[-1] != 2:
        raise ValueError(f"The weights have shape {tuple(theta.shape)}; expected (..., 2): w1 and w2 in the last dim.")
    product = theta[..., 0] * theta[..., 1]
    missed = (slope - product) ** 2
    if linear:
        return std**2 + half_width**2 / 3 * missed
    return std**2 + half_width**2 / 6 * (missed + slope**2)


def reset_weights(seed: int = 0, half_width: float = 0.1) -> tuple[float, float]:
    """Fresh weights `(w1, w2)`, uniform on `[-half_width, half_width]`.

    Examples
    --------
    >>> all(abs(w) <= 0.1 for w in reset_weights(seed=3))
    True
    """
    w1, w2 = np.random.default_rng(seed).uniform(-half_width, half_width, 2)
    return float(w1), float(w2)


def perceptron_problem(
    data: Any = None,
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
    linear: bool = False,
    **options: Any,
) -> ModuleProblem:
    """The perceptron (or its `linear` twin) on `data`, with the squared error and weights `(w1, w2)` in float64.

    Parameters
    ----------
    data
        Examples `(x, y)`; by default `perceptron_data(seed=seed)`.
    weights
        Where the problem stands; by default `reset_weights(seed)`.
    options
        For `ModuleProblem`.

    Examples
    --------
    >>> problem = perceptron_problem(weights=[3.0, -4.0])
    >>> problem.theta, [block.name for block in problem.layout.blocks]
    (tensor([ 3., -4.], dtype=torch.float64), ['w1', 'w2'])
    """
    weights = reset_weights(seed) if weights is None else [float(w) for w in weights]
    if len(weights) != 2:
        raise ValueError(f"{len(weights)} weights were given; the perceptron has two, w1 and w2.")
    model = (LinearPerceptron if linear else Perceptron)(*weights)
    return regression_problem(model, perceptron_data(seed=seed) if data is None else data, **options)
