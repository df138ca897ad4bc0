"""Barriers beside each other: before and after alignment, on training and test data, or over the width of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import kinds, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Mark, Series
from thalweg.figures.rises import COLORS
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

Barriers = xr.Dataset | Mapping[str, Any]


def barrier(ds: Barriers, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw barriers of the loss, each as a dot with a bar from zero; or over numbers, as curves.

    Parameters
    ----------
    ds
        Kind `barrier`; or names and several of them, `{"as trained": before, "aligned": after}`; or names and, for
        each, widths with their barriers, `{"aligned": {16: ..., 64: ...}}`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If a dataset is of another kind, or there is none.

    Examples
    --------
    >>> import xarray as xr
    >>> data = {"barrier": [2.0], "t": [0.5], "highest": [2.1], "start": [0.1], "end": [0.1]}
    >>> found = xr.Dataset(
    ...     {k: ("quantity", v) for k, v in data.items()}, {"quantity": ["loss"]}, {"kind": "barrier"}
    ... )
    >>> barrier({"as trained": found}, backend="none").cells[0].y.words
    ('as trained',)
    """
    draw = drawer(backend, "board")
    return draw(prepare_barrier(ds, title=title), theme)


def prepare_barrier(ds: Barriers, *, title: str | None = None) -> Board:
    """Read barriers.

    Raises
    ------
    ValueError
        As `barrier`.
    """
    given: dict[str, Any] = {"": ds} if isinstance(ds, xr.Dataset) else dict(ds)
    if not given:
        raise ValueError("There is no barrier to draw; `thalweg.loss_barrier` makes one.")
    if all(isinstance(v, Mapping) and not isinstance(v, xr.Dataset) for v in given.values()):
        cells, tall = _over_numbers(given), 2.4
    else:
        cells, tall = _beside(given), 0.7 + 0.42 * len(given)
    return Board(
        cells=tuple(cells),
        columns=len(cells),
        rows=(tall,),
        title=title or "Barriers between two optima",
        subtitle="How far losses rise, and accuracies fall, from the straight line between their values at the ends",
    )


def _beside(given: Mapping[str, Any]) -> list[Cell]:
    """A row for each name, a dot for each split."""
    checked = {name: kinds.need(ds, "barrier", name or "ds") for name, ds in given.items()}
    cells = []
    for quantities in _groups(list(checked.values())):
        found = []
        for k, quantity in enumerate(quantities):
            known = [i for i, ds in enumerate(checked.values()) if quantity in ds["quantity"].values]
            rows = [list(checked.values())[i].sel(quantity=quantity) for i in known]
            x = np.array([float(r["barrier"]) for r in rows])
            y = -np.array(known, dtype=float) - (k - (len(quantities) - 1) / 2) * 0.26
            names = [list(checked)[i] for i in known]
            hover = tuple(_said(n, quantity, r) for n, r in zip(names, rows, strict=True))
            look: dict[str, Any] = {"symbol": "circle", "across": np.array([np.minimum(x, 0), np.maximum(x, 0)])}
            said = "test data" if quantity.startswith("test_") else "training data"
            found.append(Series(said, x, y, ("main", "warm")[k % 2], hover=hover, **look))
        ends = (-len(checked) + 0.45, 0.55)
        named = Ruler("", "linear", ends, 1.0, tuple(-float(i) for i in range(len(checked))), tuple(checked))
        ruler = rulers.linear(
            f"Barrier of the {_metric(quantities[0])}", np.concatenate([s.x for s in found]), zero=True
        )
        cells.append(Cell(ruler, named, tuple(found), marks=(Mark(0.0, ""),)))
    return cells


def _over_numbers(given: Mapping[str, Mapping[float, xr.Dataset]]) -> list[Cell]:
    """A curve for each name."""
    checked = {
        name: {float(at): kinds.need(ds, "barrier", f"{name}, {at}") for at, ds in sorted(many.items())}
        for name, many in given.items()
    }
    every = [ds for many in checked.values() for ds in many.values()]
    if not every:
        raise ValueError("There is no barrier to draw; `thalweg.loss_barrier` makes one.")
    cells: list[Cell] = []
    numbers = np.array(sorted({at for many in checked.values() for at in many}))
    across = _numbers(numbers)
    for quantity in [q for group in _groups(every) for q in group]:
        found = []
        for k, (name, many) in enumerate(checked.items()):
            known = {at: ds.sel(quantity=quantity) for at, ds in many.items() if quantity in ds["quantity"].values}
            x, y = np.array(list(known)), np.array([float(r["barrier"]) for r in known.values()])
            hover = tuple(_said(f"{name}, {at:g}", quantity, r) for at, r in known.items())
            look: dict[str, Any] = {"line": 1.8, "symbol": "circle", "dashed": k == 0 and len(checked) > 1}
            found.append(Series(name, x, y, COLORS[k % len(COLORS)], hover=hover, **look))
        values = np.concatenate([s.y for s in found])
        words = "Barrier" if not cells else ""
        said = _words(quantity)
        cells.append(
            Cell(
                across,
                rulers.linear(words, values, zero=True),
                tuple(found),
                said[:1].upper() + said[1:],
                (Mark(0.0, "", upright=False),),
            )
        )
    return cells


def _numbers(values: np.ndarray) -> Ruler:
    ends = {"ticks": tuple(values.tolist()), "words": tuple(f"{v:g}" for v in values)} if values.size <= 8 else {}
    if values.size > 2 and values[0] > 0 and values[-1] > 8 * values[0]:
        return Ruler("Width", "log", (float(values[0]) / 1.2, 1.2 * float(values[-1])), 1.0, **ends)
    low, high = rulers.linear("", values).ends or (0.0, 1.0)
    return Ruler("Width", "linear", (low, high), 1.0, **ends)


def _groups(datasets: list[xr.Dataset]) -> list[list[str]]:
    """Quantities by metric, those of training and test data together, the loss first."""
    names = list(dict.fromkeys(str(q) for ds in datasets for q in ds["quantity"].values))
    found: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: (_metric(n) != "loss", n.startswith("test_"))):
        found.setdefault(_metric(name), []).append(name)
    return list(found.values())


def _metric(quantity: str) -> str:
    return quantity.removeprefix("test_").replace("_", " ")


def _words(quantity: str) -> str:
    return ("test " if quantity.startswith("test_") else "training ") + _metric(quantity)


def _said(name: str, quantity: str, row: xr.Dataset) -> str:
    who = f"{name}, " if name else ""
    at = f" at t = {number(float(row['t']), 2)}"
    return f"{who}{_words(quantity)}: {number(float(row['barrier']))}{at}, {number(float(row['highest']))} high"
