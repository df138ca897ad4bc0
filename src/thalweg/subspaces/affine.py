r"""Lines, planes and boxes: $\theta(c) = \theta_0 + \sum_k c_k d_k$, and the way back.

At $c = 0$ the weights are the origin, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from thalweg.problem.grad import normal

GREEK = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


class Projection(NamedTuple):
    """Where weights lie relative to a subspace: nearest coordinates `(..., dim)` and Euclidean `distance` `(...)`."""

    coords: Tensor
    distance: Tensor


class Subspace(Protocol):
    """A differentiable map from a few named coordinates to weights, `(..., dim) -> (..., num_weights)`."""

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the coordinates."""

    @property
    def info(self) -> dict[str, Any]:
        """How it was made: `kind`, seed, normalisation, ... (provenance)."""

    @property
    def domain(self) -> np.ndarray | None:
        """What a first picture should show, `(dim, 2)`, where that is known beforehand."""

    @property
    def origin(self) -> Tensor:
        """Weights at coordinates zero."""

    def __call__(self, coords: Any) -> Tensor:
        """Weights at `coords`."""

    def arrays(self) -> tuple[Tensor, ...]:
        """What determines the map; a store recognises the subspace by their hash."""


@dataclass(frozen=True, eq=False)
class Box:
    r"""Origin and any number of directions: $\theta(c) = \theta_0 + \sum_k c_k d_k$.

    Parameters
    ----------
    origin
        $\theta_0$, `(num_weights,)`: a tensor or an array. Copied.
    directions
        $d_k$, `(dim, num_weights)`, finite, none zero, linearly independent. They are used as they are: scale them
        first.
    dims
        Names of the coordinates; `alpha`, `beta`, `gamma`, ... by default.
    info
        Provenance, kept with every result: `kind`, `seed`, `normalize`, ...
    anchors
        Coordinates `(k, dim)` of points that a first picture should contain.

    Examples
    --------
    >>> box = Box(torch.zeros(3), torch.eye(3)[:2])
    >>> box(torch.tensor([2.0, -1.0]))
    tensor([ 2., -1.,  0.])
    >>> box.project(torch.tensor([2.0, -1.0, 5.0]))
    Projection(coords=tensor([ 2., -1.], dtype=torch.float64), distance=tensor(5., dtype=torch.float64))
    """

    origin: Tensor
    directions: Tensor
    dims: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
    anchors: np.ndarray | None = None

    def __post_init__(self) -> None:
        origin = torch.as_tensor(self.origin).detach().clone()
        if not origin.is_floating_point():
            origin = origin.double()
        directions = torch.stack([_vector(d, origin, _name(k)) for k, d in enumerate(self.directions)])
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "directions", directions)
        object.__setattr__(self, "dims", tuple(self.dims) or _greek(len(directions)))
        if len(self.dims) != len(directions) or len(set(self.dims)) != len(self.dims):
            raise ValueError(f"{len(directions)} directions need as many different names, not {self.dims}.")
        if not torch.isfinite(origin).all():
            raise ValueError("The origin has non-finite entries; a subspace needs finite weights to start from.")
        _independent(directions)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.dims)

    @property
    def gram(self) -> np.ndarray:
        """Inner products of the directions, `(dim, dim)`, float64."""
        return np.array([[_dot(a, b) for b in self.directions] for a in self.directions])

    @property
    def domain(self) -> np.ndarray | None:
        """The anchors' bounding box with a fifth of its width to spare on each side (and the origin in it)."""
        if self.anchors is None:
            return None
        low, high = self.anchors.min(0), self.anchors.max(0)
        widest = float((high - low).max()) or 1.0
        margin = 0.2 * np.maximum(high - low, 0.25 * widest)
        return np.stack([low - margin, high + margin], axis=1)

    def __call__(self, coords: Any) -> Tensor:
        """Weights at `coords`: `(..., dim) -> (..., num_weights)`, differentiable in them."""
        coords = _coords(coords, self.origin, self.dims)
        theta = normal(self.origin)
        for k, direction in enumerate(normal(self.directions)):
            theta = torch.addcmul(theta, coords[..., k : k + 1], direction)
        return theta

    def project(self, theta: Any) -> Projection:
        r"""Nearest point of the subspace: coordinates $c = G^{-1} D(\theta - \theta_0)$, and the distance that remains.

        `(..., num_weights) -> (..., dim)` and `(...)`, in float64. Inverse of calling, up to rounding.
        """
        theta = torch.as_tensor(theta, device=self.origin.device)
        if theta.shape[-1:] != self.origin.shape:
            raise ValueError(
                f"Weights of shape {tuple(theta.shape)} cannot be projected onto a subspace of "
                f"{self.origin.numel()} weights; their last dim must be {self.origin.numel()}."
            )
        offset = theta.double() - self.origin.double()
        basis, lengths = _units(self.directions)
        inverse = torch.linalg.inv(basis @ basis.T)
        coords = offset @ basis.T @ inverse
        rest = offset - coords @ basis
        correction = rest @ basis.T @ inverse  # one step of refinement, for directions that are nearly dependent
        distance = torch.linalg.vector_norm(rest - correction @ basis, dim=-1)
        return Projection((coords + correction) / lengths, distance)

    def arrays(self) -> tuple[Tensor, ...]:
        """Origin and directions."""
        return self.origin, self.directions


