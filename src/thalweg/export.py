"""Surfaces for other programs: NetCDF for array tools, VTK meshes for ParaView and Blender."""

from __future__ import annotations

import importlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema

MESHES = (".vtu", ".vtk", ".ply", ".obj", ".stl")


def to_netcdf(dataset: xr.Dataset, file: str | Path) -> Path:
    """Write a result as NetCDF 4 (needs the extra `export`); attrs that NetCDF cannot hold become JSON text.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: x * y)
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=3)
    >>> file = to_netcdf(surface, tempfile.mkdtemp() + "/surface.nc")
    >>> bool((xr.load_dataset(file).loss == surface.loss).all())
    True
    """
    _module("h5netcdf")
    plain = dataset.copy()
    plain.attrs = _texts(dataset.attrs)
    for name in (*dataset.data_vars, *dataset.coords):
        plain[name].attrs = _texts(dataset[name].attrs)
    return _atomically(Path(file), lambda draft: plain.to_netcdf(draft, engine="h5netcdf"))


def to_vtk(surface: xr.Dataset, file: str | Path, *, height: str | None = "loss", scale: float = 1.0) -> Path:
    r"""Write a surface as a mesh (needs the extra `export`): `.vtu`, `.vtk`, `.ply`, `.obj` or `.stl`.

    Parameters
    ----------
    surface
        Two coordinates give quadrilaterals whose third coordinate is `scale` times the variable `height`
        (`None` for a flat sheet); three coordinates give hexahedra; one gives a line.
    height
        Heights that are not finite are put at the largest finite one (programs refuse them otherwise); the point data keep the
        true values. All variables over the grid travel as point data.

    Raises
    ------
    ValueError
        For other suffixes, more than three coordinates, or an unknown `height`.
    """
    target = Path(file)
    if target.suffix not in MESHES:
        raise ValueError(f"{target.name} has the suffix {target.suffix!r}; meshes are written as {', '.join(MESHES)}.")
    dims = [dim for dim in schema.coordinates(surface) if dim in surface.dims]
    if not 1 <= len(dims) <= 3:
        raise ValueError(f"The surface has the coordinates {dims}; a mesh has one, two or three.")
    if height is not None and height not in surface:
        raise ValueError(f"There is no variable {height!r}; the surface has {', '.join(schema.values(surface))}.")
    meshio = _module("meshio")
    data = {str(n): v.transpose(*dims).values.ravel() for n, v in surface.data_vars.items() if set(v.dims) == set(dims)}
    mesh = meshio.Mesh(
        _places(surface, dims, data[height] * scale if height is not None and len(dims) < 3 else None),
        [_cells(tuple(surface.sizes[dim] for dim in dims))],
        point_data={name: values.astype(float) for name, values in data.items()} if target.suffix in MESHES[:2] else {},
    )
    return _atomically(target, lambda draft: mesh.write(draft))


def _places(surface: xr.Dataset, dims: list[str], height: np.ndarray | None) -> np.ndarray:
    grids = np.meshgrid(*(surface[dim].values for dim in dims), indexing="ij")
    places = np.zeros((grids[0].size, 3))
    for k, grid in enumerate(grids):
        places[:, k] = grid.ravel()
    if height is not None:
        finite = np.isfinite(height)
        top = height[finite].max() if finite.any() else 0.0
        places[:, len(dims)] = np.where(finite, height, top)
    return places


def _cells(shape: tuple[int, ...]) -> tuple[str, np.ndarray]:
    """Corner numbers of every cell, in VTK's order."""
    number = np.arange(int(np.prod(shape))).reshape(shape)
    if len(shape) == 1:
        return "line", np.stack([number[:-1], number[1:]], axis=-1)
    quad = [(0, 0), (1, 0), (1, 1), (0, 1)]
    corners = quad if len(shape) == 2 else [(*q, 0) for q in quad] + [(*q, 1) for q in quad]
    cut = [number[tuple(slice(c, n - 1 + c) for c, n in zip(corner, shape, strict=True))].ravel() for corner in corners]
    return ("quad" if len(shape) == 2 else "hexahedron"), np.stack(cut, axis=-1)


def _texts(attrs: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, value in attrs.items():
        kept[key] = value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else json.dumps(value)
    return kept


def _atomically(target: Path, write: Callable[[Path], object]) -> Path:
    draft = target.with_name(f".{target.stem}-{uuid.uuid4().hex[:8]}{target.suffix}")
    try:
        write(draft)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'This export needs {name}: pip install "thalweg[export]".') from error
