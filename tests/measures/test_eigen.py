"""Lines and planes along eigenvectors: the loss there is the parabola of the eigenvalue, to second order."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import thalweg as tw
from thalweg.measures.eigen import eigen_line, eigen_plane

from . import naive


@pytest.fixture(scope="module")
def problem():
    return tw.ModuleProblem(naive.network(), naive.regression(15), loss=F.mse_loss)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_close_to_the_origin_the_loss_is_the_parabola_of_the_eigenvalue(problem, k):
    line = eigen_line(problem, tw.top_eigenpairs(problem, 3, tol=1e-10), k)
    info = line.info
    surface = tw.loss_surface(problem, line, alpha=np.linspace(-1e-3, 1e-3, 5))
    told = json.loads(surface.attrs["subspace"])
    a = surface.alpha.values
    parabola = told["loss"] + told["slope"][0] * a + told["eigenvalues"][0] * a**2 / 2
    np.testing.assert_allclose(surface.loss, parabola, rtol=0, atol=1e-2 * abs(info["eigenvalues"][0]) * 1e-6)
    assert float(line.u.norm()) == pytest.approx(1.0)


def test_the_plane_holds_both_eigenvectors(problem):
    pairs = tw.top_eigenpairs(problem, 4, tol=1e-10)
    plane = eigen_plane(problem, pairs, (1, 3))
    H = torch.autograd.functional.hessian(problem.loss, problem.theta)
    D = plane.directions
    values = pairs.eigenvalue.values[[0, 2]]
    np.testing.assert_allclose(D @ H @ D.T, np.diag(values), atol=1e-8 * abs(values[0]))
    assert plane.info["eigenvalues"] == pytest.approx(values.tolist())


def test_without_pairs_they_are_computed_where_the_problem_stands():
    bowl = tw.FunctionProblem(lambda x, y: x**4 + y**2, theta=[1.0, 0.0])
    line = eigen_line(bowl)
    np.testing.assert_allclose(line.u.abs(), [1, 0], atol=1e-6)
    assert line.info["eigenvalues"] == pytest.approx([12.0])
    assert abs(line.info["slope"][0]) == pytest.approx(4.0)
    assert line.info["loss"] == 1.0


def test_what_is_no_eigenvector_is_refused(problem):
    pairs = tw.top_eigenpairs(problem, 2)
    with pytest.raises(ValueError, match="no pair 3; there are 1, 2"):
        eigen_line(problem, pairs, 3)
    with pytest.raises(ValueError, match="two different pairs"):
        eigen_plane(problem, pairs, (1, 1))
    with pytest.raises(ValueError, match="'eigenpairs' with its vectors"):
        eigen_line(problem, pairs.drop_vars("eigenvector"))
    with pytest.raises(ValueError, match="different problems"):
        eigen_line(tw.FunctionProblem(lambda x, y: x * y), pairs)


def test_pairs_of_elsewhere_or_of_another_matrix_are_refused(problem):
    """Their eigenvalue is not the curvature along the vector here."""
    there = tw.top_eigenpairs(problem, 1, theta=problem.theta + 0.1)
    with pytest.raises(ValueError, match="other weights"):
        eigen_line(problem, there)
    with pytest.raises(ValueError, match="plain Hessian"):
        eigen_plane(problem, tw.top_eigenpairs(problem, 2, matrix="empirical_fisher"))
    bowl = tw.FunctionProblem(lambda x, y: 2 * x**2 + y**2 / 2)
    with pytest.raises(ValueError, match="preconditioned"):
        eigen_line(bowl, tw.sharpness(bowl, preconditioner=torch.tensor([8.0, 0.5])))
