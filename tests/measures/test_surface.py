"""Surfaces against closed forms and against a loop over points, batches and examples."""

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import thalweg as tw

seeds = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25, deadline=None)


def random_quadratic(num_weights, seed):
    """L(θ) = ½ θᵀHθ + gᵀθ + c, with its H, g and c."""
    random = np.random.default_rng(seed)
    H = random.normal(size=(num_weights, num_weights))
    H, g, c = H + H.T, random.normal(size=num_weights), float(random.normal())
    h, slope = torch.as_tensor(H), torch.as_tensor(g)

    def loss(theta):
        return 0.5 * ((theta @ h) * theta).sum(-1) + theta @ slope + c

    return tw.FunctionProblem(loss, num_weights=num_weights, theta=random.normal(size=num_weights)), H, g, c


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def examples(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=generator, dtype=torch.float64), torch.randint(3, (n,), generator=generator)


def cut(pair, sizes):
    return list(zip(*(tensor.split(sizes) for tensor in pair), strict=True))


def naive_losses(model, theta, batches):
    """One forward pass for each example alone, weights put in by torch's own function."""
    model = copy.deepcopy(model)
    nn.utils.vector_to_parameters(torch.as_tensor(theta), model.parameters())
    with torch.no_grad():
        rows = [(model(x[None])[0], y) for inputs, targets in batches for x, y in zip(inputs, targets, strict=True)]
    losses = np.array([float(-F.log_softmax(out, 0)[y]) for out, y in rows])
    hits = np.array([float(out.argmax() == y) for out, y in rows])
    return losses, hits


@FEW
@given(
    seed=seeds,
    num_weights=st.integers(4, 12),
    dim=st.integers(1, 4),
    counts=st.lists(st.integers(2, 5), min_size=4, max_size=4),
    ranges=st.lists(st.tuples(st.floats(-3, -0.1), st.floats(0.1, 3)), min_size=4, max_size=4),
)
def test_a_slice_of_a_quadratic_is_the_projected_quadratic(seed, num_weights, dim, counts, ranges):
    """On lines, planes and boxes, whatever the number and range of points along each axis: with D the directions,
    L(θ₀ + Dᵀc) = L(θ₀) + (D(Hθ₀ + g))ᵀc + ½ cᵀ(DHDᵀ)c."""
    problem, H, g, c = random_quadratic(num_weights, seed)
    random = np.random.default_rng(seed)
    origin, D = random.normal(size=num_weights), random.normal(size=(dim, num_weights))
    surface = tw.loss_surface(problem, tw.Box(origin, D), extent=ranges[:dim], points=counts[:dim])
    assert dict(surface.sizes) == dict(zip(["alpha", "beta", "gamma", "delta"], counts[:dim], strict=False))
    start, slope, bend = 0.5 * origin @ H @ origin + g @ origin + c, D @ (H @ origin + g), D @ H @ D.T
    for index in np.ndindex(*counts[:dim]):
        at = np.array(
            [low + i * (high - low) / (n - 1) for i, n, (low, high) in zip(index, counts, ranges, strict=False)]
        )
        expected = start + slope @ at + 0.5 * at @ bend @ at
        np.testing.assert_allclose(surface.loss.values[index], expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("subspace", ["line", "plane", "box"])
def test_every_kind_of_subspace_gives_its_own_dims(subspace):
    problem, H, g, c = random_quadratic(5, 3)
    eye = np.eye(5)
    made = {
        "line": tw.Line(np.zeros(5), eye[1]),
        "plane": tw.Plane(np.zeros(5), eye[1], eye[2]),
        "box": tw.Box(np.zeros(5), eye[1:4]),
    }[subspace]
    surface = tw.loss_surface(problem, made, extent=1.0, points=3)
    assert surface.loss.dims == made.dims
    corner = sum(eye[1 : 1 + len(made.dims)])
    np.testing.assert_allclose(surface.loss.values[(-1,) * len(made.dims)], 0.5 * corner @ H @ corner + g @ corner + c)


@pytest.mark.parametrize("sizes", [[13, 1, 7, 9], [30], [2] * 15])
def test_a_surface_equals_a_loop_over_points_and_examples(sizes):
    """Both splits, loss and accuracy, whatever the batches: the mean over examples, not the mean of batch means."""
    model, train, test = network(), examples(30, 1), examples(11, 2)
    train_batches, test_batches = cut(train, sizes), cut(test, [6, 4, 1])
    problem = tw.ModuleProblem(
        model, train_batches, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test_batches
    )
    plane = tw.random_plane(problem, seed=4)
    surface = tw.loss_surface(problem, plane, extent=((-1, 2), (-0.5, 0.5)), points=(4, 3))
    for i, a in enumerate(np.linspace(-1, 2, 4)):
        for j, b in enumerate(np.linspace(-0.5, 0.5, 3)):
            theta = plane.origin + a * plane.u + b * plane.v
            for prefix, batches in (("", train_batches), ("test_", test_batches)):
                losses, hits = naive_losses(model, theta, batches)
                np.testing.assert_allclose(surface[f"{prefix}loss"].values[i, j], losses.mean(), rtol=1e-12)
                np.testing.assert_allclose(surface[f"{prefix}accuracy"].values[i, j], hits.mean(), rtol=1e-12)


def test_streamed_data_give_the_surface_of_resident_data():
    model, batches = network(), cut(examples(30, 1), [13, 1, 7, 9])
    kept = tw.ModuleProblem(model, batches, loss=F.cross_entropy)
    streamed = tw.ModuleProblem(model, batches, loss=F.cross_entropy, memory=0)
    plane = tw.random_plane(kept, seed=4)
    a, b = (tw.loss_surface(p, plane, extent=1.0, points=(3, 4)) for p in (kept, streamed))
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-13)


