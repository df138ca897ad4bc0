r"""A sum of sine waves to be regressed by small networks: one input, one output, known truth.

$$ f(x) = \sum_k a_k \sin(\omega_k x + \varphi_k), \qquad y_i = f(x_i) + 0.1\,\varepsilon_i, \quad x_i \sim U(-1, 1). $$

Amplitudes are uniform on $[0.2, 1]$, frequencies on $[1, 8]$, phases on $[0, 2\pi]$, drawn by seed. One hidden layer
of 20 units learns three such waves in ten epochs. `sines_data` with a narrower `train_range` tests a network beyond
its training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.regression_data import Examples


@dataclass(frozen=True)
class SumOfSines:
    r"""$x \mapsto \sum_k a_k \sin(\omega_k x + \varphi_k)$, elementwise for tensors, arrays or floats.

    Examples
    --------
    >>> SumOfSines((2.0,), (np.pi,), (0.0,))(0.5)
    2.0
    """

    amplitudes: tuple[float, ...]
    frequencies: tuple[float, ...]
    phases: tuple[float, ...]

    @property
    def formula(self) -> str:
        """The sum in plain characters, two decimals."""
        waves = zip(self.amplitudes, self.frequencies, self.phases, strict=True)
        return " + ".join(f"{a:.2f}·sin({w:.2f}·x + {p:.2f})" for a, w, p in waves)

    def __call__(self, x: Tensor | np.ndarray | float) -> Tensor | np.ndarray | float:
        """The sum at `x`."""
        return elementwise(self._evaluate)(x)

    def _evaluate(self, x: Tensor) -> Tensor:
        waves = zip(self.amplitudes, self.frequencies, self.phases, strict=True)
        return torch.stack([a * torch.sin(w * x + p) for a, w, p in waves]).sum(0)


class SinesData(NamedTuple):
    """Noisy training examples and clean test examples, each `x` and `y` `(n, 1)` float32, and the truth."""

    train: Examples
    test: Examples
    truth: SumOfSines


def sum_of_sines(num_waves: int = 3, seed: int = 0) -> SumOfSines:
    """A sum of `num_waves` waves drawn by `seed`.

    Examples
    --------
    >>> sum_of_sines().formula
    '0.71·sin(1.12·x + 3.81) + 0.42·sin(6.69·x + 4.58) + 0.23·sin(7.39·x + 3.42)'
    """
    if num_waves < 1:
        raise ValueError(f"num_waves={num_waves}; the sum needs at least one wave.")
    generator = np.random.default_rng(seed)
    ranges = ((0.2, 1.0), (1.0, 8.0), (0.0, 2 * np.pi))
    amplitudes, frequencies, phases = (tuple(generator.uniform(lo, hi, num_waves).tolist()) for lo, hi in ranges)
    return SumOfSines(amplitudes, frequencies, phases)


def sines_data(
    num_train: int = 1500,
    num_test: int = 500,
    *,
    noise: float = 0.1,
    train_range: tuple[float, float] = (-1.0, 1.0),
    test_range: tuple[float, float] = (-1.0, 1.0),
    truth: SumOfSines | None = None,
    seed: int = 10,
) -> SinesData:
    """Training inputs uniform on `train_range` with noisy targets; clean test targets evenly spaced on `test_range`.

    `truth` is `sum_of_sines()` by default; `seed` draws inputs and noise.

    Examples
    --------
    >>> train, test, truth = sines_data()
    >>> train.x.shape, test.y.shape
    (torch.Size([1500, 1]), torch.Size([500, 1]))
    """
    if num_train < 1 or num_test < 1 or not noise >= 0:
        raise ValueError(
            f"num_train={num_train}, num_test={num_test}, noise={noise}; both parts need examples, noise is 0 or more."
        )
    truth = sum_of_sines() if truth is None else truth
    generator = np.random.default_rng(seed)
    x = generator.uniform(*train_range, num_train)
    y = np.asarray(truth(x)) + noise * generator.standard_normal(num_train)
    grid = np.linspace(*test_range, num_test)
    return SinesData(_column(x, y), _column(grid, np.asarray(truth(grid))), truth)


def mlp(
    widths: Sequence[int] = (20,),
    *,
    inputs: int = 1,
    outputs: int = 1,
    activation: Callable[[], nn.Module] = nn.ReLU,
    seed: int = 0,
) -> nn.Sequential:
    """A network with hidden layers of the given widths, initialised by `seed`; torch's global generator stays as it is.

    Examples
    --------
    >>> net = mlp([20] * 4)
    >>> len(net), sum(p.numel() for p in net.parameters()), net(torch.zeros(10, 1)).shape
    (9, 1321, torch.Size([10, 1]))
    """
    sizes = [inputs, *widths, outputs]
    if min(sizes) < 1:
        raise ValueError(f"Layers of sizes {sizes}; each needs at least one unit.")
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        for k in range(len(sizes) - 1):
            layers.append(nn.Linear(sizes[k], sizes[k + 1]))
            if k < len(widths):
                layers.append(activation())
    return nn.Sequential(*layers)


def _column(x: np.ndarray, y: np.ndarray) -> Examples:
    return Examples(*(torch.tensor(values, dtype=torch.float32).unsqueeze(1) for values in (x, y)))
