"""A ball on a landscape of two weights: drag it, and see how an optimiser takes it down.

Every step is made by `thalweg.descend`; the page draws it. Where there is no Python (`standalone`), descents from a
grid of starts are computed in advance, and the page shows that of the start nearest to the pointer, and says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
import xarray as xr
from contourpy import contour_generator

from thalweg import figures
from thalweg.apps.widgets.instrument import Instrument, module, packed, standalone
from thalweg.apps.widgets.plane import axis, marks, pens, source
from thalweg.figures import theme as themes
from thalweg.landscapes import Landscape
from thalweg.measures import critical_points, descend, loss_surface
from thalweg.problem import Problem
from thalweg.subspaces import coordinate_plane, grid_starts, random_starts

OPTIMIZERS: dict[str, Callable[[float, float], Callable[[Any], torch.optim.Optimizer]]] = {
    "gradient descent": lambda lr, _: lambda w: torch.optim.SGD(w, lr=lr),
    "momentum": lambda lr, momentum: lambda w: torch.optim.SGD(w, lr=lr, momentum=momentum),
    "Nesterov": lambda lr, momentum: lambda w: torch.optim.SGD(w, lr=lr, momentum=momentum, nesterov=momentum > 0),
    "Adam": lambda lr, _: lambda w: torch.optim.Adam(w, lr=lr),
}
"""What can move the ball: a function of learning rate and momentum that gives what `descend` takes."""
MANY = ("one", "circle", "grid")
"""From where: the ball alone; 24 places on the circle around the middle, through the ball; a grid of 11 x 11."""
_RATES = (0.01, 0.03, 0.1, 0.3)
_SETTINGS = ("start", "optimizer", "learning_rate", "momentum", "steps", "many", "noise", "seed")


class Ball(Instrument, script="ball.js"):
    """A ball to be dragged over the map of a loss of two weights, and the way that an optimiser takes from there.

    Parameters
    ----------
    problem
        A problem with two weights.
    extent
        What the map shows: a radius, or a pair (low, high) for each weight.
    start
        Where the ball lies at first.
    optimizer, learning_rate, momentum, steps
        One of `OPTIMIZERS`, and its settings.
    many
        One of `MANY`.
    noise, seed
        Standard deviation of normal noise in every gradient, and its seed.
    surface
        Kind `surface` over `alpha` and `beta`, the two weights; measured if not given.
    critical
        Kind `critical_points` of the same plane; found if not given.
    curves
        Names of curves, such as solution sets, and their points `(n, 2)`.
    names, formula
        Of the two weights, those of the problem by default; and what stands above the map.
    clip
        Losses above are drawn at this height, as in `figures.surface`.

    Raises
    ------
    ValueError
        If the problem has not two weights, or a setting is not among what there is.

    Examples
    --------
    >>> from thalweg.landscapes import landscape
    >>> ball = Ball.on(landscape("multiply-by-one"), start=(1.2, 0.3), steps=50)
    >>> ball.descent.theta.shape, ball.descent.attrs["optimizer"]
    ((1, 51, 2), 'SGD(lr=0.1)')
    >>> ball.start = [-1.0, -0.2]  # as a drag of the mouse does
    >>> ball.descent.theta.values[0, 0]
    array([-1. , -0.2])
    """

    title = "A ball on a landscape"
    scene = traitlets.Dict().tag(sync=True)
    start = traitlets.List(traitlets.Float(), [0.0, 0.0], 2, 2).tag(sync=True)
    optimizer = traitlets.Enum(list(OPTIMIZERS), "gradient descent").tag(sync=True)
    learning_rate = traitlets.Float(0.1).tag(sync=True)
    momentum = traitlets.Float(0.9).tag(sync=True)
    steps = traitlets.Int(100).tag(sync=True)
    many = traitlets.Enum(list(MANY), "one").tag(sync=True)
    noise = traitlets.Float(0.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    path = traitlets.Dict().tag(sync=True)
    samples: traitlets.List = traitlets.List().tag(sync=True)

    def __init__(
        self,
        problem: Problem,
        extent: Any = 2.0,
        *,
        surface: xr.Dataset | None = None,
        critical: xr.Dataset | None = None,
        curves: Mapping[str, Any] | None = None,
        names: Sequence[str] | None = None,
        formula: str = "",
        clip: Any = "auto",
        **settings: Any,
    ) -> None:
        self._told: tuple[Any, ...] | None = None
        self._ready = False
        if "start" not in settings:
            low, high = np.array(_extent(extent)).T
            settings["start"] = [float(v) for v in low + np.array([0.8, 0.65]) * (high - low)]
        super().__init__(**settings)
        self.observe(self._settings_changed, list(_SETTINGS))
        self.show(
            problem,
            extent,
            surface=surface,
            critical=critical,
            curves=curves,
            names=names,
            formula=formula,
            clip=clip,
        )

    @classmethod
    def on(cls, landscape: Landscape, **settings: Any) -> Ball:
        """The ball on a landscape known by name, with its solutions."""
        return cls(
            landscape.problem(),
            landscape.extent,
            curves=landscape.solutions,
            names=landscape.coordinates,
            formula=landscape.formula,
            **settings,
        )

    def show(
        self,
        problem: Problem,
        extent: Any = 2.0,
        *,
        surface: xr.Dataset | None = None,
        critical: xr.Dataset | None = None,
        curves: Mapping[str, Any] | None = None,
        names: Sequence[str] | None = None,
        formula: str = "",
        clip: Any = "auto",
    ) -> None:
        """Put the ball on another landscape; its settings stay."""
        if problem.num_weights != 2:
            raise ValueError(
                f"The problem has {problem.num_weights} weights, and the ball rolls over two. "
                "`Plane` and `loss_surface` look at a plane of a larger one."
            )
        plane = coordinate_plane(problem)
        reach = _extent(extent)
        if surface is None:
            surface = loss_surface(problem, plane, extent=reach, points=101, metrics=[], progress=False)
        if critical is None:
            critical = critical_points(problem, plane, extent=reach, points=61)
        self.problem, self.surface, self.critical = problem, surface, critical
        self._ready = False
        named = [str(n) for n in (names or getattr(problem, "names", None) or ("θ1", "θ2"))]
        self.scene = _scene(surface, critical, curves or {}, named, formula, clip)
        low, high = np.array(reach).T
        self.start = [float(v) for v in np.clip(self.start, low, high)]
        self._ready, self._told = True, None
        self._roll()

    @property
    def descent(self) -> xr.Dataset:
        """The descent that is shown: kind `descent`."""
        return self._descent

    def standalone(self, file: str | os.PathLike[str], title: str | None = None) -> Path:
        """Write a page without Python: descents from a grid of starts by every optimiser, at a few learning rates."""
        self.samples = [_sampled(self, name, rate) for name in OPTIMIZERS for rate in _RATES]
        try:
            return standalone(self, file, title)
        finally:
            self.samples = []

    def _settings_changed(self, _: Any) -> None:
        if self._ready:
            self._roll()

    def _roll(self) -> None:
        told = tuple(str(getattr(self, name)) for name in _SETTINGS)
        if told == self._told:
            return
        self._told = told
        began = time.perf_counter()
        try:
            self._descent = descend(
                self.problem,
                _starts(self.many, self.start, self.scene),
                OPTIMIZERS[self.optimizer](self.learning_rate, self.momentum),
                steps=self.steps,
                noise=self.noise,
                seed=self.seed,
                progress=False,
            )
        except ValueError as refused:  # a learning rate or momentum that torch refuses
            self.path = {"refused": str(refused), "asked": self.asked}
            return
        self.path = {
            **_drawn(self._descent),
            "asked": self.asked,
            "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
        }


Ball._esm = source("plane.js", "relief.js") + module("ball.js")


def _extent(extent: Any) -> list[tuple[float, float]]:
    """As pairs (low, high), one for each weight."""
    if np.ndim(extent) == 0:
        return [(-float(extent), float(extent))] * 2
    pairs = np.broadcast_to(np.asarray(extent, dtype=float), (2, 2))
    return [(float(low), float(high)) for low, high in pairs]


def _starts(many: str, start: list[float], scene: dict[str, Any]) -> np.ndarray:
    """The ball's own start first, then the others."""
    own = np.array([start])
    pairs = [(scene[a]["low"], scene[a]["high"]) for a in ("x", "y")]
    if many == "grid":
        return np.concatenate([own, grid_starts(pairs, 11).numpy().reshape(-1, 2)])
    if many == "circle":
        middle = np.mean(pairs, axis=1)
        radius = float(np.linalg.norm(own[0] - middle)) or 1.0
        return np.concatenate([own, middle + random_starts(24, seed=0, radius=radius).numpy()])
    return own


