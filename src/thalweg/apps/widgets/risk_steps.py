r"""Sample by sample: the landscape that each step of stochastic descent sees, that of the data, and the expected one.

Three maps of one plane with the same bands of colour, as `figures.risk` draws them: the risk of the example that makes
the next update, with the iterate and $-0.1$ of its gradient; the empirical risk with the path so far; the expected
risk with the iterate. Everything is measured in Python (`thalweg.risk`, `thalweg.descend`); the page steps through it,
also where there is no Python.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import traitlets
import xarray as xr

from thalweg import figures
from thalweg.apps.widgets.instrument import Instrument, module, packed
from thalweg.apps.widgets.plane import axis, pens, source
from thalweg.figures.risk import ARROW

_FINEST = 61  # grid points along a side of the map of one example
_FULL = 65535


class RiskSteps(Instrument, script="risk_steps.js"):
    """Walk through a stochastic descent with a slider, or let it play; move the start where Python can descend again.

    Parameters
    ----------
    risk
        Kind `surface` with `pointwise_risk` and `empirical_risk`, perhaps `expected_risk`, over the two weights.
    descent
        Kind `descent` with mini-batches, projected onto the same plane.
    examples
        Inputs and targets of the examples, `(n,)` each, to be told with each step.
    again
        A function from a start `(2,)` to a descent of the same kind: with it, a click on a map or the arrow keys move
        the start.
    names
        Of the two weights.

    Raises
    ------
    ValueError
        As `figures.risk`.

    Examples
    --------
    >>> import thalweg as tw
    >>> import torch
    >>> problem = tw.landscapes.perceptron_problem()
    >>> plane = tw.coordinate_plane(problem)
    >>> risk = tw.risk(problem, plane, extent=5.0, points=21, expected=tw.landscapes.expected_risk)
    >>> path = tw.descend(
    ...     problem, [[3.0, -4.0]], lambda w: torch.optim.SGD(w, lr=0.01), steps=5, batch_size=1, shuffle=False
    ... )
    >>> shown = RiskSteps(risk, tw.project_trajectory(path, plane))
    >>> [panel["title"] for panel in shown.maps["panels"]]
    ['Pointwise risk', 'Empirical risk', 'Expected risk']
    """

    title = "Sample by sample"
    maps = traitlets.Dict().tag(sync=True)
    path = traitlets.Dict().tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    start = traitlets.List(traitlets.Float(), [0.0, 0.0], 2, 2).tag(sync=True)
    movable = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        risk: xr.Dataset,
        descent: xr.Dataset,
        *,
        examples: Any = None,
        again: Callable[[list[float]], xr.Dataset] | None = None,
        names: tuple[str, str] = ("w1", "w2"),
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._again: Callable[[list[float]], xr.Dataset] | None = None
        self._names = names
        self.show(risk, descent, examples=examples, again=again)
        self.observe(self._moved, "start")

    def show(
        self,
        risk: xr.Dataset,
        descent: xr.Dataset,
        *,
        examples: Any = None,
        again: Callable[[list[float]], xr.Dataset] | None = None,
    ) -> None:
        """Draw other risks and another descent; the slider stays where it is, if it can."""
        self._again = None
        self.maps = _maps(risk, descent, self._names, examples)
        self._take(descent)
        self.start = [float(v) for v in descent.theta.values[0, 0]]
        self._again, self.movable = again, again is not None

    @property
    def descent(self) -> xr.Dataset:
        """The descent that is shown."""
        return self._descent

    def _take(self, descent: xr.Dataset) -> None:
        self._descent = descent
        self.path = _path(descent)
        self.step = min(self.step, descent.sizes["step"] - 1)

    def _moved(self, _: Any) -> None:
        if self._again is not None:
            self._take(self._again(list(self.start)))


RiskSteps._esm = source("plane.js") + module("risk_steps.js")


def _maps(risk: xr.Dataset, descent: xr.Dataset, names: tuple[str, str], examples: Any) -> dict[str, Any]:
    """Risks and the bands of their colours; coarser maps where the page would get heavy."""
    prepared = figures.risk(risk, descent=descent, step=int(descent.step[0]), backend="none")
    counts = [len(axis.values) for axis in (prepared.x, prepared.y)]
    every = _every(counts)
    bands = prepared.bands
    highest = float(bands.levels[-1])
    dims = risk.attrs["coordinates"]
    thin = risk["pointwise_risk"].isel({dim: slice(None, None, every) for dim in dims})
    each = thin.transpose("example", *dims).values
    panels = [{"title": panel.title.split(" of ")[0], "name": panel.name} for panel in prepared.panels]
    return {
        "x": axis(prepared.x, names[0]),
        "y": axis(prepared.y, names[1]),
        "panels": panels,
        "pointwise": _coded(each, highest),
        **{panel["name"]: _coded(risk[panel["name"]].values, highest) for panel in panels[1:]},
        "levels": [float(v) for v in bands.levels],
        "middle": bands.middle,
        "colors": bands.colors,
        "ticks": [[float(k), text] for k, text in zip(*bands.ticks, strict=True)],
        "notes": list(prepared.notes),
        "examples": {} if examples is None else _told(examples),
        "pens": pens(),
    }


def _every(counts: list[int]) -> int:
    """Every how many grid points the maps of single examples keep, with the first and the last."""
    least = -(-(max(counts) - 1) // (_FINEST - 1))
    return next(n for n in range(max(1, least), max(counts)) if all((c - 1) % n == 0 for c in counts))


def _coded(values: np.ndarray, highest: float) -> dict[str, Any]:
    """Risks as two bytes each: evenly spaced square roots of what they have above the least; the page squares again.

    What is above `highest`, the end of the last band, or not finite, is drawn there.
    """
    finite = np.nan_to_num(values, nan=highest, posinf=highest, neginf=highest)
    low = float(finite.min())
    span = max(highest - low, 1e-300)
    codes = np.sqrt(np.clip((finite - low) / span, 0.0, 1.0)) * _FULL
    data = base64.b64encode(np.ascontiguousarray(np.round(codes), dtype="<u2").tobytes()).decode("ascii")
    return {"shape": list(values.shape), "data": data, "full": _FULL, "low": low, "span": span}


def _told(examples: Any) -> dict[str, Any]:
    x, y = (np.asarray(part, dtype=float).reshape(-1) for part in examples)
    return {"x": packed(x), "y": packed(y)}


def _path(descent: xr.Dataset) -> dict[str, Any]:
    """The first start of the descent: iterates, arrows, losses, and the examples of each update."""
    run = descent.isel(start=0)
    last = run.example.values.reshape(run.sizes["step"], -1)
    with np.errstate(over="ignore", invalid="ignore"):
        parts = {
            "theta": run.theta.values,
            "arrow": ARROW * run.gradient.values,
            "loss": run.loss.values,
            "batch_loss": run.batch_loss.values,
            "example": last,
        }
        return {
            **{name: packed(np.asarray(values).astype(np.float32)) for name, values in parts.items()},
            "steps": [int(k) for k in run.step.values],
            "label": str(descent.attrs.get("optimizer", "")),
        }
