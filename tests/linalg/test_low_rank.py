import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.linalg import orthonormalize, principal_angles, share_in_subspace, subspace_overlap


def rows(seed, k, n=12):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(k, n)))


@given(seed=st.integers(0, 10**6), k=st.integers(1, 6))
def test_an_orthonormal_basis_spans_what_it_was_made_from(seed, k):
    given_rows = rows(seed, k)
    basis = orthonormalize(torch.cat([given_rows, given_rows.sum(0, keepdim=True)]))
    assert len(basis) == k
    torch.testing.assert_close(basis @ basis.T, torch.eye(k, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(given_rows @ basis.T @ basis, given_rows, atol=1e-10, rtol=0)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 5), l=st.integers(1, 5))
def test_angles_and_overlap_are_those_of_scipy(seed, k, l):
    u, v = orthonormalize(rows(seed, k)), orthonormalize(rows(seed + 1, l))
    expected = np.sort(scipy.linalg.subspace_angles(u.T.numpy(), v.T.numpy()))
    np.testing.assert_allclose(principal_angles(u, v), expected, atol=1e-12)
    assert subspace_overlap(u, v) == pytest.approx((np.cos(expected) ** 2).mean())
    assert subspace_overlap(u, v) == pytest.approx(subspace_overlap(v, u))


def test_angles_far_below_the_square_root_of_rounding_are_seen():
    u = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    v = torch.tensor([[1.0, 1e-10]], dtype=torch.float64)
    assert float(principal_angles(u, v)) == pytest.approx(1e-10, rel=1e-6)


def test_the_share_of_a_vector_is_its_squared_cosine():
    basis = orthonormalize(rows(0, 3))
    v = rows(1, 1)[0]
    inside = basis.T @ (basis @ v)
    assert share_in_subspace(v, basis) == pytest.approx(float((inside @ inside) / (v @ v)))
    assert share_in_subspace(inside, basis) == pytest.approx(1.0)
    assert np.isnan(share_in_subspace(torch.zeros(12, dtype=torch.float64), basis))


def test_rows_that_make_no_sense_are_refused():
    basis = orthonormalize(rows(0, 2))
    for wrong, words in (
        (lambda: subspace_overlap(2 * basis, basis), "orthonormal"),
        (lambda: subspace_overlap(basis, basis[:, :5]), "different spaces"),
        (lambda: orthonormalize(torch.zeros(0, 3)), "shape"),
        (lambda: orthonormalize(torch.tensor([float("nan")])), "finite"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()
    assert orthonormalize(torch.zeros(2, 3)).shape == (0, 3)
