"""Classic surfaces have the values of the literature, and the critical points that they state."""

import math

import numpy as np
import pytest
import torch

from thalweg import landscapes
from thalweg.landscapes import classic, multimodal

ALL = {name: landscapes.landscape(name) for name in landscapes.names()}
POINTS = [(name, k) for name, land in ALL.items() for k in range(len(land.critical))]

# Written anew with numpy, term by term.
FORMULAS = {
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    "himmelblau": lambda x, y: (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
    "beale": lambda x, y: sum((c - x * (1 - y**k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
    "booth": lambda x, y: 5 * x * x + 5 * y * y + 8 * x * y - 34 * x - 38 * y + 74,
    "matyas": lambda x, y: 0.01 * (x + y) ** 2 + 0.25 * (x - y) ** 2 + 0 * x,
    "rastrigin": lambda x, y: sum(10 + t * t - 10 * np.cos(2 * np.pi * t) for t in (x, y)),
    "ackley": lambda x, y: (
        -20 * np.exp(-0.2 * np.sqrt(0.5 * (x * x + y * y)))
        - np.exp(0.5 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)))
        + np.e
        + 20
    ),
    "styblinski-tang": lambda x, y: sum(t**4 - 16 * t**2 + 5 * t for t in (x, y)) / 2,
    "three-hump-camel": lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2,
    "six-hump-camel": lambda x, y: 4 * x**2 - 2.1 * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4,
    "goldstein-price": lambda x, y: (
        (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2))
        * (30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2))
    ),
    "easom": lambda x, y: -np.cos(x) * np.cos(y) * np.exp(-((x - np.pi) ** 2 + (y - np.pi) ** 2)),
    "saddle": lambda x, y: (x - y) * (x + y),
    "monkey-saddle": lambda x, y: ((x + 1j * y) ** 3).real,
}
# Least values as published (Jamil & Yang 2013; Surjanovic & Bingham), by name.
LEAST = {
    **dict.fromkeys(["rosenbrock", "himmelblau", "beale", "booth", "matyas", "rastrigin", "ackley"], 0.0),
    **{"three-hump-camel": 0.0, "six-hump-camel": -1.0316, "goldstein-price": 3.0, "easom": -1.0},
    "styblinski-tang": -39.16617 * 2,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula(name):
    (lo, hi), (bottom, top) = ALL[name].extent
    x, y = np.random.default_rng(0).uniform(size=(2, 200))
    x, y = lo + (hi - lo) * x, bottom + (top - bottom) * y
    np.testing.assert_allclose(ALL[name](x, y), FORMULAS[name](x, y), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "k"), POINTS)
def test_a_stated_critical_point_is_one_of_its_type_and_loss(name, k):
    land, point = ALL[name], ALL[name].critical[k]
    at = torch.tensor(point.at, dtype=torch.double)
    assert land(*point.at) == pytest.approx(point.loss, abs=1e-12)
    if not point.smooth:
        around = torch.linspace(0, 2 * math.pi, 65, dtype=torch.double)
        for radius in (1e-6, 1e-3):
            ring = land(at[0] + radius * around.cos(), at[1] + radius * around.sin())
            assert (ring > point.loss).all()
        return
    problem = land.problem()
    hessian = torch.stack([problem.hvp(at, e) for e in torch.eye(2, dtype=torch.double)])
    low, high = torch.linalg.eigvalsh(hessian).tolist()
    assert float(problem.gradient(at).norm()) <= 1e-12 * max(1.0, abs(low), abs(high))
    assert {
        "minimum": low > 0,
        "maximum": high < 0,
        "saddle": low < 0 < high,
        "degenerate": low == high == 0,
        "degenerate minimum": low == high == 0,
    }[point.type]


@pytest.mark.parametrize("name", LEAST)
def test_the_least_stated_value_is_the_published_one_and_none_on_a_grid_is_lower(name):
    land = ALL[name]
    least = min(point.loss for point in land.critical)
    assert least == pytest.approx(LEAST[name], abs=1e-4)
    (lo, hi), (bottom, top) = land.extent
    grid = land(np.linspace(lo, hi, 201)[:, None], np.linspace(bottom, top, 201)[None, :])
    assert grid.min() >= least - 1e-12


@pytest.mark.parametrize("name", ["himmelblau", "six-hump-camel", "three-hump-camel", "styblinski-tang", "beale"])
def test_extrema_and_saddles_are_as_many_as_the_degree_of_the_gradient_says(name):
    """The degree of the gradient field on a circle around all is the number of extrema less that of saddles."""
    land = ALL[name]
    signs = [-1 if point.type == "saddle" else 1 for point in land.critical]
    radius = 1.5 * max(math.hypot(*point.at) for point in land.critical)
    angle = torch.linspace(0, 2 * math.pi, 20_001, dtype=torch.double)
    gradient = land.problem().gradient(radius * torch.stack([angle.cos(), angle.sin()], -1)).numpy()
    turns = np.unwrap(np.arctan2(gradient[:, 1], gradient[:, 0]))
    assert round(float(turns[-1] - turns[0]) / (2 * math.pi)) == sum(signs)


def test_a_logarithm_moves_no_critical_point():
    plain, log = multimodal.goldstein_price(), multimodal.goldstein_price(log=True)
    assert [point.at for point in log.critical] == [point.at for point in plain.critical]
    assert log(0.5, 0.5) == pytest.approx(math.log(plain(0.5, 0.5)))
    for point in log.critical:
        assert float(log.problem().gradient(torch.tensor(point.at, dtype=torch.double)).norm()) < 1e-10


def test_rosenbrocks_valley_moves_with_its_constants():
    land = classic.rosenbrock(a=2.0, b=5.0)
    assert land.critical[0].at == (2.0, 4.0)
    assert float(land.problem().gradient(torch.tensor([2.0, 4.0])).norm()) == 0.0
    assert land(1.0, 0.0) == pytest.approx(1 + 5)


def test_ackleys_tip_is_a_cone():
    """f grows like 20·0.2·r/√2 around 0, and autograd gives 0 at the tip itself."""
    land = ALL["ackley"]
    for angle in (0.0, 0.4, 2.0):
        r = 1e-7
        assert land(r * math.cos(angle), r * math.sin(angle)) / r == pytest.approx(4 / math.sqrt(2), rel=1e-4)
    assert land.problem().gradient(torch.zeros(2)).tolist() == [0.0, 0.0]
