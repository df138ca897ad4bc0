"""Top eigenpairs of networks against dense eigendecompositions."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem import dense, naive
from tests.problem.naive import D
from thalweg import schema


def made(model="tanh", loss="cross_entropy", cut=(5, 9, 3)):
    net, data = dense.case(model, loss)
    return net, data, tw.ModuleProblem(net, naive.cut(data, cut), loss=getattr(F, loss))


ORACLES = {
    "hessian": lambda net, data: dense.hessian(net, data, F.cross_entropy),
    "ggn": lambda net, data: dense.gauss_newton(net, data, "cross_entropy"),
    "fisher": dense.fisher_of_classes,
    "empirical_fisher": lambda net, data: dense.empirical_fisher(net, data, F.cross_entropy),
}


def wanted(values, k, which):
    """The k eigenvalues asked for, in their order, from all of them."""
    values = np.sort(values)
    if which == "largest":
        return values[::-1][:k]
    if which == "smallest":
        return values[:k]
    if which == "both":
        return np.concatenate([values[::-1][: k - k // 2], values[: k // 2][::-1]])
    return values[np.argsort(-np.abs(values))][:k]


@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
@pytest.mark.parametrize("matrix", ORACLES)
def test_pairs_are_those_of_the_dense_matrix(matrix, which):
    net, data, problem = made()
    A = ORACLES[matrix](net, data).numpy()
    found = tw.top_eigenpairs(problem, 5, matrix=matrix, which=which, tol=1e-8)
    values, vectors = found.eigenvalue.values, found.eigenvector.values
    np.testing.assert_allclose(values, wanted(np.linalg.eigvalsh(A), 5, which), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(5), atol=1e-10)
    true = np.linalg.norm(A @ vectors.T - vectors.T * values, axis=0)
    scale = np.abs(np.linalg.eigvalsh(A)).max()
    assert (true <= 1e-8 * scale + 1e-12).all()
    np.testing.assert_allclose(found.residual, true, atol=1e-9 * scale)
    assert found.converged.all()
    assert found.attrs["not_converged"] == 0


@pytest.mark.parametrize("model", ["convolution", "batch norm", "tied", "frozen", "attention module"])
def test_every_kind_of_network_has_its_top_pairs(model):
    net, data, problem = made(model)
    A = dense.hessian(net, data, F.cross_entropy).numpy()
    found = tw.top_eigenpairs(problem, 4, tol=1e-6)
    np.testing.assert_allclose(found.eigenvalue, wanted(np.linalg.eigvalsh(A), 4, "magnitude"), rtol=1e-6)


@pytest.mark.parametrize("parameters", ["0", "3.weight", ["*.bias"]])
def test_a_layer_has_the_pairs_of_its_own_block(parameters):
    net, data, problem = made("convolution")
    block = problem.curvature(parameters=parameters)
    places = block.embed(torch.ones(block.num_weights)).nonzero().ravel().numpy()
    A = dense.hessian(net, data, F.cross_entropy).numpy()[np.ix_(places, places)]
    found = tw.top_eigenpairs(problem, 3, parameters=parameters, tol=1e-8)
    np.testing.assert_allclose(found.eigenvalue, wanted(np.linalg.eigvalsh(A), 3, "magnitude"), rtol=1e-7)
    assert found.sizes["weight"] == problem.num_weights
    outside = np.setdiff1d(np.arange(problem.num_weights), places)
    assert not found.eigenvector.values[:, outside].any()
    assert found.attrs["num_selected"] == len(places)
    assert found.attrs["num_weights"] == problem.num_weights


def test_all_pairs_of_a_matrix_with_repeated_zero_and_negative_eigenvalues():
    """k = n, at the saddle of a linear network: eigenvalues -a, 0, 0, a."""
    net = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    for p in net.parameters():
        nn.init.zeros_(p)
    x, y = naive.regression(11, 3)
    found = tw.top_eigenpairs(tw.ModuleProblem(net, (x, y), loss=F.mse_loss), 4, which="smallest")
    top = 2 * float((y * x).mean(0).norm())
    np.testing.assert_allclose(found.eigenvalue, [-top, 0, 0, top], rtol=1e-9, atol=1e-12)


def test_a_flat_loss_has_zero_curvature_and_no_share_of_a_gradient():
    problem = tw.FunctionProblem(lambda x, y: 0 * x * y + 3.0)
    found = tw.top_eigenpairs(problem, 2)
    assert found.eigenvalue.values.tolist() == [0.0, 0.0]
    assert found.attrs["loss"] == 3.0
    assert found.attrs["gradient_norm"] == 0.0
    assert np.isnan(found.attrs["gradient_share"])
    assert tw.num_outliers(found) == 0


def test_it_says_what_it_is_of():
    _, _, problem = made()
    found = tw.top_eigenpairs(problem, 3, which="largest", seed=2)
    assert schema.check(found) is found
    loss, slope = problem.value_and_gradient(problem.theta)
    assert found.attrs["loss"] == pytest.approx(float(loss))
    assert found.attrs["gradient_norm"] == pytest.approx(float(slope.norm()))
    share = float(((found.eigenvector.values @ slope.numpy()) ** 2).sum() / (slope.numpy() ** 2).sum())
    assert found.attrs["gradient_share"] == pytest.approx(share)
    assert found.attrs["num_classes"] == 3
    assert found.attrs["matrix"] == "hessian"
    assert found.attrs["parameters"] == "all"
    assert found.attrs["criterion"] == "cross_entropy"
    assert found.attrs["theta_id"] == problem.identity()["weights"]
    assert found.eigenvalue.attrs["units"] == "nat"
    assert found.attrs["product"]
    assert found.pair.values.tolist() == [1, 2, 3]
    assert "eigenvector" not in tw.top_eigenpairs(problem, 3, vectors=False)


@pytest.mark.parametrize(
    ("outputs", "loss", "targets", "classes"),
    [
        (4, F.cross_entropy, torch.randint(0, 4, (9,)), 4),
        (4, F.mse_loss, torch.randn(9, 4, dtype=D), 0),
        (1, F.binary_cross_entropy_with_logits, torch.randint(0, 2, (9, 1)).double(), 2),
        (3, F.binary_cross_entropy_with_logits, torch.randint(0, 2, (9, 3)).double(), 0),
    ],
)
def test_the_number_of_classes_is_read_off_outputs_and_targets(outputs, loss, targets, classes):
    problem = tw.ModuleProblem(nn.Linear(2, outputs).double(), (torch.randn(9, 2, dtype=D), targets), loss=loss)
    assert tw.top_eigenpairs(problem, 1).attrs["num_classes"] == classes


def test_other_weights_need_no_other_problem():
    _, _, problem = made()
    theta = naive.near(problem)[1]
    here = tw.top_eigenpairs(problem, 3, theta=theta)
    there = tw.top_eigenpairs(problem.at(theta), 3)
    np.testing.assert_allclose(here.eigenvalue, there.eigenvalue, rtol=1e-9)
    assert here.attrs["loss"] == pytest.approx(there.attrs["loss"])
    assert here.attrs["theta_id"] == there.attrs["theta_id"]


def test_a_warm_start_finds_the_same_pairs_with_fewer_products():
    """Vectors from near by: the network after a small step."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 30), nn.Tanh(), nn.Linear(30, 5)).double()
    problem = tw.ModuleProblem(net, naive.examples(60, (10,), 5), loss=F.cross_entropy)
    first = tw.top_eigenpairs(problem, 5)
    theta = naive.near(problem, size=1e-3)[1]
    cold, warm = (tw.top_eigenpairs(problem, 5, theta=theta, start=start) for start in (None, first))
    np.testing.assert_allclose(warm.eigenvalue, cold.eigenvalue, rtol=1e-3)
    assert warm.converged.all()
    assert warm.attrs["num_matvecs"] < cold.attrs["num_matvecs"]
    block = tw.top_eigenpairs(problem, 2, parameters="0", start=first)
    np.testing.assert_allclose(block.eigenvalue, tw.top_eigenpairs(problem, 2, parameters="0").eigenvalue, rtol=1e-3)


