r"""Directions to look along: random, scaled as the field scales them, or through given weights.

Filter normalisation (Li et al. 2018, arXiv:1712.09913, section 4) gives each filter of a Gaussian direction the norm of
the network's filter, $d_{ij} \leftarrow \frac{d_{ij}}{\lVert d_{ij}\rVert} \lVert\theta_{ij}\rVert$, so that surfaces
can be compared although ReLU layers may be rescaled. Biases and normalisation parameters are left alone, as in the
paper's figures.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from thalweg.problem import Problem
from thalweg.subspaces.affine import Box, Line, Plane
from thalweg.weights import KINDS, NOT_WEIGHTS, Kind, Layout

Normalize = Literal["filter", "layer"] | None


def filter_normalize(direction: Tensor, theta: Tensor, layout: Layout) -> Tensor:
    r"""Give each filter of `direction` the norm of the same filter of `theta`.

    A filter is an output channel of a convolution, a row of a matrix (the weights of one unit), or a whole vector. One
    whose norm in `direction` is zero stays zero.

    Examples
    --------
    >>> from torch import nn
    >>> layout = Layout.of(nn.Linear(2, 2, bias=False))
    >>> filter_normalize(torch.tensor([3.0, 4.0, 0.0, 2.0]), torch.tensor([1.0, 0.0, 0.0, 7.0]), layout)
    tensor([0.6000, 0.8000, 0.0000, 7.0000])
    """
    scaled = direction.clone()
    for block in layout.blocks:
        part = direction[block.slice]
        scale = _ratio(block.filter_norms(theta[block.slice]), block.filter_norms(part))
        scaled[block.slice] = (part.reshape(block.filter_shape) * scale).reshape(-1)
    return scaled


def layer_normalize(direction: Tensor, theta: Tensor, layout: Layout) -> Tensor:
    """Give each parameter tensor of `direction` the norm of the same tensor of `theta`.

    Examples
    --------
    >>> layout = Layout.vector(2, torch.float32)
    >>> layer_normalize(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 10.0]), layout)
    tensor([6., 8.])
    """
    scaled = direction.clone()
    for block in layout.blocks:
        part = direction[block.slice]
        scaled[block.slice] = part * _ratio(theta[block.slice].norm(), part.norm())
    return scaled


def random_directions(
    problem: Problem,
    num: int,
    *,
    seed: int,
    normalize: Normalize = "filter",
    exclude: Collection[Kind] = NOT_WEIGHTS,
    orthogonal: bool = False,
) -> Tensor:
    r"""Gaussian directions `(num, num_weights)`, the same for the same `seed` on every device.

    Parameters
    ----------
    normalize
        `"filter"` (Li et al. 2018), `"layer"` (each parameter tensor), or `None` (plain Gaussian).
    exclude
        Kinds of parameters that the directions leave alone: of `bias`, `norm`, `vector` (other parameters of at most
        one dim), `weight`. By default all but `weight`. `()` moves everything.
    orthogonal
        Make them orthogonal *after* scaling, each keeping its length (single filters then differ slightly in norm).
        Random directions are nearly orthogonal in high dimensions anyway: cosines of order $1/\sqrt n$.

    Raises
    ------
    ValueError
        If nothing is left to move.
    """
    if normalize not in ("filter", "layer", None):
        raise ValueError(f"normalize={normalize!r}; expected 'filter', 'layer' or None.")
    unknown = set(exclude) - set(KINDS)
    if isinstance(exclude, str) or unknown:
        raise ValueError(f"exclude={exclude!r}; expected a tuple of kinds out of {', '.join(KINDS)}.")
    layout, theta = problem.layout, problem.theta
    generator = torch.Generator().manual_seed(int(seed))
    directions = []
    for _ in range(num):
        direction = torch.randn(layout.num_weights, generator=generator, dtype=torch.float32).to(theta)
        for block in layout.blocks:
            if block.kind in exclude:
                direction[block.slice] = 0.0
        if not direction.any():
            kinds = sorted({block.kind for block in layout.blocks})
            raise ValueError(
                f"All parameters are of the kinds {kinds}, which `exclude={tuple(exclude)}` leaves alone. Pass "
                "`exclude=()`."
            )
        directions.append(_scale(direction, theta, layout, normalize))
    stacked = torch.stack(directions)
    if not stacked.any(dim=1).all():
        raise ValueError(
            f"normalize={normalize!r} scaled a direction to zero, because the weights are all zero. Pass "
            "`normalize=None`."
        )
    return _orthogonalized(stacked) if orthogonal else stacked


def random_direction(problem: Problem, *, seed: int, **options: Any) -> Tensor:
    """One of `random_directions`, `(num_weights,)`."""
    return random_directions(problem, 1, seed=seed, **options)[0]


def random_line(problem: Problem, *, seed: int = 0, normalize: Normalize = "filter", **options: Any) -> Line:
    """A line through the problem's weights along a random direction; see `random_directions`."""
    (u,) = random_directions(problem, 1, seed=seed, normalize=normalize, **options)
    return Line(problem.theta, u, info=_info("random", seed, normalize, options))


