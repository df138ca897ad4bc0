r"""The stochastic landscape: the risk of one example, of all of them, and of all that could be drawn.

Stochastic descent follows at every step the gradient of another landscape. Three maps of the same plane with the same
colours stand side by side: the pointwise risk $\ell(\theta; x_k, y_k)$ of the example (or the mean over the batch) that
made the update, with the arrow $-0.1\,\nabla\ell$; the empirical risk $\frac1n\sum_k \ell(\theta; x_k, y_k)$ with the
path so far; and the expected risk $\mathbb{E}\,\ell(\theta; x, y)$ where it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures import kinship, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.bands import Bands, quantile_bands
from thalweg.figures.overlay import Sheet
from thalweg.figures.prepare import Axis, grid, label
from thalweg.figures.scale import Scale
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

ARROW = -0.1  # of the gradient
ARROW_WORDS = "−0.1 · gradient of this update"
_POINTWISE, _EMPIRICAL, _EXPECTED = "pointwise_risk", "empirical_risk", "expected_risk"


@dataclass(frozen=True)
class RiskPanel:
    """One map: `values[i, j]` at `(x_i, y_j)`, the `path` (2, n) so far, its end `here`, the `arrow` (2,)."""

    name: str
    title: str
    values: np.ndarray
    path: np.ndarray | None = None
    here: np.ndarray | None = None
    arrow: np.ndarray | None = None


@dataclass(frozen=True)
class RiskMaps:
    """Everything that the figure draws; all panels share axes, bands and the colour bar's title."""

    x: Axis
    y: Axis
    panels: tuple[RiskPanel, ...]
    bands: Bands
    bar: str
    title: str
    subtitle: str
    notes: tuple[str, ...]
    commensurate: bool

    def reach(self, panel: RiskPanel) -> float:
        """Length of the panel's arrow as a share of the map's side: a short one needs a small head."""
        if panel.arrow is None:
            return 0.0
        return float(
            np.hypot(*(d / np.ptp(axis.values) for d, axis in zip(panel.arrow, (self.x, self.y), strict=True)))
        )


@dataclass(frozen=True)
class _Moment:
    """A descent at one step: positions so far (2, n), the arrow, the examples of the update, and what is said."""

    path: np.ndarray
    arrow: np.ndarray | None
    examples: np.ndarray
    over: bool
    when: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]


