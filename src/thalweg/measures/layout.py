r"""How a surface is laid out: its axes, its blocks, its variables, and how they describe themselves."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.request import Request, subspace_id
from thalweg.problem import Plan, Problem
from thalweg.problem.protocol import Measurement
from thalweg.store import Grid, provenance
from thalweg.store.study import STATUS, finished
from thalweg.subspaces import GridPoints, Subspace

_BLOCK_SECONDS = 2.0
_MOST_POINTS = 10**8
_MOST_BLOCKS = 400
_SPARSE = 16
Variables = dict[str, tuple[tuple[str, ...], tuple[int, ...], dict[str, Any]]]


@dataclass(frozen=True)
class Layout:
    """Decided once for a grid, by whoever creates it.

    `variables` has the trailing dims, their lengths and the attrs of each; `probes` the values of each quantity at the
    origin and at two points between the grid's, by which a store recognises the function (empty where there is no
    store).
    """

    axes: dict[str, np.ndarray]
    plan: Plan
    seconds: float
    block: tuple[int, ...]
    variables: Variables
    probes: dict[str, list[float]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def trails(self) -> dict[str, tuple[int, ...]]:
        """Lengths of each variable's further dims."""
        return {name: trail for name, (_, trail, _) in self.variables.items()}


def new_layout(request: Request, axes: dict[str, np.ndarray], *, stored: bool) -> Layout:
    """Plan how a grid is computed, and learn what there is to measure by measuring the origin."""
    shape = tuple(len(axis) for axis in axes.values())
    num_points = math.prod(shape)
    _fits(num_points)
    plan, seconds = planned(request.problem, num_points, request.num_examples, request.seed, request.adaptive)
    seconds *= 4 if request.gradient else 1
    sparse = _SPARSE if request.adaptive is not None else 1
    at_least = max(plan.points_at_once, num_points // _MOST_BLOCKS) * sparse
    wanted = max(at_least, int(_BLOCK_SECONDS * sparse / seconds) if seconds else num_points)
    return Layout(axes, plan, seconds, _block(shape, wanted), *_variables(request, plan, axes if stored else None))


def _fits(num_points: int) -> None:
    """Refuse a grid that no machine holds, before anything of it is on disk."""
    if num_points > _MOST_POINTS:
        raise ValueError(
            f"The grid has {num_points:,} points; at most {_MOST_POINTS:,} fit. Take fewer along each axis."
        )


def stored_layout(request: Request, axes: dict[str, np.ndarray], attrs: dict[str, Any]) -> Layout:
    """The layout of a grid that a store holds."""
    plan = Plan.from_json(attrs["engine"])
    return Layout(axes, plan, attrs["seconds_per_point"], tuple(attrs["block"]), *_variables(request, plan, axes))


def planned(
    problem: Problem, num_points: int, num_examples: int | None, seed: int, adaptive: float | None
) -> tuple[Plan, float]:
    """A plan and its seconds per point; an adaptive surface evaluates about a tenth of its points."""
    return problem.plan(num_points if adaptive is None else max(1, num_points // 10), num_examples, seed)


def _block(shape: tuple[int, ...], num_points: int) -> tuple[int, ...]:
    """Blocks of about `num_points`, whole in the last dims first, so that points of a block are neighbours."""
    block = []
    for n in reversed(shape):
        block.append(max(1, min(n, num_points)))
        num_points = max(1, num_points // n)
    return tuple(reversed(block))


def _variables(
    request: Request, plan: Plan, axes: dict[str, np.ndarray] | None
) -> tuple[Variables, dict[str, list[float]]]:
    """What is measured, learnt by measuring the origin once; given the axes, two points between the grid's too."""
    problem, subspace = request.problem, request.subspace
    coords = np.zeros((1, len(subspace.dims)))
    if axes is not None:
        between = np.random.default_rng(0).uniform(0.1, 0.9, (2, len(axes)))
        low, high = (np.array([axis[end] for axis in axes.values()]) for end in (0, -1))
        coords = np.concatenate([coords, low + between * (high - low)])
    found = problem.measure(GridPoints(subspace, coords, problem.theta), plan=plan, **request.options())
    probes = {name: value.tolist() for name, value in found.values.items()} if axes is not None else {}
    return _described(request, found), probes


def _described(request: Request, found: Measurement) -> Variables:
    """Dims and attrs of every variable of a measurement whose first point is the origin."""
    variables: Variables = {}
    for quantity, value in found.values.items():
        split, metric = ("test", quantity[5:]) if quantity.startswith("test_") else ("train", quantity)
        about: dict[str, Any] = {
            "metric": metric,
            "split": split,
            "role": "value",
            "units": _units(request.problem, quantity),
        }
        about |= {"long_name": f"{_whose(request.problem, split)}{metric}", "at_origin": float(value[0])}
        variables[quantity] = ((), (), about)
    for quantity in found.standard_errors:
        variables[f"{quantity}_standard_error"] = ((), (), _about("standard_error", quantity))
    for split, losses in found.losses.items():
        name = schema.value_name("losses", split)
        variables[name] = ((schema.value_name("example", split),), (losses.shape[1],), _about("per_example", "loss"))
    if request.gradient:
        variables["gradient"] = (("coordinate",), (len(request.subspace.dims),), _about("gradient", "loss"))
    return variables


def _whose(problem: Problem, split: str) -> str:
    """`training ` or `test `; nothing for a landscape without data."""
    if split != "train":
        return f"{split} "
    return "training " if getattr(problem, "num_examples", 0) else ""


def _about(role: str, of: str) -> dict[str, Any]:
    words = {"standard_error": "standard error of", "per_example": "per-example", "gradient": "gradient of"}
    return {"role": role, "of": of, "long_name": f"{words[role]} {of.replace('_', ' ')}"}


def _units(problem: Problem, quantity: str) -> str:
    units = getattr(problem, "units", None)
    return units(quantity) if units is not None else ""


# --- how it is told ---


def dataset_of(request: Request, layout: Layout, grid: Grid, attrs: dict[str, Any]) -> xr.Dataset:
    """A grid in memory as a result."""
    dims = tuple(layout.axes)
    variables = {
        name: ((*dims, *trail_dims), grid.values[name], about)
        for name, (trail_dims, _, about) in layout.variables.items()
    }
    dataset = xr.Dataset(variables, {d: (d, *given) for d, given in coordinates_of(request, layout).items()}, attrs)
    dataset[STATUS] = (dims, grid.status)
    return finished(dataset)


def coordinates_of(request: Request, layout: Layout) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """Values and attrs of each axis."""
    return {dim: (axis, _about_axis(request.subspace, dim)) for dim, axis in layout.axes.items()}


def attrs_of(request: Request, layout: Layout) -> dict[str, Any]:
    """Kind, plan and provenance of a surface."""
    info, facts = request.subspace.info, request.problem.provenance()
    stands = torch.equal(request.subspace.origin.to(request.problem.theta), request.problem.theta)
    stands = stands and "num_training_examples" in facts and "points" not in info
    return {
        "kind": "surface",
        "title": f"Loss{_whom(facts)}{_titled(request.subspace)}",
        "coordinates": list(request.subspace.dims),
        "origin": "model" if stands else "another point",
        "subspace": json.dumps(info),
        "subspace_id": subspace_id(request.subspace),
        "engine": layout.plan.to_json(),
        "seconds_per_point": layout.seconds,
        **provenance(
            seed=info.get("seed"), num_examples=request.num_examples, num_threads=torch.get_num_threads(), **facts
        ),
    }


def _whom(facts: dict[str, Any]) -> str:
    """` of LeNet`; nothing for a function without a name."""
    name = facts.get("model", "the problem")
    return "" if name == "function" else f" of {name}"


def _titled(subspace: Subspace) -> str:
    """Where the surface lies, for its title."""
    info, shape = subspace.info, {1: "line", 2: "plane"}.get(len(subspace.dims), "box")
    scale = {"filter": "filter-normalised ", "layer": "layer-normalised "}.get(info.get("normalize", ""), "")
    words = {
        "random": f" on a {scale}random {shape} (seed {info.get('seed')})",
        "principal": " on the principal plane of its path",
        "through": " on the plane through three solutions",
        "segment": " between two solutions",
        "polygonal": " on a polygonal chain between two solutions",
        "bezier": " on a Bezier curve between two solutions",
        "curve": " on the plane of a curve between two solutions",
    }
    return words.get(info.get("kind", ""), "")


def _about_axis(subspace: Subspace, dim: str) -> dict[str, str]:
    """Label and unit of a coordinate."""
    index = subspace.dims.index(dim)
    info = subspace.info
    labels = info.get("labels")
    scale = {"filter": "filter-normalised", "layer": "layer-normalised", "unit length": "distance in weight space"}
    words = scale.get(info.get("normalize", ""), "")
    plain = f"{dim} ({words})" if words else dim
    return {"long_name": labels[index] if labels else plain, "units": "1"}
