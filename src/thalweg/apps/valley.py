"""Two optima and the way between them: everything that is to be known of it, written into a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor

from thalweg.apps import words_valley
from thalweg.measures import connect, course, curve_plane, loss_along, loss_barrier, loss_surface
from thalweg.problem import ModuleProblem
from thalweg.store import save
from thalweg.subspaces import Curve, Segment, match_weights


def valley(
    problem: ModuleProblem,
    a: Tensor,
    b: Tensor,
    study: str | Path,
    name: str | None = None,
    *,
    curve: str = "bezier",
    points: int = 61,
    plane_points: int = 31,
    align: bool = False,
    say: Callable[[str], None] = print,
    **learning: Any,
) -> xr.Dataset:
    """Learn a curve from `a` to `b`, measure it and the segment, and the plane that they lie in.

    Writes `curve/NAME`, `along/NAME/segment` and `along/NAME/curve`, their barriers `barrier/NAME/...`,
    `surface/NAME` and `course/NAME`. Called again with the same arguments it goes on where it was.

    Parameters
    ----------
    problem, a, b, curve
        As for `connect`; of networks with batch normalisation the statistics are computed anew everywhere.
    study, name
        Where to; the name is that of the kind of curve by default, with `-aligned`.
    points, plane_points
        Places along the ways; points along each axis of the plane.
    align
        First permute the units of `b` to match those of `a`; the segment to `b` as it was is measured too
        (`along/NAME/unaligned`).
    say
        Told what is being done.
    learning
        Passed to `connect`: `steps`, `batch_size`, `optimizer`, `seed`, ...

    Returns
    -------
    Dataset
        The barriers of the curve.
    """
    name, end = name or f"{curve}{'-aligned' * align}", b
    ways: dict[str, Curve] = {}
    if align:
        matched = match_weights(problem, a, b)
        say(words_valley.matched(matched.similarity_before, matched.similarity_after))
        ways["unaligned"], end = Segment(a, b), matched.theta
    say("Learning a curve of low loss between the two ...")
    link = connect(problem, a, end, curve, store=study, name=f"curve/{name}", **learning)  # type: ignore[arg-type]
    ways |= {"segment": Segment(a, end), "curve": link.curve}
    barriers = {}
    for way, line in ways.items():
        along = loss_along(problem, line, points)
        barriers[way] = loss_barrier(along)
        save(along, study, f"along/{name}/{way}", overwrite=True)
        save(barriers[way], study, f"barrier/{name}/{way}", overwrite=True)
    for sentence in words_valley.barriers(barriers):
        say(f"  {sentence}")
    say("Measuring the plane in which it bends ...")
    plane = curve_plane(link.curve)
    loss_surface(problem, plane, points=plane_points, adaptive=0.01, store=study, name=f"surface/{name}")
    save(course(link.curve, plane), study, f"course/{name}", overwrite=True)
    return barriers["curve"]
