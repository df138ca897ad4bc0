r"""When Lanczos may stop: each wanted pair is accurate, and no pair that belongs among them is likely to be unseen.

A small residual says that an eigenvalue is near, not that it is among the wanted ones. Three situations hide others:

- The subspace closed (repeated eigenvalues, low rank): `confirmed` waits for the leading pair of the random vector
  that goes on from there.
- One start vector sees one copy of a repeated eigenvalue. Where copies are asked for, once the pairs are accurate, a
  random vector orthogonal to all rows goes on: `unseen` lets it until copies of the wanted values, and others 5% beyond
  the last, are too little of it (a probability below 1%). After a search that found some follows another.
- The start vector has next to nothing of a direction: a warm start holds the earlier eigenvectors and little else. An
  eigenvector $u$ with $Au = \mu u$ has in the basis the coordinates $h$ with $(\mu - C^\top) h \propto b$, so its share
  of the start vector is at most $|h_1| / \lVert h \rVert$ (squared, the Christoffel function of the start vector's
  spectral measure). `searched` goes on until this is below the share that a random vector gives to any direction,
  about $1/\sqrt n$: in the gaps between wanted values and beyond them. A cold start meets it on its own.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from thalweg.linalg.krylov import Krylov, ritz_pairs

Which = Literal["magnitude", "largest", "smallest", "both"]
Stop = Literal["converged", "budget", "noise"]
WHICH: tuple[str, ...] = get_args(Which)

STILL = 3
"""Steps for which the values at an end have to stand still."""

GAP = 0.05
"""Gaps narrower than this share of the largest eigenvalue are not searched: neighbours count as one."""


CHANCE = 0.01
"""Share of a search's random vector, in units of its mean, below which an eigenvector is said to be absent (0.8%)."""

APART = 0.02
"""Share of the largest eigenvalue by which values differ that are no copies of each other."""


def verdict(krylov: Krylov, k: int, which: Which, tol: float) -> Stop | None:
    """Whether the wanted pairs are there, or cannot be for noise; None to go on."""
    values, vectors, residuals, tails = krylov.ritz()
    wanted = order(values, which)[:k]
    allowed = tol * np.abs(values).max()
    if not confirmed(krylov, values[wanted], which, allowed):
        return None
    if (residuals[wanted] <= allowed).all():
        return "converged" if searched(krylov, values, vectors, k, which) else None
    return "noise" if (tails[wanted] <= 0.01 * allowed).all() else None


class Settling:
    """Whether the wanted values at an end of the spectrum have stood still for some steps.

    While the subspace is small, values of the other end stand in for wanted ones that have not shown yet, with
    residuals as small as any. Each further step replaces one, so values that stand still are wanted ones (Cauchy's
    interlacing: each moves one way only). By magnitude both ends are wanted, and there is nothing to wait for.
    """

    def __init__(self, k: int, which: Which, tol: float) -> None:
        self._k, self._which, self._tol = k, which, tol
        self._last: np.ndarray | None = None
        self._times = 0

    def seen(self, values: np.ndarray) -> bool:
        """After a step with these Ritz values."""
        if self._which == "magnitude":
            return True
        wanted = np.sort(values[order(values, self._which)[: self._k]])
        allowed = self._tol * np.abs(values).max()
        moved = self._last is None or len(self._last) != len(wanted) or (np.abs(wanted - self._last) > allowed).any()
        self._times = 0 if moved else self._times + 1
        self._last = wanted
        return self._times >= STILL


def confirmed(krylov: Krylov, wanted: np.ndarray, which: Which, allowed: float) -> bool:
    """After the subspace closed, whether what followed has a known leading pair that ranks below the wanted.

    One that is better than the last wanted pair is a copy, or new, and there may be more like it: its own subspace must
    close, and the next be looked at.
    """
    if len(krylov.blocks) == 1 or krylov.next is None or krylov.blocks[-1] == krylov.searches:
        return True
    block = krylov.blocks if krylov.blocks[-1] < krylov.size else krylov.blocks[:-1]
    first = block[-1]
    if first == 0:
        return False
    tail = (krylov.beta * krylov.coupling)[first:]
    values, _, residuals, _ = ritz_pairs(krylov.matrix[first:, first:], tail, krylov.noise[first:])
    leading = order(values, which)[: 2 if which == "both" else 1]
    return bool((residuals[leading] <= allowed).all() and not _better(values[leading], wanted, which, allowed))


