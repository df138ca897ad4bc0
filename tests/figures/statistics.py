"""Initialisations, gradients and extrapolations in plain numpy, as the measures would write them."""

import numpy as np
import xarray as xr

LAYERS = ["0.weight", "2.weight", "4.weight"]


def initializations(steps=200, diverged_at=3, test=True, spectra=True, schemes=("uniform(0.03)", "he", "uniform(3)")):
    """The first learns nothing, the second learns, the last diverges."""
    count, layers, step = len(schemes), np.arange(3), np.arange(1, steps + 1)
    scale = np.array([1e-6, 0.5, 3e5])[:count, None]
    loss = np.stack([np.full(steps, 0.3), 0.5 * np.exp(-step / 40) + 0.01, 1e5 * 10.0**step])[:count]
    if diverged_at > 0 and count > 2:
        loss[2, diverged_at - 1] = np.inf
        loss[2, diverged_at:] = np.nan
    ends = np.array([0.3, 0.011, np.nan])[:count]
    data = {
        "gradient_norm": (("scheme", "layer"), scale * (1 + layers), {"units": "nat"}),
        "activation_mean": (("scheme", "layer"), np.full((count, 3), 0.1)),
        "activation_std": (("scheme", "layer"), scale ** (0.2 * layers)),
        "dead": (("scheme", "layer"), 0 * scale + [0.1, 0.45, 0.0]),
        "loss": (("scheme", "step"), loss, {"units": "nat"}),
        "initial_loss": ("scheme", np.full(count, 0.4)),
        "final_loss": ("scheme", ends),
        "diverged_at": ("scheme", np.array([-1, -1, diverged_at])[:count]),
    }
    if test:
        data |= {"final_test_loss": ("scheme", 2 * ends)}
    coords = {"scheme": list(schemes), "layer": LAYERS, "step": step, "activation": ("layer", ["relu", "relu", "none"])}
    if spectra:
        rank = np.arange(1, 13)
        before = np.where(rank <= 4, 100.0 / rank**2, 1e-9)
        both = np.stack([np.stack([k * before, 50.0 / rank]) for k in (0.01, 1.0, 1e3)])[:count]
        both[2:, 1] = np.nan
        data |= {"singular_value": (("scheme", "state", "value"), both)}
        coords |= {"state": ["initial", "trained"], "value": rank}
    told = {"optimizer": "SGD(lr=0.1)", "batch_size": 32, "seed": 7}
    return xr.Dataset(data, coords, {"kind": "initializations", **told})


def gradients(n=200, scale=41.2, cosines=12, target=True):
    rng = np.random.default_rng(0)
    g = rng.normal(size=(cosines, 6)) + np.repeat(np.eye(6)[:2], -(-cosines // 2), axis=0)[:cosines] * 3
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    one = np.arange(cosines) * 3
    coords = {"layer": ["0.weight", "0.bias"], "example": np.arange(n)}
    data = {"norm": ("layer", [0.001, 0.2]), "example_norm": ("example", rng.gamma(2.0, size=n), {"units": "nat"})}
    if cosines:
        data["cosine"] = (("one", "other"), g @ g.T)
        coords |= {"one": one, "other": one}
    if target:
        coords["target"] = ("example", np.arange(n)[::-1] % 3)
    told = {"noise_scale": scale, "noise_scale_standard_error": 3.0, "gradient_norm": 0.2}
    return xr.Dataset(data, coords, {"kind": "gradients", **told})


def extrapolation(points=101, slope=1.0):
    x = np.linspace(-1, 1, points)
    truth, inside = np.sin(3 * x), x <= 0.4
    found = np.where(inside, truth + 0.01, slope * x)
    squares = (found - truth) ** 2
    over = {"x": x, "prediction": found, "target": truth, "inside": inside}
    each = {
        "mean_square_error": [squares[inside].mean(), squares[~inside].mean()],
        "largest_error": [0.01, np.sqrt(squares.max())],
        "count": [int(inside.sum()), int((~inside).sum())],
    }
    data = {k: ("input", v) for k, v in over.items()} | {k: ("region", v) for k, v in each.items()}
    told = {"kind": "extrapolation", "train_range": [-1.0, 0.4]}
    return xr.Dataset(data, {"region": ["inside", "outside"]}, told)
