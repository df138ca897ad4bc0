"""Curves over one coordinate, as plain numbers and words: profiles of a surface, and training paths over the steps.

A figure is a column of `Panel`s that share their abscissa; a panel holds `Line`s, on its left or its right axis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import curvature, kinship, outcomes, quadratic, scale, steps, strands
from thalweg.figures.prepare import at_step, choose, grid, label
from thalweg.figures.scale import number
from thalweg.figures.strands import Strand

Auto = Literal["auto"]


@dataclass(frozen=True)
class Line:
    """A curve: (metric, split) give its colour; `band` is the standard error around it."""

    label: str
    x: np.ndarray
    y: np.ndarray
    metric: str
    split: str
    dashed: bool = False
    right: bool = False
    band: np.ndarray | None = None


@dataclass(frozen=True)
class Panel:
    """Curves that share their axes; `mark` is the abscissa of the model, `log` concerns the left axis.

    `strands` are many descents, in front of the curves; `xlim` and `ylim` are the ends of the axes if they are given.
    """

    left: str
    lines: tuple[Line, ...]
    right: str = ""
    log: bool = False
    mark: float | None = None
    share: float = 1.0
    strands: tuple[Strand, ...] = ()
    xlim: tuple[float, float] | None = None
    ylim: tuple[float, float] | None = None


@dataclass(frozen=True)
class Sheets:
    """Everything that a figure of curves draws."""

    panels: tuple[Panel, ...]
    x: str
    title: str
    subtitle: str = ""
    notes: tuple[str, ...] = field(default=())


def profile_panels(
    ds: xr.Dataset,
    *,
    descent: outcomes.Descents | None = None,
    step: int | None = None,
    log: bool | Auto = "auto",
    title: str | None = None,
) -> Sheets:
    """One panel with the losses on the left axis and the first other metric on the right, and descents on the curve.

    Raises
    ------
    ValueError
        If the surface has not exactly one coordinate left.
    """
    whole = schema.coordinates(ds) if "coordinates" in ds.attrs else ()
    ds, fixed = grid(ds, 1)
    names, _ = choose(ds, None)
    (dim,) = schema.coordinates(ds)
    metrics = list(dict.fromkeys(ds[n].attrs["metric"] for n in names))
    left, right = metrics[0], (metrics[1] if len(metrics) > 1 else None)
    lines = tuple(_line(ds, dim, n, left) for n in names if ds[n].attrs["metric"] in (left, right))
    losses = np.concatenate([line.y for line in lines if not line.right])
    logarithmic = scale.wants_log(losses, log)
    if logarithmic and not (losses[np.isfinite(losses)] > 0).any():
        raise ValueError(f"`{names[0]}` has no positive value, so it has no logarithm; draw it with log=False.")
    x = ds[dim].values
    runs, said = _descents(ds, descent, dim, x, losses if logarithmic else None, step)
    known = schema.at_model(ds) and "at_origin" in ds[names[0]].attrs and all(np.isclose(v, 0) for v in fixed.values())
    predicted = _predicted(ds, names[0], whole, fixed)
    panel = Panel(
        left=_axis_title(ds, names, left),
        right=_axis_title(ds, names, right) if right else "",
        lines=(*lines, *predicted),
        log=logarithmic,
        mark=0.0 if known and x[0] <= 0 <= x[-1] else None,
        strands=runs,
        xlim=(float(x[0]), float(x[-1])) if runs else None,
        ylim=quadratic.ends(losses, predicted[0].y, logarithmic) if predicted else None,
    )
    cut = [f"{_say(d)} = {number(v)}" for d, v in fixed.items()]
    more = [f"`{m}` is not drawn" for m in metrics[2:]]
    some = curvature.subset(ds)
    band = [f"Estimated from {some}"] * bool(some)
    band += ["Bands are one standard error to either side"] * any(line.band is not None for line in lines)
    return Sheets(
        panels=(panel,),
        x=label(ds[dim]),
        title=at_step(title or str(ds.attrs.get("title") or "") or "Profile of the loss", step),
        subtitle=". ".join([*(["Slice at " + ", ".join(cut)] if cut else []), *_evaluated(ds), *band, *said]),
        notes=(*_gaps(lines, logarithmic), *more),
    )


def path_panels(ds: xr.Dataset, *, log: bool | Auto = "auto", title: str | None = None) -> Sheets:
    """The loss and its value at the projection, the distance from the plane, and the learning rate if there is one.

    Raises
    ------
    ValueError
        If the dataset is not a path, or holds no loss.
    """
    if ds.attrs.get("kind") != "path":
        raise ValueError(f"This dataset is of kind {ds.attrs.get('kind')!r}, and one of kind 'path' is needed.")
    schema.check(ds)
    lines = tuple(
        _path_line(ds, p + name, name) for name in ("loss", "test_loss") for p in ("", "projected_") if p + name in ds
    )
    where = {1: "line", 2: "plane"}.get(len(schema.coordinates(ds)), "box")
    step = ds["step"].values.astype(float)
    panels = []
    if lines:
        losses = np.concatenate([line.y for line in lines])
        units = str(ds[lines_name(ds)].attrs.get("units", ""))
        panels.append(
            Panel(
                "Loss" + (f" [{units}]" if units not in ("", "1") else ""),
                lines,
                log=scale.wants_log(losses, log),
                share=2.0,
            )
        )
    far = Line(f"distance from the {where}", step, ds["distance"].values.astype(float), "distance", "train")
    panels.append(Panel(f"Distance from\nthe {where}", (far,)))
    if "learning_rate" in ds and np.ptp(ds["learning_rate"].values) > 0:
        rate = Line("learning rate", step, ds["learning_rate"].values.astype(float), "rate", "train")
        panels.append(Panel("Learning rate", (rate,)))
    return Sheets(
        panels=tuple(panels),
        x=label(ds["step"]),
        title=title or _explained(ds, where),
        subtitle=str(ds.attrs.get("title") or ""),
        notes=_gaps(lines, False),
    )


def lines_name(ds: xr.Dataset) -> str:
    """The first variable that holds a loss."""
    return next(n for n in ("loss", "projected_loss", "test_loss", "projected_test_loss") if n in ds)


def _explained(ds: xr.Dataset, where: str) -> str:
    ratios = np.atleast_1d(ds.attrs.get("explained_variance_ratio", []))[: len(schema.coordinates(ds))]
    if not ratios.size:
        return f"The path and its projection onto the {where}"
    parts = " + ".join(f"{100 * r:.3g}" for r in ratios)
    return f"The {where} explains {100 * ratios.sum():.3g}% of the path's variance" + (
        f" ({parts})" if ratios.size > 1 else ""
    )


def _line(ds: xr.Dataset, dim: str, name: str, left: str) -> Line:
    var = ds[name]
    error = ds.get(f"{name}_standard_error")
    return Line(
        label=label(var).split(" [")[0],
        x=ds[dim].values.astype(float),
        y=var.values.astype(float),
        metric=var.attrs["metric"],
        split=var.attrs["split"],
        dashed=var.attrs["split"] != "train",
        right=var.attrs["metric"] != left,
        band=None if error is None else error.values.astype(float),
    )


def _predicted(ds: xr.Dataset, name: str, dims: tuple[str, ...], fixed: dict[str, float]) -> tuple[Line, ...]:
    """Along eigenvectors, the quadratic that the eigenvalues predict for the training loss."""
    told, var = quadratic.about(ds), ds[name]
    if told is None or (var.attrs["metric"], var.attrs["split"]) != ("loss", "train"):
        return ()
    (dim,) = schema.coordinates(ds)
    x = ds[dim].values.astype(float)
    found = quadratic.along(told, dims, dim, x, var.attrs.get("at_origin"), fixed)
    return () if found is None else (Line(found[0], x, found[1], "quadratic", "train", dashed=True),)


def _path_line(ds: xr.Dataset, variable: str, name: str) -> Line:
    split = "test" if name.startswith("test_") else "train"
    said = ("test" if split == "test" else "training") + " loss"
    projected = variable.startswith("projected_")
    text = f"{said} at the projection" if projected else f"{said}, true point"
    y = ds[variable].values.astype(float)
    return Line(text, ds["step"].values.astype(float), y, "projected" if projected else "loss", split, dashed=projected)


def _axis_title(ds: xr.Dataset, names: list[str], metric: str) -> str:
    units = label(ds[next(n for n in names if ds[n].attrs["metric"] == metric)]).partition(" [")[2]
    return metric[:1].upper() + metric[1:].replace("_", " ") + (f" [{units}" if units else "")


def _descents(
    surface: xr.Dataset,
    given: outcomes.Descents | None,
    dim: str,
    x: np.ndarray,
    losses: np.ndarray | None,
    step: int | None,
) -> tuple[tuple[Strand, ...], list[str]]:
    """Descents on the profile, and what the subtitle says of them; `losses` are those on a logarithmic axis."""
    descents = outcomes.listed(given)
    steps.drawable(descents, step)
    lowest = -np.inf if losses is None else float(losses[losses > 0].min())
    found: list[Strand] = []
    said: list[str] = []
    for descent in outcomes.together(descents):
        found += strands.on_profile(descent, dim, x, lowest, step)
        kinship.check(surface, descent, "descent")
        said += outcomes.facts(descent, outcomes.chosen(descent, strands.MOST_CURVES).size)
    return tuple(found), said


def _say(dim: str) -> str:
    return {"alpha": "α", "beta": "β", "gamma": "γ"}.get(dim, dim)


def _evaluated(ds: xr.Dataset) -> list[str]:
    if "interpolated" not in ds:
        return []
    mask = ds["interpolated"].values
    return [f"{int((~mask).sum()):,} of {mask.size:,} points evaluated, the rest interpolated"]


def _gaps(lines: tuple[Line, ...], log: bool) -> tuple[str, ...]:
    notes = []
    for line in lines:
        if bad := int((~np.isfinite(line.y)).sum()):
            notes.append(f"{line.label}: {bad:,} of {line.y.size:,} points {'is' if bad == 1 else 'are'} not finite")
        if log and not line.right and (low := int((line.y <= 0).sum())):
            notes.append(f"{line.label}: {low:,} of {line.y.size:,} points are not positive and have no logarithm")
    return tuple(notes)
