"""The tangent along training: each step is what `linearize` and numpy find there, and features keep their names."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from tests.measures.tangents import D, classifier, jacobian, sines_problem
from thalweg.measures.feature_path import FeaturePath


def run(problem, steps=20, lr=0.05, every=5):
    return tw.descend(problem, problem.theta[None], lambda w: torch.optim.SGD(w, lr=lr), steps=steps, every=every)


def along(thetas, steps=None):
    data = {"theta": (("step", "weight"), np.asarray(thetas))}
    data |= {name: ("step", np.zeros(len(thetas))) for name in ("loss", "learning_rate")}
    return xr.Dataset(data, {"step": np.arange(len(thetas)) if steps is None else steps}, {"kind": "trajectory"})


def moved(model, theta):
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(torch.as_tensor(theta), model.parameters())
    return model


def test_every_step_is_the_decomposition_of_a_loop_of_backward_passes():
    problem, model = sines_problem([6], dtype=D, num=30)
    path = run(problem)
    found = tw.track_tangent(problem, path, k=5, features=True)
    x, y = next(problem._splits["train"].iterate())
    for t, theta in enumerate(path.theta.values[0]):
        J = jacobian(moved(model, theta), x).numpy()
        u, s, _ = np.linalg.svd(J, full_matrices=False)
        np.testing.assert_allclose(found.singular_value[t], s[:5])
        assert found["rank"][t] == np.linalg.matrix_rank(J)
        np.testing.assert_allclose(found.effective_rank[t], (s**2).sum() ** 2 / (s**4).sum())
        place = found.place[t].values.astype(int) - 1
        np.testing.assert_allclose(np.abs(found.principal_feature[t]), np.abs(u * s)[:, :30][:, place], atol=1e-10)
        np.testing.assert_allclose(found.prediction[t], model(x)[:, 0].detach())
        np.testing.assert_allclose(found.loss[t], F.mse_loss(model(x), y).detach())
    lazy = tw.laziness(problem, path)
    np.testing.assert_allclose(found.kernel_alignment, lazy.kernel_alignment)
    np.testing.assert_allclose(found.target_alignment, lazy.target_alignment)
    assert {"test_loss", "x", "target"} <= set(found.data_vars)
    assert found.attrs["diverged_at"] == -1


def test_every_other_step_and_always_the_last():
    problem, _ = sines_problem([6], num=30)
    found = tw.track_tangent(problem, run(problem, 20, every=5), every=3, kernel_examples=0)
    assert found.step.values.tolist() == [0, 15, 20]
    assert "kernel_alignment" not in found
    assert found.sizes["value"] == 19  # as many as weights


@given(seed=st.integers(0, 2**20), k=st.integers(1, 5))
def test_features_that_are_shuffled_and_turned_come_back_as_they_were(seed, k):
    draw = np.random.default_rng(seed)
    features = np.linalg.qr(draw.normal(size=(8, k)))[0] * draw.uniform(1, 5, k)
    path = FeaturePath()
    first = path.add(features)
    order, signs = draw.permutation(k), draw.choice([-1, 1], k)
    again = path.add((features * signs)[:, order])
    np.testing.assert_allclose(again.features, first.features)
    np.testing.assert_array_equal(order[again.place - 1], np.arange(k))
    np.testing.assert_allclose(again.agreement, 1.0)


def test_features_move_little_between_steps_that_are_near():
    problem, _ = sines_problem([20], dtype=D, num=60)
    found = tw.track_tangent(problem, run(problem, 10, 0.02, 1), k=4, features=True)
    parts = found.principal_feature.values
    assert np.abs(np.diff(parts, axis=0)).max() < 0.2 * np.abs(parts).max()
    assert (found.agreement[1:] > 0.98).all()


def test_steps_that_diverged_are_rows_of_nan_and_said_to_be():
    problem, _ = sines_problem([8], num=40)
    start = problem.theta.numpy()
    huge = np.full_like(start, 3e38)  # finite weights whose outputs are not
    path = along([start, start * np.inf, huge, start * np.nan, start], [0, 3, 6, 9, 12])
    found = tw.track_tangent(problem, path, k=3, features=True)
    assert found.diverged.values.tolist() == [False, True, True, True, False]
    assert found.attrs["diverged_at"] == 3
    for name in ("singular_value", "rank", "effective_rank", "principal_feature", "prediction", "kernel_alignment"):
        assert np.isnan(found[name][1:4]).all(), name
        np.testing.assert_allclose(found[name][0], found[name][4], rtol=1e-5)
    assert not np.isfinite(found.loss[1:4]).any()
    assert np.isnan(tw.track_tangent(problem, path.isel(step=[1]))["rank"]).all()


def test_several_outputs_and_other_inputs():
    problem, model, _ = classifier()
    path = run(problem, 10, 0.5)
    other = torch.randn(4, 1, 6, 6, dtype=D)
    found = tw.track_tangent(problem, path, inputs=other, k=12)
    J = jacobian(moved(model, path.theta.values[0, -1]), other).numpy()
    np.testing.assert_allclose(found.singular_value[-1], np.linalg.svd(J, compute_uv=False))
    one = tw.track_tangent(problem, path, inputs=other, outputs=1)
    np.testing.assert_allclose(one.singular_value[-1], np.linalg.svd(J[1::3], compute_uv=False))
    assert "target_alignment" not in found
    assert one.output.values.tolist() == [1] * 4


def test_a_jacobian_that_is_not_stored():
    problem, _ = sines_problem([8], dtype=D, num=60)
    path = run(problem, 5)
    stored = tw.track_tangent(problem, path, k=3)
    unstored = tw.track_tangent(problem, path, k=3, method="lanczos")
    np.testing.assert_allclose(unstored.singular_value, stored.singular_value, rtol=1e-4)
    np.testing.assert_allclose(unstored.frobenius, stored.frobenius)
    assert (unstored.effective_rank >= stored.effective_rank * (1 - 1e-6)).all()
    assert not unstored.rank_known.any()


def test_values_beyond_the_rank_are_zero():
    x = torch.linspace(-1, 1, 20, dtype=D)[:, None]
    problem = tw.ModuleProblem(torch.nn.Linear(1, 1).double(), (x, x), loss=F.mse_loss)
    flat = problem.with_data((torch.ones_like(x), x))
    found = tw.track_tangent(flat, along(problem.theta[None]), features=True)
    np.testing.assert_allclose(found.singular_value, [[40**0.5, 0]])
    assert found["rank"][0] == 1
    np.testing.assert_allclose(found.effective_rank, 1)
    assert (found.principal_feature[..., 1] == 0).all()


def test_what_cannot_be_is_refused():
    problem, _ = sines_problem([8], num=40)
    path = run(problem)
    with pytest.raises(ValueError, match="25 weights, the problem 31"):
        tw.track_tangent(sines_problem([10])[0], path)
    with pytest.raises(ValueError, match="k=26"):
        tw.track_tangent(problem, path, k=26)
    with pytest.raises(ValueError, match="every="):
        tw.track_tangent(problem, path, k=5, features=True, memory=1000)
    with pytest.raises(ValueError, match="empty"):
        tw.track_tangent(problem, along(np.empty((0, 25))))
    with pytest.raises(ValueError, match="outputs=4"):
        tw.track_tangent(problem, path, outputs=4)
