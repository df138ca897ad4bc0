"""Losses along curves against plain loops, and barriers against their definition."""

import copy

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import thalweg as tw
from thalweg import schema

from . import optima
from .optima import ends, problem

TEST = optima.data(24, seed=5)


def curves(norm=False):
    a, b = ends(norm)
    bend = a.flip(0)
    return [tw.Segment(a, b), tw.PolygonalChain(torch.stack([a, bend, b])), tw.BezierCurve(torch.stack([a, bend, b]))]


def accuracy(outputs, targets):
    return float((outputs.argmax(1) == targets).double().mean())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_loss_along_a_curve_is_that_of_a_loop(number):
    curve = curves()[number]
    p = problem(metrics={"accuracy": tw.accuracy}, test_data=TEST)
    along = tw.loss_along(p, curve, t=7)
    schema.check(along)
    np.testing.assert_allclose(along.t, np.linspace(0, 1, 7))
    np.testing.assert_allclose(along.arc_length, curve.arc_length(along.t))
    assert "arc_length" in along.coords
    for t, row in zip(along.t.values, range(7), strict=True):
        with torch.no_grad():
            model = optima.put(optima.network(), curve([t]))
            for prefix, (x, y) in (("", optima.data()), ("test_", TEST)):
                outputs = model(x)
                assert float(along[f"{prefix}loss"][row]) == pytest.approx(float(F.cross_entropy(outputs, y)))
                assert float(along[f"{prefix}accuracy"][row]) == pytest.approx(accuracy(outputs, y))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_statistics_of_batch_norm_are_those_of_each_place(number):
    """The oracle: a module in training mode sees all training data once, with the cumulative average; then the test
    data in evaluation mode. In one batch, whose variance torch keeps unbiased while it normalises by the biased one."""
    curve = curves(norm=True)[number]
    p = problem(norm=True, test_data=TEST)
    stored = copy.deepcopy(list(p._network.head.model.buffers()))
    along = tw.loss_along(p, curve, t=5)
    running = tw.loss_along(p, curve, t=5, batch_norm="running")
    for row, t in enumerate(along.t.values):
        with torch.no_grad():
            model = optima.put(optima.network(norm=True), curve([t]))
            for name, prefix, (x, y) in (("", "", optima.data()), ("", "test_", TEST)):
                assert float(running[f"{prefix}loss{name}"][row]) == pytest.approx(float(F.cross_entropy(model(x), y)))
            model[1].reset_running_stats()
            model[1].momentum = None
            model.train()(optima.data()[0])
            model.eval()
            for prefix, (x, y) in (("", optima.data()), ("test_", TEST)):
                assert float(along[f"{prefix}loss"][row]) == pytest.approx(float(F.cross_entropy(model(x), y)))
    assert along.attrs["batch_norm"] == "recalibrate"
    assert not np.allclose(along.loss, running.loss)
    assert all(torch.equal(old, new) for old, new in zip(stored, p._network.head.model.buffers(), strict=True))


def test_places_are_given_or_counted():
    p, curve = problem(), curves()[2]
    places = curve.at_equal_arc_length(5)
    along = tw.loss_along(p, curve, t=places)
    np.testing.assert_array_equal(along.t, places)
    np.testing.assert_allclose(np.diff(along.arc_length), curve.length() / 4, rtol=1e-9)
    assert tw.loss_along(p, curve).sizes["t"] == 61
    subset = tw.loss_along(p, curve, t=3, num_examples=10)
    assert "loss_standard_error" in subset
    for wrong in (1, [0.5, 0.2], [0.0, np.nan], [[0.0, 1.0]], "61", 61.0, True, 0.5):
        with pytest.raises(ValueError, match="places"):
            tw.loss_along(p, curve, t=wrong)
    with pytest.raises(TypeError, match="expected a Segment, PolygonalChain or BezierCurve"):
        tw.loss_along(p, tw.Line(np.zeros(57), np.ones(57)))
    with pytest.raises(ValueError, match="weights, but the problem has 57"):
        tw.loss_along(p, tw.Segment(np.zeros(3), np.ones(3)))


