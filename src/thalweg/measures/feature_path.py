r"""Principal features followed along training: signs and order are free at every step, and made to agree.

A singular vector is known up to its sign, and two features swap places where their singular values cross. Each step's
features are matched one to one with those of the step before, so that the sum of the absolute cosines between partners
is largest (Kuhn's assignment), and turned so that these cosines are positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

_SAME = 1e-9  # what staying in place is worth, where nothing else decides


class Followed(NamedTuple):
    """Features `(row, k)` of a step in the order of the step before; by feature, the `place` of its singular value and
    the `agreement` with itself one step before.
    """

    features: np.ndarray
    place: np.ndarray
    agreement: np.ndarray


class FeaturePath:
    """Follows `k` features; steps without any (a network that diverged) are skipped."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def add(self, features: np.ndarray) -> Followed:
        """The features of the next step, `(row, k)`, ordered by their singular values; columns may be zero.

        Examples
        --------
        >>> path = FeaturePath()
        >>> first = path.add(np.array([[3.0, 0.0], [0.0, 2.0]]))
        >>> path.add(np.array([[0.0, -2.4], [2.5, 0.0]]))  # they crossed, and one changed its sign
        Followed(features=array([[2.4, 0. ], [0. , 2.5]]), place=array([2, 1]), agreement=array([1., 1.]))
        """
        k = features.shape[1]
        sizes = np.linalg.norm(features, axis=0)
        units = features / np.where(sizes > 0, sizes, 1.0)
        if self._last is None:
            order, cosines, agreement = np.arange(k), np.zeros(k), np.full(k, np.nan)
        else:
            table = self._last.T @ units
            order = linear_sum_assignment(-np.abs(table) - _SAME * np.eye(k))[1]
            cosines = table[np.arange(k), order]
            agreement = np.minimum(np.abs(cosines), 1.0)
        features, units = features[:, order], units[:, order]
        largest = features[np.abs(features).argmax(0), np.arange(k)]
        signs = np.where(np.where(cosines == 0, largest, cosines) < 0, -1.0, 1.0)
        before = np.zeros_like(units) if self._last is None else self._last
        self._last = np.where(np.abs(units).any(0), units * signs, before)
        return Followed(features * signs + 0.0, order + 1, agreement)
