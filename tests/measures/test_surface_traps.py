"""Each mistake found in the field's tools ("The field is open on correctness"), as a test that it is not made here."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw


@pytest.fixture
def ramp():
    """L = 1000 x + y tells every point of the plane apart."""
    return tw.FunctionProblem(lambda x, y: 1000 * x + y)


@pytest.fixture
def trained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2))
    data = torch.randn(64, 3), torch.randint(2, (64,))
    model(data[0])
    return model.eval(), data


@pytest.mark.parametrize("points", [(3, 7), (7, 3), (2, 9), (4, 5)])
def test_coordinates_are_not_scrambled_when_the_counts_differ(ramp, points):
    surface = tw.loss_surface(ramp, tw.coordinate_plane(ramp), extent=((-1, 1), (-0.25, 0.5)), points=points)
    a, b = np.linspace(-1, 1, points[0]), np.linspace(-0.25, 0.5, points[1])
    np.testing.assert_allclose(surface.loss, 1000 * a[:, None] + b[None, :], rtol=1e-12, atol=1e-12)
    for i in range(points[0]):
        for j in range(points[1]):
            value = surface.loss.sel(alpha=surface.alpha[i], beta=surface.beta[j])
            np.testing.assert_allclose(value, 1000 * a[i] + b[j], rtol=1e-12, atol=1e-12)


def test_odd_rows_are_not_shifted_or_reversed_as_in_snake_order(ramp):
    rows = tw.loss_surface(ramp, tw.coordinate_plane(ramp), extent=1.0, points=(6, 5)).loss.values
    np.testing.assert_allclose(np.diff(rows, axis=1), 0.5, rtol=1e-9)
    np.testing.assert_allclose(np.diff(rows, axis=0), 400.0, rtol=1e-9)


@pytest.mark.parametrize("extent", [0.1, 0.3, 1.0, 1 / 3, np.pi, 1e-6, 1e6])
@pytest.mark.parametrize("points", [3, 5, 51, 101])
def test_the_centre_of_an_odd_symmetric_grid_is_zero_to_the_bit(ramp, extent, points):
    surface = tw.loss_surface(ramp, tw.coordinate_plane(ramp), extent=extent, points=(points, 3))
    middle = surface.alpha.values[points // 2]
    assert middle == 0.0
    assert not np.signbit(middle)
    np.testing.assert_array_equal(surface.alpha.values, -surface.alpha.values[::-1])
    assert surface.alpha.values[-1] == extent


@pytest.mark.parametrize("make", ["random", "auto"])
def test_the_centre_of_the_grid_is_the_model(trained, make):
    """To the bit, against the user's own model run by hand."""
    model, data = trained
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy})
    extent = 1.0 if make == "random" else "auto"
    plane = tw.random_plane(problem, seed=3)
    assert torch.equal(plane([0.0, 0.0]), nn.utils.parameters_to_vector(model.parameters()).detach())
    surface = tw.loss_surface(problem, plane, extent=extent, points=5)
    centre = surface.sel(alpha=0.0, beta=0.0)
    with torch.no_grad():
        outputs = model(data[0])
    own = F.cross_entropy(outputs, data[1], reduction="none").double().mean()
    np.testing.assert_allclose(float(centre.loss), float(own), rtol=1e-6)
    assert float(centre.accuracy) == float((outputs.argmax(1) == data[1]).double().mean())
    assert float(centre.loss) == surface.loss.attrs["at_origin"]


def test_an_even_number_of_points_is_evenly_spaced_and_not_snapped(ramp):
    surface = tw.loss_surface(ramp, tw.coordinate_plane(ramp), extent=1.0, points=(4, 6))
    np.testing.assert_allclose(surface.alpha, [-1, -1 / 3, 1 / 3, 1], rtol=1e-15)
    np.testing.assert_allclose(np.diff(surface.beta), 0.4, rtol=1e-12)


def test_labels_are_the_places_that_were_evaluated():
    """L = x: the value is the coordinate, to the bit."""
    problem = tw.FunctionProblem(lambda x: x)
    line = tw.Line(problem.theta, [1.0])
    surface = tw.loss_surface(problem, line, extent=(-0.7, 1.3), points=50)
    np.testing.assert_array_equal(surface.loss, surface.alpha)


