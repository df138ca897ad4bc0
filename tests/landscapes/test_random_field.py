"""Random fields are functions: the same on any mesh, of the covariance stated, with true gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.landscapes import LatticeField, gaussian_field, notebook_field, white_noise

FIELD = gaussian_field(seed=5, scale=2.0, period=128.0)
coordinate = st.floats(-60, 60, allow_subnormal=False)


def mesh(extent, points):
    x = torch.linspace(-extent, extent, points, dtype=torch.double)
    return torch.meshgrid(x, x, indexing="ij")


def test_points_shared_by_two_meshes_have_the_same_values():
    coarse, fine = FIELD(*mesh(10.0, 11)), FIELD(*mesh(10.0, 101))
    torch.testing.assert_close(coarse, fine[::10, ::10], rtol=0, atol=1e-12)
    torch.testing.assert_close(FIELD(*mesh(40.0, 41))[15:26, 15:26], FIELD(*mesh(10.0, 11)), rtol=0, atol=1e-12)


def test_order_and_company_do_not_matter():
    x, y = torch.tensor(np.random.default_rng(0).uniform(-50, 50, (2, 300)))
    values = FIELD(x, y)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    assert torch.equal(FIELD(x[order], y[order]), values[order])
    torch.testing.assert_close(
        torch.stack([FIELD(a, b) for a, b in zip(x, y, strict=True)]), values, rtol=0, atol=1e-13
    )


def test_equal_seeds_are_equal_and_others_are_not():
    x, y = mesh(20.0, 30)
    assert torch.equal(gaussian_field(seed=5, scale=2.0, period=128.0)(x, y), FIELD(x, y))
    other = gaussian_field(seed=6, scale=2.0, period=128.0)(x, y)
    correlation = np.corrcoef(other.ravel(), FIELD(x, y).ravel())[0, 1]
    assert abs(correlation) < 0.3


def test_mean_variance_and_covariance_are_those_stated():
    """cov = 4·exp(-r²/4), estimated from 24 fields on the same lags, against its own scatter between fields."""
    lags = [(0.0, 0.0), (0.5, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 0.0), (0.0, 3.0), (2.5, -2.5), (6.0, 0.0)]
    x, y = mesh(28.0, 60)
    covariances, means = [], []
    for seed in range(24):
        field = gaussian_field(seed, scale=2.0, period=64.0)
        here = field(x, y)
        covariances.append([float((here * field(x + a, y + b)).mean()) for a, b in lags])
        means.append(float(here.mean()))
    expected = np.array([4 * np.exp(-(a * a + b * b) / 4) for a, b in lags])
    error = np.std(covariances, axis=0, ddof=1) / np.sqrt(len(covariances))
    assert (error < 0.12).all()
    assert (abs(np.mean(covariances, axis=0) - expected) < 4 * error).all()
    assert abs(np.mean(means)) < 4 * np.std(means, ddof=1) / np.sqrt(len(means))


def test_values_are_normal():
    values = gaussian_field(seed=0)(*mesh(120.0, 240)).ravel().numpy()
    assert values.std() == pytest.approx(1.0, abs=0.03)
    for z, share in ((-1.0, 0.158655), (0.0, 0.5), (1.0, 0.841345), (2.0, 0.977250)):
        assert (values < z).mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("length", [0.5, 2.0])
def test_a_length_stretches_the_field(length):
    plain, other = gaussian_field(seed=1, period=64.0), gaussian_field(seed=1, length=length, period=64.0 * length)
    x, y = mesh(10.0, 20)
    torch.testing.assert_close(other(length * x, length * y), plain(x, y), rtol=1e-9, atol=1e-9)


def test_at_the_nodes_it_is_white_noise_smoothed_by_the_gaussian_on_a_torus():
    """Against a circular convolution with exp(-r²/2) written out, scaled to the deviation stated."""
    field = gaussian_field(seed=9, scale=1.5, period=12.0)
    n = len(field.coefficients)
    noise = np.random.default_rng(9).standard_normal((n, n))
    apart = np.arange(n) * field.spacing
    kernel = np.exp(-(np.minimum(apart, 12.0 - apart) ** 2) / 2)
    circulant = np.array([np.roll(kernel, k) for k in range(n)])
    expected = 1.5 * circulant @ noise @ circulant / (kernel**2).sum()
    np.testing.assert_allclose(field(apart[:, None], apart[None, :]), expected, rtol=0, atol=1e-6)


def test_it_is_the_band_limited_field_that_the_lattice_samples():
    """Between nodes, against the trigonometric polynomial through the lattice's values: rms error below 1e-4."""
    field = gaussian_field(seed=3, period=16.0)
    n, h = len(field.coefficients), field.spacing
    nodes = torch.arange(n, dtype=torch.double) * h
    spectrum = np.fft.fft2(field(*torch.meshgrid(nodes, nodes, indexing="ij"))) / n**2
    omega = 2 * np.pi * np.fft.fftfreq(n, h)
    x, y = np.random.default_rng(0).uniform(0, 16, (2, 400))
    waves = np.einsum("pk,kl,pl->p", np.exp(1j * np.outer(x, omega)), spectrum, np.exp(1j * np.outer(y, omega)))
    assert np.sqrt(np.mean((field(x, y) - waves.real) ** 2)) < 1e-4


