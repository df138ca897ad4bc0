"""The panels of a tangent: singular values, principal features over the rows, and one feature against the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import rows, rulers
from thalweg.figures.board import Cell, Word
from thalweg.figures.chart import Mark, Series
from thalweg.figures.extrapolation import training_range
from thalweg.figures.rows import By, Rows
from thalweg.figures.rulers import Ruler
from thalweg.figures.shades import Shades
from thalweg.figures.steps import number

FEATURES = 10
_LEAST = 0.01  # range of a feature, as a share of its size, below which it is drawn as the constant that it is


def quiet(ruler: Ruler, words: bool) -> Ruler:
    """The same axis without its words, which stand under the last row only."""
    return ruler if words else Ruler("", ruler.kind, ruler.ends, ruler.width, ruler.ticks, ruler.words)


def spectrum(ds: xr.Dataset, most: int, log: bool, heading: str, words: bool) -> Cell:
    """Bars, and a line behind the last that the rank counts."""
    sizes = ds["singular_value"].values.astype(float)[:most]
    place = ds["value"].values.astype(float)[:most]
    positive = sizes[sizes > 0]
    up = rulers.linear("Singular value", sizes, 0.08, zero=True)
    up = Ruler("Singular value", ends=(0.0, (up.ends or (0.0, 1.0))[1]))
    if log and positive.size:
        up = rulers.scientific("Singular value", float(positive.min()) / 3, 2 * float(positive.max()))
    total = float(ds.attrs.get("frobenius", np.nan)) ** 2
    hover = tuple(
        f"σ{int(k)} = {number(float(v), 5)}" + (f", {v * v / total:.1%} of the squared length" if total > 0 else "")
        for k, v in zip(place, sizes, strict=True)
    )
    counting = rulers.counting("Index" if words else "", most)
    fives = [(t, w) for t, w in zip(counting.ticks, counting.words, strict=True) if most < 8 or t == 1 or not t % 5]
    across = Ruler(counting.label, "linear", counting.ends, 1.0, *(tuple(side) for side in zip(*fives, strict=True)))
    bars = Series("singular values", place, sizes, "main", filled=0.78, hover=hover, key="")
    return Cell(across, up, (bars,), heading, *_rank(ds, most, (up.ends or (0.0, 1.0))[1]))


def _rank(ds: xr.Dataset, most: int, top: float) -> tuple[tuple[Mark, ...], tuple[Word, ...]]:
    rank = int(ds.attrs.get("rank", ds.sizes["value"]))
    if rank > most:
        return (), (Word(most + 0.5, top, ranked(ds), (-1, -1), "muted"),)
    side = 1 if rank < 0.7 * most else -1
    return (Mark(rank + 0.5, ""),), (Word(rank + 0.5, top, ranked(ds), (side, -1), "muted"),)


def ranked(ds: xr.Dataset) -> str:
    """`rank 14`, or `rank at least 20`."""
    return f"rank {count(ds)}"


def count(ds: xr.Dataset) -> str:
    """The numerical rank, as far as it is known."""
    rank = int(ds.attrs.get("rank", ds.sizes["value"]))
    return f"{rank:,}" if ds.attrs.get("rank_known", 1) else f"at least {rank:,}"


def features(ds: xr.Dataset, placed: Rows, by: By, across: Ruler, heading: str) -> Cell:
    """The first two in colour over the others."""
    found = ds["principal_feature"].values.astype(float)[placed.kept, :FEATURES]
    up = _axis("Principal feature", found)
    looks = {0: ("main", 1.7), 1: ("warm", 1.7)}
    others = ("muted", 0.7) if placed.joined else ("faint", 0.0)
    series = []
    for k in (*range(2, found.shape[1]), *range(min(2, found.shape[1]))):
        color, width = looks.get(k, others)
        place, y, said = _broken(placed, found[:, k])
        hover = tuple(f"{s}: feature {k + 1} = {number(float(v), 4)}" for s, v in zip(said, y, strict=True))
        look: dict[str, Any] = (
            {"line": width} if placed.joined else {"symbol": "circle", "size": 0.55 if k < 2 else 0.35}
        )
        series.append(Series(f"feature {k + 1}", place, y, color, hover=hover, key=None if k < 2 else "", **look))
    shade = training_range(ds.attrs.get("train_low"), ds.attrs.get("train_high"), across, up) if by == "input" else []
    foot = (up.ends or (0.0, 1.0))[0]
    told = tuple(Word(max(float(s.x[0]), place[0]), foot, "training range", (1, 1), "muted") for s in shade)
    return Cell(across, up, (*shade, *series), heading, rows.marks(ds, placed, by), told)


def _axis(label: str, values: np.ndarray) -> Ruler:
    """An axis on which the rounding of a constant is not seen."""
    size = float(np.abs(values).max(initial=0.0))
    if values.size and np.ptp(values) > _LEAST * size:
        return rulers.linear(label, values, 0.06)
    middle = float(values.mean()) if values.size else 0.0
    return rulers.linear(label, middle + np.array([-0.1, 0.1]) * (size or 10.0), 0.0)


def _broken(placed: Rows, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """A gap between the curves of two outputs."""
    said = list(placed.said)
    for at in placed.breaks[::-1]:
        said.insert(int(at), "")
    return np.insert(placed.place.astype(float), placed.breaks, np.nan), np.insert(y, placed.breaks, np.nan), said


def pair(ds: xr.Dataset, placed: Rows, shades: Shades, heading: str, words: bool) -> Cell:
    """One feature against the other."""
    found = ds["principal_feature"].values.astype(float)[placed.kept, :2]
    alone = found.shape[1] < 2
    first, second = (found[:, k] if k < found.shape[1] else np.zeros(len(found)) for k in (0, 1))
    x, y = _axis("Feature 1" if words else "", first), _axis("Feature 2", second)
    hover = tuple(
        f"{s}: {number(float(a), 4)}, {number(float(b), 4)}" for s, a, b in zip(placed.said, first, second, strict=True)
    )
    dots = Series("rows", first, second, symbol="circle", hover=hover, key="", shades=placed.tints)
    ends = (x.ends or (0.0, 1.0), y.ends or (0.0, 1.0))
    told = (Word(sum(ends[0]) / 2, ends[1][1], "there is no second feature", (0, -1), "warm"),) if alone else ()
    return Cell(x, y, (dots,), heading, words=told, shades=shades)


def diverged(heads: tuple[str, ...], across: Ruler, most: int, words: bool) -> list[Cell]:
    """Empty panels that say why."""
    low, high = across.ends or (0.0, 1.0)
    counting = Ruler("Index" if words else "", "linear", (0.4, most + 0.6))
    plane = Ruler("Feature 1" if words else "", ends=(-1.0, 1.0))
    panels = (
        ("Singular value", counting, (most + 1) / 2),
        ("Principal feature", across, (low + high) / 2),
        ("Feature 2", plane, 0.0),
    )
    found = []
    for head, (label, x, middle) in zip(heads, panels, strict=True):
        up = Ruler(label, ends=(-1.0, 1.0), ticks=(-1.0,), words=("",))
        found.append(Cell(x, up, (), head, words=(Word(middle, 0.0, "diverged: not finite", (0, 0), "warm"),)))
    return found
