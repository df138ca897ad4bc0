"""Curves between optima and runs in plain numpy, as the measures would write them."""

import json

import numpy as np
import xarray as xr

from tests.figures.conftest import landscape, make, value

T = np.linspace(0.0, 1.0, 61)
ENDS = {"loss": (0.02, 0.05), "test_loss": (0.31, 0.36)}


def along(height=2.2, kind="segment", at=0.45, t=T, ends=ENDS, **attrs):
    """Losses that rise by `height` above the line between their ends, highest at `at`; accuracies that fall with it."""
    bump = np.exp(-(((t - at) / 0.16) ** 2)) * np.where((t == 0) | (t == 1), 0.0, 1.0)
    variables = {}
    for name, (a, b) in ends.items():
        variables[name] = value(name, ("t",), (1 - t) * a + t * b + height * bump)
        score = np.exp(-0.45 * variables[name][1])
        variables[name.replace("loss", "accuracy")] = value(name.replace("loss", "accuracy"), ("t",), score)
    ds = make(variables, {"t": t}, ("t",), subspace=json.dumps({"kind": kind}), **attrs)
    length = {"segment": 41.0, "bezier": 52.0, "polygonal": 55.0}[kind]
    ds["t"].attrs["units"] = "1"
    return ds.assign_coords(arc_length=("t", length * t, {"long_name": "distance along the curve"}))


def connection(steps=400, curve="bezier", seed=0):
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    loss = 0.08 + 1.9 * np.exp(-step / (steps / 8)) + 0.05 * rng.random(steps)
    rate = 0.05 * np.minimum(1, 2 * (1 - step / (steps + 1)))
    return xr.Dataset(
        {
            "theta": (("node", "weight"), rng.normal(size=(3, 12))),
            "loss": ("step", loss, {"units": "nats"}),
            "learning_rate": ("step", rate),
        },
        {"step": step},
        {"kind": "connection", "curve": curve},
    )


def barrier(*heights, names=("loss", "test_loss")):
    """One barrier for each quantity."""
    heights = np.array(heights or (2.2, 2.4))
    start, end = (np.array([ENDS.get(n, (0.99, 0.98))[k] for n in names]) for k in (0, 1))
    t = np.linspace(0.45, 0.5, heights.size)
    data = {"barrier": heights, "t": t, "highest": (1 - t) * start + t * end + heights, "start": start, "end": end}
    data = {k: ("quantity", v) for k, v in data.items()}
    return xr.Dataset(data, {"quantity": list(names)}, {"kind": "barrier"})


def valley_surface(points=41):
    """The plane through two optima and a bend: two basins joined by a curved valley."""
    a, b = np.linspace(-8, 48, points), np.linspace(-8, 26, points)
    x, y = np.meshgrid((a - 20) / 20, b / 20, indexing="ij")
    train = 0.05 + 2.4 * (y - 0.75 * (1 - x**2)) ** 2 + 0.25 * np.maximum(np.abs(x) - 1, 0) ** 2
    test = 1.1 * train + 0.3 + 0.04 * np.sin(4 * x)
    dims = ("alpha", "beta")
    variables = {"loss": value("loss", dims, train, 0.05), "test_loss": value("test_loss", dims, test, 0.3)}
    for name, loss in (("accuracy", train), ("test_accuracy", test)):
        variables[name] = value(name, dims, np.exp(-0.5 * loss), 0.97 if name == "accuracy" else 0.86)
    ds = make(variables, {"alpha": a, "beta": b}, dims, subspace=json.dumps({"kind": "through"}), subspace_id="abc")
    for dim in dims:
        ds[dim].attrs["units"] = "1"
    return ds


