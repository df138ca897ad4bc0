"""The tangent against derivatives by hand: its error vanishes faster than the step wherever there is a derivative."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw

SMOOTH = {
    "cos(pi x)": (lambda x: torch.cos(math.pi * x), lambda x: -math.pi * np.sin(math.pi * x)),
    "exp": (torch.exp, np.exp),
    "square": (lambda x: x**2, lambda x: 2 * x),
    "arctan(5x)": (lambda x: torch.arctan(5 * x), lambda x: 5 / (1 + 25 * x**2)),
    "rational": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x**2) ** 2),
}
NUMPY = {
    "cos(pi x)": (lambda x: np.cos(math.pi * np.asarray(x)), lambda x: -math.pi * np.sin(math.pi * x)),
    "exp": (lambda x: np.exp(np.asarray(x)), np.exp),
    "arctan(5x)": (lambda x: np.arctan(5 * np.asarray(x)), lambda x: 5 / (1 + 25 * x**2)),
    "where(x > 0, x², 0)": (lambda x: np.where(np.asarray(x) > 0, np.asarray(x) ** 2, 0), lambda x: 2 * max(x, 0)),
}
near = st.floats(-1.5, 1.5, allow_subnormal=False)


@pytest.mark.parametrize("name", SMOOTH)
@given(x=near, eps=near)
def test_slope_tangent_and_error_are_those_by_hand(name, x, eps):
    function, derivative = SMOOTH[name]
    found = tw.linear_approximation(function, x, eps, extent=1.5, num=7)
    f = lambda at: float(function(torch.tensor(at, dtype=torch.double)))  # noqa: E731
    slope = derivative(x)
    assert float(found.slope[0]) == pytest.approx(slope, abs=1e-12)
    assert float(found.true[0]) == pytest.approx(f(x + eps))
    assert float(found.approximation[0]) == pytest.approx(f(x) + slope * eps, abs=1e-12)
    assert float(found.error[0]) == pytest.approx(f(x) + slope * eps - f(x + eps), abs=1e-12)
    np.testing.assert_allclose(found.x, np.linspace(-1.5, 1.5, 7))
    np.testing.assert_allclose(found.value, [f(at) for at in np.linspace(-1.5, 1.5, 7)])
    expected = [f(x) + slope * (at - x) for at in np.linspace(-1.5, 1.5, 7)]
    np.testing.assert_allclose(found.tangent[0], expected, rtol=1e-9, atol=1e-9)
    assert found.attrs["derivative"] == "automatic"


@pytest.mark.parametrize("x", [-0.7, 0.2, 1.1])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_at_a_smooth_point_vanishes_faster_than_the_step(name, x):
    """error / ε → 0; with a curvature, error / ε² → -f″/2."""
    function, derivative = SMOOTH[name]
    eps = 10.0 ** -np.arange(1, 5)
    error = tw.linear_approximation(function, x, eps).error.values
    ratio = np.abs(error / eps)
    assert (np.diff(ratio) < 0).all()
    assert ratio[-1] < 2e-3
    bend = (derivative(x + 1e-5) - derivative(x - 1e-5)) / 2e-5
    assert error[2] / eps[2] ** 2 == pytest.approx(-bend / 2, rel=0.05, abs=0.05)


def test_the_error_at_a_corner_vanishes_no_faster_than_the_step():
    """|x| at 0: torch's slope there is 0, and the error is -|ε| for every step; but the error at ε = 0 is 0."""
    found = tw.linear_approximation(torch.abs, 0.0, [0.5, -0.5, 1e-6, 0.0])
    np.testing.assert_array_equal(found.slope, 0.0)
    np.testing.assert_array_equal(found.error, [-0.5, -0.5, -1e-6, 0.0])


def test_a_rectifier_is_its_own_tangent_on_each_side():
    found = tw.linear_approximation(lambda x: torch.where(x > 0, x, 0.0), [-1.0, 1.0, 1.0], [0.5, -0.5, -1.5])
    np.testing.assert_array_equal(found.slope, [0.0, 1.0, 1.0])
    np.testing.assert_allclose(found.error, [0.0, 0.0, -0.5])


@given(x=near, eps=near, a=near, b=near)
def test_a_linear_function_has_no_error(x, eps, a, b):
    found = tw.linear_approximation(lambda t: a * t + b, x, eps)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-14)
    np.testing.assert_allclose(found.tangent[0], found.value, atol=1e-14)
    assert float(found.slope[0]) == a


@pytest.mark.parametrize("name", NUMPY)
@given(x=near)
def test_a_function_of_numpy_is_differentiated_by_differences(name, x):
    function, derivative = NUMPY[name]
    found = tw.linear_approximation(function, x, 0.5)
    assert found.attrs["derivative"] == "central differences"
    assert float(found.slope[0]) == pytest.approx(derivative(x), rel=1e-7, abs=1e-5)
    assert float(found.true[0]) == pytest.approx(float(function(x + 0.5)))


