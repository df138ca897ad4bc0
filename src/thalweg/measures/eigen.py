r"""Lines and planes along eigenvectors: where the loss bends most, beside the parabola that the eigenvalue predicts.

Along the unit eigenvector $v$ with $\nabla^2 L\, v = \lambda v$ the second-order model is
$L(\theta_0) + (\nabla L \cdot v)\, \alpha + \frac12 \lambda \alpha^2$.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.request import need_problem
from thalweg.measures.spectrum import top_eigenpairs
from thalweg.problem import Problem
from thalweg.problem.identity import hash_tensor
from thalweg.subspaces import Line, Plane


def eigen_line(problem: Problem, pairs: xr.Dataset | None = None, k: int = 1) -> Line:
    r"""The line along an eigenvector, in units of distance in weight space.

    Parameters
    ----------
    problem
        Stands where the pairs were measured.
    pairs
        Kind `eigenpairs` with its vectors; those of the Hessian at `problem.theta` are computed if not given.
    k
        Number of the pair, from 1.

    Returns
    -------
    Line
        Its `info` tells the `eigenvalues`, the `slope` along each direction and the `loss` at the origin, from which a
        profile draws the parabola.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y: 3 * x**2 + y**2)
    >>> line = eigen_line(bowl)
    >>> line.u.abs().round(), line.info["eigenvalues"]
    (tensor([1., 0.], dtype=torch.float64), [6.0])
    """
    origin, directions, info = _along(problem, pairs, (k,))
    return Line(origin, directions[0], info=info)


def eigen_plane(problem: Problem, pairs: xr.Dataset | None = None, ks: tuple[int, int] = (1, 2)) -> Plane:
    """The plane along two eigenvectors; see `eigen_line`.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y, z: 3 * x**2 + y**2 - 2 * z**2)
    >>> eigen_plane(bowl).info["eigenvalues"]
    [6.0, -4.0]
    """
    if len(ks) != 2 or ks[0] == ks[1]:
        raise ValueError(f"ks={ks!r}; a plane needs two different pairs, such as (1, 2).")
    origin, directions, info = _along(problem, pairs, ks)
    return Plane(origin, directions[0], directions[1], info=info)


def _along(
    problem: Problem, pairs: xr.Dataset | None, ks: Sequence[int]
) -> tuple[Tensor, list[Tensor], dict[str, Any]]:
    need_problem(problem)
    if pairs is None:
        pairs = top_eigenpairs(problem, max(ks))
    if schema.check(pairs).attrs["kind"] != "eigenpairs" or "eigenvector" not in pairs:
        raise ValueError("Lines along eigenvectors need a result of kind 'eigenpairs' with its vectors.")
    if pairs.sizes["weight"] != problem.num_weights:
        raise ValueError(
            f"The vectors have {pairs.sizes['weight']} weights, the problem {problem.num_weights}; they belong to "
            "different problems, or to a block of one."
        )
    if pairs.attrs.get("matrix", "hessian") != "hessian" or pairs.attrs.get("preconditioned"):
        raise ValueError(
            f"The pairs are of the matrix {pairs.attrs.get('matrix')!r}, or preconditioned; the parabola along a line "
            'is that of the plain Hessian: top_eigenpairs(problem, matrix="hessian").'
        )
    if pairs.attrs.get("theta_id", "") not in ("", hash_tensor(problem.theta)):
        raise ValueError(
            "The pairs were measured at other weights than those at which the problem stands. Move it there "
            "(`problem.at(theta)`), or measure them here."
        )
    known = pairs["pair"].values.tolist()
    for k in ks:
        if k not in known:
            raise ValueError(f"There is no pair {k}; there are {', '.join(map(str, known))}.")
    rows = [pairs.sel(pair=k) for k in ks]
    directions = [torch.as_tensor(row["eigenvector"].values).to(problem.theta) for row in rows]
    values = [float(row["eigenvalue"]) for row in rows]
    loss, slope = problem.value_and_gradient(problem.theta)
    info = {
        "kind": "eigen",
        "eigenvalues": [round(v, 12) for v in values],
        "slope": [float(slope.double() @ d.double()) for d in directions],
        "loss": float(loss),
        "normalize": "unit length",
        "labels": [f"eigenvector {k} (λ = {value:.3g})" for k, value in zip(ks, values, strict=True)],
    }
    return problem.theta, directions, info
