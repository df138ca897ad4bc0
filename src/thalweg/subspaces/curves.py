"""Curves between weights: a coordinate `t` from 0 to 1.

- `Segment`: the straight way.
- `PolygonalChain`: straight from bend to bend.
- `BezierCurve`: smooth, drawn towards its bends without meeting them.

`measures.connect` learns the bends. The ends stay where they are, to the bit.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from thalweg.problem.grad import normal
from thalweg.subspaces.affine import Projection, _vector
from thalweg.subspaces.curve import Curve, _check_count, _with_ends, as_places, finite_rows

_ROUNDED = 4 * np.finfo(np.float64).eps
_MOST_NODES = 1000


@dataclass(frozen=True, eq=False)
class Segment(Curve):
    r"""The straight way from `a` to `b`: $\theta(t) = (1 - t)\, a + t\, b$ (Goodfellow et al. 2015, arXiv:1412.6544).

    Meets both ends to the bit. `t` outside [0, 1] goes on along the same line.

    Examples
    --------
    >>> segment = Segment(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0]))
    >>> segment(torch.tensor([[0.0], [0.5], [1.0]]))
    tensor([[0., 1.],
            [1., 1.],
            [2., 1.]])
    >>> segment.length()
    2.0
    """

    a: Tensor
    b: Tensor
    info: dict[str, Any] = field(default_factory=lambda: {"kind": "segment"})

    def __post_init__(self) -> None:
        a = torch.as_tensor(self.a).detach().clone()
        if a.is_complex() or torch.as_tensor(self.b).is_complex():
            raise TypeError("The ends are complex; weights are real. Pass both parts as weights.")
        a = a if a.is_floating_point() else a.double()
        b = torch.as_tensor(self.b, device=a.device).detach().to(a.dtype).clone()
        if b.shape != a.shape:
            raise ValueError(f"The ends have {a.numel()} and {b.numel()} weights; a segment joins points of one space.")
        _vector(b - a, a, "b - a")
        object.__setattr__(self, "a", a)
        object.__setattr__(self, "b", b)

    @property
    def nodes(self) -> Tensor:  # type: ignore[override]
        """Both ends, `(2, num_weights)`: a copy."""
        return torch.stack([self.a, self.b])

    def weights(self, t: Any) -> Tensor:
        """$(1 - t, t)$."""
        t = as_places(t, self.a)
        return torch.stack([1 - t, t], dim=-1)

    def __call__(self, coords: Any) -> Tensor:
        """Weights at `t`: `(..., 1) -> (..., num_weights)`, differentiable. A bare number is one `t`."""
        t = self._places(coords).unsqueeze(-1).to(self.a.dtype)
        return torch.lerp(normal(self.a), normal(self.b), t)

    def project(self, theta: Any) -> Projection:
        """Nearest `t` on the whole line, and the distance that remains."""
        theta = torch.as_tensor(theta, device=self.a.device).double()
        along, offset = self.b.double() - self.a.double(), theta - self.a.double()
        t = (offset @ along / (along @ along)).unsqueeze(-1)
        return Projection(t, torch.linalg.vector_norm(offset - t * along, dim=-1))

    def arc_length(self, t: Any) -> np.ndarray:
        r"""$t \lVert b - a \rVert$: `(...) -> (...)`."""
        return np.asarray(t, dtype=np.float64) * np.sqrt(self.gram[0, 0])

    def at_equal_arc_length(self, num_points: int) -> np.ndarray:
        """Evenly spaced `t`."""
        _check_count(num_points)
        return np.linspace(0.0, 1.0, num_points)

    def arrays(self) -> tuple[Tensor, ...]:
        """Both ends."""
        return self.a, self.b

    def _slopes(self, t: Any) -> Tensor:
        return torch.ones_like(as_places(t, self.a)).unsqueeze(-1)


@dataclass(frozen=True, eq=False)
class _Bent(Curve):
    """A curve given by its control points.

    Parameters
    ----------
    nodes
        Control points `(num_nodes, num_weights)`, two or more: the ends first and last, between them the bends. Copied,
        and not to be written to afterwards (`with_bends` makes another curve). The ends are finite; bends need not be
        (a training that diverged).
    info
        Provenance, kept with every result.
    """

    nodes: Tensor
    info: dict[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        nodes = _copied(self.nodes)
        if nodes.is_complex():
            raise TypeError("The control points are complex; weights are real. Pass both parts as weights.")
        nodes = nodes if nodes.is_floating_point() else nodes.double()
        if nodes.ndim != 2 or len(nodes) < 2 or not nodes.shape[1]:
            raise ValueError(
                f"The control points have shape {tuple(nodes.shape)}; expected (num_nodes, num_weights), one row for "
                "each end and one for each bend between them."
            )
        if not finite_rows(nodes[[0, -1]]).all():
            raise ValueError("An end of the curve has non-finite weights; a curve needs ends to start and to arrive.")
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "info", {"kind": self.kind, "num_bends": len(nodes) - 2} | dict(self.info))

    @property
    def a(self) -> Tensor:  # type: ignore[override]
        """The end at `t = 0`."""
        return self.nodes[0]

    @property
    def b(self) -> Tensor:  # type: ignore[override]
        """The end at `t = 1`."""
        return self.nodes[-1]

    @classmethod
    def between(cls, a: Any, b: Any, num_bends: int = 1) -> Self:
        """The curve whose bends lie on the segment from `a` to `b`, evenly spaced: the segment itself."""
        if isinstance(num_bends, bool) or not isinstance(num_bends, (int, np.integer)) or num_bends < 0:
            raise ValueError(f"num_bends={num_bends!r}; expected a whole number from 0.")
        return cls(Segment(a, b)(torch.linspace(0, 1, int(num_bends) + 2, dtype=torch.float64).unsqueeze(-1)))

    def with_bends(self, bends: Any) -> Self:
        """The same curve with other bends `(num_bends, num_weights)`: as many, or more or fewer. A graph is kept."""
        bends = torch.as_tensor(bends, device=self.a.device).to(self.a.dtype)
        if bends.ndim != 2 or bends.shape[1:] != self.a.shape:
            raise ValueError(
                f"The bends have shape {tuple(bends.shape)}; expected (num_bends, {self.a.numel()}), one row for each."
            )
        other = copy.copy(self)
        for known in ("gram", "_finite", "_travelled"):
            other.__dict__.pop(known, None)
        object.__setattr__(other, "nodes", torch.cat([self.a.unsqueeze(0), bends, self.b.unsqueeze(0)]))
        object.__setattr__(other, "info", self.info | {"num_bends": len(bends)})
        return other


@dataclass(frozen=True, eq=False)
class PolygonalChain(_Bent):
    r"""Straight from control point to control point (Garipov et al. 2018, arXiv:1802.10026, eq. 3).

    With $m$ control points, $\theta(t) = (1 - s)\,\theta_k + s\,\theta_{k+1}$ for $k = \lfloor (m-1)\,t \rfloor$ and
    $s = (m-1)\,t - k$. It meets all of them, at evenly spaced `t`. Each bend moves the two pieces beside it only.

    Parameters
    ----------
    nodes
        Control points `(num_nodes, num_weights)`, two or more: the ends first and last, between them the bends. Copied,
        and not to be written to afterwards (`with_bends` makes another curve). The ends are finite; bends need not be
        (a training that diverged).
    info
        Provenance, kept with every result.

    Examples
    --------
    >>> chain = PolygonalChain([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    >>> chain(0.25)
    tensor([1.5000, 2.0000])
    >>> chain.length(), chain.at_equal_arc_length(4).round(3)
    (9.0, array([0.  , 0.3 , 0.625, 1.  ]))
    """

    kind: ClassVar[str] = "polygonal"

    def weights(self, t: Any) -> Tensor:
        """Hats: 1 at the control point's own `t`, falling to 0 at its neighbours'."""
        t, on, s = self._pieces(t)
        return F.pad(on * (1 - s), (0, 1)) + F.pad(on * s, (1, 0))

    def arc_length(self, t: Any) -> np.ndarray:
        """Exact: `(...) -> (...)`."""
        x = np.asarray(t, dtype=np.float64) * (len(self.nodes) - 1)
        piece = np.clip(np.floor(x).astype(int), 0, len(self.nodes) - 2)
        lengths = np.sqrt(np.diag(self.gram))
        return np.concatenate([[0.0], np.cumsum(lengths)])[piece] + (x - piece) * lengths[piece]

    def at_equal_arc_length(self, num_points: int) -> np.ndarray:
        """Those `t`, both ends among them, between which the way is equally long; exact."""
        _check_count(num_points)
        self._long()
        joints = np.linspace(0.0, 1.0, len(self.nodes))
        travelled = self.arc_length(joints)
        return _with_ends(np.interp(travelled[-1] * np.linspace(0.0, 1.0, num_points), travelled, joints))

    def _pieces(self, t: Any) -> tuple[Tensor, Tensor, Tensor]:
        """`t`, a one at the piece where it lies, and how far along that piece."""
        t = as_places(t, self.a)
        pieces = len(self.nodes) - 1
        x = (t * pieces).unsqueeze(-1)
        at, node = x.detach(), x.detach().round()
        x = x + torch.where((at - node).abs() <= _ROUNDED * node.abs().clamp_min(1), node - at, torch.zeros_like(at))
        k = x.detach().floor().clamp(0, pieces - 1)
        return t, (k == torch.arange(pieces, device=k.device)).to(x.dtype), x - k

    def _slopes(self, t: Any) -> Tensor:
        return (len(self.nodes) - 1) * self._pieces(t)[1]


@dataclass(frozen=True, eq=False)
class BezierCurve(_Bent):
    r"""A Bezier curve of degree $n$ with $n + 1$ control points (Garipov et al. 2018, arXiv:1802.10026, eq. 4).

    $\theta(t) = \sum_{k=0}^{n} \binom{n}{k} (1 - t)^{n-k}\, t^k\, \theta_k$. It meets its ends only, where it runs
    towards the next control point, and stays in the convex hull of all.

    Parameters
    ----------
    nodes
        Control points `(num_nodes, num_weights)`, two or more: the ends first and last, between them the bends. Copied,
        and not to be written to afterwards (`with_bends` makes another curve). The ends are finite; bends need not be
        (a training that diverged).
    info
        Provenance, kept with every result.

    Examples
    --------
    >>> arch = BezierCurve([[0.0, 0.0], [1.0, 2.0], [2.0, 0.0]])
    >>> arch(0.5), arch.tangent(0.0)
    (tensor([1., 1.]), tensor([2., 4.]))
    >>> round(arch.length(), 6)
    2.957886
    """

    kind: ClassVar[str] = "bezier"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.nodes) > _MOST_NODES:
            raise ValueError(
                f"A Bezier curve of {len(self.nodes)} control points has coefficients beyond what numbers hold; at "
                f"most {_MOST_NODES} are possible. A PolygonalChain takes any number."
            )

    def weights(self, t: Any) -> Tensor:
        r"""Bernstein polynomials $\binom{n}{k} (1 - t)^{n-k}\, t^k$."""
        return _bernstein(as_places(t, self.a), len(self.nodes) - 1)

    def _slopes(self, t: Any) -> Tensor:
        degree = len(self.nodes) - 1
        return degree * _bernstein(as_places(t, self.a), degree - 1)


CURVES: dict[str, type[_Bent]] = {kind.kind: kind for kind in (PolygonalChain, BezierCurve)}


def _bernstein(t: Tensor, degree: int) -> Tensor:
    terms = [float(math.comb(degree, k)) * (1 - t) ** (degree - k) * t**k for k in range(degree + 1)]
    return torch.stack(terms, dim=-1)


def _copied(nodes: Any) -> Tensor:
    """Control points in a tensor of their own."""
    if isinstance(nodes, Tensor):
        return nodes.detach().clone()
    if isinstance(nodes, np.ndarray):
        return torch.from_numpy(np.array(nodes))
    rows = [torch.as_tensor(node).detach() for node in nodes]
    if len({row.shape for row in rows}) > 1:
        sizes = " and ".join(str(size) for size in sorted({row.numel() for row in rows}))
        raise ValueError(f"The control points have {sizes} weights; they lie in one space.")
    return torch.stack([row.to(rows[0]) for row in rows]) if rows else torch.empty(0, 0)
