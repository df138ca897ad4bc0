r"""Curvature all over a plane: the projected Hessian at every grid point, and how far from convex the loss is.

In an orthonormal basis of the plane the Hessian of the slice has eigenvalues $\lambda_{\min} \le \lambda_{\max}$; their
ratio $|\lambda_{\min} / \lambda_{\max}|$ is near zero where the slice is nearly convex (Li et al. 2018, section 6,
which maps the ratio of the whole Hessian's: `whole=True`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.linalg import top_eigenpairs
from thalweg.measures.ends import products
from thalweg.measures.progress import bar
from thalweg.measures.surface import loss_surface
from thalweg.problem import Problem
from thalweg.subspaces import Box


def curvature_map(
    problem: Problem,
    plane: Box,
    *,
    extent: Any = "auto",
    points: Any = 25,
    whole: bool = False,
    tol: float = 1e-2,
    progress: bool | None = None,
    **options: Any,
) -> xr.Dataset:
    r"""The loss surface with its curvature at every point.

    Parameters
    ----------
    problem, plane, extent, points, options
        As for `loss_surface`; the result is kept in memory (`save` writes it).
    whole
        The extreme eigenvalues of the whole Hessian, not only of its projection: some twenty products at each point.
    tol
        Of those eigenvalues, relative to the larger; where they do not converge they are nan.
    progress
        Whether to show a progress bar; by default for runs of more than a few seconds.

    Returns
    -------
    Dataset
        Kind `surface` with `hessian(alpha, beta, coordinate, coordinate_2)` $= D \nabla^2 L D^\top$ and the quantities
        `curvature_min`, `curvature_max` and `curvature_ratio` $= |\lambda_{\min} / \lambda_{\max}|$, nan where the loss
        is not finite.

    Notes
    -----
    Cost: a Hessian product for each direction at each point, two to three gradients each.

    Examples
    --------
    >>> from thalweg import FunctionProblem, coordinate_plane
    >>> saddle = FunctionProblem(lambda x, y: x**2 - 3 * y**2)
    >>> found = curvature_map(saddle, coordinate_plane(saddle), extent=1.0, points=3)
    >>> float(found.curvature_min[0, 0]), float(found.curvature_max[0, 0]), float(found.curvature_ratio[0, 0])
    (-6.0, 2.0, 3.0)
    """
    if options.get("num_examples") is not None:
        raise ValueError("Curvature over a plane is that of all examples; leave out `num_examples`.")
    if "store" in options:
        raise ValueError("A map of curvature is kept in memory; write it with `thalweg.save(map, store, name)`.")
    surface = loss_surface(problem, plane, extent=extent, points=points, progress=progress, **options)
    axes = [surface[dim].values for dim in plane.dims]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    shape = coords.shape[:-1]
    thetas = plane(torch.as_tensor(coords.reshape(-1, len(plane.dims)))).to(problem.theta).cpu().numpy()
    directions = plane.directions.double().cpu().numpy()
    expected = 10 * float(surface.attrs.get("seconds_per_point", 0.0)) * len(thetas)
    parts = []
    with bar("curvatures", len(thetas), 0, show=progress, seconds=expected, unit="points") as advance:
        for part in np.array_split(thetas, min(100, len(thetas))):
            with np.errstate(invalid="ignore", over="ignore"):  # where the loss is not finite
                parts.append(np.stack([products(problem, part, d) @ directions.T for d in directions], axis=1))
            advance(len(part))
    dense = np.concatenate(parts)
    dense = (dense + dense.swapaxes(1, 2)) / 2
    dense[~np.isfinite(surface["loss"].values.reshape(-1))] = np.nan
    extremes = _whole(problem, thetas, tol, progress) if whole else _projected(dense, plane)
    dims = surface["loss"].dims
    projected = dense.reshape(*shape, *dense.shape[1:])
    found = surface.assign(hessian=((*dims, "coordinate", "coordinate_2"), projected, {"role": "hessian"}))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(extremes[:, 0] / extremes[:, 1])
    of = "the Hessian" if whole else "the projected Hessian"
    for name, values, words in (
        ("curvature_min", extremes[:, 0], f"smallest eigenvalue of {of}"),
        ("curvature_max", extremes[:, 1], f"largest eigenvalue of {of}"),
        ("curvature_ratio", ratio, f"|smallest / largest eigenvalue| of {of}"),
    ):
        unit = "1" if name == "curvature_ratio" else surface["loss"].attrs.get("units", "")
        about = {"role": "value", "metric": name, "split": "train", "long_name": words, "units": unit}
        found[name] = (dims, values.reshape(shape), about)
    return schema.check(found)


def _projected(dense: np.ndarray, plane: Box) -> np.ndarray:
    """Extreme eigenvalues in an orthonormal basis of the subspace, `(n, 2)`."""
    root = np.linalg.inv(np.linalg.cholesky(plane.gram))
    straight = root @ dense @ root.T
    finite = np.isfinite(straight).all(axis=(1, 2))
    values = np.full((len(dense), straight.shape[-1]), np.nan)
    values[finite] = np.linalg.eigvalsh(straight[finite])
    return values[:, [0, -1]]


def _whole(problem: Problem, thetas: np.ndarray, tol: float, progress: bool | None) -> np.ndarray:
    """Extreme eigenvalues of the whole Hessian, each search begun with the last one's vectors."""
    found, start, curvature = np.full((len(thetas), 2), np.nan), None, None
    with bar("spectra", len(thetas), 0, show=progress, seconds=np.inf, unit="points") as advance:
        for k, row in enumerate(thetas):
            theta = torch.as_tensor(row).to(problem.theta)
            advance(1)
            if not torch.isfinite(problem.gradient(theta)).all():
                continue
            if curvature is None:
                curvature = problem.curvature(theta=theta, expected=20 * len(thetas))
            here = curvature.moved(theta)
            pairs = top_eigenpairs(
                here.product, here.num_weights, 2, which="both", tol=tol, start=start, dtype=theta.dtype
            )
            start = pairs.eigenvectors
            if pairs.converged.all():
                found[k] = pairs.eigenvalues.min(), pairs.eigenvalues.max()
    return found
