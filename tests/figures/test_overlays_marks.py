"""Marks on a surface: arrows, critical points, curves, regions; prepared, and in both backends."""

import numpy as np
import pytest

from tests.figures import descents
from tests.figures.descents import artist, drawn, named, numbers, prepared
from thalweg import figures
from thalweg.figures import field

# Arrows


def test_arrows_point_down_the_loss_and_have_one_length():
    _, extras = prepared(field=4)
    arrows = extras.arrows
    here = descents.loss(arrows.sites[:2].T)
    ahead = descents.loss((arrows.sites[:2] + 1e-4 * arrows.down).T)
    slope = np.linalg.norm(descents.gradient(arrows.sites[:2].T), axis=1)
    np.testing.assert_allclose(ahead - here, -1e-4 * slope, atol=1e-6)  # no direction falls faster
    corners = arrows.corners(np.array([2.0, 2.0]))
    along = corners[:, -1] - corners[:, :2].mean(axis=1)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), np.linalg.norm(along[0]))
    np.testing.assert_allclose(along / np.linalg.norm(along, axis=1, keepdims=True), arrows.down.T, atol=1e-12)


def test_every_nth_grid_point_has_an_arrow_except_where_the_gradient_vanishes():
    ds = descents.surface()
    _, extras = prepared(ds, field=10)
    expected = [(a, b) for a in descents.GRID[5::10] for b in descents.GRID[5::10]]
    np.testing.assert_allclose(extras.arrows.sites[:2].T, expected)
    _, all_of = prepared(ds, field=1)
    flat = int((ds["gradient_norm"] < 1e-12).sum())  # the saddle, and the solutions that are grid points
    assert flat > 1
    assert all_of.arrows.sites.shape[1] == ds["loss"].size - flat
    ds["gradient"][3, 4] = np.nan
    assert prepared(ds, field=1)[1].arrows.sites.shape[1] == ds["loss"].size - flat - 1


def test_arrows_lie_on_the_surface_and_none_hangs_over_its_edge():
    ds = descents.surface()
    mesh = named(figures.surface(ds, field=1), "arrows")
    used = np.unique(np.array([mesh.i, mesh.j, mesh.k]))
    x, y, z = (numbers(v)[used] for v in (mesh.x, mesh.y, mesh.z))
    above = z - ds["loss"].interp(alpha=("n", x), beta=("n", y)).values
    height = float(np.ptp(ds["loss"].values))
    assert (above > 0).all()
    assert above.max() < 0.04 * height
    assert len(mesh.facecolor) == len(mesh.i)


def test_both_maps_show_the_same_arrows():
    ds = descents.surface()
    arrows = prepared(ds, field=5)[1].arrows
    static = drawn(figures.contour(ds, field=5, backend="matplotlib"))
    (quiver,) = [c for axes in static.axes for c in axes.collections if c.get_label() == "_arrows"]
    size = np.hypot(quiver.U, quiver.V)
    np.testing.assert_allclose(np.array([quiver.U, quiver.V]) / size, arrows.down, atol=1e-9)
    np.testing.assert_allclose(size, size[0])
    outline = named(figures.contour(ds, field=5), "arrows")
    assert np.isnan(numbers(outline.x)).sum() == arrows.sites.shape[1] - 1


def test_a_slice_of_a_box_has_the_arrows_of_its_own_coordinates(box):
    a, b, c = (box[d].values for d in ("alpha", "beta", "gamma"))
    slope = np.stack(np.broadcast_arrays(*np.meshgrid(0 * a, 0 * b + 1, 0 * c + 2, indexing="ij")), axis=-1)
    ds = box.assign(gradient=(("alpha", "beta", "gamma", "coordinate"), slope, {"role": "gradient"}))
    arrows = prepared(ds.isel(alpha=3), field=True)[1].arrows
    np.testing.assert_allclose(arrows.down.T, np.tile(-np.array([1, 2]) / np.sqrt(5), (arrows.down.shape[1], 1)))


def test_a_field_needs_a_gradient_and_a_number(plane):
    with pytest.raises(
        ValueError, match=r"no `gradient`.*`gradient_field\(...\)` or `loss_surface\(..., gradient=True\)`"
    ):
        prepared(plane, field=True)
    for wrong in (0, -2, 1.5):
        with pytest.raises(ValueError, match="expected True, or n to draw an arrow at every n-th grid point"):
            prepared(field=wrong)
    assert prepared(field=False)[1].arrows is None


