r"""Principal components of a random walk, known on paper.

A walk $\theta_k = \sum_{j \le k} \xi_j$ in many dimensions has the Gram matrix $\min(s_i, s_j)$ of its $n$ points at
updates $s_i$. Less its mean, $y = \theta - \bar\theta$, and with $D$ the differences of neighbours, $D y = \xi$ and
$y \perp 1$ give $y = D^+ \xi$, so the centred Gram matrix is $(D^\top D)^+$: the inverse of a path's Laplacian. For
points that are equally far apart its eigenvalues are $1 / 4 \sin^2(\pi k / 2n)$ with the vectors
$\cos(\pi k (i + \frac12) / n)$, and as $\sum_{k<n} \csc^2(\pi k / 2n) = \frac23 (n^2 - 1)$, component $k$ explains

$$ \frac{3}{2 (n^2 - 1)} \csc^2 \frac{\pi k}{2n} \;\to\; \frac{6}{\pi^2 k^2} : $$

61 % and 15 % for the first two, and plotted against each other, Lissajous figures. Antognini & Sohl-Dickstein (2018,
arXiv:1806.08805) give the limit; for finite $n$ the forms here are exact.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from thalweg.measures.gram import Center

LIMIT = 6 / np.pi**2
"""Share of the first component of a long walk."""


def walk_components(times: np.ndarray, num_axes: int, center: Center = "mean") -> tuple[np.ndarray, np.ndarray]:
    """Shares of variance `(axis,)` and unit scores `(step, axis)` of a walk seen at these updates.

    Examples
    --------
    >>> shares, scores = walk_components(np.arange(1001.0), 3)
    >>> shares.round(4)
    array([0.6079, 0.152 , 0.0675])
    """
    n, gaps = len(times), np.diff(times)
    if center == "mean" and np.allclose(gaps, gaps[0], rtol=1e-9, atol=0.0):
        k = np.arange(1, num_axes + 1)
        shares = 1.5 / (n**2 - 1) / np.sin(np.pi * k / (2 * n)) ** 2
        scores = np.sqrt(2 / n) * np.cos(np.pi * k * (np.arange(n)[:, None] + 0.5) / n)
        return shares, scores
    return _laplacian(times, num_axes, center)


def _laplacian(times: np.ndarray, num_axes: int, center: Center) -> tuple[np.ndarray, np.ndarray]:
    """From the tridiagonal Laplacian with weights 1 / gap; without its last row and column if that point is fixed."""
    weights = 1.0 / np.diff(times)
    diagonal = np.concatenate([weights, [0.0]]) + np.concatenate([[0.0], weights])
    scores: np.ndarray = np.zeros((len(times), num_axes))
    since = times - times[0]
    if center == "mean":
        values, scores = scipy.linalg.eigh_tridiagonal(diagonal, -weights, select="i", select_range=(1, num_axes))
        n = len(times)
        shared = since @ (2 * (n - 1 - np.arange(n)) + 1)  # sum over i, j of min(s_i, s_j)
        total = since.sum() - shared / n
    else:
        values, scores[:-1] = scipy.linalg.eigh_tridiagonal(
            diagonal[:-1], -weights[:-1], select="i", select_range=(0, num_axes - 1)
        )
        total = (since[-1] - since).sum()
    return 1.0 / values / total, scores


def simulated_walk(times: np.ndarray, dim: int, random: np.random.Generator) -> np.ndarray:
    r"""A walk in `dim` dimensions with normal moves, turned so that it lies in as few as hold it: `(step, <= step)`.

    The moves of $m$ updates in $d > m$ dimensions are, up to a rotation, a triangle whose diagonal holds
    $\chi_{d - i}$ (Bartlett 1933), so that walks in a network's dimensions cost no more than short ones.
    """
    num_moves = len(times) - 1
    moves = random.standard_normal((num_moves, min(num_moves, dim)))
    if dim > num_moves:
        moves = np.tril(moves, -1) + np.diag(np.sqrt(random.chisquare(dim - np.arange(num_moves))))
    moves *= np.sqrt(np.diff(times))[:, None]
    return np.concatenate([np.zeros((1, moves.shape[1])), np.cumsum(moves, axis=0)])
