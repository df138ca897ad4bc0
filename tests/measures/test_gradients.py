"""Statistics of gradients against plain loops, the two-batch estimators of the paper, and known distributions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.problem.naive import D, cut, examples, gradient, mlp
from thalweg.measures.noise import noise_scale

FEW = settings(max_examples=25, deadline=None)


def each(model, x, y):
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    slope = lambda k: gradient(model, theta, lambda net: F.cross_entropy(net(x[k : k + 1]), y[k : k + 1]))  # noqa: E731
    return torch.stack([slope(k) for k in range(len(y))]).numpy()


def test_norms_and_cosines_are_those_of_a_loop():
    model, (x, y) = mlp(), examples()
    problem = tw.ModuleProblem(model, cut((x, y), [5, 18]), loss=F.cross_entropy)
    found, g = tw.gradient_statistics(problem, num_cosines=6), each(model, x, y)
    np.testing.assert_allclose(found.example_norm, np.linalg.norm(g, axis=1), rtol=1e-9)
    parts = np.split(g.mean(0), np.cumsum([20, 5, 15])[:3])
    assert found.layer.values.tolist() == ["0.weight", "0.bias", "2.weight", "2.bias"]
    np.testing.assert_allclose(found.norm, [np.linalg.norm(p) for p in parts], rtol=1e-9)
    np.testing.assert_allclose(found.gradient_norm, np.sqrt((found.norm**2).sum()), rtol=1e-12)
    some = g[found.one.values] / np.linalg.norm(g[found.one.values], axis=1, keepdims=True)
    np.testing.assert_allclose(found.cosine, some @ some.T, atol=1e-12)
    assert found.one.values.tolist() == [0, 4, 9, 13, 18, 22]
    np.testing.assert_array_equal(found.target, y)


@FEW
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 30), dim=st.integers(1, 8))
def test_the_estimates_are_those_of_two_batch_sizes_and_the_jackknife_leaves_one_out(seed, n, dim):
    """McCandlish et al., appendix A.1, with batches of 1 and n; the errors by leaving out each example in a loop."""

    def estimates(g):
        n = len(g)
        small, big = (g**2).sum(1).mean(), (g.mean(0) ** 2).sum()
        square = (n * big - small) / (n - 1)
        trace = (small - big) / (1 - 1 / n)
        return np.array([trace / square if square > 0 else np.inf, trace, square])

    g = np.random.default_rng(seed).normal(size=(n, dim)) + np.random.default_rng(seed + 1).normal(size=dim) * 3
    found = noise_scale((g**2).sum(1), g @ g.mean(0))
    np.testing.assert_allclose(found[::2], estimates(g), rtol=1e-9)
    without = np.array([estimates(np.delete(g, k, 0)) for k in range(n)])
    with np.errstate(invalid="ignore"):
        errors = np.sqrt((n - 1) / n * ((without - without.mean(0)) ** 2).sum(0))
    np.testing.assert_allclose(found[1::2], np.where(np.isfinite(errors), errors, np.nan), rtol=1e-7, atol=1e-9)


def test_the_trace_is_that_of_the_sample_covariance():
    g = np.random.default_rng(0).normal(size=(12, 4))
    found = noise_scale((g**2).sum(1), g @ g.mean(0))
    np.testing.assert_allclose(found.trace_covariance, np.trace(np.cov(g.T)), rtol=1e-12)


def test_estimates_are_unbiased_and_intervals_cover_the_truth():
    """Gaussian gradients of known mean and covariance, 2,000 samples of 40 examples each."""
    rng = np.random.default_rng(1)
    mean, spread = np.array([1.0, -0.5, 0.0, 0.2]), np.array([0.5, 1.0, 2.0, 0.1])
    truth = {"trace_covariance": (spread**2).sum(), "gradient_square": (mean**2).sum()}
    truth["noise_scale"] = truth["trace_covariance"] / truth["gradient_square"]
    samples = mean + spread * rng.normal(size=(2000, 40, 4))
    found = [noise_scale((g**2).sum(1), g @ g.mean(0)) for g in samples]
    for name in ("trace_covariance", "gradient_square"):
        values = np.array([getattr(f, name) for f in found])
        assert abs(values.mean() - truth[name]) < 4 * values.std() / np.sqrt(len(values))
        errors = np.array([getattr(f, f"{name}_standard_error") for f in found])
        ratio = np.sqrt((errors**2).mean()) / values.std()  # the jackknife errs on the safe side (Efron & Stein 1981)
        assert 0.95 < ratio < 1.2
    covered = [abs(f.noise_scale - truth["noise_scale"]) < 2.02 * f.noise_scale_standard_error for f in found]
    assert np.mean(covered) > 0.88


def test_without_a_mean_gradient_the_noise_scale_is_infinite():
    line = nn.Linear(1, 1, bias=False).double()
    x = torch.ones(4, 1, dtype=D)
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=D)
    problem = tw.ModuleProblem(line, (x, y), loss=F.mse_loss)
    found = tw.gradient_statistics(problem, torch.zeros(1))
    assert found.noise_scale == np.inf
    assert np.isnan(found.noise_scale_standard_error)
    assert found.gradient_square < 0
    np.testing.assert_allclose(found.trace_covariance, 16 / 3)
    np.testing.assert_array_equal(found.cosine[0], [1, -1, 1, -1])


def test_an_example_without_gradient_has_no_direction():
    line = nn.Linear(1, 1, bias=False).double()
    x = torch.tensor([[0.0], [1.0], [2.0]], dtype=D)
    found = tw.gradient_statistics(tw.ModuleProblem(line, (x, x + 5), loss=F.mse_loss))
    assert found.example_norm[0] == 0
    assert np.isnan(found.cosine[0]).all()
    np.testing.assert_allclose(found.cosine[1:, 1:], 1)


def test_a_subset_estimates_what_all_examples_have():
    model, (x, y) = mlp(), examples(400)
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    every, some = tw.gradient_statistics(problem), tw.gradient_statistics(problem, num_examples=150, seed=3)
    assert (some.sizes["example"], some.num_examples) == (150, 150)
    np.testing.assert_array_equal(some.norm, every.norm)
    np.testing.assert_array_equal(some.example_norm, every.example_norm.sel(example=some.example))
    for name in ("trace_covariance", "gradient_square"):
        assert abs(some.attrs[name] - every.attrs[name]) < 4 * some.attrs[f"{name}_standard_error"]


def test_what_is_found_goes_through_a_store(tmp_path):
    line = nn.Linear(1, 1, bias=False)
    problem = tw.ModuleProblem(line, (torch.ones(4, 1), torch.tensor([[1.0], [-1.0]] * 2)), loss=F.mse_loss)
    found = tw.gradient_statistics(problem, torch.zeros(1))
    tw.save(found, tmp_path / "study.zarr", "gradients")
    again = tw.load(tmp_path / "study.zarr", "gradients")
    assert again.attrs["noise_scale"] == np.inf
    np.testing.assert_array_equal(again.cosine, found.cosine)


def test_what_has_no_gradients_of_examples_is_refused():
    problem = tw.ModuleProblem(mlp(), examples(), loss=F.cross_entropy)
    with pytest.raises(TypeError, match="FunctionProblem has no examples"):
        tw.gradient_statistics(tw.FunctionProblem(lambda x: x**2))
    with pytest.raises(ValueError, match="2 of the 43 weights are not finite: the training has diverged"):
        tw.gradient_statistics(problem, torch.cat([torch.full((2,), torch.nan), torch.zeros(41)]))
    with pytest.raises(ValueError, match="shape \\(3,\\)"):
        tw.gradient_statistics(problem, torch.zeros(3))
    with pytest.raises(ValueError, match="2 examples; a noise scale"):
        tw.gradient_statistics(problem, num_examples=2)
    with pytest.raises(ValueError, match="num_cosines=-1"):
        tw.gradient_statistics(problem, num_cosines=-1)
    assert "cosine" not in tw.gradient_statistics(problem, num_cosines=0)


def test_gradients_that_are_not_finite_are_told():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    problem = tw.ModuleProblem(model, (torch.randn(30, 3), torch.randn(30, 2)), loss=nn.functional.mse_loss)
    for size in (3e18, 1e22):
        with pytest.raises(tw.problem.Diverged, match=r"not finite.*the network has diverged.*earlier step"):
            tw.gradient_statistics(problem, problem.theta * size)
