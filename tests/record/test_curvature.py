"""Curvature while a network trains: against dense Hessians of the recorded weights, and the edge of stability."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.landscapes import digits
from thalweg.measures.tracking import stability_threshold, track_spectrum
from thalweg.record import CurvatureRecorder, Recorder


def small(seed=0, norm=False):
    torch.manual_seed(seed)
    layers = [nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh()] if norm else [nn.Linear(3, 5), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(5, 2)).double()
    return model, (torch.randn(40, 3, dtype=torch.float64), torch.randn(40, 2, dtype=torch.float64))


def trained(tmp_path, optimizer, steps=6, every=2, norm=False, k=3):
    model, (x, y) = small(norm=norm)
    problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
    optimizer = optimizer(model.parameters())
    recorder = CurvatureRecorder(tmp_path / "study.zarr", problem, k=k, tol=1e-8)
    states = []
    with (
        Recorder(tmp_path / "study.zarr").attach(model, optimizer, every) as weights,
        recorder.attach(model, optimizer, every),
    ):
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        for step in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            if (step + 1) % every == 0:
                states.append({name: value.clone() for name, value in model.state_dict().items()})
    return problem, recorder.spectrum(), weights.trajectory(), states


def dense(problem, theta):
    return torch.autograd.functional.hessian(problem.loss, theta).numpy()


@pytest.mark.parametrize("norm", [False, True])
def test_what_is_recorded_are_the_top_eigenvalues_of_the_model_as_it_was(tmp_path, norm):
    """With batch normalisation, of the statistics it had then."""
    problem, found, trajectory, states = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1), norm=norm)
    assert found.step.values.tolist() == [0, 2, 4, 6]
    for row, state in enumerate(states):
        here = problem.with_state(state)
        np.testing.assert_array_equal(trajectory.theta[row], here.theta)
        values = np.linalg.eigvalsh(dense(here, here.theta))
        top = values[np.argsort(-np.abs(values))][:3]
        np.testing.assert_allclose(found.eigenvalue[row], top, rtol=1e-6)
        slope = here.gradient(here.theta).numpy()
        assert float(found.gradient_norm[row]) == pytest.approx(np.linalg.norm(slope))
        assert float(found.loss[row]) == pytest.approx(float(here.loss(here.theta)))
    assert found.converged.values.all()
    np.testing.assert_allclose(np.diag(found.overlap), 1.0)
    np.testing.assert_allclose(found.overlap, found.overlap.values.T)


def test_a_trajectory_tracked_afterwards_has_the_same_spectra(tmp_path):
    problem, live, trajectory, _ = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1))
    later = track_spectrum(problem, trajectory, k=3, tol=1e-8)
    for name in ("eigenvalue", "loss", "gradient_norm", "learning_rate", "threshold", "gradient_share", "overlap"):
        np.testing.assert_allclose(later[name], live[name], rtol=1e-6, atol=1e-9)
    some = track_spectrum(problem, trajectory, k=1, every=2)
    assert some.step.values.tolist() == [0, 4, 6]


def test_densities_along_the_way_are_those_of_the_dense_hessians(tmp_path):
    """With a product for each weight the quadrature is exact up to its random vectors; the total is 1 at every step."""
    problem, _, trajectory, _ = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1))
    found = track_spectrum(problem, trajectory, k=1, num_probes=40, every=3)
    np.testing.assert_allclose(found.density.integrate("grid"), 1.0, atol=1e-3)
    grid = found.grid.values
    width = float(np.diff(grid)[0]) * 2
    for row in (0, -1):
        values = np.linalg.eigvalsh(dense(problem, torch.as_tensor(trajectory.theta[row].values)))
        mean = float((found.density[row] * found.grid).integrate("grid"))
        assert mean == pytest.approx(values.mean(), abs=0.15 * np.abs(values).max())
        assert grid[0] < values[0] - width
        assert grid[-1] > values[-1] + width
    assert "density" not in track_spectrum(problem, trajectory, k=1)
    assert tw.figures.density_path(found, backend="none") is not None


def test_the_share_of_the_gradient_is_that_of_its_projection(tmp_path):
    problem, _, trajectory, _ = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1))
    found = track_spectrum(problem, trajectory, k=2, tol=1e-10)
    for row in range(found.sizes["step"]):
        theta = torch.as_tensor(trajectory.theta[row].values)
        values, vectors = np.linalg.eigh(dense(problem, theta))
        top = vectors[:, np.argsort(-np.abs(values))[:2]]
        slope = problem.gradient(theta).numpy()
        share = np.square(top.T @ slope).sum() / np.square(slope).sum()
        assert float(found.gradient_share[row]) == pytest.approx(share, rel=1e-5)


def test_the_line_of_stability_is_where_quadratics_diverge():
    """Heavy-ball and Nesterov's momentum on ½ λ x², just below and just above their thresholds."""
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.5, True)):
        threshold = stability_threshold(0.1, momentum, nesterov)
        for curvature, stable in ((0.99 * threshold, True), (1.01 * threshold, False)):
            x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
            optimizer = torch.optim.SGD([x], lr=0.1, momentum=momentum, nesterov=nesterov)
            for _ in range(3000):
                optimizer.zero_grad()
                (curvature * x**2 / 2).backward()
                optimizer.step()
            assert (abs(float(x.detach())) < 1) == stable


