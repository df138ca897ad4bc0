"""Lines in a rectangle: cut at its border, thinned where they are straight, cut into pieces. Pure numpy.

A line is an array of shape (n, 2); several lines in one array of shape (2, n) are separated by nan, as both drawing
libraries read them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Corner = tuple[float, float]


def inside(line: np.ndarray, low: Corner, high: Corner) -> list[np.ndarray]:
    """The stretches of a line within a rectangle, cut exactly at its border and interrupted where it is not finite.

    Each segment is cut as by Liang & Barsky (1984): the part in which it lies between both pairs of parallel borders.

    Examples
    --------
    >>> inside(np.array([[0.0, 0.0], [2.0, 1.0]]), (-1.0, -1.0), (1.0, 1.0))
    [array([[0. , 0. ],
           [1. , 0.5]])]
    """
    line = np.asarray(line, dtype=float)
    ok = np.isfinite(line).all(axis=1)
    if len(line) == 1 or not ok.any():
        within = ok & (line >= low).all(axis=1) & (line <= high).all(axis=1)
        return [line] if within.any() else []
    a, b = line[:-1], line[1:]
    first, last = _within(a, b, np.array(low), np.array(high))
    drawn = ok[:-1] & ok[1:] & (first <= last) & (first < 1) & (last > 0)
    with np.errstate(all="ignore"):
        begin = np.clip(np.where(first[:, None] > 0, a + first[:, None] * (b - a), a), low, high)
        end = np.clip(np.where(last[:, None] < 1, a + last[:, None] * (b - a), b), low, high)
    runs: list[list[np.ndarray]] = []
    joined = -2  # the segment that continues the last run
    for k in np.flatnonzero(drawn).tolist():
        if joined != k:
            runs.append([begin[k]])
        runs[-1].append(end[k])
        joined = k + 1 if last[k] >= 1 else -2
    return [np.array(run) for run in runs] or _stays(line, ok, low, high)


def _stays(line: np.ndarray, ok: np.ndarray, low: Corner, high: Corner) -> list[np.ndarray]:
    """A first point within the rectangle whose line has no drawable segment is a line of its own."""
    within = bool(ok[0]) and bool((line[0] >= low).all() and (line[0] <= high).all())
    return [line[:1]] if within else []


def _within(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shares of each segment at which it enters and leaves the rectangle, within [0, 1]."""
    with np.errstate(all="ignore"):
        step = b - a
        to_low, to_high = (low - a) / step, (high - a) / step
    level = step == 0
    held = level & (a >= low) & (a <= high)
    enter = np.where(level, np.where(held, -np.inf, np.inf), np.fmin(to_low, to_high))
    leave = np.where(level, np.where(held, np.inf, -np.inf), np.fmax(to_low, to_high))
    return np.maximum(enter.max(axis=1), 0.0), np.minimum(leave.min(axis=1), 1.0)


def simplify(line: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """The line without the points that lie within `tolerance` (per axis) of what is left (Douglas & Peucker 1973).

    Examples
    --------
    >>> simplify(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 2.0]]), np.array([0.1, 0.1]))
    array([[0., 0.],
           [2., 0.],
           [2., 2.]])
    """
    if len(line) < 3:
        return line
    p = line / tolerance
    keep = np.zeros(len(p), bool)
    keep[[0, -1]] = True
    open_ = [(0, len(p) - 1)]
    while open_:
        i, k = open_.pop()
        if k - i < 2:
            continue
        away = _distance(p[i + 1 : k], p[i], p[k])
        j = i + 1 + int(np.argmax(away))
        if away[j - i - 1] > 1.0:
            keep[j] = True
            open_ += [(i, j), (j, k)]
    return line[keep]


def _distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances of points from the segment between `a` and `b`."""
    along = b - a
    length = float(along @ along)
    share = np.clip((points - a) @ along / length, 0, 1) if length > 0 else np.zeros(len(points))
    return np.asarray(np.linalg.norm(points - a - share[:, None] * along, axis=1))


def pieces(line: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The line with further points on it, so that no two neighbours are further apart than `most` (per axis).

    Examples
    --------
    >>> pieces(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0.5, 0.5]))[:, 0]
    array([0. , 0.5, 1. ])
    """
    if len(line) < 2:
        return line
    hops = np.abs(np.diff(line, axis=0) / most).max(axis=1)
    parts = np.maximum(np.ceil(hops - 1e-9), 1).astype(int)
    start = np.repeat(np.arange(len(parts)), parts)
    share = (np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[start]
    made = line[start] + share[:, None] * (line[start + 1] - line[start])
    return np.concatenate([made, line[-1:]])


def evenly(line: np.ndarray, unit: np.ndarray, gap: float) -> np.ndarray:
    """Points on the line, `gap` apart in units of `unit` (per axis), always with both ends.

    Examples
    --------
    >>> evenly(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]), np.ones(2), 0.5)[:, 1]
    array([0. , 0. , 0. , 0.5, 1. ])
    """
    steps = np.linalg.norm(np.diff(line / unit, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, way[-1], max(2, round(way[-1] / gap) + 1))
    return np.column_stack([np.interp(at, way, column) for column in line.T])


def joined(lines: Iterable[np.ndarray]) -> np.ndarray:
    """Lines as one array (2, n), separated by nan.

    Examples
    --------
    >>> joined([np.zeros((2, 2)), np.ones((1, 2))])
    array([[ 0.,  0., nan,  1.],
           [ 0.,  0., nan,  1.]])
    """
    gap = np.full((1, 2), np.nan)
    parts = [part for line in lines for part in (gap, line)][1:]
    return np.concatenate(parts).T if parts else np.zeros((2, 0))
