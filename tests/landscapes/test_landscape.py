"""Every landscape by name is a problem with the right names, and what it says of itself is true."""

import re

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg import landscapes
from thalweg.landscapes.landscape import Branch, Landscape, ball, branches_at, with_coordinates

NAMES = landscapes.names()
ALL = {name: landscapes.landscape(name) for name in NAMES}
WITH_SOLUTIONS = [name for name in NAMES if ALL[name].solutions]
WITH_POINTS = [name for name in NAMES if ALL[name].critical and name not in ("multiply-by-one", "l5")]
WITH_BRANCHES = [name for name in NAMES if ALL[name].branches]


def test_the_names_are_those_of_the_lessons_and_the_classics():
    lessons = {"multiply-by-one", *(f"l{k}" for k in range(9))}
    classics = {
        *("rosenbrock", "himmelblau", "beale", "booth", "matyas", "rastrigin", "ackley", "styblinski-tang", "easom"),
        *("three-hump-camel", "six-hump-camel", "goldstein-price", "saddle", "monkey-saddle"),
    }
    assert set(NAMES) == lessons | classics
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_a_landscape_is_a_problem_of_two_named_weights(name):
    land = landscapes.landscape(name)
    problem = land.problem(theta=[0.25, -0.5], metrics={"radius": lambda a, b: (a * a + b * b) ** 0.5})
    assert land.name == name
    assert problem.provenance()["model"] == name
    assert problem.names == list(land.coordinates)
    assert problem.theta.tolist() == [0.25, -0.5]
    assert problem.quantities == ["loss", *land.metrics, "radius"]
    assert float(problem.loss(problem.theta)) == pytest.approx(land(0.25, -0.5), rel=1e-12)
    assert land.title
    assert land.formula
    assert land.about.endswith((".", "?"))


@pytest.mark.parametrize("name", NAMES)
def test_floats_arrays_and_tensors_of_any_shape_give_the_same_values(name):
    land = landscapes.landscape(name)
    (lo, hi), (bottom, top) = land.extent
    x, y = np.linspace(lo, hi, 7)[:, None], np.linspace(bottom, top, 5)[None, :]
    array = land(x, y)
    tensor = land(torch.tensor(x), torch.tensor(y))
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(array, tensor.numpy())
    assert isinstance(land(1.0, 2), float)
    for i, j in ((0, 0), (3, 4), (6, 1)):
        assert land(float(x[i, 0]), float(y[0, j])) == pytest.approx(array[i, j], rel=1e-12)
    single = land(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, array, rtol=1e-3, atol=1e-3 * max(1.0, abs(array).max()))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_everywhere_even_at_kinks_and_jumps(name):
    land = landscapes.landscape(name)
    (lo, hi), (bottom, top) = land.extent
    x, y = torch.linspace(lo, hi, 41, dtype=torch.double), torch.linspace(bottom, top, 41, dtype=torch.double)
    special = [[0.0, 0.0], [0.75, 0.0], [0.0, -0.25], [0.25, 0.0], *(point.at for point in land.critical)]
    points = torch.cat([torch.cartesian_prod(x, y), torch.tensor(special, dtype=torch.double)])
    problem = land.problem()
    assert torch.isfinite(problem.gradient(points)).all()
    assert torch.isfinite(problem.hvp(points, torch.ones_like(points))).all()


def test_all_but_the_random_ones_say_where_descent_can_end():
    assert set(NAMES) - set(WITH_BRANCHES) == {"l7", "l8"}
    assert WITH_SOLUTIONS == ["multiply-by-one", "l5"]


@pytest.mark.parametrize("name", WITH_SOLUTIONS)
def test_solutions_are_where_the_loss_is_least(name):
    land = landscapes.landscape(name)
    (lo, hi), (bottom, top) = land.extent
    grid = land(np.linspace(lo, hi, 101)[:, None], np.linspace(bottom, top, 101)[None, :])
    for curve in land.solutions.values():
        assert curve.ndim == 2
        assert curve.shape[1] == 2
        assert land(*curve.T).max() <= grid.min() + 1e-12


@pytest.mark.parametrize("name", WITH_POINTS)
def test_each_branch_holds_its_critical_point_and_no_other(name):
    land = landscapes.landscape(name)
    points = np.array([point.at for point in land.critical])
    held = np.stack([branch.contains(points) for branch in land.branches.values()])
    np.testing.assert_array_equal(held, np.eye(len(points), dtype=bool))
    kinds = [branch.kind for branch in land.branches.values()]
    assert kinds == [{"degenerate": "saddle"}.get(point.type, point.type) for point in land.critical]


@pytest.mark.parametrize("name", WITH_BRANCHES)
def test_no_branch_holds_what_diverged(name):
    land = landscapes.landscape(name)
    lost = np.array([[np.nan, 0.0], [np.inf, np.inf], [1e200, 1e200], [-np.inf, 3.0]])
    for branch in land.branches.values():
        assert not branch.contains(lost).any()


def test_an_unknown_name_is_told_the_closest_and_all():
    with pytest.raises(ValueError, match=re.escape("no landscape 'rosenbrok'. Did you mean 'rosenbrock'?")) as error:
        landscapes.landscape("rosenbrok")
    assert all(name in str(error.value) for name in NAMES)
    with pytest.raises(ValueError, match="There are: multiply-by-one") as error:
        landscapes.landscape("?")
    assert "Did you mean" not in str(error.value)


def test_names_are_found_however_they_are_spelled():
    assert landscapes.landscape("Three_Hump Camel").name == "three-hump-camel"


@pytest.mark.parametrize("name", ["l7", "l8"])
def test_the_seed_draws_what_is_random(name):
    x = np.linspace(-1, 1, 9)
    first, again, other = (landscapes.landscape(name, seed)(x, -x) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-3


def test_a_wrong_branch_or_critical_point_is_refused():
    kwargs = {"title": "A bowl", "formula": "x²", "function": lambda x, y: x * x, "about": "."}
    kwargs |= {"name": "bowl", "extent": ((-1, 1), (-1, 1))}
    with pytest.raises(ValueError, match="'valley'; use one of minimum, saddle"):
        Landscape(**kwargs, branches={"b": Branch("valley", ball((0, 0), 1.0))})
    with pytest.raises(ValueError, match="has 1 coordinates, but the landscape has 2"):
        Landscape(**kwargs, critical=(landscapes.CriticalPoint((0.0,), "minimum", 0.0),))


def test_coordinates_can_be_named():
    f = with_coordinates("bowl", ["u", "v"], lambda a, b: a * a + b * b)
    assert tw.FunctionProblem(f).names == ["u", "v"]


def test_degenerate_points_count_as_what_they_are_nearest_to():
    types = ["degenerate minimum", "degenerate maximum", "degenerate"]
    points = [landscapes.CriticalPoint((float(k), 0.0), kind, 0.0) for k, kind in enumerate(types)]
    assert [b.kind for b in branches_at(points, 0.1).values()] == ["minimum", "maximum", "saddle"]


def test_every_public_name_exists_and_is_explained():
    assert len(set(landscapes.__all__)) == len(landscapes.__all__)
    for name in landscapes.__all__:
        thing = getattr(landscapes, name)
        if callable(thing):
            assert (thing.__doc__ or "").strip(), name
