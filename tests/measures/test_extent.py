"""How far a picture looks: found so that it is never blank, or given in any spelling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw

FEW = settings(max_examples=60, deadline=None)


def line_through(loss, at=1.0):
    """The line θ = at + α of a landscape in one variable; the weights' length is |at|."""
    problem = tw.FunctionProblem(loss, theta=[at])
    return problem, tw.Line(problem.theta, [1.0])


def radius(problem, line, **asked):
    axis = tw.loss_surface(problem, line, points=5, **asked).alpha.values
    assert axis[2] == 0.0
    assert axis[0] == -axis[-1]
    return axis[-1]


def limit(loss, factor, at=1.0):
    """The promise: L₀ + (f - 1) max(|L₀|, R / 100), with R the median rise at a step as long as the weights."""
    start = float(loss(torch.tensor(at)))
    rises = [abs(float(loss(torch.tensor(at + s * abs(at)))) - start) for s in (-1, 1)]
    return start + (factor - 1) * max(abs(start), np.median(rises) / 100)


@FEW
@given(
    base=st.floats(1e-6, 1e3),
    steepness=st.floats(-4, 8),
    power=st.sampled_from([1.0, 2.0, 4.0, 8.0]),
    factor=st.sampled_from([1.5, 2.0, 10.0, 100.0]),
)
def test_the_loss_at_both_ends_stays_within_the_factor_and_the_picture_is_not_blank(base, steepness, power, factor):
    """L = b + k |x - 1|^p from gentle to steep: within the limit at the ends, and near it or a whole unit wide."""
    k = 10.0**steepness

    def loss(x):
        return base + k * (x - 1.0).abs() ** power

    problem, line = line_through(loss)
    r, top = radius(problem, line, factor=factor), limit(loss, factor)
    at_the_ends = [base + k * r**power] * 2
    assert max(at_the_ends) <= top * (1 + 1e-9)
    reach = ((top - base) / k) ** (1 / power)
    assert r >= min(1.0, reach) / 2.5


@FEW
@given(rate=st.floats(-300, 300).filter(lambda r: abs(r) > 1e-2))
def test_the_nearer_wall_decides_on_a_slope_that_falls_one_way_and_rises_the_other(rate):
    def loss(x):
        return 1.0 + torch.exp(rate * (x - 1.0)) / 10

    problem, line = line_through(loss)
    r = radius(problem, line)
    wall = max(float(loss(torch.tensor(1.0 + s * r, dtype=torch.float64))) for s in (-1, 1))
    assert wall <= limit(loss, 10.0) * (1 + 1e-9)


@pytest.mark.parametrize("power", [0.25, 0.1])
def test_however_steep_the_start_the_ends_stay_within_the_factor(power):
    problem, line = line_through(lambda x: 1.0 + 1e6 * (x - 1.0).abs() ** power)
    r = radius(problem, line)
    assert 1.0 + 1e6 * r**power <= limit(lambda x: 1.0 + 1e6 * (x - 1.0).abs() ** power, 10.0) * (1 + 1e-9)


@pytest.mark.parametrize("value", [0.0, 2.0, -3.0])
def test_a_flat_function_is_shown_one_unit_wide(value):
    problem, line = line_through(lambda x: value + 0 * x)
    assert radius(problem, line) == 1.0


def test_a_unit_is_a_step_as_long_as_the_weights():
    problem = tw.FunctionProblem(lambda x, y: 0 * x, theta=[3.0, 4.0])
    surface = tw.loss_surface(problem, tw.Plane(problem.theta, [10.0, 0.0], [0.0, 0.5]), points=3)
    assert surface.alpha.values[-1] == 0.5
    assert surface.beta.values[-1] == 10.0