@FEW
@given(
    alpha=st.lists(st.floats(-2, 2), min_size=1, max_size=6, unique=True),
    beta=st.lists(st.floats(-2, 2), min_size=1, max_size=6, unique=True),
)
def test_explicit_coordinates_are_kept_to_the_bit_and_every_cell_is_measured_at_its_own(alpha, beta):
    """A function that tells its arguments apart: L = 1000 x + y."""
    problem = tw.FunctionProblem(lambda x, y: 1000 * x + y)
    alpha, beta = sorted(alpha), sorted(beta)
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), alpha=alpha, beta=beta)
    np.testing.assert_array_equal(surface.alpha, alpha)
    np.testing.assert_array_equal(surface.beta, beta)
    np.testing.assert_array_equal(surface.loss, [[1000 * a + b for b in beta] for a in alpha])


def test_explicit_coordinates_may_come_in_any_order_and_as_any_sequence():
    problem = tw.FunctionProblem(lambda x, y: 1000 * x + y)
    plane = tw.coordinate_plane(problem)
    a = tw.loss_surface(problem, plane, beta=(1.0, 2.0), alpha=torch.tensor([0.0, 3.0, 4.0]))
    b = tw.loss_surface(problem, plane, alpha=np.array([0.0, 3.0, 4.0]), beta=[1, 2])
    assert a.loss.dims == ("alpha", "beta")
    xr.testing.assert_equal(a, b)


@pytest.mark.parametrize("seed", range(3))
def test_per_example_losses_average_to_the_loss_and_are_each_examples_own(seed):
    model, train, test = network(seed), examples(10, seed), examples(5, seed + 10)
    problem = tw.ModuleProblem(model, cut(train, [7, 3]), loss=F.cross_entropy, test_data=test)
    line = tw.random_line(problem, seed=seed)
    surface = tw.loss_surface(problem, line, alpha=[-0.5, 0.0, 1.0], per_example=True)
    assert surface.losses.dims == ("alpha", "example")
    assert surface.test_losses.dims == ("alpha", "test_example")
    np.testing.assert_allclose(surface.losses.mean("example"), surface.loss, rtol=1e-12)
    np.testing.assert_allclose(surface.test_losses.mean("test_example"), surface.test_loss, rtol=1e-12)
    for i, a in enumerate([-0.5, 0.0, 1.0]):
        expected, _ = naive_losses(model, line.origin + a * line.u, [train])
        np.testing.assert_allclose(surface.losses.values[i], expected, rtol=1e-10)


