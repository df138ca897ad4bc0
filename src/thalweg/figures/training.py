"""A training run by itself, of a network or of a curve: loss, further metrics and learning rate over the steps."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, scale, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.chart import Chart, Panel, Series
from thalweg.figures.prepare import label
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

KINDS = ("trajectory", "connection")
MOST = 3000  # points that are drawn of a curve; means are of all
SMOOTH_FROM = 200  # steps from which a mean over neighbours is drawn on the losses


def training(
    ds: xr.Dataset,
    *,
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a training run over its steps: the loss, every further metric, and the learning rate if it changed.

    Losses of 200 steps or more are drawn faintly, with their running mean over a fiftieth of the steps.

    Parameters
    ----------
    ds
        Kind `trajectory`, or `connection`: the training of a curve.
    log
        Whether the loss axis is logarithmic. 'auto': if the losses span more than two decades.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `chart.Chart`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no step.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> run = xr.Dataset(
    ...     {
    ...         "theta": (("step", "weight"), np.zeros((3, 2))),
    ...         "loss": ("step", [2.0, 1.0, 0.5]),
    ...         "learning_rate": ("step", [0.1, 0.1, 0.1]),
    ...         "accuracy": ("step", [0.1, 0.6, 0.8]),
    ...     },
    ...     {"step": [0, 10, 20]},
    ...     {"kind": "trajectory"},
    ... )
    >>> [panel.ruler.label for panel in training(run, backend="none").panels]
    ['Loss', 'Accuracy']
    """
    draw = drawer(backend, "chart")
    return draw(prepare_training(ds, log=log, title=title), theme)


def prepare_training(ds: xr.Dataset, *, log: bool | Literal["auto"] = "auto", title: str | None = None) -> Chart:
    """Read a run.

    Raises
    ------
    ValueError
        As `training`.
    """
    kind = kinds.need(ds, KINDS).attrs["kind"]
    step = steps.recorded(ds).astype(float)
    if not step.size:
        raise ValueError("The dataset holds no step, so there is nothing to draw.")
    panels = [_loss(ds, step, log), *(_metric(ds, step, names) for names in _metrics(ds)), *_rate(ds, step)]
    known = np.isfinite(ds["loss"].values)
    lost = int((~known[np.argmax(known) :]).sum())  # before the first update there may be none
    return Chart(
        panels=tuple(panels),
        x=rulers.linear(label(ds["step"]), step, 0.015),
        title=curvature.title(ds, title, "How the curve was learned" if kind == "connection" else "Training run"),
        subtitle=curvature.text(_facts(ds, step)),
        notes=(f"{lost:,} of {step.size:,} losses {'is' if lost == 1 else 'are'} not finite",) if lost else (),
        unified=True,
    )


def _loss(ds: xr.Dataset, step: np.ndarray, log: bool | Literal["auto"]) -> Panel:
    found, whose = [], "mini-batch loss" if ds.attrs["kind"] == "connection" else "loss"
    window = step.size // 50 if step.size >= SMOOTH_FROM else 0
    for name in [n for n in ("loss", "test_loss") if n in ds]:
        values = ds[name].values.astype(float)
        said = "test loss" if name == "test_loss" else whose
        found += _curve(said, step, values, ("main", "warm")[name == "test_loss"], window)
    every = np.concatenate([s.y for s in found])
    positive = every[np.isfinite(every) & (every > 0)]
    words = curvature.eigenvalue_label(ds, "loss", "Loss")
    if log is True and not positive.size:
        raise ValueError("No loss is positive, so there is no logarithm; draw it with log=False.")
    spread = positive.size and not (every <= 0).any() and positive.max() > 100 * positive.min()
    ruler = rulers.linear(words, every)
    if log is True or (log == "auto" and (spread or scale.wants_log(every, "auto"))):
        ruler = rulers.log(words, float(positive.min()) / 1.3, 1.3 * float(positive.max()))
    return Panel(ruler, tuple(found), share=2.0)