@pytest.mark.parametrize("edge", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("beyond", [np.inf, np.nan])
def test_a_picture_ends_before_the_loss_is_no_number(edge, beyond):
    def loss(x):
        return torch.where((x - 1.0).abs() > edge, torch.full_like(x, beyond), 1.0 + (x - 1.0) ** 2)

    problem, line = line_through(loss)
    assert np.isfinite(tw.loss_surface(problem, line, points=51).loss).all()


def test_an_exploding_network_like_function_is_not_shown_as_a_wall():
    """exp(exp(30 x)) overflows a short way off."""

    def loss(x):
        return torch.exp(torch.exp(30 * (x - 1.0)) - 1)

    problem, line = line_through(loss)
    surface = tw.loss_surface(problem, line, points=51)
    assert np.isfinite(surface.loss).all()
    assert surface.loss.max() <= 10.0 * (1 + 1e-9)
    assert surface.loss.max() > 1.5


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_an_origin_without_a_finite_loss_still_gives_a_picture(value):
    problem, line = line_through(lambda x: torch.where((x - 1.0).abs() < 1e-3, torch.full_like(x, value), x**2))
    surface = tw.loss_surface(problem, line, points=5)
    assert not np.isfinite(surface.loss.values[2])
    assert np.isfinite(surface.loss.values[[0, -1]]).all()


def test_each_axis_finds_its_own_extent():
    problem = tw.FunctionProblem(lambda x, y: 1 + (x - 1) ** 2 + 10000 * (y - 1) ** 2, theta=[1.0, 1.0])
    surface = tw.loss_surface(problem, tw.Plane(problem.theta, [1.0, 0.0], [0.0, 1.0]), points=3)
    assert surface.alpha.values[-1] > 5 * surface.beta.values[-1]


def test_a_segment_is_shown_from_end_to_end():
    problem = tw.FunctionProblem(lambda x, y: x + y)
    surface = tw.loss_surface(problem, tw.Segment([1.0, 2.0], [3.0, 5.0]), points=5)
    np.testing.assert_array_equal(surface.t, [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(surface.loss.values[[0, -1]], [3.0, 8.0])


@FEW
@given(seed=st.integers(0, 10**6))
def test_a_plane_through_points_shows_all_of_them(seed):
    a, b, c = np.random.default_rng(seed).normal(size=(3, 6))
    problem = tw.FunctionProblem(lambda theta: theta.sum(-1), num_weights=6)
    plane = tw.plane_through(a, b, c)
    surface = tw.loss_surface(problem, plane, points=(4, 5))
    for point in (a, b, c):
        alpha, beta = plane.project(point).coords.tolist()
        assert surface.alpha.values[0] < alpha < surface.alpha.values[-1]
        assert surface.beta.values[0] < beta < surface.beta.values[-1]


SPELLINGS = {
    "pairs": ((-2.0, 2.0), (-2.0, 2.0)),
    "radius": 2.0,
    "int": 2,
    "numpy radius": np.float64(2.0),
    "pair": (-2.0, 2.0),
    "list": [-2, 2],
    "array pair": np.array([-2.0, 2.0]),
    "array": np.array([[-2.0, 2.0], [-2.0, 2.0]]),
    "mapping of radii": {"beta": 2.0, "alpha": 2.0},
    "mapping of both": {"alpha": 2.0, "beta": (-2.0, 2.0)},
    "tensor": torch.tensor(2.0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_extent_gives_the_same_grid(spelling):
    problem = tw.FunctionProblem(lambda x, y: x + y)
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=SPELLINGS[spelling], points=(3, 5))
    np.testing.assert_array_equal(surface.alpha, [-2, 0, 2])
    np.testing.assert_array_equal(surface.beta, [-2, -1, 0, 1, 2])


@pytest.mark.parametrize("points", [(3, 5), [3, 5], np.array([3, 5]), {"beta": 5, "alpha": 3}])
def test_every_spelling_of_points_gives_the_same_grid(points):
    problem = tw.FunctionProblem(lambda x, y: x + y)
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent={"alpha": (0, 1), "beta": 2}, points=points)
    np.testing.assert_array_equal(surface.alpha, [0, 0.5, 1])
    np.testing.assert_array_equal(surface.beta, [-2, -1, 0, 1, 2])


@pytest.mark.parametrize("extent", [(-0.3, 0.9), (0.0, 1.0), (-1e-3, 5e-3), (-7, 3)])
def test_a_range_that_contains_the_origin_at_a_node_has_it_to_the_bit(extent):
    low, high = extent
    n = round((high - low) / np.gcd.reduce(np.rint(np.array([low, high]) * 1e4).astype(int)) * 1e4) + 1
    problem = tw.FunctionProblem(lambda x: x)
    axis = tw.loss_surface(problem, tw.Line([0.0], [1.0]), extent=extent, points=n).alpha.values
    assert 0.0 in axis
    np.testing.assert_allclose([axis[0], axis[-1]], extent, rtol=1e-15)