def test_it_repeats_itself_after_the_period():
    x, y = mesh(5.0, 20)
    torch.testing.assert_close(FIELD(x + 128.0, y - 256.0), FIELD(x, y), rtol=0, atol=1e-11)
    assert FIELD.period == 128.0
    assert gaussian_field(period=20.1, spacing=0.5).period == 20.5


@given(x=coordinate, y=coordinate)
def test_gradients_and_curvatures_are_differences_of_the_field(x, y):
    problem = tw.FunctionProblem(FIELD)
    at, h = torch.tensor([x, y], dtype=torch.double), 1e-5
    for e in torch.eye(2, dtype=torch.double):
        slope = (problem.loss(at + h * e) - problem.loss(at - h * e)) / (2 * h)
        assert float(problem.gradient(at) @ e) == pytest.approx(float(slope), abs=1e-7)
        bend = (problem.gradient(at + h * e) - problem.gradient(at - h * e)) / (2 * h)
        torch.testing.assert_close(problem.hvp(at, e), bend, rtol=0, atol=1e-3)


def test_it_is_twice_continuously_differentiable_across_a_node():
    h, problem = FIELD.spacing, tw.FunctionProblem(FIELD)
    left, right = (torch.tensor([3 * h + s * 1e-9, 1.23 * h], dtype=torch.double) for s in (-1, 1))
    for e in torch.eye(2, dtype=torch.double):
        torch.testing.assert_close(problem.hvp(left, e), problem.hvp(right, e), rtol=0, atol=1e-6)
    torch.testing.assert_close(problem.gradient(left), problem.gradient(right), rtol=0, atol=1e-7)


def test_bad_points_give_nan_and_do_not_disturb_others():
    bad = torch.tensor([float("nan"), 1.0, float("inf"), -float("inf")], dtype=torch.double)
    found = FIELD(bad, torch.ones(4, dtype=torch.double))
    assert found.isnan().tolist() == [True, False, True, True]
    assert float(found[1]) == pytest.approx(FIELD(1.0, 1.0), abs=1e-13)


def test_vmap_and_loops_agree():
    x, y = torch.tensor(np.random.default_rng(0).uniform(-9, 9, (2, 6)))
    gradients = torch.vmap(torch.func.grad(FIELD, argnums=(0, 1)))(x, y)
    expected = tw.FunctionProblem(FIELD).gradient(torch.stack([x, y], -1))
    torch.testing.assert_close(torch.stack(gradients, -1), expected)


def test_white_noise_keeps_its_values_at_the_nodes():
    noise = white_noise(seed=1, scale=0.5, spacing=0.25, offset=-1.0, nodes=64)
    nodes = -1.0 + 0.25 * torch.arange(64, dtype=torch.double)
    values = noise(*torch.meshgrid(nodes, nodes, indexing="ij"))
    torch.testing.assert_close(values, noise.coefficients)
    assert float(values.std()) == pytest.approx(0.5, rel=4 / np.sqrt(2 * 64**2))
    middle = noise(*torch.meshgrid(nodes + 0.125, nodes + 0.125, indexing="ij"))
    assert float(middle.std()) == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize("degree", [1, 3])
def test_a_constant_lattice_is_a_constant_field(degree):
    field = LatticeField(torch.full((8, 8), 2.5, dtype=torch.double), 0.3, degree=degree)
    torch.testing.assert_close(field(*mesh(4.0, 31)), torch.full((31, 31), 2.5, dtype=torch.double))


@pytest.mark.parametrize(("points", "extent", "scale"), [(100, 10.0, 1.0), (150, 25.0, 2.0)])
def test_the_notebooks_field_has_the_deviation_of_its_mesh(points, extent, scale):
    h = 2 * extent / (points - 1)
    expected = scale / (2 * np.sqrt(np.pi) * h)
    inside = slice(points // 5, -(points // 5))
    squares = [(notebook_field(points, extent, scale, seed)[inside, inside] ** 2).mean() for seed in range(30)]
    error = np.std(squares, ddof=1) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - expected**2) < 4 * error
    assert error < 0.1 * expected**2


def test_the_notebooks_field_is_the_sum_over_the_mesh():
    """Against the convolution written out, 'same' and with zeros beyond the edge."""
    points, extent = 12, 2.0
    mesh_1d = np.linspace(-extent, extent, points)
    density = np.exp(-(mesh_1d[:, None] ** 2 + mesh_1d[None, :] ** 2) / 2) / (2 * np.pi)
    noise = np.random.default_rng(4).standard_normal((points, points))
    expected, shift = np.zeros((points, points)), (points - 1) // 2
    for i in range(points):
        for j in range(points):
            for k in range(points):
                for m in range(points):
                    a, b = i + shift - k, j + shift - m
                    if 0 <= a < points and 0 <= b < points:
                        expected[i, j] += 1.5 * density[a, b] * noise[k, m]
    np.testing.assert_allclose(notebook_field(points, extent, 1.5, seed=4), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"length": 0.0}, "length=0.0"),
        ({"period": float("inf")}, "period=inf"),
        ({"period": 4.0}, "at least 8 lengths"),
        ({"spacing": 1e-4}, "no more than 8192 nodes"),
        ({"spacing": 2.0}, "spacing of at most one"),
    ],
)
def test_fields_that_cannot_be_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        gaussian_field(**kwargs)


def test_meshes_and_lattices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="mesh of 1 points"):
        notebook_field(points=1)
    with pytest.raises(ValueError, match="positive spacing"):
        white_noise(spacing=0.0)