def random_plane(problem: Problem, *, seed: int = 0, normalize: Normalize = "filter", **options: Any) -> Plane:
    """A plane through the problem's weights along two random directions; see `random_directions`.

    Examples
    --------
    >>> from thalweg.problem import FunctionProblem
    >>> plane = random_plane(FunctionProblem(lambda x, y: x * y, theta=[1.0, 1.0]), seed=0)
    >>> plane.u.norm()  # the norm of theta
    tensor(1.4142, dtype=torch.float64)
    """
    u, v = random_directions(problem, 2, seed=seed, normalize=normalize, **options)
    return Plane(problem.theta, u, v, info=_info("random", seed, normalize, options))


def random_box(problem: Problem, dim: int, *, seed: int = 0, normalize: Normalize = "filter", **options: Any) -> Box:
    """A box of any dimension through the problem's weights; see `random_directions`."""
    directions = random_directions(problem, dim, seed=seed, normalize=normalize, **options)
    return Box(problem.theta, directions, info=_info("random", seed, normalize, options))


def coordinate_plane(problem: Problem, i: int = 0, j: int = 1) -> Plane:
    """The plane in which weights `i` and `j` vary and are its coordinates; the others stay.

    Examples
    --------
    >>> from thalweg.problem import FunctionProblem
    >>> coordinate_plane(FunctionProblem(lambda x, y: x - y))(torch.tensor([3.0, 2.0]))
    tensor([3., 2.], dtype=torch.float64)
    """
    origin = problem.theta
    units = torch.zeros(2, problem.num_weights).to(origin)
    for row, index in zip(units, (i, j), strict=True):
        if not 0 <= index < problem.num_weights:
            raise ValueError(f"There is no weight {index}; the problem has {problem.num_weights}.")
        row[index], origin[index] = 1.0, 0.0
    names = getattr(problem, "names", None)
    labels = [names[k] if names else problem.layout.name(k) for k in (i, j)]
    return Plane(origin, *units, info={"kind": "coordinates", "labels": labels})


def plane_through(a: Any, b: Any, c: Any) -> Plane:
    r"""The plane that contains three weight vectors (Garipov et al. 2018, arXiv:1802.10026, appendix A.1).

    Origin $a$; $u$ along $b - a$, $v$ along the part of $c - a$ orthogonal to it, both of unit length: coordinates are
    Euclidean distances in weight space. The three points are the plane's `anchors`.

    Examples
    --------
    >>> plane = plane_through(torch.zeros(3), torch.tensor([0.0, 2.0, 0.0]), torch.tensor([3.0, 4.0, 0.0]))
    >>> plane.anchors
    array([[0., 0.],
           [2., 0.],
           [4., 3.]])
    """
    a, b, c = (torch.as_tensor(point).detach() for point in (a, b, c))
    if not a.shape == b.shape == c.shape:
        raise ValueError(
            f"The points have {a.numel()}, {b.numel()} and {c.numel()} weights; a plane needs points of one space."
        )
    first, second = b.double() - a.double(), c.double() - a.double()
    length = first.norm()
    u = first / length
    along = second @ u
    across = second - along * u
    across -= (across @ u) * u
    width = across.norm()
    if not length > 0 or not width > 1e-6 * second.norm():
        raise ValueError("The three points lie on a line; a plane needs three that do not. `Segment(a, b)` joins two.")
    anchors = np.array([[0.0, 0.0], [float(length), 0.0], [float(along), float(width)]])
    info = {"kind": "through", "normalize": "unit length", "points": dict(zip("abc", anchors.tolist(), strict=True))}
    dtype = a.dtype if a.is_floating_point() else torch.float64
    return Plane(a.to(dtype), u.to(dtype), (across / width).to(dtype), info=info, anchors=anchors)


def _scale(direction: Tensor, theta: Tensor, layout: Layout, normalize: Normalize) -> Tensor:
    if normalize is None:
        return direction
    return (filter_normalize if normalize == "filter" else layer_normalize)(direction, theta, layout)


def _orthogonalized(directions: Tensor) -> Tensor:
    """Gram-Schmidt, twice for accuracy, dividing by the norm; lengths are kept."""
    basis: list[Tensor] = []
    lengths = directions.double().norm(dim=1, keepdim=True)
    for direction in directions.double() / lengths:
        rest = direction
        for _ in range(2):
            for unit in basis:
                rest = rest - (rest @ unit) * unit
        if not rest.norm() > 1e-6:
            raise ValueError(
                f"{len(directions)} orthogonal directions do not fit: after {len(basis)} nothing but rounding is left. "
                f"Only {int(directions.any(dim=0).sum())} weights move (see `exclude=`); ask for fewer directions."
            )
        basis.append(rest / rest.norm())
    return (torch.stack(basis) * lengths).to(directions.dtype)


def _ratio(wanted: Tensor, have: Tensor) -> Tensor:
    return torch.where(have > 0, wanted / torch.where(have > 0, have, torch.ones_like(have)), torch.zeros_like(have))


def _info(kind: str, seed: int, normalize: Normalize, options: dict[str, Any]) -> dict[str, Any]:
    exclude = options.get("exclude", NOT_WEIGHTS)
    return {
        "kind": kind,
        "seed": seed,
        "normalize": normalize or "none",
        "exclude": ", ".join(exclude) or "nothing",
        "orthogonal": bool(options.get("orthogonal", False)),
    }
