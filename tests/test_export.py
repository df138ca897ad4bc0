"""Surfaces for other programs: what they read back is what was measured."""

import importlib
import json

import meshio
import numpy as np
import pytest
import torch
import xarray as xr

import thalweg as tw
from thalweg import export

WRITERS = {"h5netcdf": (tw.to_netcdf, "a.nc"), "meshio": (tw.to_vtk, "a.vtu")}


def surface_of(dim=2, points=(4, 3, 5), hole=False):
    """L = Σ k cₖ² over unequal counts, with inf and nan in one corner if `hole`."""

    def loss(theta):
        value = (torch.arange(1, dim + 1) * theta**2).sum(-1)
        if not hole:
            return value
        value = torch.where(theta[..., 0] > 0.9, torch.full_like(value, np.inf), value)
        return torch.where(theta[..., 0] < -0.9, torch.full_like(value, np.nan), value)

    problem = tw.FunctionProblem(loss, num_weights=dim, metrics={"first": lambda theta: theta[..., 0]})
    return tw.loss_surface(problem, tw.Box(np.zeros(dim), np.eye(dim)), extent=1.0, points=points[:dim])


@pytest.fixture
def surface():
    return surface_of()


def test_netcdf_gives_back_every_number(surface, tmp_path):
    file = tw.to_netcdf(surface, tmp_path / "a.nc")
    with xr.open_dataset(file) as back:
        assert set(back.data_vars) == set(surface.data_vars)
        for name in (*surface.data_vars, *surface.coords):
            np.testing.assert_array_equal(back[name], surface[name])
            assert back[name].dtype == surface[name].dtype
        assert back.loss.attrs["long_name"] == surface.loss.attrs["long_name"]
        assert back.alpha.attrs["long_name"] == surface.alpha.attrs["long_name"]


def test_netcdf_keeps_infinities_and_nan(tmp_path):
    surface = surface_of(hole=True)
    np.testing.assert_array_equal(xr.load_dataset(tw.to_netcdf(surface, tmp_path / "a.nc")).loss, surface.loss)


def test_netcdf_keeps_the_mask_of_an_adaptive_surface(tmp_path):
    problem = tw.FunctionProblem(lambda x, y: x**2 + y)
    surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=25, adaptive=0.01)
    back = xr.load_dataset(tw.to_netcdf(surface, tmp_path / "a.nc"))
    np.testing.assert_array_equal(back.interpolated.astype(bool), surface.interpolated)


def test_netcdf_keeps_every_attr_and_turns_what_it_cannot_hold_into_json(surface, tmp_path):
    """Under its own name, but for `coordinates`, which every reader of NetCDF takes for its own."""
    back = xr.load_dataset(tw.to_netcdf(surface, tmp_path / "a.nc"))
    for key, value in surface.attrs.items():
        name = "thalweg_coordinates" if key == "coordinates" else key
        assert name in back.attrs, f"attrs[{key!r}] was lost"
        told = back.attrs[name]
        assert told == value or json.loads(told) == value


@pytest.mark.parametrize("hole", [False, True])
def test_what_is_written_as_netcdf_is_what_is_read(tmp_path, hole):
    surface = surface_of(hole=hole)
    surface.attrs |= {"flag": True, "text": "[1, 2]", "share": 0.5, "number": 3}
    back = export.read_netcdf(tw.to_netcdf(surface, tmp_path / "a.nc"))
    xr.testing.assert_identical(back, surface)
    assert {k: type(v) for k, v in back.attrs.items()} == {k: type(v) for k, v in surface.attrs.items()}


def test_exporting_changes_nothing_in_the_dataset(surface, tmp_path):
    kept = surface.copy(deep=True)
    tw.to_netcdf(surface, tmp_path / "a.nc")
    tw.to_vtk(surface, tmp_path / "a.vtu")
    assert surface.identical(kept)


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_a_plane_becomes_quadrilaterals_with_every_value_at_its_place(surface, tmp_path, suffix):
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / f"a{suffix}", scale=0.5))
    assert mesh.points.shape == (12, 3)
    for k, (x, y, z) in enumerate(mesh.points):
        np.testing.assert_allclose(z, 0.5 * (x**2 + 2 * y**2), atol=1e-12)
        np.testing.assert_allclose(mesh.point_data["loss"][k], x**2 + 2 * y**2, atol=1e-12)
        np.testing.assert_allclose(mesh.point_data["first"][k], x, atol=1e-12)
    (cells,) = mesh.cells
    assert cells.type == "quad"
    assert len(cells.data) == 3 * 2
    for cell in cells.data:
        x, y = mesh.points[cell][:, :2].T
        shoelace = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))  # full only if the corners go around in order
        np.testing.assert_allclose(shoelace, 2 / 3 * 1.0)


def test_cells_of_a_plane_tile_it_without_overlap(surface, tmp_path):
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / "a.vtu"))
    centres = {tuple(np.round(mesh.points[cell][:, :2].mean(0), 9)) for cell in mesh.cells[0].data}
    a, b = ((v[1:] + v[:-1]) / 2 for v in (surface.alpha.values, surface.beta.values))
    assert centres == {(round(x, 9), round(y, 9)) for x in a for y in b}


