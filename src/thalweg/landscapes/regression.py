r"""Models of one input with a weight or two, for fitting by hand and by descent.

Each is a module of scalar float64 parameters that maps inputs of any shape elementwise, and has a `formula` for
captions.

| model | output | linear in its weights |
|---|---|---|
| `LinearModel` | $w x + b$ | yes |
| `LinearizedModel` | $\sum_k w_k \varphi_k(x)$ | yes |
| `PolynomialModel` | $\sum_k w_k x^k$ | yes |
| `ThresholdModel` | $\max(x - \theta, 0)$ | no |
| `SineModel` | $\sin \theta x$ | no |
| `PowerModel` | $x^\theta$ | no |
| `LinearNonlinearModel` | $f(\theta x)$ | no |

`regression_problem` makes a problem of a model and examples, with the mean squared error as its loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.problem import ModuleProblem


class RegressionModel(nn.Module):
    """A model of one input with scalar parameters, by name."""

    def __init__(self, **parameters: float) -> None:
        super().__init__()
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(torch.tensor(float(value), dtype=torch.float64)))

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The formula, so that it shows where the model is printed."""
        return self.formula


class LinearModel(RegressionModel):
    r"""$w x + b$.

    Examples
    --------
    >>> LinearModel(w=2.0, b=1.0)(torch.tensor(3.0)).item()
    7.0
    """

    w: nn.Parameter
    b: nn.Parameter

    def __init__(self, w: float = 0.0, b: float = 0.0) -> None:
        super().__init__(w=w, b=b)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return "w·x + b"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return self.w * x + self.b


class LinearizedModel(RegressionModel):
    r"""$\sum_k w_k \varphi_k(x)$ with any transforms $\varphi_k$: linear in its weights `w0`, `w1`, ..., not in $x$.

    Parameters
    ----------
    transforms
        Elementwise functions of tensors.
    weights
        One for each; zeros by default.

    Examples
    --------
    >>> model = LinearizedModel([torch.sin, torch.square], weights=[0.0, 2.0])
    >>> model.formula, model(torch.tensor(3.0)).item()
    ('w0·sin(x) + w1·square(x)', 18.0)
    """

    def __init__(
        self, transforms: Sequence[Callable[[Tensor], Tensor]], weights: Sequence[float] | None = None
    ) -> None:
        weights = [0.0] * len(transforms) if weights is None else weights
        if not transforms or len(weights) != len(transforms):
            raise ValueError(
                f"{len(transforms)} transforms and {len(weights)} weights; there must be as many, and at least one."
            )
        super().__init__(**{f"w{k}": weight for k, weight in enumerate(weights)})
        self.transforms = tuple(transforms)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return " + ".join(f"w{k}·{_name(f)}(x)" for k, f in enumerate(self.transforms))

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        terms = [getattr(self, f"w{k}") * transform(x) for k, transform in enumerate(self.transforms)]
        return torch.stack(torch.broadcast_tensors(*terms)).sum(0)


