"""Where curves run in planes: against projections by least squares and principal components by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw

from . import optima
from .optima import ends, problem

seeds = st.integers(0, 2**32 - 1)
KINDS = [tw.PolygonalChain, tw.BezierCurve]


def drawn(seed, num_nodes):
    return torch.randn(num_nodes, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_a_curve_with_one_bend_lies_in_its_plane(kind, seed):
    curve = kind(drawn(seed, 3))
    plane = tw.curve_plane(curve)
    found = tw.course(curve, plane, t=9)
    np.testing.assert_allclose(found.distance, 0, atol=1e-12)
    np.testing.assert_allclose(found.node_distance, 0, atol=1e-12)
    coords = np.stack([found.alpha, found.beta], axis=1)
    np.testing.assert_allclose(plane(coords), curve(found.t.values[:, None]), atol=1e-12)
    np.testing.assert_allclose(np.stack([found.node_alpha, found.node_beta], axis=1), plane.anchors, atol=1e-12)
    a, bend, b = curve.nodes
    same = tw.plane_through(a, b, bend)
    torch.testing.assert_close(plane.u, same.u)
    torch.testing.assert_close(plane.v, same.v)
    assert plane.info["share"] == 1
    assert list(plane.info["points"]) == ["a", "bend", "b"]
    assert float(found.node_beta[1]) > 0
    assert found.attrs["length"] == pytest.approx(curve.length())


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, num_bends=st.integers(2, 5))
def test_the_plane_of_several_bends_holds_the_ends_and_as_much_as_can_be(kind, seed, num_bends):
    """The second direction is the first right singular vector of the bends less the line through the ends."""
    nodes = drawn(seed, num_bends + 2)
    plane = tw.curve_plane(kind(nodes))
    u = (nodes[-1] - nodes[0]) / (nodes[-1] - nodes[0]).norm()
    rest = (nodes[1:-1] - nodes[0]).numpy()
    rest = rest - np.outer(rest @ u.numpy(), u.numpy())
    sizes, vectors = np.linalg.svd(rest)[1:]
    assert abs(float(plane.v @ torch.as_tensor(vectors[0]))) == pytest.approx(1, abs=1e-9)
    assert plane.info["share"] == pytest.approx(sizes[0] ** 2 / (sizes**2).sum(), abs=1e-6)
    found = tw.course(kind(nodes), plane, t=3)
    np.testing.assert_allclose(found.node_distance[[0, -1]], 0, atol=1e-12)
    np.testing.assert_allclose(found.node_beta[[0, -1]], 0, atol=1e-12)


@given(seed=seeds)
def test_a_course_is_the_least_squares_projection(seed):
    curve, vectors = tw.BezierCurve(drawn(seed, 4)), drawn(seed + 1, 3)
    plane = tw.Plane(vectors[0], vectors[1], vectors[2])
    found = tw.course(curve, plane, t=[0.0, 0.2, 0.9])
    for k, t in enumerate(found.t.values):
        offset = (curve(t) - plane.origin).numpy()
        D = np.stack([plane.u, plane.v], axis=1)
        coords, *_ = np.linalg.lstsq(D, offset, rcond=None)
        np.testing.assert_allclose([found.alpha[k], found.beta[k]], coords, rtol=1e-8, atol=1e-8)
        assert float(found.distance[k]) == pytest.approx(np.linalg.norm(offset - D @ coords), rel=1e-9)


def test_a_course_carries_the_losses_on_the_curve():
    p, (a, b) = problem(norm=True, test_data=optima.data(20, seed=3)), ends(norm=True)
    curve = tw.BezierCurve(torch.stack([a, a.flip(0), b]))
    plane = tw.curve_plane(curve)
    found = tw.course(curve, plane, t=5, problem=p)
    along = tw.loss_along(p, curve, t=5)
    for name in ("loss", "test_loss"):
        np.testing.assert_allclose(found[name], along[name], rtol=1e-12)
        assert found[name].attrs["role"] == "value"
    surface = tw.loss_surface(p.with_batch_norm("recalibrate"), plane, points=3)
    assert surface.attrs["subspace_id"] == found.attrs["subspace_id"]


def test_a_curve_without_a_plane_of_its_own_is_refused():
    a, b = torch.zeros(9), torch.ones(9)
    for straight in (tw.Segment(a, b), tw.BezierCurve.between(a, b, 2), tw.PolygonalChain.between(a, b)):
        with pytest.raises(ValueError, match="on the line through the ends"):
            tw.curve_plane(straight)
    with pytest.raises(ValueError, match="not finite"):
        tw.curve_plane(tw.BezierCurve(torch.stack([a, torch.full_like(a, math.nan), b])))
    with pytest.raises(ValueError, match="weights"):
        tw.course(tw.Segment(a, b), tw.Line(np.zeros(3), np.ones(3)))
