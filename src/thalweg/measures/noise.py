r"""The simple gradient noise scale $B = \operatorname{tr}\Sigma / |G|^2$ from per-example gradients, with its error.

With $n$ examples drawn independently, gradients $g_i$, their mean $\bar g$ and the mean of their squared norms
$m = \frac1n \sum_i |g_i|^2$, unbiased estimates are (McCandlish et al. 2018, arXiv:1812.06162, appendix A.1, for
batches of $1$ and $n$ examples)
$$ |G|^2 \approx \frac{n |\bar g|^2 - m}{n - 1}, \qquad
   \operatorname{tr}\Sigma \approx \frac{n}{n - 1} (m - |\bar g|^2), $$
and $B$ is their ratio, with the bias of a ratio. Standard errors are those of the jackknife, which leaves out each
example in turn: $|\bar g_{-i}|^2$ follows from $|g_i|^2$ and $g_i \cdot \bar g$. They err on the safe side (Efron &
Stein 1981). The examples count as a sample of all that could be drawn, even where they are all that there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class NoiseScale(NamedTuple):
    """Each with its standard error; `noise_scale` is inf where the mean gradient cannot be told from zero."""

    noise_scale: float
    noise_scale_standard_error: float
    trace_covariance: float
    trace_covariance_standard_error: float
    gradient_square: float
    gradient_square_standard_error: float


def noise_scale(squares: np.ndarray, products: np.ndarray) -> NoiseScale:
    r"""Estimates from $|g_i|^2$ and $g_i \cdot \bar g$, each `(n,)`.

    Raises
    ------
    ValueError
        Fewer than three examples: the jackknife needs two when one is left out.

    Examples
    --------
    >>> g = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 1.0], [2.0, -1.0]])
    >>> found = noise_scale((g**2).sum(1), g @ g.mean(0))
    >>> round(found.trace_covariance, 4), round(found.gradient_square, 4), round(found.noise_scale, 4)
    (1.3333, 3.6667, 0.3636)
    """
    n = len(squares)
    if n < 3:
        raise ValueError(f"{n} examples; a noise scale with a standard error needs three at least.")
    mean_square = float(squares.mean())
    of_mean = float(products.mean())
    whole = _estimates(np.array([mean_square]), np.array([of_mean]), n)
    left = (squares.sum() - squares) / (n - 1)
    without = (n * n * of_mean - 2 * n * products + squares) / (n - 1) ** 2
    parts = _estimates(left, without, n - 1)
    errors = [_jackknife(values) for values in parts]
    (scale,), (trace,), (square,) = whole
    return NoiseScale(float(scale), errors[0], float(trace), errors[1], float(square), errors[2])


def _estimates(mean_square: np.ndarray, of_mean: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise scale, trace of the covariance, square of the gradient."""
    trace = n / (n - 1) * np.maximum(mean_square - of_mean, 0.0)
    square = (n * of_mean - mean_square) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(square > 0, trace / square, np.where(np.isfinite(square), np.inf, np.nan))
    return scale, trace, square


def _jackknife(values: np.ndarray) -> float:
    n = len(values)
    if not np.isfinite(values).all():
        return float("nan")
    return float(np.sqrt((n - 1) / n * np.square(values - values.mean()).sum()))
