r"""Noise that is a function: random landscapes with the same value at a point whatever mesh asks for it.

Values are drawn once, by seed, at the nodes of a square lattice on a torus, and interpolated in between, so that a
field is defined on the whole plane (it repeats after `period`), has gradients, and does not change with the mesh.

- `gaussian_field`: a smooth Gaussian random field: white noise smoothed by the density of $N(0, \ell^2 I)$, of
  covariance $\sigma^2 \exp(-r^2 / 4 \ell^2)$. Coefficients of cubic B-splines (twice continuously differentiable) are
  found by FFT such that the lattice's values are met exactly; with the default spacing, $\ell/4$, the interpolation
  error is below $10^{-4}\,\sigma$ (root mean square).
- `white_noise`: independent normal values at the nodes, bilinear in between.
- `notebook_field`: the usual recipe on a mesh, whose standard deviation depends on the mesh.

References: Lang & Potthoff (2011), Fast simulation of Gaussian random fields, Monte Carlo Methods and Applications 17
(white noise filtered by FFT); Unser (1999), Splines: a perfect fit for signal and image processing, IEEE Signal
Processing Magazine 16 (interpolation by B-splines as a filter).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy import fft, signal
from torch import Tensor

from thalweg.landscapes.elementwise import elementwise

_NODES_AT_MOST = 2**13


@dataclass(frozen=True, eq=False)
class LatticeField:
    """Coefficients `(n, n)` on a square lattice that repeats itself, interpolated by B-splines.

    Called with coordinates, tensors of any common shape (or arrays, or floats), it gives the field's values;
    differentiable in the coordinates. Degree 1 is bilinear: the gradient then jumps at the lattice's lines, where
    automatic differentiation gives that of the cell to the right. Degree 3 has two continuous derivatives.
    """

    coefficients: Tensor
    spacing: float
    degree: Literal[1, 3] = 3
    offset: float = 0.0

    @property
    def period(self) -> float:
        """After how much of `x` or `y` the field repeats itself."""
        return len(self.coefficients) * self.spacing

    def __call__(self, x: Any, y: Any) -> Any:
        """The field at `(x, y)`."""
        return elementwise(self._evaluate)(x, y)

    def _evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        x, y = torch.broadcast_tensors(x, y)
        (rows, row_weights), (columns, column_weights) = self._spline(x), self._spline(y)
        coefficients = self.coefficients.to(device=x.device, dtype=x.dtype).reshape(-1)
        total = torch.zeros_like(x)
        for row, row_weight in zip(rows, row_weights, strict=True):
            line = torch.zeros_like(x)
            for column, weight in zip(columns, column_weights, strict=True):
                node = (row * len(self.coefficients) + column).unsqueeze(-1)  # a 0-d index would stop vmap
                line = line + weight * coefficients[node].squeeze(-1)
            total = total + row_weight * line
        return total

    def _spline(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Nodes whose splines reach `x`, and their values there."""
        position = (x - self.offset) / self.spacing
        cell = position.detach().floor()
        t = position - cell
        number = cell.nan_to_num(0.0, 0.0, 0.0).long()
        if self.degree == 1:
            return [torch.remainder(number + k, len(self.coefficients)) for k in (0, 1)], [1 - t, t]
        weights = [(1 - t) ** 3 / 6, (4 - 6 * t**2 + 3 * t**3) / 6, (1 + 3 * (t + t**2 - t**3)) / 6, t**3 / 6]
        return [torch.remainder(number + k, len(self.coefficients)) for k in (-1, 0, 1, 2)], weights


