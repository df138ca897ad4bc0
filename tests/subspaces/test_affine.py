"""Coordinates to weights and back: project after embed is the identity, and zero is the origin."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.subspaces import GridPoints, Projection

finite = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def boxes(draw, dtype=torch.float64):
    dim = draw(st.integers(1, 4))
    num_weights = draw(st.integers(dim + 1, 30))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    origin, *directions = torch.randn(dim + 1, num_weights, generator=generator, dtype=torch.float64)
    scales = draw(st.lists(st.sampled_from([1e-4, 1.0, 1e4]), min_size=dim, max_size=dim))
    return tw.Box(origin.to(dtype), [(s * d).to(dtype) for s, d in zip(scales, directions, strict=True)])


@given(boxes(), st.data())
def test_project_after_embed_is_the_identity(box, data):
    coords = torch.tensor(data.draw(st.lists(finite, min_size=box.dim, max_size=box.dim)), dtype=torch.float64)
    lengths = box.directions.norm(dim=1)
    found, distance = box.project(box(coords))
    moved = float((coords.abs() * lengths).sum()) + float(box.origin.norm())
    np.testing.assert_allclose((found - coords) * lengths, 0, atol=1e-12 * moved)
    assert float(distance) <= 1e-12 * moved


@given(boxes(), st.integers(0, 2**32))
def test_a_projection_is_the_nearest_point(box, seed):
    """Against least squares, and by Pythagoras."""
    theta = torch.randn(len(box.origin), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found, distance = box.project(theta)
    lengths = box.directions.norm(dim=1)
    unit = (box.directions / lengths[:, None]).numpy().T
    expected = np.linalg.lstsq(unit, (theta - box.origin).numpy(), rcond=None)[0]
    np.testing.assert_allclose(found * lengths, expected, rtol=1e-8, atol=1e-8)
    rest = theta - box(found)
    assert float(distance) == pytest.approx(float(rest.norm()), rel=1e-8)
    np.testing.assert_allclose(unit.T @ rest.numpy(), 0, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(st.data())
def test_at_zero_is_the_origin_to_the_bit(dtype, data):
    """The trap: the centre of the grid not at the model."""
    box = data.draw(boxes(dtype))
    assert torch.equal(box(torch.zeros(box.dim)), box.origin)
    assert torch.equal(box(np.zeros((3, box.dim)))[1], box.origin)


@given(boxes(), st.data())
def test_embedding_is_the_sum_written_out(box, data):
    coords = data.draw(st.lists(finite, min_size=box.dim, max_size=box.dim))
    expected = box.origin.clone()
    for c, direction in zip(coords, box.directions, strict=True):
        expected = expected + c * direction
    torch.testing.assert_close(box(torch.tensor(coords, dtype=torch.float64)), expected, rtol=1e-13, atol=1e-9)


def test_embedding_and_projecting_take_any_leading_shape():
    plane = tw.Plane(np.zeros(5), *np.eye(5)[:2])
    coords = torch.randn(2, 3, 2, dtype=torch.float64)
    assert plane(coords).shape == (2, 3, 5)
    found = plane.project(plane(coords))
    assert isinstance(found, Projection)
    assert found.distance.shape == (2, 3)
    torch.testing.assert_close(found.coords, coords)


def test_a_subspace_is_differentiable_in_its_coordinates():
    plane = tw.Plane(np.ones(3), [1.0, 0.0, 2.0], [0.0, 1.0, 1.0])
    jacobian = torch.func.jacrev(plane)(torch.tensor([0.3, -0.4], dtype=torch.float64))
    torch.testing.assert_close(jacobian, plane.directions.T)


def test_a_subspace_holds_copies():
    """The trap: a coordinate kept as a view that a later call overwrites."""
    origin, u = torch.zeros(3), torch.ones(3)
    line = tw.Line(origin, u)
    origin += 1
    u += 1
    assert line(torch.tensor([1.0])).tolist() == [1.0, 1.0, 1.0]


def test_names_of_coordinates():
    assert tw.Line(np.zeros(2), np.ones(2)).dims == ("alpha",)
    assert tw.Plane(np.zeros(2), *np.eye(2)).dims == ("alpha", "beta")
    assert tw.Box(np.zeros(4), np.eye(4)).dims == ("alpha", "beta", "gamma", "delta")
    assert tw.Box(np.zeros(8), np.eye(8)).dims[7] == "c7"
    assert tw.Line(np.zeros(2), np.ones(2), dims=("lr",)).dims == ("lr",)
    with pytest.raises(ValueError, match="different names"):
        tw.Plane(np.zeros(2), *np.eye(2), dims=("a", "a"))


def test_points_by_number_are_the_points_of_the_slice():
    plane, coords = tw.Plane(np.zeros(3), *np.eye(3)[:2]), np.arange(10.0).reshape(5, 2)
    points = GridPoints(plane, coords, torch.zeros(1, dtype=torch.float32))
    assert len(points) == 5
    assert points[3:5].tolist() == [[6.0, 7.0, 0.0], [8.0, 9.0, 0.0]]
    assert points[0:1].dtype == torch.float32


# --- refusals ---


@pytest.mark.parametrize(
    ("u", "v", "message"),
    [
        (np.ones(2), np.ones(3), "`u` has 2 entries, but the origin has 3"),
        (np.eye(3)[0], np.ones(4), "`v` has 4 entries, but the origin has 3"),
        (np.zeros(3), np.ones(3), "`u` is zero"),
        (np.eye(3)[0], np.array([0.0, np.nan, 1.0]), "`v` has non-finite"),
        (np.array([np.inf, 0.0, 0.0]), np.ones(3), "`u` has non-finite"),
        (np.ones(3), -2 * np.ones(3), "linearly dependent"),
    ],
)
def test_directions_that_do_not_span_a_plane_are_refused(u, v, message):
    with pytest.raises(ValueError, match=message):
        tw.Plane(np.zeros(3), u, v)


def test_an_origin_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="origin has non-finite"):
        tw.Line(np.array([np.nan, 0.0]), np.ones(2))


def test_three_directions_in_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="dependent"):
        tw.Box(np.zeros(2), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))


@pytest.mark.parametrize("scale", [1e-170, 1e170])
def test_dependent_directions_are_refused_at_any_scale(scale):
    """Squares of such lengths under- or overflow."""
    with pytest.raises(ValueError, match="dependent"):
        tw.Plane(np.zeros(3), scale * np.ones(3), scale * np.ones(3))


def test_coordinates_and_weights_of_the_wrong_shape_are_refused():
    plane = tw.Plane(np.zeros(3), *np.eye(3)[:2])
    for coords in (0.5, np.zeros(3), np.zeros((2, 1))):
        with pytest.raises(ValueError, match="alpha, beta"):
            plane(coords)
    with pytest.raises(ValueError, match="3"):
        plane.project(np.zeros(4))
