"""A training run over its steps, as seen from a subspace: what the projection hides."""

from __future__ import annotations

from typing import Any, Literal

import xarray as xr

from thalweg.figures.backend import Backend, drawer
from thalweg.figures.lines import path_panels
from thalweg.figures.theme import Theme


def path(
    ds: xr.Dataset,
    *,
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw a path over its steps: the loss beside its value at the projection, and the distance from the subspace.

    Where the two losses part, a contour map with this path on it misleads. The learning rate is drawn if the dataset
    has one; the title says how much of the path's variance the subspace explains, if the dataset knows it.

    Parameters
    ----------
    ds
        Kind `path`.
    log
        Whether the loss axis is logarithmic. 'auto': if the losses span more than three decades.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `lines.Sheets`.

    Raises
    ------
    ValueError
        If the dataset is not a path.

    Examples
    --------
    >>> import xarray as xr
    >>> run = xr.Dataset(
    ...     {
    ...         "alpha": ("step", [1.0, 0.2, 0.0]),
    ...         "distance": ("step", [0.3, 0.1, 0.0]),
    ...         "loss": ("step", [2.0, 1.0, 0.5]),
    ...         "projected_loss": ("step", [2.5, 1.1, 0.5]),
    ...     },
    ...     {"step": [0, 10, 20]},
    ...     {"kind": "path", "coordinates": ["alpha"], "explained_variance_ratio": [0.9]},
    ... )
    >>> shown = path(run, backend="none")
    >>> shown.title, [line.label for panel in shown.panels for line in panel.lines]
    ("The line explains 90% of the path's variance",
     ['training loss, true point', 'training loss at the projection', 'distance from the line'])
    """
    draw = drawer(backend, "lines")
    return draw(path_panels(ds, log=log, title=title), theme)
