"""Grids in a store: resumed without computing anything twice, refused when they hold something else."""

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.problem import Plan
from thalweg.store import StoreMismatchError, grid

GRID = {"extent": ((-1.0, 2.0), (-0.5, 0.5)), "points": (6, 5)}


class InBlocks(tw.FunctionProblem):
    """A function that claims a second for each point, so that a block is two of them; it can be made to fail."""

    def __init__(self, *args, **kwargs):
        self.points_seen, self.fail_after = 0, np.inf
        super().__init__(*args, **kwargs)

    def plan(self, num_points, num_examples=None, seed=0):
        return Plan(points_at_once=1), 1.0

    def measure(self, points, **options):
        if self.points_seen >= self.fail_after:
            raise KeyboardInterrupt
        self.points_seen += len(points)
        return super().measure(points, **options)


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(Path(folder).rglob("*")) if f.is_file()}


def in_blocks(**kwargs):
    return InBlocks(lambda x, y: torch.sin(3 * x) + y**2, metrics={"sum": lambda x, y: x + y}, **kwargs)


@pytest.mark.parametrize("options", [{}, {"gradient": True, "per_example": True}, {"metrics": []}, {"adaptive": 0.02}])
def test_a_surface_in_a_store_is_the_one_in_memory(tmp_path, options):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    stored = tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID, **options)
    plain = tw.loss_surface(problem, plane, **GRID, **options)
    xr.testing.assert_equal(stored, plain)
    xr.testing.assert_identical(stored, tw.load(tmp_path / "s.zarr"))
    for name in plain.variables:
        assert stored[name].attrs == plain[name].attrs
        assert stored[name].dtype == plain[name].dtype
    assert list(stored.data_vars) == list(plain.data_vars)


def test_a_subset_of_examples_in_a_store_is_the_one_in_memory(tmp_path):
    torch.manual_seed(0)
    problem = tw.ModuleProblem(nn.Linear(3, 2), (torch.randn(30, 3), torch.randint(2, (30,))), loss=F.cross_entropy)
    line = tw.random_line(problem)
    asked = {"extent": 1.0, "points": 5, "num_examples": 7, "seed": 3, "per_example": True}
    xr.testing.assert_equal(
        tw.loss_surface(problem, line, **asked), tw.loss_surface(problem, line, store=tmp_path / "s.zarr", **asked)
    )


@pytest.mark.parametrize("interruptions", [[1], [2, 5, 9, 14], list(range(1, 31))])
def test_an_interrupted_surface_goes_on_where_it_was(tmp_path, interruptions):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    store = tmp_path / "s.zarr"
    for fail_after in interruptions:
        problem.points_seen, problem.fail_after = 0, fail_after
        with contextlib.suppress(KeyboardInterrupt):
            tw.loss_surface(problem, plane, store=store, name="a", **GRID)
    problem.fail_after, problem.points_seen = np.inf, 0
    found = tw.loss_surface(problem, plane, store=store, name="a", **GRID)
    assert found.attrs["complete"]
    np.testing.assert_array_equal(found.loss, tw.loss_surface(problem, plane, **GRID).loss)


def test_no_point_is_computed_twice(tmp_path):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    problem.fail_after = 13
    with pytest.raises(KeyboardInterrupt):
        tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    problem.fail_after = np.inf
    tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    assert problem.points_seen == 6 * 5 + 2 * 3  # and in each run the origin and the two points that tell the function
    tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    assert problem.points_seen == 6 * 5 + 3 * 3


@pytest.mark.parametrize("fail_after", [1, 100, 200, 320, 400, 480])
def test_an_interrupted_adaptive_surface_equals_an_uninterrupted_one(tmp_path, fail_after):
    """A spike between the coarse points changes the range when it is found; what was decided before must stay."""

    def loss(x, y):
        return (torch.sin(3.2 * x) + y**2 - 0.5).abs() + 30 * torch.exp(-800 * ((x - 0.63) ** 2 + (y - 0.83) ** 2))

    problem = InBlocks(loss)
    plane = tw.coordinate_plane(problem)
    asked = {"extent": 1.0, "points": (25, 27), "adaptive": 0.02}
    whole = tw.loss_surface(problem, plane, **asked)
    problem.points_seen, problem.fail_after = 0, fail_after
    with pytest.raises(KeyboardInterrupt):
        tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **asked)
    problem.fail_after = np.inf
    resumed = tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **asked)
    xr.testing.assert_equal(resumed, whole)
    for key in ("num_evaluated", "interpolation_error"):
        assert resumed.attrs[key] == whole.attrs[key]


