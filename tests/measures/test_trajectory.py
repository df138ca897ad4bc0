"""Principal components and projections of recorded weights, against scikit-learn and least squares."""

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from tests.measures.paths import trajectory, walk

FEW = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seed=seeds, num_steps=st.integers(4, 12), num_weights=st.integers(3, 30))
def test_principal_components_are_those_of_scikit_learn(seed, num_steps, num_weights):
    theta = walk(seed, num_steps, num_weights)
    found = tw.principal_components(trajectory(theta), 3)
    oracle = PCA(3).fit(theta)
    np.testing.assert_allclose(found["mean"], oracle.mean_, atol=1e-12)
    np.testing.assert_allclose(found.explained_variance_ratio, oracle.explained_variance_ratio_, atol=1e-10)
    signs = np.sign(np.sum(found.component.values * oracle.components_, axis=1))
    np.testing.assert_allclose(found.component.values, signs[:, None] * oracle.components_, atol=1e-5)
    np.testing.assert_allclose(found.score.values, signs * oracle.transform(theta), atol=1e-5)


@FEW
@given(seed=seeds)
def test_components_around_the_last_step_are_singular_vectors_of_the_offsets_from_it(seed):
    """Li et al. (2018), section 7.2: PCA of [θ₀ - θₙ; ...; θₙ₋₁ - θₙ], so that the end lies in the plane."""
    theta = walk(seed)
    found = tw.principal_components(trajectory(theta), 2, center="last")
    _, singular, rows = np.linalg.svd(theta[:-1] - theta[-1], full_matrices=False)
    np.testing.assert_array_equal(found["mean"], theta[-1])
    np.testing.assert_allclose(found.score.values[-1], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.explained_variance_ratio, (singular**2 / (singular**2).sum())[:2], rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.component.values @ rows[:2].T), np.eye(2), atol=1e-6)


@FEW
@given(seed=seeds, center=st.sampled_from(["mean", "last"]))
def test_components_are_orthonormal_and_point_the_way_of_the_path(seed, center):
    found = tw.principal_components(trajectory(walk(seed)), 3, center=center)
    np.testing.assert_allclose(found.component.values @ found.component.values.T, np.eye(3), atol=1e-8)
    assert (found.score.values[-1] >= found.score.values[0]).all()


@pytest.mark.parametrize("columns", [1, 3, 7])
@pytest.mark.parametrize("center", ["mean", "last"])
def test_components_do_not_depend_on_how_many_columns_are_in_memory(monkeypatch, columns, center):
    from thalweg.measures import stripes

    theta = walk(4)
    whole = tw.principal_components(trajectory(theta), 3, center)
    monkeypatch.setattr(stripes, "READ_BYTES", columns * 8 * len(theta))
    monkeypatch.setattr(stripes, "WORK_BYTES", 2 * 8 * len(theta))
    parts = tw.principal_components(trajectory(theta), 3, center)
    for name in whole.data_vars:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-8, atol=1e-10)


def test_a_trajectory_that_stays_on_disk_has_the_components_of_one_in_memory(tmp_path, monkeypatch):
    from thalweg.measures import stripes
    from thalweg.store import study

    model = nn.Linear(50, 40)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer) as recorder:
        for _ in range(6):
            optimizer.zero_grad()
            model(torch.randn(4, 50)).square().mean().backward()
            optimizer.step()
    whole = recorder.trajectory()
    monkeypatch.setattr(study, "_LAZY_BYTES", 0)
    monkeypatch.setattr(stripes, "READ_BYTES", 300 * 4 * 7)
    lazy = recorder.trajectory()
    assert not lazy.theta.variable._in_memory
    for ask in (tw.principal_components, tw.motion, lambda run: tw.random_walk(run, 2, num_walks=2)):
        a, b = ask(lazy), ask(whole)
        for name in a.data_vars:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-6, atol=1e-7)
    assert not lazy.theta.variable._in_memory
    arrays = zarr.open_group(str(tmp_path / "s.zarr"), path="trajectory", mode="r+")
    arrays["theta"].resize((2000, 2040))
    again = recorder.trajectory()
    assert not again.theta.variable._in_memory, "killed while it made room: still not read whole"
    np.testing.assert_array_equal(again.theta, whole.theta)


def test_all_components_explain_all_the_variance():
    found = tw.principal_components(trajectory(walk(0, num_steps=6)), 5)
    np.testing.assert_allclose(found.explained_variance_ratio.sum(), 1.0, rtol=1e-12)