def test_a_subset_has_the_sample_mean_and_its_standard_error():
    r"""With s² the sample variance of n out of N examples, drawn without replacement: √(s²/n · (1 - n/N))."""
    model, train, test = network(), examples(40, 1), examples(25, 2)
    problem = tw.ModuleProblem(
        model, cut(train, [23, 17]), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test
    )
    line = tw.random_line(problem, seed=0)
    n = 15
    surface = tw.loss_surface(problem, line, alpha=[0.0, 0.5], num_examples=n, seed=3, per_example=True)
    for split, N, data in (("", 40, train), ("test_", 25, test)):
        for i, a in enumerate([0.0, 0.5]):
            seen = surface[f"{split}losses"].values[i]
            every, _ = naive_losses(model, line.origin + a * line.u, [data])
            assert len(seen) == n
            drawn = [np.abs(every - loss).argmin() for loss in seen]
            np.testing.assert_allclose(every[drawn], seen, rtol=1e-10)
            assert len(set(drawn)) == n, "an example was drawn twice"
            np.testing.assert_allclose(surface[f"{split}loss"].values[i], seen.mean(), rtol=1e-12)
            error = np.sqrt(seen.var(ddof=1) / n * (1 - n / N))
            np.testing.assert_allclose(surface[f"{split}loss_standard_error"].values[i], error, rtol=1e-9)
    share = surface.accuracy.values
    binomial = np.sqrt(share * (1 - share) / (n - 1) * (1 - n / 40))
    np.testing.assert_allclose(surface.accuracy_standard_error, binomial, rtol=1e-9, atol=1e-12)


def test_the_same_examples_are_used_at_every_point_and_another_seed_draws_others():
    model = network()
    problem = tw.ModuleProblem(model, examples(40, 1), loss=F.cross_entropy)
    line = tw.random_line(problem, seed=0)
    kwargs = {"alpha": [0.0, 1e-12], "num_examples": 5, "per_example": True}
    first, again, other = (tw.loss_surface(problem, line, seed=s, **kwargs).losses.values for s in (0, 0, 1))
    np.testing.assert_allclose(first[0], first[1], atol=1e-9)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_all_examples_have_no_standard_error_left():
    problem = tw.ModuleProblem(network(), examples(12, 1), loss=F.cross_entropy)
    surface = tw.loss_surface(problem, tw.random_line(problem), alpha=[0.0, 1.0], num_examples=12)
    whole = tw.loss_surface(problem, tw.random_line(problem), alpha=[0.0, 1.0])
    np.testing.assert_allclose(surface.loss, whole.loss, rtol=1e-14)
    np.testing.assert_array_equal(surface.loss_standard_error, 0.0)


def test_standard_errors_cover_the_mean_over_all_examples():
    """Over 200 draws, (subset mean - full mean) / standard error has mean 0 and variance 1, roughly."""
    problem = tw.ModuleProblem(network(), examples(300, 1), loss=F.cross_entropy)
    line = tw.random_line(problem)
    full = tw.loss_surface(problem, line, alpha=[0.0]).loss.item()
    draws = [tw.loss_surface(problem, line, alpha=[0.0], num_examples=60, seed=s) for s in range(200)]
    z = np.array([(d.loss.item() - full) / d.loss_standard_error.item() for d in draws])
    assert abs(z.mean()) < 0.3
    assert 0.75 < z.std() < 1.3


