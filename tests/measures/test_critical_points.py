"""Critical points against their closed forms, in planes of all shapes; eigenvalues against differences of the loss."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import thalweg as tw

from . import naive
from .naive import product

MINIMA = [[3.0, 2.0], [-2.805118, 3.131313], [-3.779310, -3.283186], [3.584428, -1.848127]]
SADDLES = [[-0.127961, -1.953715], [0.086678, 2.884255], [3.385154, 0.073852], [-3.073026, -0.081353]]
MAXIMUM = [-0.270845, -0.923039]


def himmelblau(dtype=torch.double, scale=1.0):
    return tw.FunctionProblem(lambda x, y: scale * ((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2), dtype=dtype)


def himmelblau_hessian(x, y):
    """By hand."""
    return np.array([[12 * x**2 + 4 * y - 42, 4 * (x + y)], [4 * (x + y), 12 * y**2 + 4 * x - 26]])


def found(problem, plane=None, **asked):
    """Critical points and, for each, its weights and its type in words."""
    plane = plane or tw.coordinate_plane(problem)
    points = tw.critical_points(problem, plane, **asked)
    weights = plane(torch.as_tensor(np.stack([points.alpha, points.beta], axis=-1))).double().numpy()
    return points, weights, [points.type.attrs["names"][k] for k in points.type.values]


def matched(weights, kinds, expected, atol):
    """Every expected point is found once, of the type expected, and nothing else."""
    assert sorted(kinds) == sorted(kind for kind, _ in expected)
    for kind, place in expected:
        apart = np.abs(weights - place).max(axis=1)
        assert kinds[apart.argmin()] == kind
        assert apart.min() < atol
        assert (apart < atol).sum() == 1


HIMMELBLAU = [("minimum", m) for m in MINIMA] + [("saddle", s) for s in SADDLES] + [("maximum", MAXIMUM)]


def test_himmelblau_has_four_minima_four_saddles_and_a_maximum():
    points, weights, kinds = found(himmelblau(), extent=5.0)
    matched(weights, kinds, HIMMELBLAU, 2e-6)
    for k, (x, y) in enumerate(weights):
        bends, directions = np.linalg.eigh(himmelblau_hessian(x, y))
        np.testing.assert_allclose(points.eigenvalue[k], bends, rtol=1e-8)
        overlap = np.abs(np.sum(points.eigenvector.values[k] * directions, axis=0))
        np.testing.assert_allclose(overlap, 1.0, rtol=1e-6)
    assert float(points.gradient_norm.max()) < 1e-6
    assert (np.diff(points.loss) > -1e-9).all(), "sorted by loss"
    assert points.eigenvector.dims == ("point", "coordinate", "direction")


@pytest.mark.parametrize("points", [15, 40, 51, (31, 60)])
def test_what_is_found_does_not_depend_on_the_grid(points):
    _, weights, kinds = found(himmelblau(), extent=5.0, points=points)
    matched(weights, kinds, HIMMELBLAU, 2e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e-10, 1e10, 1e200])
def test_what_is_found_does_not_depend_on_the_unit_of_the_loss(scale):
    points, weights, kinds = found(himmelblau(scale=scale), extent=5.0)
    matched(weights, kinds, HIMMELBLAU, 2e-6)
    assert (np.diff(points.loss) > -1e-9 * scale).all(), "sorted by loss"


@pytest.mark.parametrize(
    ("angle", "across", "along"), [(0.0, 1.0, 1.0), (0.6, 1.0, 1.0), (1.1, 0.01, 5.0), (0.0, 1e-3, 1e3)]
)
def test_what_is_found_does_not_depend_on_the_directions_of_the_plane(angle, across, along):
    """Rotated, or with directions of other lengths and the extent to match: the same points, eigenvalues of DHDᵀ."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    D = np.diag([across, along]) @ turn
    plane = tw.Plane(np.array([0.1, -0.2]), D[0], D[1])
    extent = [(-7 / across, 7 / across), (-7 / along, 7 / along)]
    points, weights, kinds = found(himmelblau(), plane, extent=extent, points=71)
    matched(weights, kinds, HIMMELBLAU, 1e-5)
    for k, (x, y) in enumerate(weights):
        np.testing.assert_allclose(
            points.eigenvalue[k], np.linalg.eigvalsh(D @ himmelblau_hessian(x, y) @ D.T), rtol=1e-4, atol=1e-9
        )


