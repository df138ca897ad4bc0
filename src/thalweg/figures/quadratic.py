r"""What eigenvalues predict along their eigenvectors: $L(0) + g \cdot c + \tfrac12 \sum_i \lambda_i c_i^2$.

Lines and planes along eigenvectors say so in `attrs["subspace"]` (JSON): `kind` `eigen`, the `eigenvalues`, one for
each coordinate, the `slope` (the gradient along each of them; zero where it is not said) and the `loss` at the origin.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures.steps import number

_PAD = 0.1  # ranges of the loss around what is shown
_ROOM = 1.0  # the axis shows predictions up to this many ranges of the loss beyond it


def about(ds: xr.Dataset) -> dict[str, Any] | None:
    """What a surface along eigenvectors says of them; None of other surfaces.

    Examples
    --------
    >>> about(xr.Dataset(attrs={"subspace": '{"kind": "eigen", "eigenvalues": [2.0]}'}))["eigenvalues"]
    [2.0]
    >>> about(xr.Dataset(attrs={"subspace": '{"kind": "random"}'}))
    """
    told = ds.attrs.get("subspace")
    if not isinstance(told, str) or not told.startswith("{"):
        return None
    try:
        found = json.loads(told)
    except ValueError:
        return None
    known = isinstance(found, dict) and found.get("kind") == "eigen" and np.size(found.get("eigenvalues", ())) > 0
    return found if known else None


def along(
    told: dict[str, Any],
    dims: tuple[str, ...],
    dim: str,
    x: np.ndarray,
    at_origin: float | None,
    fixed: dict[str, float],
) -> tuple[str, np.ndarray] | None:
    """The name and the values of the quadratic over coordinate `dim` of `dims`, the others being `fixed`.

    Returns None where the eigenvalues do not belong to the coordinates, or the loss at the origin is not known.

    Examples
    --------
    >>> name, values = along({"eigenvalues": [4.0], "slope": [1.0]}, ("alpha",), "alpha", np.array([0.0, 1.0]), 5.0, {})
    >>> name, values
    ('quadratic: λ = 4', array([5., 8.]))
    """
    curvatures = np.atleast_1d(told["eigenvalues"]).astype(float)
    slopes = np.atleast_1d(told.get("slope") or np.zeros(curvatures.size)).astype(float)
    base = told.get("loss") if at_origin is None else at_origin
    if curvatures.size < len(dims) or slopes.size < len(dims) or base is None:
        return None
    values = np.full(x.shape, float(base))
    for place, name in enumerate(dims):
        c = x if name == dim else np.asarray(fixed.get(name, 0.0))
        values = values + slopes[place] * c + curvatures[place] * c**2 / 2
    return f"quadratic: λ = {number(float(curvatures[dims.index(dim)]))}", values


def ends(losses: np.ndarray, predicted: np.ndarray, log: bool) -> tuple[float, float] | None:
    """Ends of the axis where the prediction would leave little room for the losses; else None.

    Examples
    --------
    >>> ends(np.array([0.0, 1.0]), np.array([0.0, 100.0]), log=False)
    (-0.1, 2.0)
    """
    shown = losses[np.isfinite(losses) & ((losses > 0) | (not log))]
    other = predicted[np.isfinite(predicted) & ((predicted > 0) | (not log))]
    if not shown.size or not other.size:
        return None
    a, b = (np.log10(v) if log else v for v in (shown, other))
    span = float(np.ptp(a)) or 1.0
    low, high = float(a.min()) - _ROOM * span, float(a.max()) + _ROOM * span
    if b.min() >= low and b.max() <= high:
        return None
    first = low if b.min() < low else min(float(a.min()), float(b.min())) - _PAD * span
    last = high if b.max() > high else max(float(a.max()), float(b.max())) + _PAD * span
    return (float(10**first), float(10**last)) if log else (first, last)
