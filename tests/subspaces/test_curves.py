"""The straight way from one network to another."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_a_segment_meets_its_ends_to_the_bit(dtype, seed, scale):
    """The trap: the start model of an interpolation never evaluated."""
    a, b = torch.randn(2, 20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
    segment = tw.Segment(a, scale * b)
    ends = segment(torch.tensor([[0.0], [1.0]]))
    assert torch.equal(ends[0], a)
    assert torch.equal(ends[1], scale * b)
    assert torch.equal(segment.origin, a)
    assert segment.domain.tolist() == [[0.0, 1.0]]


@given(seed=st.integers(0, 2**32), t=st.floats(-3, 3, allow_subnormal=False))
def test_a_segment_is_the_straight_line_and_project_finds_t(seed, t):
    a, b = torch.randn(2, 20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    segment = tw.Segment(a, b)
    theta = segment(torch.tensor([t], dtype=torch.float64))
    torch.testing.assert_close(theta, (1 - t) * a + t * b)
    found = segment.project(theta)
    assert float(found.coords) == pytest.approx(t, abs=1e-12)
    assert float(found.distance) < 1e-12


def test_the_distance_from_a_segment_is_that_from_its_line():
    segment = tw.Segment(np.zeros(2), np.array([2.0, 0.0]))
    found = segment.project(np.array([[1.0, 3.0], [5.0, -4.0]]))
    assert found.coords.tolist() == [[0.5], [2.5]]
    assert found.distance.tolist() == [3.0, 4.0]


def test_a_segment_is_differentiable_and_holds_copies():
    a, b = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    segment = tw.Segment(a, b)
    b += 1
    assert torch.func.jacrev(segment)(torch.tensor([0.3], dtype=torch.float64)).flatten().tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros(3), np.ones(4), "3 and 4 weights"),
        (np.ones(3), np.ones(3), "zero"),
        (np.zeros(2), np.array([0.0, np.nan]), "non-finite"),
    ],
)
def test_ends_that_span_no_segment_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        tw.Segment(a, b)