def test_single_precision_finds_them_too():
    """To the precision that the gradient has."""
    _, weights, kinds = found(himmelblau(torch.float32), extent=5.0)
    matched(weights, kinds, HIMMELBLAU, 1e-3)


def test_rosenbrock_has_one_minimum():
    points, weights, kinds = found(tw.FunctionProblem(lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2), extent=2.0)
    matched(weights, kinds, [("minimum", [1.0, 1.0])], 1e-6)
    np.testing.assert_allclose(points.eigenvalue[0], np.linalg.eigvalsh([[802.0, -400.0], [-400.0, 200.0]]), rtol=1e-6)


@given(x=st.floats(-0.9, 0.9), y=st.floats(-0.9, 0.9), a=st.floats(0.1, 5), b=st.floats(0.1, 5), angle=st.floats(0, 3))
def test_a_saddle_is_found_wherever_it_lies(x, y, a, b, angle):
    """a p² - b q² along turned axes: eigenvalues 2a and -2b."""
    c, s = np.cos(angle), np.sin(angle)

    def saddle(u, v):
        p, q = c * (u - x) + s * (v - y), c * (v - y) - s * (u - x)
        return a * p**2 - b * q**2

    points, weights, kinds = found(tw.FunctionProblem(saddle), extent=1.0, points=11)
    matched(weights, kinds, [("saddle", [x, y])], 1e-6)
    np.testing.assert_allclose(points.eigenvalue[0], [-2 * b, 2 * a], rtol=1e-6)


@settings(max_examples=5)
@given(x=st.floats(-0.9, 0.9), y=st.floats(-0.9, 0.9))
def test_a_monkey_saddle_is_degenerate_wherever_it_lies(x, y):
    """u³ - 3uv² has no curvature at its critical point."""
    monkey = tw.FunctionProblem(lambda u, v: (u - x) ** 3 - 3 * (u - x) * (v - y) ** 2)
    _, weights, kinds = found(monkey, extent=1.0, points=11)
    matched(weights, kinds, [("degenerate", [x, y])], 1e-3)


@pytest.mark.parametrize("at", [0.0, 0.123])
@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda u, v: u**4 + v**2, "degenerate minimum"),
        (lambda u, v: -(u**4) - v**2, "degenerate maximum"),
        (lambda u, v: u**3 + v**2, "degenerate minimum"),
        (lambda u, v: u**4 + v**4, "degenerate"),
    ],
)
def test_a_vanishing_eigenvalue_is_called_degenerate(function, kind, at):
    _, weights, kinds = found(tw.FunctionProblem(lambda x, y: function(x - at, y + at)), extent=1.0, points=21)
    matched(weights, kinds, [(kind, [at, -at])], 1e-2)


