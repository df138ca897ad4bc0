"""Gradient descent on (1 - a b)² in plain numpy, as the measures would write it: surface, descents, critical points."""

import io

import numpy as np
import xarray as xr

from tests.figures.conftest import make, value
from thalweg import figures

GRID = np.linspace(-2.0, 2.0, 41)
NAMES = ["branch a, b > 0", "branch a, b < 0", "saddle", "still moving", "diverged"]
KINDS = ["minimum", "minimum", "saddle", "moving", "diverged"]


def loss(theta):
    return (1 - theta[..., 0] * theta[..., 1]) ** 2


def gradient(theta):
    return -2 * (1 - theta[..., :1] * theta[..., 1:]) * theta[..., ::-1]


def surface():
    """Loss, gradient, gradient norm and the region where it is below 0.5."""
    dims = ("alpha", "beta")
    places = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1)
    slope = gradient(places)
    norm = np.linalg.norm(slope, axis=-1)
    region = {"role": "region", "of": "gradient_norm", "eps": 0.5, "components": 3, "share": float((norm < 0.5).mean())}
    named = value("gradient_norm", dims, norm)
    named[2]["long_name"] = "gradient norm"
    variables = {
        "loss": value("loss", dims, loss(places)),
        "gradient_norm": named,
        "gradient": ((*dims, "coordinate"), slope, {"role": "gradient"}),
        "below_gradient_norm": (dims, norm < 0.5, region),
    }
    return make(variables, {"alpha": GRID, "beta": GRID}, dims)


def descend(starts, lr=0.1, steps=30, told=True, shape=None, **attrs):
    """Plain gradient descent from `starts` (n, 2), projected onto the plane of both weights."""
    theta, rate = [np.array(starts, dtype=float)], np.broadcast_to(np.asarray(lr, dtype=float), (steps + 1,))
    with np.errstate(all="ignore"):
        for k in range(steps):
            theta.append(theta[-1] - rate[k] * gradient(theta[-1]))
        theta = np.stack(theta, axis=1)
        losses, slope = loss(theta), gradient(theta)
    both = ("start", "step")
    ds = xr.Dataset(
        {
            "theta": ((*both, "weight"), theta),
            "loss": (both, losses, {"long_name": "training loss", "units": ""}),
            "gradient": ((*both, "weight"), slope),
            "learning_rate": ("step", rate),
            "alpha": (both, theta[..., 0], {"role": "position"}),
            "beta": (both, theta[..., 1], {"role": "position"}),
            "distance": (both, np.zeros_like(losses)),
        },
        {"start": np.arange(len(theta)), "step": np.arange(steps + 1)},
        {
            "kind": "descent",
            "coordinates": ["alpha", "beta"],
            "optimizer": "SGD(lr=0.1)",
            "start_shape": shape or [len(theta)],
            **attrs,
        },
    )
    return with_outcomes(ds) if told else ds


def with_outcomes(ds):
    end, last = ds["theta"].values[:, -1], ds["loss"].values[:, -1]
    found = np.full(len(end), 3)
    found[(last < 1e-3) & (end[:, 0] > 0)] = 0
    found[(last < 1e-3) & (end[:, 0] < 0)] = 1
    found[np.linalg.norm(end, axis=1) < 1e-3] = 2
    found[~np.isfinite(ds["loss"].values).all(axis=1)] = 4
    words = {"names": NAMES, "kinds": KINDS}
    return ds.assign(outcome=("start", found, words), plateau=("start", np.zeros(len(end), int)))


def circle(count=24, **kwargs):
    angle = 0.1 + 2 * np.pi * np.arange(count) / count
    return descend(np.column_stack([np.cos(angle), np.sin(angle)]), **kwargs)


def grid(points, **kwargs):
    g = np.linspace(-1.9, 1.9, points)
    return descend(np.stack(np.meshgrid(g, g, indexing="ij"), axis=-1).reshape(-1, 2), shape=[points, points], **kwargs)


def wild():
    """Some starts of a step size that is too large diverge, the first two do not."""
    return descend([[1.0, 0.6], [-0.9, -0.8], [1.9, -1.8], [-2.0, 1.9]], lr=0.3, steps=40)


def critical(types, places):
    names = ["minimum", "saddle", "maximum", "degenerate minimum", "degenerate maximum", "degenerate"]
    a, b = np.array(places, dtype=float).T
    n = len(a)
    return xr.Dataset(
        {
            "alpha": ("point", a, {"role": "position"}),
            "beta": ("point", b, {"role": "position"}),
            "loss": ("point", (1 - a * b) ** 2),
            "gradient_norm": ("point", np.zeros(n)),
            "eigenvalue": (("point", "direction"), np.tile([-2.0, 2.0], (n, 1))),
            "eigenvector": (("point", "coordinate", "direction"), np.tile(np.eye(2), (n, 1, 1))),
            "type": ("point", np.array([names.index(t) for t in types]), {"names": names}),
        },
        attrs={"kind": "critical_points", "coordinates": ["alpha", "beta"]},
    )


def branches():
    x = np.linspace(0.4, 2.5, 60)
    return {"a b = 1": [np.column_stack([x, 1 / x]), np.column_stack([-x, -1 / x])]}


def prepared(ds=None, variable=None, name="loss", **kwargs):
    shown = figures.surface(surface() if ds is None else ds, variable, backend="none", **kwargs)
    return shown, shown.layers[name].extras


def drawn(figure):
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def numbers(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def named(figure, name):
    (trace,) = [t for t in figure.data if t.name == name]
    return trace


def artist(figure, label):
    (line,) = [x for axes in figure.axes for x in axes.lines if x.get_label() == label]
    return line
