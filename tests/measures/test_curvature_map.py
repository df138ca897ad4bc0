"""Curvature over a plane against dense Hessians projected by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import thalweg as tw
from thalweg.measures.curvature_map import curvature_map

from . import naive


def network():
    model, data = naive.network(), naive.regression(15)
    return tw.ModuleProblem(model, data, loss=F.mse_loss)


def test_the_projected_hessian_is_that_of_the_dense_one_at_every_point():
    """Directions neither of unit length nor orthogonal: eigenvalues are those in an orthonormal basis."""
    problem = network()
    draw = np.random.default_rng(0)
    plane = tw.Plane(problem.theta, *(torch.as_tensor(d) for d in draw.normal(size=(2, problem.num_weights))))
    found = curvature_map(problem, plane, extent=0.5, points=(3, 4))
    D = plane.directions.double().numpy()
    basis = np.linalg.qr(D.T)[0].T
    for i, a in enumerate(found.alpha.values):
        for j, b in enumerate(found.beta.values):
            theta = plane(torch.tensor([a, b], dtype=torch.float64))
            H = torch.autograd.functional.hessian(problem.loss, theta).numpy()
            np.testing.assert_allclose(found.hessian[i, j], D @ H @ D.T, rtol=1e-8, atol=1e-10)
            low, high = np.linalg.eigvalsh(basis @ H @ basis.T)
            np.testing.assert_allclose([found.curvature_min[i, j], found.curvature_max[i, j]], [low, high], rtol=1e-7)
            assert float(found.curvature_ratio[i, j]) == pytest.approx(abs(low / high))


def test_of_the_whole_hessian_it_tells_the_extreme_eigenvalues():
    problem = network()
    found = curvature_map(problem, tw.random_plane(problem, seed=0), extent=0.5, points=3, whole=True, tol=1e-6)
    for i, a in enumerate(found.alpha.values):
        for j, b in enumerate(found.beta.values):
            theta = tw.random_plane(problem, seed=0)(torch.tensor([a, b], dtype=torch.float64))
            values = np.linalg.eigvalsh(torch.autograd.functional.hessian(problem.loss, theta).numpy())
            np.testing.assert_allclose(found.curvature_max[i, j], values[-1], rtol=1e-4)
            np.testing.assert_allclose(found.curvature_min[i, j], values[0], rtol=1e-3, atol=1e-5 * values[-1])


def test_where_the_loss_is_not_finite_there_is_no_curvature(tmp_path):
    problem = tw.FunctionProblem(lambda x, y: torch.log(x) ** 2 + y**2)
    found = curvature_map(problem, tw.coordinate_plane(problem), extent=1.0, points=5)
    gone = found.alpha.values <= 0
    assert np.isnan(found.curvature_max.values[gone]).all()
    assert np.isfinite(found.curvature_max.values[~gone]).all()
    assert tw.load(tw.save(found, tmp_path / "study.zarr")).identical(found)
    with pytest.raises(ValueError, match=r"thalweg\.save"):
        curvature_map(problem, tw.coordinate_plane(problem), extent=1.0, store="x.zarr")


def test_on_a_line_there_is_one_curvature():
    problem = tw.FunctionProblem(lambda x, y: x**4 + y**2)
    line = tw.Line(np.zeros(2), np.array([2.0, 0.0]))
    found = curvature_map(problem, line, extent=1.0, points=5)
    expected = 12 * (2 * found.alpha.values) ** 2
    np.testing.assert_allclose(found.curvature_max, expected, atol=1e-12)
    np.testing.assert_array_equal(found.curvature_min, found.curvature_max)


def test_a_subset_of_the_examples_is_refused():
    problem = network()
    with pytest.raises(ValueError, match="num_examples"):
        curvature_map(problem, tw.random_plane(problem), extent=1.0, points=3, num_examples=5)