def test_the_network_that_multiplies_by_one_has_curves_of_minima_and_a_saddle():
    """Minima all along t1 t2 = 1, with eigenvalues 0 and 2(t1² + t2²); one saddle with -2 and 2."""
    points, weights, kinds = found(product(), extent=2.0, points=41)
    kinds = np.array(kinds)
    (saddle,) = np.flatnonzero(kinds == "saddle")
    np.testing.assert_allclose(weights[saddle], 0.0, atol=1e-8)
    np.testing.assert_allclose(points.eigenvalue[saddle], [-2.0, 2.0], rtol=1e-8)
    minima = weights[kinds == "degenerate minimum"]
    assert len(minima) == len(kinds) - 1
    np.testing.assert_allclose(minima.prod(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(
        points.eigenvalue[kinds == "degenerate minimum"],
        np.stack([np.zeros(len(minima)), 2 * (minima**2).sum(axis=1)], axis=1),
        atol=1e-5,
    )
    for sign in (-1, 1):  # along each branch, from one end of the picture to the other, no gap of several cells
        along = np.sort(minima[minima[:, 0] * sign > 0][:, 0] * sign)
        assert along[0] < 0.6
        assert along[-1] > 1.9
        assert np.diff(along).max() < 0.4


@given(seed=st.integers(0, 2**32 - 1), num_weights=st.integers(3, 8))
def test_in_a_plane_of_a_quadratic_the_critical_point_is_that_of_the_projected_quadratic(seed, num_weights):
    """L = ½θᵀHθ + gᵀθ: at c = -(DHDᵀ)⁻¹D(Hθ₀ + g), with the eigenvalues of DHDᵀ, whatever the directions."""
    draw = np.random.default_rng(seed)
    D, origin, bends = draw.normal(size=(2, num_weights)), draw.normal(size=num_weights), draw.uniform(0.3, 2.0, 2)
    H = draw.normal(size=(num_weights, num_weights))
    H = H + H.T
    signs = draw.choice([-1, 1], 2)
    turn = np.linalg.qr(draw.normal(size=(2, 2)))[0]
    inner = turn @ np.diag(bends * signs) @ turn.T
    lift = np.linalg.pinv(D)  # makes DHDᵀ what was drawn, so that it is never nearly singular
    H += lift @ (inner - D @ H @ D.T) @ lift.T
    place = draw.uniform(-0.9, 0.9, 2)
    g = draw.normal(size=num_weights)
    g += lift @ (-inner @ place - D @ (H @ origin + g))
    h, slope = torch.as_tensor(H), torch.as_tensor(g)
    problem = tw.FunctionProblem(
        lambda t: 0.5 * ((t @ h) * t).sum(-1) + t @ slope, num_weights=num_weights, theta=origin
    )
    points = tw.critical_points(problem, tw.Plane(origin, D[0], D[1]), extent=1.0, points=9)
    assert points.sizes["point"] == 1
    np.testing.assert_allclose([points.alpha[0], points.beta[0]], place, atol=1e-6)
    np.testing.assert_allclose(points.eigenvalue[0], np.sort(bends * signs), rtol=1e-5)
    names = {2: "minimum", 0: "saddle", -2: "maximum"}
    assert points.type.attrs["names"][int(points.type[0])] == names[int(signs.sum())]


@functools.cache
def network_points(dtype):
    """In a plane where the loss has three minima and two saddles."""
    data = [t.to(dtype) for t in naive.regression(9)]
    problem = tw.ModuleProblem(naive.network(dtype), data, loss=F.mse_loss)
    plane = tw.Plane(*(torch.as_tensor(v).to(dtype) for v in np.random.default_rng(3).normal(size=(3, 13))))
    return plane, tw.critical_points(problem, plane, extent=4.0, points=17)


def test_critical_points_of_a_network_are_stationary_in_the_plane_with_the_curvature_of_differences():
    """Gradient and Hessian by differences of the loss of the plain network."""
    model, data = naive.network(), naive.regression(9)
    plane, points = network_points(torch.float64)
    names = [points.type.attrs["names"][k] for k in points.type.values]
    assert sorted(names) == ["minimum"] * 3 + ["saddle"] * 2

    def loss(a, b):
        return naive.mean_loss(model, plane.origin + a * plane.u + b * plane.v, data, F.mse_loss)

    h = 1e-4
    for k, (a, b) in enumerate(zip(points.alpha.values, points.beta.values, strict=True)):
        around = {(i, j): loss(a + i * h, b + j * h) for i in (-1, 0, 1) for j in (-1, 0, 1)}
        slope = [(around[1, 0] - around[-1, 0]) / (2 * h), (around[0, 1] - around[0, -1]) / (2 * h)]
        np.testing.assert_allclose(slope, 0.0, atol=1e-6)
        cross = (around[1, 1] - around[1, -1] - around[-1, 1] + around[-1, -1]) / (4 * h**2)
        first = (around[1, 0] - 2 * around[0, 0] + around[-1, 0]) / h**2
        second = (around[0, 1] - 2 * around[0, 0] + around[0, -1]) / h**2
        expected = np.linalg.eigvalsh([[first, cross], [cross, second]])
        np.testing.assert_allclose(points.eigenvalue[k], expected, rtol=1e-3, atol=1e-5)
        assert float(points.loss[k]) == pytest.approx(around[0, 0], rel=1e-9)
        assert float(points.gradient_norm[k]) < 1e-7


def test_a_network_in_single_precision_has_the_critical_points_of_double():
    (_, single), (_, double) = network_points(torch.float32), network_points(torch.float64)
    assert single.sizes == double.sizes
    for name in ("alpha", "beta", "loss", "eigenvalue"):
        np.testing.assert_allclose(single[name], double[name], rtol=1e-2, atol=1e-3)
    assert single.type.values.tolist() == double.type.values.tolist()


def test_flat_ground_is_told_as_a_share_and_the_slope_around_it_holds_nothing():
    points, _, _ = found(tw.FunctionProblem(lambda x, y: torch.relu(x**2 + y**2 - 1)), extent=2.0, points=81)
    assert points.sizes["point"] == 0
    assert points.attrs["flat"] == pytest.approx(np.pi / 16, rel=0.15)
    assert found(himmelblau(), extent=5.0)[0].attrs["flat"] == 0.0


@pytest.mark.parametrize("extent", [2.0, 5.0, 20.0, 100.0])
def test_a_well_is_found_however_wide_the_flat_country_around_it(extent):
    """The gradient of a Gaussian well fades to nothing, and then to zero; only its bottom is critical."""
    well = tw.FunctionProblem(lambda x, y: -torch.exp(-((x - 0.1234) ** 2 + (y - 0.3) ** 2) / 2))
    _, weights, kinds = found(well, extent=extent)
    matched(weights, kinds, [("minimum", [0.1234, 0.3])], 1e-6)


def test_between_two_wells_in_flat_country_is_a_saddle():
    def two(x, y):
        return -torch.exp(-((x - 0.1) ** 2) - y**2) - torch.exp(-((x + 3.1) ** 2) - y**2)

    _, weights, kinds = found(tw.FunctionProblem(two), extent=10.0, points=101)
    matched(weights, kinds, [("minimum", [0.1, 0]), ("minimum", [-3.1, 0]), ("saddle", [-1.5, 0])], 1e-3)


def test_easom_has_its_minimum_at_pi():
    def easom(x, y):
        return -torch.cos(x) * torch.cos(y) * torch.exp(-((x - np.pi) ** 2) - (y - np.pi) ** 2)

    points, weights, kinds = found(tw.FunctionProblem(easom), extent=[(0.0, 6.0), (0.0, 6.0)])
    assert kinds[int(points.loss.values.argmin())] == "minimum"
    np.testing.assert_allclose(weights[int(points.loss.values.argmin())], np.pi, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: torch.exp(x) + y**2,
        lambda x, y: torch.exp(x) + torch.exp(-y),
        lambda x, y: torch.log1p(torch.exp(-x)) + y**2,
        lambda x, y: torch.atan(x) + y**2,
        lambda x, y: x.abs() + y.abs(),
    ],
)
def test_a_slope_that_only_fades_and_a_kink_are_not_critical(function):
    assert found(tw.FunctionProblem(function), extent=30.0)[0].sizes["point"] == 0


@pytest.mark.parametrize("function", [lambda x, y: x + y, lambda x, y: torch.exp(x) + y, lambda x, y: 2 * x.abs() + y])
def test_where_nothing_is_critical_the_dataset_is_empty(function, tmp_path):
    points, _, _ = found(tw.FunctionProblem(function), extent=2.0)
    assert points.sizes["point"] == 0
    assert points.eigenvector.shape == (0, 2, 2)
    assert tw.load(tw.save(points, tmp_path / "study.zarr")).identical(points)


@pytest.mark.parametrize(
    ("function", "extent", "place"),
    [
        (lambda x, y: (torch.log(x) - 0.5) ** 2 + y**2, 3.0, [np.exp(0.5), 0.0]),
        (lambda x, y: torch.exp(x**2) + (y - 1) ** 2, 30.0, [0.0, 1.0]),
        (lambda x, y: x**200 + x**2 + y**2, 40.0, [0.0, 0.0]),
        (lambda x, y: x**2 + y**2 + 1 / (x + 2.5), 3.0, None),
    ],
)
def test_where_loss_or_gradient_are_not_finite_is_no_obstacle(function, extent, place):
    """Undefined, overflowing, or with a pole: what is critical elsewhere is found, without a warning."""
    problem = tw.FunctionProblem(function)
    points, weights, kinds = found(problem, extent=extent, points=61)
    assert np.isfinite(points.loss).all()
    if place is not None:
        matched(weights, kinds, [("minimum", place)], 1e-4)
    else:
        assert "minimum" in kinds
        assert float(problem.gradient(torch.as_tensor(weights)).abs().max()) < 1e-5


def test_where_the_loss_is_undefined_nothing_is_critical():
    """log(x² - 4) has a gradient by its formula, and no values, between -2 and 2; nowhere else does it vanish."""
    points, _, _ = found(tw.FunctionProblem(lambda x, y: torch.log(x**2 - 4) + y**2), extent=3.0)
    assert points.sizes["point"] == 0


def test_where_there_is_no_second_derivative_a_point_may_be_missed_and_nothing_fails():
    """|x|^1.5 has a gradient that vanishes at 0, and no curvature there."""
    cusp = tw.FunctionProblem(lambda x, y: torch.abs(x) ** 1.5 + y**2 + (y - 1) ** 2)
    _, weights, _ = found(cusp, extent=1.0, points=21)
    assert len(weights) <= 1
    np.testing.assert_allclose(weights, np.tile([0.0, 0.5], (len(weights), 1)), atol=1e-4)


def test_points_outside_the_extent_are_not_told():
    _, weights, kinds = found(himmelblau(), extent=[(0.0, 5.0), (0.0, 5.0)])
    inside = [(kind, place) for kind, place in HIMMELBLAU if min(place) >= 0]
    assert len(inside) == 3
    matched(weights, kinds, inside, 2e-6)


@pytest.mark.parametrize("dims", [1, 3])
def test_critical_points_are_looked_for_in_planes_only(dims):
    problem = tw.FunctionProblem(lambda x, y, z: x**2 + y**2 + z**2)
    with pytest.raises(ValueError, match=f"plane; this subspace has {dims} coordinates?"):
        tw.critical_points(problem, tw.Box(np.zeros(3), np.eye(3)[:dims]), extent=1.0)


def test_a_gradient_that_is_finite_nowhere_is_refused():
    problem = tw.FunctionProblem(lambda x, y: torch.sqrt(-1 - x**2) + torch.sqrt(-1 - y**2))
    with pytest.raises(ValueError, match="finite nowhere"):
        tw.critical_points(problem, tw.coordinate_plane(problem), extent=1.0)


def test_a_bare_network_is_refused():
    with pytest.raises(TypeError, match="ModuleProblem"):
        tw.critical_points(naive.network(), tw.coordinate_plane(product()))


def test_critical_points_come_back_identical_from_a_study(tmp_path):
    points, _, _ = found(himmelblau(), extent=5.0)
    assert tw.load(tw.save(points, tmp_path / "study.zarr")).identical(points)
