r"""What became of each start: which minimum or branch of minima it found, how long it waited, what it crossed.

Two minima belong together if a chain of ends leads from one to the other without a barrier: so a curve of minima is one
branch, however long. Where a descent may end, and of what kind its end is, `ends` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.ends import DENSE, KINDS, Ends, Judged, ends_of, judged
from thalweg.measures.groups import groups
from thalweg.problem import Problem

Branches = Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray]]]
Side = Callable[[np.ndarray], np.ndarray]
Label = tuple[str, str]
_SLOW, _FLOOR = 0.2, 1e-3  # of the rate to come: a plateau; of the excess at the start: as good as gone


def outcomes(
    paths: xr.Dataset,
    problem: Problem,
    *,
    branches: Branches | None = None,
    side: Side | None = None,
    tolerance: float = 0.02,
    settle: int = 0,
) -> xr.Dataset:
    r"""Say of every start where its descent ended, how long it waited on a plateau, and how often it crossed a barrier.

    Parameters
    ----------
    paths
        Kind `descent`.
    problem
        The problem that was descended.
    branches
        Names for ends that are known on paper: `{name: (kind, predicate)}` with a predicate on weights
        `(n, num_weights)`, as a `Landscape` brings them. Other ends get names by what is found.
    side
        A function from weights `(n, num_weights)` to whole numbers, one for each side of a barrier. `crossings` counts
        its changes along each path.
    tolerance
        How far a critical point may be, in units of the spread of the starts (the distance from their middle
        within which three of four lie),
        for an end to be at rest. An end on a saddle or a maximum must not be off it along a direction that
        bends down, or it would leave.
    settle
        For stochastic and noisy descents, which never rest: judge the ends after so many steps of plain gradient
        descent more (of length $1/\lambda$ for the sharpest curvature $\lambda$ at the end, halved whenever the loss
        would rise). Says in whose basin each end lies; the iterates in the result stay as they are.

    Returns
    -------
    Dataset
        `paths` with `outcome(start)`, a number of its `attrs["names"]` (whose kinds are `attrs["kinds"]`: minimum,
        saddle, maximum, flat, moving, diverged); `plateau(start)`, the number of steps at which the loss shrank at less
        than a fifth of the rate that was still to come (see `plateaus`; with noise it says little); and
        `crossings(start)` if `side` is given.

    Notes
    -----
    Beyond 64 weights no Hessian is formed: ends with a gradient below 1e-3 of the median at the starts are then
    called stationary, whatever their curvature.

    Examples
    --------
    >>> import torch
    >>> from thalweg import FunctionProblem
    >>> from thalweg.measures import descend
    >>> problem = FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    >>> starts = [[2.0, 1.0], [0.5, 1.0], [-0.5, 1.0], [0.0, 1.0]]
    >>> paths = outcomes(descend(problem, starts, lambda w: torch.optim.SGD(w, lr=0.05), steps=100), problem)
    >>> [paths.outcome.attrs["names"][k] for k in paths.outcome.values]
    ['minimum at (1, 0)', 'minimum at (1, 0)', 'minimum at (-1, 0)', 'saddle at (0, 0)']
    """
    if schema.check(paths).attrs["kind"] != "descent":
        raise ValueError(f"These are results of kind {paths.attrs['kind']!r}; outcomes belong to a descent.")
    if paths.sizes["weight"] != problem.num_weights:
        raise ValueError(
            f"The descent has {paths.sizes['weight']} weights, the problem {problem.num_weights}; they belong to "
            "different problems."
        )
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance={tolerance!r}; it is a fraction of the spread of the starts, such as 0.02.")
    if isinstance(settle, bool) or not isinstance(settle, (int, np.integer)) or settle < 0:
        raise ValueError(f"settle={settle!r}; expected a whole number of steps from 0.")
    _check_branches(branches or {})
    ends = ends_of(paths, problem, settle)
    labels = _named(ends, judged(ends, problem, tolerance), problem, branches or {})
    known = list(branches or {})
    place = {name: k for k, name in enumerate(known)}
    # An order that does not hang on the counts: the same branch has the same colour in every picture.
    names = sorted(set(labels), key=lambda label: (KINDS.index(label[0]), place.get(label[1], len(known)), label[1]))
    about = {"names": [name for _, name in names], "kinds": [kind for kind, _ in names], "long_name": "outcome"}
    found = paths.assign_attrs(settled=settle).assign(
        outcome=("start", np.array([names.index(label) for label in labels]), about),
        plateau=("start", plateaus(paths["loss"].values, paths["step"].values), {"units": "steps"}),
    )
    if side is not None:
        found["crossings"] = ("start", _crossings(paths["theta"].values, side), {"long_name": "crossings"})
    return schema.check(found)


def plateaus(loss: np.ndarray, steps: np.ndarray) -> np.ndarray:
    r"""Steps that each loss `(starts, kept)` spends on plateaus: sinking slowly, before it sinks fast.

    The excess over the least loss $m$ of all paths, $e_k = L_k - m$, shrinks at the rate $r_k = \log(e_k / e_{k+1})$ a
    step (until a thousandth of it is left). A plateau are the steps with $r_k < \frac15 \max_{j > k} r_j$: a loss
    that shrinks at a constant rate, or slower and slower, has none. Where no path came to its end, $m$ is too high,
    and the last steps seem fast; the number of one path may thus change with the company that it is in.

    Examples
    --------
    >>> halved = 0.5 ** np.arange(16.0)
    >>> plateaus(np.array([[1.0, 0.99, 0.98, *halved[1:14]], halved]), np.arange(16))
    array([2, 0])
    """
    finite = np.where(np.isfinite(loss), loss, np.nan)
    if np.isnan(finite).all():
        return np.zeros(len(loss), dtype=int)
    excess = finite - np.nanmin(finite)
    with np.errstate(all="ignore"):
        excess = np.maximum(excess, _FLOOR * excess[:, :1])
        rate = -np.diff(np.log(excess), axis=1) / np.diff(steps)
    rate = np.nan_to_num(rate, nan=0.0, posinf=0.0, neginf=0.0)
    to_come = np.maximum.accumulate(rate[:, ::-1], axis=1)[:, ::-1]
    to_come = np.concatenate([to_come[:, 1:], np.zeros((len(loss), 1))], axis=1)
    return ((rate < _SLOW * to_come) & (to_come > 0)) @ np.diff(steps)


def _check_branches(branches: Branches) -> None:
    for name, branch in branches.items():
        pair = isinstance(branch, tuple) and len(branch) == 2
        if not pair or branch[0] not in KINDS[:4] or not callable(branch[1]):
            raise ValueError(
                f"Branch {name!r} is {branch!r}; expected a pair of a kind ({', '.join(KINDS[:4])}) and a predicate on "
                "weights (n, num_weights)."
            )


def _named(ends: Ends, found: Judged, problem: Problem, branches: Branches) -> list[Label]:
    """(kind, name) of every end: the names known on paper first, then by what belongs together."""
    kinds = found.kinds
    labels: list[Label | None] = [None] * len(kinds)
    finite = np.flatnonzero(ends.finite)
    for name, (kind, holds) in branches.items():
        inside = np.asarray(holds(ends.theta[finite]))
        if inside.shape != finite.shape:
            raise ValueError(
                f"Branch {name!r} gave shape {inside.shape} for {finite.size} ends; its predicate says yes or no "
                "of each."
            )
        near = (kinds == kind) | ((kinds == "moving") & (kind == "minimum"))  # at a kink no gradient vanishes
        for k in finite[inside.astype(bool) & near[finite]]:
            labels[k] = labels[k] or (kind, name)
    for kind in ("minimum", "saddle", "maximum", "flat"):
        members = np.array([k for k, found in enumerate(kinds) if found == kind], dtype=int)
        if any(labels[k] is None for k in members):
            _name_groups(labels, members, ends, found, problem)
    plain = {"moving": "still moving", "diverged": "diverged"}
    return [label or (kind, plain[kind]) for label, kind in zip(labels, kinds, strict=True)]


def _name_groups(labels: list[Label | None], members: np.ndarray, ends: Ends, found: Judged, problem: Problem) -> None:
    """Name the ends of one kind that have no name yet: as others of their group, or by where the group lies."""
    number, kind = groups(members, ends, found, problem), str(found.kinds[members[0]])
    nameless = []
    for group in np.unique(number):
        inside = members[number == group]
        known = [label for k in inside if (label := labels[k]) is not None]
        if known:
            common = max(set(known), key=known.count)
            for k in inside:
                labels[k] = labels[k] or common
        else:
            nameless.append(inside)
    depth = _ranked([float(ends.loss[inside].min()) for inside in nameless])
    order = sorted(range(len(nameless)), key=lambda g: (depth[g], -nameless[g].size))
    taken: set[str] = set()
    for place, g in enumerate(order):
        name = _group_name(found.place[nameless[g]], kind, ends, place, len(nameless))
        name = f"{name} ({place + 1})" if name in taken else name
        taken.add(name)
        for k in nameless[g]:
            labels[k] = (kind, name)


def _ranked(depth: list[float]) -> list[int]:
    """Ranks of the losses, equal for those that differ by less than a millionth of their range."""
    between = max(depth, default=0.0) - min(depth, default=0.0)
    ranks = np.zeros(len(depth), dtype=int)
    order = np.argsort(depth, kind="stable")
    ranks[order[1:]] = np.cumsum(np.diff(np.array(depth)[order]) > 1e-6 * between)
    return ranks.tolist()


def _group_name(place: np.ndarray, kind: str, ends: Ends, number: int, among: int) -> str:
    """By the place of a group that lies in one, of few weights; else a number."""
    num_weights = place.shape[1]
    word = "stationary" if kind == "flat" and num_weights > DENSE else {"flat": "flat region"}.get(kind, kind)
    middle = np.median(place, axis=0)
    apart = np.linalg.norm(place - middle, axis=1)
    if num_weights <= 3 and np.sqrt((apart**2).mean()) <= 0.1 * ends.spread and kind != "flat":
        return f"{word} at ({', '.join(_rounded(float(x), ends.spread) for x in place[apart.argmin()])})"
    return f"{word} {number + 1}" if among > 1 else word


def _rounded(x: float, spread: float) -> str:
    """Three digits, or as many as tell places apart that are a hundredth of the spread from each other."""
    x = round(x, int(np.ceil(2.5 - np.log10(max(spread, 1e-300))))) + 0.0
    return f"{x:.{max(3, int(np.ceil(np.log10(max(abs(x) / spread, 1e-9)))) + 2)}g}"


def _crossings(theta: np.ndarray, side: Side) -> np.ndarray:
    """How often each path changes sides; steps that are not finite, or on the line itself (0), do not count."""
    labels: Any = np.asarray(side(np.nan_to_num(theta.reshape(-1, theta.shape[-1]), posinf=0.0, neginf=0.0)))
    labels = np.where(np.isfinite(theta).all(-1), labels.reshape(theta.shape[:2]), 0)
    counts = []
    for row in labels:
        seen = row[row != 0]
        counts.append(int((np.diff(seen) != 0).sum()))
    return np.array(counts)
