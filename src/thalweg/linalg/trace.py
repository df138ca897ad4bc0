r"""Trace and diagonal of a symmetric matrix from its products, each with a standard error.

- `hutchinson`: the mean of $g^\top A g$; error falls as $1/\sqrt p$. Nothing assumed.
- `hutch_plus_plus`: the trace on a sketched subspace exactly, Hutchinson on the rest; error falls as $1/p$.
- `xtrace` (in its own file): every vector serves both purposes in turn; the smallest error for a budget.
- `diagonal`: the mean of $g \odot Ag$.

A budget is a number of products; there is no stop on a running mean (it settles long before it is right).

Intervals use Student's t. Nominal 95% ones were measured to cover 93-97% as long as no few eigenvalues make most of
what is sampled; where one does, a mean of 6, 12, 30 skewed samples covers 83%, 88%, 91%. So give Hutch++ a sketch (a
third of the budget) larger than the number of outliers, or use `xtrace`.

References: Hutchinson (1990); Meyer, Musco, Musco & Woodruff (2021), arXiv:2010.09649; Bekas, Kokiopoulou & Saad
(2007), Appl. Numer. Math. 57.
"""

from __future__ import annotations

import numpy as np
import torch

from thalweg.linalg.estimate import DiagonalEstimate, Estimate, from_samples
from thalweg.linalg.operator import Device, Matvec, Operator, accumulator
from thalweg.linalg.probes import at_least, dots, exact, row_basis, signs


def hutchinson(
    matvec: Matvec,
    n: int,
    *,
    num_matvecs: int,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: Device = None,
    block: int = 1,
) -> Estimate:
    r"""The mean of $g^\top A g$ over random signs $g$: unbiased, variance $2\sum_{i\ne j} a_{ij}^2$ per product.

    Parameters
    ----------
    matvec, n, dtype, device, block
        As in `operator.Operator`.
    num_matvecs
        Products, at least 2.
    seed
        Of the probes; the same on every device.

    Returns
    -------
    Estimate
        Its error from the spread of the samples, `num_matvecs - 1` degrees of freedom.

    Examples
    --------
    >>> A = torch.tensor([[1.0, 0.5], [0.5, 2.0]])
    >>> trace = hutchinson(lambda v: A @ v, 2, num_matvecs=400)
    >>> abs(trace.estimate - 3.0) < 4 * trace.standard_error
    True
    """
    at_least(num_matvecs, 2)
    operator = Operator(matvec, n, dtype=dtype, device=device, block=block)
    generator = torch.Generator().manual_seed(seed)
    samples = [dots(drawn, products) for drawn, products in signs(operator, num_matvecs, generator)]
    return from_samples(np.concatenate(samples), operator.num_matvecs)


def hutch_plus_plus(
    matvec: Matvec,
    n: int,
    *,
    num_matvecs: int,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: Device = None,
    block: int = 1,
) -> Estimate:
    r"""Exact on the range of a sketch, Hutchinson on the rest: Hutch++.

    With $Q$ an orthonormal basis of $AS$, $S$ a third of the budget in random signs,
    $$ \operatorname{tr} A \approx \operatorname{tr} Q^\top A Q
       + \tfrac1p \sum_i g_i^\top (I - QQ^\top) A (I - QQ^\top) g_i . $$
    The first part has no error; given $Q$, the second is a mean of independent samples, and its spread is the error.

    Parameters
    ----------
    matvec, n, dtype, device, block, seed
        As in `hutchinson`.
    num_matvecs
        Products, at least 6; with `n` or more the unit vectors are used, and the trace is exact.

    Examples
    --------
    >>> A = torch.diag(torch.tensor([5.0, 0, 0, 0, 0, 0, 0, 0], dtype=torch.float64))
    >>> trace = hutch_plus_plus(lambda v: A @ v, 8, num_matvecs=6, dtype=torch.float64)
    >>> round(trace.estimate, 10), trace.num_matvecs
    (5.0, 6)
    """
    at_least(num_matvecs, 6)
    operator = Operator(matvec, n, dtype=dtype, device=device, block=block)
    if num_matvecs >= n:
        return exact(operator)
    generator = torch.Generator().manual_seed(seed)
    sketch = num_matvecs // 3
    images = torch.cat([products for _, products in signs(operator, sketch, generator)])
    basis = row_basis(images)[0]
    known = float(dots(basis, operator.rows(basis)).sum())
    rest = num_matvecs - 2 * sketch
    samples = [dots(drawn, products) for drawn, products in signs(operator, rest, generator, without=basis)]
    return from_samples(np.concatenate(samples), operator.num_matvecs, exact=known)


def diagonal(
    matvec: Matvec,
    n: int,
    *,
    num_matvecs: int,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: Device = None,
    block: int = 1,
) -> DiagonalEstimate:
    r"""The mean of $g \odot Ag$ over random signs $g$: unbiased, variance $\sum_{j \ne i} a_{ij}^2$ in entry $i$.

    Parameters
    ----------
    matvec, n, num_matvecs, dtype, device, block, seed
        As in `hutchinson`.

    Examples
    --------
    >>> found = diagonal(lambda v: torch.tensor([1.0, 2.0]) * v, 2, num_matvecs=2)
    >>> found.estimate, found.standard_error
    (tensor([1., 2.], dtype=torch.float64), tensor([0., 0.], dtype=torch.float64))
    """
    at_least(num_matvecs, 2)
    operator = Operator(matvec, n, dtype=dtype, device=device, block=block)
    generator = torch.Generator().manual_seed(seed)
    mean = torch.zeros(n, dtype=accumulator(operator.device), device=operator.device)
    spread = torch.zeros_like(mean)
    count = 0
    for drawn, products in signs(operator, num_matvecs, generator):
        for sample in (drawn * products).to(mean.dtype):  # Welford's update
            count += 1
            step = sample - mean
            mean += step / count
            spread += step * (sample - mean)
    error = (spread / (count * (count - 1))).sqrt()
    return DiagonalEstimate(mean, error, count - 1, operator.num_matvecs)