def test_a_box_becomes_hexahedra_of_positive_volume(tmp_path):
    surface = surface_of(3)
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / "a.vtu"))
    (cells,) = mesh.cells
    assert cells.type == "hexahedron"
    assert len(cells.data) == 3 * 2 * 4
    x, y, z = mesh.points.T
    np.testing.assert_allclose(mesh.point_data["loss"], x**2 + 2 * y**2 + 3 * z**2, atol=1e-12)
    for cell in cells.data:
        p = mesh.points[cell]
        volume = np.linalg.det(np.stack([p[1] - p[0], p[3] - p[0], p[4] - p[0]]))
        np.testing.assert_allclose(volume, 2 / 3 * 1.0 * 0.5)


def test_a_line_becomes_line_segments(tmp_path):
    mesh = meshio.read(tw.to_vtk(surface_of(1), tmp_path / "a.vtu"))
    assert mesh.cells[0].type == "line"
    np.testing.assert_allclose(mesh.points[:, 1], mesh.points[:, 0] ** 2)
    np.testing.assert_array_equal(mesh.cells[0].data, [[0, 1], [1, 2], [2, 3]])


@pytest.mark.parametrize("scale", [1.0, -2.0])
def test_heights_that_are_not_finite_lie_at_the_largest_finite_one_and_the_data_stay_true(tmp_path, scale):
    surface = surface_of(hole=True)
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / "a.vtu", scale=scale))
    true = surface.loss.values.ravel()
    np.testing.assert_array_equal(mesh.point_data["loss"], true)
    highest = true[np.isfinite(true)].max()
    np.testing.assert_allclose(mesh.points[~np.isfinite(true), 2], scale * highest)


def test_a_flat_sheet_has_no_height(surface, tmp_path):
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / "a.vtu", height=None))
    np.testing.assert_array_equal(mesh.points[:, 2], 0.0)


def test_another_variable_can_be_the_height(surface, tmp_path):
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / "a.vtu", height="first"))
    np.testing.assert_allclose(mesh.points[:, 2], mesh.points[:, 0], atol=1e-12)


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".ply", ".obj", ".stl"])
def test_every_promised_suffix_holds_the_whole_surface(surface, tmp_path, suffix):
    """As quadrilaterals, or as twice as many triangles."""
    mesh = meshio.read(tw.to_vtk(surface, tmp_path / f"a{suffix}"))
    faces = sum(len(c.data) * (2 if c.type == "quad" else 1) for c in mesh.cells)
    assert faces == 2 * 3 * 2
    assert len(np.unique(np.round(mesh.points, 6), axis=0)) == 12


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_what_a_format_cannot_hold_is_refused_and_leaves_no_file(tmp_path, dim, suffix):
    """Lines and hexahedra in formats of faces: an error that names the suffix, or a file that holds the cells."""
    file = tmp_path / f"a{suffix}"
    try:
        tw.to_vtk(surface_of(dim), file)
    except ValueError as error:
        if suffix in str(error) and list(tmp_path.iterdir()) == []:
            return
        raise
    assert sum(len(c.data) for c in meshio.read(file).cells) > 0


@pytest.mark.parametrize(
    ("file", "asked", "match"),
    [
        ("a.txt", {}, r"\.txt.*\.vtu"),
        ("a", {}, r"\.vtu"),
        ("a.vtu", {"height": "test_loss"}, "test_loss.*loss, first"),
        ("a.vtu", {"height": "alpha"}, "alpha"),
    ],
)
def test_what_cannot_be_a_mesh_is_refused(surface, tmp_path, file, asked, match):
    with pytest.raises(ValueError, match=match):
        tw.to_vtk(surface, tmp_path / file, **asked)
    assert list(tmp_path.iterdir()) == []


def test_boxes_of_four_dims_are_no_mesh(tmp_path):
    surface = surface_of(4, points=(2, 2, 2, 2))
    with pytest.raises(ValueError, match="one, two or three"):
        tw.to_vtk(surface, tmp_path / "a.vtu")
    flat = tw.to_vtk(surface.isel(gamma=0, delta=0), tmp_path / "a.vtu")
    assert len(meshio.read(flat).points) == 4


@pytest.mark.parametrize("module", WRITERS)
def test_a_missing_library_is_named_with_the_way_to_install_it(surface, tmp_path, monkeypatch, module):
    write, file = WRITERS[module]
    real = importlib.import_module

    def absent(name, *rest):
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match=rf'needs {module}: pip install "thalweg\[export\]"'):
        write(surface, tmp_path / file)


@pytest.mark.parametrize("module", WRITERS)
@pytest.mark.parametrize("moment", ["while writing", "before renaming"])
def test_a_failed_export_leaves_the_old_file_and_no_draft(surface, tmp_path, monkeypatch, module, moment):
    write, file = WRITERS[module]
    target = write(surface, tmp_path / file)
    before = target.read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    if moment == "before renaming":
        monkeypatch.setattr(export.os, "replace", fail)
    elif write is tw.to_netcdf:
        monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    else:
        monkeypatch.setattr(meshio.Mesh, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write(surface_of(1), tmp_path / file)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_an_export_replaces_an_older_one(surface, tmp_path):
    tw.to_netcdf(surface_of(1), tmp_path / "a.nc")
    tw.to_netcdf(surface, tmp_path / "a.nc")
    assert "beta" in xr.load_dataset(tmp_path / "a.nc").dims
