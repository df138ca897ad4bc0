"""What can lie on a surface besides paths: descents, critical points, curves, a field of arrows, regions, and
curves between optima.

`Request` is what the caller asked for; `read` checks it and does once what is the same for every quantity; `on` puts
it onto the surface of one quantity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import field as arrows
from thalweg.figures import kinship, marks, outcomes, swarm, ways
from thalweg.figures.field import Arrows, Field
from thalweg.figures.marks import Mark
from thalweg.figures.outcomes import Descents
from thalweg.figures.overlay import Extent, Sheet
from thalweg.figures.swarm import Bundle, Swarm
from thalweg.figures.ways import Courses, Way


@dataclass(frozen=True)
class Request:
    """What to draw on a surface, as the arguments of `figures.surface` say it."""

    descent: Descents | None = None
    critical: xr.Dataset | None = None
    curves: Mapping[str, Any] | None = None
    field: bool | int = False
    region: str | Sequence[str] | None = None
    step: float | None = None
    course: Courses | None = None


@dataclass(frozen=True)
class Read:
    """The same, checked, with everything that does not depend on the quantity."""

    swarms: tuple[Swarm, ...] = ()
    field: Field | None = None
    marks: tuple[Mark, ...] = ()
    ways: tuple[Way, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def sights(self) -> np.ndarray:
        """Places (2, n) that should be seen, whatever the step."""
        found = [m.places for m in self.marks if m.sort == "critical"]
        found += [many.sights for many in self.swarms]
        found += [way.line[:, np.isfinite(way.line).all(axis=0)] for way in self.ways]
        return np.concatenate([np.zeros((2, 0)), *found], axis=1)


@dataclass(frozen=True)
class Extras:
    """What lies on the surface of one quantity."""

    bundles: tuple[Bundle, ...] = ()
    arrows: Arrows | None = None
    marks: tuple[Mark, ...] = ()
    ways: tuple[Way, ...] = ()

    @property
    def crowded(self) -> bool:
        """Whether descents are so many that they would hide the curves below them."""
        return any(b.many for b in self.bundles)

    @property
    def legend(self) -> tuple[str, ...]:
        """Entries of the legend, in order."""
        said = [b.label for b in self.bundles] + [m.label for m in self.marks]
        said += [way.name for way in self.ways]
        said += ["straight segment"] * any(way.straight.size for way in self.ways)
        return tuple(said + ([self.arrows.label] if self.arrows is not None else []))


def read(ds: xr.Dataset, whole: tuple[str, ...], request: Request, paths: int = 0) -> Read:
    """Check what is asked for and prepare it in the plane.

    Parameters
    ----------
    ds
        The surface over two coordinates.
    whole
        The coordinates that it had before it was sliced.
    request
        What to draw.
    paths
        How many paths lie on it too; curves have the colours after theirs.

    Raises
    ------
    ValueError
        If something does not belong to this surface.
    """
    x, y = schema.coordinates(ds)
    low, high = ((float(ds[x].values[k]), float(ds[y].values[k])) for k in (0, -1))
    extent = Extent((x, y), low, high)
    descents = outcomes.together(outcomes.listed(request.descent))
    many = tuple(swarm.read(d, extent, request.step) for d in descents)
    for d in descents:
        kinship.check(ds, d, "descent")
    directions = arrows.read(ds, whole, extent, request.field)
    found = [*marks.regions(ds, request.region, extent), *marks.curves(request.curves or {}, extent)]
    facts = [said for m in many for said in m.facts]
    if request.critical is not None:
        kinship.check(ds, request.critical, "critical")
        points, said = marks.critical_points(request.critical, extent)
        found, facts = found + points, facts + said
    facts += [directions.fact] if directions is not None else []
    walked = request.step if not paths and not descents else None
    curves = ways.read(request.course, ds, extent, paths, walked)
    return Read(many, directions, tuple(found), tuple(curves), (*facts, *ways.facts(request.course, extent)))


def on(sheet: Sheet, read: Read) -> Extras:
    """Everything on the surface of one quantity."""
    return Extras(
        tuple(bundle for many in read.swarms for bundle in swarm.on(sheet, many)),
        None if read.field is None else arrows.on(sheet, read.field),
        marks.on(sheet, read.marks),
        ways.on(sheet, read.ways),
    )
