"""Each silent mistake of the field's curvature tools (findings), as a test that it is not made here."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.problem import dense, naive
from tests.problem.naive import D
from tests.problem.test_curvature import METHODS, UNEQUAL, close, made


def vector(problem, seed=0):
    return torch.randn(problem.num_weights, generator=torch.Generator().manual_seed(seed), dtype=D)


@pytest.mark.parametrize("matrix", ["hessian", "ggn", "fisher", "empirical_fisher"])
def test_trap_sums_over_batches_instead_of_means(matrix):
    """Eigenvalues times the number of batches: 3.235 told as 51.76."""
    net, data = dense.case("tanh", n=16)
    one = tw.ModuleProblem(net, data, loss=F.cross_entropy)
    many = tw.ModuleProblem(net, naive.cut(data, (1,) * 16), loss=F.cross_entropy)
    close(many.curvature(matrix).product(vector(one)), one.curvature(matrix).product(vector(one)))


@pytest.mark.parametrize("loader", [False, True])
def test_trap_unequal_batches_averaged_unweighted(loader):
    net, data = dense.case("tanh", n=17)
    given = naive.cut(data, (16, 1))
    if loader:
        given = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=16)
    problem = tw.ModuleProblem(net, given, loss=F.cross_entropy)
    expected = dense.hessian(net, data, F.cross_entropy) @ vector(problem)
    close(problem.curvature().product(vector(problem)), expected)


def test_trap_only_the_first_batch_of_a_shuffling_loader_is_used():
    net, data = dense.case("tanh", n=17)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=5, shuffle=True)
    problem = tw.ModuleProblem(net, loader, loss=F.cross_entropy)
    curvature = problem.curvature(method="forward over reverse")
    close(curvature.product(vector(problem)), dense.hessian(net, data, F.cross_entropy) @ vector(problem))
    assert torch.equal(curvature.product(vector(problem)), curvature.product(vector(problem)))


@pytest.mark.parametrize("method", METHODS)
def test_trap_kinks_finite_differences_on_relu_networks_in_float32(method):
    """Differences of gradients across kinks are wrong by 70-80%; the other ways are not, and are taken."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 3))
    x, y = naive.examples(30)
    exact = tw.ModuleProblem(copy.deepcopy(net).double(), (x, y), loss=F.cross_entropy)
    narrow = tw.ModuleProblem(net, (x.float(), y), loss=F.cross_entropy)
    v = vector(exact)
    expected = exact.hvp(exact.theta, v)
    curvature = narrow.curvature(method=method)
    assert curvature.how.method != "differences"
    assert float((curvature.product(v.float()).double() - expected).norm()) < 1e-4 * float(expected.norm())


def test_trap_side_effects_on_the_users_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    data = naive.examples(17, (1, 4, 4))
    data = data[0].float(), data[1]
    model.train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    settings = torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), torch.get_float32_matmul_precision()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    theta = problem.theta
    for matrix in ("hessian", "ggn", "fisher", "fisher_sampled", "empirical_fisher"):
        problem.curvature(matrix).product(torch.ones(problem.num_weights))
    for method in METHODS:
        problem.curvature(method=method).product(torch.ones(problem.num_weights))
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(problem.theta, theta)
    after = torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), torch.get_float32_matmul_precision()
    assert after == settings


@pytest.mark.parametrize("method", METHODS)
def test_trap_the_weights_it_is_taken_at_are_a_live_view(method):
    """Whoever goes on with the vector, or writes to what is told, does not move the matrix or the problem."""
    _, _, problem = made("tanh")
    own, theta = problem.theta, problem.theta
    curvature = problem.curvature(theta=theta, method=method)
    before = curvature.product(vector(problem))
    theta.mul_(3.0)
    curvature.theta.mul_(2.0)
    problem.curvature(method=method).theta.zero_()
    assert torch.equal(curvature.product(vector(problem)), before)
    assert torch.equal(problem.theta, own)


def test_trap_the_weights_of_a_function_are_a_live_view():
    problem = tw.FunctionProblem(lambda x, y: x**4 + y**4)
    theta = torch.ones(2, dtype=D)
    curvature = problem.curvature(theta=theta)
    theta.mul_(3.0)
    assert curvature.product(torch.ones(2, dtype=D)).tolist() == [12.0, 12.0]


def test_trap_layers_that_renormalise_their_weights_in_place():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(7, 4, max_norm=0.5), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.table(x).mean(1))

    generator = torch.Generator().manual_seed(0)
    data = torch.randint(0, 7, (9, 3), generator=generator), torch.randint(0, 3, (9,), generator=generator)
    problem = tw.ModuleProblem(Words().double(), data, loss=F.cross_entropy)
    theta = problem.theta
    problem.curvature().product(vector(problem))
    assert torch.equal(problem.theta, theta)


