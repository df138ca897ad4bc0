"""What the record of a fit holds: mean squared errors, and descents, as a naive loop finds them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.apps.widgets import HandFit, Task, unpacked, usual_tasks
from thalweg.landscapes import LinearModel, PolynomialModel, SineModel, linear_data

TASKS = usual_tasks()
MODELS = {
    "linear": lambda x, w, b: w * x + b,
    "rectified": lambda x, t: np.maximum(x - t, 0),
    "trigonometric": lambda x, t: np.sin(t * x),
}
SLOPES = {
    "linear": lambda x, w, b: np.array([x, np.ones_like(x)]),
    "rectified": lambda x, t: np.array([-(x > t).astype(float)]),
    "trigonometric": lambda x, t: np.array([x * np.cos(t * x)]),
}


class Sink:
    def __init__(self):
        self.rows, self.closed = [], False

    def log(self, step, values):
        self.rows.append((step, values))

    def close(self):
        self.closed = True


def residual(name, theta):
    x, y = (v.numpy() for v in TASKS[name].data)
    return x, MODELS[name](x, *theta) - y


@pytest.mark.parametrize(("name", "theta"), [("linear", [1.0, -2.0]), ("rectified", [0.3]), ("trigonometric", [5.5])])
def test_each_change_is_recorded_with_its_mean_squared_error(name, theta):
    fit = HandFit({name: TASKS[name]})
    fit.move(theta)
    (entry,) = fit.history
    assert (entry["change"], entry["task"], entry["by"], entry["theta"]) == (0, name, "hand", theta)
    assert entry["mse"] == pytest.approx(np.mean(residual(name, theta)[1] ** 2), rel=1e-12)


@pytest.mark.parametrize(("name", "theta"), [("linear", [1.0, -2.0]), ("rectified", [0.3]), ("trigonometric", [1.5])])
def test_descent_is_the_loop_that_anyone_would_write(name, theta):
    fit = HandFit({name: TASKS[name]})
    fit.move(theta)
    fit.descend()
    at, expected = np.array(theta), [theta]
    for _ in range(25):
        x, left = residual(name, at)
        at = at - TASKS[name].lr * 2 * (SLOPES[name](x, *at) * left).mean(axis=1)
        expected.append(at)
    np.testing.assert_allclose([e["theta"] for e in fit.history[1:]], expected, rtol=1e-9)
    np.testing.assert_allclose(fit.theta, at, rtol=1e-9)


def test_what_the_page_tells_is_recorded_and_sent_on():
    sink = Sink()
    fit = HandFit({"linear": TASKS["linear"]}, sink=sink)
    fit.settled = {"task": "linear", "theta": [0.5, 0.25]}
    fit.settled = {"task": "another", "theta": [9.0]}  # told late, of what is no longer shown
    fit.asked = 1
    assert [entry["by"] for entry in fit.history] == ["hand"] + ["descent"] * 26
    assert [step for step, _ in sink.rows] == list(range(27))
    assert sink.rows[0][1] == {"fit/mse": fit.history[0]["mse"], "fit/w": 0.5, "fit/b": 0.25}
    fit.cleared = 1
    assert fit.history == []


def test_another_logger_and_the_end_close_the_logger():
    first, second = Sink(), Sink()
    fit = HandFit({"linear": TASKS["linear"]}, sink=first)
    fit.send_to(second)
    assert (first.closed, second.closed) == (True, False)
    fit.close()
    assert second.closed


def test_choosing_a_task_begins_where_it_begins():
    fit = HandFit()
    fit.move([1.0, 1.0])
    fit.choose("trigonometric")
    assert (fit.theta, fit.lr) == ([0.0], 0.1)


@given(st.floats(-3, 3), st.floats(-6, 6))
def test_three_places_along_each_weight_determine_the_loss_of_a_linear_model(w, b):
    """The loss is a parabola along each weight, so the polynomial through nine of its values is the loss."""
    table = unpacked(TASKS["linear"].sampled()["loss"])
    nodes = np.array([-1.0, 0.0, 1.0])

    def weights(t):
        return [np.prod([(t - m) / (n - m) for m in nodes if m != n]) for n in nodes]

    found = weights(w / 3) @ table @ weights(b / 6)
    assert found == pytest.approx(np.mean(residual("linear", (w, b))[1] ** 2), rel=1e-9)


def test_samples_of_a_nonlinear_model_are_its_loss_slope_and_prediction():
    told = TASKS["trigonometric"].sampled()
    at = np.linspace(-6, 6, 500)
    losses = [np.mean(residual("trigonometric", (t,))[1] ** 2) for t in at]
    np.testing.assert_allclose(unpacked(told["loss"]), losses, rtol=1e-9)
    np.testing.assert_allclose(unpacked(told["slope"])[1:-1], np.gradient(losses, at)[1:-1], atol=0.05)
    assert unpacked(told["prediction"]).shape == (401, 501)


def test_polynomials_are_fitted_by_hand_too():
    task = Task(PolynomialModel(2), linear_data(), {f"w{k}": (-1.0, 1.0) for k in range(3)}, linear=True)
    told = task.sampled()
    assert unpacked(told["loss"]).shape == (3, 3, 3)
    assert unpacked(told["prediction"]).shape == (2, 2, 2, 501)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HandFit({}), "nothing to fit"),
        (lambda: HandFit(task="cubic"), "There is no task 'cubic'; there are 'linear'"),
        (
            lambda: Task(SineModel(), linear_data(), {"w": (0, 1)}),
            r"parameters \['theta'\], the limits are for \['w'\]",
        ),
        (lambda: Task(LinearModel(), linear_data(), {"w": (0, 1), "b": (0, 1)}), "sliders are made for one"),
    ],
)
def test_refusals_say_what_was_needed(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_model_that_is_fitted_stays_as_it_was():
    before = [p.clone() for p in TASKS["linear"].model.parameters()]
    fit = HandFit({"linear": TASKS["linear"]})
    fit.move([2.0, 2.0])
    fit.descend()
    assert all(torch.equal(a, b) for a, b in zip(before, TASKS["linear"].model.parameters(), strict=True))
