r"""How a training run moves: how far from its start and its end, how fast, and how straight.

Steps that go on in one direction have cosines near 1, those of a random walk near 0, and those that cross a valley to
and fro near -1 (Xing et al. 2018, arXiv:1802.08770).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.stripes import recorded_weights, rising_steps, stripes
from thalweg.store import provenance


def motion(trajectory: xr.Dataset) -> xr.Dataset:
    r"""Distances, speed and turns of a path through weight space.

    With $d_k = \theta_k - \theta_{k-1}$ between recorded rows $k$ at updates $s_k$: `distance_from_start`
    $\lVert \theta_k - \theta_0 \rVert$, `distance_from_end` $\lVert \theta_k - \theta_T \rVert$, `path_length`
    $\sum_{j \le k} \lVert d_j \rVert$, `speed` $\lVert d_k \rVert / (s_k - s_{k-1})$ and `cosine`
    $\langle d_k, d_{k+1} \rangle / \lVert d_k \rVert \lVert d_{k+1} \rVert$.

    Parameters
    ----------
    trajectory
        Kind `trajectory`; `theta` may be lazy. Rows that are far apart tell of the way between them only its chord.

    Returns
    -------
    Dataset
        Kind `motion`, over `step`. `speed` of the first row is nan, as are `cosine` of the first and the last, and
        where the path stands still.

    Raises
    ------
    ValueError
        Fewer than two steps, steps that do not rise, another kind, or non-finite weights.

    Notes
    -----
    One pass over the weights; memory: half a gigabyte at most, whatever their number.

    Examples
    --------
    >>> run = xr.Dataset(
    ...     {
    ...         "theta": (("step", "weight"), [[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]),
    ...         "loss": ("step", [3.0, 2.0, 1.0]),
    ...         "learning_rate": ("step", [0.1, 0.1, 0.1]),
    ...     },
    ...     {"step": [0, 10, 20]},
    ...     {"kind": "trajectory"},
    ... )
    >>> found = motion(run)
    >>> found.distance_from_start.values, found.path_length.values, found.speed.values, found.cosine.values
    (array([0., 3., 5.]), array([0., 3., 7.]), array([nan, 0.3, 0.4]), array([nan,  0., nan]))
    """
    theta = recorded_weights(trajectory, 2, "motion")
    num_steps, times = theta.sizes["step"], rising_steps(trajectory)
    start, end = np.zeros(num_steps), np.zeros(num_steps)
    moved, turned = np.zeros(num_steps - 1), np.zeros(num_steps - 2)
    for _, block in stripes(theta):
        moves = np.diff(block, axis=0)
        moved += np.einsum("kw,kw->k", moves, moves)
        turned += np.einsum("kw,kw->k", moves[:-1], moves[1:])
        for total, reference in ((start, block[0]), (end, block[-1])):
            offsets = block - reference
            total += np.einsum("kw,kw->k", offsets, offsets)
    lengths = np.sqrt(moved)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.clip(turned / lengths[:-1] / lengths[1:], -1.0, 1.0)
        speeds = lengths / np.diff(times)
    nothing = [np.nan]
    told = {
        "distance_from_start": (np.sqrt(start), "distance from the start", "1"),
        "distance_from_end": (np.sqrt(end), "distance from the end", "1"),
        "path_length": (np.concatenate([[0.0], np.cumsum(lengths)]), "length of the path so far", "1"),
        "speed": (np.concatenate([nothing, speeds]), "distance per update", "1/step"),
        "cosine": (np.concatenate([nothing, cosines, nothing]), "cosine between the moves before and after", "1"),
    }
    about = {key: trajectory.attrs[key] for key in ("model", "optimizer") if key in trajectory.attrs}
    return schema.check(
        xr.Dataset(
            {name: ("step", value, {"long_name": words, "units": unit}) for name, (value, words, unit) in told.items()},
            {"step": trajectory["step"]},
            {"kind": "motion", "num_weights": theta.sizes["weight"], **about, **provenance()},
        )
    )