def test_a_random_walk_in_many_dims_puts_6_over_pi_squared_into_its_first_component():
    """Antognini & Sohl-Dickstein (2018): 61 % without any structure."""
    found = tw.principal_components(trajectory(walk(0, num_steps=150, num_weights=20_000)), 2)
    np.testing.assert_allclose(found.explained_variance_ratio, [6 / np.pi**2, 6 / np.pi**2 / 4], rtol=0.03)


@pytest.mark.parametrize("center", ["mean", "last"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_principal_plane_holds_the_scores_as_coordinates(center, dtype):
    theta = walk(1).astype(dtype)
    recorded = trajectory(theta)
    plane = tw.principal_plane(recorded, center)
    scores = tw.principal_components(recorded, 2, center).score.values
    np.testing.assert_allclose(plane.project(theta).coords, scores, atol=1e-4 if dtype == np.float32 else 1e-10)
    np.testing.assert_allclose(plane.gram, np.eye(2), atol=1e-6)
    assert plane.origin.numpy().dtype == dtype
    if center == "last":
        np.testing.assert_array_equal(plane([0.0, 0.0]), theta[-1])


def test_the_surface_on_the_principal_plane_covers_the_path():
    theta = walk(2)
    plane = tw.principal_plane(trajectory(theta))
    problem = tw.FunctionProblem(lambda theta: (theta**2).sum(-1), num_weights=30)
    surface = tw.loss_surface(problem, plane, points=5)
    path = tw.project_trajectory(trajectory(theta), plane)
    for dim in ("alpha", "beta"):
        assert surface[dim].values[0] < path[dim].min()
        assert path[dim].max() < surface[dim].values[-1]


@FEW
@given(seed=seeds, dim=st.integers(1, 3))
def test_projections_and_distances_are_those_of_least_squares(seed, dim):
    random = np.random.default_rng(seed)
    theta, origin, D = walk(seed, 5, 9), random.normal(size=9), random.normal(size=(dim, 9))
    path = tw.project_trajectory(trajectory(theta), tw.Box(origin, D))
    for k, row in enumerate(theta):
        coords, *_ = np.linalg.lstsq(D.T, row - origin, rcond=None)
        np.testing.assert_allclose([path[d].values[k] for d in path.attrs["coordinates"]], coords, atol=1e-7)
        np.testing.assert_allclose(path.distance.values[k], np.linalg.norm(row - origin - coords @ D), atol=1e-7)
    np.testing.assert_array_equal(path.step, np.arange(5))


def test_the_length_is_that_of_the_polygon_through_the_steps():
    path = tw.project_trajectory(trajectory([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]), tw.Line(np.zeros(2), [1.0, 0.0]))
    np.testing.assert_allclose(path.attrs["length"], 6.0)


def test_the_loss_at_the_true_point_stands_beside_the_loss_at_its_projection():
    """Interpolating a path and showing the contour without saying how far it lies from the plane misleads."""
    theta = walk(3, 6, 4)
    problem = tw.FunctionProblem(
        lambda theta: (theta**2).sum(-1), num_weights=4, metrics={"first": lambda theta: theta[..., 0]}
    )
    plane = tw.principal_plane(trajectory(theta))
    path = tw.project_trajectory(trajectory(theta), plane, problem)
    u, v, origin = (t.numpy() for t in (plane.u, plane.v, plane.origin))
    for k, row in enumerate(theta):
        nearest = origin + ((row - origin) @ u) * u + ((row - origin) @ v) * v
        np.testing.assert_allclose(path.loss.values[k], row @ row, rtol=1e-9)
        np.testing.assert_allclose(path.projected_loss.values[k], nearest @ nearest, rtol=1e-9)
        np.testing.assert_allclose(path["first"].values[k], row[0], rtol=1e-9)
        np.testing.assert_allclose(path.projected_first.values[k], nearest[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(path.distance.values[k] ** 2, ((row - nearest) ** 2).sum(), atol=1e-9)


def test_losses_along_the_path_of_a_network_are_those_of_a_loop():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(20, 3).double(), torch.randint(2, (20,))
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, test_data=(data[0][:7], data[1][:7]))
    theta = problem.theta.numpy() + 0.1 * walk(0, 5, problem.num_weights)
    plane = tw.principal_plane(trajectory(theta))
    path = tw.project_trajectory(trajectory(theta), plane, problem)
    for k, row in enumerate(theta):
        at = np.array([path.alpha.values[k], path.beta.values[k]])
        for name, weights in (("loss", row), ("projected_loss", plane(at).numpy())):
            nn.utils.vector_to_parameters(torch.as_tensor(weights), model.parameters())
            with torch.no_grad():
                np.testing.assert_allclose(path[name].values[k], F.cross_entropy(model(data[0]), data[1]), rtol=1e-10)
    assert "projected_test_loss" in path


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("ask", [tw.principal_components, tw.principal_plane])
def test_a_diverged_trajectory_is_refused(ask, bad):
    theta = walk(0)
    theta[-2, 3] = bad
    with pytest.raises(ValueError, match=r"diverged.*isel"):
        ask(trajectory(theta))


def test_a_diverged_step_has_no_place_on_a_plane():
    """It is refused, or its coordinates, distance and loss are not finite; never some finite place."""
    theta = walk(0, 5, 4)
    plane = tw.principal_plane(trajectory(theta))
    theta[-1, 0] = np.nan
    problem = tw.FunctionProblem(lambda theta: (theta**2).sum(-1), num_weights=4)
    try:
        path = tw.project_trajectory(trajectory(theta), plane, problem)
    except ValueError as error:
        if "diverged" in str(error):
            return
        raise
    for name in ("alpha", "beta", "distance", "loss", "projected_loss"):
        assert not np.isfinite(path[name].values[-1])
        assert np.isfinite(path[name].values[:-1]).all()


@pytest.mark.parametrize(
    ("theta", "num", "match"),
    [
        (walk(0, 2), 2, "at least 3 recorded steps"),
        (walk(0, 5), 0, "principal components"),
        (np.outer(np.arange(5.0), np.ones(7)), 2, "fewer than 2 directions"),
        (np.ones((5, 7)), 1, "fewer than 1 directions"),
    ],
    ids=["too few steps", "none asked for", "on a line", "at rest"],
)
def test_components_that_do_not_exist_are_refused(theta, num, match):
    with pytest.raises(ValueError, match=match):
        tw.principal_components(trajectory(theta), num)


def test_an_unknown_centre_is_refused():
    with pytest.raises(ValueError, match="'mean' or 'last'"):
        tw.principal_components(trajectory(walk(0)), center="first")


def test_a_plane_or_a_problem_of_another_network_is_refused():
    recorded = trajectory(walk(0, 5, 6))
    with pytest.raises(ValueError, match="cannot be projected"):
        tw.project_trajectory(recorded, tw.Line(np.zeros(4), np.ones(4)))
    problem = tw.FunctionProblem(lambda x: x)
    with pytest.raises(ValueError, match="different networks"):
        tw.project_trajectory(recorded, tw.Line(np.zeros(6), np.ones(6)), problem)


def test_components_of_a_descent_are_those_of_all_iterates_that_did_not_diverge():
    """Against scikit-learn's, of the stacked iterates."""
    problem = tw.FunctionProblem(lambda x, y, z: x**4 + 3 * y**2 + 0.1 * (x - z) ** 2)
    starts = np.concatenate([tw.random_starts(8, 3, seed=4).numpy(), [[9.0, 0.0, 0.0]]])
    paths = tw.descend(problem, starts, lambda w: torch.optim.SGD(w, lr=0.05), 40)
    assert not np.isfinite(paths.theta.values[-1, -1]).all()
    found = tw.principal_components(paths)
    oracle = PCA(2).fit(paths.theta.values[:-1].reshape(-1, 3))
    np.testing.assert_allclose(np.abs(found.component.values @ oracle.components_.T), np.eye(2), atol=1e-8)
    np.testing.assert_allclose(found.explained_variance_ratio, oracle.explained_variance_ratio_, rtol=1e-8)
    plane = tw.principal_plane(paths)
    np.testing.assert_allclose(plane.origin, oracle.mean_, atol=1e-12)
    drawn = tw.project_trajectory(paths, plane)
    np.testing.assert_allclose(drawn.alpha.values[:-1], found.score.values[:-1, :, 0], atol=1e-10)
    assert drawn.attrs["subspace_id"] == tw.loss_surface(problem, plane, points=5).attrs["subspace_id"]


def test_components_of_a_descent_that_goes_one_way_are_refused():
    problem = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    paths = tw.descend(problem, [[1.0, 1.0]], lambda w: torch.optim.SGD(w, lr=0.1), 20)
    with pytest.raises(ValueError, match="fewer than 2 directions"):
        tw.principal_plane(paths)
    with pytest.raises(ValueError, match="center='mean'"):
        tw.principal_components(paths, center="last")
    with pytest.raises(ValueError, match="2 weights"):
        tw.principal_components(paths, 3)