class PolynomialModel(RegressionModel):
    r"""$\sum_{k=0}^{n} w_k x^k$ of any degree; by default the Taylor polynomial of the sine at 0.

    Examples
    --------
    >>> abs(PolynomialModel(degree=7)(torch.tensor(1.0)).item() - math.sin(1.0)) < 3e-6
    True
    >>> PolynomialModel(degree=2, weights=[1.0, 0.0, 3.0])(torch.tensor(2.0)).item()
    13.0
    """

    def __init__(self, degree: int = 5, weights: Sequence[float] | None = None) -> None:
        weights = taylor_sine(degree) if weights is None else weights
        if len(weights) != degree + 1:
            raise ValueError(f"A polynomial of degree {degree} has {degree + 1} weights; {len(weights)} were given.")
        super().__init__(**{f"w{k}": weight for k, weight in enumerate(weights)})
        self.degree = degree

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        powers = ["", "·x", *(f"·x{_superscript(k)}" for k in range(2, self.degree + 1))]
        return " + ".join(f"w{k}{power}" for k, power in enumerate(powers[: self.degree + 1]))

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`, by Horner's rule."""
        value = getattr(self, f"w{self.degree}") * torch.ones_like(x)
        for k in reversed(range(self.degree)):
            value = value * x + getattr(self, f"w{k}")
        return value


class ThresholdModel(RegressionModel):
    r"""The rectified threshold model $\max(x - \theta, 0)$: nothing up to the threshold $\theta$, then a slope of 1.

    An example with $x \le \theta$ has no gradient; where the threshold exceeds all inputs, descent cannot start.

    Examples
    --------
    >>> ThresholdModel(theta=2.0)(torch.tensor([1.0, 5.0])).tolist()
    [0.0, 3.0]
    """

    theta: nn.Parameter

    def __init__(self, theta: float = 0.0) -> None:
        super().__init__(theta=theta)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return "max(x − θ, 0)"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return torch.relu(x - self.theta)


class LinearNonlinearModel(RegressionModel):
    r"""$f(\theta x)$ with any elementwise function $f$ of tensors.

    Examples
    --------
    >>> model = LinearNonlinearModel(torch.exp, theta=0.0)
    >>> model.formula, model(torch.tensor(5.0)).item()
    ('exp(θ·x)', 1.0)
    """

    theta: nn.Parameter

    def __init__(self, function: Callable[[Tensor], Tensor], theta: float = 0.0) -> None:
        super().__init__(theta=theta)
        self.function = function

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return f"{_name(self.function)}(θ·x)"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return self.function(self.theta * x)


class SineModel(LinearNonlinearModel):
    r"""The trigonometric model $\sin \theta x$, whose loss has many minima in $\theta$.

    Examples
    --------
    >>> SineModel(theta=0.0)(torch.tensor(math.pi)).item()
    0.0
    """

    theta: nn.Parameter

    def __init__(self, theta: float = 0.0) -> None:
        super().__init__(torch.sin, theta)


class PowerModel(RegressionModel):
    r"""$x^\theta$, for $x > 0$; for negative $x$ it is `nan` unless $\theta$ is a whole number.

    Examples
    --------
    >>> PowerModel(theta=0.5)(torch.tensor(9.0)).item()
    3.0
    """

    theta: nn.Parameter

    def __init__(self, theta: float = 1.0) -> None:
        super().__init__(theta=theta)

    @property
    def formula(self) -> str:
        """The output in plain characters."""
        return "x^θ"

    def forward(self, x: Tensor) -> Tensor:
        """The output at `x`."""
        return torch.pow(x, self.theta)


def taylor_sine(degree: int) -> list[float]:
    r"""Coefficients of the Taylor polynomial of $\sin x$ at 0: $0, 1, 0, -1/6, 0, 1/120, \dots$, `degree + 1` of them.

    Examples
    --------
    >>> taylor_sine(3)
    [0.0, 1.0, 0.0, -0.16666666666666666]
    """
    if degree < 0:
        raise ValueError(f"degree={degree}; a polynomial has a degree of 0 or more.")
    return [0.0 if k % 2 == 0 else (-1.0) ** (k // 2) / math.factorial(k) for k in range(degree + 1)]


def regression_problem(model: nn.Module, data: Any, test_data: Any = None, **options: Any) -> ModuleProblem:
    """Model and examples `(x, y)` as a problem, with the mean squared error; `options` go to `ModuleProblem`.

    Examples
    --------
    >>> problem = regression_problem(LinearModel(), (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])))
    >>> problem.loss(torch.tensor([2.0, 0.0], dtype=torch.float64)).item()
    0.0
    """
    return ModuleProblem(model, tuple(data), loss=F.mse_loss, test_data=test_data, **options)


def _name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "f" if name == "<lambda>" else name


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
