"""Loss surfaces as pictures: in three dimensions, as a contour map, and along a line.

All three read a dataset of kind `surface` (see `schema`) and return a figure of the chosen backend. What they show is
decided in `prepare` and `lines`; the backends only draw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import xarray as xr

from thalweg.figures.backend import Backend, drawer
from thalweg.figures.extras import Request
from thalweg.figures.outcomes import Descents
from thalweg.figures.prepare import prepare
from thalweg.figures.theme import Theme
from thalweg.figures.ways import Courses

Auto = Literal["auto"]
Paths = xr.Dataset | Sequence[xr.Dataset]
Values = xr.DataArray | Sequence[xr.DataArray]


def surface(
    ds: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    *,
    path: Paths | None = None,
    trajectory: Paths | None = None,
    points: Mapping[str, Sequence[float]] | None = None,
    descent: Descents | None = None,
    critical: xr.Dataset | None = None,
    curves: Mapping[str, Any] | None = None,
    field: bool | int = False,
    region: str | Sequence[str] | None = None,
    course: Courses | None = None,
    step: float | None = None,
    log: bool | Auto = "auto",
    clip: float | Auto | None = "auto",
    like: Values | None = None,
    panels: bool = False,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a loss surface in three dimensions.

    In plotly: the lit surface with iso-lines, its map on the floor, paths as tubes lying on it, the model at the
    origin, one dropdown for metric and split, and buttons for a linear or logarithmic scale. Matplotlib draws the same
    without controls.

    Parameters
    ----------
    ds
        Kind `surface` with two coordinates; slice a box first (`ds.isel(gamma=0)`).
    variable
        The quantity shown first (the training loss if not given). A list offers only these, and in matplotlib draws
        one panel each.
    path, trajectory
        One dataset of kind `path`, or several; two words for the same argument. A step stands at the loss at its
        projection, and its hover text gives the true loss and the distance from the plane beside it.
    points
        Names and coordinates of further places to mark, `{"SGD": (0.1, -0.4)}`.
    descent
        Kind `descent` with positions: a line for each start, coloured by `outcome` if the dataset has it, each ending
        in a dot, or in a cross where it diverged. Lines are cut at the border; of more than 700 starts some are drawn,
        and of every outcome a few. Of more than eight outcomes the rarest share one entry of the legend. A list of
        descents is told apart by their optimisers, one colour each.
    critical
        Kind `critical_points`: minima, saddles and maxima, and degenerate ones, which are open.
    curves
        Names of curves, such as solution sets, and their points in order along the curve: an array `(n, 2)`, or a list
        of arrays for a curve of several parts.
    field
        True, or n for every n-th grid point: arrows of the negative gradient (in these coordinates) lying on the
        surface, all of one length. The dataset needs `gradient`.
    region
        Names of variables with the role `region`: the grid points where they hold.
    course
        Kind `course`, or names and several of them: a curve between two optima with its ends, its bends and, dashed,
        the straight segment. What leaves the plane is drawn at its projection, and the subtitle says how far it is.
    step
        The state at this update: descents and paths up to there, with a dot where they are. One of them has to have
        recorded it; others end where their own records do. None draws them whole. With a course and no run, the place
        t at which a dot stands on it.
    log
        Whether heights are logarithms. 'auto': if the values span more than three decades.
    clip
        Values above are drawn at this height, which the figure says. 'auto' chooses it when a few values would flatten
        all others; None flattens nothing.
    like
        The values of another surface, `other.loss`, or of several: the scale fits them too. Two surfaces, each drawn
        like the other, have the same colours, heights and iso-lines, and can be compared by eye.
    panels
        In plotly, one scene for each variable of a list, side by side, in place of a dropdown.
    backend
        `plotly`, `matplotlib`, or `none` for the prepared `Map`.
    theme
        `light` or `dark`.
    title
        Instead of the dataset's own.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or a `prepare.Map`.

    Raises
    ------
    ValueError
        If the dataset has not two coordinates, something does not belong to it (another problem or subspace), or
        `step` is not recorded.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> a, b = np.linspace(-1, 1, 5), np.linspace(-1, 1, 3)
    >>> words = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": "nats"}
    >>> loss = (("alpha", "beta"), a[:, None] ** 2 + 2 * b**2, words)
    >>> attrs = {"kind": "surface", "coordinates": ["alpha", "beta"]}
    >>> bowl = xr.Dataset({"loss": loss}, {"alpha": a, "beta": b}, attrs)
    >>> shown = surface(bowl, backend="none")
    >>> shown.title, shown.layers["loss"].heights.shape
    ('Training loss', (5, 3))
    >>> sorted({trace.type for trace in surface(bowl).data})
    ['scatter3d', 'surface']
    """
    draw = drawer(backend, "surface")
    on_it = Request(descent, critical, curves, field, region, step, course)
    paths = _either(path, trajectory)
    look: dict[str, Any] = {"log": log, "clip": clip, "like": like, "title": title}
    shown = prepare(ds, variable, path=paths, points=points, on_it=on_it, **look)
    return draw(replace(shown, panels=panels), theme)