def test_a_grid_still_being_computed_loads_with_nan_where_nothing_is_yet(tmp_path):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    problem.fail_after = 3 + 10
    with pytest.raises(KeyboardInterrupt):
        tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    part = tw.load(tmp_path / "s.zarr")
    whole = tw.loss_surface(in_blocks(), plane, **GRID)
    known = np.isfinite(part.loss.values)
    assert not part.attrs["complete"]
    assert part.attrs["num_evaluated"] == known.sum() == 10
    np.testing.assert_array_equal(part.loss.values[known], whole.loss.values[known])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_block_without_one_number_counts_as_done(tmp_path, value):
    """An all-nan block writes no chunk; its status is what tells."""
    problem = InBlocks(lambda x, y: torch.full_like(x, value))
    plane = tw.coordinate_plane(problem)
    for _ in range(2):
        found = tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
        np.testing.assert_array_equal(found.loss, value)
        assert found.attrs["complete"]
    assert problem.points_seen == 30 + 2 * 3


def test_litter_of_killed_writers_is_swept_but_not_that_of_live_ones(tmp_path):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", name="a", **GRID)
    old, fresh = (tmp_path / "s.zarr" / "a" / "loss" / "c" / f"{n}.partial" for n in ("old", "fresh"))
    for file in (old, fresh):
        file.write_bytes(b"half a chunk")
    os.utime(old, (time.time() - 3600,) * 2)
    tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", name="a", **GRID)
    assert not old.exists()
    assert fresh.exists()


def test_litter_of_killed_writers_does_not_disturb_the_reader(tmp_path):
    """No warning, no error; beside arrays, beside their metadata and in the root."""
    problem = in_blocks()
    found = tw.loss_surface(problem, tw.coordinate_plane(problem), store=tmp_path / "s.zarr", name="a", **GRID)
    for folder in ("", "a", "a/loss", "a/loss/c"):
        (tmp_path / "s.zarr" / folder / "zarr.0123456789abcdef.partial").write_bytes(b"half")
    xr.testing.assert_identical(tw.load(tmp_path / "s.zarr"), found)


def test_the_wreck_of_a_grid_killed_while_it_was_laid_out_is_rebuilt(tmp_path, monkeypatch):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)

    def killed(*args, **kwargs):
        if args[1] == "status":
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    real = grid._array
    with monkeypatch.context() as patch:
        patch.setattr(grid, "_array", killed)
        with pytest.raises(KeyboardInterrupt):
            tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    found = tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    np.testing.assert_array_equal(found.loss, tw.loss_surface(problem, plane, **GRID).loss)


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 3, generator=generator), torch.randint(2, (12,), generator=generator)


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def problem_of(weights=0, examples=0, **options):
    options = {"loss": F.cross_entropy, "metrics": {"accuracy": tw.accuracy}} | options
    return tw.ModuleProblem(model(weights), data(examples), **options)