@pytest.mark.parametrize("function", [np.cos, np.exp, np.tanh, np.square, np.arctan])
def test_numpys_own_functions_are_taken_as_they_are(function):
    """`np.cos` itself, called with no wrapper."""
    found = tw.linear_approximation(function, [0.3, -0.2], 0.1)
    h = 1e-5
    expected = (function(np.array([0.3, -0.2]) + h) - function(np.array([0.3, -0.2]) - h)) / (2 * h)
    np.testing.assert_allclose(found.slope, expected, rtol=1e-6)
    np.testing.assert_allclose(found.true, function(np.array([0.4, -0.1])))
    assert found.attrs["function"] == function.__name__


@pytest.mark.parametrize("function", [lambda x: np.log(np.asarray(x)), lambda x: np.asarray(x) ** 0.5, torch.log])
def test_where_a_function_is_undefined_it_has_no_value_and_no_warning_is_given(function):
    found = tw.linear_approximation(function, 1.0, 0.5, extent=2.0, num=9)
    assert np.isnan(found.value[:4]).all()
    assert np.isfinite(found.value[5:]).all()
    assert np.isfinite(found.error).all()


def test_an_infinite_slope_gives_no_warning():
    found = tw.linear_approximation(torch.sqrt, 0.0, [0.5, 0.0], extent=(0.0, 1.0))
    assert np.isinf(found.slope).all()
    assert float(found.true[0]) == pytest.approx(0.5**0.5)


def test_points_and_steps_are_broadcast_into_a_film():
    one = tw.linear_approximation(torch.exp, [0.0, 1.0, 2.0], 0.5)
    assert one.epsilon.values.tolist() == [0.5] * 3
    assert one.point.values.tolist() == [0.0, 1.0, 2.0]
    other = tw.linear_approximation(torch.exp, 1.0, [0.5, 0.25])
    assert other.point.values.tolist() == [1.0, 1.0]
    both = tw.linear_approximation(torch.exp, [0.0, 1.0], [0.5, 0.25])
    assert both.sizes["step"] == 2
    assert both.tangent.shape == (2, 401)
    for k in range(2):
        single = tw.linear_approximation(torch.exp, [0.0, 1.0][k], [0.5, 0.25][k])
        for name in ("tangent", "slope", "true", "approximation", "error", "point", "epsilon"):
            np.testing.assert_array_equal(both[name][k], single[name][0])


def test_a_constant_is_its_own_tangent():
    for constant in (lambda x: 3.0, lambda x: torch.tensor(3.0)):
        found = tw.linear_approximation(constant, 1.0, 0.5)
        np.testing.assert_array_equal(found.value, 3.0)
        np.testing.assert_array_equal(found.tangent, 3.0)
        assert float(found.error[0]) == float(found.slope[0]) == 0.0


def test_the_picture_may_be_anywhere_and_the_name_any():
    found = tw.linear_approximation(torch.exp, 1.0, 0.5, extent=(0.5, 3.0), num=3, name="eˣ")
    assert found.x.values.tolist() == [0.5, 1.75, 3.0]
    assert found.attrs["function"] == "eˣ"
    assert tw.linear_approximation(lambda x: x, 1.0, 0.5).attrs["function"] == "f"


def test_an_approximation_comes_back_identical_from_a_study(tmp_path):
    for name, eps in {"one": 0.1, "film": [0.1, 0.2]}.items():
        found = tw.linear_approximation(torch.exp, 1.0, eps)
        assert tw.load(tw.save(found, tmp_path / "study.zarr", name), name).identical(found)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((3.0, 1.0, 0.1), TypeError, "`function` is a float"),
        ((torch.exp, [1.0, 2.0], [0.1, 0.2, 0.3]), ValueError, "2 points and 3 values of epsilon"),
        ((torch.exp, np.nan, 0.1), ValueError, "finite numbers"),
        ((torch.exp, 1.0, np.inf), ValueError, "finite numbers"),
        ((torch.exp, [[1.0]], 0.1), ValueError, "finite numbers, or sequences"),
        ((lambda x: torch.stack([x, x]), 1.0, 0.1), ValueError, "each number by itself"),
        ((lambda x: (x**2).mean(), [1.0, 2.0], 0.1), ValueError, "each number by itself"),
        ((lambda x: x - x.mean(), [1.0, 2.0], 0.1), ValueError, "each number by itself"),
        ((lambda x: x.cumsum(0), [1.0, 2.0], 0.1), ValueError, "each number by itself"),
    ],
)
def test_what_has_no_tangent_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        tw.linear_approximation(*arguments)


@pytest.mark.parametrize("options", [{"extent": -1.0}, {"extent": (2.0, 1.0)}, {"extent": np.inf}, {"num": 1}])
def test_a_picture_of_nothing_is_refused(options):
    with pytest.raises(ValueError, match=r"extent=.*num=.*positive radius or a pair"):
        tw.linear_approximation(torch.exp, 1.0, 0.1, **options)
