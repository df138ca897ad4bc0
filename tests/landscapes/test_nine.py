"""The nine surfaces are their formulas, and the two random ones are functions."""

import numpy as np
import pytest
import torch

from thalweg.landscapes import landscape, nine

MESH = np.linspace(-1.5, 1.5, 50)
X, Y = np.meshgrid(MESH, MESH, indexing="ij")
FORMULAS = {
    "l0": X**2 + Y**2,
    "l1": X**2 + 0.1 * Y**2,
    "l2": 3 * X**2 + 0.1 * Y**2,
    "l3": np.cos(3 * X) + 0.5 * (X**2 + Y**2 + X),
    "l4": np.cos(3 * X) + X**2 + Y**2,
    "l5": np.maximum(abs(X) + abs(Y) - 0.75, 0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_first_six_are_their_formulas_on_the_mesh(name):
    assert landscape(name).extent == ((-1.5, 1.5), (-1.5, 1.5))
    np.testing.assert_allclose(landscape(name)(X, Y), FORMULAS[name], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("name", "slope"), [("l3", lambda x: x + 0.5), ("l4", lambda x: 2 * x)])
def test_the_ripples_have_no_other_critical_points(name, slope):
    """On y = 0, where the derivative -3 sin 3x + slope(x) changes sign; no root is beyond |slope(x)| = 3."""
    x = np.linspace(-4.0, 4.0, 8000)
    changes = np.flatnonzero(np.diff(np.sign(-3 * np.sin(3 * x) + slope(x))))
    stated = sorted(point.at[0] for point in landscape(name).critical)
    np.testing.assert_allclose(stated, x[changes], atol=1.1e-3)


def test_the_cliff_is_its_formula_point_by_point():
    found = landscape("l6")(X, Y)
    for i in range(0, 50, 3):
        for j in range(0, 50, 3):
            x, y = MESH[i], MESH[j]
            assert found[i, j] == pytest.approx(x * x + y * y + (1.25 if x > y + 0.25 else y), rel=1e-13)


def test_autograd_sees_each_side_of_the_cliff_and_nothing_of_the_jump():
    problem = landscape("l6").problem()
    upper, lower = torch.tensor([0.5, 0.1]), torch.tensor([0.1, 0.5])
    torch.testing.assert_close(problem.gradient(upper), torch.tensor([1.0, 0.2], dtype=torch.double))
    torch.testing.assert_close(problem.gradient(lower), torch.tensor([0.2, 2.0], dtype=torch.double))
    edge = torch.tensor([0.25, 0.0], dtype=torch.double)
    over = edge + torch.tensor([1e-9, 0.0], dtype=torch.double)
    assert float(problem.loss(over) - problem.loss(edge)) == pytest.approx(1.25, abs=1e-6)


def test_the_cliff_is_lowest_on_its_edge():
    land = landscape("l6")
    fine = np.linspace(-1.5, 1.5, 1201)
    values = land(fine[:, None], fine[None, :])
    i, j = np.unravel_index(values.argmin(), values.shape)
    assert (fine[i], fine[j]) == pytest.approx(land.critical[0].at, abs=2e-9)
    assert values.min() == pytest.approx(-7 / 32)


def test_the_flat_is_flat_inside_and_a_pyramid_outside():
    land = landscape("l5")
    problem, flat = land.problem(), land.branches["flat region"]
    points = torch.tensor(np.random.default_rng(1).uniform(-1.5, 1.5, (500, 2)))
    inside = points.abs().sum(-1) < 0.75
    assert 50 < int(inside.sum()) < 450
    np.testing.assert_array_equal(flat.contains(points.numpy()), inside)
    gradient = problem.gradient(points)
    assert (gradient[inside] == 0).all()
    torch.testing.assert_close(gradient[~inside], points[~inside].sign())


def test_pure_noise_is_a_tenth_of_a_normal_at_every_point_of_the_mesh():
    values = landscape("l7", seed=2)(X, Y)
    assert values.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * values.size))
    assert abs(values.mean()) < 4 * 0.1 / np.sqrt(values.size)
    for a, b in ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1])):
        correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(a.size)


def test_pure_noise_is_bilinear_between_the_points_of_the_mesh():
    land = landscape("l7", seed=2)
    h = 3 / 49
    x, y = -1.5 + 4 * h, -1.5 + 9 * h
    corners = [[land(x + i * h, y + j * h) for j in (0, 1)] for i in (0, 1)]
    for s, t in ((0.5, 0.5), (0.2, 0.7), (0.0, 0.3)):
        weights = np.outer([1 - s, s], [1 - t, t])
        assert land(x + s * h, y + t * h) == pytest.approx((weights * corners).sum(), abs=1e-12)


def test_random_hills_have_the_height_and_extent_asked_for():
    low, high = nine.l8(seed=1, scale=1.0, extent=20.0), nine.l8(seed=1, scale=3.0, extent=20.0)
    assert high.extent == ((-20.0, 20.0), (-20.0, 20.0))
    assert "standard deviation 3" in high.formula
    x = np.linspace(-20, 20, 30)
    np.testing.assert_allclose(high(x, x), 3 * low(x, x), rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"extent=200.*at most 128"):
        nine.l8(extent=200)


def test_short_steps_end_hopping_over_the_cliff_and_not_at_its_lowest_point():
    """On l6 both bowls' centres, (0, 0) and (0, -1/2), lie beyond the edge; their chord meets it at (0, -1/4)."""
    theta = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 2))
    for _ in range(2000):
        x, y = theta.T
        theta = theta - 0.01 * np.stack([2 * x, 2 * y + (x <= y + 0.25)], axis=1)
    assert np.abs(theta - (0.0, -0.25)).max() < 0.02
