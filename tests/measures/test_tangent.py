"""Singular values and principal features of Jacobians: against numpy, and against what is known on paper."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.measures.tangents import D, classifier, jacobian, sines_problem
from thalweg.problem import Diverged


def dense(model, problem):
    return jacobian(model, next(problem._splits["train"].iterate(10**6))[0]).double().numpy()


@pytest.mark.parametrize("method", ["auto", "exact", "randomized", "lanczos"])
@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_singular_values_are_those_of_numpy(method, dtype):
    problem, model = sines_problem([20, 20], dtype=dtype, num=400)
    J = dense(model, problem)
    u, s, v = np.linalg.svd(J, full_matrices=False)
    found = tw.linearize(problem, k=6, method=method, tol=1e-9 if method == "lanczos" else None, vectors=True)
    np.testing.assert_allclose(found.singular_value, s[:6], rtol=2e-6)
    signs = np.sign(u[np.abs(u).argmax(0), np.arange(len(s))])
    np.testing.assert_allclose(found.principal_feature, (u * s * signs)[:, :6], atol=1e-4 * s[0])
    np.testing.assert_allclose(found.right_vector, (v * signs[:, None])[:6], atol=2e-3)
    assert method in ("auto", found.attrs["method"])
    np.testing.assert_allclose(
        found.attrs["tail"] if method != "lanczos" else np.sqrt((s[6:] ** 2).sum()),
        np.sqrt((s[6:] ** 2).sum()),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        found.prediction,
        problem.predict(problem.theta, next(problem._splits["train"].iterate(10**6))[0]).detach()[:, 0],
        rtol=1e-5,
    )


def test_features_are_the_jacobian_times_right_vectors():
    problem, model, x = classifier()
    found = tw.linearize(problem, vectors=True)
    J = jacobian(model, x).numpy()
    np.testing.assert_allclose(found.principal_feature, J @ found.right_vector.values.T, atol=1e-10)
    np.testing.assert_allclose(found.principal_feature.values @ found.right_vector.values, J, atol=1e-9)
    assert found.example.values.tolist() == [i for i in range(12) for _ in range(3)]
    assert found.output.values.tolist() == [0, 1, 2] * 12
    assert found.label.values.tolist() == [i % 3 for i in range(12) for _ in range(3)]
    np.testing.assert_array_equal(found.target, np.eye(3)[np.arange(12) % 3].reshape(-1))


@given(seed=st.integers(0, 2**31), depth=st.integers(1, 4), scale=st.floats(0.05, 3.0))
def test_a_relu_network_of_one_number_without_biases_has_rank_four(seed, depth, scale):
    """It is a |x| on either side of zero: two functions by the slopes, and two steps by the first biases, which are
    the constant and the sign; deeper biases bring no other.
    """
    problem, _ = sines_problem([20] * depth, num=64)
    layers = [b for b in problem.layout.blocks if b.name.endswith("weight")]
    theta = torch.zeros(problem.num_weights)
    draw = torch.Generator().manual_seed(seed)
    for block in layers:
        theta[block.slice] = scale * (2 * torch.rand(block.size, generator=draw) - 1)
    found = tw.linearize(problem, theta=theta)
    assert found.attrs["rank"] <= 4
    if depth == 1:
        assert found.attrs["rank"] == 4


def test_rank_four_at_any_width_and_scale():
    for seed, widths in ((100, [20]), (200, [20] * 4), (300, [40, 40])):
        problem, _ = sines_problem(widths, seed, biases=False, num=1500)
        found = tw.linearize(problem)
        assert (found.attrs["rank"], found.attrs["rank_known"]) == (4, 1)


@pytest.mark.parametrize("method", ["exact", "randomized", "lanczos"])
def test_a_constant_output_has_rank_one_and_the_root_of_n(method):
    """All units dead: only the last bias moves the output, by the same for every input."""
    problem, _ = sines_problem([20], num=300)
    theta = torch.zeros(problem.num_weights)
    found = tw.linearize(problem, theta=theta, method=method)
    assert (found.attrs["rank"], found.attrs["rank_known"]) == (1, 1)
    np.testing.assert_allclose(found.singular_value, [np.sqrt(300)], rtol=1e-5)
    np.testing.assert_allclose(found.principal_feature, 1.0, rtol=1e-5)


def test_what_is_not_stored_is_the_same():
    problem, model, x = classifier()
    J = jacobian(model, x).numpy()
    s = np.linalg.svd(J, compute_uv=False)
    found = tw.linearize(problem, k=5, memory=1000, tol=1e-8)
    assert found.attrs["method"] == "lanczos"
    assert found.attrs["rows"] == "products only"
    np.testing.assert_allclose(found.singular_value, s[:5], rtol=1e-8)
    with pytest.warns(UserWarning, match="found 5 singular values of the k=5 asked for.*did not certify.*exact"):
        found = tw.linearize(problem, k=5, memory=1000, method="randomized")
    np.testing.assert_allclose(found.singular_value, s[:5], rtol=5e-3)
    np.testing.assert_allclose(found.attrs["frobenius"], np.linalg.norm(J))


def test_repeated_values_are_all_found_by_products():
    """Each singular value of the Jacobian of a linear layer of ten outputs comes ten times."""
    torch.manual_seed(0)
    data = torch.randn(100, 30), torch.randint(10, (100,))
    problem = tw.ModuleProblem(nn.Linear(30, 10), data, loss=F.cross_entropy)
    expected = np.linalg.svd(problem.jacobian().numpy())[1]
    for k in (5, 12):
        found = tw.linearize(problem, k=k, method="lanczos")
        np.testing.assert_allclose(found.singular_value, expected[:k], rtol=1e-5)
        assert found.attrs["stop"] == "converged"


def test_values_that_are_not_certified_are_told():
    torch.manual_seed(0)
    problem = tw.ModuleProblem(nn.Linear(60, 10), (torch.randn(80, 60), torch.randn(80, 10)), loss=F.mse_loss)
    with pytest.warns(UserWarning, match="found 30 singular values of the k=30 asked for.*did not certify.*lanczos"):
        found = tw.linearize(problem, k=30, method="randomized")
    assert (found.attrs["stop"], found.attrs["rank_known"]) == ("budget", 0)


@pytest.mark.parametrize("outputs", ["sum", 1, "loss"])
def test_of_some_outputs(outputs):
    problem, model, x = classifier()
    J = jacobian(model, x).reshape(12, 3, -1).numpy()
    if outputs == "loss":
        J = torch.autograd.functional.jacobian(problem.losses, problem.theta).numpy()
    else:
        J = J.sum(1) if outputs == "sum" else J[:, outputs]
    found = tw.linearize(problem, outputs=outputs)
    np.testing.assert_allclose(found.singular_value, np.linalg.svd(J, compute_uv=False), rtol=1e-8)
    assert set(found.output.values) == {outputs if outputs == 1 else -1}


def test_inputs_out_of_the_training_range_are_told():
    problem, _ = sines_problem()
    found = tw.linearize(problem, torch.linspace(-3, 3, 40)[:, None])
    assert found.attrs["inputs"] == "given"
    assert -1 <= found.attrs["train_low"] < -0.9
    assert found.x.values[[0, -1]].tolist() == [-3.0, 3.0]
    assert "target" not in found
    test = tw.linearize(problem, "test")
    assert test.attrs["inputs"] == "test"
    assert "target" in test


def test_the_result_survives_a_study(tmp_path):
    problem, _ = sines_problem()
    found = tw.linearize(problem, k=5)
    tw.save(found, tmp_path / "s.zarr")
    back = tw.load(tmp_path / "s.zarr")
    assert back.attrs["rank"] == found.attrs["rank"]
    np.testing.assert_array_equal(back.principal_feature, found.principal_feature)


REFUSED = {
    "a landscape": (lambda: tw.linearize(tw.FunctionProblem(lambda x: x**2)), TypeError, "no outputs to linearise"),
    "a model": (lambda: tw.linearize(nn.Linear(1, 1)), TypeError, "expected a network with its loss"),
    "a word": (lambda: tw.linearize(sines_problem()[0], method="svd"), ValueError, "expected one of 'auto'"),
    "no values": (lambda: tw.linearize(sines_problem()[0], k=0), ValueError, "whole number from 1"),
    "more than rows": (lambda: tw.linearize(sines_problem()[0], [[0.0], [1.0]], k=3), ValueError, "has 2. Ask for at"),
    "memory": (
        lambda: tw.linearize(sines_problem()[0], method="exact", memory=10),
        ValueError,
        "raise `memory=`",
    ),
    "shape": (lambda: tw.linearize(sines_problem()[0], [0.0, 1.0]), ValueError, "a batch of training inputs has"),
    "theta": (lambda: tw.linearize(sines_problem()[0], theta=[0.0]), ValueError, "has shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("method", ["auto", "randomized", "lanczos"])
def test_more_values_than_the_rank_are_refused(method):
    problem, _ = sines_problem(biases=False, num=400)
    with pytest.raises(ValueError, match="numerical rank 4"):
        tw.linearize(problem, k=20, method=method)


@pytest.mark.parametrize("method", ["auto", "lanczos"])
def test_a_diverged_network_is_told_as_such(method):
    problem, _ = sines_problem()
    lost = problem.theta
    lost[3] = torch.nan
    with pytest.raises(Diverged, match="The network has diverged: 1 of its 61 weights"):
        tw.linearize(problem, theta=lost, method=method)
    for size in (1e30, 3e38):
        with pytest.raises(Diverged, match="The network has diverged"):
            tw.linearize(problem, theta=torch.full_like(lost, size), method=method)


class Root(nn.Module):
    """Finite outputs whose derivative is not finite."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return torch.sqrt(self.w * x)


@pytest.mark.parametrize("method", ["auto", "lanczos"])
def test_infinite_derivatives_are_told_as_such(method):
    x = torch.rand(9, 1) + 1
    problem = tw.ModuleProblem(Root(), (x, x), loss=F.mse_loss)
    with pytest.raises(Diverged, match="The network has diverged"):
        tw.linearize(problem, method=method)


def test_a_list_of_outputs_is_refused_in_words():
    problem, _, _ = classifier()
    for call in (problem.jacobian, lambda **o: tw.linearize(problem, **o), lambda **o: tw.empirical_ntk(problem, **o)):
        with pytest.raises(ValueError, match=r"outputs=\[0, 1\]; expected 'all'.*Of several, take all"):
            call(outputs=[0, 1])
