"""What a training run's way says, in sentences. HTML-safe: only numbers and our own names go in."""

from __future__ import annotations

import numpy as np
import xarray as xr

from thalweg.apps.words import number


def motion(ds: xr.Dataset) -> list[str]:
    """How far it went, and how straight."""
    start, length = float(ds["distance_from_start"][-1]), float(ds["path_length"][-1])
    cosine = ds["cosine"].values
    turns = cosine[np.isfinite(cosine)]
    told = (
        f"The weights ended {number(start)} from where they began, on a way of {number(length)} through the recorded "
        f"rows: {number(length / start) if start else 'infinitely many'} times as long as the straight line."
    )
    if not turns.size:
        return [told]
    mean = float(turns.mean())
    said = (
        "Successive moves point the same way more often than not"
        if mean > 0.1
        else "Successive moves tend to turn back"
        if mean < -0.1
        else "Successive moves are nearly orthogonal, as those of a random walk in many dimensions are"
    )
    return [told, f"{said}: the mean cosine between them is {mean:.2f}."]


def random_walk(ds: xr.Dataset) -> list[str]:
    """What the components explain, and what a random walk's would."""
    own, theory = (ds[name].values for name in ("explained_variance_ratio", "theory"))
    k = min(2, len(own))
    shares = " and ".join(f"{value:.1%}" for value in own[:k])
    walks = " and ".join(f"{value:.1%}" for value in theory[:k])
    what, they = ("two components explain", "they explain") if k == 2 else ("component explains", "it explains")
    return [
        f"The first {what} {shares} of the path's variance; of a random walk of as many steps in many dimensions "
        f"{they} {walks} (Antognini & Sohl-Dickstein 2018). The scores of such a walk are cosines, and one "
        "against the other they draw Lissajous figures: a curve like that on the principal plane tells "
        "nothing of the landscape."
    ]


def components_by_length(ds: xr.Dataset) -> list[str]:
    """How the components turn while the run goes on."""
    overlap, length = ds["overlap"].values, ds["length"].values
    k = (len(overlap) - 1) // 2
    return [
        f"The components of the first {int(length[k]):,} steps alone share {overlap[k]:.0%} of their span with those "
        "of the whole run: what the principal plane is depends on how long one trains."
    ]
