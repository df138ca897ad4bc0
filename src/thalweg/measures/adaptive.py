r"""Where to evaluate next: coarse to fine, with a checked error.

A grid is laid out as a hierarchy: 9 points along each axis first, then the midpoints of all intervals, and so on down
to the full grid. At every level the finer points are *predicted* by tensor-product cubics through the four coarser ones
nearest along each axis, and the prediction is *checked*, by evaluating it, at the centre of every cell that is still in
doubt, and in the middle of each of its faces that lies on the edge of the picture (a cliff may cross there and nowhere
else). A cell whose prediction holds is done, with everything inside it; one that misses (by more than 0.4 `tol` times
the range of the values), that borders a cell that misses, or whose corners are not all finite or all infinite or all
undefined, is evaluated at this level and looked at again at the next. Last, predicted points drawn at random are
checked.

What is narrower than the first spacing, an eighth of each axis, may lie between all points looked at, and is then
missed.

This module decides; it computes nothing. It is a generator: it yields masks of points that it wants evaluated, and is
sent the values. It looks at no value that it has not asked for, so that a run that finds more of them in a store
decides alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

_COARSEST = 9
_SAFETY = 0.4
_SPOTS = 20

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Prediction:
    """The whole grid, from the points evaluated.

    Attributes
    ----------
    values
        Per variable, evaluated where that was done and predicted elsewhere.
    errors
        Per variable, the largest error of a prediction that was accepted, found by evaluating it.
    """

    values: dict[str, np.ndarray]
    errors: dict[str, float]


def refine(axes: Sequence[np.ndarray], tol: float, checked: Sequence[str]) -> Generator[np.ndarray, Values, Prediction]:
    """Decide point by point where to evaluate a grid.

    Parameters
    ----------
    axes
        Coordinates along each dim, increasing.
    tol
        Wanted largest error, as a fraction of the range (largest minus smallest finite value) of each checked variable.
    checked
        Names of the variables that must meet `tol`; the others are predicted along and their error is told.

    Yields
    ------
    mask
        Points to evaluate now. Send the values of all variables over the grid, nan where unknown.

    Returns
    -------
    Prediction
        As the generator's value.

    Examples
    --------
    >>> x = np.linspace(-1.0, 1.0, 101)
    >>> rounds = refine([x], tol=0.01, checked=["loss"])
    >>> mask, known = next(rounds), np.zeros(101, dtype=bool)
    >>> while True:
    ...     known |= mask
    ...     try:
    ...         mask = rounds.send({"loss": np.where(known, x**4, np.nan)})
    ...     except StopIteration as stop:
    ...         prediction = stop.value
    ...         break
    >>> int(known.sum()) < 60, bool(np.abs(prediction.values["loss"] - x**4).max() < 0.01)
    (True, True)
    """
    if not tol > 0:
        raise ValueError(f"adaptive={tol}; the tolerance is a positive fraction of the surface's range, such as 0.01.")
    wide = [axis for axis in axes if len(axis) > 1]
    if len(wide) == len(axes):
        return (yield from _refine(axes, tol, checked))
    shape = tuple(len(axis) for axis in axes)
    inner = _refine(wide, tol, checked) if wide else _all(shape)
    try:
        mask = next(inner)
        while True:
            values = yield mask.reshape(shape)
            mask = inner.send({name: value.reshape(mask.shape) for name, value in values.items()})
    except StopIteration as stop:
        found: Prediction = stop.value
    return Prediction({name: value.reshape(shape) for name, value in found.values.items()}, found.errors)


def _all(shape: tuple[int, ...]) -> Generator[np.ndarray, Values, Prediction]:
    values = yield np.ones(shape, dtype=bool)
    return Prediction(dict(values), dict.fromkeys(values, 0.0))


def _refine(
    axes: Sequence[np.ndarray], tol: float, checked: Sequence[str]
) -> Generator[np.ndarray, Values, Prediction]:
    """`refine` on axes of at least two points each."""
    levels = [_coarsest(len(axis)) for axis in axes]
    shape = tuple(len(axis) for axis in axes)
    known = np.zeros(shape, dtype=bool)
    values = yield from _ask(known, levels, np.ones([len(level) for level in levels], dtype=bool), {})
    nodes = {name: values[name][np.ix_(*levels)] for name in values}
    doubt = np.ones([len(level) - 1 for level in levels], dtype=bool)
    accepted: dict[str, float] = dict.fromkeys(values, 0.0)
    while any(len(level) < n for level, n in zip(levels, shape, strict=True)) and doubt.any():
        finer = [_halved(level) for level in levels]
        predicted = _between(nodes, axes, levels, finer)
        doubt &= _any_wider(levels)
        values = yield from _ask(known, finer, _check_points(levels, finer, doubt), values)
        misses = _misses(values, predicted, nodes, levels, finer, doubt, tol, checked, accepted)
        refined = binary_dilation(misses, structure=np.ones((3,) * len(shape), dtype=bool)) & _any_wider(levels)
        values = yield from _ask(known, finer, _points_of(refined, levels, finer), values)
        nodes = {n: np.where(known[np.ix_(*finer)], values[n][np.ix_(*finer)], predicted[n]) for n in predicted}
        doubt = _split(refined, levels, finer)
        levels = finer
    full = _between(nodes, axes, levels, [np.arange(n) for n in shape])
    values = yield from _spot_checks(known, values, full, tol, checked, accepted)
    return Prediction({n: np.where(known, values[n], full[n]) for n in full}, accepted)


def _spot_checks(
    known: np.ndarray,
    values: Values,
    full: Values,
    tol: float,
    checked: Sequence[str],
    accepted: dict[str, float],
) -> Generator[np.ndarray, Values, Values]:
    """Evaluate random predicted points; around those that miss `tol`, evaluate everything; until a sample holds."""
    random = np.random.default_rng(0)
    spots = int(np.clip(known.size // 50, 4, _SPOTS))
    reach = [max(1, n // (2 * (_COARSEST - 1))) for n in known.shape]
    while not known.all():
        left = np.argwhere(~known)
        sample = left[random.choice(len(left), min(len(left), spots), replace=False)]
        mask = np.zeros_like(known)
        mask[tuple(sample.T)] = True
        values = yield from _ask(known, [np.arange(n) for n in known.shape], mask, values)
        errors = {name: _error(values[name][mask], full[name][mask]) for name in full}
        allowed = {name: tol * _range(values[name]) for name in checked}
        missed = np.logical_or.reduce([~(errors[name] <= allowed[name]) for name in checked])
        for name, error in errors.items():
            good = error[~missed & np.isfinite(error)]
            accepted[name] = max(accepted[name], float(good.max())) if good.size else accepted[name]
        if not missed.any():
            return values
        around = np.zeros_like(known)
        for point in np.argwhere(mask)[missed]:
            around[tuple(slice(max(0, p - r), p + r + 1) for p, r in zip(point, reach, strict=True))] = True
        values = yield from _ask(known, [np.arange(n) for n in known.shape], around, values)
    return values


def _error(found: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Size of the difference; none between two infinities or two nan, infinite between values of different kinds."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - predicted)
    kind = _kind(found)
    alike = kind == _kind(predicted)
    return np.where(alike & (kind > 0), 0.0, np.where(alike, difference, np.inf))


def _kind(values: np.ndarray) -> np.ndarray:
    """0 finite, 1 nan, 2 infinite, 3 infinite downwards."""
    return np.select([np.isfinite(values), np.isnan(values), values > 0], [0, 1, 2], 3)


def _ask(
    known: np.ndarray, level: list[np.ndarray], wanted: np.ndarray, values: Values
) -> Generator[np.ndarray, Values, Values]:
    """Have the wanted points of a level evaluated, if any is unknown; `known` is updated.

    Values that nobody has asked for (they are in the store of a resumed run) are hidden.
    """
    mask = np.zeros_like(known)
    mask[np.ix_(*level)] = wanted
    mask &= ~known
    if not mask.any():
        return values
    known |= mask
    answer = yield mask
    return {name: np.where(known, value, np.nan) for name, value in answer.items()}


def _coarsest(n: int) -> np.ndarray:
    return np.unique(np.round(np.linspace(0, n - 1, min(_COARSEST, n))).astype(int))


def _halved(level: np.ndarray) -> np.ndarray:
    """The level with the midpoint of each interval wider than one step."""
    return np.unique(np.concatenate([level, (level[:-1] + level[1:]) // 2]))


def _between(
    nodes: Values, axes: Sequence[np.ndarray], coarse: list[np.ndarray], fine: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """Tensor-product cubics through the nodes, at the finer points.

    Single non-finite nodes are bridged (their cells are evaluated anyway); cells between nothing but such nodes of one
    kind take their value.
    """
    found = {}
    for name, given in nodes.items():
        table = _bridged(given)
        for d, axis in enumerate(axes):
            weights = _cubic_weights(axis[coarse[d]], axis[fine[d]])
            table = np.moveaxis(np.tensordot(weights, table, axes=(1, d)), 0, d)
        found[name] = table if np.isfinite(given).all() else _with_lost_cells(table, given, coarse, fine)
    return found


def _cubic_weights(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Matrix `(len(at), len(x))` that interpolates by the cubic through the four nearest nodes (Lagrange).

    Local on purpose: a kink or a cliff spoils the cells next to it, and no others, as it would with splines.
    """
    k = min(4, len(x))
    cell = np.clip(np.searchsorted(x, at, side="right") - 1, 0, max(0, len(x) - 2))
    stencil = np.clip(cell - (k // 2 - 1), 0, len(x) - k)[:, None] + np.arange(k)
    nodes = x[stencil]
    weights = np.zeros((len(at), len(x)))
    for j in range(k):
        others = np.delete(nodes, j, axis=1)
        share = np.prod((at[:, None] - others) / (nodes[:, j : j + 1] - others), axis=1)
        weights[np.arange(len(at)), stencil[:, j]] = share
    return weights


def _with_lost_cells(
    table: np.ndarray, given: np.ndarray, coarse: list[np.ndarray], fine: list[np.ndarray]
) -> np.ndarray:
    """Cells whose corners are all nan, or all infinite, filled with that."""
    places, kinds = _places(coarse, fine), _kind(given)
    for cell in _cells(places):
        corners = tuple(slice(c, c + 2) for c in cell)
        kind = kinds[corners].flat[0]
        if kind > 0 and (kinds[corners] == kind).all():
            inside = tuple(slice(p[c], p[c + 1] + 1) for p, c in zip(places, cell, strict=True))
            table[inside] = given[corners].flat[0]
    return table


def _bridged(table: np.ndarray) -> np.ndarray:
    """Non-finite values replaced by the largest finite one: cells that touch them are evaluated anyway."""
    finite = np.isfinite(table)
    if finite.all():
        return table
    return np.where(finite, table, table[finite].max() if finite.any() else 0.0)


def _places(levels: list[np.ndarray], finer: list[np.ndarray]) -> list[np.ndarray]:
    """For each axis, where the coarse nodes lie among the finer ones."""
    return [np.searchsorted(fine, coarse) for coarse, fine in zip(levels, finer, strict=True)]


def _cells(places: list[np.ndarray]) -> itertools.product:
    return itertools.product(*(range(len(p) - 1) for p in places))


def _check_points(levels: list[np.ndarray], finer: list[np.ndarray], doubt: np.ndarray) -> np.ndarray:
    """Mask over the finer nodes: where the predictions of doubtful cells are checked."""
    places = _places(levels, finer)
    mask = np.zeros([len(f) for f in finer], dtype=bool)
    for cell in zip(*np.nonzero(doubt), strict=True):
        for where in _checks(places, cell):
            mask[where] = True
    return mask


def _checks(places: list[np.ndarray], cell: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The middle of a cell (on axes that are already full, its lower edge), and of its faces on the picture's edge."""
    centre = tuple(int(p[c] + p[c + 1]) // 2 for p, c in zip(places, cell, strict=True))
    yield centre
    if len(cell) == 1:
        return
    for d, (p, c) in enumerate(zip(places, cell, strict=True)):
        if c == 0:
            yield (*centre[:d], int(p[0]), *centre[d + 1 :])
        if c == len(p) - 2:
            yield (*centre[:d], int(p[-1]), *centre[d + 1 :])


def _misses(
    values: Values,
    predicted: Values,
    nodes: Values,
    levels: list[np.ndarray],
    finer: list[np.ndarray],
    doubt: np.ndarray,
    tol: float,
    checked: Sequence[str],
    accepted: dict[str, float],
) -> np.ndarray:
    """Which doubtful cells fail their check; the largest errors of those that pass are noted in `accepted`."""
    places = _places(levels, finer)
    misses = np.zeros_like(doubt)
    allowed = {name: _SAFETY * tol * _range(values[name]) for name in checked}
    errors = {name: _error(values[name][np.ix_(*finer)], predicted[name]) for name in values}
    kinds = [_kind(nodes[name]) for name in checked]
    for cell in zip(*np.nonzero(doubt), strict=True):
        corners = tuple(slice(c, c + 2) for c in cell)
        worst = {name: max(float(e[where]) for where in _checks(places, cell)) for name, e in errors.items()}
        mixed = any((kind[corners] != kind[corners].flat[0]).any() for kind in kinds)
        if mixed or not all(worst[name] <= allowed[name] for name in checked):
            misses[cell] = True
            continue
        for name, error in worst.items():
            accepted[name] = max(accepted[name], error) if np.isfinite(error) else accepted[name]
    return misses


def _range(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max() - finite.min()) if finite.size else 0.0


def _any_wider(levels: list[np.ndarray]) -> np.ndarray:
    """Cells that have something inside: wider than one step along some axis."""
    wide = [np.diff(level) > 1 for level in levels]
    grids = np.meshgrid(*wide, indexing="ij")
    return np.logical_or.reduce(grids)


def _points_of(cells: np.ndarray, levels: list[np.ndarray], finer: list[np.ndarray]) -> np.ndarray:
    """Mask over the finer nodes: all points of the chosen cells, edges included."""
    places = _places(levels, finer)
    mask = np.zeros([len(f) for f in finer], dtype=bool)
    for cell in zip(*np.nonzero(cells), strict=True):
        mask[tuple(slice(p[c], p[c + 1] + 1) for p, c in zip(places, cell, strict=True))] = True
    return mask


def _split(cells: np.ndarray, levels: list[np.ndarray], finer: list[np.ndarray]) -> np.ndarray:
    """The chosen cells, as cells of the finer level."""
    for d, (coarse, fine) in enumerate(zip(levels, finer, strict=True)):
        parent = np.searchsorted(coarse, fine[:-1], side="right") - 1
        cells = np.take(cells, parent, axis=d)
    return cells