def test_the_same_seed_gives_the_same_numbers_and_single_precision_is_near():
    net, data, problem = made("convolution")
    a, b = (tw.top_eigenpairs(problem, 3, seed=1) for _ in range(2))
    np.testing.assert_array_equal(a.eigenvalue, b.eigenvalue)
    narrow = tw.ModuleProblem(copy.deepcopy(net).float(), (data[0].float(), data[1]), loss=F.cross_entropy)
    found = tw.top_eigenpairs(narrow, 3)
    np.testing.assert_allclose(found.eigenvalue, a.eigenvalue, rtol=1e-4)
    assert found.eigenvector.dtype == np.float32
    assert found.converged.all()


def test_a_result_survives_a_study(tmp_path):
    _, _, problem = made()
    results = {
        "pairs": tw.top_eigenpairs(problem, 3),
        "density": tw.spectral_density(problem, num_probes=2),
        "trace": tw.trace(problem),
        "diagonal": tw.diagonal(problem),
        "sharpness": tw.sharpness(problem, preconditioner=torch.ones(problem.num_weights)),
    }
    for name, result in results.items():
        tw.save(result, tmp_path / "s.zarr", name)
        assert tw.load(tmp_path / "s.zarr", name).load().equals(result)


def test_a_subset_of_examples_is_a_matrix_of_its_own():
    _, _, problem = made()
    whole = tw.top_eigenpairs(problem, 1)
    part = tw.top_eigenpairs(problem, 1, num_examples=8, seed=1)
    again = tw.top_eigenpairs(problem, 1, num_examples=8, seed=1)
    assert part.attrs["num_examples"] == 8
    assert float(part.eigenvalue[0]) == float(again.eigenvalue[0]) != float(whole.eigenvalue[0])
    assert part.attrs["loss"] == pytest.approx(whole.attrs["loss"])