def course(kind="bezier", lift=0.0, bends=1):
    """A curve from (0, 0) to (40, 0); its inner points lie `lift` from the plane."""
    nodes = np.array([[0.0, 0.0], [20.0, 30.0], [40.0, 0.0]])
    if bends == 2:
        nodes = np.array([[0.0, 0.0], [8.0, 20.0], [32.0, 20.0], [40.0, 0.0]])
    degree = len(nodes) - 1
    t = T
    if kind == "bezier":
        binomial = [1, degree, 3, 1][: degree + 1] if degree == 3 else [1, 2, 1]
        weights = np.stack([c * (1 - t) ** (degree - k) * t**k for k, c in enumerate(binomial)], axis=1)
    else:
        place = t * degree
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(degree + 1)))
    x, y = (weights @ nodes).T
    inner = lift * np.sin(np.pi * t)
    node_distance = lift * np.array([0.0, *([1.3] * bends), 0.0])
    return xr.Dataset(
        {
            "alpha": ("t", x, {"role": "position"}),
            "beta": ("t", y, {"role": "position"}),
            "distance": ("t", inner),
            "loss": ("t", 0.05 + 0.02 * np.sin(np.pi * t), {"role": "value"}),
            "node_alpha": ("node", nodes[:, 0]),
            "node_beta": ("node", nodes[:, 1]),
            "node_distance": ("node", node_distance),
        },
        {"t": t},
        {"kind": "course", "coordinates": ["alpha", "beta"], "curve": kind, "subspace_id": "abc"},
    )


