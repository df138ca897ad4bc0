"""Gradients in a plane against calculus and differences of the surface; regions against a naive mask and flood fill."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import thalweg as tw

from . import naive
from .naive import product, product_loss, product_slope, sgd


def test_the_field_of_the_network_that_multiplies_by_one_is_the_gradient_by_hand():
    """-2 (t2, t1) (1 - t1 t2), also where t1 t2 is 10 and -10."""
    axis = [-5.0, -2.0, 0.0, 2.0, 5.0]
    field = tw.gradient_field(product(), tw.coordinate_plane(product()), alpha=axis, beta=axis)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    np.testing.assert_allclose(field.loss, product_loss(grid), rtol=1e-12)
    np.testing.assert_allclose(field.gradient, product_slope(grid), rtol=1e-12)
    np.testing.assert_allclose(field.gradient_norm, np.linalg.norm(product_slope(grid), axis=-1), rtol=1e-12)
    assert field.gradient.sel(alpha=5.0, beta=2.0).values.tolist() == [36.0, 90.0]
    assert field.gradient.sel(alpha=-5.0, beta=2.0).values.tolist() == [-44.0, 110.0]
    assert field.gradient_norm.attrs["metric"] == "gradient_norm"


@given(seed=st.integers(0, 2**32 - 1), num_weights=st.integers(2, 6))
def test_the_norm_is_the_length_of_the_gradient_projected_onto_the_plane(seed, num_weights):
    """Whatever the directions: |P ∇L| with P the orthogonal projection onto their span; the field itself is D ∇L."""
    draw = np.random.default_rng(seed)
    D, origin = draw.normal(size=(2, num_weights)) * [[5.0], [0.2]], draw.normal(size=num_weights)
    A = draw.normal(size=(num_weights, num_weights))
    a = torch.as_tensor(A)
    problem = tw.FunctionProblem(lambda t: torch.sin(t @ a).sum(-1), num_weights=num_weights, theta=origin)
    field = tw.gradient_field(problem, tw.Plane(origin, D[0], D[1]), extent=1.0, points=3)
    basis = np.linalg.qr(D.T)[0]
    for i, j in itertools.product(range(3), range(3)):
        theta = origin + (i - 1) * D[0] + (j - 1) * D[1]
        slope = A @ np.cos(theta @ A)
        np.testing.assert_allclose(field.gradient[i, j], D @ slope, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(field.gradient_norm[i, j], np.linalg.norm(basis.T @ slope), rtol=1e-6, atol=1e-8)


def test_the_field_of_a_network_is_the_difference_quotient_of_its_surface():
    data = naive.regression(9)
    problem = tw.ModuleProblem(naive.network(), data, loss=F.mse_loss)
    plane, h = tw.random_plane(problem, seed=1), 1e-5
    field = tw.gradient_field(problem, plane, extent=1.0, points=3)
    for i, j in itertools.product(range(3), range(3)):
        at = plane.origin + (i - 1) * plane.u + (j - 1) * plane.v
        for k, direction in enumerate((plane.u, plane.v)):
            ahead, behind = (
                naive.mean_loss(naive.network(), at + s * h * direction, data, F.mse_loss) for s in (1, -1)
            )
            assert float(field.gradient[i, j, k]) == pytest.approx((ahead - behind) / (2 * h), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("dims", [1, 3])
def test_lines_and_boxes_have_fields_too(dims):
    problem = tw.FunctionProblem(lambda x, y, z: x**2 + 2 * y**2 + 3 * z**2)
    field = tw.gradient_field(problem, tw.Box(np.zeros(3), 2 * np.eye(3)[:dims]), extent=1.0, points=3)
    corner = field.gradient.values[(-1,) * dims]
    np.testing.assert_allclose(corner, [8.0, 16.0, 24.0][:dims])
    np.testing.assert_allclose(field.gradient_norm.values[(-1,) * dims], np.linalg.norm([4.0, 8.0, 12.0][:dims]))


def regions(inside):
    """How many pieces, where side by side and corner to corner is together: a flood fill."""
    todo, count = {tuple(p) for p in np.argwhere(inside)}, 0
    while todo:
        count, queue = count + 1, [todo.pop()]
        while queue:
            place = queue.pop()
            near = [tuple(np.add(place, step)) for step in itertools.product((-1, 0, 1), repeat=inside.ndim)]
            queue += [p for p in near if p in todo]
            todo -= set(near)
    return count


@given(eps=st.floats(-1.2, 1.2), wide=st.floats(0.5, 3.0), dims=st.integers(1, 3))
def test_a_region_is_where_the_value_is_below_counted_by_flood_fill(eps, wide, dims):
    problem = tw.FunctionProblem(lambda x, y, z: torch.cos(3 * x) * torch.cos(2 * y + 0.3) * torch.cos(z))
    surface = tw.loss_surface(problem, tw.Box(np.zeros(3), np.eye(3)[:dims]), extent=wide, points=(11, 8, 5)[:dims])
    region = tw.below(surface, "loss", eps).below_loss
    expected = surface.loss.values < eps
    np.testing.assert_array_equal(region, expected)
    assert region.dtype == bool
    assert region.attrs["components"] == regions(expected)
    assert region.attrs["share"] == pytest.approx(expected.mean())
    assert (region.attrs["of"], region.attrs["eps"], region.attrs["role"]) == ("loss", eps, "region")


def test_the_small_gradients_of_himmelblau_lie_in_nine_regions():
    """One around each critical point."""
    problem = tw.FunctionProblem(lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2)
    field = tw.gradient_field(problem, tw.coordinate_plane(problem), extent=5.0, points=201)
    marked = tw.below(tw.below(field, "gradient_norm", 3.5), "loss", 5.0)
    assert marked.below_gradient_norm.attrs["components"] == 9
    assert marked.below_loss.attrs["components"] == 4
    assert marked.drop_vars(["below_gradient_norm", "below_loss"]).identical(field), "the rest is as it was"


def test_what_is_undefined_is_below_nothing():
    problem = tw.FunctionProblem(lambda x, y: torch.log(x) + 0 * y)
    marked = tw.below(tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=5), "loss", 1e9)
    np.testing.assert_array_equal(marked.below_loss[:2], False)
    np.testing.assert_array_equal(marked.below_loss[2:], True)


@pytest.mark.parametrize(
    ("quantity", "eps", "match"),
    [
        ("accuracy", 0.1, "'accuracy' is not a quantity of this surface; it has loss"),
        ("gradient_norm", 0.1, "`gradient_field` adds gradient_norm"),
        ("gradient", 0.1, "'gradient' is not a quantity"),
        ("loss", np.nan, "eps=nan"),
        ("loss", np.inf, "eps=inf"),
    ],
)
def test_what_cannot_be_marked_is_refused(quantity, eps, match):
    surface = tw.loss_surface(product(), tw.coordinate_plane(product()), extent=1.0, points=3, gradient=True)
    with pytest.raises(ValueError, match=match):
        tw.below(surface, quantity, eps)


def test_only_surfaces_have_regions():
    paths = tw.descend(product(), [[1.0, 0.5]], sgd(), 3)
    with pytest.raises(ValueError, match=r"descent.*surface"):
        tw.below(paths, "loss", 1.0)


def test_a_field_is_not_written_while_it_is_computed(tmp_path):
    with pytest.raises(ValueError, match=r"thalweg\.save"):
        tw.gradient_field(product(), tw.coordinate_plane(product()), store=tmp_path / "study.zarr")


def test_a_field_with_its_regions_comes_back_identical_from_a_study(tmp_path):
    field = tw.gradient_field(product(), tw.coordinate_plane(product()), extent=2.0, points=9)
    marked = tw.below(tw.below(field, "gradient_norm", 1.0), "loss", 0.5)
    assert tw.load(tw.save(marked, tmp_path / "study.zarr")).identical(marked)
