"""Datasets of stochastic descent, fits and tangents as measures would write them, from their formulas with numpy."""

import numpy as np
import xarray as xr


def perceptron_data(n=100, std=3.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    return x, 2 * x + std * rng.normal(size=n)


def pointwise(w1, w2, x, y):
    return (y - w1 * np.maximum(w2 * x, 0)) ** 2


def expected(w1, w2, std=3.0):
    """Of the perceptron with y = 2x + N(0, std²) and x uniform on [-1, 1]."""
    p = w1 * w2
    return std**2 + 4 / 3 - 2 * p / 3 + p**2 / 6


def gradient(w1, w2, x, y):
    h = np.maximum(w2 * x, 0)
    r = w1 * h - y
    return 2 * r * h, 2 * r * w1 * x * (w2 * x > 0)


def risks(points=100, n=100, with_expected=True, labelled=True):
    """Kind `surface` of the perceptron w1 relu(w2 x) on [-5, 5]²."""
    x, y = perceptron_data(n)
    grid = np.linspace(-5, 5, points)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    each = pointwise(a[..., None], b[..., None], x, y)
    dims = ("alpha", "beta")
    word = {"role": "value", "metric": "risk", "units": ""}
    mean = {**word, "split": "train", "long_name": "empirical risk", "at_origin": float((y**2).mean())}
    whole = {**word, "split": "population", "long_name": "expected risk", "at_origin": expected(0.0, 0.0)}
    variables = {
        "pointwise_risk": ((*dims, "example"), each, {"role": "per_example", "long_name": "pointwise risk"}),
        "empirical_risk": (dims, each.mean(-1), mean),
    }
    if with_expected:
        variables["expected_risk"] = (dims, expected(a, b), whole)
    axes = {d: (d, grid, {"long_name": name, "units": "1"}) for d, name in zip(dims, ("w1", "w2"), strict=True)}
    known = {"x": ("example", x), "y": ("example", y)} if labelled else {}
    return xr.Dataset(variables, {**axes, **known}, {"kind": "surface", "coordinates": list(dims)})


def sgd(first=(3.0, -4.0), lr=0.01, epochs=1, n=100, batch=1, every=1):
    """Kind `descent` with positions: in order through the data, `batch` examples at a time."""
    x, y = perceptron_data(n)
    theta, steps = np.array(first, dtype=float), epochs * n // batch
    places, slopes, chosen, losses = [theta], [], [], []
    for k in range(steps):
        who = (np.arange(batch) + k * batch) % n
        slope = np.array([g.mean() for g in gradient(*theta, x[who], y[who])])
        chosen.append(who)
        slopes.append(slope)
        losses.append(pointwise(*theta, x[who], y[who]).mean())
        theta = theta - lr * slope
        places.append(theta)
    chosen.append(np.full(batch, -1))
    slopes.append(np.full(2, np.nan))
    losses.append(np.nan)
    keep = np.arange(0, steps + 1, every)
    w = np.array(places)[None, keep]
    loss = pointwise(w[..., :1], w[..., 1:], x, y).mean(-1)
    return xr.Dataset(
        {
            "theta": (("start", "step", "weight"), w),
            "alpha": (("start", "step"), w[..., 0], {"role": "position"}),
            "beta": (("start", "step"), w[..., 1], {"role": "position"}),
            "distance": (("start", "step"), np.zeros(w.shape[:2])),
            "loss": (("start", "step"), loss, {"long_name": "empirical risk", "units": ""}),
            "gradient": (("start", "step", "weight"), np.array(slopes)[None, keep]),
            "batch_loss": (("start", "step"), np.array(losses)[None, keep]),
            "example": (("step", "slot"), np.array(chosen)[keep]),
            "learning_rate": ("step", np.full(keep.size, lr)),
        },
        {"start": [0], "step": keep},
        {
            "kind": "descent",
            "coordinates": ["alpha", "beta"],
            "optimizer": f"SGD(lr={lr})",
            "steps": steps,
            "every": every,
            "batch_size": batch,
            "weights": ["w1", "w2"],
        },
    )


def tangents(points=(0.5,), epsilons=(0.4,), function="cos(πx)"):
    """Kind `linear_approximation` of cos(πx), one step for each pair of a point and an epsilon."""
    x = np.linspace(-2, 2, 401)
    at, eps = np.array(points, dtype=float), np.array(epsilons, dtype=float)
    value, slope = np.cos(np.pi * at), -np.pi * np.sin(np.pi * at)
    true, near = np.cos(np.pi * (at + eps)), value + slope * eps
    return xr.Dataset(
        {
            "value": ("x", np.cos(np.pi * x)),
            "tangent": (("step", "x"), value[:, None] + slope[:, None] * (x - at[:, None])),
            **{
                name: ("step", v)
                for name, v in {
                    "point": at,
                    "epsilon": eps,
                    "slope": slope,
                    "true": true,
                    "approximation": near,
                    "error": near - true,
                }.items()
            },
        },
        {"x": x, "step": np.arange(at.size)},
        {"kind": "linear_approximation", "function": function},
    )


def fit(starts=(0.0,), steps=25, lr=0.1, n=300, truth=True, weights=("theta",)):
    """Kind `fit`: sin(theta x) by descent on data of theta = 2.1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    y = np.sin(2.1 * x) + 0.75 * rng.normal(size=n)
    grid = np.linspace(-4, 4, 201)
    theta, places = np.array(starts, dtype=float), []
    for _ in range(steps + 1):
        places.append(theta)
        out = np.sin(theta[:, None] * x)
        theta = theta - lr * (2 * (out - y) * x * np.cos(theta[:, None] * x)).mean(-1)
    w = np.array(places).T[..., None]
    variables = {
        "prediction": (("start", "step", "input"), np.sin(w * grid)),
        "loss": (("start", "step"), ((np.sin(w * x) - y) ** 2).mean(-1), {"long_name": "mean squared error"}),
        "theta": (("start", "step", "weight"), w),
        "x": ("example", x, {"long_name": "x"}),
        "y": ("example", y, {"long_name": "y"}),
    }
    if truth:
        variables["truth"] = ("input", np.sin(2.1 * grid))
    return xr.Dataset(
        variables,
        {"input": ("input", grid, {"long_name": "x"}), "start": np.arange(len(starts)), "step": np.arange(steps + 1)},
        {"kind": "fit", "formula": "sin(θx)", "weights": list(weights)},
    )
