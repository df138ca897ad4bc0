r"""The loss along a curve, and how far it rises above its ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.request import need_problem
from thalweg.measures.surface import loss_surface
from thalweg.problem import Problem
from thalweg.store import provenance
from thalweg.subspaces import Curve

BatchNorm = Literal["running", "recalibrate"]


def loss_along(
    problem: Problem,
    curve: Curve,
    t: Any = 61,
    *,
    batch_norm: BatchNorm | None = None,
    metrics: Sequence[str] | None = None,
    num_examples: int | None = None,
    seed: int = 0,
    per_example: bool = False,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Loss and metrics along a curve, over training and test data.

    Parameters
    ----------
    problem
        Whose weights it holds does not matter.
    curve
        A `Segment`, `PolygonalChain` or `BezierCurve`.
    t
        Places on the curve, increasing; or a number of them, evenly spaced from end to end.
        `curve.at_equal_arc_length(61)` are places between which the way is equally long.
    batch_norm
        `"recalibrate"` computes the statistics of batch normalisation anew at each `t`, over the training data; those
        stored in the model belong to its own weights only (Izmailov et al. 2018, arXiv:1803.05407, section 3.2). So by
        default, where there are such layers. `"running"` uses those stored.
    metrics, num_examples, seed, per_example, progress
        As in `loss_surface`.

    Returns
    -------
    Dataset
        Kind `surface` over `t`: `loss(t)`, the metrics, and the same on test data; with the coordinate `arc_length(t)`,
        the way from `t = 0`.

    Raises
    ------
    ValueError, TypeError
        A curve of another number of weights, places that do not increase, a plane.

    Examples
    --------
    >>> from thalweg import FunctionProblem, Segment
    >>> hill = FunctionProblem(lambda x, y: x * (1 - x))
    >>> along = loss_along(hill, Segment([0.0, 0.0], [1.0, 1.0]), t=3)
    >>> along.loss.values, along.arc_length.values.round(3)
    (array([0.  , 0.25, 0.  ]), array([0.   , 0.707, 1.414]))
    """
    need_problem(problem)
    need_curve(curve)
    places = places_on(t)
    along = loss_surface(
        calibrated(problem, batch_norm),
        curve,
        t=places,
        metrics=metrics,
        num_examples=num_examples,
        seed=seed,
        per_example=per_example,
        progress=progress,
    )
    about = {"long_name": "length of the curve from t = 0", "units": "1"}
    return along.assign_coords(arc_length=("t", curve.arc_length(places), about))


def loss_barrier(along: xr.Dataset, falling: Sequence[str] | None = None) -> xr.Dataset:
    r"""How far loss and metrics rise on a curve above the straight line between their values at its ends.

    $$ B = \max_t \bigl[ L(\theta(t)) - (1 - t)\,L(\theta(0)) - t\,L(\theta(1)) \bigr] $$
    (Frankle et al. 2020, arXiv:1912.05671; Entezari et al. 2022, arXiv:2110.06296), over the places that were
    measured, so that the true barrier may be higher. It is never negative, as at the ends it is zero.

    Parameters
    ----------
    along
        A `surface` over one coordinate: from `loss_along`, of which the places from 0 to 1 count, both among them; or
        from `loss_surface` on a line, from its first place to its last.
    falling
        Metrics that are the better the higher they are; by default `accuracy`, if it was measured. For these it is how
        far they fall below that line.

    Returns
    -------
    Dataset
        Kind `barrier`, over `quantity`: `barrier`, the place `t` where it is, the value there (`highest`, of a falling
        metric the lowest), the values at both ends (`start`, `end`), and `sign` (1, or -1 for falling metrics). A value
        that is not a number is the highest.

    Raises
    ------
    ValueError
        If the dataset has not exactly one coordinate; if an end was not measured; for a metric that it does not have.

    Examples
    --------
    >>> from thalweg import FunctionProblem, Segment
    >>> hill = FunctionProblem(lambda x, y: x + 4 * x * (1 - x))
    >>> found = loss_barrier(loss_along(hill, Segment([0.0, 0.0], [1.0, 1.0])))
    >>> float(found.barrier.sel(quantity="loss")), float(found.t.sel(quantity="loss"))
    (1.0, 0.5)
    """
    if schema.check(along).attrs["kind"] != "surface" or len(schema.coordinates(along)) != 1:
        raise ValueError("A barrier lies on a curve; pass what `loss_along(problem, curve)` returned.")
    (dim,) = schema.coordinates(along)
    along = _from_end_to_end(along, dim)
    names = schema.values(along)
    falling = _falling(falling, [along[name].attrs["metric"] for name in names])
    signs = [-1 if along[name].attrs["metric"] in falling else 1 for name in names]
    rows = [_highest(along[name].values, along[dim].values, sign) for name, sign in zip(names, signs, strict=True)]
    words = {
        "barrier": "height above the line between the ends",
        "t": "place of the highest point",
        "highest": "value there",
        "start": "value at the first end",
        "end": "value at the other end",
    }
    columns = dict(zip(words, np.array(rows).T, strict=True))
    found = xr.Dataset(
        {name: ("quantity", columns[name], {"long_name": words[name]}) for name in words}
        | {"sign": ("quantity", np.array(signs), {"long_name": "1 where rising is worse, -1 where falling is"})},
        {"quantity": np.array(names, dtype=object)},  # strings of one width have no place in zarr
        {"kind": "barrier", "num_points": along.sizes[dim]}
        | {key: along.attrs[key] for key in ("subspace", "subspace_id", "title") if key in along.attrs}
        | provenance(),
    )
    return schema.check(found)


