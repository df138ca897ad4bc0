"""A hat of two ReLU layers, and gradients in its weights, in plain numpy."""

import numpy as np
import xarray as xr


def elbows():
    """First layer: on from -0.5, on up to 0.5, always on; second: on between -0.25 and 0.25, never on."""
    data = {
        "x": ("elbow", [-0.5, 0.5, -0.25, 0.25]),
        "turns": ("elbow", [1, -1, 1, -1]),
        "bend": (("elbow", "output"), [[0.0], [0.0], [4.0], [-4.0]]),
        "node_x": ("node", [-1.0, -0.5, -0.25, 0.25, 0.5, 1.0]),
        "prediction": (("node", "output"), np.array([[0.0, 0, 0, 2, 2, 2]]).T),
        "units": ("part", [3, 2]),
        "always_on": ("part", [1, 0]),
        "never_on": ("part", [0, 1]),
        "on_at_low": ("relu", [False, True, True, False, False]),
        "train_x": ("example", np.linspace(-0.8, 0.8, 500)),
        "train_y": ("example", np.zeros(500)),
        "truth_x": ("place", np.linspace(-1, 1, 9)),
        "truth": ("place", np.linspace(-1, 3, 9)),
    }
    coords = {
        "layer": ("elbow", ["0", "0", "2", "2"]),
        "depth": ("elbow", [1, 1, 2, 2]),
        "unit": ("elbow", [0, 1, 0, 0]),
        "part": ["0", "2"],
        "relu_depth": ("relu", [1, 1, 1, 2, 2]),
        "relu_unit": ("relu", [0, 1, 2, 0, 1]),
        "output": [0],
    }
    attrs = {"kind": "elbows", "low": -1.0, "high": 1.0, "train_low": -0.8, "train_high": 0.8}
    return xr.Dataset(data, coords, attrs)


def gradient_features(scale=1.0, outputs=2):
    """Sixty weights of a first layer, of which one is zero, its bias, and one of a second."""
    x = np.linspace(1, -1, 11)
    columns = [*(k * x for k in range(60)), np.ones(11), x**2]
    features = scale * np.repeat(np.stack(columns, 1), outputs, 0) * np.tile(np.arange(1, outputs + 1), 11)[:, None]
    names = ["a.weight"] * 60 + ["a.bias", "b.weight"]
    return xr.Dataset(
        {
            "feature": (("row", "weight"), features),
            "prediction": ("row", np.zeros(11 * outputs)),
            "x": ("row", np.repeat(x, outputs)),
        },
        {
            "example": ("row", np.repeat(np.arange(11), outputs)),
            "output": ("row", np.tile(np.arange(outputs), 11)),
            "parameter": ("weight", names),
            "layer": ("weight", [name[0] for name in names]),
        },
        {"kind": "gradient_features", "train_low": -0.5, "train_high": 0.5},
    )
