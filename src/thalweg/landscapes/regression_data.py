r"""Examples for regression with one input: drawn inputs, targets of any model, Gaussian noise; all by seed.

$$ x_i = c + s\,z_i, \qquad y_i = f(x_i) + \sigma\,\varepsilon_i, \qquad \varepsilon_i \sim N(0, 1). $$
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from thalweg.landscapes.regression import SineModel, ThresholdModel

Distribution = Literal["uniform", "gauss", "linspace"]


class Examples(NamedTuple):
    """Inputs and targets of one number each: `x` `(n,)`, `y` `(n,)`, float64."""

    x: Tensor
    y: Tensor


def draw_inputs(
    num: int, distribution: Distribution = "gauss", *, spread: float = 1.0, center: float = 0.0, seed: int = 0
) -> Tensor:
    r"""Inputs $c + s\,z$, `(num,)`: $z$ normal (`gauss`), uniform on $[-1, 1]$, or evenly spaced there (`linspace`).

    Examples
    --------
    >>> draw_inputs(3, "linspace", spread=2.0)
    tensor([-2.,  0.,  2.], dtype=torch.float64)
    """
    return torch.from_numpy(center + spread * _standard(num, distribution, np.random.default_rng(seed)))


def regression_data(
    model: Callable[[Tensor], Tensor],
    num: int = 100,
    *,
    inputs: Distribution = "gauss",
    spread: float = 1.0,
    center: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Examples:
    r"""Examples of a model: inputs as in `draw_inputs`; targets `model(x)` plus normal noise of deviation `noise`.

    Raises
    ------
    ValueError
        Where the model has no finite value at an input (a power of a negative number), or not one for each.

    Examples
    --------
    >>> regression_data(torch.square, 3, inputs="linspace")
    Examples(x=tensor([-1.,  0.,  1.], dtype=torch.float64), y=tensor([1., 0., 1.], dtype=torch.float64))
    """
    if not noise >= 0:
        raise ValueError(f"noise={noise}; a standard deviation is 0 or more.")
    generator = np.random.default_rng(seed)
    x = torch.from_numpy(center + spread * _standard(num, inputs, generator))
    with torch.no_grad():
        y = model(x)
    if y.shape != x.shape:
        raise ValueError(f"The model gave values of shape {tuple(y.shape)} for inputs of shape {tuple(x.shape)}.")
    if not torch.isfinite(y).all():
        bad = float(x[~torch.isfinite(y)][0])
        raise ValueError(
            f"The model has no finite value at x = {bad:.4g}. `center` and `spread` move the inputs to where it has."
        )
    return Examples(x, y.double() + noise * torch.from_numpy(generator.standard_normal(num)))


def linear_data(
    num: int = 30, *, w: float = 0.6, b: float = 0.5, noise: float = 3.0, spread: float = 2.5, seed: int = 0
) -> Examples:
    r"""The line to be fitted by hand: $y = 0.6\,x + 0.5 + 3\,\varepsilon$ at 30 inputs $x \sim 2.5\,N(0, 1)$.

    Examples
    --------
    >>> linear_data().x.shape
    torch.Size([30])
    """
    return regression_data(lambda x: w * x + b, num, spread=spread, noise=noise, seed=seed)


def nonlinear_data(
    model: Literal["threshold", "sine"] | Callable[[Tensor], Tensor] = "threshold",
    num: int = 300,
    *,
    theta: float = 2.1,
    noise: float = 0.75,
    inputs: Distribution = "gauss",
    spread: float = 2.5,
    center: float = 0.0,
    seed: int = 0,
) -> Examples:
    r"""300 examples, noise 0.75, of the rectified threshold model or of $\sin \theta x$ at $\theta = 2.1$, or another.

    `theta` is that of the two named ones; another model comes with its own. Inputs are as in `linear_data`.

    Examples
    --------
    >>> nonlinear_data("sine").y.shape
    torch.Size([300])
    """
    named: dict[str, Callable[[float], Callable[[Tensor], Tensor]]] = {"threshold": ThresholdModel, "sine": SineModel}
    if isinstance(model, str) and model not in named:
        raise ValueError(f"model={model!r}; there are {', '.join(map(repr, named))}, or give a model.")
    chosen = named[model](theta) if isinstance(model, str) else model
    return regression_data(chosen, num, inputs=inputs, spread=spread, center=center, noise=noise, seed=seed)


def _standard(num: int, distribution: Distribution, generator: np.random.Generator) -> np.ndarray:
    """Inputs before scaling."""
    if num < 1:
        raise ValueError(f"{num} examples were asked for; at least one is needed.")
    if distribution == "gauss":
        return generator.standard_normal(num)
    if distribution == "uniform":
        return generator.uniform(-1.0, 1.0, num)
    if distribution == "linspace":
        return np.linspace(-1.0, 1.0, num)
    raise ValueError(f"inputs={distribution!r}; expected one of {', '.join(map(repr, get_args(Distribution)))}.")
