r"""What all curves have in common: a combination of control points, and their geometry.

With control points (nodes) $\theta_0 \dots \theta_{m-1}$ and coefficients $w_k(t)$ that sum to one, $\theta(t) = \sum_k
w_k(t)\,\theta_k$. The tangent is a combination of differences, $\theta'(t) = \sum_k c_k(t)\,(\theta_{k+1} - \theta_k)$,
so that the speed $\lVert\theta'\rVert^2 = c^\top G c$ needs no more than their inner products $G$, formed once: lengths
cost nothing that grows with the number of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.problem.grad import normal

_CHUNK = 2**20
_PANELS = 256
_HALVINGS = 50
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


class Curve(ABC):
    """A curve in weight space, `t` from 0 to 1; goes on beyond both ends.

    Its control points are not to be written to: what is known of its geometry is kept.
    """

    info: dict[str, Any]
    a: Tensor
    b: Tensor
    nodes: Tensor

    @abstractmethod
    def weights(self, t: Any) -> Tensor:
        """Coefficients of the control points, `(...) -> (..., num_nodes)`, float64, differentiable; their sum is 1."""

    @abstractmethod
    def _slopes(self, t: Any) -> Tensor:
        """Coefficients of the differences of control points in the tangent, `(...) -> (..., num_nodes - 1)`."""

    @property
    def dims(self) -> tuple[str, ...]:
        """`("t",)`."""
        return ("t",)

    @property
    def domain(self) -> np.ndarray:
        """From end to end."""
        return np.array([[0.0, 1.0]])

    @property
    def origin(self) -> Tensor:
        """The end at `t = 0`."""
        return self.a

    @property
    def bends(self) -> Tensor:
        """The control points between the ends, `(num_bends, num_weights)`."""
        return self.nodes[1:-1]

    def arrays(self) -> tuple[Tensor, ...]:
        """The control points, and the coefficients at one place: two kinds of curve may share their points."""
        return self.nodes, self.weights(1 / 3)

    def __call__(self, coords: Any) -> Tensor:
        """Weights at `t`: `(..., 1) -> (..., num_weights)`, differentiable in `t` and in the bends.

        A bare number is one `t`. Both ends are met to the bit.
        """
        t = self._places(coords)
        theta = combination(self.weights(t), self.nodes)
        if self._finite:
            return theta
        t = t.unsqueeze(-1)  # a bend that diverged is no part of the ends, though 0 * inf is
        return torch.where(t == 0, self.a, torch.where(t == 1, self.b, theta))

    def tangent(self, coords: Any) -> Tensor:
        r"""$\theta'(t)$: `(..., 1) -> (..., num_weights)`; where a chain bends, that of the piece that begins."""
        return combination(self._slopes(self._places(coords)), torch.diff(self.nodes, dim=0))

    def length(self) -> float:
        r"""Euclidean length from end to end, $\int_0^1 \lVert\theta'(t)\rVert\,dt$; nan if a bend is not finite."""
        return float(self.arc_length(1.0))

    def arc_length(self, t: Any) -> np.ndarray:
        r"""Length of the way from `t = 0`, $\int_0^t \lVert\theta'(\tau)\rVert\,d\tau$: `(...) -> (...)`, float64."""
        t = np.asarray(t, dtype=np.float64)
        panel = np.clip(np.floor(t * _PANELS).astype(int), 0, _PANELS - 1)
        return self._travelled[panel] + self._stretch(panel / _PANELS, t)

    def at_equal_arc_length(self, num_points: int) -> np.ndarray:
        """Those `t`, both ends among them, between which the way is equally long: `(num_points,)`, increasing.

        Raises
        ------
        ValueError
            If the curve has no length, or one that is not finite.
        """
        _check_count(num_points)
        wanted = self._long() * np.arange(num_points) / (num_points - 1)
        panel = np.clip(np.searchsorted(self._travelled, wanted, side="right") - 1, 0, _PANELS - 1)
        low, high = panel / _PANELS, (panel + 1) / _PANELS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            short = self.arc_length(middle) < wanted
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return _with_ends((low + high) / 2)

    def _long(self) -> float:
        """The length, if places can be spread over it."""
        length = self.length()
        if not 0 < length < np.inf:
            raise ValueError(
                f"The curve has length {length:g}, over which no places can be spread: its control points are "
                f"{'all equal' if length == 0 else 'not finite, or too far apart'}."
            )
        return length

    @cached_property
    def gram(self) -> np.ndarray:
        """Inner products of the differences of neighbouring control points, float64."""
        return inner_products(torch.diff(self.nodes.detach(), dim=0))

    @cached_property
    def _finite(self) -> bool:
        return bool(finite_rows(self.nodes.detach()).all())

    @cached_property
    def _travelled(self) -> np.ndarray:
        """Length of the way to the start of each panel, and to the end."""
        edges = np.arange(_PANELS + 1) / _PANELS
        return np.concatenate([[0.0], np.cumsum(self._stretch(edges[:-1], edges[1:]))])

    def _stretch(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Length of the way between places, by Gauss-Legendre quadrature."""
        half, middle = (stop - start) / 2, (stop + start) / 2
        return (self._speed(middle[..., None] + half[..., None] * _NODES) * _WEIGHTS).sum(-1) * half

    def _speed(self, t: np.ndarray) -> np.ndarray:
        slopes = self._slopes(t).cpu().numpy()
        return np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", slopes, self.gram, slopes), 0.0))

    def _places(self, coords: Any) -> Tensor:
        """`t` without the dim of the coordinates."""
        t = as_places(coords, self.a)
        if t.ndim == 0:
            return t
        if t.shape[-1] != 1:
            raise ValueError(f"Coordinates have shape {tuple(t.shape)}; the last dim must be 1: t.")
        return t[..., 0]


def combination(coefficients: Tensor, vectors: Tensor) -> Tensor:
    """Sum of vectors `(m, n)` with coefficients `(..., m)`: `(..., n)`, exact where one is 1 and all others are 0.

    Not as a product of matrices, whose arithmetic may be set to be less precise than the vectors are.
    """
    coefficients, vectors = coefficients.to(vectors.dtype), normal(vectors)
    total = coefficients[..., :1] * vectors[0]
    for k in range(1, len(vectors)):
        total = torch.addcmul(total, coefficients[..., k : k + 1], vectors[k])
    return total


def inner_products(vectors: Tensor) -> np.ndarray:
    """Gram matrix of the rows in float64, by parts, so that nothing of their size is widened as a whole."""
    gram = torch.zeros(len(vectors), len(vectors), dtype=torch.float64, device=vectors.device)
    for start in range(0, vectors.shape[1], _CHUNK):
        part = vectors[:, start : start + _CHUNK].double()
        gram += part @ part.T
    return gram.cpu().numpy()


def finite_rows(vectors: Tensor) -> Tensor:
    """Whether all entries of each row are finite, without a table of answers as large as the rows."""
    return torch.isfinite(torch.linalg.vector_norm(vectors, ord=float("inf"), dim=-1))


def as_places(t: Any, like: Tensor) -> Tensor:
    """`t` in float64 where the curve is; a graph is kept."""
    if not isinstance(t, Tensor):  # torch would make numbers float32, and warn of arrays that are not to be written to
        t = torch.from_numpy(np.array(t, dtype=np.float64))
    return t.to(like.device, torch.float64)


def _check_count(num_points: int) -> None:
    if isinstance(num_points, bool) or not isinstance(num_points, (int, np.integer)) or num_points < 2:
        raise ValueError(f"num_points={num_points!r}; expected a whole number from 2, as both ends are among them.")


def _with_ends(t: np.ndarray) -> np.ndarray:
    t[0], t[-1] = 0.0, 1.0
    return t
