"""How components depend on how long a run was watched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.gram import places, principal
from thalweg.measures.stripes import recorded_weights, rising_steps
from thalweg.measures.walks import walk_components
from thalweg.store import provenance


def components_by_length(
    trajectory: xr.Dataset, lengths: Sequence[int] | None = None, num_components: int = 2
) -> xr.Dataset:
    r"""Components of the first so many steps of a run, and how much they share with those of the whole.

    If the shares of variance stay what they are for a random walk while the components themselves turn
    (`overlap` far below 1), they tell of the length of the run and not of the landscape.

    Parameters
    ----------
    trajectory
        Kind `trajectory`; `theta` may be lazy.
    lengths
        Steps up to which to look, in the numbers of `trajectory.step`; by default ten, equally many rows apart.
    num_components
        Per length.

    Returns
    -------
    Dataset
        Kind `components_by_length`: `explained_variance_ratio(length, axis)`, `theory(length, axis)` of a random walk
        seen at the same updates, and `overlap(length)` $= \lVert U V^\top \rVert_F^2 / k$ of the span of the $k$
        components with that of the whole run's; `num_rows(length)` tells how many rows each is of.

    Raises
    ------
    ValueError
        Too few rows up to the shortest length, a run that does not move in that many directions, another kind.

    Notes
    -----
    One pass over the weights for all lengths together; memory as in `principal_components`, without its vectors.

    Examples
    --------
    >>> theta = np.random.default_rng(0).normal(size=(101, 3000)).cumsum(0)
    >>> run = xr.Dataset(
    ...     {
    ...         "theta": (("step", "weight"), theta),
    ...         "loss": ("step", np.zeros(101)),
    ...         "learning_rate": ("step", np.zeros(101)),
    ...     },
    ...     {"step": np.arange(101)},
    ...     {"kind": "trajectory"},
    ... )
    >>> found = components_by_length(run, [25, 50, 100])
    >>> found.explained_variance_ratio.values[:, 0].round(1), bool(found.overlap[0] < 0.5)
    (array([0.6, 0.6, 0.6]), True)
    """
    least = num_components + 1
    theta = recorded_weights(trajectory, max(2, least), "components by length")
    steps = trajectory["step"].values
    times = rising_steps(trajectory)
    if lengths is None:
        lengths = steps[np.unique(np.linspace(least, len(steps), 10).round().astype(int)) - 1].tolist()
    chosen = np.unique(np.asarray(lengths))
    rows = np.searchsorted(steps, chosen, side="right")
    if num_components < 1 or not len(rows) or rows[0] < least:
        raise ValueError(
            f"{num_components} components need {least} recorded steps"
            + (f", and up to step {chosen[0]} there are {rows[0]}." if len(rows) else ", and no lengths were given.")
        )
    points = places(theta)
    whole = _span(points, num_components)[1]
    found = [_span(points[:count], num_components) for count in rows]
    overlap = [min(1.0, float(np.square(vectors.T @ whole).sum() / num_components)) for _, vectors in found]
    theory = [walk_components(times[:count], num_components)[0] for count in rows]
    dims = ("length", "axis")
    return schema.check(
        xr.Dataset(
            {
                "explained_variance_ratio": (dims, np.array([shares for shares, _ in found])),
                "theory": (dims, np.array(theory), {"long_name": "a random walk in infinitely many dimensions"}),
                "overlap": ("length", overlap, {"long_name": "overlap with the components of the whole run"}),
                "num_rows": ("length", rows),
            },
            {"length": chosen, "axis": np.arange(1, num_components + 1)},
            {"kind": "components_by_length", "num_weights": theta.sizes["weight"], **provenance()},
        )
    )


def _span(points: np.ndarray, num_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of variance and orthonormal vectors of the first components."""
    wanted = min(num_components, points.shape[1])
    values, vectors, total = principal(points, wanted)
    if wanted < num_components or not values[-1] > 1e-12 * values[0]:
        raise ValueError(
            f"The first {len(points)} rows move in fewer than {num_components} directions; ask for fewer, or for "
            "longer lengths."
        )
    return values / total, vectors
