"""Products with curvature matrices against the dense matrices of small networks, in float64."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem import dense, naive
from tests.problem.naive import D

LOSSES = ("cross_entropy", "mse_loss", "binary_cross_entropy_with_logits")
METHODS = ("auto", "linearized", "kept graph", "forward over reverse", "reverse over reverse")
UNEQUAL = (5, 9, 3)


def made(model, loss="cross_entropy", cut=None):
    """Model, data, and the problem."""
    net, data = dense.case(model, loss)
    given = data if cut is None else naive.cut(data, cut)
    return net, data, tw.ModuleProblem(net, given, loss=getattr(F, loss))


def close(found, expected, rtol=1e-9):
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))


@pytest.mark.parametrize("model", dense.MODELS)
def test_the_hessian_is_that_of_the_mean_loss(model):
    net, data, problem = made(model, cut=UNEQUAL)
    close(dense.of(problem.curvature("hessian")), dense.hessian(net, data, F.cross_entropy))


@pytest.mark.parametrize("model", dense.MODELS)
def test_the_gauss_newton_matrix_is_the_mean_of_jacobians_around_the_bend_of_the_loss(model):
    net, data, problem = made(model, cut=UNEQUAL)
    close(dense.of(problem.curvature("ggn")), dense.gauss_newton(net, data, "cross_entropy"))


@pytest.mark.parametrize("model", dense.MODELS)
def test_the_empirical_fisher_matrix_is_the_mean_of_outer_products_of_gradients(model):
    net, data, problem = made(model, cut=UNEQUAL)
    close(dense.of(problem.curvature("empirical_fisher")), dense.empirical_fisher(net, data, F.cross_entropy))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_its_own_curvature(loss):
    net, data, problem = made("tanh", loss, UNEQUAL)
    close(dense.of(problem.curvature("hessian")), dense.hessian(net, data, getattr(F, loss)))
    close(dense.of(problem.curvature("ggn")), dense.gauss_newton(net, data, loss))
    close(dense.of(problem.curvature("empirical_fisher")), dense.empirical_fisher(net, data, getattr(F, loss)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["tanh", "convolution", "batch norm", "attention module"])
def test_every_method_gives_the_same_hessian(model, method):
    net, data, problem = made(model, cut=UNEQUAL)
    curvature = problem.curvature("hessian", method=method)
    assert method in ("auto", curvature.how.method)
    close(dense.of(curvature), dense.hessian(net, data, F.cross_entropy))


@pytest.mark.parametrize("method", ["auto", "linearized", "forward over reverse"])
@pytest.mark.parametrize("matrix", ["ggn", "fisher", "empirical_fisher"])
def test_every_method_gives_the_same_gauss_newton_and_fisher_matrices(matrix, method):
    _, _, problem = made("convolution", cut=UNEQUAL)
    _, _, whole = made("convolution")
    curvature = problem.curvature(matrix, method=method)
    v = torch.randn(problem.num_weights, dtype=D, generator=torch.Generator().manual_seed(0))
    close(curvature.product(v), whole.curvature(matrix).product(v))


def test_differences_of_gradients_are_near_and_are_told():
    net, data, problem = made("tanh", cut=UNEQUAL)
    curvature = problem.curvature("hessian", method="differences")
    close(dense.of(curvature), dense.hessian(net, data, F.cross_entropy), rtol=1e-7)
    assert "differences" in curvature.how.words


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_symmetric(method, dtype):
    net, data = dense.case("convolution")
    problem = tw.ModuleProblem(net.to(dtype), (data[0].to(dtype), data[1]), loss=F.cross_entropy)
    curvature = problem.curvature(method=method)
    u, v = torch.randn(2, problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D).to(dtype)
    Au, Av = curvature.product(u).double(), curvature.product(v).double()
    assert abs(float(u.double() @ Av - Au @ v.double())) < 100 * torch.finfo(dtype).eps * float(u.norm() * Av.norm())


@pytest.mark.parametrize("method", METHODS)
def test_a_block_is_its_vectors_one_at_a_time(method):
    _, _, problem = made("convolution", cut=UNEQUAL)
    curvature = problem.curvature(method=method)
    rows = torch.randn(5, problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    together = curvature.product(rows)
    close(together, torch.stack([curvature.product(row) for row in rows]))
    assert curvature.num_products == 10
    assert together.dtype == rows.dtype


@pytest.mark.parametrize("method", METHODS)
def test_a_product_is_the_same_each_time_and_no_later_one_overwrites_it(method):
    """Kept buffers must not leak into results, nor arguments be written to."""
    _, _, problem = made("convolution", cut=UNEQUAL)
    curvature = problem.curvature(method=method)
    u, v = torch.randn(2, problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    before = u.clone()
    first = curvature.product(u)
    kept = first.clone()
    curvature.product(v)
    assert torch.equal(first, kept)
    assert torch.equal(curvature.product(u), kept)
    assert torch.equal(u, before)
    close(curvature.product(u + 2 * v), kept + 2 * curvature.product(v))
    assert not curvature.product(torch.zeros_like(u)).any()


@pytest.mark.parametrize("cut", [None, UNEQUAL, (17,), (1,) * 17])
@pytest.mark.parametrize("matrix", ["hessian", "ggn", "empirical_fisher"])
def test_the_cut_into_batches_changes_nothing(matrix, cut):
    net, data, problem = made("tanh", cut=cut)
    whole = tw.ModuleProblem(net, data, loss=F.cross_entropy).curvature(matrix)
    v = torch.randn(problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    close(problem.curvature(matrix).product(v), whole.product(v))
    close(problem.curvature(matrix, batch_size=4).product(v), whole.product(v))


@pytest.mark.parametrize("memory", [0, 20_000, 2**30])
@pytest.mark.parametrize("method", ["linearized", "kept graph"])
def test_batches_that_are_not_kept_are_computed_anew(method, memory):
    net, data, problem = made("convolution", cut=UNEQUAL)
    curvature = problem.curvature(method=method, memory=memory, batch_size=4)
    assert 1 <= curvature.how.kept_batches <= curvature.how.num_batches
    v = torch.randn(problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    close(curvature.product(v), dense.hessian(net, data, F.cross_entropy) @ v)


@pytest.mark.parametrize(
    ("parameters", "blocks"),
    [("0", [0, 1]), ("3.weight", [2]), ("*.bias", [1, 3]), (["0.bias", "3"], [1, 2, 3]), (["3", "0"], [0, 1, 2, 3])],
)
@pytest.mark.parametrize("matrix", ["hessian", "ggn", "empirical_fisher"])
def test_a_block_of_parameters_is_the_sub_block_of_the_dense_matrix(matrix, parameters, blocks):
    _, _, problem = made("convolution")
    ends = list(itertools.accumulate((b.size for b in problem.layout.blocks), initial=0))
    places = torch.cat([torch.arange(ends[b], ends[b + 1]) for b in blocks])
    part = problem.curvature(matrix, parameters=parameters)
    assert part.num_weights == len(places)
    close(dense.of(part), dense.of(problem.curvature(matrix))[places][:, places])
    v = torch.arange(1.0, len(places) + 1, dtype=D)
    full = torch.zeros(problem.num_weights, dtype=D)
    full[places] = v
    assert torch.equal(part.embed(v), full)


def test_it_is_taken_at_other_weights_and_moves():
    net, data, problem = made("tanh")
    theta = naive.near(problem)[1]
    there = dense.hessian(naive.standing(net, theta), data, F.cross_entropy)
    for method in METHODS:
        close(dense.of(problem.curvature(theta=theta, method=method)), there)
        moved = problem.curvature(method=method).moved(theta)
        close(dense.of(moved), there)
        assert torch.equal(moved.theta, theta)
    close(dense.of(problem.curvature()), dense.hessian(net, data, F.cross_entropy))


def test_a_subset_of_examples_is_the_mean_over_them():
    net, data, problem = made("tanh")
    v = torch.randn(problem.num_weights, generator=torch.Generator().manual_seed(0), dtype=D)
    products = [problem.curvature(num_examples=1, seed=seed).product(v) for seed in range(40)]
    each = [dense.hessian(net, (data[0][i : i + 1], data[1][i : i + 1]), F.cross_entropy) @ v for i in range(17)]
    for product in products:
        assert min(float((product - one).norm()) for one in each) < 1e-9 * float(product.norm() + 1)
    assert len({round(float(p.norm()), 12) for p in products}) > 8
    again = problem.curvature(num_examples=5, seed=3, method="kept graph")
    assert torch.equal(again.product(v), problem.curvature(num_examples=5, seed=3, method="kept graph").product(v))


def test_a_step_that_returns_a_loss_for_each_token_is_averaged_over_tokens():
    """Two examples of two and three tokens: the mean is over five losses."""
    weight = nn.Linear(1, 1, bias=False).double()
    batches = [{"x": torch.tensor([[1.0], [2.0]], dtype=D)}, {"x": torch.tensor([[3.0], [0.5], [1.0]], dtype=D)}]
    problem = tw.ModuleProblem(weight, batches, step=lambda m, b: m(b["x"])[:, 0] ** 2)
    expected = 2 * (1 + 4 + 9 + 0.25 + 1) / 5
    for method in METHODS:
        found = problem.curvature(method=method).product(torch.ones(1, dtype=D))
        assert float(found) == pytest.approx(expected, rel=1e-12)


def test_a_criterion_that_returns_the_mean_has_the_same_hessian_and_gauss_newton_matrix():
    net, data = dense.case("tanh")
    problem = tw.ModuleProblem(net, naive.cut(data, UNEQUAL), loss=naive.scalar_cross_entropy)
    close(dense.of(problem.curvature()), dense.hessian(net, data, F.cross_entropy))
    close(dense.of(problem.curvature("ggn")), dense.gauss_newton(net, data, "cross_entropy"))


@pytest.mark.parametrize("method", METHODS)
def test_the_saddle_of_a_two_layer_linear_network_has_eigenvalues_of_both_signs_and_many_zeros(method):
    """L = mean (y - w2 w1 x)^2 at w = 0 is bent only where one weight of each layer meet: eigenvalues ± 2 |E yx|."""
    net = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    for p in net.parameters():
        nn.init.zeros_(p)
    x, y = naive.regression(11, 3)
    matrix = dense.of(tw.ModuleProblem(net, (x, y), loss=F.mse_loss).curvature(method=method))
    top = 2 * float((y * x).mean(0).norm())
    expected = torch.tensor([-top, 0, 0, top], dtype=D)
    torch.testing.assert_close(torch.linalg.eigvalsh(matrix), expected, rtol=1e-9, atol=1e-12)