@pytest.mark.parametrize("method", METHODS)
def test_trap_autocast_of_the_caller_narrows_products(method):
    net, data = dense.case("convolution")
    problem = tw.ModuleProblem(net.float(), (data[0].float(), data[1]), loss=F.cross_entropy)
    v = vector(problem).float()
    curvature = problem.curvature(method=method)
    before = curvature.product(v)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(curvature.product(v), before)
        close(problem.curvature(method=method).product(v), before, rtol=1e-5)
        close(curvature.moved(problem.theta).product(v), before, rtol=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", [*METHODS, "differences"])
def test_the_mode_of_the_caller_changes_nothing(method, mode):
    _, _, problem = made("tanh")
    expected = problem.curvature(method=method).product(vector(problem))
    with mode():
        theta, v = problem.theta * 1.0, vector(problem) * 1.0
        curvature = problem.curvature(theta=theta, method=method)
        close(curvature.product(v), expected)
        close(curvature.moved(theta).product(v), expected)
    close(curvature.product(v), expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("matrix", ["hessian", "ggn", "fisher_sampled", "empirical_fisher"])
def test_fused_attention_without_derivatives_is_not_taken(matrix, training):
    """In evaluation mode torch runs a whole transformer layer as one operation that has no derivative."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 3)).double().train(training)
    data = naive.examples(9, (3, 4))
    problem = tw.ModuleProblem(net, data, loss=F.cross_entropy)
    v = vector(problem)
    product = problem.curvature(matrix).product(v)
    if matrix == "hessian":
        close(product, problem.hvp(problem.theta, v))
    elif matrix == "ggn":
        close(product, dense.gauss_newton(net.train(), data, "cross_entropy") @ v)
    assert bool(product.any())
    assert torch.backends.mha.get_fastpath_enabled()


def test_dropout_is_refused_and_not_averaged_over():
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double().train()
    with pytest.raises(ValueError, match="different"):
        tw.ModuleProblem(net, naive.examples(), loss=F.cross_entropy)


def test_weight_normalisation_is_refused_for_the_hessian():
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))).double()
    problem = tw.ModuleProblem(net, naive.examples(), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="weight normalisation"):
        problem.curvature()


def test_a_piecewise_linear_loss_is_refused_and_not_told_as_flat():
    data = naive.regression()
    problem = tw.ModuleProblem(nn.Linear(4, 1).double(), data, loss=lambda o, t: (1 - o * t.sign()).clamp(min=0))
    with pytest.raises(ValueError, match="piecewise linear"):
        problem.curvature()


class Once(torch.autograd.Function):
    """tanh with a first derivative and no second."""

    @staticmethod
    def forward(x):
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y**2)


class OnceLayer(nn.Module):
    def forward(self, x):
        return Once.apply(x)


def test_an_operation_without_second_derivative_falls_back_on_differences_and_says_so():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), OnceLayer(), nn.Linear(5, 3)).double()
    data = naive.examples()
    problem = tw.ModuleProblem(net, data, loss=F.cross_entropy)
    curvature = problem.curvature()
    assert curvature.how.method == "differences"
    assert "not kept graph" in curvature.how.words
    smooth = nn.Sequential(net[0], nn.Tanh(), net[2])
    expected = dense.hessian(smooth, data, F.cross_entropy) @ vector(problem)
    close(curvature.product(vector(problem)), expected, rtol=1e-6)
    pairs = tw.top_eigenpairs(problem, 2)
    assert "differences" in pairs.attrs["product"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"matrix": "hesian"}, "matrix='hesian'"),
        ({"method": "magic"}, "method='magic'"),
        ({"matrix": "ggn", "method": "kept graph"}, "method"),
        ({"parameters": "conv9"}, "No parameter is called 'conv9'"),
        ({"parameters": []}, "No parameters were chosen"),
        ({"theta": torch.zeros(3)}, "weight vector has shape"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    _, _, problem = made("tanh")
    with pytest.raises(ValueError, match=words):
        problem.curvature(**options)


def test_weights_and_vectors_that_do_not_fit_are_refused():
    _, _, problem = made("tanh", cut=UNEQUAL)
    theta = problem.theta
    theta[2] = float("nan")
    with pytest.raises(ValueError, match="1 of the 43 weights are not finite"):
        problem.curvature(theta=theta)
    curvature = problem.curvature()
    for shape in [(42,), (43, 1), (1, 1, 43), ()]:
        with pytest.raises(ValueError, match="vector has shape"):
            curvature.product(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"not finite|non-finite"):
        curvature.moved(theta)
    recalibrated = tw.ModuleProblem(
        dense.case("batch norm")[0], dense.case("batch norm")[1], loss=F.cross_entropy, batch_norm="recalibrate"
    )
    with pytest.raises(ValueError, match="recalibrate"):
        recalibrated.curvature()
    stepped = tw.ModuleProblem(
        nn.Linear(1, 1).double(), [{"x": torch.ones(2, 1, dtype=D)}], step=lambda m, b: m(b["x"])[:, 0] ** 2
    )
    with pytest.raises(TypeError, match="no outputs"):
        stepped.curvature("ggn")
