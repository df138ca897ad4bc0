r"""Components of a training run beside those of a random walk: what a picture of principal components does not show.

A random walk in many dimensions has components too. Component $k$ of $T$ steps explains about $6 / (\pi k)^2$ of its
variance, its scores are the cosine $\cos(\pi k t / T)$, and any two of them draw a Lissajous figure
(Antognini & Sohl-Dickstein 2018, arXiv:1806.08805). Only what differs from that is about training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rulers, steps
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Series
from thalweg.figures.prepare import label
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_SHOWN = 3  # components whose scores are drawn
_RANGE = (5, 95)  # percentiles of the simulated walks that their band spans


def random_walk(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    """Draw what the components of a run explain, and their scores, beside the same of random walks.

    Above, the explained variance beside the exact theory and the range of simulated walks. Below, the scores over the
    steps beside the cosines, and score 2 over score 1 three times: of the run, of a simulated walk, of the theory.
    Scores are divided by their root mean square, with the sign that agrees with the theory.

    Parameters
    ----------
    ds
        Kind `random_walk`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no component or fewer than two steps.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> t = np.arange(5)
    >>> cosines = np.cos(np.pi * np.outer(t + 0.5, [1, 2]) / 5)
    >>> both, ratio = ("step", "axis"), ("axis", [0.7, 0.2])
    >>> found = xr.Dataset(
    ...     {
    ...         "explained_variance_ratio": ratio,
    ...         "theory": ratio,
    ...         "walk": (("sample", "axis"), [[0.6, 0.2], [0.8, 0.1]]),
    ...         **{name: (both, cosines) for name in ("score", "walk_score", "theory_score")},
    ...     },
    ...     {"axis": [1, 2], "step": t},
    ...     {"kind": "random_walk"},
    ... )
    >>> [cell.title for cell in random_walk(found, backend="none").cells]
    ['', 'Score 1: agreement 1.00', 'Score 2: agreement 1.00',
     'This run', 'A simulated random walk', 'Theory of random walks']
    """
    draw = drawer(backend, "board")
    return draw(prepare_random_walk(ds, title=title), theme)


def prepare_random_walk(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read components beside those of random walks.

    Raises
    ------
    ValueError
        As `random_walk`.
    """
    kinds.need(ds, "random_walk")
    if not ds.sizes["axis"] or ds.sizes["step"] < 2:
        raise ValueError("The dataset holds no component or fewer than two steps, so there is nothing to draw.")
    shown = min(_SHOWN, ds.sizes["axis"])
    columns = 6  # a row of one panel, of two or of three
    cells = [_variance(ds, columns)]
    cells += [_over_steps(ds, k, columns // shown) for k in range(shown)]
    cells += [_figure(ds, k, columns // 3) for k in range(3)] if shown > 1 else []
    return Board(
        cells=tuple(cells),
        columns=columns,
        rows=(2.0, 1.5, 2.0)[: 3 if shown > 1 else 2],
        title=curvature.title(ds, title, "Components of the run beside those of a random walk"),
        subtitle=curvature.text(_facts(ds)),
        notes=(
            "Agreement: the correlation of a score with the cosine that theory draws for a random walk",
            "Scores are divided by their root mean square, with the sign that agrees with the theory",
            "Antognini & Sohl-Dickstein 2018, arXiv:1806.08805",
        ),
    )


def _variance(ds: xr.Dataset, span: int) -> Cell:
    axis = np.arange(1.0, ds.sizes["axis"] + 1)
    ratio, theory, walks = (ds[n].values.astype(float) for n in ("explained_variance_ratio", "theory", "walk"))
    found: list[Series] = []
    if len(walks):
        band = np.percentile(walks, _RANGE, axis=0)
        words = f"{len(walks)} simulated walks ({_RANGE[0]}% to {_RANGE[1]}%)"
        middle = np.median(walks, axis=0)
        found.append(Series(words, axis, middle, "amber", 1.2, dotted=True, band=band, hover=_shares(words, middle)))
    found.append(Series("random walk, theory", axis, theory, "warm", 1.6, dashed=True, hover=_shares("theory", theory)))
    look: dict[str, Any] = {"line": 1.9, "symbol": "circle", "hover": _shares("this run", ratio)}
    found.append(Series("this run", axis, ratio, "main", **look))
    return Cell(
        rulers.counting("Component", axis.size), _share_ruler(np.concatenate([ratio, theory])), tuple(found), span=span
    )


def _share_ruler(values: np.ndarray) -> Ruler:
    """Shares by decades, in percent."""
    positive = values[np.isfinite(values) & (values > 0)]
    low = max(float(positive.min()) / 1.6 if positive.size else 0.01, 1e-6)
    ticks = [t for t in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0) if t >= low]
    words = tuple(f"{100 * t:g}%" for t in ticks)
    return Ruler("Share of the variance", "log", (low, 1.6), 1.0, tuple(ticks), words)


def _shares(name: str, values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{name}, component {k + 1}: {100 * v:.3g}%" for k, v in enumerate(values))


def _over_steps(ds: xr.Dataset, k: int, span: int) -> Cell:
    step = steps.recorded(ds).astype(float)
    theory = _scaled(ds, "theory_score", k)
    curves = (
        Series("a simulated walk", step, _scaled(ds, "walk_score", k), "amber", 0.9, dotted=True),
        Series("random walk, theory", step, theory, "warm", 1.6, dashed=True),
        Series("this run", step, _scaled(ds, "score", k), "main", 1.9),
    )
    words = f"Score {int(ds['axis'].values[k])}: agreement {_agreement(ds, k):.2f}"
    ruler = _scores(ds, "Score" if k == 0 else "")
    return Cell(rulers.linear(label(ds["step"]), step, 0.02), ruler, curves, words, span=span)


def _figure(ds: xr.Dataset, which: int, span: int) -> Cell:
    """Score 2 over score 1, with a ring at the first step."""
    name, words, color, look = (
        ("score", "This run", "main", {"line": 1.9}),
        ("walk_score", "A simulated random walk", "amber", {"line": 1.4}),
        ("theory_score", "Theory of random walks", "warm", {"line": 1.6, "dashed": True}),
    )[which]
    x, y = (_scaled(ds, name, k) for k in (0, 1))
    said = ("this run", "a simulated walk", "random walk, theory")[which]
    drawn = (
        Series(said, x, y, color, key="", hover=_walked(ds, said), **look),  # type: ignore[arg-type]
        Series(f"{said}, first step", x[:1], y[:1], color, symbol="circle", hollow=True, key=""),
    )
    one, two = (int(a) for a in ds["axis"].values[:2])
    return Cell(_scores(ds, f"Score {one}"), _scores(ds, f"Score {two}" if which == 0 else ""), drawn, words, span=span)


def _scores(ds: xr.Dataset, words: str) -> Ruler:
    """One axis for all scores that are drawn, from −r to r."""
    shown = min(_SHOWN, ds.sizes["axis"])
    every = [_scaled(ds, name, k) for name in ("score", "walk_score", "theory_score") for k in range(shown)]
    reach = 1.12 * float(np.nanmax(np.abs(every), initial=1.0))
    whole = np.arange(-np.floor(reach), np.floor(reach) + 1)
    ticks = whole[np.abs(whole) % max(1, np.floor(reach) // 2) == 0]
    return Ruler(words, "linear", (-reach, reach), 1.0, tuple(ticks.tolist()), tuple(number(float(t)) for t in ticks))


def _walked(ds: xr.Dataset, name: str) -> tuple[str, ...]:
    return tuple(f"{name}, step {steps.word(s)}" for s in steps.recorded(ds))


def _scaled(ds: xr.Dataset, name: str, k: int) -> np.ndarray:
    """A score with mean square 1 and the sign of the theory's."""
    values, theory = (ds[n].values[:, k].astype(float) for n in (name, "theory_score"))
    size = np.sqrt(np.nanmean(values**2))
    sign = -1.0 if np.nansum(values * theory) < 0 else 1.0
    return np.asarray(sign * values / size if size > 0 else values)


def _agreement(ds: xr.Dataset, k: int) -> float:
    """The correlation of a score with that of the theory, 0 to 1."""
    a, b = _scaled(ds, "score", k), _scaled(ds, "theory_score", k)
    size = np.sqrt(np.nansum(a**2) * np.nansum(b**2))
    return float(np.nansum(a * b) / size) if size > 0 else 0.0


def _facts(ds: xr.Dataset) -> list[str]:
    ratio, theory, walks = (ds[n].values.astype(float) for n in ("explained_variance_ratio", "theory", "walk"))
    first = f"Component 1 explains {100 * ratio[0]:.3g}% of this run, {100 * theory[0]:.3g}% of a random walk as long"
    facts = [
        "Cosines, parabolas and Lissajous figures are what any random walk draws: they are no finding about training"
    ]
    if not len(walks):
        return [*facts, first]
    low, high = walks.min(axis=0), walks.max(axis=0)
    out = [int(ds["axis"].values[k]) for k in range(ratio.size) if not low[k] <= ratio[k] <= high[k]]
    first += f", {100 * low[0]:.3g}% to {100 * high[0]:.3g}% of {len(walks)} simulated ones"
    return [*facts, first, _outside(out, ratio.size)]


def _outside(out: list[int], count: int) -> str:
    if not out:
        return (
            "No component explains more or less than in the simulated walks: nothing tells this run from a random walk"
        )
    if len(out) == count:
        return (
            f"All {number(count)} components lie outside the range of the simulated walks"
            if count > 1
            else ("It explains more or less than in any simulated walk")
        )
    words = ", ".join(map(str, out))
    many = len(out) > 1
    return f"Component{'s' * many} {words} explain{'s' * (not many)} more or less than in any simulated walk"
