"""Synthetic datasets as measures would write them, small and with a known formula."""

import numpy as np
import pytest
import xarray as xr

A, B = np.linspace(-1.0, 1.0, 41), np.linspace(-0.8, 1.2, 31)
WORDS = {
    "loss": ("training loss", "nats"),
    "test_loss": ("test loss", "nats"),
    "accuracy": ("training accuracy", "1"),
    "test_accuracy": ("test accuracy", "1"),
}
SPACE = {"alpha": "direction α", "beta": "direction β", "gamma": "direction γ", "t": "position on the curve t"}


def value(name, dims, values, at_origin=None):
    metric, split = name.removeprefix("test_"), "test" if name.startswith("test_") else "train"
    long_name, units = WORDS.get(name, (name, "1"))
    attrs = {"role": "value", "metric": metric, "split": split, "long_name": long_name, "units": units}
    return dims, values, attrs | ({} if at_origin is None else {"at_origin": at_origin})


def make(variables, coords, dims, **attrs):
    axes = {d: (d, v, {"long_name": SPACE[d], "units": "filter norms"}) for d, v in coords.items()}
    return xr.Dataset(variables, axes, {"kind": "surface", "coordinates": list(dims), **attrs})


def landscape(a, b):
    """A curved valley with a saddle, a second basin and ripples: what a small network's plane looks like."""
    valley = 1.6 * (b - 0.55 * a**2 - 0.1) ** 2 + 0.35 * (a - 0.15) ** 2
    return 0.17 + 2.4 * valley + 0.32 * (1 - np.cos(4.1 * a) * np.cos(3.3 * b)) + 1.1 * a**2 * b**2


def bumpy(a, b):
    return landscape(a, b) + 0.12 * np.sin(5 * a + 1) * np.cos(4 * b) + 0.2


@pytest.fixture
def plane():
    a, b = np.meshgrid(A, B, indexing="ij")
    at = np.array(0.0)
    train, test = landscape(a, b), bumpy(a, b) + 0.1
    scores = {"accuracy": np.exp(-train / 2.2), "test_accuracy": np.exp(-test / 2.2)}
    dims = ("alpha", "beta")
    variables = {
        "loss": value("loss", dims, train, float(landscape(at, at))),
        "test_loss": value("test_loss", dims, test, float(bumpy(at, at) + 0.1)),
        "accuracy": value("accuracy", dims, scores["accuracy"], float(np.exp(-landscape(at, at) / 2.2))),
        "test_accuracy": value("test_accuracy", dims, scores["test_accuracy"]),
    }
    return make(variables, {"alpha": A, "beta": B}, dims, title="ResNet-20 on CIFAR-10")


@pytest.fixture
def run_path():
    """A run from the hillside into the valley, which leaves the plane and comes back to it."""
    n = 40
    place, speed = np.array([-0.85, 0.95]), np.zeros(2)
    places = []
    for _ in range(n):
        places.append(place)
        grad = [(landscape(*(place + h)) - landscape(*(place - h))) / 2e-4 for h in np.eye(2) * 1e-4]
        speed = 0.8 * speed - 0.018 * np.array(grad)
        place = place + speed
    a, b = np.array(places).T
    distance = 0.6 * np.sin(np.linspace(0, np.pi, n)) + 1e-3
    projected = landscape(a, b)
    return xr.Dataset(
        {
            "alpha": ("step", a, {"role": "position"}),
            "beta": ("step", b, {"role": "position"}),
            "distance": ("step", distance),
            "loss": ("step", projected * (1 - 0.35 * distance), {"role": "value", "long_name": "training loss"}),
            "projected_loss": ("step", projected, {"role": "projected"}),
            "learning_rate": ("step", 0.1 * 0.5 * (1 + np.cos(np.linspace(0, np.pi, n)))),
        },
        {"step": np.arange(n) * 10},
        {"kind": "path", "coordinates": ["alpha", "beta"], "explained_variance_ratio": [0.61, 0.27]},
    )


@pytest.fixture
def broken():
    """An inf ridge at alpha > 0.9 and a nan corner."""
    a, b = np.meshgrid(A, B, indexing="ij")
    loss = landscape(a, b)
    loss[a > 0.9] = np.inf
    loss[(a < -0.8) & (b < -0.5)] = np.nan
    return make({"loss": value("loss", ("alpha", "beta"), loss)}, {"alpha": A, "beta": B}, ("alpha", "beta"))


@pytest.fixture
def wide():
    """From 1e-4 to 1e5."""
    a, b = np.meshgrid(A, B, indexing="ij")
    r = np.hypot(a - 0.1, b - 0.1 - 0.4 * a**2) / 1.5
    loss = 10.0 ** (-4 + 9 * np.clip(r, 0, 1) ** 0.8)
    return make({"loss": value("loss", ("alpha", "beta"), loss, 1e-3)}, {"alpha": A, "beta": B}, ("alpha", "beta"))


@pytest.fixture
def spiked():
    """A bowl with a few enormous values."""
    a, b = np.meshgrid(A, B, indexing="ij")
    loss = a**2 + b**2 + 0.1
    loss[0, :5] = 1e6
    return make({"loss": value("loss", ("alpha", "beta"), loss, 0.1)}, {"alpha": A, "beta": B}, ("alpha", "beta"))


@pytest.fixture
def adaptive(plane):
    mask = np.ones((A.size, B.size), bool)
    mask[::4, ::3] = False
    return plane[["loss"]].assign(interpolated=(("alpha", "beta"), mask, {"role": "mask"}))


@pytest.fixture
def line():
    t = np.linspace(-0.5, 1.5, 61)
    loss = 0.1 + 2.2 * np.exp(-(((t - 0.5) / 0.25) ** 2)) + 1.2 * (t * (t - 1)) ** 2
    test = loss * 1.15 + 0.2
    variables = {
        "loss": value("loss", ("alpha",), loss, float(loss[15])),
        "test_loss": value("test_loss", ("alpha",), test),
        "accuracy": value("accuracy", ("alpha",), np.exp(-0.9 * loss)),
        "test_accuracy": value("test_accuracy", ("alpha",), np.exp(-0.9 * test)),
        "test_loss_standard_error": (("alpha",), 0.06 * test, {"role": "standard_error", "of": "test_loss"}),
    }
    return make(variables, {"alpha": t}, ("alpha",), title="From one solution to another")


@pytest.fixture
def box():
    g = np.array([-0.5, 0.0, 0.5])
    a, b, c = np.meshgrid(A, B, g, indexing="ij")
    dims = ("alpha", "beta", "gamma")
    loss = value("loss", dims, landscape(a, b) + c**2, float(landscape(0.0, 0.0)))
    return make({"loss": loss}, {"alpha": A, "beta": B, "gamma": g}, dims)