def test_outlines_of_arrows_are_closed_and_enclose_a_shaft_and_a_head():
    arrows = field.Arrows("", np.zeros((3, 2)), np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones(2))
    for line in np.split(field.outlines(arrows.corners(np.ones(2))), [11], axis=1):
        corners = line[:, np.isfinite(line[0])]
        np.testing.assert_array_equal(corners[:, 0], corners[:, -1])
        x, y = corners
        area = abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
        length, width = np.ptp(corners, axis=1).max(), np.ptp(corners, axis=1).min()  # the head is 3 shafts wide
        assert length == pytest.approx(0.82)
        assert area == pytest.approx(0.64 * length * width / 3 + 0.36 * length * width / 2)


# Critical points, curves, regions


def test_critical_points_are_told_apart_by_symbol_and_colour_and_say_their_eigenvalues():
    points = descents.critical(
        ["minimum", "saddle", "maximum", "minimum", "degenerate minimum", "saddle"],
        [(1, 1), (0, 0), (1.5, -1.5), (-1, -1), (0.5, 2), (3, 3)],
    )
    shown, extras = prepared(critical=points)
    assert [m.label for m in extras.marks] == ["minima (2)", "saddle (1)", "maximum (1)", "degenerate minimum (1)"]
    assert "1 of 6 critical points lies outside the map" in shown.subtitle
    for draw in (figures.surface, figures.contour):
        traces = [named(draw(descents.surface(), critical=points), m.label) for m in extras.marks]
        assert len({t.marker.symbol for t in traces}) == 4
        assert len({t.marker.color for t in traces[:3]}) == 3
        assert traces[3].marker.symbol.endswith("-open")
        assert "loss = 1<br>eigenvalues -2, 2" in traces[1].text[0]
        static = drawn(draw(descents.surface(), critical=points, backend="matplotlib"))
        looks = {artist(static, f"_{m.label}").get_marker() for m in extras.marks[:3]}
        assert len(looks) == 3
        assert artist(static, "_degenerate minimum (1)").get_markerfacecolor() == "none"
    (saddle,) = [m for m in extras.marks if m.name == "saddle"]
    np.testing.assert_array_equal(saddle.places[:, 0], [0, 0, 1])


def test_curves_are_dots_at_even_distances_on_the_given_lines():
    _, extras = prepared(curves=descents.branches())
    (curve,) = extras.marks
    assert curve.label == "a b = 1"
    x, y = curve.places[:2]
    np.testing.assert_allclose(x * y, 1, atol=2e-3)  # chords of the given curve
    assert (np.abs(curve.places[:2]) <= 2).all()
    one = np.column_stack([x, y])[x > 0]
    gaps = np.linalg.norm(np.diff(one, axis=0), axis=1)
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=0.02)
    single = prepared(curves={"one": np.array([[-9.0, 0.0], [9.0, 0.0]])})[1].marks[0]
    assert (single.places[0].min(), single.places[0].max()) == (-2, 2)


@pytest.mark.parametrize("wrong", [[1.0, 2.0], np.zeros((3, 3)), [np.zeros((2, 2)), np.zeros(3)], np.zeros((0, 2))])
def test_curves_of_another_shape_are_refused(wrong):
    with pytest.raises(ValueError, match=r"Curve 'S' has shape .*an array of shape \(n, 2\) is needed, or a list"):
        prepared(curves={"S": wrong})


def test_a_region_is_its_grid_points_and_says_how_many_parts_it_has():
    ds = descents.surface()
    _, extras = prepared(ds, region="below_gradient_norm")
    (region,) = extras.marks
    inside = ds["below_gradient_norm"].values
    assert region.places.shape[1] == inside.sum()
    assert (np.linalg.norm(descents.gradient(region.places[:2].T), axis=1) < 0.5).all()
    assert region.label == f"gradient norm < 0.5 (3 regions, {100 * inside.mean():.2g}% of the map)"
    with pytest.raises(ValueError, match="'loss' is not a region of this surface; it has below_gradient_norm"):
        prepared(ds, region="loss")
    with pytest.raises(ValueError, match=r"it has none; `below\(...\)` adds one"):
        prepared(ds.drop_vars("below_gradient_norm"), region=["below_gradient_norm"])
