"""Ends of descents are told apart as calculus tells them, in whatever order the starts come."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import thalweg as tw
from thalweg.measures.outcomes import plateaus

from . import naive
from .naive import sgd

HIMMELBLAU = np.array([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])


def himmelblau():
    return tw.FunctionProblem(lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)


def wells(shift=0.0):
    """Two minima (shift ± 1, 0), between them a saddle (shift, 0)."""
    return tw.FunctionProblem(lambda x, y: ((x - shift) ** 2 - 1) ** 2 + y**2)


def told(problem, starts, optimizer, steps, **options):
    found = tw.outcomes(tw.descend(problem, starts, optimizer, steps), problem, **options)
    about = found.outcome.attrs
    names = [about["names"][k] for k in found.outcome.values]
    return found, names, [about["kinds"][k] for k in found.outcome.values]


def square(low, high, points):
    return tw.grid_starts((low, high), points).reshape(-1, 2).numpy()


def test_the_four_minima_of_himmelblau_have_a_name_each():
    found, names, kinds = told(himmelblau(), square(-4.5, 4.5, 10), sgd(0.005), 400)
    assert set(kinds) == {"minimum"}
    nearest = np.linalg.norm(found.theta[:, -1].values[:, None] - HIMMELBLAU, axis=2).argmin(axis=1)
    assert sorted(set(nearest)) == [0, 1, 2, 3]
    expected = [
        "minimum at (3, 2)",
        "minimum at (-2.81, 3.13)",
        "minimum at (-3.78, -3.28)",
        "minimum at (3.58, -1.85)",
    ]
    assert names == [expected[k] for k in nearest]


@pytest.mark.parametrize("shift", [0.0, 0.25, -3.0, 1010.0])
def test_two_wells_and_the_saddle_between_are_three_outcomes(shift):
    """Wherever in weight space they lie."""
    starts = [[shift + x, 0.5] for x in (-1.3, -0.5, -0.1, 0.0, 0.1, 0.5, 1.3)]
    _, names, kinds = told(wells(shift), starts, sgd(0.05), 300)
    assert kinds == ["minimum"] * 3 + ["saddle"] + ["minimum"] * 3
    assert len(set(names)) == 3
    assert len(set(names[:3])) == len(set(names[4:])) == 1
    if abs(shift) < 10:
        places = [f"({shift + x + 0.0:.3g}, 0)" for x in (-1, 0, 1)]
        assert names == [f"minimum at {places[0]}"] * 3 + [f"saddle at {places[1]}"] + [f"minimum at {places[2]}"] * 3


def test_a_saddle_is_a_saddle_however_unequal_its_curvatures():
    """1000x² - 0.4y² + y⁴ holds a start on the ridge y = 0 on its saddle."""
    problem = tw.FunctionProblem(lambda x, y: 1000 * x**2 - 0.4 * y**2 + y**4)
    _, names, kinds = told(problem, [[0.5, 0.0], [-0.4, 0.0]], sgd(2e-4), 100)
    assert kinds == ["saddle", "saddle"]
    assert names == ["saddle at (0, 0)"] * 2


def test_single_precision_comes_to_rest_too():
    """As far as its gradients can tell: a written landscape, and a network."""
    single = tw.FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2, dtype=torch.float32)
    starts = square(-1.5, 1.5, 5)
    _, names, kinds = told(wells(), starts, sgd(0.05), 300)
    _, single_names, single_kinds = told(single, starts, sgd(0.05), 300)
    assert single_kinds == kinds
    assert single_names == names
    data = [column.float() for column in naive.regression(20)]
    line = tw.ModuleProblem(torch.nn.Linear(2, 1), data, loss=F.mse_loss)
    assert set(told(line, naive.around(line, 5), sgd(0.3), 300)[2]) == {"minimum"}


def test_a_start_on_a_maximum_stays_there():
    problem = tw.FunctionProblem(lambda x, y: torch.cos(x) + torch.cos(y))
    _, names, kinds = told(problem, [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 2.0]], sgd(0.2), 200)
    assert kinds == ["maximum", "saddle", "minimum", "minimum"]
    assert names[0] == "maximum at (0, 0)"
    assert names[1] == "saddle at (0, 3.14)"
    assert names[2:] == ["minimum at (3.14, 3.14)", "minimum at (-3.14, 3.14)"]


def test_flat_ground_is_called_flat():
    """A dish with a flat bottom: whoever is on it, or rolled onto it, is at rest without being at a minimum."""
    dish = tw.FunctionProblem(lambda x, y: torch.relu(x**2 + y**2 - 1))
    _, names, kinds = told(dish, [[0.1, 0.2], [-0.5, 0.3], [2.0, 0.0], [-2.0, 1.0]], sgd(0.05), 100)
    assert kinds == ["flat"] * 4
    assert set(names) == {"flat region"}


@pytest.mark.parametrize("function", [lambda x, y: x + 2 * y, lambda x, y: x + torch.relu(-x - 100) ** 4 + y])
def test_a_slope_without_end_in_sight_is_no_outcome(function):
    """Without any curvature; and with a wall far ahead."""
    _, names, kinds = told(tw.FunctionProblem(function), square(-1, 1, 3), sgd(0.1), 50)
    assert set(zip(names, kinds, strict=True)) == {("still moving", "moving")}


@pytest.mark.parametrize("starts", [[[1.2, 0.1], [50.0, 3.0], [-1.2, 1.0]], [[40.0, 0.0], [50.0, 3.0], [60.0, 1.0]]])
def test_what_diverged_is_called_so(starts):
    found, names, kinds = told(wells(), starts, sgd(0.1), 100)
    gone = [abs(x) > 2 for x, _ in starts]
    assert [name == "diverged" for name in names] == [kind == "diverged" for kind in kinds] == gone
    assert (~np.isfinite(found.loss[:, -1].values)).tolist() == gone


def test_names_known_on_paper_are_asked_without_a_warning_of_what_diverged():
    known = {"right": ("minimum", lambda t: t[:, 0] - t[:, 1] > 0), "left": ("minimum", lambda t: t[:, 0] < 0)}
    _, names, _ = told(wells(), [[1.2, 0.1], [50.0, 60.0], [-1.2, 1.0]], sgd(0.1), 100, branches=known)
    assert names == ["right", "diverged", "left"]


def test_starts_of_infinite_loss_do_not_join_what_lies_apart():
    """More than half of the starts begin with an overflow; the two that converge are in different wells."""
    starts = [[1.2, 0.1], [1e90, 0.0], [2e90, 0.0], [-1e90, 1.0], [-1.2, 1.0]]
    _, names, _ = told(wells(), starts, sgd(0.05), 300)
    assert names[1:4] == ["diverged"] * 3
    assert len({names[0], names[4], "diverged"}) == 3


def test_ends_where_the_loss_is_undefined_are_diverged():
    problem = tw.FunctionProblem(lambda x, y: (torch.log(x) - 0.5) ** 2 + y**2)
    _, names, _ = told(problem, [[1.5, 0.1], [-1.0, 1.0], [-2.0, 1.0], [2.0, 2.0]], sgd(0.1), 300)
    assert names == ["minimum at (1.65, 0)", "diverged", "diverged", "minimum at (1.65, 0)"]


def test_a_valley_not_yet_followed_to_its_end_is_still_moving():
    """Rosenbrock's: 200 steps reach the valley at once and its end not by far; Newton's method does."""
    problem = tw.FunctionProblem(lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2)
    starts = square(-1.5, 0.5, 4)
    found, _, kinds = told(problem, starts, sgd(1e-4), 200)
    assert set(kinds) == {"moving"}
    assert np.linalg.norm(found.theta[:, -1] - 1, axis=1).min() > 0.3
    newton = lambda w: torch.optim.LBFGS(w, max_iter=50, line_search_fn="strong_wolfe")  # noqa: E731
    _, names, kinds = told(problem, starts, newton, 5)
    assert set(zip(names, kinds, strict=True)) == {("minimum at (1, 1)", "minimum")}


@pytest.mark.parametrize("gap", [1.0, 10.0])
def test_a_straight_valley_is_one_outcome_however_the_ends_lie_along_it(gap):
    """Two crowds of ends on one valley floor: no barrier is between them."""
    problem = tw.FunctionProblem(lambda x, y: x**2 + 0 * y)
    crowd = np.stack([np.linspace(-1, 1, 20), np.linspace(0, 0.5, 20)], axis=1)
    _, names, kinds = told(problem, np.concatenate([crowd, crowd + np.array([0, gap])]), sgd(0.1), 200)
    assert set(kinds) == {"minimum"}
    assert len(set(names)) == 1


def test_two_valleys_side_by_side_are_two_outcomes():
    problem = tw.FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + 0 * y)
    starts = square(-1.4, 1.4, 12)
    _, names, _ = told(problem, starts, sgd(0.05), 300)
    assert len(set(names)) == 2
    assert len(set(zip(names, starts[:, 0] > 0, strict=True))) == 2


def test_names_known_on_paper_go_first_where_their_kind_is_right():
    known = {
        "deep": ("minimum", lambda t: t[:, 0] > 0),
        "everything": ("minimum", lambda t: np.ones(len(t), dtype=bool)),
        "never": ("maximum", lambda t: np.ones(len(t), dtype=bool)),
    }
    starts = [[1.3, 0.2], [0.0, 0.2], [-1.3, 0.2], [0.4, -0.2]]
    _, names, kinds = told(wells(), starts, sgd(0.05), 300, branches=known)
    assert names == ["deep", "saddle at (0, 0)", "everything", "deep"]
    assert kinds == ["minimum", "saddle", "minimum", "minimum"]


@given(seed=st.integers(0, 2**32 - 1))
def test_another_order_of_the_starts_only_permutes_the_outcomes(seed):
    order = np.random.default_rng(seed).permutation(36)
    starts = square(-4.0, 4.0, 6)
    _, names, kinds = told(himmelblau(), starts, sgd(0.005), 150)
    found, permuted, permuted_kinds = told(himmelblau(), starts[order], sgd(0.005), 150)
    assert permuted == [names[k] for k in order]
    assert permuted_kinds == [kinds[k] for k in order]
    assert len(set(names)) > 3
    assert len(found.outcome.attrs["names"]) == len(set(found.outcome.attrs["names"])) == len(set(names))


def steps_on_plateaus(losses, steps):
    """Steps at which a path's excess over the least loss shrinks, for a step, with less than a fifth of a rate still to
    come; what is below a thousandth of the excess at the start counts as gone."""
    least, counts = min(min(row) for row in losses), []
    for row in losses:
        excess = [max(loss - least, (row[0] - least) / 1000) for loss in row]
        width = [b - a for a, b in itertools.pairwise(steps)]
        rate = [math.log(a / b) / w for (a, b), w in zip(itertools.pairwise(excess), width, strict=True)]
        slow = [any(rate[k] < later / 5 for later in rate[k + 1 :]) for k in range(len(rate))]
        counts.append(sum(w for w, is_slow in zip(width, slow, strict=True) if is_slow))
    return counts


@given(
    middle=st.lists(st.floats(5, 45), min_size=1, max_size=3),
    width=st.floats(0.5, 5),
    fall=st.floats(0.0, 3.0),
    every=st.integers(1, 4),
    steps=st.integers(50, 60),
)
def test_plateaus_are_counted_as_a_loop_counts_them(middle, width, fall, every, steps):
    """For losses that fall at once, wait, and fall again; in steps, not in kept steps."""
    kept = np.array(sorted({*range(0, steps + 1, every), steps}))
    losses = [fall * 0.7**kept + 1 / (1 + np.exp((kept - m) / width)) for m in middle]
    expected = steps_on_plateaus([row.tolist() for row in losses], kept.tolist())
    assert plateaus(np.array(losses), kept).tolist() == expected


def test_a_loss_that_shrinks_at_one_rate_has_no_plateau_and_one_that_waits_has():
    kept = np.arange(61)
    waits = 1 / (1 + np.exp(kept - 40.0))
    assert plateaus(np.stack([0.8**kept, waits]), kept).tolist() == [0, 39]


def test_what_diverges_has_no_say_in_the_plateaus_of_others():
    kept = np.arange(61)
    waits = 1 / (1 + np.exp(kept - 40.0))
    gone = np.where(kept < 20, 10.0**kept, np.where(kept < 30, np.inf, np.nan))
    assert plateaus(np.stack([waits, gone, 0.8**kept]), kept).tolist() == [39, 0, 0]


def test_the_plateaus_of_a_descent_are_those_of_its_losses():
    found, _, _ = told(naive.product(), [[0.0501, -0.05], [0.9, 0.9]], sgd(0.1), 200)
    assert found.plateau.values.tolist() == steps_on_plateaus(found.loss.values.tolist(), list(range(201)))
    assert found.plateau.values[0] > 15
    assert found.plateau.values[1] == 0


def test_sides_count_only_where_they_change_and_never_on_the_line_itself():
    problem = tw.FunctionProblem(lambda x, y: x**2 + y**2)
    paths = tw.descend(problem, [[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], sgd(0.1), 6)
    rows = [[1, -1, 1, 0, 1, -1, 0], [1, 0, -1, 0, 1, 0, -1], [-1, np.nan, np.inf, -1, 0, 0, -1]]
    paths["theta"][..., 0] = rows
    counted = tw.outcomes(paths, problem, side=lambda t: np.sign(t[:, 0])).crossings
    assert counted.values.tolist() == [3, 3, 0]


def test_a_noisy_descent_settles_into_the_basin_in_which_it_ended():
    """Its own iterates are kept; without settling it rests nowhere."""
    starts = tw.random_starts(30, seed=1)
    paths = tw.descend(wells(), starts, sgd(0.05), 200, noise=2.0, seed=3)
    settled = tw.outcomes(paths, wells(), settle=200)
    assert settled.theta.identical(paths.theta)
    about, side = settled.outcome.attrs, paths.theta[:, -1, 0].values > 0
    assert 5 < side.sum() < 25
    names = [about["names"][k] for k in settled.outcome.values]
    assert names == ["minimum at (1, 0)" if right else "minimum at (-1, 0)" for right in side]
    restless = tw.outcomes(paths, wells()).outcome
    assert sum(restless.attrs["kinds"][k] == "moving" for k in restless.values) > 20


def test_a_single_start_has_an_outcome():
    _, names, kinds = told(wells(), [1.5, 0.7], sgd(0.05), 300)
    assert names == ["minimum at (1, 0)"]
    assert kinds == ["minimum"]
    assert told(wells(), [1.0, 0.0], sgd(0.05), 3)[2] == ["minimum"], "at rest from the beginning"
    assert told(wells(), [1.5, 0.7], sgd(1e-4), 3)[2] == ["moving"]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_outcomes_do_not_depend_on_the_units_of_loss_or_weights(scale):
    """L(θ) -> s L(θ) with the rate η / s; L(θ) -> L(θ / s) with the starts s θ and the rate s² η."""
    _, plain, kinds = told(wells(), square(-1.5, 1.5, 5), sgd(0.05), 300)
    loud = tw.FunctionProblem(lambda x, y: scale * ((x**2 - 1) ** 2 + y**2))
    _, names, loud_kinds = told(loud, square(-1.5, 1.5, 5), sgd(0.05 / scale), 300)
    assert names == plain
    assert loud_kinds == kinds
    far = tw.FunctionProblem(lambda x, y: ((x / scale) ** 2 - 1) ** 2 + (y / scale) ** 2)
    _, names, far_kinds = told(far, scale * square(-1.5, 1.5, 5), sgd(0.05 * scale**2), 300)
    assert far_kinds == kinds
    assert len(set(names)) == len(set(plain)) == len(set(zip(names, plain, strict=True))) == 3


def test_ends_of_networks_are_told_apart_by_their_hessian():
    """A line fitted by least squares has one minimum; starts of all kinds reach it."""
    x, y = naive.regression(20)
    problem = tw.ModuleProblem(torch.nn.Linear(2, 1).double(), (x, y), loss=F.mse_loss)
    design = np.column_stack([x.numpy(), np.ones(20)])
    best = np.linalg.lstsq(design, y.numpy(), rcond=None)[0].ravel()
    found, names, kinds = told(problem, naive.around(problem, 5), sgd(0.3), 300)
    assert set(kinds) == {"minimum"}
    (name,) = set(names)
    told_place = np.array(name.removeprefix("minimum at (").removesuffix(")").split(", "), dtype=float)
    np.testing.assert_allclose(told_place, best, atol=6e-4)
    np.testing.assert_allclose(found.theta[:, -1], np.tile(best, (5, 1)), atol=1e-9)


def test_with_many_weights_ends_are_stationary_or_moving_by_their_gradient():
    problem = tw.FunctionProblem(lambda t: (t**2).sum(-1), num_weights=70)
    starts = np.concatenate([np.ones((2, 70)), 1e6 * np.ones((1, 70))])
    for steps, expected in ((100, "flat"), (1, "moving")):
        _, names, kinds = told(problem, starts[:2], sgd(0.2), steps)
        assert set(kinds) == {expected}
        assert names[0] == {"flat": "stationary", "moving": "still moving"}[expected]


def test_a_loaded_descent_has_the_same_outcomes(tmp_path):
    paths = tw.descend(wells(), square(-1.5, 1.5, 5), sgd(0.05), 200)
    back = tw.load(tw.save(paths, tmp_path / "study.zarr"), "descent")
    found = tw.outcomes(back, wells(), side=lambda t: np.sign(t[:, 0]))
    assert found.identical(tw.outcomes(paths, wells(), side=lambda t: np.sign(t[:, 0])))
    assert tw.load(tw.save(found, tmp_path / "study.zarr", "told"), "told").identical(found)


@pytest.mark.parametrize("extent", [5.0, 10.0, 20.0])
def test_minima_apart_are_never_one_however_high_the_starts_lie(extent):
    """The nearest minimum tells, by distance; the barrier between is nothing against the loss at the starts."""
    starts = square(-extent, extent, 8) + 0.0123

    def cooled(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)

    paths = tw.descend(himmelblau(), starts, lambda w: torch.optim.Adam(w, lr=0.05 * extent), 1500, scheduler=cooled)
    outcome = tw.outcomes(paths, himmelblau()).outcome
    nearest = np.linalg.norm(paths.theta[:, -1].values[:, None] - HIMMELBLAU, axis=2).argmin(axis=1)
    assert len(set(nearest)) == len(set(outcome.values)) == len(set(zip(outcome.values, nearest, strict=True))) == 4


def test_what_diverges_changes_no_other_outcome():
    starts = [[1.2, 0.0], [-1.2, 0.0], [0.5, 0.1]]
    _, alone, _ = told(wells(), starts, sgd(0.05), 200)
    _, names, _ = told(wells(), [*starts, [1e3, 0.0], [1e3, 1.0], [-1e3, 0.0]], sgd(0.05), 200)
    assert names == [*alone, *["diverged"] * 3]
    assert len(set(alone)) == 2


def test_a_start_far_away_changes_no_other_outcome():
    problem = tw.FunctionProblem(lambda x, y: torch.log1p((x**2 - 1) ** 2) + y**2)
    starts = [[1.1, 0.0], [-1.2, 0.0], [0.5, 0.1]]
    _, alone, _ = told(problem, starts, sgd(0.05), 300)
    for far in (30.0, 1e3, 1e5):
        assert told(problem, [*starts, [far, 0.0]], sgd(0.05), 300)[1] == [*alone, "still moving"]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
def test_numbers_of_groups_are_by_depth_whatever_the_unit_of_the_loss(scale):
    """Sixteen minima of a tilted lattice in four weights."""
    problem = tw.FunctionProblem(
        lambda t: scale * (((t**2 - 1) ** 2).sum(-1) + 0.3 * t[..., 0] + 0.1 * t[..., 1]), num_weights=4
    )
    starts = tw.random_starts(60, 4, seed=3, radius=1.5)
    found, names, _ = told(problem, starts, sgd(0.02 / scale), 600)
    depth = {name: found.loss[k, -1].item() / scale for k, name in enumerate(names)}
    numbers = sorted(depth, key=lambda name: int(name.removeprefix("minimum ")))
    assert len(numbers) > 12
    assert all(depth[a] <= depth[b] + 1e-6 for a, b in itertools.pairwise(numbers))


def test_kinks_and_ridges_are_told_by_the_loss_around_them():
    """Where subgradients are zero: a kinked minimum, a kinked maximum, and a ridge that only its subgradient holds."""

    def kind(function, starts):
        return told(tw.FunctionProblem(function), starts, sgd(0.1), 20)[2]

    rest = [[0.0, 0.0], [1.0, 1.0]]
    assert kind(lambda x, y: x.abs() + y.abs(), rest) == ["minimum", "moving"]
    assert kind(lambda x, y: -x.abs() - y.abs(), rest) == ["maximum", "moving"]
    assert kind(lambda x, y: -x.abs() + y**2, rest) == ["saddle", "moving"]


@pytest.mark.parametrize("count", [6, 8, 40])
def test_a_ring_of_minima_is_one_outcome_however_few_ends_it_has(count):
    angle = 0.1 + 2 * np.pi * np.arange(count) / count
    starts = 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ring = tw.FunctionProblem(lambda x, y: (x**2 + y**2 - 1) ** 2)
    _, names, kinds = told(ring, starts, sgd(0.05), 200)
    assert set(zip(names, kinds, strict=True)) == {("minimum", "minimum")}


def test_terraces_of_different_height_are_not_one():
    steps = tw.FunctionProblem(lambda x, y: torch.sigmoid(40 * torch.relu(x.abs() - 1)) + 0 * y)
    _, names, kinds = told(steps, [[0.0, 0.0], [5.0, 0.0], [-5.0, 1.0], [0.2, 0.3]], sgd(0.1), 3)
    assert set(kinds) == {"flat"}
    assert names[0] == names[3] != names[1]


def test_ends_on_the_rim_of_flat_ground_are_on_it():
    """The corners of a diamond: level in one direction of four."""
    dish = tw.FunctionProblem(lambda x, y: torch.relu(x.abs() + y.abs() - 0.75))
    _, names, kinds = told(dish, [[0.0, 0.75], [0.75, 0.0], [0.0, 0.0], [1.5, 1.5], [0.0, -0.75]], sgd(0.05), 100)
    assert set(zip(names, kinds, strict=True)) == {("flat region", "flat")}


def test_a_tail_that_fades_is_no_place_to_rest():
    """Far from a Gaussian well its slope is 1e-40 and less; nothing there is a saddle or a minimum."""
    well = tw.FunctionProblem(lambda x, y: -torch.exp(-(x**2) - y**2))
    starts = [[0.5, 0.3], [9.0, 1.0], [-9.0, -8.0], [10.0, 10.0], [9.5, 3.0]]
    _, names, kinds = told(well, starts, sgd(0.2), 200)
    assert kinds == ["minimum", *["moving"] * 4]
    assert names[0] == "minimum at (0, 0)"