def risk(
    ds: xr.Dataset,
    *,
    descent: xr.Dataset | None = None,
    start: int = 0,
    step: float | None = None,
    example: int | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw the risks over a plane side by side: of the current example, of the data set, and in expectation.

    The left map shows the example whose gradient made the update at `step` (the mean over the batch if it was larger)
    with the iterate and the arrow $-0.1\,\nabla\ell$; the middle one the path so far; the right one, if the dataset has
    an expected risk, the iterate. All share twenty bands of colour: ten below and ten above the empirical risk at the
    origin, each with an equal share of the values.

    Parameters
    ----------
    ds
        Kind `surface` with `pointwise_risk`, `empirical_risk`, and perhaps `expected_risk`. Variables or coordinates
        `x` and `y` over `example` are told in the title.
    descent
        Kind `descent` with positions in this plane (`thalweg.project_trajectory`); without one only the maps are drawn.
    start
        Which of the descent's starts.
    step
        The update that is about to be made; None is the end of the descent, which shows the last example used.
    example
        Instead of the example of the step; 0 if there is neither.
    backend, theme, title
        As in `figures.surface`; the step and the example are told in the title, or below one that you pass.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `RiskMaps`.

    Raises
    ------
    ValueError
        If the dataset holds no risks, the descent no positions in its plane, or there is no such start, step or
        example.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> a, b = np.linspace(-1, 1, 5), np.linspace(-1, 1, 4)
    >>> each = np.stack([(1 - a[:, None] * b) ** 2, (2 + a[:, None] + b) ** 2], axis=-1)
    >>> words = {"role": "value", "metric": "risk", "split": "train", "long_name": "empirical risk", "units": ""}
    >>> risks = xr.Dataset(
    ...     {
    ...         "pointwise_risk": (("alpha", "beta", "example"), each, {"role": "per_example"}),
    ...         "empirical_risk": (("alpha", "beta"), each.mean(-1), words),
    ...     },
    ...     {"alpha": a, "beta": b},
    ...     {"kind": "surface", "coordinates": ["alpha", "beta"]},
    ... )
    >>> shown = risk(risks, example=1, backend="none")
    >>> shown.title, [panel.title for panel in shown.panels]
    ('Example 1', ['Pointwise risk of example 1', 'Empirical risk'])
    """
    draw = drawer(backend, "risk")
    prepared = prepare_risk(ds, descent=descent, start=start, step=step, example=example, title=title)
    return draw(prepared, theme)


def prepare_risk(
    ds: xr.Dataset,
    *,
    descent: xr.Dataset | None = None,
    start: int = 0,
    step: float | None = None,
    example: int | None = None,
    title: str | None = None,
) -> RiskMaps:
    """Read the risks and the descent at one step.

    Raises
    ------
    ValueError
        As `risk`.
    """
    if missing := [n for n in (_POINTWISE, _EMPIRICAL) if n not in ds]:
        names = ", ".join(f"`{n}`" for n in missing)
        raise ValueError(f"This dataset has no {names}, which the maps of risk show; `thalweg.risk` measures them.")
    ds, _ = grid(ds, 2)
    dims = schema.coordinates(ds)
    moment = None if descent is None else _moment(ds, descent, dims, start, step)
    if descent is None and step is not None:
        raise ValueError(f"step={step} needs a `descent=` whose step it is; without one choose an `example=`.")
    wanted = moment.examples if moment is not None and example is None else np.array([example or 0])
    drawn = wanted if wanted.size else np.array([0])
    used = moment is not None and moment.examples.size > 0 and np.array_equal(drawn, moment.examples)
    means = [n for n in (_EMPIRICAL, _EXPECTED) if n in ds]
    maps = {_POINTWISE: _mean_risk(ds, drawn), **{n: ds[n].values.astype(float) for n in means}}
    titles = {_POINTWISE: _left_title(drawn), **{n: label(ds[n]).split(" [")[0] for n in means}}
    middle, whose = _middle(ds)
    bands = quantile_bands([ds[n].values for n in (_POINTWISE, *means)], middle)
    words = _words(ds, drawn, moment, used)
    x, y = (_axis(ds[d]) for d in dims)
    units = [ds[d].attrs.get("units") for d in dims]
    return RiskMaps(
        x=x,
        y=y,
        panels=tuple(_panel(n, titles[n], maps[n], moment, used) for n in maps),
        bands=bands,
        bar=_bar(ds),
        title=title or words,
        subtitle=". ".join(([words] if title else []) + list(moment.facts if moment else ())),
        notes=(*_notes(ds, bands, middle, whose, means), *(moment.notes if moment else ())),
        commensurate=units[0] is not None and units[0] == units[1],
    )


def _moment(surface: xr.Dataset, descent: xr.Dataset, dims: tuple[str, ...], start: int, step: float | None) -> _Moment:
    if descent.attrs.get("kind") != "descent":
        raise ValueError(f"`descent` is a dataset of kind {descent.attrs.get('kind')!r}, and a descent is needed.")
    if missing := [d for d in dims if d not in descent]:
        raise ValueError(
            f"The descent has no positions {', '.join(missing)} on these maps; "
            "add them with thalweg.project_trajectory(descent, plane)."
        )
    schema.check(descent)
    kinship.check(surface, descent, "descent")
    if not 0 <= start < descent.sizes["start"]:
        raise ValueError(f"There is no start {start}; the descent has {descent.sizes['start']}, numbered from 0.")
    run = descent.isel(start=start)
    at = steps.index(run, step)
    over = at == run.sizes["step"] - 1
    path = np.array([run[d].values[: at + 1] for d in dims], dtype=float)
    arrow, note = _arrow(run, dims, at)
    return _Moment(
        path=path,
        arrow=arrow,
        examples=_batch(run, at),
        over=over,
        when=f"Step {steps.word(steps.recorded(run)[at])}",
        facts=_facts(run, at, path),
        notes=note,
    )


def _batch(run: xr.Dataset, at: int) -> np.ndarray:
    """The examples of the update at a step; at the end, where none is made, those of the last one."""
    if "example" not in run:
        return np.array([], int)
    every = run["example"].values.reshape(run.sizes["step"], -1)
    filled = [k for k in range(at + 1) if (every[k] >= 0).any()]
    chosen = every[filled[-1]] if filled else np.array([], int)
    return np.asarray(chosen[chosen >= 0])


def _arrow(run: xr.Dataset, dims: tuple[str, ...], at: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """-0.1 times the gradient, if the plane's coordinates are the weights themselves (up to a shift)."""
    theta = run["theta"].values
    places = np.stack([run[d].values for d in dims], axis=-1)
    if theta.shape != places.shape:
        return None, ("The gradient is not drawn, because the plane does not hold all weights",)
    shift = theta - places
    settled = shift[np.isfinite(shift).all(axis=1)]
    if not np.allclose(settled, settled[:1], atol=1e-6 * (1 + np.abs(settled[:1]).max(initial=0.0))):
        return None, ("The gradient is not drawn, because the plane's coordinates are not the weights",)
    arrow = ARROW * run["gradient"].values[at].astype(float)
    return (arrow if np.isfinite(arrow).all() and arrow.any() else None), ()


def _facts(run: xr.Dataset, at: int, path: np.ndarray) -> tuple[str, ...]:
    here = ", ".join(number(float(v), 3) for v in path[:, -1])
    facts = [f"Iterate ({here})", f"empirical risk {number(float(run['loss'].values[at]), 4)}"]
    if "batch_loss" in run and np.isfinite(run["batch_loss"].values[at]):
        whose = (
            "of the example" if run["example"].values.reshape(run.sizes["step"], -1).shape[1] == 1 else "of the batch"
        )
        facts.append(f"risk {whose} {number(float(run['batch_loss'].values[at]), 4)}")
    return (", ".join(facts), str(run.attrs["optimizer"])) if "optimizer" in run.attrs else (", ".join(facts),)


def _mean_risk(ds: xr.Dataset, examples: np.ndarray) -> np.ndarray:
    var = ds[_POINTWISE]
    count = var.sizes[var.dims[-1]]
    known = ds[var.dims[-1]].values if var.dims[-1] in ds.coords else np.arange(count)
    places = [np.flatnonzero(known == e) for e in examples]
    if unknown := [int(e) for e, found in zip(examples, places, strict=True) if not found.size]:
        raise ValueError(f"There is no example {unknown[0]}; the dataset has {count}, from {known[0]} to {known[-1]}.")
    return np.asarray(var.values[..., [int(p[0]) for p in places]].mean(axis=-1), dtype=float)


def _left_title(examples: np.ndarray) -> str:
    if examples.size == 1:
        return f"Pointwise risk of example {examples[0]}"
    return f"Mean risk of {examples.size} examples"


def _words(ds: xr.Dataset, examples: np.ndarray, moment: _Moment | None, used: bool) -> str:
    """`Step 40, example 40 (x = 0.31, y = -1.2)`."""
    if examples.size > 1:
        which = f"a batch of {examples.size} examples"
    else:
        known = {n: _of_example(ds, n, int(examples[0])) for n in ("x", "y")}
        told = ", ".join(f"{n} = {v}" for n, v in known.items() if v is not None)
        which = f"example {examples[0]}" + (f" ({told})" if told else "")
    if moment is None:
        return which[:1].upper() + which[1:]
    if moment.over and used:
        return f"{moment.when}, the end; the last update used {which}"
    return f"{moment.when}, {which}" if used else f"{moment.when}; on the left {which}"


def _of_example(ds: xr.Dataset, name: str, example: int) -> str | None:
    dim = ds[_POINTWISE].dims[-1]
    if name not in ds.variables or ds[name].dims != (dim,):
        return None
    known = ds[dim].values if dim in ds.coords else np.arange(ds.sizes[dim])
    return number(float(ds[name].values[np.flatnonzero(known == example)[0]]), 3)


def _middle(ds: xr.Dataset) -> tuple[float, str]:
    """The value where the colours meet: the empirical risk at the origin, or in the middle of a map without one."""
    var = ds[_EMPIRICAL]
    dims = schema.coordinates(ds)
    x, y = (ds[d].values.astype(float) for d in dims)
    inside = all(a[0] <= 0 <= a[-1] for a in (x, y))
    if inside and np.isfinite(var.attrs.get("at_origin", np.nan)):
        return float(var.attrs["at_origin"]), "at the origin"
    place = np.array([0.0, 0.0]) if inside else np.array([(a[0] + a[-1]) / 2 for a in (x, y)])
    sheet = Sheet((dims[0], dims[1]), x, y, ("", ""), _EMPIRICAL, "", var.values, Scale(False, None, None, 0.0, 1.0))
    value = float(sheet.height(place[:1], place[1:])[0])
    where = "at the origin" if inside else "in the middle of the map"
    return value if np.isfinite(value) else float(np.nanmedian(var.values)), where


def _panel(name: str, title: str, values: np.ndarray, moment: _Moment | None, used: bool) -> RiskPanel:
    if moment is None:
        return RiskPanel(name, title, values)
    here = moment.path[:, -1]
    path = moment.path if name == _EMPIRICAL else None
    arrow = moment.arrow if name == _POINTWISE and used and not moment.over else None
    return RiskPanel(name, title, values, path, here, arrow)


def _axis(coordinate: xr.DataArray) -> Axis:
    words = label(coordinate)
    return Axis(str(coordinate.name), words.split(" [")[0], words, coordinate.values.astype(float))


def _bar(ds: xr.Dataset) -> str:
    units = str(ds[_EMPIRICAL].attrs.get("units", ""))
    return "Risk" + (f" [{units}]" if units not in ("", "1") else "")


def _notes(ds: xr.Dataset, bands: Bands, middle: float, whose: str, names: list[str]) -> tuple[str, ...]:
    met = float(bands.levels[bands.middle])
    what = f"the empirical risk {whose}" if np.isclose(met, middle) else "the median of all risks drawn"
    notes = [
        f"Blue and orange meet at {number(met)}, {what}; "
        f"below and above it, each band holds an equal share of the risks"
    ]
    for name in names:
        error = ds.get(f"{name}_standard_error")
        if error is not None:
            notes.append(f"{label(ds[name])} is estimated, with a standard error up to {number(float(error.max()), 2)}")
        if bad := int((~np.isfinite(ds[name].values)).sum()):
            notes.append(f"{label(ds[name])}: {bad:,} of {ds[name].size:,} points are not finite")
    return tuple(notes)
