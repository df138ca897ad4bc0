"""Curves between weights: a coordinate `t` from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.problem.grad import normal
from thalweg.subspaces.affine import Projection, _coords, _vector


@dataclass(frozen=True, eq=False)
class Segment:
    r"""The straight way from `a` to `b`: $\theta(t) = (1 - t)\, a + t\, b$ (Goodfellow et al. 2015, arXiv:1412.6544).

    Meets both ends to the bit. `t` outside [0, 1] goes on along the same line.

    Examples
    --------
    >>> segment = Segment(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0]))
    >>> segment(torch.tensor([[0.0], [0.5], [1.0]]))
    tensor([[0., 1.],
            [1., 1.],
            [2., 1.]])
    """

    a: Tensor
    b: Tensor
    info: dict[str, Any] = field(default_factory=lambda: {"kind": "segment"})

    def __post_init__(self) -> None:
        a = torch.as_tensor(self.a).detach().clone()
        a = a if a.is_floating_point() else a.double()
        b = torch.as_tensor(self.b, device=a.device).detach().to(a.dtype).clone()
        if b.shape != a.shape:
            raise ValueError(f"The ends have {a.numel()} and {b.numel()} weights; a segment joins points of one space.")
        _vector(b - a, a, "b - a")
        object.__setattr__(self, "a", a)
        object.__setattr__(self, "b", b)

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

    def __call__(self, coords: Any) -> Tensor:
        """Weights at `t`: `(..., 1) -> (..., num_weights)`, differentiable."""
        return torch.lerp(normal(self.a), normal(self.b), _coords(coords, self.a, self.dims))

    def project(self, theta: Any) -> Projection:
        """Nearest `t` on the whole line, and the distance that remains."""
        theta = torch.as_tensor(theta, device=self.a.device).double()
        along, offset = self.b.double() - self.a.double(), theta - self.a.double()
        t = (offset @ along / (along @ along)).unsqueeze(-1)
        return Projection(t, torch.linalg.vector_norm(offset - t * along, dim=-1))

    def arrays(self) -> tuple[Tensor, ...]:
        """Both ends."""
        return self.a, self.b
