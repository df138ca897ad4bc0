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
VOLUMES = MESHES[:2]
_RENAMED = {"coordinates": "thalweg_coordinates"}
_JSON = "thalweg_json"


def to_netcdf(dataset: xr.Dataset, file: str | Path) -> Path:
    """Write a result as NetCDF 4 (needs the extra `export`); `read_netcdf` gives it back as it was.

    Attrs that NetCDF cannot hold become JSON text, and `coordinates`, a word that the format keeps for itself, is
    written as
    `thalweg_coordinates`.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: x * y)
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=3)
    >>> file = to_netcdf(surface, tempfile.mkdtemp() + "/surface.nc")
    >>> bool((xr.load_dataset(file).loss == surface.loss).all())
    True
    >>> read_netcdf(file).identical(surface)
    True
    """
    _module("h5netcdf")
    plain = dataset.copy()
    plain.attrs = _texts(dataset.attrs)
    for name in (*dataset.data_vars, *dataset.coords):
        plain[name].attrs = _texts(dataset[name].attrs)
    return _atomically(Path(file).expanduser(), lambda draft: plain.to_netcdf(draft, engine="h5netcdf"))


def read_netcdf(file: str | Path) -> xr.Dataset:
    """Read a result that `to_netcdf` wrote, attrs and all; it fulfils the schema (needs the extra `export`)."""
    _module("h5netcdf")
    dataset = xr.load_dataset(Path(file).expanduser(), engine="h5netcdf")
    for part in (dataset, *(dataset[name] for name in (*dataset.data_vars, *dataset.coords))):
        part.attrs = _from_texts(part.attrs)
    return schema.check(dataset)


def to_vtk(surface: xr.Dataset, file: str | Path, *, height: str | None = "loss", scale: float = 1.0) -> Path:
    r"""Write a surface as a mesh (needs the extra `export`): `.vtu`, `.vtk`, `.ply`, `.obj` or `.stl`.

    Parameters
    ----------
    surface
        Two coordinates give quadrilaterals (`.stl`: triangles) whose third coordinate is `scale` times the variable
        `height` (`None` for a flat sheet); three coordinates give hexahedra and one gives a line, in `.vtu` and `.vtk`
        only.
    height
        Heights that are not finite are put where the largest finite one is (programs refuse them otherwise); the point
        data of `.vtu` and `.vtk` keep the true values, and all variables over the grid.

    Raises
    ------
    ValueError
        For other suffixes, more than three coordinates, a suffix that cannot hold so many, or an unknown `height`.
    """
    target = Path(file).expanduser()
    dims = _mesh_dims(surface, target)
    data = {str(n): v.transpose(*dims).values.ravel() for n, v in surface.data_vars.items() if set(v.dims) == set(dims)}
    if height is not None and height not in data:
        raise ValueError(
            f"There is no variable {height!r} over {', '.join(dims)} to be the height; "
            f"the surface has {', '.join(data)}."
        )
    kind, corners = _cells(tuple(surface.sizes[dim] for dim in dims))
    if target.suffix == ".stl":
        kind, corners = "triangle", np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    mesh = _module("meshio").Mesh(
        _places(surface, dims, data[height] if height is not None and len(dims) < 3 else None, scale),
        [(kind, corners)],
        point_data={n: values.astype(float) for n, values in data.items()} if target.suffix in VOLUMES else {},
    )
    options = {"binary": True} if target.suffix == ".stl" else {}
    return _atomically(target, lambda draft: mesh.write(draft, **options))


def _mesh_dims(surface: xr.Dataset, target: Path) -> list[str]:
    """The surface's coordinates, if the format can hold a mesh of them."""
    if target.suffix not in MESHES:
        raise ValueError(f"{target.name} has the suffix {target.suffix!r}; meshes are written as {', '.join(MESHES)}.")
    if surface.attrs.get("kind") != "surface":
        raise ValueError(
            f"This is a result of kind {surface.attrs.get('kind')!r}; meshes are made of surfaces. Write it as .nc, or "
            "as a picture."
        )
    dims = [dim for dim in schema.coordinates(surface) if dim in surface.dims]
    if not 1 <= len(dims) <= 3:
        raise ValueError(f"The surface has the coordinates {dims}; a mesh has one, two or three.")
    if len(dims) != 2 and target.suffix not in VOLUMES:
        raise ValueError(
            f"The surface has the coordinates {', '.join(dims)}; {target.suffix} holds faces over two. Write lines and "
            f"boxes as {' or '.join(VOLUMES)}."
        )
    return dims


def _places(surface: xr.Dataset, dims: list[str], height: np.ndarray | None, scale: float) -> np.ndarray:
    grids = np.meshgrid(*(surface[dim].values for dim in dims), indexing="ij")
    places = np.zeros((grids[0].size, 3))
    for k, grid in enumerate(grids):
        places[:, k] = grid.ravel()
    if height is not None:
        finite = np.isfinite(height)
        top = height[finite].max() if finite.any() else 0.0
        places[:, len(dims)] = scale * np.where(finite, height, top)
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


def _texts(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attrs as NetCDF can hold them, with a note of those that became JSON."""
    kept: dict[str, Any] = {}
    encoded = []
    for key, value in attrs.items():
        name = _RENAMED.get(key, str(key))
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            kept[name] = value
        else:
            kept[name] = json.dumps(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value)
            encoded.append(name)
    return kept | {_JSON: json.dumps(encoded)} if encoded else kept


def _from_texts(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Inverse of `_texts`."""
    encoded = json.loads(attrs.get(_JSON, "[]"))
    names = {there: here for here, there in _RENAMED.items()}
    found = {}
    for key, value in attrs.items():
        if key != _JSON:
            plain = value.item() if isinstance(value, np.generic) else value
            found[names.get(key, key)] = json.loads(plain) if key in encoded else plain
    return found


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