class Line(Box):
    r"""$\theta_0 + \alpha\, u$.

    Examples
    --------
    >>> Line(np.zeros(2), np.array([0.0, 2.0]))(np.array([[0.0], [0.5]]))
    tensor([[0., 0.],
            [0., 1.]], dtype=torch.float64)
    """

    def __init__(self, origin: Any, u: Any, **keywords: Any) -> None:
        super().__init__(origin, [u], **keywords)  # type: ignore[arg-type]

    @property
    def u(self) -> Tensor:
        """The direction."""
        return self.directions[0]


class Plane(Box):
    r"""$\theta_0 + \alpha\, u + \beta\, v$.

    Examples
    --------
    >>> plane = Plane(origin=np.zeros(3), u=np.eye(3)[0], v=np.eye(3)[1])
    >>> plane.dims
    ('alpha', 'beta')
    """

    def __init__(self, origin: Any, u: Any, v: Any, **keywords: Any) -> None:
        super().__init__(origin, [u, v], **keywords)  # type: ignore[arg-type]

    @property
    def u(self) -> Tensor:
        """First direction."""
        return self.directions[0]

    @property
    def v(self) -> Tensor:
        """Second direction."""
        return self.directions[1]


class GridPoints:
    """Points of a subspace by number, made when they are asked for: `points[3:5]` is `(2, num_weights)`."""

    def __init__(self, subspace: Subspace, coords: np.ndarray, like: Tensor) -> None:
        self.subspace, self.coords, self.like = subspace, coords, like

    def __len__(self) -> int:
        """Number of points."""
        return len(self.coords)

    def __getitem__(self, index: slice) -> Tensor:
        """Weights of a slice of the points, with the dtype and on the device of `like`."""
        return self.subspace(self.coords[index]).to(self.like)


def _greek(dim: int) -> tuple[str, ...]:
    return GREEK[:dim] if dim <= len(GREEK) else tuple(f"c{k}" for k in range(dim))


def _name(k: int) -> str:
    return "uvw"[k] if k < 3 else f"number {k}"


def _vector(direction: Any, origin: Tensor, name: str) -> Tensor:
    direction = torch.as_tensor(direction, device=origin.device).detach().to(origin.dtype)
    if direction.shape != origin.shape:
        raise ValueError(
            f"Direction `{name}` has {direction.numel()} entries, but the origin has {origin.numel()} weights. "
            "`random_direction(problem, seed=...)` draws one that fits."
        )
    if not torch.isfinite(direction).all():
        raise ValueError(f"Direction `{name}` has non-finite entries.")
    if not direction.any():
        raise ValueError(
            f"Direction `{name}` is zero: every point along it would be the origin. (Filter-normalised directions "
            "vanish where all weights are zero, or where only biases are trained; see `exclude=` and `normalize=`.)"
        )
    return direction


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.double(), b.double()))


def _units(directions: Tensor) -> tuple[Tensor, Tensor]:
    """Directions of length one, and their lengths; in two steps, as squares of very long or short ones overflow."""
    largest = directions.double().abs().amax(dim=1, keepdim=True)
    scaled = directions.double() / largest
    norms = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / norms, (largest * norms).squeeze(1)


def _independent(directions: Tensor) -> None:
    scaled = [direction / direction.abs().max() for direction in directions]
    gram = np.array([[_dot(a, b) for b in scaled] for a in scaled])
    scale = np.sqrt(np.diag(gram))
    cosines = gram / np.outer(scale, scale)
    if np.linalg.eigvalsh(cosines)[0] < 1e-10:
        raise ValueError(
            f"The directions are linearly dependent (cosines {np.round(cosines[np.triu_indices(len(gram), 1)], 6)}): "
            "they span less than they seem to. Choose other points or another seed."
        )


def _coords(coords: Any, origin: Tensor, dims: tuple[str, ...]) -> Tensor:
    coords = torch.as_tensor(coords, device=origin.device)
    if coords.ndim == 0 or coords.shape[-1] != len(dims):
        raise ValueError(
            f"Coordinates have shape {tuple(coords.shape)}; the last dim must be {len(dims)}: {', '.join(dims)}."
        )
    return coords.to(origin.dtype)
