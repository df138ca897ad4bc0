"""Sharpness, plain, preconditioned and worst-case; outliers and overlaps."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.measures.test_spectrum import made
from tests.measures.test_spectrum_traps import quadratic
from tests.problem import dense
from thalweg.landscapes import digits, small_cnn


def test_sharpness_is_the_largest_eigenvalue_and_not_the_largest_magnitude():
    problem, _ = quadratic([-9.0, 4.0, 1.0, 0.5])
    found = tw.sharpness(problem)
    np.testing.assert_allclose(found.eigenvalue, [4.0], rtol=1e-6)
    assert found.attrs["preconditioned"] is False


def test_preconditioned_sharpness_is_the_largest_eigenvalue_of_the_quotient():
    net, data, problem = made("convolution")
    A = dense.hessian(net, data, F.cross_entropy).numpy()
    P = np.random.default_rng(0).uniform(1e-2, 2.0, problem.num_weights)
    found = tw.sharpness(problem, preconditioner=P, tol=1e-8)
    values = np.linalg.eigvals(A / P[:, None]).real
    np.testing.assert_allclose(found.eigenvalue, [values.max()], rtol=1e-7)
    w = found.eigenvector.values[0]
    v = w / np.sqrt(P)
    np.testing.assert_allclose(A @ v / P, values.max() * v, atol=1e-6 * np.abs(v).max() * values.max())
    assert found.attrs["preconditioned"] is True
    again = tw.sharpness(problem, preconditioner=P, start=found)
    assert again.attrs["num_matvecs"] <= found.attrs["num_matvecs"]
    part = tw.sharpness(problem, preconditioner=P, parameters="0", tol=1e-8)
    block = np.linalg.eigvals(A[:57, :57] / P[:57, None]).real.max()
    np.testing.assert_allclose(part.eigenvalue, [block], rtol=1e-7)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_divides_its_moving_average_by_the_preconditioner(kind, amsgrad):
    """theta_t - theta_{t+1} = lr P^-1 m, with m as the optimiser stores it: read off a real step."""
    net, data = dense.case("tanh")
    problem = tw.ModuleProblem(net, data, loss=F.cross_entropy)
    optimizer = kind(net.parameters(), lr=0.01, betas=(0.8, 0.97), eps=1e-3, amsgrad=amsgrad, weight_decay=0.0)
    for _ in range(4):
        before = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        optimizer.zero_grad()
        F.cross_entropy(net(data[0]), data[1]).backward()
        optimizer.step()
        moved = before - nn.utils.parameters_to_vector(net.parameters()).detach()
        m = torch.cat([optimizer.state[p]["exp_avg"].flatten() for p in net.parameters()])
        P = tw.adam_preconditioner(optimizer, net)
        torch.testing.assert_close(moved, 0.01 * m / P, rtol=1e-10, atol=1e-14)
    assert torch.equal(P, tw.adam_preconditioner(optimizer, problem))
    assert torch.equal(P, tw.adam_preconditioner(optimizer, problem.layout))
    assert float(tw.sharpness(problem, preconditioner=P).eigenvalue[0]) > 0


def test_adam_preconditioners_that_cannot_be_known_are_refused():
    net, data = dense.case("tanh")
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="SGD"):
        tw.adam_preconditioner(sgd, net)
    adam = torch.optim.Adam(net.parameters())
    with pytest.raises(ValueError, match="taken no step"):
        tw.adam_preconditioner(adam, net)
    F.cross_entropy(net(data[0]), data[1]).backward()
    adam.step()
    with pytest.raises(ValueError, match="other parameters"):
        tw.adam_preconditioner(adam, copy.deepcopy(net))
    with pytest.raises(ValueError, match="one by one"):
        tw.adam_preconditioner(adam, tw.FunctionProblem(lambda x: x))
    with pytest.raises(TypeError, match="expected the module"):
        tw.adam_preconditioner(adam, "net")


@pytest.mark.parametrize("P", [torch.ones(3), -torch.ones(43), torch.zeros(43), torch.full((43,), float("inf"))])
def test_preconditioners_that_are_none_are_refused(P):
    _, _, problem = made()
    with pytest.raises(ValueError, match="preconditioner"):
        tw.sharpness(problem, preconditioner=P)


@pytest.mark.parametrize("eigenvalues", [[3.0, 1.0, 0.5], [2.0, -1.0, 0.1], [1.0] * 5])
def test_worst_case_sharpness_of_a_bowl_is_half_the_sharpness_times_the_square_of_the_radius(eigenvalues):
    problem, _ = quadratic(eigenvalues)
    found = tw.worst_case_sharpness(problem, 0.3, steps=60)
    assert found.lower_bound == pytest.approx(0.5 * max(eigenvalues) * 0.09, rel=1e-3)
    assert float(found.perturbation.norm()) <= 0.3 * (1 + 1e-9)


@pytest.mark.parametrize("adaptive", [False, True])
def test_worst_case_sharpness_is_a_rise_that_there_is_within_the_ball_and_at_least_that_of_the_gradient_step(adaptive):
    _, _, problem = made("convolution")
    found = tw.worst_case_sharpness(problem, 0.2, adaptive=adaptive)
    theta = problem.theta
    scale = theta.abs() if adaptive else torch.ones_like(theta)
    e = found.perturbation / scale
    assert float(e.norm()) <= 0.2 * (1 + 1e-9)
    rise = float(problem.loss(theta + found.perturbation) - problem.loss(theta))
    assert found.lower_bound == pytest.approx(rise, rel=1e-9)
    slope = problem.gradient(theta) * scale
    sam = scale * 0.2 * slope / slope.norm()
    assert found.lower_bound >= float(problem.loss(theta + sam) - problem.loss(theta)) - 1e-12
    assert found.lower_bound == max(found.from_starts)
    assert len(found.from_starts) == 4
    assert found.num_gradients <= (20 + 2) * 4


def test_adaptive_sharpness_does_not_see_a_rescaled_layer_and_plain_sharpness_does():
    """ReLU: one layer times 10, the next by 1/10, is the same function (Kwon et al. 2021)."""
    net, data = dense.case("relu")
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)).double()
    other = copy.deepcopy(net)
    with torch.no_grad():
        other[0].weight *= 10
        other[2].weight /= 10
    found = {
        adaptive: [
            tw.worst_case_sharpness(tw.ModuleProblem(m, data, loss=F.cross_entropy), 0.1, adaptive=adaptive).lower_bound
            for m in (net, other)
        ]
        for adaptive in (False, True)
    }
    assert found[True][0] == pytest.approx(found[True][1], rel=1e-6)
    assert abs(found[False][0] - found[False][1]) > 0.2 * found[False][0]


def test_worst_case_sharpness_where_the_loss_falls_everywhere_or_overflows():
    peak = tw.FunctionProblem(lambda x, y: -(x**2) - y**2)
    found = tw.worst_case_sharpness(peak, 0.5, steps=3)
    assert found.lower_bound == 0.0
    assert not found.perturbation.any()
    cliff = tw.FunctionProblem(lambda x, y: torch.exp(2000 * x) + y)
    assert tw.worst_case_sharpness(cliff, 1.0, steps=2).lower_bound == np.inf


@pytest.mark.parametrize("radius", [0, -1.0, float("nan"), "large"])
def test_a_radius_is_positive(radius):
    _, _, problem = made()
    with pytest.raises(ValueError, match="radius"):
        tw.worst_case_sharpness(problem, radius)


# --- outliers and overlaps ---


@pytest.mark.parametrize("count", [1, 4, 9])
def test_outliers_are_counted_in_pairs_and_densities(count):
    generator = np.random.default_rng(0)
    values = np.concatenate([np.linspace(8, 12, count), 0.3 * generator.normal(size=300)])
    problem, _ = quadratic(values)
    pairs = tw.top_eigenpairs(problem, 15)
    assert tw.num_outliers(pairs) == count
    assert tw.num_outliers(tw.spectral_density(problem, num_probes=4, num_matvecs=60)) == count


def test_a_spectrum_without_a_gap_has_no_outliers():
    problem, _ = quadratic(np.linspace(5, 10, 40))
    assert tw.num_outliers(tw.top_eigenpairs(problem, 10)) == 0
    assert tw.num_outliers(tw.top_eigenpairs(problem, 10), least=1.0) > 0


def test_pairs_that_did_not_converge_are_no_outliers():
    problem, _ = quadratic([10.0, 9.0, 8.0, *np.linspace(0.1, 1, 200)])
    pairs = tw.top_eigenpairs(problem, 8)
    pairs["converged"][1:] = False
    with pytest.raises(ValueError, match="converged"):
        tw.num_outliers(pairs)
    with pytest.raises(ValueError, match="Outliers are counted"):
        tw.num_outliers(tw.top_eigenpairs(problem, 4, which="smallest"))


@pytest.mark.slow
def test_a_network_that_tells_ten_digits_apart_has_nine_outliers():
    model, (x, y) = small_cnn(), digits()[0]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        for rows in torch.randperm(len(x), generator=generator).split(100):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    pairs = tw.top_eigenpairs(problem, 15)
    assert pairs.converged.all()
    assert pairs.attrs["num_classes"] == 10
    assert tw.num_outliers(pairs) == 9
    assert tw.num_outliers(tw.spectral_density(problem, num_probes=2, num_matvecs=40)) == 9
    assert tw.overlap(pairs, tw.top_eigenpairs(problem, 9, matrix="ggn")) > 0.9
    assert pairs.attrs["gradient_share"] > 0.5
    P = tw.adam_preconditioner(optimizer, model)
    assert tw.sharpness(problem, preconditioner=P).converged.all()


def test_overlap_is_one_with_itself_and_the_mean_squared_cosine_otherwise():
    problem, _ = quadratic([5.0, 4.0, 3.0, 2.0, 1.0])
    a = tw.top_eigenpairs(problem, 2, tol=1e-10)
    assert tw.overlap(a, a) == pytest.approx(1.0)
    assert tw.overlap(a, tw.top_eigenpairs(problem, 4, tol=1e-10)) == pytest.approx(1.0)
    assert tw.overlap(a, tw.top_eigenpairs(problem, 3, which="smallest", tol=1e-10)) == pytest.approx(0.0, abs=1e-9)
    moved, _ = quadratic([5.0, 4.0, 3.0, 2.0, 1.0], seed=1)
    b = tw.top_eigenpairs(moved, 2, tol=1e-10)
    U, V = a.eigenvector.values, b.eigenvector.values
    assert tw.overlap(a, b) == pytest.approx(((U @ V.T) ** 2).sum() / 2)
    with pytest.raises(ValueError, match="no eigenvectors"):
        tw.overlap(a, b.drop_vars("eigenvector"))
    smaller, _ = quadratic([1.0, 2.0])
    with pytest.raises(ValueError, match="different spaces"):
        tw.overlap(a, tw.top_eigenpairs(smaller, 1))
