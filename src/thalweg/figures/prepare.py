"""What a surface figure shows, as plain numbers and words: read from the dataset once, drawn by any backend.

`prepare` picks the quantities, their scale and its limits, and writes every sentence of the figure. A `Map` holds one
`Layer` per quantity; arrays are indexed `[i, j]` as `values[i, j] = quantity(x_i, y_j)`, like the dataset's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import curvature, extras, outcomes, overlay, scale, steps, ways
from thalweg.figures.extras import Extras
from thalweg.figures.overlay import Marker, Sheet, Track
from thalweg.figures.scale import Scale, number

Auto = Literal["auto"]
_SHORT = 4  # letters of a name that stands for itself where values are told
_SYMBOLS = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ"}
_UNITLESS = ("", "1", "none", "dimensionless")
_NARROWEST = 4.0  # a map whose sides differ more is not drawn to scale
_DETAIL = 20  # filled levels
_NEGATIVE = 0.1  # share of negative values from which no logarithm is offered


@dataclass(frozen=True)
class Axis:
    """One coordinate: its name in the dataset, the symbol in hover texts, the title of the axis, its values."""

    name: str
    symbol: str
    label: str
    values: np.ndarray


@dataclass(frozen=True)
class Layer:
    """One quantity on one scale.

    `values` are the dataset's, `heights` what is drawn, `text` what hover says; `fine` and `levels` are the heights of
    filled levels and of labelled iso-lines, `ticks` labels them; `notes` says what was changed to draw it. `tracks`,
    `markers` and `extras` lie on it; `sights` (3, n) are the places on it that the camera should see.
    """

    name: str
    label: str
    title: str
    values: np.ndarray
    heights: np.ndarray
    text: np.ndarray
    scale: Scale
    fine: np.ndarray
    levels: np.ndarray
    ticks: tuple[str, ...]
    sheet: Sheet
    tracks: tuple[Track, ...]
    markers: tuple[Marker, ...]
    notes: tuple[str, ...]
    extras: Extras
    sights: np.ndarray


@dataclass(frozen=True)
class Map:
    """Everything that a surface or contour figure draws.

    `layers` are the quantities, each on its chosen scale; `others` the same quantities on the other scale, where they
    have one; `shown` names those that are visible first, in `panels` or one at a time.
    """

    x: Axis
    y: Axis
    layers: dict[str, Layer]
    others: dict[str, Layer]
    shown: tuple[str, ...]
    title: str
    subtitle: str
    commensurate: bool
    panels: bool = False


@dataclass(frozen=True)
class _Order:
    """What every layer gets, whatever its quantity; `at_model`: the surface passes through the model."""

    axes: list[Axis]
    paths: list[xr.Dataset]
    points: Mapping[str, Sequence[float]] | None
    read: extras.Read
    step: float | None
    at_model: bool
    like: np.ndarray

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """All values that the scale has to fit."""
        return np.concatenate([values.ravel(), self.like]) if self.like.size else values


def prepare(
    ds: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    *,
    path: xr.Dataset | Sequence[xr.Dataset] | None = None,
    points: Mapping[str, Sequence[float]] | None = None,
    on_it: extras.Request | None = None,
    log: bool | Auto = "auto",
    clip: float | Auto | None = "auto",
    like: xr.DataArray | Sequence[xr.DataArray] | None = None,
    title: str | None = None,
) -> Map:
    """Read a surface over two coordinates, with the paths, the points and what else lies `on_it`.

    The scale fits the values of `like` as well.

    Raises
    ------
    ValueError
        If the dataset has not exactly two coordinates left, a variable is unknown, or nothing is finite.
    """
    whole = schema.coordinates(ds) if "coordinates" in ds.attrs else ()
    ds, fixed = grid(ds, 2)
    names, shown = choose(ds, variable)
    request = on_it or extras.Request()
    axes = [_axis(ds[d]) for d in schema.coordinates(ds)]
    paths = overlay.read_paths(path, schema.coordinates(ds))
    runs = [*paths, *outcomes.listed(request.descent)]
    walked = bool(ways.named(request.course)) and not runs
    if not walked:
        steps.drawable(runs, request.step)
    read = extras.read(ds, whole, request, len(paths))
    at_model = all(np.isclose(v, 0.0) for v in fixed.values())
    order = _Order(axes, paths, points, read, request.step, at_model, _numbers(like))
    layers, others = {}, {}
    left_out = []
    metric = ds[shown[0]].attrs["metric"]
    for name in names:
        limit = clip if clip in ("auto", None) or ds[name].attrs["metric"] == metric else "auto"
        try:
            chosen = scale.wants_log(
                order.scaled(ds[name].values), log if ds[name].attrs["metric"] == metric else "auto"
            )
            layers[name] = _layer(ds, name, order, chosen, limit)
        except ValueError:
            if name in shown:
                raise
            left_out.append(f"{label(ds[name])} has nothing finite to draw")
            continue
        other = _other(ds, name, order, not chosen, limit)
        if other is not None:
            others[name] = other
    x, y = axes
    equal, stretched = _proportions(ds, x, y)
    return Map(
        x=x,
        y=y,
        layers=layers,
        others=others,
        shown=shown,
        title=at_step(title or _own_title(ds, shown) or _title(ds, shown), request.step, "t =" if walked else "step"),
        subtitle=". ".join([*_facts(ds, fixed), *stretched, *overlay.path_facts(paths, ds), *read.facts, *left_out]),
        commensurate=equal,
    )


def grid(ds: xr.Dataset, wanted: int) -> tuple[xr.Dataset, dict[str, float]]:
    """The checked surface with `coordinates` naming only the dims that are left, and the values of those sliced away.

    Raises
    ------
    ValueError
        If `wanted` coordinates are not what is left, saying how to get there.
    """
    if ds.attrs.get("kind") != "surface":
        raise ValueError(
            f"This dataset is of kind {ds.attrs.get('kind')!r}, and a surface is needed; "
            "a path goes into `path=`, or into figures.path."
        )
    dims = tuple(d for d in schema.coordinates(ds) if d in ds.dims)
    if len(dims) != wanted:
        raise ValueError(_how_to(dims, wanted))
    fixed = {d: float(ds[d]) for d in schema.coordinates(ds) if d in ds.coords and d not in ds.dims}
    return schema.check(ds.assign_attrs(coordinates=list(dims))), fixed


def _how_to(dims: tuple[str, ...], wanted: int) -> str:
    have = f"The surface has {len(dims)} coordinates ({', '.join(dims)})" if dims else "The surface is a single point"
    if len(dims) > wanted:
        cut = ", ".join(f"{d}=0" for d in dims[wanted:])
        near = f"ds.isel({cut.replace('=0', '=...')}) or ds.sel({cut}, method='nearest')"
        more = " or draw it whole with figures.surface or figures.contour" if (len(dims), wanted) == (2, 1) else ""
        return f"{have} and {wanted} can be drawn; slice it first: {near}{more}."
    more = "; draw it with figures.profile" if len(dims) == 1 else ""
    return f"{have} and {wanted} are needed{more}."


def choose(ds: xr.Dataset, variable: str | Sequence[str] | None) -> tuple[list[str], tuple[str, ...]]:
    """Names of the quantities on offer, and of those shown first.

    Raises
    ------
    ValueError
        If a name is not one of the dataset's quantities.
    """
    names = schema.values(ds)
    if variable is None:
        return names, (names[0],)
    wanted = (variable,) if isinstance(variable, str) else tuple(variable)
    for name in wanted:
        if name not in names:
            raise ValueError(f"{name!r} is not a quantity of this surface; it has {', '.join(names)}.")
    if not wanted:
        raise ValueError(f"`variable` is empty; name at least one of {', '.join(names)}.")
    return (names if isinstance(variable, str) else list(wanted)), wanted


def label(var: xr.DataArray) -> str:
    """`Training loss [nats]`: long name and units of a variable or coordinate."""
    name = str(var.attrs.get("long_name") or _SYMBOLS.get(str(var.name), str(var.name)))
    name = name[:1].upper() + name[1:] if var.attrs.get("role") == "value" else name
    units = str(var.attrs.get("units", ""))
    return name if units.lower() in _UNITLESS else f"{name} [{units}]"


def at_step(title: str, step: float | None, word: str = "step") -> str:
    """The title of the whole, or of the state at `step`."""
    return title if step is None else f"{title}, {word} {steps.word(step)}"


def _numbers(like: xr.DataArray | Sequence[xr.DataArray] | None) -> np.ndarray:
    """The values of other surfaces in a row."""
    if isinstance(like, xr.Dataset):
        raise TypeError("`like` is a dataset; the values of one quantity are needed: `other.loss`.")
    others = [like] if isinstance(like, xr.DataArray) else list(like or ())
    return np.concatenate([np.zeros(0), *(np.asarray(v, dtype=float).ravel() for v in others)])


def _axis(coordinate: xr.DataArray) -> Axis:
    name = str(coordinate.name)
    symbol = _SYMBOLS.get(name, name)
    text = label(coordinate)
    text = symbol if text == name else text
    symbol = text if text.isidentifier() and len(text) <= _SHORT else symbol
    return Axis(name, symbol, text, coordinate.values.astype(float))


def _other(ds: xr.Dataset, name: str, order: _Order, log: bool, clip: float | Auto | None) -> Layer | None:
    """The same quantity on the other scale, if it can be drawn there; no logarithm of bounded scores."""
    values = order.scaled(ds[name].values)
    finite = values[np.isfinite(values)]
    below = (finite < 0).mean() > _NEGATIVE or (finite <= 0).mean() > 0.5
    if log and (ds[name].attrs["metric"] == "accuracy" or below):
        return None
    try:
        return _layer(ds, name, order, log, clip)
    except ValueError:  # too large for a linear scale
        return None


def _layer(ds: xr.Dataset, name: str, order: _Order, log: bool, clip: float | Auto | None) -> Layer:
    var = ds[name]
    values = var.values.astype(float)
    fitted = scale.fit(name, order.scaled(values), log, clip)
    heights = fitted(values)
    x, y = order.axes
    levels = scale.levels(fitted, 9)
    title = label(var)
    sheet = Sheet((x.name, y.name), x.values, y.values, (x.symbol, y.symbol), name, title, heights, fitted)
    origin = var.attrs.get("at_origin") if order.at_model and schema.at_model(ds) else None
    tracks = tuple(overlay.track(sheet, p, i, len(order.paths), order.step) for i, p in enumerate(order.paths))
    standing = ways.standing(sheet, order.read.ways)
    markers = (*ways.apart(overlay.markers(sheet, origin, order.points), standing, sheet), *standing)
    return Layer(
        name=name,
        label=title.split(" [")[0],
        title=title,
        values=values,
        heights=heights,
        text=_hover(ds, name, values, fitted),
        scale=fitted,
        fine=scale.refine(levels, fitted, _DETAIL),
        levels=levels,
        ticks=tuple(scale.tick_text(h, log) for h in levels),
        sheet=sheet,
        tracks=tracks,
        markers=markers,
        notes=_notes(values, fitted, complete=bool(ds.attrs.get("complete", True))),
        extras=extras.on(sheet, order.read),
        sights=_sights(sheet, order, markers),
    )


def _sights(sheet: Sheet, order: _Order, markers: tuple[Marker, ...]) -> np.ndarray:
    """What the camera should see: the same at every step, so that it stands still in a film."""
    paths = [_places(p.isel(step=overlay.kept(p.sizes["step"])), sheet.dims) for p in order.paths]
    marks = [np.array([[m.x], [m.y], [m.z]]) for m in markers if m.kind != "here"]
    return np.concatenate([sheet.lift(np.concatenate([*paths, order.read.sights], axis=1)), *marks], axis=1)


def _places(path: xr.Dataset, dims: tuple[str, str]) -> np.ndarray:
    return np.array([path[d].values for d in dims], dtype=float)


def _hover(ds: xr.Dataset, name: str, values: np.ndarray, fitted: Scale) -> np.ndarray:
    """True values as text, with what was done to draw them."""
    error = ds.get(f"{name}_standard_error")
    mask = ds["interpolated"].values if "interpolated" in ds else np.zeros(values.shape, bool)
    text = np.empty(values.shape, dtype=object)
    for i, j in np.ndindex(values.shape):
        v = values[i, j]
        said = number(float(v), 5) + (f" ± {number(float(error.values[i, j]), 2)}" if error is not None else "")
        if fitted.ceiling is not None and v > fitted.ceiling:
            said += f" (drawn at {number(fitted.ceiling)})"
        text[i, j] = said + (" (interpolated)" if mask[i, j] else "")
    return text


def _notes(values: np.ndarray, fitted: Scale, *, complete: bool) -> tuple[str, ...]:
    of = f"of {values.size:,} points"
    infinite, undefined = int(np.isposinf(values).sum()), int((np.isnan(values) | np.isneginf(values)).sum())
    notes = []
    if infinite or undefined:
        how = [f"{infinite:,} inf at the top"] * bool(infinite) + [f"{undefined:,} left open"] * bool(undefined)
        are = "is" if infinite + undefined == 1 else "are"
        what = "not finite" if complete else "not computed yet, or not finite"
        notes.append(f"{infinite + undefined:,} {of} {are} {what} ({', '.join(how)})")
    if fitted.ceiling is not None:
        above = int((values[np.isfinite(values)] > fitted.ceiling).sum())
        notes.append(f"{above:,} {of} above {number(fitted.ceiling)} drawn at {number(fitted.ceiling)}")
    if fitted.floor is not None and (below := int((values < fitted.floor).sum() - np.isneginf(values).sum())):
        notes.append(f"{below:,} {of} below {number(fitted.floor)} drawn at {number(fitted.floor)} (log scale)")
    return tuple(notes)


def _facts(ds: xr.Dataset, fixed: dict[str, float]) -> list[str]:
    facts = []
    if fixed:
        facts.append("Slice at " + ", ".join(f"{_SYMBOLS.get(d, d)} = {number(v)}" for d, v in fixed.items()))
    if "interpolated" in ds:
        mask = ds["interpolated"].values
        facts.append(f"{int((~mask).sum()):,} of {mask.size:,} points evaluated, the rest interpolated")
    errors = [float(np.nanmax(v.values)) for v in ds.data_vars.values() if v.attrs.get("role") == "standard_error"]
    if errors:
        whose = curvature.subset(ds) or "a subset of the examples"
        facts.append(f"Estimated from {whose}: standard error up to {number(max(errors), 2)}")
    return facts


def _own_title(ds: xr.Dataset, shown: tuple[str, ...]) -> str:
    """The dataset's own title, which may name the loss where something else is shown."""
    own = str(ds.attrs.get("title") or "")
    metrics = list(dict.fromkeys(str(ds[name].attrs["metric"]) for name in shown))
    if not own.startswith("Loss of ") or "loss" in metrics:
        return own
    curved = all(metric.startswith("curvature") for metric in metrics)
    words = "Curvature" if curved else " and ".join(metrics).replace("_", " ")
    return f"{words[:1].upper()}{words[1:]} of {own.removeprefix('Loss of ')}"


def _title(ds: xr.Dataset, shown: tuple[str, ...]) -> str:
    return label(ds[shown[0]]).split(" [")[0] if len(shown) == 1 else "Loss landscape"


def _proportions(ds: xr.Dataset, x: Axis, y: Axis) -> tuple[bool, list[str]]:
    """Whether both axes have one scale, and what is said where they could but the map would be a strip."""
    units = [ds[a.name].attrs.get("units") for a in (x, y)]
    if units[0] is None or units[0] != units[1]:
        return False, []
    ratio = float(np.ptp(x.values) / np.ptp(y.values))
    if 1 / _NARROWEST <= ratio <= _NARROWEST:
        return True, []
    ranges = f"{number(ratio, 2)} : 1" if ratio > 1 else f"1 : {number(1 / ratio, 2)}"
    return False, [f"The axes are not drawn to one scale (their ranges are {ranges})"]
