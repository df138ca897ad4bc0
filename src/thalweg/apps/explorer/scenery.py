"""What can lie on a surface over two coordinates, and the surface with it, prepared to be drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import xarray as xr

from thalweg import figures, schema
from thalweg.apps.explorer.shelf import Entry, Refusal, Shelf
from thalweg.apps.sections import path_name, solutions
from thalweg.figures.prepare import Map

Log = bool | Literal["auto"]
ARGUMENTS = {"path": "path", "course": "course", "descent": "descent", "critical_points": "critical"}
_WORDS = {"path": "path", "course": "curve", "descent": "descent", "critical_points": "critical points"}
WALKED = ("path", "course", "descent")


@dataclass(frozen=True)
class Look:
    """Which quantity of which slice, on which scale, with what on it, and whose scale it shares."""

    name: str
    variable: str
    log: Log = "auto"
    at: tuple[tuple[str, int], ...] = ()
    on_it: tuple[str, ...] = ()
    like: tuple[str, str, tuple[tuple[str, int], ...]] | None = None


def plane(ds: xr.Dataset, at: Sequence[tuple[str, int]] = ()) -> xr.Dataset:
    """The surface over its first two coordinates; further ones are cut, in the middle unless `at` says where.

    Raises
    ------
    Refusal
        If it has not two coordinates.
    """
    ds = ds.squeeze([dim for dim in schema.coordinates(ds) if ds.sizes.get(dim) == 1])
    dims = [dim for dim in schema.coordinates(ds) if dim in ds.dims]
    if len(dims) < 2:
        raise Refusal(422, "This surface has one coordinate; it is drawn as a profile.")
    places = dict(at)
    cut = {dim: min(max(places.get(dim, ds.sizes[dim] // 2), 0), ds.sizes[dim] - 1) for dim in dims[2:]}
    return ds.isel(cut)


def depths(ds: xr.Dataset) -> list[dict[str, Any]]:
    """Coordinates beyond the second, which are cut with a slider."""
    dims = [dim for dim in schema.coordinates(ds) if ds.sizes.get(dim, 1) > 1]
    return [{"name": dim, "values": ds[dim].values.astype(float).tolist()} for dim in dims[2:]]


def offers(shelf: Shelf, name: str, ds: xr.Dataset) -> list[dict[str, Any]]:
    """What can be laid on a surface: results of the study in its plane, and what it brings along itself."""
    lying = [entry for entry in shelf.entries() if not entry.why and _lies_on(entry, name, ds.attrs)]
    found = [_offer(f"{entry.kind}:{entry.name}", _label(entry, name), entry.kind) for entry in lying]
    descents = [one for one in found if one["kind"] == "descent"]
    for one in found:
        one["on"] = one["kind"] != "descent" or len(descents) == 1
    places = json.loads(ds.attrs.get("subspace", "{}")).get("points")
    if places:
        found.append(_offer("points", "named points", on=not any(one["kind"] == "course" for one in found)))
    if solutions(ds):
        found.append(_offer("curves", "curves of solutions", on=True))
    if "gradient" in ds:
        found.append(_offer("field", "downhill arrows"))
    regions = [str(key) for key, var in ds.data_vars.items() if var.attrs.get("role") == "region"]
    found += [_offer(f"region:{key}", f"region: {ds[key].attrs.get('long_name', key)}") for key in regions]
    return found


def grounds(shelf: Shelf, name: str) -> list[dict[str, str]]:
    """Surfaces over two coordinates on which a result lies, and what to switch on there to see it."""
    entries = shelf.entries()
    mine = next((entry for entry in entries if entry.name == name), None)
    if mine is None or mine.kind not in ARGUMENTS:
        return []
    surfaces = [entry for entry in entries if entry.kind == "surface" and len(entry.coordinates) > 1]
    lies = [entry.name for entry in surfaces if _lies_on(mine, entry.name, entry.attrs)]
    return [{"name": surface, "on": f"{mine.kind}:{name}"} for surface in lies]


def prepared(shelf: Shelf, look: Look) -> Map:
    """Everything that the pictures of one quantity draw.

    Raises
    ------
    Refusal, ValueError
        If there is no such quantity, or something does not lie on this surface.
    """
    ds = plane(shelf.load(look.name), look.at)
    if look.variable not in schema.values(ds):
        raise Refusal(404, f"{look.name} has no quantity {look.variable!r}; it has {', '.join(schema.values(ds))}.")
    options: dict[str, Any] = {}
    regions = []
    for key in look.on_it:
        kind, _, rest = key.partition(":")
        if kind in ARGUMENTS:
            _add(options, kind, rest, shelf.load(rest))
        elif kind == "region":
            regions.append(rest)
        elif kind in _OWN:
            options |= _OWN[kind](ds)
    if len(options.get("course", {})) == 1:
        options["course"] = next(iter(options["course"].values()))  # one alone is named by what it is
    if look.like is not None:
        other, variable, at = look.like
        options["like"] = plane(shelf.load(other), at)[variable]
    shown: Map = figures.surface(
        _alone(ds, look.variable, regions, ("gradient",) if "field" in options else ()),
        look.variable,
        log=look.log,
        region=regions or None,
        backend="none",
        **options,
    )
    return shown


_OWN: dict[str, Callable[[xr.Dataset], dict[str, Any]]] = {
    "points": lambda ds: {"points": json.loads(ds.attrs.get("subspace", "{}")).get("points")},
    "curves": lambda ds: {"curves": solutions(ds)},
    "field": lambda _: {"field": True},
}


def _add(options: dict[str, Any], kind: str, name: str, ds: xr.Dataset) -> None:
    if kind == "course":
        options.setdefault("course", {})[name.rpartition("/")[2]] = ds
    elif kind == "critical_points":
        options["critical"] = ds
    else:
        options.setdefault(ARGUMENTS[kind], []).append(ds)


def _alone(ds: xr.Dataset, variable: str, regions: Sequence[str], kept: Sequence[str]) -> xr.Dataset:
    """The surface with one quantity and what is `kept`, so that no other one is prepared."""
    needed = {variable, *(str(ds[key].attrs["of"]) for key in regions if key in ds)}
    drop = [name for name in schema.values(ds) if name not in needed]
    drop += [str(key) for key, var in ds.data_vars.items() if var.attrs.get("role") == "region" and key not in regions]
    drop += [str(key) for key, var in ds.data_vars.items() if var.attrs.get("of") in drop and key not in drop]
    return ds.drop_vars([name for name in drop if name not in kept])


def _lies_on(entry: Entry, name: str, surface: dict[Any, Any]) -> bool:
    if entry.kind not in ARGUMENTS or "coordinates" not in entry.attrs:
        return False
    mine, its = surface.get("subspace_id"), entry.attrs.get("subspace_id")
    if entry.attrs.get("on") == name:
        return True
    if mine is not None and its is not None:
        return bool(mine == its) and entry.attrs["coordinates"] == _listed(surface.get("coordinates"))
    return entry.kind in ("path", "course") and entry.name == f"{entry.kind}/{path_name(name).removeprefix('path/')}"


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _offer(key: str, words: str, kind: str = "", on: bool = False) -> dict[str, Any]:
    return {"id": key, "label": words, "kind": kind, "on": on, "walk": kind in WALKED}


def _label(entry: Entry, surface: str) -> str:
    """What it is, and the end of its name where that is not the surface's."""
    short = entry.name.rpartition("/")[2]
    return _WORDS[entry.kind] if short == surface.rpartition("/")[2] else f"{_WORDS[entry.kind]} {short}"
