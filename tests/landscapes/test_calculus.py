"""The six functions of the first lesson, their derivatives, and torch's conventions at kinks."""

import math

import numpy as np
import pytest
import torch

from thalweg.landscapes import FUNCTIONS

# Value and derivative, with numpy, in the order of the lesson.
SIX = {
    "cos": (lambda x: np.cos(np.pi * x), lambda x: -np.pi * np.sin(np.pi * x)),
    "exp": (np.exp, np.exp),
    "square": (lambda x: x * x, lambda x: 2 * x),
    "abs": (abs, np.sign),
    "relu": (lambda x: np.where(x > 0, x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "arctan": (lambda x: np.arctan(5 * x), lambda x: 5 / (1 + 25 * x * x)),
}


def test_there_are_six_in_the_order_of_the_lesson():
    assert list(FUNCTIONS) == list(SIX)


@pytest.mark.parametrize("name", SIX)
def test_values_and_derivatives_are_those_of_calculus(name):
    value, derivative = SIX[name]
    x = np.linspace(-2, 2, 21)  # 0 among them: torch's derivatives of |x| and of the rectifier are 0 there
    problem = FUNCTIONS[name].problem(0.5)
    np.testing.assert_allclose(FUNCTIONS[name](x), value(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(problem.gradient(torch.tensor(x)[:, None])[:, 0], derivative(x), rtol=1e-12, atol=1e-14)
    assert problem.names == ["x"]
    assert problem.theta.tolist() == [0.5]
    assert problem.provenance()["model"] == name == FUNCTIONS[name].__name__


@pytest.mark.parametrize("name", SIX)
def test_floats_give_floats(name):
    found = FUNCTIONS[name](0.3)
    assert isinstance(found, float)
    assert found == pytest.approx(float(SIX[name][0](0.3)))


@pytest.mark.parametrize("name", SIX)
def test_kinks_are_where_one_sided_slopes_differ(name):
    f, h = FUNCTIONS[name], 1e-6
    for x in (-1.0, 0.0, 0.5):
        left, right = (f(x) - f(x - h)) / h, (f(x + h) - f(x)) / h
        assert (abs(left - right) > 0.5) == (x in f.kinks)


def test_the_mapping_cannot_be_changed():
    with pytest.raises(TypeError):
        FUNCTIONS["tan"] = math.tan
