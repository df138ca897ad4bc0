"""The linear network against loops, autodiff, finite differences, and what is known of its flow."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg import landscapes as ls


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", torch.sin])
@pytest.mark.parametrize(
    ("theta_shape", "x_shape"), [((5, 3), (4,)), ((3,), (6, 2)), ((5, 3), (5, 2)), ((7, 1, 2), (4, 3)), ((1,), (1,))]
)
def test_the_network_is_the_loop_over_all_pairs(activation, theta_shape, x_shape):
    sigma = {"identity": lambda v: v, "relu": lambda v: max(v, 0.0), "tanh": math.tanh}.get(activation, math.sin)
    theta, x = normal(*theta_shape), normal(*x_shape, seed=1)
    found = ls.linear_network(theta, x, activation)
    lead = np.broadcast_shapes(theta_shape[:-1], x_shape[:-1])
    assert found.shape == (*lead, x_shape[-1])
    thetas, xs = theta.expand(*lead, theta_shape[-1]), x.expand(*lead, x_shape[-1])
    for index in np.ndindex(*found.shape):
        value, depth = float(xs[index]), theta_shape[-1]
        for k in range(depth):
            value *= float(thetas[(*index[:-1], k)])
            value = sigma(value) if k < depth - 1 else value
        assert float(found[index]) == pytest.approx(value, abs=1e-12)


def test_losses_are_distances_and_the_loss_their_mean():
    theta, x = normal(5, 3), normal(7, 2, seed=1)
    losses = ls.autoencoder_losses(theta[:, None], x)
    assert losses.shape == (5, 7)
    p = theta.prod(-1)
    expected = ((1 - p)[:, None, None] * x).square().mean(-1)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(ls.autoencoder_loss(theta, x), expected.mean(-1))


def test_any_distance_that_is_zero_between_equals_is_zero_at_the_solutions():
    def cosine(a, b):
        return 1 - torch.nn.functional.cosine_similarity(a, b, dim=-1)

    x, theta = normal(6, 3), torch.tensor([[0.5, 2.0], [2.0, -1.0]], dtype=torch.double)
    found = ls.autoencoder_loss(theta, x, distance=cosine)
    torch.testing.assert_close(found, torch.tensor([0.0, 2.0], dtype=torch.double))


@given(
    theta=st.lists(st.one_of(st.just(0.0), st.floats(-3, 3, allow_subnormal=False)), min_size=1, max_size=6),
    num=st.integers(1, 4),
    with_targets=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_gradient_and_hessian_by_hand_are_those_of_autodiff(theta, num, with_targets, seed):
    """Zeros included: nothing is divided by a weight."""
    x, targets = normal(num, 2, seed=seed), normal(num, 2, seed=seed + 1) if with_targets else None
    theta = torch.tensor(theta, dtype=torch.double)

    def loss(t):
        return ls.autoencoder_loss(t, x, targets)

    size = float(theta.abs().clamp(min=1).prod()) ** 2 * float(1 + x.square().mean())
    gradient = torch.autograd.functional.jacobian(loss, theta)
    torch.testing.assert_close(ls.autoencoder_gradient(theta, x, targets), gradient, rtol=1e-9, atol=1e-12 * size)
    hessian = torch.autograd.functional.hessian(loss, theta)
    torch.testing.assert_close(ls.autoencoder_hessian(theta, x, targets), hessian, rtol=1e-9, atol=1e-12 * size)


@pytest.mark.parametrize("theta", [[2.0, 5.0], [-5.0, 2.0]])
def test_the_gradient_at_the_products_ten_and_minus_ten_is_the_one_on_paper(theta):
    t1, t2 = theta
    expected = [-2 * t2 * (1 - t1 * t2), -2 * t1 * (1 - t1 * t2)]
    assert ls.autoencoder_gradient(theta, [1.0]).tolist() == expected


def test_gradients_of_many_weights_at_once_are_those_one_by_one():
    theta, x = normal(4, 5, 3), normal(6, 1, seed=2)
    found = ls.autoencoder_gradient(theta, x)
    assert ls.autoencoder_hessian(theta, x).shape == (4, 5, 3, 3)
    for i, j in np.ndindex(4, 5):
        torch.testing.assert_close(found[i, j], ls.autoencoder_gradient(theta[i, j], x))


def test_the_expanded_loss_is_the_square():
    t1, t2 = normal(2, 50)
    torch.testing.assert_close(ls.multiply_by_one()(t1, t2), 1 + t1**2 * t2**2 - 2 * t1 * t2)


@pytest.mark.parametrize("extent", [1.5, 2.0, 10.0])
def test_the_solution_set_is_two_branches_of_loss_zero_within_the_extent(extent):
    curves = ls.solution_set(num=51, extent=extent)
    land = ls.multiply_by_one()
    for sign, curve in zip((1, -1), curves.values(), strict=True):
        assert curve.shape == (51, 2)
        assert (np.sign(curve) == sign).all()
        assert abs(curve).max() == pytest.approx(extent)
        assert abs(curve).min() == pytest.approx(1 / extent)
        assert land(*curve.T).max() < 1e-25


def test_the_origin_is_a_saddle_of_the_stated_curvatures():
    """Against second differences of the loss; the eigenvectors are the diagonals."""
    land, h = ls.multiply_by_one(), 1e-4

    def second(direction):
        a, b = h * np.asarray(direction)
        return (land(a, b) + land(-a, -b) - 2 * land(0.0, 0.0)) / h**2

    r = math.sqrt(0.5)
    assert (second((r, r)), second((r, -r))) == pytest.approx(ls.SADDLE_EIGENVALUES, abs=1e-5)
    assert land(0.0, 0.0) == ls.SADDLE.loss == 1.0
    assert torch.linalg.eigvalsh(ls.autoencoder_hessian([0.0, 0.0], [1.0])).tolist() == list(ls.SADDLE_EIGENVALUES)
    assert land.problem().gradient(torch.zeros(2)).tolist() == [0.0, 0.0]


@given(a=st.one_of(st.floats(-5, -0.2), st.floats(0.2, 5)), seed=st.integers(0, 2**16))
def test_rescaling_leaves_the_output_as_it_is(a, seed):
    theta = normal(7, 4, seed=seed)
    moved = ls.rescale(theta, a, first=1, second=3)
    torch.testing.assert_close(ls.linear_network(moved, torch.ones(1)), ls.linear_network(theta, torch.ones(1)))
    torch.testing.assert_close(moved[:, 1], a * theta[:, 1])
    torch.testing.assert_close(moved[:, [0, 2]], theta[:, [0, 2]])


def test_an_orbit_of_the_symmetry_is_the_solution_set():
    a = torch.tensor([0.5, 1.0, 2.0])
    orbit = ls.rescale([1.0, 1.0], a)
    np.testing.assert_allclose(orbit, ls.solution_set(num=3, extent=2.0)["t1, t2 > 0"])
    assert ls.rescale(normal(5, 2), torch.full((5,), 2.0)).shape == (5, 2)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_what_the_flow_conserves_drifts_in_proportion_to_the_step(depth):
    start, x = 1 + 0.2 * normal(depth, seed=depth), [[1.0], [0.5]]
    drifts = []
    for step in (0.02, 0.01, 0.005):
        theta = start
        for _ in range(round(2.0 / step)):
            theta = theta - step * ls.autoencoder_gradient(theta, x)
        drifts.append(float((ls.conserved(theta) - ls.conserved(start)).norm()))
    assert drifts[0] > 1e-8
    assert drifts[0] / drifts[1] == pytest.approx(2, rel=0.1)
    assert drifts[1] / drifts[2] == pytest.approx(2, rel=0.1)


def test_conserved_quantities_are_differences_of_squares():
    assert ls.conserved([[1.0, 2.0, 4.0]]).tolist() == [[-3.0, -12.0]]


def test_branches_and_sides_of_the_landscape():
    land = ls.multiply_by_one()
    ends = np.array([[2.0, 0.5], [-2.0, -0.5], [0.0, 0.01], [1.0, -1.0], [2.0, 0.6]])
    held = {name: branch.contains(ends).tolist() for name, branch in land.branches.items()}
    assert held["branch t1, t2 > 0"] == [True, False, False, False, False]
    assert held["branch t1, t2 < 0"] == [False, True, False, False, False]
    assert held["saddle at 0"] == [False, False, True, False, False]
    assert land.side(ends).tolist() == [1, -1, 1, 0, 1]
    assert [branch.kind for branch in land.branches.values()] == ["minimum", "minimum", "saddle"]


def test_the_line_between_the_sides_is_the_stable_manifold_of_the_saddle():
    """Descent from t1 = -t2 stays on it and ends at the origin; from just beside it, on the branch of its side."""
    land = ls.multiply_by_one()
    problem = land.problem()
    theta = torch.tensor([[1.5, -1.5], [1.5, -1.4999], [1.4999, -1.5]], dtype=torch.double)
    sides = land.side(theta.numpy())
    for _ in range(400):
        theta = theta - 0.05 * problem.gradient(theta)
    ends = [[name for name, b in land.branches.items() if b.contains(point[None])[0]] for point in theta.numpy()]
    assert sides.tolist() == [0, 1, -1]
    assert ends == [["saddle at 0"], ["branch t1, t2 > 0"], ["branch t1, t2 < 0"]]


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_problem_of_any_depth_is_the_loss_written_out(depth, activation):
    x, targets = [0.5, -1.0, 2.0], [1.0, 0.0, -1.0]
    problem = ls.multiply_by_one_problem(depth, x, targets, activation=activation)
    theta = normal(6, depth, seed=3)
    outputs = ls.linear_network(theta[:, None], torch.tensor(x)[:, None], activation)[..., 0]
    torch.testing.assert_close(problem.loss(theta), (outputs - torch.tensor(targets)).square().mean(-1))
    found = problem.measure(theta).values["output"]
    torch.testing.assert_close(found, ls.linear_network(theta, torch.ones(1), activation)[:, 0])
    assert problem.names == [f"t{k}" for k in range(1, depth + 1)]


def test_other_inputs_scale_the_landscape_and_other_activations_carry_no_branches():
    land = ls.multiply_by_one(x=(1.0, 3.0))
    assert land(2.0, 1.0) == pytest.approx(5.0)
    assert land.critical[0].loss == land(0.0, 0.0) == pytest.approx(5.0)
    assert land.formula.startswith("5·")
    rectified = ls.multiply_by_one(activation="relu")
    assert rectified(-2.0, -0.5) == 1.0
    assert not rectified.critical
    assert not rectified.branches
    assert not rectified.solutions


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ls.linear_network(2.0, [1.0]), "theta has shape"),
        (lambda: ls.linear_network([2.0], 1.0), "single number"),
        (lambda: ls.linear_network([2.0], [1.0], "gelu"), "there are identity, relu, tanh"),
        (lambda: ls.multiply_by_one(activation="gelu"), "there are identity, relu, tanh"),
        (lambda: ls.multiply_by_one_problem(depth=0), "at least one weight"),
        (lambda: ls.multiply_by_one_problem(targets=[1.0, 2.0]), "2 targets for 1 inputs"),
        (lambda: ls.rescale([1.0, 1.0], 0.0), "divides by it"),
        (lambda: ls.rescale([1.0, 1.0], 2.0, first=0, second=0), "two different ones"),
        (lambda: ls.rescale([1.0], 2.0), "two different ones"),
        (lambda: ls.solution_set(extent=1.0), "more than 1"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
