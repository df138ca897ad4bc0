"""Chains and Bezier curves against their formulas, closed forms, and finely cut polygons."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw

KINDS = [tw.PolygonalChain, tw.BezierCurve]
seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, num_nodes: int, num_weights: int = 7) -> torch.Tensor:
    return torch.randn(num_nodes, num_weights, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def casteljau(nodes: np.ndarray, t: float) -> np.ndarray:
    """A Bezier curve by repeated linear interpolation."""
    while len(nodes) > 1:
        nodes = (1 - t) * nodes[:-1] + t * nodes[1:]
    return nodes[0]


def on_chain(nodes: np.ndarray, t: float) -> np.ndarray:
    """A chain weight by weight, by linear interpolation between the nodes' own t."""
    return np.array([np.interp(t, np.linspace(0, 1, len(nodes)), column) for column in nodes.T])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=seeds, num_nodes=st.integers(2, 6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_curve_meets_its_ends_to_the_bit(kind, dtype, seed, num_nodes, scale):
    nodes = scale * drawn(seed, num_nodes).to(dtype)
    curve = kind(nodes)
    ends = curve(torch.tensor([[0.0], [1.0]]))
    assert torch.equal(ends[0], nodes[0])
    assert torch.equal(ends[1], nodes[-1])
    assert torch.equal(curve.origin, nodes[0])
    assert torch.equal(curve(0), curve.a)
    assert torch.equal(curve(1), curve.b)


@given(seed=seeds, num_nodes=st.integers(2, 6), t=st.floats(0, 1))
def test_a_bezier_curve_is_what_casteljau_gives(seed, num_nodes, t):
    nodes = drawn(seed, num_nodes)
    np.testing.assert_allclose(tw.BezierCurve(nodes)(t), casteljau(nodes.numpy(), t), rtol=1e-12, atol=1e-12)


@given(seed=seeds, num_nodes=st.integers(2, 6), t=st.floats(0, 1))
def test_a_chain_is_straight_from_node_to_node(seed, num_nodes, t):
    nodes = drawn(seed, num_nodes)
    chain = tw.PolygonalChain(nodes)
    np.testing.assert_allclose(chain(t), on_chain(nodes.numpy(), t), rtol=1e-12, atol=1e-12)
    for k in range(num_nodes):
        np.testing.assert_allclose(chain(k / (num_nodes - 1)), nodes[k], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, num_bends=st.integers(0, 4), t=st.floats(0, 1))
def test_a_curve_whose_bends_lie_on_the_segment_is_the_segment(kind, seed, num_bends, t):
    a, b = drawn(seed, 2)
    curve, segment = kind.between(a, b, num_bends), tw.Segment(a, b)
    torch.testing.assert_close(curve(t), segment(t), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(curve.tangent(t), segment.tangent(t), rtol=1e-9, atol=1e-9)
    assert curve.length() == pytest.approx(segment.length(), rel=1e-12)
    assert curve.length() == pytest.approx(float((b - a).norm()), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, num_nodes=st.integers(2, 6), t=st.floats(-0.5, 1.5))
def test_coefficients_sum_to_one_and_make_the_curve(kind, seed, num_nodes, t):
    curve = kind(drawn(seed, num_nodes))
    weights = curve.weights(t)
    assert weights.shape == (num_nodes,)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(curve(t), weights @ curve.nodes)
    batch = curve.weights(np.array([[0.0, t], [0.5, 1.0]]))
    assert batch.shape == (2, 2, num_nodes)
    torch.testing.assert_close(batch[0, 1], weights)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, num_nodes=st.integers(2, 5))
def test_the_tangent_is_the_derivative(kind, seed, num_nodes):
    """Away from a chain's corners; by central differences, and by autograd through t."""
    curve, h = kind(drawn(seed, num_nodes)), 1e-6
    for t in (0.07, 0.31, 0.58, 0.97):
        slope = (curve(t + h) - curve(t - h)) / (2 * h)
        torch.testing.assert_close(curve.tangent(t), slope, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            torch.func.jacrev(curve)(torch.tensor([t], dtype=torch.float64))[:, 0], curve.tangent([t])
        )


@pytest.mark.parametrize("kind", KINDS)
def test_t_has_a_gradient_at_both_ends(kind):
    """The trap: ends that are put in afterwards cut the graph."""
    curve = kind(drawn(3, 4))
    for end in (0.0, 1.0):
        t = torch.tensor([end], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(curve(t).sum(), t)
        assert float(slope) == pytest.approx(float(curve.tangent(end).sum()), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_bends_keep_their_graph_and_have_their_coefficients_as_gradient(kind):
    nodes = drawn(5, 5)
    bends = nodes[1:-1].clone().requires_grad_(True)
    curve = kind(nodes).with_bends(bends)
    toward = torch.linspace(-1, 1, 7, dtype=torch.float64)
    t = 0.37
    (slope,) = torch.autograd.grad(curve(t) @ toward, bends)
    torch.testing.assert_close(slope, curve.weights(t)[1:-1, None] * toward)
    assert torch.equal(curve(0.0), nodes[0])
    assert torch.autograd.gradcheck(lambda b, t: kind(nodes).with_bends(b)(t), (bends, torch.tensor([0.4]).double()))


def test_the_length_of_a_parabola_is_the_closed_form():
    """From (0, 0) by (1/2, 0) to (1, 1) runs y = x^2, of length (2 sqrt(5) + arsinh 2) / 4."""
    parabola = tw.BezierCurve([[0.0, 0.0], [0.5, 0.0], [1.0, 1.0]])
    assert parabola.length() == pytest.approx((2 * math.sqrt(5) + math.asinh(2)) / 4, rel=1e-12)
    x = np.array([0.0, 0.3, 0.8, 1.0])
    expected = x * np.sqrt(1 + 4 * x**2) / 2 + np.arcsinh(2 * x) / 4
    np.testing.assert_allclose(parabola.arc_length(x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", [*KINDS, tw.Segment])
@given(seed=seeds, num_nodes=st.integers(3, 5))
def test_lengths_are_those_of_a_finely_cut_polygon(kind, seed, num_nodes):
    nodes = drawn(seed, num_nodes)
    curve = kind(nodes[0], nodes[1]) if kind is tw.Segment else kind(nodes)
    t = np.linspace(0, 1, 12 * 300 + 1)
    steps = np.linalg.norm(np.diff(curve(t[:, None]).numpy(), axis=0), axis=1)
    travelled = np.concatenate([[0], np.cumsum(steps)])
    assert curve.length() == pytest.approx(travelled[-1], rel=1e-5)
    np.testing.assert_allclose(curve.arc_length(t), travelled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, tw.Segment])
@given(seed=seeds, num_points=st.integers(2, 30))
def test_points_at_equal_arc_length_cut_the_way_into_equal_parts(kind, seed, num_points):
    nodes = drawn(seed, 4)
    curve = kind(nodes[0], nodes[1]) if kind is tw.Segment else kind(nodes)
    t = curve.at_equal_arc_length(num_points)
    assert t[0] == 0
    assert t[-1] == 1
    assert (np.diff(t) > 0).all()
    parts = np.diff(curve.arc_length(t))
    np.testing.assert_allclose(parts, curve.length() / (num_points - 1), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bend_that_diverged_leaves_the_ends_as_they_are(kind):
    nodes = drawn(1, 3)
    nodes[1, 2] = math.inf
    curve = kind(nodes)
    assert torch.equal(curve(0.0), nodes[0])
    assert torch.equal(curve(torch.tensor([[0.0], [1.0]]))[1], nodes[2])
    assert not torch.isfinite(curve(0.5)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_curve_holds_copies_and_says_what_it_is(kind):
    nodes = drawn(2, 4)
    curve = kind(nodes)
    before = curve(0.5)
    nodes += 1
    assert torch.equal(curve(0.5), before)
    assert curve.info == {"kind": curve.kind, "num_bends": 2}
    assert curve.dims == ("t",)
    assert curve.domain.tolist() == [[0.0, 1.0]]
    assert curve.bends.shape == (2, 7)


def test_two_kinds_with_the_same_nodes_are_told_apart():
    from thalweg.measures.request import subspace_id

    nodes = drawn(0, 3)
    assert subspace_id(tw.PolygonalChain(nodes)) != subspace_id(tw.BezierCurve(nodes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (np.zeros((1, 3)), r"\(1, 3\)"),
        (np.zeros(3), r"\(3,\)"),
        ([np.zeros(3), np.zeros(4)], "3 and 4 weights"),
        ([[math.nan, 0.0], [1.0, 1.0]], "non-finite"),
    ],
)
def test_control_points_that_make_no_curve_are_refused(kind, nodes, message):
    with pytest.raises(ValueError, match=message):
        kind(nodes)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_make_no_sense_are_refused(kind):
    curve = kind(drawn(0, 3))
    with pytest.raises(ValueError, match=r"\(num_bends, 7\)"):
        curve.with_bends(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="num_bends=-1"):
        kind.between(np.zeros(2), np.ones(2), -1)
    with pytest.raises(ValueError, match="from 2"):
        curve.at_equal_arc_length(1)
    with pytest.raises(ValueError, match="last dim must be 1"):
        curve(torch.zeros(3, 2))


@pytest.mark.parametrize("num_nodes", [4, 7, 50, 101])
def test_a_chain_meets_its_nodes_where_their_places_are_rounded(num_nodes):
    """3 * (1/3) is 1, but 49 * (k/49) is not always k."""
    generator = torch.Generator().manual_seed(0)
    nodes = torch.randn(num_nodes, 3, dtype=torch.float64, generator=generator)
    chain, pieces = tw.PolygonalChain(nodes), num_nodes - 1
    for k in range(num_nodes):
        assert torch.equal(chain(k / pieces), nodes[k])
        assert torch.equal(chain(float(np.linspace(0, 1, num_nodes)[k])), nodes[k])
        begins = min(k, pieces - 1)
        torch.testing.assert_close(chain.tangent(k / pieces), pieces * (nodes[begins + 1] - nodes[begins]))
    t = torch.tensor([[k / pieces] for k in range(1, pieces)], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(chain(t).sum(), t)
    torch.testing.assert_close(slope[:, 0], chain.tangent(t.detach()).sum(1))


@pytest.mark.parametrize("kind", [tw.PolygonalChain, tw.BezierCurve])
def test_places_of_equal_way_have_both_ends_and_need_a_length(kind):
    for nodes in ([[0.0, 0], [0, 0], [1, 1]], [[0.0, 0], [1, 1], [1, 1]], [[0.0, 0], [1, 1], [1, 1], [1, 1], [2, 0]]):
        curve = kind(nodes)
        t = curve.at_equal_arc_length(5)
        assert (t[0], t[-1]) == (0.0, 1.0)
        assert (np.diff(t) > 0).all()
        np.testing.assert_allclose(np.diff(curve.arc_length(t)), curve.length() / 4, rtol=1e-6)
    with pytest.raises(ValueError, match="all equal"):
        kind([[1.0, 2.0]] * 3).at_equal_arc_length(4)
    with pytest.raises(ValueError, match="not finite"):
        kind([[0.0, 0.0], [np.nan, 1.0], [1.0, 1.0]]).at_equal_arc_length(4)


def test_what_is_no_curve_of_weights():
    with pytest.raises(TypeError, match="complex"):
        tw.PolygonalChain(torch.zeros(3, 2, dtype=torch.complex64))
    with pytest.raises(TypeError, match="complex"):
        tw.Segment(torch.zeros(2), torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="A PolygonalChain takes any number"):
        tw.BezierCurve(torch.zeros(1001, 2))
    assert bool(tw.BezierCurve(torch.ones(1000, 2, dtype=torch.float64))(0.5).isclose(torch.ones(1).double()).all())