def test_the_line_follows_the_optimizer_and_is_unknown_for_others(tmp_path):
    _, sgd, _, _ = trained(tmp_path / "a", lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9))
    np.testing.assert_allclose(sgd.threshold, 38.0)
    assert sgd.attrs["threshold_words"] == "3.8 / learning rate"
    _, adam, _, _ = trained(tmp_path / "b", lambda w: torch.optim.Adam(w, lr=0.1))
    assert np.isnan(adam.threshold).all()


def test_training_is_not_changed_by_watching(tmp_path):
    """Weights, gradients and random numbers are the same as without."""
    _, _, trajectory, states = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1), norm=True)
    after = torch.rand(1)
    model, (x, y) = small(norm=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    assert all(torch.equal(value, states[-1][name]) for name, value in model.state_dict().items())
    assert torch.equal(after, torch.rand(1))
    assert trajectory.sizes["step"] == 4


def test_what_is_measured_is_on_disk_at_once_and_a_diverged_run_goes_on(tmp_path):
    model, (x, y) = small()
    problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = CurvatureRecorder(tmp_path / "study.zarr", problem, k=2).attach(model, optimizer, every=1)
    assert tw.load(tmp_path / "study.zarr", "spectrum").sizes["step"] == 1
    with torch.no_grad():
        model[0].weight.mul_(float("inf"))
    optimizer.step()
    recorder.close()
    found = tw.load(tmp_path / "study.zarr", "spectrum")
    assert found.step.values.tolist() == [0, 1]
    assert np.isfinite(found.eigenvalue.values[0]).all()
    assert np.isnan(found.eigenvalue.values[1]).all()
    assert not found.converged.values[1].any()


@pytest.mark.slow
def test_sharpness_rises_to_two_over_the_rate_and_stays_there(tmp_path):
    """Full-batch descent of a tanh network on 500 digits (Cohen et al. 2021, figure 1): progressive sharpening."""
    torch.manual_seed(0)
    (x, y), _ = digits(seed=0)
    x, y = x[:500].flatten(1), F.one_hot(y[:500], 10).float()
    model = nn.Sequential(nn.Linear(64, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 10))
    problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
    tracker = track_along(tmp_path / "s.zarr", problem, model, x, y, lr=1.0, steps=1500, every=50)
    sharpness = tracker.eigenvalue.values[:, 0]
    assert tracker.converged.values.all()
    assert sharpness[0] < 1.5
    assert (np.abs(sharpness[8:] / tracker.threshold.values[8:] - 1) < 0.2).all()
    assert tracker.loss.values[-1] < 0.2 * tracker.loss.values[0]


def track_along(study, problem, model, x, y, lr, steps, every):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    with CurvatureRecorder(study, problem, k=1).attach(model, optimizer, every) as recorder:
        for _ in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
    return recorder.spectrum()


def test_what_cannot_be_watched_is_refused(tmp_path):
    model, data = small()
    problem = tw.ModuleProblem(model, data, loss=F.mse_loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="k=0"):
        CurvatureRecorder(tmp_path / "s.zarr", problem, k=0)
    with pytest.raises(ValueError, match="k=100 pairs were asked for, and the matrix has 32 rows"):
        CurvatureRecorder(tmp_path / "s.zarr", problem, k=100).attach(model, optimizer)
    with pytest.raises(ValueError, match="same kind"):
        CurvatureRecorder(tmp_path / "s.zarr", problem).attach(nn.Linear(3, 2).double(), optimizer)
    with pytest.raises(ValueError, match="moves none"):
        CurvatureRecorder(tmp_path / "s.zarr", problem).attach(
            model, torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)
        )
    with pytest.raises(ValueError, match="every=0"):
        CurvatureRecorder(tmp_path / "s.zarr", problem).attach(model, optimizer, every=0)
    CurvatureRecorder(tmp_path / "s.zarr", problem, k=1).attach(model, optimizer).close()
    with pytest.raises(FileExistsError, match="overwrite"):
        CurvatureRecorder(tmp_path / "s.zarr", problem)
    surface = tw.loss_surface(problem, tw.random_line(problem), extent=1.0, points=3)
    with pytest.raises(ValueError, match="kind 'surface'"):
        track_spectrum(problem, surface)


def test_frozen_layers_are_those_of_the_model_that_trains(tmp_path):
    """The problem was made of another instance, with other frozen weights."""

    def made(seed):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        model[0].requires_grad_(False)
        return model

    trains, other = made(1), made(2)
    x, y = torch.randn(30, 3, dtype=torch.float64), torch.randn(30, 2, dtype=torch.float64)
    problem = tw.ModuleProblem(other, (x, y), loss=F.mse_loss)
    optimizer = torch.optim.SGD(trains[2].parameters(), lr=0.1)
    recorder = CurvatureRecorder(tmp_path / "s.zarr", problem, k=1, tol=1e-8).attach(trains, optimizer)
    recorder.close()
    own = tw.ModuleProblem(trains, (x, y), loss=F.mse_loss)
    assert float(recorder.spectrum().loss[0]) == pytest.approx(float(own.loss(own.theta)))
    expected = np.linalg.eigvalsh(dense(own, own.theta))[-1]
    assert float(recorder.spectrum().eigenvalue[0, 0]) == pytest.approx(expected, rel=1e-6)


def test_with_dampening_there_is_no_line(tmp_path):
    problem, live, trajectory, _ = trained(tmp_path, lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.5, dampening=0.3))
    assert np.isnan(live.threshold).all()
    assert np.isnan(track_spectrum(problem, trajectory, k=1).threshold).all()
