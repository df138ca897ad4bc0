r"""Loss and metrics over a grid of a subspace: the loss surface.

For a subspace $\theta(c)$ with origin $\theta_0$ and directions $u, v$ this is eq. (1) of Li et al. (2018,
arXiv:1712.09913), $L_{ij} = L(\theta_0 + \alpha_i u + \beta_j v)$, with everything else that one pass over the data
gives: metrics, the same on test data, standard errors, per-example losses, and the gradient in the subspace's
coordinates.

The grid is cut into blocks. A block is evaluated in one pass over the data and, where there is a store, is on disk
before the next begins: an interrupted run goes on where it was, and several processes share one grid. What is asked is
read and checked in `request` and `extent`, laid out in `layout`; here it is computed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.adaptive import refine
from thalweg.measures.extent import POINTS, Asked, asked
from thalweg.measures.layout import (
    Layout,
    attrs_of,
    coordinates_of,
    dataset_of,
    new_layout,
    planned,
    stored_layout,
)
from thalweg.measures.progress import bar, duration
from thalweg.measures.request import Request, chosen_metrics, fingerprint, need_problem, validate
from thalweg.problem import Problem
from thalweg.problem.grad import differentiating
from thalweg.store import Grid, StoredGrid, StoreMismatchError, load
from thalweg.store.grid import creation, process_number, same_request, same_values, stored_axes
from thalweg.store.tree import clean, study_path
from thalweg.subspaces import GridPoints, Subspace


def loss_surface(
    problem: Problem,
    subspace: Subspace,
    *,
    extent: Any = "auto",
    points: Any = POINTS,
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
        What, and where: `random_plane(problem)`, `plane_through(a, b, c)`, `Segment(a, b)`, any `Line`, `Plane` or
        `Box`.
    extent
        How far: a radius, a pair `(low, high)`, one of either for each axis (a mapping; or a sequence of pairs), or
        `"auto"`: the subspace's own domain (a segment's ends, the points that a plane was put through), else as far,
        both ways, as the loss stays within `factor` times its value at the origin.
    points
        Points along each axis: one number, or one for each.
    coords
        Instead of `extent` and `points`, the coordinates themselves by dim: `alpha=..., beta=...`.
    metrics
        Names of the problem's metrics to measure (on test data too, where there are any); all by default.
    store, name
        A zarr store to write to block by block, and the result's name in it (`default_name(subspace)` if not given).
        The same call on the same store resumes, or shares the work if another process is at it.
    adaptive
        Wanted error as a fraction of the range of the losses. Evaluates coarse to fine, predicts by cubic
        interpolation, checks the prediction at points left out, and refines where it misses; `interpolated` marks the
        points that were predicted. Metrics are predicted along; attrs tell the error found for each. A bump or a hole
        that is narrower than the first spacing (an eighth of the picture) may lie between all points that are looked
        at, and is then missed.
    num_examples, seed
        Use a fixed random subset of the examples, the same at every point; each mean then has a standard error (against
        the mean over all examples).
    per_example
        Keep the loss of every example: `losses(..., example)`.
    gradient
        Measure $\partial L/\partial c_k = \nabla L(\theta)\cdot\partial\theta/\partial c_k$ too:
        `gradient(..., coordinate)`. Costs a forward and a backward pass for each point, over all examples (so not
        together with `num_examples`).
    progress
        Show a bar with rate and time left; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `surface` (see `schema`): `loss(alpha, beta)`, `accuracy`, and with test data `test_loss`, ... A loss that
        overflows is kept as `inf` or `nan`, never masked. `attrs` hold the provenance, the plan by which it was
        computed, and each quantity's value at the origin (`ds.loss.attrs["at_origin"]`).

    Raises
    ------
    ValueError, TypeError
        A bare model, a subspace of another number of weights, unknown metrics, a malformed extent: before anything is
        computed.
    StoreMismatchError
        If the store holds another problem, subspace or grid under that name; it says what differs and changes nothing.
        Functions are recognised by their values at the origin and at two points between the grid's.
    FileExistsError
        If the name is a group of other results, or lies inside one, or `store` is something else than a study.

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
    chosen = chosen_metrics(problem, metrics)
    request = Request(problem, subspace, chosen, num_examples, seed, per_example, gradient, adaptive)
    validate(request)
    grid = asked(subspace, extent, points, factor, coords)
    if store is None:
        return _in_memory(request, grid, progress)
    name = clean(name or default_name(subspace))
    return _in_store(request, grid, study_path(store), name, progress)


def default_name(subspace: Subspace) -> str:
    """The name under which a surface is stored if none is given.

    Examples
    --------
    >>> from thalweg import FunctionProblem, random_line, random_plane
    >>> problem = FunctionProblem(lambda x, y: x * y, theta=[1.0, 1.0])
    >>> default_name(random_plane(problem)), default_name(random_line(problem))
    ('surface/random', 'surface/random-line')
    """
    kind = subspace.info.get("kind", "subspace")
    if len(subspace.dims) == 2 or kind not in ("random", "subspace"):
        return f"surface/{kind}"
    return f"surface/{kind}-{'line' if len(subspace.dims) == 1 else 'box'}"


def describe_cost(
    problem: Problem, num_points: int, num_examples: int | None = None, adaptive: float | None = None
) -> str:
    """What a grid of so many points will cost, in words; measures a plan if there is none yet.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> describe_cost(FunctionProblem(lambda x: x), 2601)
    '2,601 points, under a second'
    >>> describe_cost(FunctionProblem(lambda x: x), 2601, adaptive=0.01)
    'about a tenth of 2,601 points, under a second'
    """
    need_problem(problem)
    plan, seconds = planned(problem, num_points, num_examples, 0, adaptive)
    told, share = ("", 1.0) if adaptive is None else ("about a tenth of ", 0.1)
    cost = f"{told}{num_points:,} points, {duration(seconds * num_points * share)}"
    return cost if not plan.measured else f"{cost} ({1 / seconds:.3g} points/s; {plan.label})"


def _in_memory(request: Request, grid: Asked, progress: bool | None) -> xr.Dataset:
    began = time.perf_counter()
    layout = new_layout(request, grid.found(request.problem, request.subspace), stored=False)
    values = Grid(layout.shape, layout.block, layout.trails)
    closing = _fill(request, layout, values, progress)
    attrs = attrs_of(request, layout) | closing | {"seconds": round(time.perf_counter() - began, 3)}
    return schema.check(dataset_of(request, layout, values, attrs))


def _in_store(request: Request, grid: Asked, study: Path, name: str, progress: bool | None) -> xr.Dataset:
    began = time.perf_counter()
    layout = _laid_out_in_store(request, grid, study, name)
    stored = StoredGrid(study, name, shape=layout.shape, block=layout.block, variables=layout.trails)
    resumed = bool(stored.status.any())
    closing = _fill(request, layout, stored, progress)
    if not resumed:  # the time of a part says nothing about the whole
        closing["seconds"] = round(time.perf_counter() - began, 3)
    stored.finish(closing)
    return load(study, name)


def _laid_out_in_store(request: Request, grid: Asked, study: Path, name: str) -> Layout:
    """The layout of the grid in the store: what is there if it was made for the same request, else a new one."""
    wanted = fingerprint(request, grid)
    with creation(study, name) as attrs:
        if attrs is None:
            layout = new_layout(request, grid.found(request.problem, request.subspace), stored=True)
            about = attrs_of(request, layout) | {"request": json.dumps(wanted), "block": list(layout.block)}
            StoredGrid.create(
                study,
                name,
                coords=coordinates_of(request, layout),
                block=layout.block,
                variables=layout.variables,
                attrs=about | {"probes": json.dumps(layout.probes)},
            )
            return layout
    where = f"{study} under `{name}`"
    if "request" not in attrs:
        raise StoreMismatchError(
            f"{study} holds a result `{name}` that was saved, not computed there. Choose another `name=`."
        )
    same_request(json.loads(attrs["request"]), json.loads(json.dumps(wanted)), where)
    layout = stored_layout(request, stored_axes(study, name, request.subspace.dims), attrs)
    same_values(json.loads(attrs.get("probes", "{}")), layout.probes, where)
    return layout


# --- how it is filled ---


def _fill(request: Request, layout: Layout, grid: Grid, progress: bool | None) -> dict[str, Any]:
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


def _refine(request: Request, layout: Layout, grid: Grid, advance: Callable[[float], None]) -> dict[str, Any]:
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
    columns = {
        n: values if n in losses else _bounded(n, values, grid, layout) for n, values in prediction.values.items()
    }
    grid.interpolate(_gathered(columns, layout))
    return {"adaptive": request.adaptive, "interpolation_error": json.dumps(prediction.errors)}


def _bounded(name: str, predicted: np.ndarray, grid: Grid, layout: Layout) -> np.ndarray:
    """Predicted metrics and standard errors kept within what was measured: no accuracy above 1, no error below 0."""
    if name not in layout.variables:  # one component of the gradient
        return predicted
    known = grid.values[name][grid.evaluated]
    known = known[np.isfinite(known)]
    return np.clip(predicted, known.min(), known.max()) if known.size else predicted


def _columns(grid: Grid) -> dict[str, np.ndarray]:
    """Every variable over the grid, nan where not evaluated; those with a further dim as one table for each entry."""
    columns: dict[str, np.ndarray] = {}
    for name, values in grid.values.items():
        tables = {name: values} if values.ndim == grid.status.ndim else _numbered(name, values)
        columns |= {key: np.where(grid.evaluated, table, np.nan) for key, table in tables.items()}
    return columns


def _numbered(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}.{k}": values[..., k] for k in range(values.shape[-1])}


def _gathered(columns: Mapping[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    """Inverse of `_columns`."""
    return {
        name: np.stack([columns[f"{name}.{k}"] for k in range(trail[0])], axis=-1) if trail else columns[name]
        for name, (_, trail, _) in layout.variables.items()
    }


def _evaluate(request: Request, layout: Layout, grid: Grid, mask: np.ndarray, advance: Callable[[float], None]) -> None:
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
    request: Request,
    layout: Layout,
    block: tuple[slice, ...],
    chosen: np.ndarray,
    advance: Callable[[float], None],
) -> dict[str, np.ndarray]:
    """All variables at the chosen points of a block."""
    axes = [axis[part] for axis, part in zip(layout.axes.values(), block, strict=True)]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[chosen]
    points = GridPoints(request.subspace, coords, request.problem.theta)
    found = request.problem.measure(points, plan=layout.plan, advance=advance, **request.options())
    values = {name: value.numpy() for name, value in found.values.items()}
    values |= {f"{name}_standard_error": value.numpy() for name, value in found.standard_errors.items()}
    values |= {schema.value_name("losses", split): value.numpy() for split, value in found.losses.items()}
    if request.gradient:
        values["gradient"] = _gradients(request, coords)
    return values


def _gradients(request: Request, coords: np.ndarray) -> np.ndarray:
    """Of the loss in the subspace's coordinates, `(n, dim)`, by the chain rule."""
    with differentiating():
        at = torch.as_tensor(coords, device=request.subspace.origin.device).requires_grad_(True)
        theta = request.subspace(at)
        slope = request.problem.value_and_gradient(theta.detach().to(request.problem.theta))[1]
        return torch.autograd.grad(theta, at, slope.to(theta))[0].double().cpu().numpy()