@FEW
@given(seed=seeds)
def test_the_gradient_is_the_slope_of_the_surface_on_planes(seed):
    """Central differences of the surface itself, at steps of 1e-4."""
    problem, *_ = random_quadratic(6, seed)
    random = np.random.default_rng(seed)
    plane = tw.Plane(random.normal(size=6), *random.normal(size=(2, 6)))
    h, (a, b) = 1e-4, random.uniform(-2, 2, size=2)
    found = tw.loss_surface(problem, plane, alpha=[a - h, a, a + h], beta=[b - h, b, b + h], gradient=True)
    assert found.gradient.dims == ("alpha", "beta", "coordinate")
    loss = found.loss.values
    slope = [(loss[2, 1] - loss[0, 1]) / (2 * h), (loss[1, 2] - loss[1, 0]) / (2 * h)]
    np.testing.assert_allclose(found.gradient.values[1, 1], slope, rtol=1e-6, atol=1e-6)


def test_the_gradient_is_the_slope_of_the_loss_of_a_network_on_a_segment():
    problem = tw.ModuleProblem(network(), cut(examples(30, 1), [11, 19]), loss=F.cross_entropy)
    segment = tw.Segment(problem.theta, problem.theta + 0.3 * tw.random_direction(problem, seed=1, normalize=None))
    grid = np.linspace(0, 1, 2001)
    found = tw.loss_surface(problem, segment, t=grid, gradient=True)
    slope = (found.loss.values[2:] - found.loss.values[:-2]) / (grid[2:] - grid[:-2])
    np.testing.assert_allclose(found.gradient.values[1:-1, 0], slope, rtol=1e-5, atol=1e-6)


def test_the_gradient_beside_a_loss_over_a_subset_is_refused():
    """It is that of the loss over all examples: the arrows on the surface would not be its slopes."""
    problem = tw.ModuleProblem(network(), examples(40, 1), loss=F.cross_entropy)
    with pytest.raises(ValueError, match=r"`gradient` and `num_examples`"):
        tw.loss_surface(problem, tw.random_line(problem, seed=1), extent=1.0, points=3, num_examples=5, gradient=True)


def test_only_the_metrics_asked_for_are_measured_and_the_loss_always():
    problem = tw.ModuleProblem(
        network(),
        examples(9, 1),
        loss=F.cross_entropy,
        metrics={"accuracy": tw.accuracy, "margin": lambda out, y: out.max(1).values},
    )
    line = tw.random_line(problem)
    assert set(tw.loss_surface(problem, line, extent=1.0, points=3, metrics=["margin"]).data_vars) == {"loss", "margin"}
    assert set(tw.loss_surface(problem, line, extent=1.0, points=3, metrics=[]).data_vars) == {"loss"}


def test_attrs_tell_each_quantity_at_the_origin():
    problem = tw.FunctionProblem(lambda x, y: (x - 2) ** 2 + y, theta=[5.0, 1.0], metrics={"sum": lambda x, y: x + y})
    surface = tw.loss_surface(
        problem, tw.Plane(problem.theta, [1.0, 0.0], [0.0, 1.0]), alpha=[1.0, 2.0], beta=[3.0, 4.0]
    )
    assert surface.loss.attrs["at_origin"] == 10.0
    assert surface["sum"].attrs["at_origin"] == 6.0


@pytest.mark.parametrize("precision", ["bf16", "half weights"])
def test_narrow_numbers_stay_near_the_float64_surface(precision):
    """bf16 has 8 bits: values within a percent or so of the float64 loop."""
    model, data = network(), examples(30, 1)
    narrow = copy.deepcopy(model).float() if precision == "bf16" else copy.deepcopy(model).bfloat16()
    inputs = data[0].float() if precision == "bf16" else data[0].bfloat16()
    settings_ = {"precision": "bf16"} if precision == "bf16" else {}
    problem = tw.ModuleProblem(narrow, (inputs, data[1]), loss=F.cross_entropy, **settings_)
    line = tw.random_line(problem, seed=0)
    surface = tw.loss_surface(problem, line, alpha=[-0.5, 0.0, 0.5])
    for i, a in enumerate([-0.5, 0.0, 0.5]):
        losses, _ = naive_losses(model, (line.origin + a * line.u).double(), [data])
        np.testing.assert_allclose(surface.loss.values[i], losses.mean(), rtol=0.03)
