"""A network's tangent seen whole: singular values, features, kernel and gradients at some weights, into a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from thalweg.measures import empirical_ntk, gradient_statistics, laziness, linearize, track_tangent
from thalweg.measures.tangent import Method
from thalweg.problem import ModuleProblem
from thalweg.problem.outputs import Which
from thalweg.store import save

_MOST_ROWS = 300  # of the kernel's picture


def tangent(
    problem: ModuleProblem,
    *,
    inputs: Literal["train", "test"] = "train",
    outputs: Which = "all",
    k: int | None = None,
    method: Method = "auto",
    kernel_examples: int = _MOST_ROWS,
    gradients: bool = True,
    theta: Any = None,
    about: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Linearise a network where it stands: its tangent, kernel and gradients.

    Parameters
    ----------
    problem
        The network with its data.
    inputs
        `"train"` or `"test"` data.
    outputs, k, method, theta, seed
        As for `linearize`.
    kernel_examples
        The kernel is that of so many examples, the first; 0 for none. Of a network with several outputs its trace over
        them.
    gradients
        Norms by layer and by example, noise scale and cosines too, of the training data.
    about
        Further attrs of each result: a `title`, its `order` in a report.

    Returns
    -------
    dict
        Each result by its kind.
    """
    found = {"tangent": linearize(problem, inputs, outputs, k, method=method, theta=theta, seed=seed)}
    if kernel_examples and outputs != "loss":
        first, targets = next(iter(problem.outputs(inputs, outputs).examples.pieces(kernel_examples)))
        asked: dict[str, Any] = {"outputs": outputs, "part": "trace", "targets": targets, "theta": theta}
        title = f"Tangent kernel of {problem.provenance()['model']}"
        found["kernel"] = empirical_ntk(problem, first, **asked).assign_attrs(title=title)
    if gradients:
        found["gradients"] = gradient_statistics(problem, theta, seed=seed)
    return {kind: dataset.assign_attrs(about or {}) for kind, dataset in found.items()}


def along(problem: ModuleProblem, trajectory: xr.Dataset, every: int) -> dict[str, xr.Dataset]:
    """How the tangent changes along a recorded run, and how far the run leaves the first: `tangent_path`, `lazy`."""
    last = trajectory.sizes["step"] - 1
    some = trajectory.isel(step=sorted({*range(0, last, every), last}))
    return {"tangent_path": track_tangent(problem, some), "lazy": laziness(problem, some)}


def save_all(found: Mapping[str, xr.Dataset], study: str | Path, name: str, *, overwrite: bool = False) -> None:
    """Write results as `KIND/NAME`, once all of them are there."""
    for kind, dataset in found.items():
        save(dataset, study, f"{kind}/{name}", overwrite=overwrite)
