"""Tangents, kernels and lazy training in plain numpy, as the measures would write them."""

import numpy as np
import xarray as xr


def rows(n, outputs=1, label=None, dim="row", prefix=""):
    found = {
        prefix + "example": (dim, np.repeat(np.arange(n), outputs)),
        prefix + "output": (dim, np.tile(np.arange(outputs), n)),
    }
    if label is not None:
        found[prefix + "label"] = (dim, np.repeat(label, outputs))
    return found


def jacobian(n=60, weights=7, seed=0):
    """Of polynomials in x: f(x) = sum of w_k x^k, in no order."""
    x = np.random.default_rng(seed).uniform(-1, 1, n)
    return x, x[:, None] ** np.arange(weights)


def tangent(n=60, weights=7, seed=0, label=None, scalar=True, outputs=1, target=False, **attrs):
    """The singular value decomposition of `jacobian`, with its rows for one output or several."""
    x, j = jacobian(n, weights, seed)
    rng = np.random.default_rng(1)
    if outputs > 1:
        j = np.einsum("nw,ow->now", j, rng.normal(size=(outputs, weights))).reshape(n * outputs, weights)
    u, s, _ = np.linalg.svd(j, full_matrices=False)
    data = {
        "singular_value": ("value", s),
        "residual": ("value", 0 * s),
        "bound": ("value", 0 * s),
        "principal_feature": (("row", "value"), u * s),
        "prediction": ("row", j.sum(1)),
    }
    if scalar:
        data["x"] = ("row", np.repeat(x, outputs))
    if target:
        data["target"] = ("row", np.repeat(np.sin(3 * x), outputs))
    told = {
        "kind": "tangent",
        "title": "Tangent of Net",
        "method": "exact",
        "rank": weights,
        "rank_known": 1,
        "frobenius": float(np.linalg.norm(j)),
        "num_weights": weights,
        "inputs": "training",
        "outputs": "all",
    }
    told |= {"train_low": -1.0, "train_high": 0.4} if scalar else {}
    return xr.Dataset(data, {"value": np.arange(1, s.size + 1), **rows(n, outputs, label)}, told | attrs)


def lost(**kwargs):
    ds = tangent(**kwargs)
    return ds.assign(singular_value=ds.singular_value * np.nan, principal_feature=ds.principal_feature * np.nan)


def kernel(n=24, outputs=1, layers=0, classes=3, scalar=False, columns=None, seed=0, **attrs):
    """J J^T of random rows (and other rows), by class or by input."""
    sides, coords = [], {}
    for dim, prefix, count in (("row", "", n), ("column", "column_", columns or n)):
        x = np.random.default_rng(seed).uniform(-1, 1, count)
        label = np.random.default_rng(seed).integers(0, classes, count)
        coords |= rows(count, outputs, None if scalar else label, dim, prefix)
        key = x if scalar else label
        place = np.empty(count, dtype=int)
        place[np.argsort(key, kind="stable")] = np.arange(count)
        coords[prefix + "order"] = (dim, (place[:, None] * outputs + np.arange(outputs)).ravel())
        if scalar:
            coords[prefix + "x"] = (dim, np.repeat(x, outputs))
        sides.append(np.random.default_rng(seed).normal(size=(max(layers, 1), count * outputs, 5)))
    values = np.einsum("lik,ljk->lij", *sides) * (1 + np.arange(max(layers, 1)))[:, None, None]
    if scalar:
        values = np.abs(values)
    dims = ("row", "column")
    found = (("layer", *dims), values) if layers else (dims, values[0])
    if layers:
        coords["layer"] = [f"block{k}" for k in range(layers)]
    part = "layer" if layers else "full" if outputs > 1 else "trace"
    data = {"kernel": found}
    if attrs.pop("eigenvalues", False):
        data["eigenvalue"] = ("value", np.linalg.eigvalsh(values[0])[::-1][:5])
    told = {"kind": "kernel", "part": part, "inputs": "training", "column_inputs": "training", "title": "Kernel of Net"}
    return xr.Dataset(data, coords, told | attrs)


def lazy(steps=21, trained=True, aligned=True, diverged_at=None):
    """Distances grow evenly, the error with their square."""
    step = 10 * np.arange(steps)
    far = np.linspace(0, 2, steps)
    loss = np.exp(-far)
    data = {"distance": far, "error": 0.1 * far**2, "loss": loss, "linear_loss": loss + 0.05 * far**2}
    data |= {"relative_distance": far / 10, "relative_error": 0.1 * far}
    if trained:
        data |= {"trained_loss": loss + 0.03 * far**2, "apart": 0.05 * far**2}
    if aligned:
        data |= {"kernel_alignment": 1 - 0.1 * far, "target_alignment": 0.3 + 0.1 * far}
    if diverged_at is not None:
        late = np.arange(steps) >= diverged_at
        data = {name: np.where(late, np.inf, values) for name, values in data.items()}
    over = {name: ("step", values) for name, values in data.items()}
    return xr.Dataset(over, {"step": step}, {"kind": "lazy", "title": "Departure of Net from its tangent"})


def tangent_path(steps=9, values=5, aligned=True, diverged_at=-1):
    """The first value doubles; the rank grows from 2 to all."""
    grown = np.linspace(1, 2, steps)
    sizes = grown[:, None] * 10.0 ** -np.arange(values)
    sizes[: steps // 2, 2:] = 0.0
    over = {
        "rank": (sizes > 0).sum(1).astype(float),
        "effective_rank": (sizes**2).sum(1) ** 2 / (sizes**4).sum(1),
        "loss": 1 / grown,
        "test_loss": 1.1 / grown,
    }
    if aligned:
        over |= {"kernel_alignment": 2 - grown, "target_alignment": grown - 1.2}
    step = np.arange(steps)
    gone = (step >= diverged_at) & (diverged_at >= 0)
    over = {name: np.where(gone, np.nan, row) for name, row in over.items()}
    sizes[gone] = np.nan
    data = {name: ("step", row) for name, row in over.items()}
    data |= {"rank_known": ("step", np.arange(steps) > 0), "diverged": ("step", gone)}
    data |= {"singular_value": (("step", "value"), sizes), "prediction": (("step", "row"), np.zeros((steps, 3)))}
    coords = {"step": step, "value": np.arange(1, values + 1), **rows(3)}
    return xr.Dataset(data, coords, {"kind": "tangent_path", "diverged_at": diverged_at})
