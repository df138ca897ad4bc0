"""What the figures of curvature say of their data: which matrix, of which weights, at what cost and how exactly."""

from __future__ import annotations

import textwrap

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures.steps import number

_UNITLESS = ("", "1", "none", "dimensionless")


def matrix(ds: xr.Dataset) -> str:
    """`Hessian`, `Gauss-Newton matrix`, ...: the matrix in words.

    Examples
    --------
    >>> matrix(xr.Dataset(attrs={"matrix": "ggn"}))
    'Gauss-Newton matrix'
    """
    name = str(ds.attrs.get("matrix", "hessian"))
    return schema.MATRICES.get(name, name)


def about(ds: xr.Dataset) -> str:
    """The matrix, the weights that it belongs to, and the examples if it was measured on some of them.

    Examples
    --------
    >>> about(xr.Dataset(attrs={"matrix": "hessian", "num_selected": 1200, "num_weights": 5000, "parameters": "fc"}))
    'Hessian of 1,200 of 5,000 weights (fc)'
    """
    name = matrix(ds)
    total, selected = ds.attrs.get("num_weights"), ds.attrs.get("num_selected")
    block = ds.attrs.get("parameters", "all")
    words = "all" if block is None else block if isinstance(block, str) else ", ".join(map(str, np.atleast_1d(block)))
    count = selected if selected is not None else total
    said = name[:1].upper() + name[1:]
    some = f", on {subset(ds)}" if subset(ds) else ""
    if count is None:
        return (said if words == "all" else f"{said} of {_short(words)}") + some
    if words == "all" and total in (None, count):
        return f"{said} of all {count:,} weights{some}"
    whole = f" of {total:,}" if total not in (None, count) else ""
    return f"{said} of {count:,}{whole} weights" + (f" ({_short(words)})" if words != "all" else "") + some


def subset(ds: xr.Dataset) -> str:
    """`500 of 60,000 examples`, where a result was measured on some of the training examples only.

    Examples
    --------
    >>> subset(xr.Dataset(attrs={"num_examples": 500, "num_training_examples": 60000}))
    '500 of 60,000 examples'
    >>> subset(xr.Dataset(attrs={"num_training_examples": 60000}))
    ''
    """
    some, every = ds.attrs.get("num_examples"), ds.attrs.get("num_training_examples")
    if some is None or (every is not None and int(some) >= int(every)):
        return ""
    return f"{int(some):,}{f' of {int(every):,}' if every is not None else ''} examples"


def products(ds: xr.Dataset) -> list[str]:
    """`24 products`, if the dataset knows how many there were."""
    count = ds.attrs.get("num_matvecs")
    return [] if count is None else [f"{int(count):,} product{'s' if int(count) != 1 else ''}"]


def eigenvalue_label(ds: xr.Dataset, name: str = "eigenvalue", words: str = "Eigenvalue λ") -> str:
    """The title of an axis of eigenvalues, with the unit of the loss if it has one."""
    units = str(ds[name].attrs.get("units", ""))
    return words if units.lower() in _UNITLESS else f"{words} [{units}]"


def interval(ds: xr.Dataset) -> str:
    """How wide an interval is, in words: its nominal coverage.

    Examples
    --------
    >>> interval(xr.Dataset(attrs={"confidence": 0.95}))
    '95%'
    """
    return f"{100 * float(ds.attrs.get('confidence', 0.95)):.3g}%"


def quantile(ds: xr.Dataset) -> float:
    """How many standard errors an interval reaches to either side."""
    return float(ds.attrs.get("quantile", 1.96))


def plus_minus(value: float, error: float) -> str:
    """A number with its error, whose second digit decides how much of the number is said.

    Examples
    --------
    >>> plus_minus(312.34567, 8.123), plus_minus(2.0, 0.0)
    ('312.3 ± 8.1', '2')
    """
    if not np.isfinite(error) or error <= 0:
        return number(value)
    digits = int(np.clip(np.ceil(np.log10(max(abs(value), error) / error)) + 2, 2, 7))
    return f"{number(value, digits)} ± {number(error, 2)}"


def title(ds: xr.Dataset, given: str | None, words: str) -> str:
    """The title that was given, the dataset's own, or these words."""
    return given or str(ds.attrs.get("title") or "") or words


def text(facts: list[str]) -> str:
    """Facts as one subtitle."""
    return ". ".join(fact for fact in facts if fact)


def _short(words: str) -> str:
    return textwrap.shorten(words, 60, placeholder=" …")
