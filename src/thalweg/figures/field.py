"""Arrows of steepest descent lying on a surface: where they stand, where they point, what they look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.figures.overlay import Extent, Sheet

_ALONG = 24  # arrows along the longer side, unless the caller says every how many grid points
_LENGTH = 0.82  # of an arrow, in distances between neighbours
_FLAT = 1e-12  # gradients below this share of the largest have no direction
# An arrow from -1/2 to 1/2: corners (along, across), and the triangles between them.
_CORNERS = np.array(
    [[-0.5, -1], [-0.5, 1], [-0.18, -1], [-0.18, 1], [0.14, -1], [0.14, 1], [0.14, -3], [0.14, 3], [0.5, 0]]
)
_TRIANGLES = np.array([[0, 1, 2], [1, 3, 2], [2, 3, 4], [3, 5, 4], [6, 7, 8]])
_OUTLINE = np.array([0, 2, 4, 6, 8, 7, 5, 3, 1, 0])
_WIDTH = 0.048  # half the width of a shaft, in lengths of the arrow


@dataclass(frozen=True)
class Field:
    """Directions in the plane, read once: `sites` and unit vectors `down` (2, n); `gap` between neighbours per axis."""

    label: str
    sites: np.ndarray
    down: np.ndarray
    gap: np.ndarray
    fact: str


@dataclass(frozen=True)
class Arrows:
    """Arrows on a surface: their middles `sites` (3, n), unit vectors `down` (2, n), the `gap` between neighbours."""

    label: str
    sites: np.ndarray
    down: np.ndarray
    gap: np.ndarray

    def corners(self, unit: np.ndarray) -> np.ndarray:
        """Corners (n, 9, 2) of arrows that all have the same length on the map.

        `unit` is what one unit of the picture is along x and y in the data's units.
        """
        along = self.down / unit[:, None]
        along = along / np.linalg.norm(along, axis=0)
        across = np.stack([-along[1], along[0]])
        length = _LENGTH * float((self.gap / unit).min())
        forth = _CORNERS[None, :, :1] * along.T[:, None]
        aside = _WIDTH * _CORNERS[None, :, 1:] * across.T[:, None]
        return np.asarray(self.sites[:2].T[:, None] + length * (forth + aside) * unit)


def triangles(count: int) -> np.ndarray:
    """Triangles (m, 3) of so many arrows, by the numbers of their corners."""
    return (_TRIANGLES[None] + len(_CORNERS) * np.arange(count)[:, None, None]).reshape(-1, 3)


def outlines(corners: np.ndarray) -> np.ndarray:
    """The closed outlines of arrows with these corners (n, 9, 2), as one line (2, m) with nan between them."""
    closed = np.concatenate([corners[:, _OUTLINE], np.full((len(corners), 1, 2), np.nan)], axis=1)
    return closed.reshape(-1, 2)[:-1].T


def read(ds: xr.Dataset, whole: tuple[str, ...], extent: Extent, field: bool | int) -> Field | None:
    """Directions of steepest descent at every n-th grid point.

    Parameters
    ----------
    ds
        A surface with the variable `gradient`.
    whole
        The coordinates that the gradient has components for; the surface may be a slice.
    extent
        The two coordinates that are drawn.
    field
        True for about as many arrows as are legible, or n itself; False for none.

    Raises
    ------
    ValueError
        If the surface has no gradient, or `field` is neither true, false nor a positive number.
    """
    if field is False:
        return None
    if not isinstance(field, int) or field < 1:
        raise ValueError(f"field={field!r}; expected True, or n to draw an arrow at every n-th grid point.")
    if "gradient" not in ds:
        raise ValueError(
            "This surface has no `gradient`, which `field` draws; "
            "`gradient_field(...)` or `loss_surface(..., gradient=True)` gives it."
        )
    shape = [ds.sizes[d] for d in extent.dims]
    every = max(1, round(max(shape) / _ALONG)) if field is True else int(field)
    rows, columns = (np.arange(_first(n, every), n, every) for n in shape)
    axes = np.array([whole.index(d) for d in extent.dims])
    uphill = ds["gradient"].transpose(*extent.dims, "coordinate").values[np.ix_(rows, columns, axes)].reshape(-1, 2)
    x, y = ds[extent.dims[0]].values[rows], ds[extent.dims[1]].values[columns]
    sites = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    size = np.linalg.norm(uphill, axis=1)
    there = np.isfinite(size) & (size > _FLAT * np.nanmax(np.where(np.isfinite(size), size, 0.0), initial=0.0))
    gap = extent.span / [max(n - 1, 1) for n in shape] * every
    loss = _loss(ds)
    fact = f"Arrows: negative gradient of the {loss} at every {_nth(every)}grid point, all of one length"
    down = -(uphill[there] / size[there, None]).T
    return Field(f"steepest descent of the {loss}", sites[there].T, down, gap, fact)


def on(sheet: Sheet, field: Field) -> Arrows:
    """The arrows on the surface of one quantity; where it has a hole there is none."""
    sites = sheet.lift(field.sites)
    there = np.isfinite(sites[2])
    return Arrows(field.label, sites[:, there], field.down[:, there], field.gap)


def _first(count: int, every: int) -> int:
    """Where every n-th grid point begins, so that the margins agree and no arrow stands on the border."""
    rest = (count - 1) % every
    return (rest or every) // 2 if every > 1 else 0


def _loss(ds: xr.Dataset) -> str:
    name = next((n for n in schema.values(ds) if ds[n].attrs.get("metric") == "loss"), None)
    return str(ds[name].attrs.get("long_name", name)) if name else "loss"


def _nth(every: int) -> str:
    return {1: "", 2: "2nd ", 3: "3rd "}.get(every, f"{every}th ")
