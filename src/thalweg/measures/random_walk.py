r"""The control for principal components of a path: what a random walk of the same length shows.

Two components that explain three quarters of the variance, and a path that is a smooth arc on their plane, need no
structure at all: any walk in many dimensions has both (Antognini & Sohl-Dickstein 2018, arXiv:1806.08805).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.gram import Center, places, principal
from thalweg.measures.stripes import recorded_weights, rising_steps
from thalweg.measures.walks import LIMIT, simulated_walk, walk_components
from thalweg.store import provenance


def random_walk(
    path: xr.Dataset,
    num_axes: int | None = None,
    *,
    num_walks: int = 100,
    dim: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Components of a path beside those of random walks seen at the same updates.

    In infinitely many dimensions component $k$ of a walk of $n$ equally distant points explains
    $3 \csc^2(\pi k / 2n) / 2(n^2 - 1) \to 6 / \pi^2 k^2$ of the variance (61 %, 15 %, 7 %, ...), and its scores are
    $\pm \cos(\pi k (i + \frac12) / n)$; see `walks` for the derivation, and for points at any distances.

    Parameters
    ----------
    path
        Kind `trajectory`, or its `components`, whose centre is then taken for the walks too.
    num_axes
        How many components; all that `components` has, or the first ten.
    num_walks
        Walks to simulate, with independent normal moves whose variance is the number of updates between rows. They
        tell how far a walk in finitely many dimensions strays from the theory.
    dim
        Their dimensions; by default the number of weights. No more expensive for more.
    seed
        Of the simulated walks.

    Returns
    -------
    Dataset
        Kind `random_walk`: over `axis`, `explained_variance_ratio` of the path, `theory`, and `walk(sample, axis)`;
        `score(step, axis)` of the path, `walk_score` of the first simulated walk and `theory_score`, both scaled to
        the path's total variance and with the signs that are nearest to the path's.

    Raises
    ------
    ValueError
        Fewer than two steps, a path at rest, more axes than there are, another kind.

    Notes
    -----
    One pass over the weights, with memory as in `principal_components` but without its vectors; each walk of $n$
    points costs $O(n^3)$, about a quarter of a second for a thousand.

    Examples
    --------
    >>> theta = np.random.default_rng(0).normal(size=(200, 5000)).cumsum(0)
    >>> run = xr.Dataset(
    ...     {
    ...         "theta": (("step", "weight"), theta),
    ...         "loss": ("step", np.zeros(200)),
    ...         "learning_rate": ("step", np.zeros(200)),
    ...     },
    ...     {"step": np.arange(200)},
    ...     {"kind": "trajectory"},
    ... )
    >>> control = random_walk(run, 2, num_walks=10)
    >>> control.explained_variance_ratio.values.round(2), control.theory.values.round(2)
    (array([0.61, 0.15]), array([0.61, 0.15]))
    """
    if schema.check(path).attrs["kind"] == "components":
        ratios, scores, total, center = _of_components(path, num_axes)
        num_weights = path.sizes["weight"]
    else:
        theta = recorded_weights(path, 2, "a random-walk control")
        num_weights, center = theta.sizes["weight"], "mean"
        ratios, scores, total = _of_trajectory(theta, num_axes)
    dim = num_weights if dim is None else dim
    times, num_axes = rising_steps(path), len(ratios)
    if num_walks < 1 or dim < num_axes:
        raise ValueError(
            f"num_walks={num_walks}, dim={dim}; expected a walk at least, in {num_axes} dimensions or more."
        )
    theory, theory_scores = walk_components(times, num_axes, center)
    walks, walk_scores = _simulated(times, num_axes, num_walks, dim, seed, center)
    scale = np.sqrt(total)
    dataset = xr.Dataset(
        {
            "explained_variance_ratio": ("axis", ratios),
            "theory": ("axis", theory, {"long_name": "a random walk in infinitely many dimensions"}),
            "walk": (("sample", "axis"), walks, {"long_name": f"simulated random walks in {dim} dimensions"}),
            "score": (("step", "axis"), scores),
            "walk_score": (("step", "axis"), _towards(scores, walk_scores * scale)),
            "theory_score": (("step", "axis"), _towards(scores, theory_scores * np.sqrt(theory) * scale)),
        },
        {"step": path["step"], "axis": np.arange(1, num_axes + 1), "sample": np.arange(num_walks)},
        {
            "kind": "random_walk",
            "center": center,
            "dim": dim,
            "num_weights": num_weights,
            "num_walks": num_walks,
            "seed": seed,
            "first_share_of_a_long_walk": LIMIT,
            **provenance(),
        },
    )
    return schema.check(dataset)


def _of_components(components: xr.Dataset, num_axes: int | None) -> tuple[np.ndarray, np.ndarray, float, Center]:
    if "start" in components.dims:
        raise ValueError("A descent has as many paths as starts; a random walk is held against one. Take a trajectory.")
    there = components.sizes["axis"]
    num_axes = _checked(num_axes, there, there)
    ratios, scores = components["explained_variance_ratio"].values[:num_axes], components["score"].values[:, :num_axes]
    center: Center = "last" if components.attrs.get("center") == "last" else "mean"
    return ratios, scores, float(np.square(scores[:, 0]).sum() / ratios[0]), center


def _of_trajectory(theta: xr.DataArray, num_axes: int | None) -> tuple[np.ndarray, np.ndarray, float]:
    num_axes = _checked(num_axes, min(theta.sizes["step"] - 1, theta.sizes["weight"]), 10)
    points = places(theta)
    values, vectors, total = principal(points, num_axes)
    if not total > 0:
        raise ValueError("The trajectory stands still: all its rows are the same weights.")
    scores = (points - points.mean(axis=0)) @ vectors
    return values / total, scores * np.where(scores[-1] < scores[0], -1.0, 1.0), total


def _simulated(
    times: np.ndarray, num_axes: int, num_walks: int, dim: int, seed: int, center: Center
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of variance of every walk `(sample, axis)`, and the first one's scores at a total variance of 1."""
    random = np.random.default_rng(seed)
    shares = np.empty((num_walks, num_axes))
    first = np.empty((len(times), num_axes))
    for k in range(num_walks):
        points = simulated_walk(times, dim, random)
        values, vectors, total = principal(points, num_axes, center)
        shares[k] = values / total
        if k == 0:
            middle = points.mean(axis=0) if center == "mean" else points[-1]
            first = (points - middle) @ vectors / np.sqrt(total)
    return shares, first


def _towards(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """With the signs that make them likest; those of components are arbitrary."""
    return others * np.where(np.einsum("ka,ka->a", scores, others) < 0, -1.0, 1.0)


def _checked(num_axes: int | None, most: int, default: int) -> int:
    if num_axes is None:
        return min(default, most)
    if isinstance(num_axes, bool) or not 1 <= num_axes <= most:
        raise ValueError(f"num_axes={num_axes}; this path has between 1 and {most}.")
    return int(num_axes)
