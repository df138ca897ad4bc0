r"""Which ends of descents belong together: those of one isolated point, and those along one valley.

Ends with curvature in all directions are one if Newton's iteration leads them to one point. Others lie in valleys: two
neighbours are connected if the loss between them rises by no more than a hundredth of $\lambda d^2 / 8$, what a well
of their curvature $\lambda$ could rise over their distance $d$ (or the spread of the starts, if that is less); along
the straight way, or, as valleys bend, along one that has been let down to the floor. A valley is a chain of such
neighbours.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist, squareform

from thalweg.measures.ends import DENSE, Ends, Judged, at, eigen
from thalweg.problem import Problem

_NEIGHBOURS, _TREE = 12, 3000
_BENT = 64  # at most so many ways are let down to the floor of a valley, the shortest first
_LOW = 0.01  # of what a well could rise: no barrier
_BETWEEN = np.linspace(0.0, 1.0, 11)[1:-1]
Pairs = tuple[np.ndarray, np.ndarray]


def groups(members: np.ndarray, ends: Ends, judged: Judged, problem: Problem) -> np.ndarray:
    """Number of the group of each of the ends `members`, all of one kind."""
    place = judged.place[members]
    _, first, copies = np.unique(np.round(place / (1e-5 * ends.spread)), axis=0, return_index=True, return_inverse=True)
    some = members[first]
    if len(some) == 1:
        return np.zeros(len(members), dtype=int)
    points, alone = judged.place[some], judged.isolated[some]
    tree = _tree(points)
    a, b = _neighbours(points, tree)
    joined = np.linalg.norm(points[a] - points[b], axis=1) <= _reach(judged.slack[some], a, b, ends.spread)
    asked = np.flatnonzero(~joined & ~(alone[a] | alone[b]))
    pairs = a[asked], b[asked]
    ways = points[pairs[0], None] + (points[pairs[1]] - points[pairs[0]])[:, None] * _BETWEEN[:, None]
    joined[asked] = _rise(problem, ways, ends.loss[some], pairs) <= _level(problem, ends, judged, some, pairs)
    number = _connected(a[joined], b[joined], len(some))
    if ends.theta.shape[1] <= DENSE:
        c, d = _along_floors(problem, ends, judged, some, _open(tree, points, number, alone))
        number = _connected(np.concatenate([a[joined], c]), np.concatenate([b[joined], d]), len(some))
    return number[copies.reshape(-1)]


def _connected(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    return np.asarray(connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1])


def _reach(slack: np.ndarray, a: np.ndarray, b: np.ndarray, spread: float) -> np.ndarray:
    """How far apart two points may be and still be one, as far as Newton's iteration can tell."""
    return np.minimum(1e-4 * spread + 10 * (slack[a] + slack[b]), 1e-2 * spread)


def _level(problem: Problem, ends: Ends, judged: Judged, some: np.ndarray, pairs: Pairs) -> np.ndarray:
    """What is no barrier between each pair."""
    a, b = (some[k] for k in pairs)
    rounding = 100 * torch.finfo(problem.layout.dtype).eps * np.maximum(np.abs(ends.loss[a]), np.abs(ends.loss[b]))
    if ends.theta.shape[1] > DENSE:
        return _LOW * ends.drop + rounding
    apart = np.minimum(np.linalg.norm(judged.place[a] - judged.place[b], axis=1), ends.spread)
    sharpest = np.maximum(judged.sharpest[a], judged.sharpest[b])
    level = _LOW * sharpest * apart**2 / 8 + rounding + 1e-9 * ends.drop
    return np.where(np.abs(ends.loss[a] - ends.loss[b]) > level, -np.inf, level)  # terraces are not one


def _rise(problem: Problem, ways: np.ndarray, loss: np.ndarray, pairs: Pairs) -> np.ndarray:
    """By how much the loss on each way `(n, places, num_weights)` exceeds that of the higher end."""
    if not len(ways):
        return np.empty(0)
    flat = torch.as_tensor(ways.reshape(-1, ways.shape[-1])).to(problem.theta)
    heights = problem.measure(flat, metrics=[]).values["loss"].numpy().reshape(len(ways), -1)
    return np.nan_to_num(heights, nan=np.inf).max(axis=1) - np.maximum(loss[pairs[0]], loss[pairs[1]])


def _tree(points: np.ndarray) -> Pairs:
    """The shortest tree through all points (through some, of very many), so that no crowd is left alone."""
    some = np.unique(np.linspace(0, len(points) - 1, min(len(points), _TREE)).astype(int))
    tree = minimum_spanning_tree(squareform(pdist(points[some]))).tocoo()
    return some[tree.row], some[tree.col]


def _neighbours(points: np.ndarray, tree: Pairs) -> Pairs:
    """Pairs of nearest neighbours, and those of the tree, each once."""
    near = np.asarray(cKDTree(points).query(points, k=min(_NEIGHBOURS, len(points) - 1) + 1)[1])[:, 1:]
    pairs = np.stack([np.repeat(np.arange(len(points)), near.shape[1]), near.ravel()])
    pairs = np.unique(np.sort(np.concatenate([pairs, np.stack(tree)], axis=1), axis=0), axis=1)
    return pairs[0], pairs[1]


def _open(tree: Pairs, points: np.ndarray, number: np.ndarray, alone: np.ndarray) -> Pairs:
    """Pairs of the tree between groups that may be one, the shortest."""
    a, b = tree
    keep = np.flatnonzero((number[a] != number[b]) & ~(alone[a] | alone[b]))
    keep = keep[np.argsort(np.linalg.norm(points[a[keep]] - points[b[keep]], axis=1))][:_BENT]
    return a[keep], b[keep]


def _along_floors(problem: Problem, ends: Ends, judged: Judged, some: np.ndarray, pairs: Pairs) -> Pairs:
    """Those pairs between which a way let down to the floor has no barrier."""
    a, b = pairs
    if not len(a):
        return pairs
    begin, end = judged.place[some[a]], judged.place[some[b]]
    corners = np.stack([begin + t * (end - begin) for t in (0.25, 0.5, 0.75)], axis=1)
    let = _let_down(problem, corners.reshape(-1, begin.shape[1]), np.repeat(np.linalg.norm(end - begin, axis=1), 3))
    corners = np.concatenate([begin[:, None], let.reshape(corners.shape), end[:, None]], axis=1)
    ways = np.concatenate([corners, (corners[:, 1:] + corners[:, :-1]) / 2], axis=1)
    low = _rise(problem, ways, ends.loss[some], pairs) <= _level(problem, ends, judged, some, pairs)
    return a[low], b[low]


def _let_down(problem: Problem, places: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Places after three Newton steps along the directions that bend up, none longer than half the way."""
    for _ in range(3):
        _, slope = at(problem, places)
        curvature, directions = eigen(problem, places)
        up = curvature > 1e-3 * np.abs(curvature).max(axis=1, keepdims=True, initial=0.0)
        along = np.einsum("nij,ni->nj", directions, np.nan_to_num(slope))
        step = -np.einsum("nij,nj->ni", directions, np.where(up, along / np.where(up, curvature, 1.0), 0.0))
        longest = np.maximum(np.linalg.norm(step, axis=1) / (apart / 2), 1.0)
        places = places + step / longest[:, None]
    return places
