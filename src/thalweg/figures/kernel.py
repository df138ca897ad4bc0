"""The tangent kernel as a matrix whose rows are in the order of the inputs or of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, rows, rulers, shades
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Series
from thalweg.figures.rulers import Ruler
from thalweg.figures.shades import Shades, Tiles
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_MOST = 1000  # rows and columns of all panels together
_SAID = 120  # rows and columns up to which every cell says its examples
_BEYOND = 0.002  # share of the entries that may lie beyond the ends of the colours
_DEPTH = 1e-9  # eigenvalues below this share of the largest are rounding
_NEGATIVE = 1e-3  # of the largest: entries below minus this are not rounding


def kernel(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw a tangent kernel, the rows sorted by the input where it is a number and by class where there are classes.

    With several outputs there is a block for each two of them, and rows are sorted so within it. Entries of both signs
    are blue and brown around a pale zero, else the colours go from small to large. Kernels of single layers stand
    beside each other, each with colours of its own and its share of the trace. Of more than 1,000 rows in all, evenly
    spaced examples are drawn, which the subtitle says. `eigenvalue(value)` stands beside the kernel where the dataset
    has it.

    Parameters
    ----------
    ds
        Kind `kernel`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or nothing in it is finite.

    Examples
    --------
    >>> import xarray as xr
    >>> side = ("row", [0, 1]), ("column", [0, 1])
    >>> known = dict(zip(("example", "column_example"), side))
    >>> known |= {"output": ("row", [-1, -1]), "column_output": ("column", [-1, -1])}
    >>> labels = {"label": ("row", [1, 0]), "column_label": ("column", [1, 0]), "order": ("row", [1, 0])}
    >>> found = xr.Dataset(
    ...     {"kernel": (("row", "column"), [[2.0, -1.0], [-1.0, 3.0]])},
    ...     known | labels | {"column_order": ("column", [1, 0])},
    ...     {"kind": "kernel", "part": "trace"},
    ... )
    >>> shown = kernel(found, backend="none")
    >>> shown.cells[0].tiles.values.tolist(), shown.cells[0].x.words, shown.subtitle
    ([[3.0, -1.0], [-1.0, 2.0]], ('0', '1'), '2 rows, 2 columns, by class. Traced over the outputs')
    """
    draw = drawer(backend, "board")
    return draw(prepare_kernel(ds, title=title), theme)