def test_coordinates_are_not_views_that_a_later_call_overwrites(ramp):
    grid = np.linspace(0, 1, 5)
    plane = tw.coordinate_plane(ramp)
    first = tw.loss_surface(ramp, plane, alpha=grid, beta=grid)
    kept = first.copy(deep=True)
    grid *= 0.954
    grid[:] += 1
    tw.loss_surface(ramp, plane, alpha=grid, beta=grid)
    assert first.identical(kept)
    assert first.alpha.values[-1] == 1.0


def test_both_ends_of_an_interpolation_are_evaluated(trained):
    model, data = trained
    torch.manual_seed(1)
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    ends = [nn.utils.parameters_to_vector(m.parameters()).detach() for m in (model, other)]
    surface = tw.loss_surface(problem, tw.Segment(*ends), points=6)
    assert surface.t.values[0] == 0.0
    assert surface.t.values[-1] == 1.0
    with torch.no_grad():
        own = [float(F.cross_entropy(m(data[0]), data[1])) for m in (model, other)]
    np.testing.assert_allclose(surface.loss.values[[0, -1]], own, rtol=1e-6)


def test_infinite_and_undefined_losses_are_kept():
    problem = tw.FunctionProblem(lambda x, y: torch.where(y > 0.5, torch.exp(2000 * x), torch.log(x)))
    found = tw.loss_surface(problem, tw.coordinate_plane(problem), alpha=[-1.0, 0.0, 1.0], beta=[0.0, 1.0]).loss.values
    np.testing.assert_array_equal(found, [[np.nan, 0.0], [-np.inf, 1.0], [0.0, np.inf]])


def test_a_loss_of_zero_or_below_is_a_value_like_any_other(ramp, tmp_path):
    """ "Not yet computed" is not told by value <= 0."""
    plane = tw.coordinate_plane(ramp)
    surface = tw.loss_surface(ramp, plane, extent=1.0, points=3, store=tmp_path / "s.zarr")
    assert surface.attrs["complete"]
    np.testing.assert_allclose(surface.loss, [[-1001, -1000, -999], [-1, 0, 1], [999, 1000, 1001]])


@pytest.mark.parametrize("training_mode", [True, False])
def test_the_users_model_is_not_changed_by_a_surface(trained, training_mode):
    model, data = trained
    model.train(training_mode)
    before = copy.deepcopy(model.state_dict())
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    tw.loss_surface(problem, tw.random_plane(problem), points=3, gradient=True)
    assert model.training == training_mode
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_centre_does_not_drift_while_the_model_trains_on(trained):
    model, data = trained
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    plane = tw.random_plane(problem)
    before = tw.loss_surface(problem, plane, extent=1.0, points=3)
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.mul_(3.0)
    np.testing.assert_array_equal(tw.loss_surface(problem, plane, extent=1.0, points=3).loss, before.loss)


def test_running_statistics_are_no_weights_and_stay_positive(trained):
    """Perturbing running_var as if it were a weight makes it negative, and 24 of 25 points nan."""
    model, data = trained
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    assert problem.num_weights == sum(p.numel() for p in model.parameters())
    surface = tw.loss_surface(problem, tw.random_plane(problem, exclude=()), extent=1.0, points=5)
    assert np.isfinite(surface.loss).all()


def test_all_batches_of_a_shuffling_loader_are_used(trained):
    model, data = trained
    dataset = torch.utils.data.TensorDataset(*data)
    loader = torch.utils.data.DataLoader(dataset, batch_size=10, shuffle=True)
    problem = tw.ModuleProblem(model, loader, loss=F.cross_entropy)
    whole = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    plane = tw.random_plane(whole)
    a, b = (tw.loss_surface(p, plane, extent=1.0, points=3) for p in (problem, whole))
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-6)


def test_two_calls_give_the_same_bits(trained):
    model, data = trained
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    plane = tw.random_plane(problem)
    a, b = (tw.loss_surface(problem, plane, extent=1.0, points=(4, 3)) for _ in range(2))
    np.testing.assert_array_equal(a.loss, b.loss)
