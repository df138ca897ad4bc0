"""Singular triplets against numpy's: exact, randomised with their certificate, by bidiagonalisation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg.linalg import LinearMap, exact_svd, lanczos_svd, randomized_svd

D = torch.double


def with_values(values, n, m, seed=0, dtype=D):
    draw = np.random.default_rng(seed)
    u, _ = np.linalg.qr(draw.normal(size=(n, len(values))))
    v, _ = np.linalg.qr(draw.normal(size=(m, len(values))))
    return torch.as_tensor((u * np.asarray(values)) @ v.T, dtype=dtype)


def map_of(A, frobenius=True):
    """A as it is known to a method that never sees it."""
    size = float(A.double().norm()) if frobenius else float("nan")
    return LinearMap(lambda v: v @ A.T, lambda u: u @ A, tuple(A.shape), dtype=A.dtype, frobenius=size)


def missed(A, found):
    """The residual of each triplet, computed from scratch."""
    s = torch.as_tensor(found.singular_values, dtype=A.dtype)[:, None]
    one, two = found.right @ A.T - s * found.left, found.left @ A - s * found.right
    return ((one**2).sum(1) + (two**2).sum(1)).sqrt().numpy()


def is_orthonormal(rows, tol):
    return float((rows @ rows.T - torch.eye(len(rows), dtype=rows.dtype)).abs().max()) < tol


@given(seed=st.integers(0, 2**31), n=st.integers(1, 30), m=st.integers(1, 30), rank=st.integers(1, 30))
def test_exact_triplets_are_those_of_numpy(seed, n, m, rank):
    rank = min(n, m, rank)
    A = with_values(np.random.default_rng(seed).uniform(0.1, 1, rank), n, m, seed)
    found = exact_svd(A)
    np.testing.assert_allclose(found.singular_values, np.linalg.svd(A.numpy(), compute_uv=False)[:rank], rtol=1e-10)
    assert (found.rank, found.stop) == (rank, "exact")
    assert missed(A, found).max() < 1e-12
    assert found.tail < 1e-12
    np.testing.assert_allclose(found.frobenius, A.norm())


@pytest.mark.parametrize("shape", [(640, 700), (700, 640)])
def test_the_gram_matrix_tells_values_down_to_a_ten_millionth(shape):
    values = np.geomspace(1, 2e-7, 610)
    A = with_values(values, *shape)
    found = exact_svd(A)
    assert found.rank == 610
    np.testing.assert_allclose(found.singular_values, values, rtol=1e-2)
    np.testing.assert_allclose(found.singular_values[values > 1e-5], values[values > 1e-5], rtol=1e-5)
    assert is_orthonormal(found.left[:300], 1e-8)
    assert is_orthonormal(found.right[:300], 1e-8)
    assert missed(A, found)[:500].max() < 1e-8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_randomised_values_lie_within_their_certificate(shape, dtype):
    """0 <= true value - found value <= bound, up to rounding; the rest is what it is said to be."""
    values = np.geomspace(1, 1e-9, 60)
    A = with_values(values, *shape, dtype=dtype)
    found = randomized_svd(A, tol=1e-3, rtol=1e-5)
    short = np.linalg.svd(A.double().numpy(), compute_uv=False)[: len(found.singular_values)] - found.singular_values
    rounding = 3 * torch.finfo(dtype).eps
    assert (short >= -rounding).all()
    assert (short <= found.bounds + rounding).all()
    assert found.stop == "certified"
    approximation = found.left.T @ torch.diag(torch.as_tensor(found.singular_values, dtype=dtype)) @ found.right
    np.testing.assert_allclose(found.tail, float((A - approximation).norm()), rtol=1e-3, atol=1e-6)
    assert (missed(A, found) <= found.residuals + 1e-6).all()
    assert is_orthonormal(found.left, 1e-5)
    assert is_orthonormal(found.right, 1e-5)


@given(seed=st.integers(0, 2**31), rank=st.integers(1, 40))
def test_the_certificate_settles_the_rank(seed, rank):
    A = with_values(np.random.default_rng(seed).uniform(0.01, 1, rank), 130, 140, seed, torch.float32)
    found = randomized_svd(A, seed=seed)
    assert (found.rank, found.rank_known) == (rank, True)


def test_a_slow_fall_is_not_certified():
    A = with_values(np.linspace(1, 0.5, 100), 120, 100)
    found = randomized_svd(A)
    assert found.stop == "budget"
    assert not found.rank_known
    assert (found.residuals >= missed(A, found) - 1e-10).all()


def test_powers_make_the_largest_of_a_slow_fall_right():
    values = 1 / np.arange(1, 101)
    A = with_values(values, 150, 120)
    off = {}
    for power in (0, 3):
        found = randomized_svd(map_of(A), 5, power=power)
        assert len(found.singular_values) == 5
        off[power] = np.abs(found.singular_values - values[:5]).max()
        np.testing.assert_allclose(found.residuals, missed(A, found), atol=1e-9)
    assert off[3] < 1e-5
    assert off[0] > 1e-3


def test_products_alone_give_what_the_stored_matrix_gives():
    A = with_values(np.geomspace(1, 1e-7, 40), 200, 150)
    stored, products = randomized_svd(A, tol=1e-4), randomized_svd(map_of(A), tol=1e-4)
    np.testing.assert_allclose(products.singular_values[:20], stored.singular_values[:20], rtol=1e-9)
    np.testing.assert_allclose(products.tail, stored.tail, rtol=0.05, atol=1e-7)


@given(seed=st.integers(0, 2**31), n=st.integers(3, 60), m=st.integers(3, 60), k=st.integers(1, 3))
def test_bidiagonalisation_finds_the_largest_triplets(seed, n, m, k):
    values = np.sort(np.random.default_rng(seed).uniform(0.1, 1, min(n, m)))[::-1]
    A = with_values(values, n, m, seed)
    found = lanczos_svd(map_of(A), k, tol=1e-7, seed=seed)
    np.testing.assert_allclose(found.singular_values, values[:k], rtol=1e-6)
    assert found.stop == "converged"
    assert missed(A, found).max() <= found.residuals.max() + 1e-12
    assert missed(A, found).max() <= 1e-7
    np.testing.assert_allclose(found.tail, np.sqrt((values[k:] ** 2).sum()), atol=1e-6)


def test_residuals_of_bidiagonalisation_are_true():
    A = with_values(1 / np.arange(1, 201) ** 0.5, 300, 250)
    found = lanczos_svd(map_of(A), 4, tol=1e-3)
    np.testing.assert_allclose(found.residuals, missed(A, found), rtol=1e-6, atol=1e-13)
    assert found.num_products < 160


@given(seed=st.integers(0, 2**31))
def test_no_value_is_hidden_among_its_neighbours(seed):
    """Ten that stand out and a bulk that falls slowly, as Jacobians of classifiers have: all are right to `tol`."""
    draw = np.random.default_rng(seed)
    values = np.sort(np.concatenate([draw.uniform(0.7, 1, 10), 0.22 * np.exp(-np.arange(190) / 40)]))[::-1]
    A = with_values(values, 400, 300, seed)
    found = lanczos_svd(map_of(A), 20, seed=seed)
    np.testing.assert_allclose(found.singular_values, values[:20], atol=1e-3 * values[0])


def test_float32_is_enough_for_a_few_digits():
    values = 1 / np.arange(1, 101)
    found = lanczos_svd(map_of(with_values(values, 400, 300, dtype=torch.float32)), 6)
    np.testing.assert_allclose(found.singular_values, values[:6], rtol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 5, 12])
@pytest.mark.parametrize("seed", range(3))
def test_every_copy_of_a_repeated_value_is_found(k, seed):
    """One start vector sees one copy of each: the searches have to find the other nine."""
    values = np.repeat(np.linspace(1, 0.1, 20), 10)
    A = with_values(values, 300, 250, seed)
    found = lanczos_svd(map_of(A), k, seed=seed)
    np.testing.assert_allclose(found.singular_values, values[:k], atol=1e-5)
    assert found.stop == "converged"
    np.testing.assert_allclose(found.residuals, missed(A, found), rtol=1e-6, atol=1e-12)
    assert is_orthonormal(found.left, 1e-10)
    assert is_orthonormal(found.right, 1e-10)


def test_a_search_that_finds_nothing_costs_little():
    A = with_values(1 / np.arange(1, 201) ** 0.5, 300, 250)
    assert lanczos_svd(map_of(A), 4).num_products <= 40
    assert lanczos_svd(map_of(A), 20).num_products <= 130


@pytest.mark.parametrize("values", [[3.0, 2.0, 1.0], [2.0, 2.0, 2.0, 1.0], [1.0]])
def test_a_low_rank_is_told_and_repeated_values_are_all_found(values):
    A = with_values(values, 50, 40)
    found = lanczos_svd(map_of(A), 10)
    assert (found.rank, found.rank_known, found.stop) == (len(values), True, "converged")
    np.testing.assert_allclose(found.singular_values, values)


def test_a_matrix_of_zeros_has_none():
    A = torch.zeros(20, 30, dtype=D)
    for found in (exact_svd(A), randomized_svd(A), lanczos_svd(map_of(A), 2)):
        assert (found.rank, len(found.singular_values), found.left.shape) == (0, 0, (0, 20))


def test_a_budget_that_is_too_small_is_told():
    A = with_values(np.linspace(1, 0.9, 200), 250, 220)
    found = lanczos_svd(map_of(A), 5, tol=1e-8, max_products=30)
    assert found.stop == "budget"
    assert found.num_products <= 31


def test_what_makes_no_sense_is_refused():
    A = torch.eye(4)
    with pytest.raises(ValueError, match="Frobenius norm"):
        randomized_svd(map_of(A, frobenius=False))
    for call in (lambda: randomized_svd(A, 5), lambda: lanczos_svd(map_of(A), 0)):
        with pytest.raises(ValueError, match="Ask for 1 to 4"):
            call()
    with pytest.raises(FloatingPointError, match="not finite"):
        exact_svd(torch.full((2, 2), float("nan")))
    with pytest.raises(FloatingPointError, match="not finite"):
        lanczos_svd(map_of(torch.full((2, 2), float("inf"))), 1)
    with pytest.raises(ValueError, match="expected \\(1, 3\\)"):
        LinearMap(lambda v: v, lambda u: u, (3, 2)).forward(torch.ones(1, 2))