def gaussian_field(
    seed: int = 0, scale: float = 1.0, *, length: float = 1.0, period: float = 256.0, spacing: float | None = None
) -> LatticeField:
    r"""A Gaussian random field of mean 0 and covariance $\sigma^2 \exp(-r^2 / 4 \ell^2)$, $\sigma$ = `scale`.

    Equal seeds give the same function of the plane, whatever points it is asked for, and in whatever order.

    Parameters
    ----------
    seed
        Of the white noise.
    scale
        Standard deviation of the values; it does not depend on any mesh.
    length
        $\ell$, the standard deviation of the smoothing kernel: hills are a few times as wide.
    period
        The field is that of a torus of this size, so that it is random within `[-period/2, period/2]` and repeats
        itself beyond; rounded up to a whole number of nodes.
    spacing
        Of the lattice; `length / 4` by default.

    Examples
    --------
    >>> field = gaussian_field(seed=0, period=64.0)
    >>> x = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    >>> torch.equal(field(x, 0 * x)[3], field(x[3], torch.tensor(0.0, dtype=torch.float64)))
    True
    """
    spacing = length / 4 if spacing is None else spacing
    for name, value in {"length": length, "period": period, "spacing": spacing}.items():
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"{name}={value}; a random field needs a positive one.")
    nodes = int(np.ceil(period / spacing))
    if not 8 * length <= period or nodes > _NODES_AT_MOST or spacing > length:
        raise ValueError(
            f"A field of period {period:g}, length {length:g} and spacing {spacing:g} has {nodes} nodes a side; it "
            f"needs a period of at least 8 lengths, a spacing of at most one, and no more than {_NODES_AT_MOST} nodes."
        )
    noise = np.random.default_rng(seed).standard_normal((nodes, nodes))
    gain = _spectrum(nodes, spacing / length)
    spline = (2 + np.cos(2 * np.pi * fft.fftfreq(nodes))) / 3
    half = slice(0, nodes // 2 + 1)
    gain = gain / spline
    coefficients = fft.irfft2(fft.rfft2(noise) * np.outer(gain, gain[half]), s=noise.shape)
    return LatticeField(torch.from_numpy(scale * coefficients), spacing)


def white_noise(
    seed: int = 0, scale: float = 0.1, *, spacing: float = 3 / 49, offset: float = -1.5, nodes: int = 1024
) -> LatticeField:
    """Independent normal values of standard deviation `scale` at the nodes `offset + k·spacing`, bilinear in between.

    The default lattice contains the mesh of 50 points on [-1.5, 1.5]. Between nodes the standard deviation is less: a
    half at the middle of a cell. It repeats itself after `nodes · spacing`.

    Examples
    --------
    >>> noise = white_noise(seed=0)
    >>> node = float(noise.coefficients[2, 5])
    >>> abs(noise(-1.5 + 2 * 3 / 49, -1.5 + 5 * 3 / 49) - node) < 1e-12
    True
    """
    if not (spacing > 0 and 2 <= nodes <= _NODES_AT_MOST):
        raise ValueError(
            f"White noise on {nodes} nodes a side, {spacing} apart; it needs a positive spacing and between 2 and "
            f"{_NODES_AT_MOST} nodes."
        )
    values = np.random.default_rng(seed).standard_normal((nodes, nodes))
    return LatticeField(torch.from_numpy(scale * values), spacing, degree=1, offset=offset)


def notebook_field(points: int = 100, extent: float = 10.0, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    r"""The usual recipe on a mesh of `points` x `points` on `[-extent, extent]`$^2$: an array, and no function.

    White noise of the mesh's shape is convolved (`same`: zeros beyond the edge) with the density of $N(0, I)$ sampled
    on the mesh, times `scale`. The standard deviation inside is $\text{scale} / (2 \sqrt\pi\, h)$ with $h$ the mesh's
    spacing, so that a finer mesh is a rougher landscape; within a few units of the edge it falls off. `gaussian_field`
    has neither property.

    Examples
    --------
    >>> notebook_field(points=100, extent=10.0, scale=1.0).shape
    (100, 100)
    """
    if points < 2 or not extent > 0:
        raise ValueError(f"A mesh of {points} points on ±{extent}; it needs two or more points and a positive extent.")
    mesh = np.linspace(-extent, extent, points)
    density = np.exp(-(mesh**2) / 2) / np.sqrt(2 * np.pi)
    noise = np.random.default_rng(seed).standard_normal((points, points))
    return scale * signal.fftconvolve(noise, np.outer(density, density), mode="same")


def _spectrum(nodes: int, spacing: float) -> np.ndarray:
    """Amplitudes that turn white noise on a ring into noise smoothed by the density of N(0, 1), of unit variance."""
    omega = 2 * np.pi * fft.fftfreq(nodes) / spacing
    amplitude = np.exp(-(omega**2) / 2)
    return amplitude / np.sqrt(np.mean(amplitude**2))