def contour(
    ds: xr.Dataset,
    variable: str | Sequence[str] | None = None,
    *,
    path: Paths | None = None,
    trajectory: Paths | None = None,
    points: Mapping[str, Sequence[float]] | None = None,
    descent: Descents | None = None,
    critical: xr.Dataset | None = None,
    curves: Mapping[str, Any] | None = None,
    field: bool | int = False,
    region: str | Sequence[str] | None = None,
    course: Courses | None = None,
    step: float | None = None,
    log: bool | Auto = "auto",
    clip: float | Auto | None = "auto",
    like: Values | None = None,
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a loss surface as a map with filled levels and labelled iso-lines.

    The arguments are those of `surface`. A list of variables draws one panel each. Both axes have the same scale if
    their units agree.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or a `prepare.Map`.

    Raises
    ------
    ValueError
        As `surface`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> a, b = np.linspace(-1, 1, 5), np.linspace(-1, 1, 3)
    >>> words = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": "nats"}
    >>> loss = (("alpha", "beta"), a[:, None] ** 2 + 2 * b**2, words)
    >>> attrs = {"kind": "surface", "coordinates": ["alpha", "beta"]}
    >>> bowl = xr.Dataset({"loss": loss}, {"alpha": a, "beta": b}, attrs)
    >>> contour(bowl, backend="none").layers["loss"].levels
    array([0. , 0.5, 1. , 1.5, 2. , 2.5, 3. ])
    """
    draw = drawer(backend, "contour")
    on_it = Request(descent, critical, curves, field, region, step, course)
    paths = _either(path, trajectory)
    look: dict[str, Any] = {"log": log, "clip": clip, "like": like, "title": title}
    return draw(prepare(ds, variable, path=paths, points=points, on_it=on_it, **look), theme)


def profile(
    ds: xr.Dataset,
    *,
    descent: Descents | None = None,
    step: int | None = None,
    log: bool | Auto = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a surface over one coordinate: the loss on the left axis, another metric on the right one.

    Training data are solid and test data dashed; a band is the standard error where there is one; a vertical line marks
    the model at the origin. Values that are not finite are gaps, and the figure counts them.

    Parameters
    ----------
    ds
        Kind `surface` with one coordinate; slice a plane first (`ds.sel(beta=0, method="nearest")`).
    descent
        Kind `descent` with one position: each update is a point at its loss, joined in order; those outside the range
        of the profile are not drawn. A list of descents is told apart by their optimisers.
    step
        The descents up to this recorded update, with a dot where they are. None draws them whole.
    log
        Whether the loss axis is logarithmic. 'auto': if the losses span more than three decades.
    backend, theme, title
        As in `surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `lines.Sheets`.

    Raises
    ------
    ValueError
        If the dataset has more than one coordinate, or the descent is not over it.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> words = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": "nats"}
    >>> line = xr.Dataset(
    ...     {"loss": ("t", [1.0, 0.5, 2.0], words)}, {"t": [0.0, 0.5, 1.0]}, {"kind": "surface", "coordinates": ["t"]}
    ... )
    >>> profile(line, backend="none").panels[0].lines[0].y
    array([1. , 0.5, 2. ])
    """
    from thalweg.figures.lines import profile_panels

    draw = drawer(backend, "lines")
    return draw(profile_panels(ds, descent=descent, step=step, log=log, title=title), theme)


def _either(path: Paths | None, trajectory: Paths | None) -> Paths | None:
    if path is not None and trajectory is not None:
        raise ValueError("`path` and `trajectory` are two words for the same argument; give one of them.")
    return trajectory if path is None else path