def _curve(said: str, step: np.ndarray, values: np.ndarray, color: str, window: int) -> list[Series]:
    """The values, and over many of them their running mean."""
    kept = steps.thinned(np.arange(step.size), MOST)
    known = np.isfinite(values).sum()
    look: dict[str, Any] = {"symbol": "circle"} if known < 3 else {}
    if not window:
        gaps = np.isfinite(values) if known >= 3 and said != "loss" else np.ones(values.size, bool)
        return [Series(said, step[gaps], values[gaps], color, 1.6, **look)]
    faint = "light" if color == "main" else "amber"
    return [
        Series(said, step[kept], values[kept], faint, 0.5, hover=("",) * kept.size),
        Series(f"mean over {window} steps", step[kept], running_mean(values, window)[kept], color, 1.8),
    ]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the finite ones among each value and its neighbours, `window` in all or as many as there are.

    Examples
    --------
    >>> running_mean(np.array([1.0, 3.0, np.nan, 5.0]), 3)
    array([2., 2., 4., 5.])
    """
    finite = np.isfinite(values)
    total, count = (np.append(0.0, np.cumsum(v)) for v in (np.where(finite, values, 0.0), finite.astype(float)))
    place = np.arange(values.size)
    low, high = np.maximum(place - window // 2, 0), np.minimum(place - window // 2 + window, values.size)
    known = count[high] - count[low]
    return np.where(known > 0, (total[high] - total[low]) / np.maximum(known, 1.0), np.nan)


def _metrics(ds: xr.Dataset) -> list[list[str]]:
    """Further metrics over the steps, those of training and test data together."""
    taken = ("loss", "test_loss", "learning_rate", "t")  # t is where on a curve an update was made
    names = [
        str(n) for n, v in ds.data_vars.items() if v.dims == ("step",) and n not in taken and v.dtype.kind in "fiu"
    ]
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.removeprefix("test_"), []).append(name)
    return [sorted(g, key=lambda n: n.startswith("test_")) for g in groups.values()]


def _metric(ds: xr.Dataset, step: np.ndarray, names: list[str]) -> Panel:
    """Metrics may be known at some steps only: those are joined."""
    found = []
    for name in names:
        values, test = ds[name].values.astype(float), name.startswith("test_")
        known = np.isfinite(values)
        words = str(ds[name].attrs.get("long_name") or name.replace("_", " "))
        look: dict[str, Any] = {"symbol": "circle"} if known.sum() <= 60 else {}
        found.append(Series(words, step[known], values[known], "amber" if test else "warm", 1.6, dashed=test, **look))
    words = names[0].removeprefix("test_").replace("_", " ")
    ruler = rulers.linear(words[:1].upper() + words[1:], np.concatenate([s.y for s in found]))
    return Panel(ruler, tuple(found))


def _rate(ds: xr.Dataset, step: np.ndarray) -> list[Panel]:
    values = ds["learning_rate"].values.astype(float)
    finite = values[np.isfinite(values)]
    if not finite.size or np.ptp(finite) == 0:
        return []
    kept = steps.thinned(np.arange(step.size), MOST)
    line = Series("learning rate", step[kept], values[kept], "text", 1.3, key="")
    return [Panel(rulers.linear("Learning rate", finite, zero=True), (line,))]


def _facts(ds: xr.Dataset, step: np.ndarray) -> list[str]:
    facts = []
    if ds.attrs["kind"] == "connection":
        bends = ds.sizes["node"] - 2
        curve = {"bezier": "Bezier curve", "polygonal": "Polygonal chain"}[str(ds.attrs["curve"])]
        facts.append(f"{curve} with {bends} bend{'s' * (bends != 1)}")
    facts.append(steps.said(step))
    rate = ds["learning_rate"].values.astype(float)
    if np.isfinite(rate).any() and not _rate(ds, step):
        facts.append(f"Learning rate {number(float(rate[np.isfinite(rate)][0]))}")
    return facts
