r"""The tangent of a network: its singular values, its principal features, and the first two of them as a plane.

Near weights $\theta_0$ a network is its linearisation, $f(\theta) \approx f(\theta_0) + J (\theta - \theta_0)$. With
$J = U \Sigma V^\top$, the columns of $U \Sigma$ are the functions of the input that a step in the weights can add.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rows, tangent_cells
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.rows import Rows
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

States = Mapping[str, xr.Dataset | None]
_MOST_CURVE, _MOST_DOTS = 600, 1200  # rows that are drawn
_TITLES = ("Singular values", f"Principal features 1 to {tangent_cells.FEATURES}", "The first two features")


def tangent(
    ds: xr.Dataset | States,
    *,
    values: int = 20,
    log: bool = False,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    r"""Draw the tangent of a network: singular values, principal features, and the first two against each other.

    Features (columns of $U \Sigma$) stand over the input where it is a number, else the rows are sorted by class or
    stand over their target or in their order. The first two are in colour. The third panel has one dot for each row,
    coloured likewise. Where inputs lie beyond the training data, its range is shaded.

    Parameters
    ----------
    ds
        Kind `tangent`; or names and several of them, a row of panels each: before and after training, or several
        initialisations. None stands for a state that diverged (`linearize` raised `Diverged`); one whose numbers are
        not finite is shown in the same way.
    values
        How many singular values, the largest.
    log
        Singular values on a logarithmic axis.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If a dataset is of another kind, there is none, or all of them diverged.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> x = np.linspace(-1.0, 1.0, 5)
    >>> over = {"example": ("row", range(5)), "output": ("row", [0] * 5), "value": [1, 2]}
    >>> found = xr.Dataset(
    ...     {
    ...         "singular_value": ("value", [2.0, 1.0]),
    ...         "residual": ("value", [0.0, 0.0]),
    ...         "principal_feature": (("row", "value"), np.stack([x, x**2], axis=1)),
    ...         "x": ("row", x),
    ...     },
    ...     over,
    ...     {"kind": "tangent", "rank": 2, "rank_known": 1, "frobenius": 5**0.5, "num_weights": 3},
    ... )
    >>> tangent(found, backend="none").subtitle
    '5 rows, 3 weights. Rank 2. The first value holds 80% of the squared length'
    """
    draw = drawer(backend, "board")
    return draw(prepare_tangent(ds, values=values, log=log, title=title), theme)


def prepare_tangent(ds: xr.Dataset | States, *, values: int = 20, log: bool = False, title: str | None = None) -> Board:
    """Read tangents.

    Raises
    ------
    ValueError
        As `tangent`.
    """
    several: dict[str, xr.Dataset | None] = (
        {"": ds} if isinstance(ds, xr.Dataset) else {str(k): v for k, v in ds.items()}
    )
    if values < 1:
        raise ValueError(f"values={values} singular values; draw at least one.")
    for one in several.values():
        if one is not None:
            kinds.need(one, "tangent")
    known = {name: one for name, one in several.items() if one is not None and _whole(one)}
    if not known:
        raise ValueError(
            "There is no tangent to draw: none was given, or none is finite because the network has diverged. "
            "`thalweg.linearize` makes one."
        )
    by = rows.by(list(known.values()))
    placed = {name: rows.arranged(one, by, _MOST_CURVE if by == "input" else _MOST_DOTS) for name, one in known.items()}
    whole = next(iter(known.values()))
    across = rows.axis(list(placed.values()), by, whole)
    cells: list[Cell] = []
    last = list(several)[-1]
    for k, (name, one) in enumerate(several.items()):
        heads = tuple(f"{name}\n{head}" if name and not j else head for j, head in enumerate(_TITLES))
        heads = heads if not k else (f"{name}\n{_TITLES[0]}", "", "")
        words = name == last
        if one is None or name not in known:
            cells += tangent_cells.diverged(heads, tangent_cells.quiet(across, words), values, words)
            continue
        cells.append(tangent_cells.spectrum(one, values, log, heads[0], words))
        cells.append(tangent_cells.features(one, placed[name], by, tangent_cells.quiet(across, words), heads[1]))
        cells.append(
            tangent_cells.pair(one, placed[name], rows.colors(list(placed.values()), by, one), heads[2], words)
        )
    return Board(
        cells=tuple(cells),
        columns=3,
        rows=(2.5,) * len(several) if len(several) < 3 else (2.1,) * len(several),
        title=_title(list(known.values()), title),
        subtitle=_facts(several, known),
        notes=tuple(_notes(placed, known)),
    )


def _whole(ds: xr.Dataset) -> bool:
    """Whether there is something finite to draw."""
    return bool(np.isfinite(ds["singular_value"]).all() and np.isfinite(ds["principal_feature"]).all())


def _title(known: list[xr.Dataset], title: str | None) -> str:
    own = {curvature.title(ds, None, "Tangent of the network") for ds in known}
    return title or (own.pop() if len(own) == 1 else "Tangents of the network")


def _facts(several: Mapping[str, xr.Dataset | None], known: dict[str, xr.Dataset]) -> str:
    if list(several) == [""]:
        ds = known[""]
        size = [f"{ds.sizes['row']:,} rows"]
        size += [f"{int(ds.attrs['num_weights']):,} weights"] if "num_weights" in ds.attrs else []
        ranked = tangent_cells.ranked(ds)
        return curvature.text([", ".join(size), ranked[:1].upper() + ranked[1:], _share(ds, "The first value holds ")])
    said = []
    for name in several:
        told = [tangent_cells.count(known[name]), _share(known[name])] if name in known else ["diverged"]
        said.append(f"{name} {' and '.join(filter(None, told))}")
    return f"Rank, and share of the first value in the squared length: {'; '.join(said)}"


def _share(ds: xr.Dataset, start: str = "") -> str:
    total = float(ds.attrs.get("frobenius", np.nan)) ** 2
    if not total > 0 or not ds.sizes["value"]:
        return ""
    share = f"{float(ds['singular_value'][0]) ** 2 / total:.0%}"
    return f"{start}{share} of the squared length" if start else share


def _notes(placed: dict[str, Rows], known: dict[str, xr.Dataset]) -> list[str]:
    first = next(iter(placed.values()))
    some = first.kept.size < first.total
    notes = [f"{first.kept.size:,} of {first.total:,} rows are drawn, evenly spaced"] * some
    for name, ds in known.items():
        exact = float(ds["residual"].values.max(initial=0.0))
        if exact > 0.01 * float(ds["singular_value"].values.max(initial=0.0)):
            notes.append(f"{name + ': s' if name else 'S'}ingular values have residuals up to {number(exact, 2)}")
    return notes
