"""Coarse to fine: what is predicted is near the full grid, what is evaluated is the full grid's to the bit."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.measures.adaptive import refine

TOL = 0.01


class Recorded(tw.FunctionProblem):
    """Remembers at which weights it was measured."""

    def __init__(self, *args, **kwargs):
        self.seen = []
        super().__init__(*args, **kwargs)

    def measure(self, points, **options):
        self.seen += [tuple(row) for row in points[0 : len(points)].tolist()]
        return super().measure(points, **options)


LANDSCAPES = {
    "bowl": lambda x, y: x**2 + 3 * y**2,
    "waves": lambda x, y: torch.sin(3 * x) * torch.cos(2 * y) + 0.1 * x,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    "kink": lambda x, y: (x.abs() + y.abs() - 0.75).clamp_min(0.0),
    "cliff": lambda x, y: torch.where(x + 0.3 * y > 0.21, 5.0 + x, x**2),
    "infinite beyond a circle": lambda x, y: torch.where(x**2 + y**2 > 0.8, torch.full_like(x, np.inf), x**2 + y),
    "nan on a half plane": lambda x, y: torch.log(0.4 - x + 0.1 * y) * y,
    "overflow": lambda x, y: torch.exp(torch.exp(9 * x) * (y + 1.5)),
}


def both(landscape, extent=1.0, points=51, tol=TOL):
    problem = Recorded(landscape)
    box = tw.Box(np.zeros(problem.num_weights), np.eye(problem.num_weights))
    full = tw.loss_surface(problem, box, extent=extent, points=points)
    problem.seen.clear()
    return problem, full, tw.loss_surface(problem, box, extent=extent, points=points, adaptive=tol)


def holds(full, found, tol=TOL):
    truth, guess = full.loss.values, found.loss.values
    predicted = found.interpolated.values if "interpolated" in found else np.zeros(truth.shape, dtype=bool)
    np.testing.assert_array_equal(guess[~predicted], truth[~predicted])
    finite = np.isfinite(truth)
    np.testing.assert_array_equal(np.isfinite(guess), finite)
    error = np.abs(guess[finite] - truth[finite]).max()
    assert error <= tol * np.ptp(truth[finite]), f"{error / np.ptp(truth[finite]):.3g} of the range"


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("points", [51, (31, 64)])
def test_an_adaptive_surface_is_within_tolerance_of_the_full_grid(name, points):
    _, full, found = both(LANDSCAPES[name], points=points)
    holds(full, found)


@pytest.mark.parametrize("tol", [0.1, 0.001])
def test_other_tolerances_hold_as_well(tol):
    _, full, found = both(LANDSCAPES["waves"], tol=tol)
    holds(full, found, tol)


def test_smooth_surfaces_need_few_points_and_rough_ones_more():
    counts = {name: both(LANDSCAPES[name])[2].attrs["num_evaluated"] for name in ("bowl", "kink", "cliff")}
    assert counts["bowl"] < 51 * 51 / 10
    assert counts["bowl"] < counts["kink"]
    assert counts["bowl"] < counts["cliff"] < 51 * 51


@pytest.mark.parametrize(
    "curve",
    [
        lambda x: x**4 - x,
        lambda x: (x.abs() - 0.3).clamp_min(0.0),
        lambda x: torch.where(x > 0.123, 1.0 + 0 * x, x),
        lambda x: torch.where(x > 0.5, torch.full_like(x, np.nan), x**2),
    ],
    ids=["smooth", "kink", "cliff", "nan"],
)
def test_lines_hold_as_well(curve):
    _, full, found = both(curve, points=201)
    holds(full, found)
    assert found.attrs["num_evaluated"] < 201


def test_boxes_of_three_dims_hold_as_well():
    _, full, found = both(lambda x, y, z: x**2 * y + torch.sin(2 * z) + (x - z).abs(), points=(17, 21, 15))
    holds(full, found)
    assert found.attrs["num_evaluated"] < 17 * 21 * 15


@settings(max_examples=25, deadline=None)
@given(counts=st.tuples(st.integers(2, 40), st.integers(2, 40)), seed=st.integers(0, 1000))
def test_any_counts_hold_for_smooth_surfaces(counts, seed):
    a, b, c, d = np.random.default_rng(seed).normal(size=4)
    _, full, found = both(lambda x, y: a * torch.sin(2 * x + b) + c * y * x + d * y**2, points=counts)
    holds(full, found)


@pytest.mark.parametrize("thin", [1, 2, 7])
@pytest.mark.parametrize("seed", range(8))
def test_a_grid_that_is_thin_along_one_axis_holds_as_well(thin, seed):
    kink, rate = np.random.default_rng(seed).uniform([-0.9, 1], [0.9, 8])
    problem = tw.FunctionProblem(lambda x, y: (y - kink).abs() + 0.3 * torch.sin(rate * y) + x)
    axes = {"alpha": np.arange(thin) * 0.1, "beta": np.linspace(-1, 1, 201)}
    plane = tw.coordinate_plane(problem)
    full, found = (tw.loss_surface(problem, plane, **axes, adaptive=a) for a in (None, TOL))
    holds(full, found)


def test_cliffs_hold_wherever_they_run():
    """Also where they leave through an edge of the picture, or clip a corner of it."""
    over = {}
    for seed in range(60):
        place, slope, height = np.random.default_rng(seed).uniform([-0.9, -1, 0.2], [0.9, 1, 2.0])
        _, full, found = both(lambda x, y, p=place, s=slope, h=height: torch.where(y + s * x > p, h + 0 * x, x**2 / 2))
        error = np.abs(full.loss - found.loss).max().item() / np.ptp(full.loss.values)
        over |= {seed: round(error, 3)} if error > TOL else {}
    assert not over, "seeds and errors as a share of the range"


def test_holes_larger_than_the_coarsest_cells_are_found_wherever_they_are():
    """Discs of nan of a radius from 0.25 to 0.4, where the coarsest nodes are 1/4 apart."""
    wrong = {}
    for seed in range(30):
        a, b, r = np.random.default_rng(seed).uniform([-1, -1, 0.25], [1, 1, 0.4])

        def holed(x, y, a=a, b=b, r=r):
            return torch.where((x - a) ** 2 + (y - b) ** 2 < r**2, torch.full_like(x, np.nan), x**2 + y)

        _, full, found = both(holed)
        missed = int((np.isfinite(full.loss) != np.isfinite(found.loss)).sum())
        wrong |= {seed: missed} if missed else {}
    assert not wrong, "seeds and numbers of points"


def test_what_is_infinite_and_what_is_undefined_are_told_apart():
    def loss(x, y):
        lost = torch.where(y > 0, torch.full_like(x, np.inf), torch.full_like(x, np.nan))
        return torch.where(x > 0.2, lost, x**2 + y)

    _, full, found = both(loss)
    np.testing.assert_array_equal(np.isnan(found.loss), np.isnan(full.loss))


def test_what_is_evaluated_is_counted_marked_and_evaluated_once():
    problem, full, found = both(LANDSCAPES["waves"])
    marked = {(a, b) for a, row in zip(full.alpha.values, ~found.interpolated.values, strict=True)
              for b, chosen in zip(full.beta.values, row, strict=True) if chosen}  # fmt: skip
    seen = problem.seen[1:]  # the first is the origin, for attrs["at_origin"]
    assert found.attrs["num_evaluated"] == len(marked) == len(seen)
    assert set(seen) == marked


def test_grids_that_are_no_finer_than_the_coarsest_level_are_evaluated_whole():
    _, full, found = both(LANDSCAPES["cliff"], points=(7, 5))
    np.testing.assert_array_equal(found.loss, full.loss)
    assert found.attrs["num_evaluated"] == 35


def test_a_cubic_is_predicted_to_rounding_and_the_error_found_says_so():
    _, full, found = both(lambda x, y: x**3 - 2 * x * y**2 + y - 4)
    np.testing.assert_allclose(found.loss, full.loss, atol=1e-12)
    assert json.loads(found.attrs["interpolation_error"])["loss"] < 1e-12


def test_the_error_told_was_really_found_at_points_left_out():
    """On 17 points of a line the 9 even ones come first; cubics through the four nearest predict the odd ones."""
    x = np.linspace(-1, 1, 17)
    problem = tw.FunctionProblem(lambda x: torch.cos(2.5 * x))
    found = tw.loss_surface(problem, tw.Line([0.0], [1.0]), alpha=x, adaptive=0.1)
    coarse, y = x[::2], np.cos(2.5 * x)
    errors = []
    for odd in range(1, 17, 2):
        first = min(max(odd // 2 - 1, 0), 5)
        nodes, at = slice(first, first + 4), x[odd]
        cubic = np.polyfit(coarse[nodes], y[::2][nodes], 3)
        errors.append(abs(np.polyval(cubic, at) - y[odd]))
    np.testing.assert_allclose(json.loads(found.attrs["interpolation_error"])["loss"], max(errors), rtol=1e-6)


@pytest.mark.parametrize("name", ["waves", "kink", "rosenbrock"])
def test_the_error_told_is_within_the_tolerance(name):
    _, full, found = both(LANDSCAPES[name])
    assert 0 < json.loads(found.attrs["interpolation_error"])["loss"] <= TOL * np.ptp(full.loss.values)


@pytest.mark.parametrize("name", ["waves", "cliff", "infinite beyond a circle"])
def test_where_to_look_does_not_depend_on_values_that_were_not_asked_for(name):
    """A resumed run, and one that shares its grid, finds values in the store that it has not asked for yet. If it used
    them, it would ask for others than an uninterrupted run does."""
    axes = [np.linspace(-1, 1, 41), np.linspace(-1, 1, 33)]
    grids = np.meshgrid(*axes, indexing="ij")
    spike = 50 * np.exp(-((grids[0] - 0.12) ** 2 + (grids[1] + 0.31) ** 2) / 1e-3)
    truth = LANDSCAPES[name](*(torch.as_tensor(g) for g in grids)).numpy() + spike

    def asked(show_all):
        rounds, known, masks = refine(axes, TOL, ["loss"]), np.zeros(truth.shape, dtype=bool), []
        mask = next(rounds)
        while True:
            masks.append(mask.copy())
            known |= mask
            try:
                mask = rounds.send({"loss": truth if show_all else np.where(known, truth, np.nan)})
            except StopIteration as stop:
                return known, stop.value

    (known, plain), (known_too, resumed) = asked(False), asked(True)
    np.testing.assert_array_equal(known, known_too)
    np.testing.assert_array_equal(plain.values["loss"], resumed.values["loss"])
    assert plain.errors == resumed.errors


@pytest.mark.parametrize("name", LANDSCAPES)
def test_an_adaptive_surface_in_a_store_is_the_one_in_memory(name, tmp_path):
    problem = tw.FunctionProblem(LANDSCAPES[name])
    plane = tw.coordinate_plane(problem)
    asked = {"extent": 1.0, "points": (21, 34), "adaptive": TOL}
    xr.testing.assert_equal(
        tw.loss_surface(problem, plane, **asked),
        tw.loss_surface(problem, plane, store=tmp_path / "study.zarr", **asked),
    )


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    data = torch.randn(40, 4).double(), torch.randint(3, (40,))
    test = torch.randn(20, 4).double(), torch.randint(3, (20,))
    return tw.ModuleProblem(model, data, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test)


def test_losses_of_both_splits_meet_the_tolerance_and_metrics_tell_their_error(classifier):
    plane = tw.random_plane(classifier)
    full, found = (tw.loss_surface(classifier, plane, extent=2.0, points=31, adaptive=a) for a in (None, TOL))
    assert found.interpolated.any()
    for name in ("loss", "test_loss"):
        assert np.abs(found[name] - full[name]).max() <= TOL * np.ptp(full[name].values)
    assert set(json.loads(found.attrs["interpolation_error"])) == {"loss", "accuracy", "test_loss", "test_accuracy"}
    assert json.loads(found.attrs["interpolation_error"])["accuracy"] > 0


def test_predicted_accuracies_stay_between_0_and_1_and_predicted_standard_errors_above_0(classifier):
    found = tw.loss_surface(
        classifier, tw.random_plane(classifier), extent=3.0, points=41, adaptive=0.05, num_examples=20
    )
    for name in ("accuracy", "test_accuracy"):
        assert found[name].min() >= 0.0
        assert found[name].max() <= 1.0
    for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
        assert found[f"{name}_standard_error"].min() >= 0.0


def test_the_gradient_is_predicted_along(classifier):
    line = tw.random_line(classifier)
    full, found = (
        tw.loss_surface(classifier, line, extent=2.0, points=61, adaptive=a, gradient=True) for a in (None, TOL)
    )
    assert found.interpolated.any()
    np.testing.assert_array_equal(found.gradient.values[~found.interpolated], full.gradient.values[~found.interpolated])
    assert np.abs(found.gradient - full.gradient).max() <= 5 * TOL * np.ptp(full.gradient.values)
