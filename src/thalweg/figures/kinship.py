"""Whether two results belong together: what is laid on a surface has to come from its problem and its subspace.

Attrs that only one of them carries say nothing: such results are drawn.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

_PROBLEM = {
    "num_weights": "number of weights",
    "model": "model",
    "landscape": "landscape",
    "loss": "loss function",
    "function": "loss function",
    "num_training_examples": "number of training examples",
}
_SUBSPACE = {"subspace": "subspace", "subspace_id": "origin or directions of the subspace"}


def check(surface: xr.Dataset, other: xr.Dataset, argument: str) -> None:
    """Refuse to draw `other`, passed as `argument`, on a surface of another problem or subspace.

    Raises
    ------
    ValueError
        Naming the first attr that both carry and that differs.

    Examples
    --------
    >>> check(xr.Dataset(attrs={"num_weights": 2}), xr.Dataset(), "critical")
    >>> check(xr.Dataset(attrs={"num_weights": 2}), xr.Dataset(attrs={"num_weights": 3}), "critical")
    Traceback (most recent call last):
    ValueError: `critical` has another number of weights (3) than the surface (2), so it does not lie on it. ...
    """
    for name, words in {**_PROBLEM, **_SUBSPACE}.items():
        mine, its = surface.attrs.get(name), other.attrs.get(name)
        if mine is None or its is None or _plain(mine) == _plain(its):
            continue
        made = "in the same subspace" if name in _SUBSPACE else "of the same problem"
        raise ValueError(
            f"`{argument}` has another {words} ({_short(its)}) than the surface ({_short(mine)}), so it does not lie "
            f"on it. Make both {made}; if they belong together all the same, drop the attr {name!r} of one of them."
        )


def _plain(value: Any) -> Any:
    """An attr as it can be compared: JSON is read, arrays become lists."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