def prepare_kernel(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read a kernel.

    Raises
    ------
    ValueError
        As `kernel`.
    """
    kinds.need(ds, "kernel")
    layered = "layer" in ds.dims
    whole = ds["kernel"].values.astype(float)
    whole = whole if layered else whole[None]
    if not np.isfinite(whole).any():
        raise ValueError("Nothing in the kernel is finite, so there is nothing to draw: the network has diverged.")
    names = [str(name) for name in ds["layer"].values] if layered else [""]
    beside = [_eigenvalues(ds)] if "eigenvalue" in ds else []
    count = len(names) + len(beside)
    columns = 1 if count == 1 else 2 if count in (2, 4) else 3
    most = int(_MOST / np.sqrt(len(names)))
    down, across = (_chosen(ds, dim, prefix, most) for dim, prefix in (("row", ""), ("column", "column_")))
    y, x = _axis(ds, "row", "", down), _axis(ds, "column", "column_", across)
    y = Ruler(y.label, "linear", (y.ends or (0.0, 1.0))[::-1], 1.0, y.ticks, y.words)
    totals = _shares(whole) if layered and ds.sizes["row"] == ds.sizes["column"] else None
    cells = []
    for k, name in enumerate(names):
        left, bottom = k % columns == 0, k + columns >= count
        heading = f"Layer {name}" * layered + (f" ({totals[k]:.0%} of the trace)" if totals is not None else "")
        sides = (x if bottom else _bare(x), y if left else _bare(y))
        cells.append(_cell(ds, whole[k][np.ix_(down, across)], (down, across), sides, heading))
    side = 4.9 if columns == 1 else 9.2 / columns - 1.45
    return Board(
        cells=(*cells, *beside),
        columns=columns,
        rows=(side,) * -(-count // columns),
        title=curvature.title(ds, title, "Tangent kernel"),
        subtitle=_facts(ds, down, across),
        notes=_notes(whole, [c for c in cells if c.tiles is not None]),
        width=side + 0.9 if columns == 1 else 9.2,
    )


def _chosen(ds: xr.Dataset, dim: str, prefix: str, most: int) -> np.ndarray:
    """Rows in the order of the drawing; of many, those of evenly spaced examples."""
    order = ds[prefix + "order"].values if prefix + "order" in ds.coords else np.arange(ds.sizes[dim])
    examples, outputs = (ds[prefix + name].values for name in ("example", "output"))
    found = np.argsort(order, kind="stable")
    _, first = np.unique(examples[found], return_index=True)
    if found.size > most:
        each = max(1, found.size // first.size)
        kept = examples[found][np.sort(first)][rows.thinned(first.size, max(2, most // each))]
        found = found[np.isin(examples[found], kept)]
    return np.asarray(found[np.argsort(outputs[found], kind="stable")])


def _axis(ds: xr.Dataset, dim: str, prefix: str, kept: np.ndarray) -> Ruler:
    """Outputs or classes in their middles, inputs at nice places, or numbers of examples."""
    ends = (-0.5, kept.size - 0.5)
    blocks = _blocks(ds, prefix, kept)
    if blocks is not None:
        return rows.blocks(blocks[1], _words(blocks[0], ds, dim))
    if prefix + "x" in ds.coords:
        x = ds[prefix + "x"].values.astype(float)[kept]
        nice = shades.ticks(float(x.min()), float(x.max()))
        at = np.clip(np.interp(nice, x, np.arange(x.size)), 0, x.size - 1)
        said = tuple(number(float(v), 3) for v in nice)
        return Ruler(_words("Input x", ds, dim), "linear", ends, 1.0, tuple(at.tolist()), said)
    return Ruler(_words("Example", ds, dim), "linear", ends, 1.0, *_numbered(ds[prefix + "example"].values[kept]))


def _blocks(ds: xr.Dataset, prefix: str, kept: np.ndarray) -> tuple[str, np.ndarray] | None:
    """What the rows are sorted by, if by outputs or classes: its word, and which each row belongs to."""
    outputs = ds[prefix + "output"].values[kept]
    if (outputs != outputs[:1]).any():
        return "Output", outputs
    if prefix + "label" in ds.coords and prefix + "x" not in ds.coords:
        return "Class", ds[prefix + "label"].values[kept]
    return None


def _numbered(examples: np.ndarray) -> tuple[tuple[float, ...], tuple[str, ...]]:
    at = rows.thinned(examples.size, 7)
    return tuple(map(float, at)), tuple(str(int(examples[k])) for k in at)


def _words(words: str, ds: xr.Dataset, dim: str) -> str:
    """Whose inputs, where rows and columns are not the same."""
    one, other = (str(ds.attrs.get(name, "")) for name in ("inputs", "column_inputs"))
    return words if one == other else f"{words} ({one if dim == 'row' else other})"


def _bare(ruler: Ruler) -> Ruler:
    return Ruler("", ruler.kind, ruler.ends, 1.0, ruler.ticks, ruler.words)


def _cell(
    ds: xr.Dataset, values: np.ndarray, kept: tuple[np.ndarray, np.ndarray], sides: tuple[Ruler, Ruler], heading: str
) -> Cell:
    down, across = kept
    x, y = sides
    edges = (np.arange(across.size + 1) - 0.5, np.arange(down.size + 1) - 0.5)
    colors = _shades(values)
    hover = _hover(ds, values, down, across) if max(values.shape) <= _SAID else None
    return Cell(
        x,
        y,
        _bounds(ds, down, across, "pale" if colors.colors == "depth" else "ink"),
        heading,
        equal=down.size == across.size,
        tiles=Tiles(*edges, values.T, hover),
        shades=colors,
        name="kernel",
    )


def _shades(values: np.ndarray) -> Shades:
    """The ends of the colours leave out the few entries that are largest, and smallest."""
    finite = values[np.isfinite(values)]
    finite = finite if finite.size else np.zeros(1)
    reach = float(np.quantile(np.abs(finite), 1 - _BEYOND)) or float(np.abs(finite).max())
    if finite.min() < -_NEGATIVE * reach:
        return shades.around_zero("Kernel", reach)
    return shades.numbers("Kernel", np.array([max(0.0, float(np.quantile(finite, _BEYOND))), reach]), "depth")


def _bounds(ds: xr.Dataset, down: np.ndarray, across: np.ndarray, color: str) -> tuple[Series, ...]:
    """Lines between classes or outputs."""
    found = []
    for prefix, kept, reach, upright in (("", down, across.size, False), ("column_", across, down.size, True)):
        blocks = _blocks(ds, prefix, kept)
        if blocks is None:
            continue
        at = rows.bounds(blocks[1])
        places = np.repeat(at, 3)
        along = np.tile([-0.5, reach - 0.5, np.nan], at.size)
        x, y = (places, along) if upright else (along, places)
        hover = ("",) * places.size
        found.append(Series("boundary", x, y, color, 0.6, hover=hover, key=""))
    return tuple(found)


def _hover(ds: xr.Dataset, values: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """What every cell says: its examples and the value."""
    sides = [[_said(ds, prefix, int(k)) for k in kept] for prefix, kept in (("", down), ("column_", across))]
    said = np.empty(values.T.shape, dtype=object)
    for i, j in np.ndindex(values.shape):
        said[j, i] = f"{sides[0][i]}<br>{sides[1][j]}<br>kernel {number(float(values[i, j]))}"
    return said


def _said(ds: xr.Dataset, prefix: str, k: int) -> str:
    told = f"example {int(ds[prefix + 'example'].values[k])}"
    output = int(ds[prefix + "output"].values[k])
    told += f", output {output}" if (ds[prefix + "output"].values != output).any() else ""
    told += f", x = {number(float(ds[prefix + 'x'].values[k]), 3)}" if prefix + "x" in ds.coords else ""
    return told + (f", class {ds[prefix + 'label'].values[k]}" if prefix + "label" in ds.coords else "")


def _eigenvalues(ds: xr.Dataset) -> Cell:
    values = ds["eigenvalue"].values.astype(float)
    positive = values[np.isfinite(values) & (values > 0)]
    up = rulers.linear("Eigenvalue", values, zero=True)
    if positive.size:
        up = rulers.log(
            "Eigenvalue", max(float(positive.min()), 1e-9 * float(positive.max())) / 2, 2 * float(positive.max())
        )
    place = np.arange(1, values.size + 1, dtype=float)
    dots = Series("eigenvalues", place, np.where(values > 0, values, np.nan), "main", 1.2, symbol="circle", key="")
    return Cell(rulers.linear("Index", place, 0.03), up, (dots,), "Eigenvalues")


def _shares(whole: np.ndarray) -> np.ndarray:
    traces = np.trace(whole, axis1=1, axis2=2)
    return np.asarray(traces / traces.sum()) if traces.sum() > 0 else np.zeros(len(traces))


def _facts(ds: xr.Dataset, down: np.ndarray, across: np.ndarray) -> str:
    by = "input" if "x" in ds.coords else "class" if "label" in ds.coords else "example"
    by = f"output and {by}" if (ds["output"].values != ds["output"].values[:1]).any() else by
    sizes = ds.sizes["row"], ds.sizes["column"]
    shown = (down.size, across.size)
    said = f"{sizes[0]:,} rows, {sizes[1]:,} columns, by {by}"
    if shown != sizes:
        told = [f"{n:,} of {total:,}" if n < total else f"{n:,}" for n, total in zip(shown, sizes, strict=True)]
        said = f"{told[0]} rows and {told[1]} columns, evenly spaced, by {by}"
    traced = ds.attrs.get("part") == "trace" and bool((ds["output"].values < 0).any())
    return curvature.text([said, "Traced over the outputs" if traced else ""])


def _notes(whole: np.ndarray, cells: list[Cell]) -> tuple[str, ...]:
    bad = int((~np.isfinite(whole)).sum())
    notes = [f"{bad:,} of {whole.size:,} entries are not finite"] if bad else []
    beyond = total = 0
    for cell in cells:
        if cell.tiles is not None and cell.shades is not None:
            values = cell.tiles.values
            beyond += int(((values < cell.shades.low) | (values > cell.shades.high)).sum())
            total += values.size
    return (
        *notes,
        *[f"{beyond:,} of {total:,} entries that are drawn lie beyond the ends of the colours"] * (beyond > 0),
    )
