"""The tangent's numbers are those of calculus."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.apps.widgets import Tangent, unpacked

ORACLES = {
    "cos": (lambda x: np.cos(np.pi * x), lambda x: -np.pi * np.sin(np.pi * x)),
    "exp": (np.exp, np.exp),
    "square": (np.square, lambda x: 2 * x),
    "abs": (np.abs, np.sign),
    "relu": (lambda x: np.maximum(x, 0), lambda x: np.heaviside(x, 0)),
    "arctan": (lambda x: np.arctan(5 * x), lambda x: 5 / (1 + 25 * x**2)),
}
TANGENT = Tangent()
place = st.floats(-2, 2)


@given(st.sampled_from(sorted(ORACLES)), place, place)
def test_the_error_is_that_of_the_closed_form(name, x, moved):
    TANGENT.function, TANGENT.x, TANGENT.moved = name, x, moved
    value, slope = ORACLES[name]
    expected = value(x) + slope(x) * (moved - x) - value(moved)
    assert float(TANGENT.dataset().error[0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_samples_are_values_and_slopes(name):
    told = TANGENT.functions[name]
    places = np.linspace(-2, 2, 801)
    value, slope = ORACLES[name]
    np.testing.assert_allclose(unpacked(told["value"]), value(places), atol=1e-14)
    np.testing.assert_allclose(unpacked(told["slope"]), slope(places), atol=1e-12)


def test_cells_beside_a_kink_are_joined_by_lines():
    """torch's slope at the kink is 0, which is right for the rectifier's left side only."""
    assert unpacked(TANGENT.functions["abs"]["smooth"])[399:401].tolist() == [0, 0]
    assert unpacked(TANGENT.functions["relu"]["smooth"])[399:401].tolist() == [1, 0]
    assert unpacked(TANGENT.functions["cos"]["smooth"]).all()


def test_numpy_functions_are_sampled_too():
    shown = Tangent({"wave": np.sin}, x=0.0, moved=0.5)
    assert float(shown.dataset().error[0]) == pytest.approx(0.5 - math.sin(0.5), abs=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"functions": {}}, "no function to draw"),
        ({"function": "tan"}, "There is no function 'tan'; there are 'cos'"),
        ({"x": 3.0}, "x=3 lies outside"),
    ],
)
def test_refusals_say_what_there_is(settings, words):
    with pytest.raises(ValueError, match=words):
        Tangent(**settings)