def _from_end_to_end(along: xr.Dataset, dim: str) -> xr.Dataset:
    """The places between both ends, which must be among them."""
    places = along[dim].values
    if dim == "t":
        if not np.isin([0.0, 1.0], places).all():
            raise ValueError(
                f"The curve was measured at {len(places)} place(s) from t = {places.min():g} to {places.max():g}; a "
                "barrier needs both ends, t = 0 and t = 1, among them."
            )
        return along.sel({dim: (places >= 0) & (places <= 1)})
    if len(places) < 2:
        raise ValueError("The line was measured at 1 place; a barrier needs both ends.")
    return along


def _falling(falling: Sequence[str] | None, metrics: Sequence[str]) -> Sequence[str]:
    if falling is None:
        return ("accuracy",)
    unknown = [falling] if isinstance(falling, str) else [name for name in falling if name not in metrics]
    if unknown:
        measured = ", ".join(dict.fromkeys(metrics))
        raise ValueError(
            f"falling={falling!r}; expected a list of metrics that were measured, such as ['accuracy']. Measured were "
            f"{measured} (on test data by the same names)."
        )
    return falling


def calibrated(problem: Problem, batch_norm: BatchNorm | None) -> Problem:
    """The problem with the statistics of batch normalisation that a curve is measured with."""
    if not hasattr(problem, "with_batch_norm"):
        return problem
    now = problem.provenance()["batch_norm"]
    wanted = "recalibrate" if batch_norm is None else batch_norm
    return problem if now in ("none in the model", wanted) else problem.with_batch_norm(wanted)


def places_on(t: Any) -> np.ndarray:
    """Places on a curve: those given, or so many evenly spaced."""
    if isinstance(t, (int, np.integer)) and not isinstance(t, bool):
        if t < 2:
            raise ValueError(f"t={t}; expected at least 2 places, as both ends are among them, or the places.")
        return np.linspace(0.0, 1.0, int(t))
    if np.ndim(t) == 0:
        raise ValueError(f"t={t!r}; expected a whole number of places, such as 61, or a list of places, such as [0.5].")
    places = np.asarray(t, dtype=np.float64)
    if places.ndim != 1 or not np.isfinite(places).all() or not (np.diff(places) > 0).all():
        raise ValueError("`t` are places on the curve: finite numbers in a list, each larger than the one before.")
    return places


def need_curve(curve: Any) -> None:
    """Refuse what has no `t`."""
    if not isinstance(curve, Curve):
        raise TypeError(
            f"The curve is of type {type(curve).__name__}; expected a Segment, PolygonalChain or BezierCurve."
        )


def _highest(values: np.ndarray, t: np.ndarray, sign: int) -> tuple[float, float, float, float, float]:
    """Barrier, its place, the value there and those at both ends; a nan counts as the highest."""
    start, end = float(values[0]), float(values[-1])
    share = (t - t[0]) / (t[-1] - t[0])
    with np.errstate(invalid="ignore"):
        height = sign * (values - (start + share * (end - start)))
    height[[0, -1]] = np.where(np.isfinite([start, end]), 0.0, np.nan)
    k = int(np.argmax(height))
    return float(height[k]), float(t[k]), float(values[k]), start, end