def test_what_was_measured_can_be_saved(tmp_path):
    along = tw.loss_along(problem(), curves()[1], t=3)
    tw.save(along, tmp_path / "study.zarr", "curve/along")
    assert tw.load(tmp_path / "study.zarr", "curve/along").identical(along)
    barrier = tw.loss_barrier(along)
    tw.save(barrier, tmp_path / "study.zarr", "curve/barrier")
    again = tw.load(tmp_path / "study.zarr", "curve/barrier")
    assert list(again.quantity.values) == ["loss"]
    assert float(again.barrier.sel(quantity="loss")) == float(barrier.barrier.sel(quantity="loss"))
    tw.save(tw.course(curves()[1], tw.curve_plane(curves()[1])), tmp_path / "study.zarr", "curve/course")
    assert len(tw.open_study(tmp_path / "study.zarr").leaves) == 3
    for found in (along, again, tw.load(tmp_path / "study.zarr", "curve/course")):
        file = tw.to_netcdf(found, tmp_path / "result.nc")
        assert tw.read_netcdf(file).attrs["kind"] == found.attrs["kind"]


def measured(**columns):
    """A surface over t with given values."""
    n = len(next(iter(columns.values())))
    variables = {}
    for name, values in columns.items():
        metric = name.removeprefix("test_")
        about = {"role": "value", "metric": metric, "split": "test" if "test_" in name else "train", "units": ""}
        variables[name] = ("t", np.asarray(values, dtype=float), about | {"long_name": name})
    coords = {"t": np.linspace(0, 1, n)}
    return xr.Dataset(variables, coords, {"kind": "surface", "coordinates": ["t"]})


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_a_barrier_is_the_highest_point_above_the_line_between_the_ends(values):
    found = tw.loss_barrier(measured(loss=values, accuracy=[-v for v in values])).sel(quantity="loss")
    n = len(values) - 1
    heights = [v - ((n - k) * values[0] + k * values[-1]) / n for k, v in enumerate(values)]
    expected = max(0.0, *heights)
    assert float(found.barrier) == pytest.approx(expected, abs=1e-9)
    assert float(found.barrier) >= 0
    assert float(found.start) == values[0]
    assert float(found.end) == values[-1]
    assert values[round(float(found.t) * n)] == float(found.highest)
    falling = tw.loss_barrier(measured(loss=values, accuracy=[-v for v in values])).sel(quantity="accuracy")
    assert float(falling.barrier) == pytest.approx(expected, abs=1e-9)
    assert int(falling.sign) == -1


def test_a_barrier_of_losses_that_are_not_finite_is_none():
    found = tw.loss_barrier(measured(loss=[1, np.inf, 1], test_loss=[1, np.nan, 3])).barrier.values
    assert found[0] == np.inf
    assert np.isnan(found[1])
    assert tw.loss_barrier(measured(loss=[1, np.inf, 1])).t.values == [0.5]


def test_what_has_no_two_ends_has_no_barrier():
    p = problem()
    with pytest.raises(ValueError, match="lies on a curve"):
        tw.loss_barrier(tw.loss_surface(p, tw.random_plane(p), extent=1.0, points=2))
    with pytest.raises(ValueError, match="both ends"):
        tw.loss_barrier(tw.loss_along(p, curves()[0], t=[0.5]))


@pytest.mark.parametrize("places", [[0.2, 0.5, 0.8], [0.0, 0.5], [0.5, 1.0], [-1.0, 0.5, 2.0]])
def test_a_barrier_stands_between_the_ends_of_the_curve(places):
    hill = tw.FunctionProblem(lambda x, y: x * (1 - x) + 0 * y)
    way = tw.Segment([0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"both ends, t = 0 and t = 1"):
        tw.loss_barrier(tw.loss_along(hill, way, places))
    found = tw.loss_barrier(tw.loss_along(hill, way, sorted({0.0, 1.0, *places})))
    assert float(found.barrier[0]) == pytest.approx(0.25)
    assert (float(found.start[0]), float(found.end[0])) == (0.0, 0.0)
    line = tw.loss_surface(hill, tw.Line([0.0, 0.0], [1.0, 1.0]), extent=2.0, points=5)
    assert float(tw.loss_barrier(line).barrier[0]) == pytest.approx(4.0)  # from -2 to 2: -6, 0 and -2


@pytest.mark.parametrize("falling", ["accuracy", ["acuracy"], ["accuracy", "test_accuracy"]])
def test_metrics_that_fall_are_a_list_of_those_measured(falling):
    along = measured(loss=[0, 1, 0], accuracy=[1, 0, 1], test_accuracy=[1, 0, 1])
    with pytest.raises(ValueError, match=r"falling=.*Measured were loss, accuracy"):
        tw.loss_barrier(along, falling=falling)
    assert list(tw.loss_barrier(along, falling=["accuracy"]).barrier.values) == [1.0, 1.0, 1.0]
    assert list(tw.loss_barrier(along, falling=[]).barrier.values) == [1.0, 0.0, 0.0]
