r"""Where the gradient vanishes in a plane: minima, saddles, maxima; the gradient field; and what lies below a level.

Along a plane the loss is $\varphi(c) = L(\theta(c))$, with gradient $\partial_k \varphi = \nabla L \cdot d_k$ and
Hessian $d_j^\top \nabla^2 L\, d_k$. Critical points of $\varphi$ are found by minimising
$\frac12 |\nabla \varphi|^2$ with damped Newton (Levenberg-Marquardt) steps $-(H^2 + \mu I)^{-1} H g$, which, unlike
descent, also end on saddles and maxima (Frye et al. 2019, arXiv:1901.10603). In more than two dimensions a minimum of
$\varphi$ need not be one of $L$.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import ndimage
from scipy.spatial import cKDTree

from thalweg import schema
from thalweg.measures.ends import at, products
from thalweg.measures.extent import asked
from thalweg.measures.request import need_problem, subspace_id
from thalweg.measures.surface import loss_surface
from thalweg.problem import Problem
from thalweg.store import provenance
from thalweg.subspaces import Box

TYPES = ("minimum", "saddle", "maximum", "degenerate minimum", "degenerate maximum", "degenerate")
_STEPS = 80
_BESIDE = 0.05  # cells: how far from a point its curvature is compared
_FLAT = 1e-6  # of the largest curvature: an eigenvalue that counts as zero
_SMALL = 1e-8  # of the largest gradient close by: a gradient that counts as zero
_STEP = 0.01  # cells: a Newton step as short as this ends at a critical point
_RINGS = (0.05, 0.3, 1.0)  # cells: how far off "close by" is


def gradient_field(
    problem: Problem, plane: Box, *, extent: Any = "auto", points: Any = 51, **options: Any
) -> xr.Dataset:
    r"""The loss surface with its gradient in the plane at every point, and the gradient's length.

    Parameters
    ----------
    problem, plane, extent, points, options
        As for `loss_surface`; the result is kept in memory (`save` writes it).

    Returns
    -------
    Dataset
        Kind `surface` with `gradient(alpha, beta, coordinate)` $= \nabla_c \varphi$ and `gradient_norm(alpha, beta)`
        $= \sqrt{\nabla_c \varphi^\top G^{-1} \nabla_c \varphi}$, $G_{jk} = d_j \cdot d_k$: the length of the part of
        $\nabla L$ that lies in the plane.

    Examples
    --------
    >>> from thalweg import FunctionProblem, coordinate_plane
    >>> bowl = FunctionProblem(lambda x, y: x**2 + y**2)
    >>> field = gradient_field(bowl, coordinate_plane(bowl), extent=3.0, points=3)
    >>> field.gradient.sel(alpha=3.0, beta=0.0).values, float(field.gradient_norm.max().round(4))
    (array([6., 0.]), 8.4853)
    """
    if "store" in options:
        raise ValueError("A gradient field is kept in memory; write it with `thalweg.save(field, store, name)`.")
    found = loss_surface(problem, plane, extent=extent, points=points, gradient=True, **options)
    slope = found["gradient"].values
    inverse = np.linalg.inv(plane.gram)
    norm = np.sqrt(np.einsum("...i,ij,...j->...", slope, inverse, slope))
    _, at_origin = at(problem, plane.origin.unsqueeze(0).to(problem.theta).cpu().numpy())
    here = at_origin @ plane.directions.double().cpu().numpy().T
    about = {
        "role": "value",
        "metric": "gradient_norm",
        "split": "train",
        "long_name": "gradient norm",
        "units": found["loss"].attrs.get("units", ""),
        "at_origin": float(np.sqrt(here[0] @ inverse @ here[0])),
    }
    return schema.check(found.assign(gradient_norm=(found["loss"].dims, norm, about)))


def below(surface: xr.Dataset, quantity: str, eps: float) -> xr.Dataset:
    """Mark the grid points of a surface where a quantity is below `eps`.

    Returns
    -------
    Dataset
        `surface` with `below_<quantity>`: true where it is. Its attrs tell `eps`, the `share` of all points, and
        `components`, the number of regions (points side by side or corner to corner belong together).

    Examples
    --------
    >>> from thalweg import FunctionProblem, coordinate_plane
    >>> two = FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    >>> field = gradient_field(two, coordinate_plane(two), extent=2.0, points=41)
    >>> region = below(field, "loss", 0.2).below_loss
    >>> int(region.sum()), region.attrs["components"]
    (62, 2)
    """
    if schema.check(surface).attrs["kind"] != "surface":
        raise ValueError(f"This is a result of kind {surface.attrs['kind']!r}; regions are marked on a surface.")
    if quantity not in schema.values(surface):
        raise ValueError(
            f"{quantity!r} is not a quantity of this surface; it has {', '.join(schema.values(surface))}"
            + (" (`gradient_field` adds gradient_norm)." if quantity == "gradient_norm" else ".")
        )
    if isinstance(eps, str) or np.ndim(eps) or not np.isfinite(eps):
        raise ValueError(f"eps={eps!r}; expected a finite number.")
    inside = surface[quantity].values < eps
    components = int(ndimage.label(inside, structure=np.ones((3,) * inside.ndim))[1])
    about = {
        "role": "region",
        "of": quantity,
        "eps": float(eps),
        "components": components,
        "share": float(inside.mean()),
        "long_name": f"{surface[quantity].attrs['long_name']} < {eps:g}",
    }
    return schema.check(surface.assign({f"below_{quantity}": (surface[quantity].dims, inside, about)}))


def critical_points(
    problem: Problem, plane: Box, *, extent: Any = "auto", points: int | Sequence[int] = 51, factor: float = 10.0
) -> xr.Dataset:
    r"""Minima, saddles and maxima of the loss in a plane.

    The gradient is evaluated on a grid; from every local minimum of its length, and from every cell in which both of
    its components change sign, a damped Newton iteration minimises $\frac12 |\nabla \varphi|^2$. Points with equal
    ends are counted once. Along a curve of minima (a valley floor of equal depth) points half a cell apart are kept.
    Each end is judged by what is close to it: along every eigenvector of its Hessian, Newton's step must be shorter
    than a hundredth of a cell, or the gradient nothing against that of the cells around it, without being the tail of
    a slope that only fades. Flat ground, where gradient and curvature are zero all around, is told as a share of the
    grid, not as points.

    Parameters
    ----------
    problem, plane
        Any problem, and a `Plane` (two coordinates).
    extent, points, factor
        Where to look, as for `loss_surface`.

    Returns
    -------
    Dataset
        Kind `critical_points`, sorted by loss: the coordinates, `loss`, `gradient_norm` (in the coordinates),
        `eigenvalue` (of the Hessian in the plane's coordinates, ascending) and `eigenvector`, and `type`: with an
        eigenvalue that vanishes (below 1e-6 of the largest there and close by) a point is called degenerate.
        `attrs["flat"]` is the share of the grid points that lie on flat ground.

    Notes
    -----
    Critical points closer together than a cell of the grid may be missed, as may those at which the loss has no second
    derivatives. Cost: one gradient for each grid point, about ten Hessians in the plane for each place to look from,
    and some thirty gradients for each point found.

    Examples
    --------
    >>> from thalweg import FunctionProblem, coordinate_plane
    >>> two = FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    >>> found = critical_points(two, coordinate_plane(two), extent=2.0)
    >>> [found.type.attrs["names"][k] for k in found.type.values]
    ['minimum', 'minimum', 'saddle']
    >>> found.eigenvalue.values[-1].round(6)
    array([-4.,  2.])
    """
    need_problem(problem)
    if len(plane.dims) != 2:
        raise ValueError(f"Critical points are looked for in a plane; this subspace has {len(plane.dims)} coordinates.")
    axes = list(asked(plane, extent, points, factor, {}).found(problem, plane).values())
    view = _View(problem, plane, np.array([axis[1] - axis[0] for axis in axes]))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) / view.cells
    _, slopes = view.gradient(grid.reshape(-1, 2))
    slopes = slopes.reshape(grid.shape)
    lengths = _length(slopes)
    if not np.isfinite(lengths).any():
        raise ValueError("The gradient is finite nowhere on the grid; choose a smaller extent.")
    flat = ndimage.maximum_filter(np.where(np.isfinite(lengths), lengths, np.inf), size=3, mode="nearest") == 0
    ends = _newton(view, grid[_candidates(slopes, lengths) & ~flat])
    low, high = grid[0, 0] - 1e-9, grid[-1, -1] + 1e-9
    inside = ends[((low <= ends) & (ends <= high)).all(axis=1)]
    return _dataset(view, inside[_rests(view, inside)], float(flat.mean()))


class _View:
    """The loss, its gradient and Hessian in the coordinates of a plane, counted in cells of the grid."""

    def __init__(self, problem: Problem, plane: Box, cells: np.ndarray) -> None:
        self.problem, self.plane, self.cells = problem, plane, cells
        self.directions = plane.directions.double().cpu().numpy() * cells[:, None]
        info = torch.finfo(problem.layout.dtype)
        self.rounding = 1e2 * float(info.eps)
        self.smallest = float(info.tiny / info.eps)  # gradients below it have lost their digits

    def theta(self, places: np.ndarray) -> torch.Tensor:
        return self.plane(places * self.cells).to(self.problem.theta)

    def gradient(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss `(n,)` and gradient `(n, 2)`; where there is no finite loss there is no gradient."""
        value, slope = at(self.problem, self.theta(places).cpu().numpy())
        with np.errstate(over="ignore", invalid="ignore"):
            slope = slope @ self.directions.T
        return value, np.where(np.isfinite(value)[:, None], slope, np.nan)

    def hessian(self, places: np.ndarray) -> np.ndarray:
        """`(n, 2, 2)`."""
        thetas = self.theta(places).cpu().numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.stack([products(self.problem, thetas, d) @ self.directions.T for d in self.directions], axis=1)
            return (found + found.swapaxes(1, 2)) / 2


def _candidates(slopes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Grid points from which to look: where the gradient is locally shortest, or turns around within a cell."""
    finite = np.where(np.isfinite(lengths), lengths, np.inf)
    mask = (finite <= ndimage.minimum_filter(finite, size=3, mode="nearest")) & np.isfinite(lengths)
    signs = np.sign(np.nan_to_num(slopes))
    turns = np.ones(tuple(n - 1 for n in lengths.shape), dtype=bool)
    for k in range(2):
        corners = np.stack([signs[i : i - 1 or None, j : j - 1 or None, k] for i in (0, 1) for j in (0, 1)])
        turns &= corners.min(0) * corners.max(0) <= 0
    mask[:-1, :-1] |= turns
    return mask


def _newton(view: _View, places: np.ndarray) -> np.ndarray:
    """Ends of the damped Newton iterations, `(n, 2)`, one of each; no step is longer than two cells.

    They go on until rounding stops them: at a degenerate point, whose curvature vanishes, that is what tells it.
    """
    damping = np.full(len(places), 1e-3)
    _, slope = view.gradient(places)
    done = ~np.isfinite(slope).all(1)
    for _ in range(_STEPS):
        done |= ~slope.any(axis=1)
        active = np.flatnonzero(~done)
        if active.size == 0:
            break
        bend = view.hessian(places[active])
        done[active] |= ~np.nan_to_num(bend).any(axis=(1, 2))  # a facet of a piecewise linear loss: nowhere to go
        tried = places[active] + _steps(bend, slope[active], damping[active])
        _, there = view.gradient(tried)
        with np.errstate(invalid="ignore", over="ignore"):
            better = _length(there) < _length(slope[active])
        places[active[better]], slope[active[better]] = tried[better], there[better]
        damping[active] *= np.where(better, 0.1, 8.0)
        done[active] |= damping[active] > 1e6
    return _apart(places[np.argsort(_length(np.where(np.isfinite(slope), slope, np.inf)), kind="stable")])


def _length(slopes: np.ndarray) -> np.ndarray:
    """`np.hypot` neither under- nor overflows where squares would."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.hypot(slopes[..., 0], slopes[..., 1])


def _rests(view: _View, places: np.ndarray) -> np.ndarray:
    """Whether the gradient vanishes at each place `(n,)`: along every eigenvector of the Hessian there."""
    _, slope = view.gradient(places)
    bend = view.hessian(places)
    known = np.isfinite(slope).all(axis=1) & np.isfinite(bend).all(axis=(1, 2))
    slope, bend = np.where(known[:, None], slope, 0.0), np.where(known[:, None, None], bend, 0.0)
    lengths = _close_by(view, places)
    steepest, zeros = lengths.max(axis=(0, 1), initial=0.0), (lengths[0] == 0).sum(axis=0)
    size = np.maximum(np.abs(bend).max(axis=(1, 2), initial=0.0), 1e-300)
    curvature, directions = np.linalg.eigh(bend / size[:, None, None])
    straight = ~slope.any(axis=1) & ~bend.any(axis=(1, 2))
    kink = lengths[0].max(axis=0, initial=0.0) >= 0.5 * steepest  # the gradient jumps
    rest = (
        known & (lengths[0].max(axis=0, initial=0.0) > view.smallest) & ~(straight & (kink | (zeros >= 3)))
    )  # 3: on the edge of flat ground
    for k in range(2):
        along = np.einsum("nj,nj->n", slope, directions[:, :, k])
        short = (np.abs(along) / size <= _STEP * np.abs(curvature[:, k])) & _turns(view, places, directions[:, :, k])
        small = np.abs(along) <= max(_SMALL, view.rounding) * steepest
        unclear = np.flatnonzero(rest & ~short & small)
        fades = np.zeros(len(places), dtype=bool)
        fades[unclear] = _fades(view, places[unclear], directions[unclear, :, k])
        rest &= short | (small & ~fades)
    return rest


def _close_by(view: _View, places: np.ndarray) -> np.ndarray:
    """How long the gradient is at 8 places of each ring around each place, `(rings, 8, n)`."""
    turn = np.arange(8) * np.pi / 4
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    lengths = np.stack([[_length(view.gradient(places + r * step)[1]) for step in ring] for r in _RINGS])
    return np.nan_to_num(lengths, nan=0.0)


def _turns(view: _View, places: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Whether the slope along a direction has different signs a little ahead and a little behind."""
    ahead, behind = (
        np.sign(np.einsum("nj,nj->n", view.gradient(places + step * directions)[1], directions))
        for step in (2 * _STEP, -2 * _STEP)
    )
    return ahead * behind <= 0


def _fades(view: _View, places: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Whether the slope along a direction keeps its sign and shrinks all the way through the place: a tail."""
    found = np.zeros(len(places), dtype=bool)
    for scale in (1.0, 0.1, 0.01):
        along = []
        for step in (-0.5, -0.25, 0.0, 0.25, 0.5):
            _, slope = view.gradient(places + scale * step * directions)
            along.append(np.einsum("nj,nj->n", slope, directions))
        values = np.stack(along)
        steps = np.diff(values, axis=0)
        one_sign = (values > 0).all(axis=0) | (values < 0).all(axis=0)
        found |= one_sign & ((steps > 0).all(axis=0) | (steps < 0).all(axis=0))
    return found


def _steps(hessian: np.ndarray, slope: np.ndarray, damping: np.ndarray) -> np.ndarray:
    bend = np.where(np.isfinite(hessian), hessian, 0.0)
    size = np.maximum(np.abs(bend).max(axis=(1, 2)), 1e-300)
    bend, slope = bend / size[:, None, None], slope / size[:, None]
    damped = bend @ bend + (damping + 1e-14)[:, None, None] * np.eye(2)
    with np.errstate(over="ignore", invalid="ignore"):
        step = -np.linalg.solve(damped, bend @ slope[..., None])[..., 0]
        step = np.nan_to_num(step, nan=0.0, posinf=2.0, neginf=-2.0)
        return step / np.maximum(np.abs(step / 2).max(axis=1, keepdims=True), 1.0)


def _apart(ends: np.ndarray) -> np.ndarray:
    """One of each: places less than half a cell apart count as one."""
    if not len(ends):
        return ends
    near = cKDTree(ends).query_ball_point(ends, 0.5, p=np.inf)
    free = np.ones(len(ends), dtype=bool)
    kept = []
    for k, others in enumerate(near):
        if free[k]:
            kept.append(k)
            free[others] = False
    return ends[kept]


def _dataset(view: _View, places: np.ndarray, flat: float) -> xr.Dataset:
    value, slope = view.gradient(places)
    bend = view.hessian(places)
    good = np.isfinite(value) & np.isfinite(bend).all(axis=(1, 2))
    places, value, slope, bend = places[good], value[good], slope[good], bend[good]
    rounded = np.round(value / (float(np.ptp(value)) or 1.0), 9) if value.size else value
    order = np.lexsort((*places.T, rounded))
    places, value, slope, bend = places[order], value[order], slope[order], bend[order]
    types = _types(np.linalg.eigvalsh(bend), _around(view, places))
    curvature, vectors = np.linalg.eigh(bend / (view.cells[:, None] * view.cells))
    coords = places * view.cells
    units = str(getattr(view.problem, "units", lambda _: "")("loss"))
    data: dict[str, Any] = {dim: ("point", coords[:, k], {"role": "position"}) for k, dim in enumerate(view.plane.dims)}
    data |= {
        "loss": ("point", value, {"long_name": "loss", "units": units}),
        "gradient_norm": ("point", _length(slope / view.cells)),
        "eigenvalue": (("point", "direction"), curvature, {"long_name": "eigenvalue of the Hessian"}),
        "eigenvector": (("point", "coordinate", "direction"), vectors),
        "type": ("point", types, {"names": list(TYPES)}),
    }
    attrs = {
        "kind": "critical_points",
        "coordinates": list(view.plane.dims),
        "num_weights": view.problem.num_weights,
        "flat": flat,
        "subspace_id": subspace_id(view.plane),
        **provenance(**view.problem.provenance()),
    }
    return schema.check(xr.Dataset(data, attrs=attrs))


def _around(view: _View, places: np.ndarray) -> np.ndarray:
    """The largest curvature a step beside each place, `(n,)`: against it, that of a degenerate point is nothing."""
    largest = np.zeros(len(places))
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        bend = np.abs(view.hessian(places + _BESIDE * np.array(step))).max(axis=(1, 2), initial=0.0)
        largest = np.fmax(largest, np.where(np.isfinite(bend), bend, 0.0))
    return largest


def _types(curvature: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Numbers of `TYPES` by the signs of the eigenvalues `(n, 2)`, counted in cells; `around` is that near by."""
    stiffest = np.abs(curvature).max(axis=1, initial=0.0)
    nothing = np.abs(curvature) <= _FLAT * np.maximum(stiffest, around)[:, None]
    signs = np.where(nothing, 0, np.sign(curvature)).astype(int)
    by_signs = {(1, 1): 0, (-1, 1): 1, (-1, -1): 2, (0, 1): 3, (-1, 0): 4, (0, 0): 5}
    return np.array([by_signs[tuple(row)] for row in signs.tolist()], dtype=int)