class Tanh(nn.Module):
    """Its printed form does not tell its function."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 2)
        self.function = function

    def forward(self, x):
        return self.function(self.linear(x))


LINE = {"extent": 1.0, "points": 5, "num_examples": 8, "seed": 1}
OTHERS = {
    "weights": (lambda: (problem_of(weights=1), None, {}), "weights"),
    "training data": (lambda: (problem_of(examples=1), None, {}), "training data"),
    "test data": (lambda: (problem_of(test_data=data(2)), None, {}), "test data"),
    "loss": (lambda: (problem_of(loss=F.multi_margin_loss), None, {}), "loss"),
    "precision": (lambda: (problem_of(precision="float64"), None, {}), "precision"),
    "direction": (lambda: (problem_of(), 5, {}), "subspace"),
    "extent": (lambda: (problem_of(), None, {"extent": 2.0}), "extent"),
    "points": (lambda: (problem_of(), None, {"points": 7}), "points"),
    "seed": (lambda: (problem_of(), None, {"seed": 2}), "seed"),
    "num_examples": (lambda: (problem_of(), None, {"num_examples": 9}), "num_examples"),
    "metrics": (lambda: (problem_of(), None, {"metrics": []}), "metrics"),
    "adaptive": (lambda: (problem_of(), None, {"adaptive": 0.1}), "adaptive"),
    "gradient": (lambda: (problem_of(), None, {"gradient": True, "num_examples": None}), "gradient"),
    "per_example": (lambda: (problem_of(), None, {"per_example": True}), "per_example"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_computation_is_refused_by_name_and_the_store_stays_as_it_was(tmp_path, what):
    tw.loss_surface(problem_of(), tw.random_line(problem_of(), seed=0), store=tmp_path / "s.zarr", name="a", **LINE)
    before = contents(tmp_path / "s.zarr")
    make, named = OTHERS[what]
    problem, seed, options = make()
    line = tw.random_line(problem_of() if what != "weights" else problem, seed=seed or 0)
    with pytest.raises(StoreMismatchError, match=named) as refusal:
        tw.loss_surface(problem, line, store=tmp_path / "s.zarr", name="a", **(LINE | options))
    assert "name=" in str(refusal.value)
    assert contents(tmp_path / "s.zarr") == before


def test_coordinates_are_part_of_the_request(tmp_path):
    problem = problem_of()
    line = tw.random_line(problem)
    tw.loss_surface(problem, line, alpha=[0.0, 1.0], store=tmp_path / "s.zarr")
    with pytest.raises(StoreMismatchError, match="alpha"):
        tw.loss_surface(problem, line, alpha=[0.0, 1.5], store=tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("one", "other"),
    [({"extent": 1.0}, {"extent": (-1, 1)}), ({"points": 5}, {"points": (5,)}), ({"extent": 1}, {"extent": 1.0})],
)
def test_the_same_grid_in_another_spelling_is_the_same_request(tmp_path, one, other):
    problem = problem_of()
    line = tw.random_line(problem)
    asked = {"extent": 1.0, "points": 5}
    first = tw.loss_surface(problem, line, store=tmp_path / "s.zarr", **(asked | one))
    again = tw.loss_surface(problem, line, store=tmp_path / "s.zarr", **(asked | other))
    xr.testing.assert_equal(first, again)


@pytest.mark.parametrize("what", ["loss", "metric", "model", "step"])
def test_another_function_of_the_same_name_is_not_mixed_into_a_half_filled_store(tmp_path, what):
    """`<lambda>` and `<lambda>`: the user edits the loss between two runs of one command."""

    def made(power):
        if what == "model":
            functions = {1: torch.tanh, 2: torch.sin}
            return tw.ModuleProblem(Tanh(functions[power]), data(), loss=F.cross_entropy)
        if what == "step":
            return tw.ModuleProblem(model(), data(), step=lambda m, b: m(b[0])[:, 0].abs() ** power)
        loss = (lambda o, t: o[:, 0].abs() ** power) if what == "loss" else F.cross_entropy
        return tw.ModuleProblem(model(), data(), loss=loss, metrics={"m": lambda o, t: o[:, 0] ** power})

    line = tw.random_line(made(1))
    tw.loss_surface(made(1), line, extent=1.0, points=5, store=tmp_path / "s.zarr")
    with pytest.raises(StoreMismatchError):
        tw.loss_surface(made(2), line, extent=1.0, points=5, store=tmp_path / "s.zarr")


def test_another_function_of_coordinates_is_not_mixed_in(tmp_path):
    """Also where the two agree near zero, and differ where the problem stands."""
    made = [tw.FunctionProblem(lambda x, far=far: torch.where(x > 50, far * x, x), theta=[100.0]) for far in (2, 3)]
    line = tw.Line([100.0], [1.0])
    tw.loss_surface(made[0], line, extent=1.0, points=5, store=tmp_path / "s.zarr")
    with pytest.raises(StoreMismatchError):
        tw.loss_surface(made[1], line, extent=1.0, points=5, store=tmp_path / "s.zarr")


def test_a_result_that_was_saved_and_not_computed_there_is_refused(tmp_path):
    problem = problem_of()
    line = tw.random_line(problem)
    tw.save(tw.loss_surface(problem, line, extent=1.0, points=3), tmp_path / "s.zarr", "a")
    with pytest.raises(StoreMismatchError, match="was saved"):
        tw.loss_surface(problem, line, extent=1.0, points=3, store=tmp_path / "s.zarr", name="a")


def test_two_names_and_two_studies_do_not_meet(tmp_path):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    a = tw.loss_surface(problem, plane, extent=1.0, points=3, store=tmp_path / "s.zarr", name="a/b")
    b = tw.loss_surface(problem, plane, extent=2.0, points=4, store=tmp_path / "s.zarr", name="a-b")
    xr.testing.assert_identical(tw.load(tmp_path / "s.zarr", "a/b"), a)
    xr.testing.assert_identical(tw.load(tmp_path / "s.zarr", "a-b"), b)


def test_a_finished_run_leaves_only_the_study(tmp_path):
    problem = in_blocks()
    tw.loss_surface(problem, tw.coordinate_plane(problem), store=tmp_path / "s.zarr", **GRID)
    left = [f for f in tmp_path.rglob("*") if f.is_file() and tmp_path / "s.zarr" not in f.parents]
    assert left == []


def test_an_infinite_or_undefined_origin_can_be_stored(tmp_path):
    for value in (np.inf, np.nan):
        problem = tw.FunctionProblem(lambda x, v=value: torch.where(x == 0, torch.full_like(x, v), x))
        found = tw.loss_surface(problem, tw.Line([0.0], [1.0]), extent=1.0, points=3, store=tmp_path / f"{value}.zarr")
        np.testing.assert_array_equal(found.loss, [-1.0, value, 1.0])
        np.testing.assert_equal(found.loss.attrs["at_origin"], value)


def test_nothing_is_left_beside_the_study_not_even_after_a_refusal(tmp_path):
    problem = problem_of()
    line = tw.random_line(problem)
    tw.loss_surface(problem, line, extent=1.0, points=3, store=tmp_path / "s.zarr", name="a/b")
    with pytest.raises(StoreMismatchError):
        tw.loss_surface(problem, line, extent=2.0, points=3, store=tmp_path / "s.zarr", name="a/b")
    assert [f.name for f in tmp_path.iterdir()] == ["s.zarr"]


def test_a_half_filled_grid_goes_on_where_its_locks_were_not_copied_along(tmp_path):
    problem = in_blocks()
    plane = tw.coordinate_plane(problem)
    problem.fail_after = 13
    with pytest.raises(KeyboardInterrupt):
        tw.loss_surface(problem, plane, store=tmp_path / "s.zarr", **GRID)
    problem.fail_after = np.inf
    (tmp_path / "there").mkdir()
    (tmp_path / "s.zarr").rename(tmp_path / "there" / "s.zarr")
    found = tw.loss_surface(problem, plane, store=tmp_path / "there" / "s.zarr", **GRID)
    np.testing.assert_array_equal(found.loss, tw.loss_surface(problem, plane, **GRID).loss)
    assert [f.name for f in (tmp_path / "there").iterdir()] == ["s.zarr"]


def test_another_function_that_agrees_at_the_origin_is_not_mixed_in(tmp_path):
    made = [tw.FunctionProblem(lambda x, k=k: torch.where(x > 50.1, k * x, x), theta=[50.0]) for k in (2, 3)]
    line = tw.Line([50.0], [1.0])
    tw.loss_surface(made[0], line, extent=1.0, points=5, store=tmp_path / "s.zarr")
    with pytest.raises(StoreMismatchError, match=r"`loss` was|function"):
        tw.loss_surface(made[1], line, extent=1.0, points=5, store=tmp_path / "s.zarr")