def walk(steps=101, dim=2000, seed=0, drift=0.0):
    """Weights of a random walk, with a drift."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(size=(steps - 1, dim)) + drift * rng.normal(size=dim)
    return np.concatenate([np.zeros((1, dim)), np.cumsum(moves, axis=0)])


def components(theta, axes):
    """Shares of the variance and scores, by a singular value decomposition."""
    centred = theta - theta.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return (s**2 / (s**2).sum())[:axes], u[:, :axes] * s[:axes]


def theory(steps, axes):
    """Those of an infinitely wide walk: eigenvalues of the centred covariance of its steps."""
    gram = np.minimum.outer(np.arange(steps), np.arange(steps)).astype(float)
    centre = np.eye(steps) - 1 / steps
    values, vectors = np.linalg.eigh(centre @ gram @ centre)
    order = np.argsort(values)[::-1][:axes]
    return values[order] / values.sum(), vectors[:, order] * np.sqrt(values[order])


def run(steps=101, dim=400, seed=3):
    """A run that goes straight at first and then settles: what training looks like."""
    rng = np.random.default_rng(seed)
    pace = np.exp(-np.arange(steps - 1) / 25.0)
    moves = pace[:, None] * (0.6 * rng.normal(size=(steps - 1, dim)) + 1.2 * rng.normal(size=dim))
    return np.concatenate([np.zeros((1, dim)), np.cumsum(moves, axis=0)])


def random_walk(theta=None, axes=6, samples=40):
    theta = run() if theta is None else theta
    ratio, score = components(theta, axes)
    known, curves = theory(len(theta), axes)
    walks = [components(walk(len(theta), 300, seed=k), axes) for k in range(samples)]
    return xr.Dataset(
        {
            "explained_variance_ratio": ("axis", ratio),
            "theory": ("axis", known),
            "walk": (("sample", "axis"), np.array([w[0] for w in walks])),
            "score": (("step", "axis"), score),
            "walk_score": (("step", "axis"), walks[0][1]),
            "theory_score": (("step", "axis"), curves),
        },
        {"axis": np.arange(1, axes + 1), "step": 10 * np.arange(len(theta))},
        {"kind": "random_walk"},
    )


def motion(theta=None):
    theta = run() if theta is None else theta
    moves = np.diff(theta, axis=0)
    sizes = np.linalg.norm(moves, axis=1)
    cosine = np.full(len(theta), np.nan)
    cosine[1:-1] = (moves[1:] * moves[:-1]).sum(axis=1) / (sizes[1:] * sizes[:-1])
    data = {
        "distance_from_start": np.linalg.norm(theta - theta[0], axis=1),
        "distance_from_end": np.linalg.norm(theta - theta[-1], axis=1),
        "path_length": np.concatenate([[0.0], np.cumsum(sizes)]),
        "speed": np.concatenate([[np.nan], sizes / 10]),
        "cosine": cosine,
    }
    return xr.Dataset(
        {k: ("step", v) for k, v in data.items()}, {"step": 10 * np.arange(len(theta))}, {"kind": "motion"}
    )


def by_length(theta=None, axes=3):
    theta = run() if theta is None else theta
    lengths = np.array([5, 10, 20, 40, 70, len(theta)])
    whole = np.linalg.svd(theta - theta.mean(axis=0), full_matrices=False)[2][:axes]
    ratios, known, overlap = [], [], []
    for n in lengths:
        part = theta[:n] - theta[:n].mean(axis=0)
        ratios.append(components(theta[:n], axes)[0])
        known.append(theory(n, axes)[0])
        overlap.append(float(((np.linalg.svd(part, full_matrices=False)[2][:axes] @ whole.T) ** 2).sum() / axes))
    return xr.Dataset(
        {
            "explained_variance_ratio": (("length", "axis"), np.array(ratios)),
            "theory": (("length", "axis"), np.array(known)),
            "overlap": ("length", np.array(overlap)),
        },
        {"length": lengths, "axis": np.arange(1, axes + 1)},
        {"kind": "components_by_length"},
    )


def trajectory(steps=41, seed=0):
    rng = np.random.default_rng(seed)
    theta = run(steps, 30, seed)
    step = 10 * np.arange(steps)
    loss = 0.1 + 2.0 * np.exp(-step / 120)
    accuracy = np.where(np.arange(steps) % 4 == 0, np.exp(-0.6 * loss), np.nan)
    return xr.Dataset(
        {
            "theta": (("step", "weight"), theta),
            "loss": ("step", loss + 0.02 * rng.normal(size=steps), {"units": "nats"}),
            "learning_rate": ("step", 0.1 * 0.5 * (1 + np.cos(np.pi * step / step[-1]))),
            "accuracy": ("step", accuracy),
            "test_accuracy": ("step", 0.96 * accuracy),
        },
        {"step": step},
        {"kind": "trajectory"},
    )


def principal(points=31):
    """Loss and accuracy on train and test in a principal plane with the path in it."""
    theta = run(41, 60)
    score = components(theta, 2)[1]
    score *= np.where(score[-1] < score[0], -1, 1)
    low, high = score.min(axis=0), score.max(axis=0)
    axes = [np.linspace(a - 0.2 * (b - a), b + 0.2 * (b - a), points) for a, b in zip(low, high, strict=True)]
    x, y = np.meshgrid(*((g - e) / s for g, e, s in zip(axes, score[-1], high - low, strict=True)), indexing="ij")
    train = landscape(0.7 * x + 0.15, 0.7 * y + 0.1)
    dims = ("alpha", "beta")
    losses = {"loss": train, "test_loss": 1.15 * train + 0.2}
    variables = {n: value(n, dims, v) for n, v in losses.items()}
    scores = {n.replace("loss", "accuracy"): np.exp(-0.6 * v) for n, v in losses.items()}
    variables |= {n: value(n, dims, v) for n, v in scores.items()}
    ds = make(variables, dict(zip(dims, axes, strict=True)), dims, origin="mean")
    for k, dim in enumerate(dims):
        ds[dim].attrs |= {"long_name": f"principal component {k + 1} ({(83, 9)[k]}%)", "units": "1"}
    path = xr.Dataset(
        {d: ("step", score[:, k], {"role": "position"}) for k, d in enumerate(dims)}
        | {"distance": ("step", np.linalg.norm(theta - theta.mean(0), axis=1) * 0.1)},
        {"step": 10 * np.arange(41)},
        {"kind": "path", "coordinates": list(dims), "explained_variance_ratio": [0.83, 0.09]},
    )
    return ds, path