def unseen(krylov: Krylov, wanted: np.ndarray, which: Which, allowed: float) -> bool | None:
    r"""Whether copies may be missing: True to search (again), None to go on with the search, False if there are none.

    The search began with a random vector orthogonal to all rows. An eigenvector orthogonal to these with the eigenvalue
    μ has in its rows the coordinates $h \propto (\mu - T)^{-1} e$, so its share of that vector is at most
    $|h_1| / \lVert h \rVert$.
    """
    if len(wanted) < (3 if which == "both" else 2) or krylov.restarted or krylov.next is None:
        return False
    if krylov.searches is None:
        return len(krylov.blocks) == 1
    if krylov.blocks[-1] > krylov.searches:
        return False  # it closed, and was confirmed
    if krylov.size == krylov.searches:
        return None
    block = krylov.matrix[krylov.searches :, krylov.searches :]
    values, vectors = np.linalg.eigh((block + block.T) / 2)
    leading = order(values, which)[: 2 if which == "both" else 1]
    if _better(values[leading], wanted, which, allowed):
        return True
    mu = _copies(wanted, which, allowed, max(np.abs(wanted).max(), np.abs(values).max()))
    with np.errstate(divide="ignore", invalid="ignore"):  # a place that is a Ritz value: asked again after a step
        last = vectors[-1] / (mu[:, None] - values)
        shares = np.abs(last @ vectors[0]) / np.linalg.norm(last, axis=1)
    chance = CHANCE * (krylov.operator.n - krylov.searches) ** -0.5
    return False if bool((shares <= chance).all()) else None


def _copies(wanted: np.ndarray, which: Which, allowed: float, scale: float) -> np.ndarray:
    """The eigenvalues nearest to the last wanted that a search has to exclude, at each end asked for."""
    apart = max(allowed, APART * scale)

    def outwards(sizes: np.ndarray) -> float:
        least = sizes.min()
        return float(min([least + GAP * scale, *sizes[sizes > least + apart]]))

    if which == "magnitude":
        place = outwards(np.abs(wanted))
        return np.array([place, -place])
    high = wanted[::2] if which == "both" else wanted[: len(wanted) * (which == "largest")]
    low = wanted[1::2] if which == "both" else wanted[: len(wanted) * (which == "smallest")]
    return np.array([s * outwards(s * side) for s, side in ((1.0, high), (-1.0, low)) if len(side)])


def _better(leading: np.ndarray, wanted: np.ndarray, which: Which, allowed: float) -> bool:
    if which == "magnitude":
        return bool(np.abs(leading[0]) > np.abs(wanted).min() + allowed)
    high, low = wanted[::2] if which == "both" else wanted, wanted[1::2] if which == "both" else wanted
    above = which in {"largest", "both"} and leading[0] > high.min() + allowed
    below = which in {"smallest", "both"} and len(low) > 0 and leading[-1] < low.max() - allowed
    return bool(above or below)


def searched(krylov: Krylov, values: np.ndarray, vectors: np.ndarray, k: int, which: Which) -> bool:
    """Whether an eigenvalue in a gap of the wanted ones, or beyond them, would show by now.

    Known only as long as the first row is the start vector: not asked after a restart or a closed subspace.
    """
    if krylov.restarted or len(krylov.blocks) > 1:
        return True
    mu = _places(values, k, which)
    with np.errstate(divide="ignore", invalid="ignore"):  # a place that is a Ritz value: asked again after a step
        last = krylov.coupling @ vectors / (mu[:, None] - values)
        first = last @ vectors[0]
        return bool(((last**2).sum(1) * krylov.share**2 >= first**2).all())


def _places(values: np.ndarray, k: int, which: Which) -> np.ndarray:
    """Where an unseen eigenvalue would belong to the wanted ones."""
    wanted = np.sort(values[order(values, which)[:k]])
    scale = np.abs(values).max()
    if which == "magnitude":  # both ends, from the smallest wanted magnitude outwards
        inner = np.abs(wanted).min()
        high, low = np.append(wanted[wanted > 0], inner), np.append(wanted[wanted < 0], -inner)
    elif which == "both":
        high, low = wanted[k // 2 :], wanted[: k // 2]
    else:
        high, low = (wanted, wanted[:0]) if which == "largest" else (wanted[:0], wanted)
    high, low = np.sort(high), np.sort(low)
    edges = np.concatenate([low[:1] - 2 * GAP * scale, high[-1:] + 2 * GAP * scale])
    middles = [(side[1:] + side[:-1])[np.diff(side) >= GAP * scale] / 2 for side in (low, high)]
    return np.concatenate([edges, *middles])


def order(values: np.ndarray, which: Which) -> np.ndarray:
    """Indices of ascending `values`, the most wanted first; "both" takes turns, beginning with the largest.

    Examples
    --------
    >>> order(np.array([-3.0, -1.0, 2.0]), "magnitude"), order(np.array([-3.0, -1.0, 2.0]), "both")
    (array([0, 2, 1]), array([2, 0, 1]))
    """
    rising = np.arange(len(values))
    if which == "smallest":
        return rising
    if which == "largest":
        return rising[::-1]
    if which == "magnitude":
        return np.argsort(-np.abs(values), kind="stable")
    return np.stack([rising[::-1], rising], axis=1).ravel()[: len(values)]