def _sampled(ball: Ball, name: str, rate: float, count: int = 13, steps: int = 60) -> dict[str, Any]:
    """Descents from a grid of `count` x `count` starts, for a page without Python."""
    pairs = [(ball.scene[a]["low"], ball.scene[a]["high"]) for a in ("x", "y")]
    starts = grid_starts(pairs, count).reshape(-1, 2)
    found = descend(ball.problem, starts, OPTIMIZERS[name](rate, 0.9), steps=steps, progress=False)
    return {"optimizer": name, "learning_rate": rate, **_drawn(found)}


def _drawn(found: xr.Dataset) -> dict[str, Any]:
    """What the page needs of a descent, with the precision of a screen."""
    with np.errstate(over="ignore", invalid="ignore"):
        slope = np.linalg.norm(found.gradient.values[:, -1], axis=-1)
        parts = {"theta": found.theta.values, "loss": found.loss.values, "slope": slope}
        return {
            **{name: packed(values.astype(np.float32)) for name, values in parts.items()},
            "label": found.attrs["optimizer"],
        }


def _scene(
    surface: xr.Dataset, critical: xr.Dataset, curves: Mapping[str, Any], names: Sequence[str], formula: str, clip: Any
) -> dict[str, Any]:
    """All that the page draws but the ball: heights and iso-lines as the figures of surfaces prepare them."""
    shown = figures.contour(surface, "loss", critical=critical, curves=curves, clip=clip, backend="none")
    layer = shown.layers["loss"]
    low, high = float(layer.scale.low), float(layer.scale.high)
    lines = contour_generator(shown.x.values, shown.y.values, np.ma.masked_invalid(layer.heights.T))
    iso = [
        {
            "xy": packed(_joined(lines.lines(float(level)))),
            "color": themes.iso_color(((level - low) / (high - low)) ** 0.5),
        }
        for level in layer.levels
    ]
    return {
        "x": axis(shown.x, names[0]),
        "y": axis(shown.y, names[1]),
        "heights": packed(layer.heights.astype(np.float32)),
        "low": low,
        "high": high,
        "log": bool(layer.scale.log),
        "ceiling": layer.scale.ceiling,
        "ticks": [[float(h), text] for h, text in zip(layer.levels, layer.ticks, strict=True)],
        "lines": iso,
        "marks": marks(layer.extras.marks),
        "pens": pens(),
        "formula": formula,
        "notes": list(layer.notes),
    }


def _joined(lines: Any) -> np.ndarray:
    """One line `(n, 2)` with nan between its parts."""
    gap = np.full((1, 2), np.nan)
    parts = [part for line in lines for part in (line, gap)]
    return np.concatenate(parts or [gap]).astype(np.float32)
