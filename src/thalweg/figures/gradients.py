r"""Gradients at one place: norms by layer, norms of single examples, and how far the examples agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import curvature, kinds, layers, rulers
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.board import Board, Cell
from thalweg.figures.chart import Mark, Series
from thalweg.figures.heat import Heat, thinned
from thalweg.figures.layers import Bar
from thalweg.figures.rulers import Ruler
from thalweg.figures.steps import number
from thalweg.figures.theme import Theme

_BINS = 30
_MOST_TICKS = 8


def gradients(ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None) -> Any:
    """Draw the norm of the gradient by parameter, and how the examples' norms and pairwise cosines are distributed.

    The subtitle says the noise scale with its standard error: the batch size beyond which larger batches hardly help.

    Parameters
    ----------
    ds
        Kind `gradients`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `board.Board`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or holds no layer or no example.

    Examples
    --------
    >>> import xarray as xr
    >>> found = xr.Dataset(
    ...     {"norm": ("layer", [0.001, 0.2]), "example_norm": ("example", [1.0, 2.0, 2.5])},
    ...     {"layer": ["0.weight", "0.bias"], "example": [0, 1, 2]},
    ...     {"kind": "gradients", "noise_scale": 41.25, "noise_scale_standard_error": 3.2},
    ... )
    >>> shown = gradients(found, backend="none")
    >>> shown.subtitle, [cell.title for cell in shown.cells]
    ('Noise scale 41.25 ± 3.2 examples. 3 examples', ['Gradient by parameter', 'Gradients of single examples'])
    """
    draw = drawer(backend, "board")
    return draw(prepare_gradients(ds, title=title), theme)


def prepare_gradients(ds: xr.Dataset, *, title: str | None = None) -> Board:
    """Read statistics of gradients.

    Raises
    ------
    ValueError
        As `gradients`.
    """
    kinds.need(ds, "gradients")
    if not ds.sizes["layer"] or not ds.sizes["example"]:
        raise ValueError("The dataset holds no layer or no example, so there is nothing to draw.")
    words = curvature.eigenvalue_label(ds, "norm", "Norm of the gradient")
    first = layers.bars(
        ds["layer"].values, [Bar("gradient", ds["norm"].values.astype(float))], words, "Gradient by parameter", 2
    )
    cells = [first, _norms(ds)]
    if "cosine" in ds and ds.sizes["one"] > 1:
        cells.append(_agreement(ds))
    return Board(
        cells=tuple(cells),
        columns=2,
        rows=(2.3, 2.0),
        title=curvature.title(ds, title, "Gradients"),
        subtitle=curvature.text([_noise(ds), f"{ds.sizes['example']:,} examples", _total(ds)]),
        notes=_lost(ds),
    )


def gradient_cosines(
    ds: xr.Dataset, *, backend: Backend = "plotly", theme: Theme = "light", title: str | None = None
) -> Any:
    """Draw the cosines between the gradients of some examples as a matrix, from -1 to 1.

    Examples are in the order of their targets where these are known: blocks along the diagonal are targets whose
    examples agree.

    Parameters
    ----------
    ds
        Kind `gradients` with `cosine(one, other)`.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `heat.Heat`.

    Raises
    ------
    ValueError
        If the dataset is of another kind, or has no cosines.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> found = xr.Dataset(
    ...     {
    ...         "norm": ("layer", [1.0]),
    ...         "example_norm": ("example", [1.0, 1.0]),
    ...         "cosine": (("one", "other"), [[1.0, -0.5], [-0.5, 1.0]]),
    ...     },
    ...     {"layer": ["weight"], "example": [0, 1], "one": [0, 1], "other": [0, 1], "target": ("example", [3, 2])},
    ...     {"kind": "gradients", "noise_scale": 1.0, "noise_scale_standard_error": 0.1},
    ... )
    >>> gradient_cosines(found, backend="none").x.words
    ('2', '3')
    """
    draw = drawer(backend, "heat")
    return draw(prepare_cosines(ds, title=title), theme)


def prepare_cosines(ds: xr.Dataset, *, title: str | None = None) -> Heat:
    """Read the cosines.

    Raises
    ------
    ValueError
        As `gradient_cosines`.
    """
    kinds.need(ds, "gradients")
    if "cosine" not in ds or ds.sizes["one"] < 2:
        raise ValueError(
            "The dataset has no cosines; measure them with `thalweg.gradient_statistics(..., num_cosines=64)`."
        )
    targets = _targets(ds)
    order = np.arange(ds.sizes["one"]) if targets is None else np.argsort(targets, kind="stable")
    values = ds["cosine"].values.astype(float)[np.ix_(order, order)]
    names = ds["one"].values[order] if targets is None else targets[order]
    at = thinned(order.size, _MOST_TICKS)
    ticks: dict[str, Any] = {"ticks": tuple(map(float, at)), "words": tuple(number(float(names[k]), 2) for k in at)}
    words = "Example" if targets is None else "Target of the example"
    said = np.empty(values.shape, dtype=object)
    for i, j in np.ndindex(values.shape):
        pair = f"examples {ds['one'].values[order[i]]} and {ds['one'].values[order[j]]}"
        said[i, j] = f"{pair}: {number(float(values[i, j]), 3)}"
    edges = np.arange(order.size + 1) - 0.5
    bar = (-1.0, -0.5, 0.0, 0.5, 1.0)
    facts = ["In the order of the targets" if targets is not None else "", f"{order.size} examples", _mean(ds)]
    return Heat(
        x=Ruler(words, ends=(-0.5, order.size - 0.5), **ticks),
        y=Ruler(words, ends=(order.size - 0.5, -0.5), **ticks),
        x_edges=edges,
        y_edges=edges,
        values=values,
        low=-1.0,
        high=1.0,
        bar="Cosine between the gradients",
        ticks=bar,
        words=tuple(number(v) for v in bar),
        hover=said,
        title=title or "Do the examples pull the same way?",
        subtitle=curvature.text(facts),
        square=True,
        downward=True,
    )


def _norms(ds: xr.Dataset) -> Cell:
    values = ds["example_norm"].values.astype(float)
    values = values[np.isfinite(values)]
    x = rulers.linear(curvature.eigenvalue_label(ds, "example_norm", "Norm"), values, 0.04, zero=True)
    found = _histogram("examples", values, np.linspace(0.0, float(values.max(initial=0.0)) or 1.0, _BINS + 1))
    mean = ds.attrs.get("gradient_norm")
    marks = (Mark(float(mean), "mean gradient"),) if mean is not None and np.isfinite(mean) else ()
    y = rulers.linear("Examples", found.y, zero=True)
    return Cell(x, _grounded(y), (found,), "Gradients of single examples", marks)


def _agreement(ds: xr.Dataset) -> Cell:
    values = ds["cosine"].values[np.triu_indices(ds.sizes["one"], 1)].astype(float)
    found = _histogram("pairs of examples", values[np.isfinite(values)], np.linspace(-1.0, 1.0, _BINS + 1))
    x = Ruler("Cosine", ends=(-1.04, 1.04), ticks=(-1.0, -0.5, 0.0, 0.5, 1.0), words=("−1", "−0.5", "0", "0.5", "1"))
    y = rulers.linear("Pairs of examples", found.y, zero=True)
    return Cell(x, _grounded(y), (found,), "Agreement between two examples", (Mark(0.0, ""),))


def _histogram(name: str, values: np.ndarray, edges: np.ndarray) -> Series:
    counts, _ = np.histogram(values, edges)
    hover = tuple(
        f"{number(float(a), 3)} to {number(float(b), 3)}: {n:,} {name}"
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    )
    width = float(edges[1] - edges[0])
    return Series(
        name, (edges[1:] + edges[:-1]) / 2, counts.astype(float), "light", filled=0.96 * width, hover=hover, key=""
    )


def _grounded(ruler: Ruler) -> Ruler:
    """The same from zero on."""
    return Ruler(ruler.label, ends=(0.0, (ruler.ends or (0.0, 1.0))[1]))


def _targets(ds: xr.Dataset) -> np.ndarray | None:
    if "target" not in ds.coords or ds["target"].dims != ("example",):
        return None
    return np.asarray(ds["target"].sel(example=ds["one"].values).values)


def _noise(ds: xr.Dataset) -> str:
    scale, error = (float(ds.attrs[name]) for name in ("noise_scale", "noise_scale_standard_error"))
    if np.isposinf(scale):
        return "Noise scale: the mean gradient cannot be told from zero"
    return f"Noise scale {curvature.plus_minus(scale, error)} examples"


def _total(ds: xr.Dataset) -> str:
    norm = ds.attrs.get("gradient_norm")
    return "" if norm is None else f"Norm of the whole gradient {rulers.power_of_ten(float(norm), 3)}"


def _mean(ds: xr.Dataset) -> str:
    values = ds["cosine"].values[np.triu_indices(ds.sizes["one"], 1)]
    return f"Mean cosine of two examples {number(float(np.nanmean(values)), 2)}" if np.isfinite(values).any() else ""


def _lost(ds: xr.Dataset) -> tuple[str, ...]:
    bad = int((~np.isfinite(ds["example_norm"].values)).sum())
    return (f"{bad:,} of {ds.sizes['example']:,} norms are not finite",) if bad else ()
