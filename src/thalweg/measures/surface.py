r"""Loss and metrics over a grid of a subspace: the loss surface.

For a subspace $\theta(c)$ with origin $\theta_0$ and directions $u, v$ this is eq. (1) of Li et al. (2018, arXiv:1712.09913),
$L_{ij} = L(\theta_0 + \alpha_i u + \beta_j v)$, with everything else that one pass over the data gives: metrics, the same on test
data, standard errors, per-example losses, and the gradient in the subspace's coordinates.

The grid is cut into blocks. A block is evaluated in one pass over the data and, where there is a store, is on disk before the
next begins: an interrupted run goes on where it was, and several processes share one grid.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.adaptive import refine
from thalweg.measures.extent import axes_of
from thalweg.measures.progress import bar, duration
from thalweg.problem import Plan, Problem
from thalweg.store import Grid, StoredGrid, StoreMismatchError, load, provenance
from thalweg.store.grid import creation, process_number, same_request, stored_axes
from thalweg.store.study import STATUS, finished
from thalweg.subspaces import GridPoints, Subspace

_BLOCK_SECONDS = 2.0
_MOST_BLOCKS = 400
Variables = dict[str, tuple[tuple[str, ...], tuple[int, ...], dict[str, Any]]]


@dataclass(frozen=True)
class _Request:
    """What is asked of every point."""

    problem: Problem
    subspace: Subspace
    metrics: tuple[str, ...] | None
    num_examples: int | None
    seed: int
    per_example: bool
    gradient: bool
    adaptive: float | None


@dataclass(frozen=True)
class _Layout:
    """Decided once for a grid, by whoever creates it."""

    axes: dict[str, np.ndarray]
    plan: Plan
    seconds: float
    block: tuple[int, ...]
    variables: Variables

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis) for axis in self.axes.values())


def loss_surface(
    problem: Problem,
    subspace: Subspace,
    *,
    extent: Any = "auto",
    points: Any = 51,
    metrics: Sequence[str] | None = None,
    store: str | Path | None = None,
    name: str | None = None,
    adaptive: float | None = None,
    num_examples: int | None = None,
    seed: int = 0,
    per_example: bool = False,
    gradient: bool = False,
    factor: float = 10.0,
    progress: bool | None = None,
    **coords: Any,
) -> xr.Dataset:
    r"""Evaluate loss and metrics over a grid of a subspace.

    Parameters
    ----------
    problem, subspace
        What, and where: `random_plane(problem)`, `plane_through(a, b, c)`, `Segment(a, b)`, any `Line`, `Plane` or `Box`.
    extent
        How far: a radius, a pair `(low, high)`, one of either for each axis (mapping or sequence of pairs), or `"auto"`: the subspace's
        own domain (a segment's ends, the points that a plane was put through), else as far, both ways, as the loss stays within
        `factor` times its value at the origin.
    points
        Points along each axis: one number, or one for each.
    coords
        Instead of `extent` and `points`, the coordinates themselves by dim: `alpha=..., beta=...`.
    metrics
        Names of the problem's metrics to measure; all by default.
    store, name
        A zarr store to write to block by block, and the result's name in it (`surface/<kind of subspace>` by default). The same
        call on the same store resumes, or shares the work if another process is at it.
    adaptive
        Wanted error as a fraction of the range of the losses. Evaluates coarse to fine, predicts by cubic interpolation, checks the prediction
        at points left out, and refines where it misses; `interpolated` marks the points that were predicted. Metrics are predicted
        along; attrs tell the error found for each.
    num_examples, seed
        Use a fixed random subset of the examples, the same at every point; each mean then has a standard error (against the mean
        over all examples).
    per_example
        Keep the loss of every example: `losses(..., example)`.
    gradient
        Measure $\partial L/\partial c_k = \nabla L(\theta)\cdot\partial\theta/\partial c_k$ too: `gradient(..., coordinate)`. Costs a forward and a
        backward pass for each point.
    progress
        Show a bar with rate and time left; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `surface` (see `schema`): `loss(alpha, beta)`, `accuracy`, and with test data `test_loss`, ... A loss that overflows is kept
        as `inf` or `nan`, never masked. `attrs` hold the provenance, the plan by which it was computed, and each quantity's value at
        the origin (`ds.loss.attrs["at_origin"]`).

    Raises
    ------
    ValueError
        A subspace of another number of weights, unknown metrics, a malformed extent.
    StoreMismatchError
        If the store holds another problem, subspace or grid under that name; it says what differs and changes nothing.

    Examples
    --------
    >>> from thalweg import FunctionProblem, Plane
    >>> bowl = FunctionProblem(lambda x, y: x**2 + 10 * y**2)
    >>> plane = Plane(origin=np.zeros(2), u=[1.0, 0.0], v=[0.0, 1.0])
    >>> loss_surface(bowl, plane, alpha=[0.0, 1.0, 2.0], beta=[0.0, 1.0]).loss.values
    array([[ 0., 10.],
           [ 1., 11.],
           [ 4., 14.]])
    """
    metrics = tuple(metrics) if metrics is not None else None
    request = _Request(problem, subspace, metrics, num_examples, seed, per_example, gradient, adaptive)
    _validate(request)
    axes = _given_axes(coords, subspace.dims)
    wanted = _fingerprint(request, axes, extent, points, factor)

    def lay_out() -> _Layout:
        chosen = axes or axes_of(problem, subspace, extent, points, factor)
        return _layout(request, chosen)

    began = time.perf_counter()
    if store is None:
        layout = lay_out()
        grid = Grid(layout.shape, layout.block, {n: trail for n, (_, trail, _) in layout.variables.items()})
        closing = _fill(request, layout, grid, progress)
        attrs = _attrs(request, layout) | closing | {"seconds": round(time.perf_counter() - began, 3)}
        return schema.check(_dataset(request, layout, grid, attrs))
    study, name = Path(store), name or f"surface/{subspace.info.get('kind', 'subspace')}"
    layout = _laid_out_in_store(request, study, name, wanted, lay_out)
    sizes = {n: trail for n, (_, trail, _) in layout.variables.items()}
    stored = StoredGrid(study, name, shape=layout.shape, block=layout.block, variables=sizes)
    closing = _fill(request, layout, stored, progress)
    stored.finish(closing | {"seconds": round(time.perf_counter() - began, 3)})
    return load(study, name)


def describe_cost(problem: Problem, num_points: int, num_examples: int | None = None) -> str:
    """What a grid of so many points will cost, in words; measures a plan if there is none yet.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> describe_cost(FunctionProblem(lambda x: x), 2601)
    '2,601 points, under a second'
    """
    plan, seconds = problem.plan(num_points, num_examples)
    cost = f"{num_points:,} points, {duration(seconds * num_points)}"
    return cost if not plan.measured else f"{cost} ({1 / seconds:.3g} points/s; {plan.label})"


# --- what is asked ---


def _validate(request: _Request) -> None:
    problem, subspace = request.problem, request.subspace
    if subspace.origin.shape != (problem.num_weights,):
        raise ValueError(
            f"The subspace has {subspace.origin.numel()} weights, but the problem has {problem.num_weights}. Was it made for another "
            "network? `random_plane(problem)` makes one that fits."
        )
    for metric in request.metrics or ():
        if metric not in problem.quantities:
            raise ValueError(f"Unknown metric {metric!r}; the problem measures {', '.join(problem.quantities)}.")
    if request.adaptive is not None and not 0 < request.adaptive < 1:
        raise ValueError(f"adaptive={request.adaptive}; it is a fraction of the surface's range, such as 0.01.")
    if request.adaptive is not None and request.per_example:
        raise ValueError("Per-example losses cannot be interpolated; use either `adaptive` or `per_example`.")


def _given_axes(coords: Mapping[str, Any], dims: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Explicit coordinates, copied: nobody's later edits reach the result."""
    if not coords:
        return None
    if set(coords) != set(dims):
        raise TypeError(
            f"loss_surface got the keywords {', '.join(sorted(coords))}; the coordinates of this subspace are {', '.join(dims)}."
        )
    axes = {dim: np.array(coords[dim], dtype=np.float64, ndmin=1) for dim in dims}
    for dim, values in axes.items():
        if values.ndim != 1 or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
            raise ValueError(f"Coordinate `{dim}` must be a list of finite, strictly increasing numbers.")
    return axes


def _fingerprint(
    request: _Request, axes: Mapping[str, np.ndarray] | None, extent: Any, points: Any, factor: float
) -> dict[str, Any]:
    """Everything that determines the numbers, for a store to recognise."""
    subspace = request.subspace
    grid = (
        {dim: _hash(values.tobytes()) for dim, values in axes.items()}
        if axes is not None
        else {"extent": repr(extent), "points": repr(points), "factor": factor if extent == "auto" else None}
    )
    arrays = (array.detach().cpu().double().numpy().tobytes() for array in subspace.arrays())
    return {
        **request.problem.identity(),
        "subspace": _hash(*arrays),
        "dims": list(subspace.dims),
        **grid,
        "metrics": list(request.metrics) if request.metrics is not None else "all",
        "num_examples": request.num_examples,
        "seed": request.seed if request.num_examples is not None else None,
        "adaptive": request.adaptive,
        "per_example": request.per_example,
        "gradient": request.gradient,
    }


# --- how it is laid out ---


def _layout(request: _Request, axes: dict[str, np.ndarray]) -> _Layout:
    shape = tuple(len(axis) for axis in axes.values())
    num_points = math.prod(shape)
    plan, seconds = request.problem.plan(num_points, request.num_examples, request.seed)
    seconds *= 4 if request.gradient else 1
    sparse = 16 if request.adaptive is not None else 1
    at_least = max(plan.points_at_once, num_points // _MOST_BLOCKS) * sparse
    wanted = max(at_least, int(_BLOCK_SECONDS * sparse / seconds) if seconds else num_points)
    return _Layout(axes, plan, seconds, _block(shape, wanted), _variables(request, plan))


def _block(shape: tuple[int, ...], num_points: int) -> tuple[int, ...]:
    """Blocks of about `num_points`, whole in the last dims first, so that points of a block are neighbours."""
    block = []
    for n in reversed(shape):
        block.append(max(1, min(n, num_points)))
        num_points = max(1, num_points // n)
    return tuple(reversed(block))


def _variables(request: _Request, plan: Plan) -> Variables:
    """What is measured, learnt by measuring the origin once."""
    problem, dims = request.problem, request.subspace.dims
    origin = request.subspace.origin.unsqueeze(0).to(problem.theta)
    found = problem.measure(origin, plan=plan, **_options(request))
    variables: Variables = {}
    for quantity, value in found.values.items():
        split, metric = ("test", quantity[5:]) if quantity.startswith("test_") else ("train", quantity)
        about = {"metric": metric, "split": split, "role": "value", "units": _units(problem, quantity)}
        about |= {"long_name": f"{'training' if split == 'train' else 'test'} {metric}", "at_origin": float(value[0])}
        variables[quantity] = ((), (), about)
    for quantity in found.standard_errors:
        variables[f"{quantity}_standard_error"] = ((), (), _about("standard_error", quantity))
    for split, losses in found.losses.items():
        name = schema.value_name("losses", split)
        variables[name] = ((schema.value_name("example", split),), (losses.shape[1],), _about("per_example", "loss"))
    if request.gradient:
        variables["gradient"] = (("coordinate",), (len(dims),), _about("gradient", "loss"))
    return variables


def _about(role: str, of: str) -> dict[str, Any]:
    words = {"standard_error": "standard error of", "per_example": "per-example", "gradient": "gradient of"}
    return {"role": role, "of": of, "long_name": f"{words[role]} {of.replace('_', ' ')}"}


def _units(problem: Problem, quantity: str) -> str:
    units = getattr(problem, "units", None)
    return units(quantity) if units is not None else ""


def _laid_out_in_store(
    request: _Request, study: Path, name: str, wanted: dict[str, Any], lay_out: Callable[[], _Layout]
) -> _Layout:
    """The layout of the grid in the store: what is there if it was made for the same request, else a new one."""
    with creation(study, name) as attrs:
        if attrs is None:
            layout = lay_out()
            about = _attrs(request, layout) | {"request": json.dumps(wanted), "block": list(layout.block)}
            coords = {dim: (axis, _about_axis(request.subspace, dim)) for dim, axis in layout.axes.items()}
            StoredGrid.create(
                study, name, coords=coords, block=layout.block, variables=layout.variables, attrs=about
            )
            return layout
    if "request" not in attrs:
        raise StoreMismatchError(f"{study} holds a result `{name}` that was saved, not computed there. Choose another `name=`.")
    same_request(json.loads(attrs["request"]), json.loads(json.dumps(wanted)), f"{study} under `{name}`")
    axes = stored_axes(study, name, request.subspace.dims)
    plan = Plan.from_json(attrs["engine"])
    return _Layout(axes, plan, attrs["seconds_per_point"], tuple(attrs["block"]), _variables(request, plan))


# --- how it is filled ---


def _fill(request: _Request, layout: _Layout, grid: Grid, progress: bool | None) -> dict[str, Any]:
    """Evaluate what is not known yet; returns closing facts."""
    pending = int((grid.status == 0).sum())
    total = grid.status.size if request.adaptive is None else None
    title = f"{' x '.join(map(str, layout.shape))} grid"
    watch = bar(title, total, grid.status.size - pending, show=progress, seconds=layout.seconds * pending)
    with watch as advance:
        if request.adaptive is None:
            _evaluate(request, layout, grid, np.ones(layout.shape, dtype=bool), advance)
            return {}
        return _refine(request, layout, grid, advance)


def _refine(request: _Request, layout: _Layout, grid: Grid, advance: Callable[[float], None]) -> dict[str, Any]:
    assert request.adaptive is not None
    losses = [n for n, (_, _, a) in layout.variables.items() if a["role"] == "value" and a["metric"] == "loss"]
    rounds = refine(list(layout.axes.values()), request.adaptive, losses)
    mask = next(rounds)
    while True:
        _evaluate(request, layout, grid, mask, advance)
        try:
            mask = rounds.send(_columns(grid))
        except StopIteration as stop:
            prediction = stop.value
            break
    grid.interpolate(_gathered(prediction.values, layout))
    return {"adaptive": request.adaptive, "interpolation_error": json.dumps(prediction.errors)}


def _columns(grid: Grid) -> dict[str, np.ndarray]:
    """Every variable over the grid, nan where not evaluated; those with a further dim as one table for each entry."""
    columns = {}
    for name, values in grid.values.items():
        tables = {name: values} if values.ndim == grid.status.ndim else _numbered(name, values)
        columns |= {key: np.where(grid.evaluated, table, np.nan) for key, table in tables.items()}
    return columns


def _numbered(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}.{k}": values[..., k] for k in range(values.shape[-1])}


def _gathered(columns: Mapping[str, np.ndarray], layout: _Layout) -> dict[str, np.ndarray]:
    """Inverse of `_columns`."""
    return {
        name: np.stack([columns[f"{name}.{k}"] for k in range(trail[0])], axis=-1) if trail else columns[name]
        for name, (_, trail, _) in layout.variables.items()
    }


def _evaluate(
    request: _Request, layout: _Layout, grid: Grid, mask: np.ndarray, advance: Callable[[float], None]
) -> None:
    """Have every point of the mask evaluated, by this process or by others that share the grid."""
    blocks = [block for block in grid.blocks if (mask[block] & (grid.status[block] == 0)).any()]
    if blocks:
        turn = process_number() % len(blocks) if isinstance(grid, StoredGrid) else 0
        blocks = blocks[turn:] + blocks[:turn]
    while blocks:
        for block in blocks:
            with grid.claimed(block) as mine:
                chosen = mask[block] & (grid.status[block] == 0)
                if mine and chosen.any():
                    grid.commit(block, chosen, _values(request, layout, block, chosen, advance), status=1)
        left = [block for block in blocks if (mask[block] & (grid.status[block] == 0)).any()]
        if left:
            grid.wait()
            grid.refresh()
        blocks = [block for block in left if (mask[block] & (grid.status[block] == 0)).any()]


def _values(
    request: _Request,
    layout: _Layout,
    block: tuple[slice, ...],
    chosen: np.ndarray,
    advance: Callable[[float], None],
) -> dict[str, np.ndarray]:
    """All variables at the chosen points of a block."""
    axes = [axis[part] for axis, part in zip(layout.axes.values(), block, strict=True)]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[chosen]
    points = GridPoints(request.subspace, coords, request.problem.theta)
    found = request.problem.measure(points, plan=layout.plan, advance=advance, **_options(request))
    values = {name: value.numpy() for name, value in found.values.items()}
    values |= {f"{name}_standard_error": value.numpy() for name, value in found.standard_errors.items()}
    values |= {schema.value_name("losses", split): value.numpy() for split, value in found.losses.items()}
    if request.gradient:
        values["gradient"] = np.stack([_gradient(request, c) for c in coords])
    return values


def _gradient(request: _Request, coords: np.ndarray) -> np.ndarray:
    """Of the loss in the subspace's coordinates, by the chain rule."""
    at = torch.as_tensor(coords, device=request.subspace.origin.device)
    theta, pullback = torch.func.vjp(request.subspace, at)
    slope = request.problem.gradient(theta.to(request.problem.theta))
    return pullback(slope.to(theta))[0].double().cpu().numpy()


def _options(request: _Request) -> dict[str, Any]:
    return {
        "metrics": request.metrics,
        "num_examples": request.num_examples,
        "seed": request.seed,
        "per_example": request.per_example,
    }


# --- how it is told ---


def _dataset(request: _Request, layout: _Layout, grid: Grid, attrs: dict[str, Any]) -> xr.Dataset:
    dims = tuple(layout.axes)
    variables = {
        name: ((*dims, *trail_dims), grid.values[name], about)
        for name, (trail_dims, _, about) in layout.variables.items()
    }
    coords = {dim: (dim, axis, _about_axis(request.subspace, dim)) for dim, axis in layout.axes.items()}
    dataset = xr.Dataset(variables, coords, attrs)
    dataset[STATUS] = (dims, grid.status)
    return finished(dataset)


def _attrs(request: _Request, layout: _Layout) -> dict[str, Any]:
    info = request.subspace.info
    return {
        "kind": "surface",
        "title": f"Loss of {request.problem.provenance().get('model', 'the problem')}",
        "coordinates": list(request.subspace.dims),
        "subspace": json.dumps(info),
        "engine": layout.plan.to_json(),
        "seconds_per_point": layout.seconds,
        **provenance(
            seed=info.get("seed"),
            num_examples=request.num_examples,
            num_threads=torch.get_num_threads(),
            **request.problem.provenance(),
        ),
    }


def _about_axis(subspace: Subspace, dim: str) -> dict[str, str]:
    """Label and unit of a coordinate."""
    index = subspace.dims.index(dim)
    info = subspace.info
    labels = info.get("labels")
    scale = {"filter": "filter-normalised", "layer": "layer-normalised", "unit length": "distance in weight space"}
    words = labels[index] if labels else scale.get(info.get("normalize", ""), "")
    return {"long_name": f"{dim} ({words})" if words else dim, "units": "1"}


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]
