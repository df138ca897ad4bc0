"""Trajectories made by hand."""

import numpy as np
import xarray as xr


def trajectory(theta, steps=None):
    theta = np.asarray(theta)
    unknown = np.full(len(theta), np.nan)
    return xr.Dataset(
        {"theta": (("step", "weight"), theta), "loss": ("step", unknown), "learning_rate": ("step", unknown)},
        {"step": np.arange(len(theta)) if steps is None else steps},
        {"kind": "trajectory"},
    )


def walk(seed, num_steps=12, num_weights=30):
    return np.random.default_rng(seed).normal(size=(num_steps, num_weights)).cumsum(0)
