r"""A model of one input while it is fitted: its curve among the data, and how the loss falls.

On the left the data $(x_k, y_k)$, the truth where it is known, the curve of the model now, and faintly what it was
before. On the right the loss over the steps; or, for a model of one parameter whose dataset brings the whole landscape
(`parameter_loss(parameter)`), the loss over that parameter with the place where the descent is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.prepare import label
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_EARLIER = 9  # curves of the whole record that stay visible, faintly
_MOST_STARTS = 4
_MOST_WEIGHTS = 4  # that are told in words
_MARGIN = 0.08


@dataclass(frozen=True)
class Curve:
    """One start: the prediction `now`, `earlier` ones (k, inputs), its way (2, n) on the right, and what follows."""

    label: str
    now: np.ndarray
    earlier: np.ndarray
    way: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Everything that the figure draws; `landscape` (2, m) is the loss over the parameter, if it is known."""

    input: np.ndarray
    data: np.ndarray
    truth: np.ndarray | None
    curves: tuple[Curve, ...]
    landscape: np.ndarray | None
    x_label: str
    y_label: str
    place_label: str
    loss_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    place_range: tuple[float, float]
    loss_range: tuple[float, float]
    log: bool
    title: str
    subtitle: str
    notes: tuple[str, ...]


def fit(
    ds: xr.Dataset,
    *,
    step: float | None = None,
    start: int | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a model among its data at one step of the descent, and the loss with the current place.

    Data are dots, the truth is dashed, the model's curve strong and earlier ones faint. Axes stay the same over all
    steps, for films; curves that leave the data's range are cut off.

    Parameters
    ----------
    ds
        Kind `fit`; `truth(input)` is drawn if there, and `parameter_loss(parameter)` makes the right panel the loss
        over the parameter.
    step
        Which update; None is the last.
    start
        Which of the starts; None draws all of them, if they are at most four.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `Fit`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, has no such step or start, or too many starts to draw at once.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> x, theta = np.array([-1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.5])
    >>> line = xr.Dataset(
    ...     {
    ...         "prediction": (("start", "step", "input"), (theta[:, None] * x)[None]),
    ...         "loss": (("start", "step"), [[4.0, 1.0, 0.25]]),
    ...         "theta": (("start", "step", "weight"), theta[None, :, None]),
    ...         "x": ("example", x),
    ...         "y": ("example", 2 * x),
    ...     },
    ...     {"input": x, "start": [0], "step": [0, 1, 2]},
    ...     {"kind": "fit", "formula": "θx", "weights": ["θ"]},
    ... )
    >>> shown = fit(line, step=1, backend="none")
    >>> shown.title, shown.subtitle
    ('Fit of θx', 'Step 1 of 2. θ = 1. Loss 1')
    """
    draw = drawer(backend, "fit")
    return draw(prepare_fit(ds, step=step, start=start, title=title), theme)


def prepare_fit(
    ds: xr.Dataset, *, step: float | None = None, start: int | None = None, title: str | None = None
) -> Fit:
    """Read the model at one step.

    Raises
    ------
    ValueError
        As `fit`.
    """
    if ds.attrs.get("kind") != "fit":
        kind = ds.attrs.get("kind")
        raise ValueError(f"This dataset is of kind {kind!r}, and a fit is needed; `thalweg.model_fit` makes one.")
    schema.check(ds)
    starts = _starts(ds, start)
    at = steps.index(ds, step)
    chosen = ds.isel(start=starts)
    landscape = _landscape(ds)
    data = np.array([ds["x"].values, ds["y"].values], dtype=float)
    truth = ds["truth"].values.astype(float) if "truth" in ds else None
    curves = tuple(_curve(chosen.isel(start=k), at, landscape is not None, len(starts)) for k in range(len(starts)))
    losses = np.concatenate([chosen["loss"].values.ravel(), [] if landscape is None else landscape[1]])
    inputs = ds["input"].values.astype(float)
    return Fit(
        input=inputs,
        data=data,
        truth=truth,
        curves=curves,
        landscape=landscape,
        x_label=_axis_label(ds, "input", "x"),
        y_label=_axis_label(ds, "y", "y"),
        place_label=_weights(ds)[0] if landscape is not None else "step",
        loss_label=_axis_label(ds, "loss", "loss"),
        x_range=_ends(np.concatenate([inputs, data[0]]), 0.0),
        y_range=_ends(np.concatenate([data[1], [] if truth is None else truth]), _MARGIN),
        place_range=_places(chosen, landscape),
        loss_range=_loss_range(losses, bool(log := _log(losses, landscape))),
        log=log,
        title=title or (f"Fit of {ds.attrs['formula']}" if ds.attrs.get("formula") else "Fit"),
        subtitle=_facts(chosen, at),
        notes=_notes(chosen),
    )


def _starts(ds: xr.Dataset, start: int | None) -> list[int]:
    count = ds.sizes["start"]
    if start is None:
        if count > _MOST_STARTS:
            raise ValueError(
                f"The fit has {count} starts, and {_MOST_STARTS} can be drawn at once; choose one: start=0."
            )
        return list(range(count))
    if not 0 <= start < count:
        raise ValueError(f"There is no start {start}; the fit has {count}, numbered from 0.")
    return [start]


def _curve(run: xr.Dataset, at: int, over_parameter: bool, count: int) -> Curve:
    predictions = run["prediction"].values.astype(float)
    predictions = np.where(np.isfinite(predictions), predictions, np.nan)
    seen = [k for k in steps.thinned(np.arange(run.sizes["step"]), _EARLIER) if k < at]
    place = run["theta"].values[:, 0] if over_parameter else steps.recorded(run)
    way = np.array([place, run["loss"].values], dtype=float)
    way[:, ~np.isfinite(way).all(axis=0)] = np.nan
    name = "model" if count == 1 else _from(run)
    return Curve(name, predictions[at], predictions[seen], way[:, : at + 1], way[:, at:])


def _from(run: xr.Dataset) -> str:
    """Where a start began, or its number if it has too many weights to say them."""
    if run.sizes["weight"] > _MOST_WEIGHTS:
        return f"start {run['start'].values}"
    first = zip(_weights(run), run["theta"].values[0], strict=True)
    return "from " + ", ".join(f"{n} = {number(float(v), 3)}" for n, v in first)


def _landscape(ds: xr.Dataset) -> np.ndarray | None:
    """The loss over the only parameter, if the dataset brings it."""
    if "parameter_loss" not in ds or ds.sizes["weight"] != 1:
        return None
    return np.array([ds["parameter"].values, ds["parameter_loss"].values], dtype=float)


def _weights(ds: xr.Dataset) -> list[str]:
    names = [str(n) for n in np.atleast_1d(ds.attrs.get("weights", []))]
    count = ds.sizes["weight"]
    return names if len(names) == count else (["θ"] if count == 1 else [f"θ{k}" for k in range(count)])


def _axis_label(ds: xr.Dataset, name: str, otherwise: str) -> str:
    return label(ds[name]) if "long_name" in ds[name].attrs else otherwise


def _ends(values: np.ndarray, margin: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    room = margin * ((high - low) or 1.0)
    return (low - room, high + room) if high > low or room else (low - 0.5, high + 0.5)


def _places(chosen: xr.Dataset, landscape: np.ndarray | None) -> tuple[float, float]:
    return _ends(steps.recorded(chosen).astype(float), 0.02) if landscape is None else _ends(landscape[0], 0.0)


def _log(losses: np.ndarray, landscape: np.ndarray | None) -> bool:
    return landscape is None and scale.wants_log(losses, "auto")


def _loss_range(losses: np.ndarray, log: bool) -> tuple[float, float]:
    """Values, not logarithms; a few enormous losses do not flatten the others."""
    finite = losses[np.isfinite(losses)]
    if log:
        low, high = _ends(np.log10(finite[finite > 0]), _MARGIN)
        return float(10**low), float(10**high)
    ceiling = 4 * float(np.percentile(finite, 90)) if finite.size else 1.0
    return _ends(np.minimum(finite, ceiling), _MARGIN)


def _facts(chosen: xr.Dataset, at: int) -> str:
    known = steps.recorded(chosen)
    facts = [f"Step {steps.word(known[at])} of {steps.word(known[-1])}"]
    if chosen.sizes["start"] == 1 and chosen.sizes["weight"] <= _MOST_WEIGHTS:
        now = chosen["theta"].values[0, at]
        facts.append(", ".join(f"{n} = {number(float(v))}" for n, v in zip(_weights(chosen), now, strict=True)))
    losses = [number(float(v)) for v in chosen["loss"].values[:, at]]
    facts.append(f"Loss{'es' if len(losses) > 1 else ''} {', '.join(losses)}")
    return ". ".join(facts)


def _notes(chosen: xr.Dataset) -> tuple[str, ...]:
    lost = int((~np.isfinite(chosen["loss"].values)).any(axis=1).sum())
    if not lost:
        return ()
    if chosen.sizes["start"] == 1:
        return ("The descent diverges",)
    return (f"{lost} of {chosen.sizes['start']} starts {'diverges' if lost == 1 else 'diverge'}",)
