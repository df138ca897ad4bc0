r"""What a training path looks like: its principal plane, and where it lies relative to any plane.

Principal components come from the Gram matrix of the recorded weights (steps x steps), summed over stripes of weights,
so that a long run of a large network stays on disk. The share of variance that they explain says little by itself: the
path of a random walk in high dimensions gives $6/\pi^2 \approx 61\%$ for the first component (Antognini &
Sohl-Dickstein 2018, arXiv:1806.08805). `random_walk` tells what such a walk looks like beside a path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.gram import Center, centred, check_center, gram
from thalweg.measures.request import subspace_id
from thalweg.measures.stripes import recorded_weights, stripes
from thalweg.problem import Problem
from thalweg.store import provenance
from thalweg.subspaces import Box, Plane


def principal_components(trajectory: xr.Dataset, num_components: int = 2, center: Center = "mean") -> xr.Dataset:
    r"""Directions in which a trajectory varies most.

    With $W$ the weights of $T$ steps less the centre, $W W^T = Q \Lambda Q^T$; component $k$ is
    $W^T q_k / \sqrt{\lambda_k}$ and explains $\lambda_k / \sum_j \lambda_j$ of the variance.

    Parameters
    ----------
    trajectory
        Kind `trajectory`, as a `Recorder` writes it; `theta` may be lazy. Or kind `descent`: the iterates of all starts
        together, those that diverged left out.
    num_components
        At most $T - 1$.
    center
        `"mean"` of all steps (principal component analysis), or the `"last"` step (Li et al. 2018), so that the end
        lies in the plane.

    Returns
    -------
    Dataset
        Kind `components`: `component(axis, weight)` of unit length, `mean(weight)` (the centre),
        `explained_variance_ratio(axis)`, `score(step, axis)` (of a descent `score(start, step, axis)`).

    Raises
    ------
    ValueError
        Fewer different steps than components need, or non-finite weights (a run that diverged).

    Notes
    -----
    Two passes over the weights. Memory: the result ($k + 1$ vectors in float64), half a gigabyte, and a matrix of
    steps x steps; with more steps than weights, the recorded weights in float64.
    """
    if schema.check(trajectory).attrs["kind"] == "descent":
        return _of_descent(trajectory, num_components, center)
    return schema.check(_of_trajectory(trajectory, num_components, center, np.float64))


def _of_trajectory(trajectory: xr.Dataset, num_components: int, center: Center, dtype: Any) -> xr.Dataset:
    theta = recorded_weights(trajectory, 1, "principal components")
    num_steps, num_weights = theta.shape
    if not 1 <= num_components <= num_steps - 1:
        raise ValueError(
            f"{num_components} principal components need at least {num_components + 1} recorded steps; the trajectory "
            f"has {num_steps}."
        )
    check_center(center)
    eigenvalues, weights = _by_rows(theta, center) if num_steps <= num_weights else _by_columns(theta, center)
    few = num_components > num_weights
    if few or not eigenvalues[num_components - 1] > 1e-12 * max(eigenvalues[0], 1e-300):
        raise ValueError(f"The trajectory moves in fewer than {num_components} directions; ask for fewer components.")
    weights = weights[:, :num_components] / np.sqrt(eigenvalues[:num_components])
    components = np.empty((num_components, num_weights), dtype)
    mean, scores = np.empty(num_weights, dtype), np.zeros((num_steps, num_components))
    for columns, block, middle in centred(theta, center):
        found = weights.T @ block
        components[:, columns], mean[columns] = found, middle
        scores += block @ found.T
    signs = np.where(scores[-1] < scores[0], -1.0, 1.0)
    components *= signs[:, None].astype(dtype)
    return xr.Dataset(
        {
            "component": (("axis", "weight"), components),
            "mean": ("weight", mean),
            "explained_variance_ratio": ("axis", eigenvalues[:num_components] / eigenvalues.sum()),
            "score": (("step", "axis"), scores * signs),
        },
        {"step": trajectory["step"], "axis": np.arange(1, num_components + 1)},
        {"kind": "components", "center": center, **provenance()},
    )


def _by_rows(theta: xr.DataArray, center: Center) -> tuple[np.ndarray, np.ndarray]:
    """Falling eigenvalues of the Gram matrix, and its vectors `(step, axis)`."""
    eigenvalues, vectors = np.linalg.eigh(gram(theta, center))
    return np.clip(eigenvalues[::-1], 0.0, None), vectors[:, ::-1]


def _by_columns(theta: xr.DataArray, center: Center) -> tuple[np.ndarray, np.ndarray]:
    """The same where weights are fewer than steps, from the singular values of what fits in memory."""
    rows = np.concatenate([block for _, block, _ in centred(theta, center)], axis=1)
    vectors, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    return sizes**2, vectors


def _of_descent(descent: xr.Dataset, num_components: int, center: Center) -> xr.Dataset:
    """Of all iterates of all starts, from the singular values of one matrix."""
    theta = descent["theta"].values
    finite = np.isfinite(theta).all(axis=(1, 2))
    rows = theta[finite].reshape(-1, theta.shape[2])
    if center != "mean":
        raise ValueError("A descent ends in as many places as it has starts; take center='mean'.")
    if not 1 <= num_components <= min(len(rows) - 1, rows.shape[1]):
        raise ValueError(
            f"{num_components} principal components need as many weights and one more iterate; the descent has "
            f"{rows.shape[1]} weights and {len(rows)} iterates of starts that did not diverge."
        )
    middle = rows.mean(axis=0)
    sizes, components = np.linalg.svd(rows - middle, full_matrices=False)[1:]
    if not sizes[num_components - 1] > 1e-6 * max(sizes[0], 1e-150):
        raise ValueError(f"The descent moves in fewer than {num_components} directions; ask for fewer components.")
    components = components[:num_components]
    components *= np.where(np.take_along_axis(components, np.abs(components).argmax(1)[:, None], 1) < 0, -1.0, 1.0)
    dataset = xr.Dataset(
        {
            "component": (("axis", "weight"), components),
            "mean": ("weight", middle),
            "explained_variance_ratio": ("axis", sizes[:num_components] ** 2 / (sizes**2).sum()),
            "score": (("start", "step", "axis"), (theta - middle) @ components.T),
        },
        {"start": descent["start"], "step": descent["step"], "axis": np.arange(1, num_components + 1)},
        {"kind": "components", "center": center, **provenance()},
    )
    return schema.check(dataset)


def principal_plane(trajectory: xr.Dataset, center: Center = "mean") -> Plane:
    """The plane of the first two principal components of a trajectory, in units of distance in weight space.

    `plane.info["explained_variance_ratio"]` tells how much of the path it holds; `plane.anchors` are the projected
    steps, so that `loss_surface(problem, plane)` covers the path.
    """
    if schema.check(trajectory).attrs["kind"] == "descent":
        found = _of_descent(trajectory, 2, center)
    else:
        found = _of_trajectory(trajectory, 2, center, recorded_weights(trajectory, 1, "a principal plane").dtype)
    dtype = torch.as_tensor(np.empty(0, trajectory["theta"].dtype)).dtype
    origin = torch.as_tensor(found["mean"].values).to(dtype)
    u, v = torch.as_tensor(found["component"].values).to(dtype)
    ratios = [round(float(r), 6) for r in found["explained_variance_ratio"]]
    scores = found["score"].values.reshape(-1, 2)
    info = {
        "kind": "principal",
        "center": center,
        "explained_variance_ratio": ratios,
        "normalize": "unit length",
        "labels": [f"principal component {k + 1} ({100 * r:.3g}%)" for k, r in enumerate(ratios)],
    }
    return Plane(origin, u, v, info=info, anchors=scores[np.isfinite(scores).all(axis=1)])


def project_trajectory(trajectory: xr.Dataset, plane: Box, problem: Problem | None = None) -> xr.Dataset:
    """Where a trajectory runs in a subspace, how far it is from it, and what both cost.

    Parameters
    ----------
    trajectory
        Kind `trajectory`, or kind `descent`, whose many paths are projected at once.
    plane
        Any line, plane or box.
    problem
        If given, loss and metrics are measured at the true points (`loss`) and at their projections (`projected_loss`):
        what a contour shows under the path is the second.

    Returns
    -------
    Dataset
        Kind `path`: the coordinates, `distance` and the losses over `step`. Of a descent: the same descent with its
        coordinates and `distance` over `(start, step)`, nan where it diverged.
    """
    if schema.check(trajectory).attrs["kind"] == "descent":
        if problem is not None:
            raise ValueError("A descent brings the losses of its iterates; project it without `problem`.")
        return _project_descent(trajectory, plane)
    theta = recorded_weights(trajectory, 1, "a path")
    steps = range(theta.sizes["step"])
    places = [plane.project(torch.as_tensor(_row(theta, k))) for k in steps]
    coords = np.stack([place.coords.cpu().numpy() for place in places])
    distance = np.array([float(place.distance) for place in places])
    path = xr.Dataset(
        {
            **{dim: ("step", coords[:, k], {"role": "position"}) for k, dim in enumerate(plane.dims)},
            "distance": ("step", distance, {"role": "distance", "long_name": "distance from the plane", "units": "1"}),
        },
        {"step": trajectory["step"]},
        {
            "kind": "path",
            "coordinates": list(plane.dims),
            "subspace_id": subspace_id(plane),
            "length": _length(theta),
            **provenance(),
        },
    )
    if "learning_rate" in trajectory:
        path["learning_rate"] = trajectory["learning_rate"]
    if "explained_variance_ratio" in plane.info:
        path.attrs["explained_variance_ratio"] = plane.info["explained_variance_ratio"]
    if problem is not None:
        _add_losses(path, theta, coords, plane, problem)
        path.attrs["batch_norm"] = problem.provenance().get("batch_norm", "none in the model")
    return schema.check(path)


def _project_descent(descent: xr.Dataset, plane: Box) -> xr.Dataset:
    """The descent with its positions in a subspace."""
    place = plane.project(torch.as_tensor(descent["theta"].values))
    coords, dims = place.coords.cpu().numpy(), ("start", "step")
    about = {"role": "distance", "long_name": "distance from the plane", "units": "1"}
    positions: dict[str, Any] = {dim: (dims, coords[..., k], {"role": "position"}) for k, dim in enumerate(plane.dims)}
    positions["distance"] = (dims, place.distance.cpu().numpy(), about)
    found = descent.assign(positions)
    return schema.check(found.assign_attrs(coordinates=list(plane.dims), subspace_id=subspace_id(plane)))


class _Rows:
    """Recorded weights by number, read when they are asked for."""

    def __init__(self, theta: xr.DataArray, like: torch.Tensor) -> None:
        self.theta, self.like = theta, like

    def __len__(self) -> int:
        return self.theta.sizes["step"]

    def __getitem__(self, index: slice) -> torch.Tensor:
        return torch.as_tensor(self.theta[index].values).to(self.like)


def _add_losses(path: xr.Dataset, theta: xr.DataArray, coords: np.ndarray, plane: Box, problem: Problem) -> None:
    from thalweg.subspaces import GridPoints

    if theta.sizes["weight"] != problem.num_weights:
        raise ValueError(
            f"The trajectory has {theta.sizes['weight']} weights, the problem {problem.num_weights}; they belong to "
            "different networks."
        )
    taken = {*plane.dims, "distance", "learning_rate", "step"}
    clash = [name for name in problem.quantities if name in taken or name.startswith("projected_")]
    if clash:
        raise ValueError(f"The metrics {', '.join(clash)} have names that a path uses itself; rename them.")
    true = problem.measure(_Rows(theta, problem.theta)).values
    projected = problem.measure(GridPoints(plane, coords, problem.theta)).values
    for name in true:
        path[name] = ("step", true[name].numpy(), {"role": "value", "long_name": f"{name} at the true point"})
        about = {"role": "projected", "long_name": f"{name} at the projection onto the plane"}
        path[f"projected_{name}"] = ("step", projected[name].numpy(), about)


def _row(theta: xr.DataArray, k: int) -> np.ndarray:
    return np.asarray(theta[k].values, dtype=np.float64)


def _length(theta: xr.DataArray) -> float:
    """Length of the polygon through all recorded steps; not finite if the run diverged."""
    squares = np.zeros(theta.sizes["step"] - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        for _, block in stripes(theta, finite=False):
            squares += np.square(np.diff(block, axis=0)).sum(axis=1)
    return float(np.sqrt(squares).sum())
